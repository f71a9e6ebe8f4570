"""Names and nodes → classes of a bundle, without training.

A node that is no class yet is predicted as the encoder would have predicted it. A name that is a lemma of such a node is that node.
Any other name is a new class: a kind of the node that its ending names ("electric scooter": scooter), else of the node whose text is
nearest in meaning; its own text is the name and what is said of it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgzsl.errors import IncompatibleError, InvalidInputError, KgzslError
from kgzsl.service.adding import Added, AddedClasses
from kgzsl.service.linking import Linker
from kgzsl.service.problems import ConflictError, TooLargeError
from kgzsl.service.state import State
from kgzsl.service.store import ServedBundle
from kgzsl.service.texts import TextSpace

#: Nodes that are told as what a name may mean.
CANDIDATES = 6
#: Seen classes that are kept to explain an added one.
_CARRIERS = 10
#: Prefix of the ids of classes that are no nodes.
PREFIX = "new"


@dataclass(frozen=True)
class Meant:
    """What an entry of a request means.

    Attributes
    ----------
    node : place of the node that it is, or is a kind of.
    kind : whether it is a kind of the node, with `text` as its vector, rather than the node.
    candidates : nodes that the name may mean, with the cosine of their texts and the name's.
    """

    id: str
    name: str
    node: int
    kind: bool
    text: np.ndarray | None
    candidates: tuple[tuple[int, float], ...]


class Newcomers:
    """Adds classes to one bundle.

    Raises
    ------
    IncompatibleError : the bundle's encoder is no closed form, or its graph is not served.
    """

    def __init__(self, served: ServedBundle) -> None:
        from kgzsl.encoders import ENCODERS
        from kgzsl.encoders.graph_gp import GraphGP
        from kgzsl.matrices import Vectors

        adding, graph = served.bundle.adding, served.graph
        if adding is None or graph is None:
            raise IncompatibleError(
                "classes are added to a bundle of a closed-form encoder whose graph is served",
                received="its encoder is none, or it was fitted before bundles kept it" if adding is None else "its graph is not served",
                remedy="kgzsl fit --encoder graph_gp" if adding is None else "kgzsl serve BUNDLE --graph GRAPH",
            )
        self.served, self.graph = served, graph
        encoder = ENCODERS.make(adding.encoder, adding.settings)
        if not isinstance(encoder, GraphGP):
            raise IncompatibleError("classes are added by graph_gp", received=adding.encoder)
        encoder.load_state(adding.state)
        vectors = Vectors(graph.graph.ids, adding.vectors, adding.vectors_meta)
        self.later = encoder.later(encoder.view(graph.graph), vectors)
        self.texts = TextSpace(graph, adding.vectors, str(adding.vectors_meta.get("encoder", "minilm-l6-v2")))
        self.linker = Linker(graph.graph)
        self._seen = np.array([served.index[i] for i in encoder._seen])
        self._lock = threading.Lock()

    def meant(self, entry: Any, most: int) -> Meant:
        """Return what `{"name": …}`, `{"node": …}` or both mean.

        Raises
        ------
        KgzslError : neither of them, a node that is none, or a text that is too long.
        """
        if not isinstance(entry, Mapping) or not all(isinstance(v, str) and len(v) <= most for v in entry.values()):
            raise InvalidInputError(
                "a class is an object of short texts", received=repr(entry)[:100], remedy='{"name": "red kite"} or {"node": ID}'
            )
        unknown = sorted(set(entry) - {"name", "node", "below", "text"})
        name = " ".join(str(entry.get("name", "")).split())
        if unknown or not (name or entry.get("node")):
            raise InvalidInputError("a class has a name, a node, or both", received=", ".join(map(str, unknown))[:100] or "neither")
        if entry.get("node"):
            place = self.graph.place(entry["node"])
            own = self.graph.graph
            return Meant(own.ids[place], name or own.labels[place], place, False, None, ())
        return self._named(name, str(entry.get("text", "")), entry.get("below"))

    def _named(self, name: str, said: str, below: str | None) -> Meant:
        graph = self.graph.graph
        link = self.linker.link(name)
        vector = self.texts.encode([f"{name}: {said}" if said else name])[0]
        lemmas = graph.positions(link.candidates).tolist()
        cosines = self.texts.unit[lemmas] @ vector if lemmas else np.empty(0)
        candidates = dict(zip(lemmas, map(float, cosines), strict=True))
        for place, cosine in self.graph.index.meaning(vector, self.texts.unit, CANDIDATES):
            candidates.setdefault(place, cosine)
        told = tuple(candidates.items())[: max(CANDIDATES, len(lemmas))][:20]
        if below is not None:
            return Meant(_new_id(name), name, self.graph.place(below), True, vector, told)
        if lemmas and said:  # what is said decides between meanings
            lemmas = [lemmas[i] for i in np.argsort(-cosines, kind="stable")]
        if lemmas and link.by == "exact":
            return Meant(graph.ids[lemmas[0]], name, lemmas[0], False, None, told)
        return Meant(_new_id(name), name, lemmas[0] if lemmas else told[0][0], True, vector, told)

    def made(self, meant: Meant) -> Added:
        """Return the class, with its weights and what carries them."""
        predicted = self.later.node(meant.node) if not meant.kind else self.later.below(meant.node, np.asarray(meant.text))
        influence = np.maximum(predicted.influence, 0.0)
        if not influence.any():
            influence[np.argmax(predicted.influence)] = 1.0
        best = np.argsort(-influence, kind="stable")[:_CARRIERS]
        graph = self.graph.graph
        around = self.graph.walk
        parents = (graph.labels[meant.node],) if meant.kind else around.labels(meant.node, up=True)
        children = () if meant.kind else around.labels(meant.node, up=False)
        shares = influence[best] / influence[best].sum()
        return Added(meant.id, meant.name, graph.ids[meant.node], predicted.weight, self._seen[best], shares, parents, children)

    def add(self, entries: Sequence[Any], into: AddedClasses, *, text: int, most: int) -> list[dict[str, Any]]:
        """Add classes, all or none, and return what is told of each.

        Raises
        ------
        ConflictError : one is a class already.
        TooLargeError : the bundle would hold more added classes than `most`.
        """
        with self._lock:
            taken = {one.id for one in into.all()}
            if len(taken) + len(entries) > most:
                raise TooLargeError(f"a bundle holds at most {most:,} added classes", received=f"{len(taken):,} and {len(entries):,} more")
            new: list[Added] = []
            for entry in entries:
                started = time.perf_counter()
                meant = self.meant(entry, text)
                if meant.id in self.served.index or meant.id in taken:
                    raise ConflictError(
                        "a class is added once",
                        received=f"{meant.name!r} is {meant.id}, which is predicted already",
                        remedy='name its kind, {"name": …, "below": "' + self.graph.graph.ids[meant.node] + '"}, or another node',
                    )
                taken.add(meant.id)
                made = self.made(meant)
                record = {
                    "id": made.id,
                    "name": made.name,
                    "node": made.node,
                    "relation": "kind of" if meant.kind else "is",
                    "candidates": self.candidates(meant),
                    "milliseconds": round((time.perf_counter() - started) * 1000, 2),
                }
                new.append(Added(**{**vars(made), "record": record}))
            for one in new:
                into.add(one)
        return [dict(one.record) for one in new]

    def candidates(self, meant: Meant) -> list[dict[str, Any]]:
        """Return the nodes that a name may mean, as JSON."""
        graph = self.graph.graph
        return [{"id": graph.ids[i], "label": graph.labels[i], "score": round(score, 4)} for i, score in meant.candidates]


def _new_id(name: str) -> str:
    slug = re.sub(r"\W+", "-", name.lower(), flags=re.UNICODE).strip("-")[:80]
    return f"{PREFIX}:{slug or 'class'}"


def newcomers(state: State, served: ServedBundle) -> Newcomers:
    """Return what adds classes to a bundle, made once; called in a thread, since that takes seconds."""
    found = state.once("newcomers", served.key, lambda: _made(served))
    if isinstance(found, KgzslError):
        raise found
    assert isinstance(found, Newcomers)
    return found


def _made(served: ServedBundle) -> Newcomers | KgzslError:
    """The newcomers, or why there are none: that does not change either."""
    try:
        return Newcomers(served)
    except KgzslError as error:
        return error
