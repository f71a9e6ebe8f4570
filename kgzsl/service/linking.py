"""Names → nodes, as `kgzsl.graphs.link` does it, with the lemmas of the whole graph in one table: microseconds a name."""

from __future__ import annotations

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.link import Link, words


class Linker:
    """Links names to nodes of a graph; made once."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        found: dict[str, dict[str, int]] = {}
        for identifier, label in zip(graph.ids, graph.labels, strict=True):
            for place, lemma in enumerate(label.split(", ")):
                found.setdefault("".join(words(lemma)), {}).setdefault(identifier, place)
        self._lemmas = {key: sorted(nodes, key=lambda i: (nodes[i], i)) for key, nodes in found.items() if key}

    def link(self, name: str) -> Link:
        """Return the node with the longest ending of the name that is a lemma; see `kgzsl.graphs.link.link`.

        Raises
        ------
        InvalidInputError : a name without a word.
        """
        parts = words(name)
        if not parts:
            raise InvalidInputError("a name to link has a word", received=repr(name)[:100])
        for start in range(len(parts)):
            nodes = self._lemmas.get("".join(parts[start:]))
            if nodes:
                return Link(name, nodes[0], "suffix" if start else "exact", (len(parts) - start) / len(parts), tuple(nodes))
        return Link(name, None, "none", 0.0, ())
