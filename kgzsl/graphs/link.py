"""Names → nodes of a graph, by the words of both."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kgzsl.errors import InvalidInputError, first_five
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.select import spread

Status = Literal["exact", "suffix", "none"]

_POSSESSIVE = re.compile(r"['\u2019]s?\b")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Link:
    """A name and the node that it is linked to.

    Attributes
    ----------
    name : as it was given.
    node : the node's id; None when none was found.
    status : `exact` (a lemma of the node is the name), `suffix` (a lemma is the end of the name) or `none`.
    score : share of the name's words that the lemma holds, 0…1.
    candidates : all nodes with that lemma, the chosen one first.
    """

    name: str
    node: str | None
    status: Status
    score: float
    candidates: tuple[str, ...]

    @property
    def ambiguous(self) -> bool:
        """Whether other nodes have the lemma too, so that a person should look."""
        return len(self.candidates) > 1


def link(names: Sequence[str], graph: KnowledgeGraph, below: str | None = None) -> tuple[Link, ...]:
    """Return for each name the node with its longest ending that is a lemma.

    "Black footed Albatross" becomes the node of that lemma, else of "footed albatross", else of "albatross". Case,
    hyphens, underscores, accents, possessives and plurals make no difference, nor whether words are written together. Of
    several nodes with one lemma, that which names it earliest in its label is taken, then that of the smaller id.

    Parameters
    ----------
    below : only this node and its descendants by `hypernym`; None = all nodes.

    Raises
    ------
    InvalidInputError : a name without a word.
    UnknownNameError : `below` is not a node, or the graph has no hypernym relation.
    """
    wordless = [name for name in names if not words(name)]
    if wordless:
        raise InvalidInputError("a name to link has a word", received=first_five(repr(n) for n in wordless))
    lemmas = _lemmas(graph, below)
    return tuple(_link(name, lemmas) for name in names)


def words(name: str) -> list[str]:
    """Return the words of a name in lower case, without accents and possessives, each in the singular."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() if not name.isascii() else name
    return [_singular(w) for w in _WORD.findall(_POSSESSIVE.sub("", plain.lower()))]


def _singular(word: str) -> str:
    """Cut a regular plural ending; both sides of a comparison are cut, so a wrong cut does no harm."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses")) else word[:-1]


def _lemmas(graph: KnowledgeGraph, below: str | None) -> dict[str, list[str]]:
    """Words of a lemma, written together → ids of the nodes that have it, best first."""
    inside = np.ones(len(graph), dtype=bool)
    if below is not None:
        child, parent, _ = graph.edges_of("hypernym")
        start = np.zeros(len(graph), dtype=bool)
        start[graph.positions([below])] = True
        inside = spread(start, parent, child)
    found: dict[str, dict[str, int]] = {}
    for i in np.flatnonzero(inside).tolist():
        for rank, lemma in enumerate(graph.labels[i].split(", ")):
            found.setdefault("".join(words(lemma)), {}).setdefault(graph.ids[i], rank)
    return {key: sorted(nodes, key=lambda i: (nodes[i], i)) for key, nodes in found.items()}


def _link(name: str, lemmas: dict[str, list[str]]) -> Link:
    parts = words(name)
    for start in range(len(parts)):
        nodes = lemmas.get("".join(parts[start:]))
        if nodes:
            return Link(name, nodes[0], "suffix" if start else "exact", (len(parts) - start) / len(parts), tuple(nodes))
    return Link(name, None, "none", 0.0, ())
