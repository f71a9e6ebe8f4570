"""Spaces that classes are embedded in: the weights of a bundle, and the texts of a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kgzsl.errors import KgzslError, UnknownNameError
from kgzsl.service.newcomers import newcomers
from kgzsl.service.state import State
from kgzsl.service.store import ServedBundle
from kgzsl.service.texts import TextSpace, text_space

#: Behind a graph's name, the space of its texts.
_TEXT = "-text"


class Space(ABC):
    """Classes as rows of one matrix `[classes, dim]`, and names that are no ids."""

    matrix: np.ndarray

    @abstractmethod
    def find(self, identifier: str) -> int | None:
        """Return where an id stands, None where it is none."""

    @abstractmethod
    def record(self, at: int) -> dict[str, Any]:
        """Return what is told of the class at a place."""

    @abstractmethod
    def of_name(self, state: State, name: str) -> tuple[dict[str, Any], np.ndarray]:
        """Return what is told of a free name, with the nodes that it may mean, and its vector `[dim]`."""

    def rows(self, places: Sequence[int]) -> np.ndarray:
        """Return vectors `[places, dim]`."""
        return np.asarray(self.matrix[list(places)])

    @cached_property
    def _lengths(self) -> np.ndarray:
        return np.maximum(np.linalg.norm(self.matrix, axis=1), 1e-12)

    def nearest(self, state: State, of: str, limit: int) -> dict[str, Any]:
        """Return the classes nearest to an id or a name, by cosine."""
        at = self.find(of)
        record, row = self.of_name(state, of) if at is None else (self.record(at), self.matrix[at])
        cosines = (self.matrix @ row) / (self._lengths * max(float(np.linalg.norm(row)), 1e-12))
        if at is not None:
            cosines[at] = -np.inf
        count = min(limit, len(cosines) - (at is not None))
        best = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, dtype=np.int64)
        best = best[np.argsort(-cosines[best], kind="stable")]
        told = [self.record(int(i)) for i in best]
        return {
            "id": record["id"],
            "nearest": [{"id": one["id"], "label": one["name"], "score": float(cosines[i])} for one, i in zip(told, best, strict=True)],
        }


class WeightSpace(Space):
    """Weights that a bundle's encoder predicted, seen classes with their own; a name becomes what it would be if it were added."""

    def __init__(self, served: ServedBundle) -> None:
        self.served, self.matrix = served, served.bundle.weights.matrix

    def find(self, identifier: str) -> int | None:
        return self.served.index.get(identifier)

    def record(self, at: int) -> dict[str, Any]:
        identifier = self.served.bundle.weights.ids[at]
        return {"id": identifier, "name": self.served.bundle.names[at], "node": identifier, "candidates": []}

    def of_name(self, state: State, name: str) -> tuple[dict[str, Any], np.ndarray]:
        added = next((one for one in state.added(self.served).all() if one.id == name), None)
        if added is not None:
            return {"id": added.id, "name": added.name, "node": added.node, "candidates": []}, added.weight
        made = newcomers(state, self.served)
        meant = made.meant({"node": name}, 1000) if name in made.graph.graph else made.meant({"name": name}, 1000)
        record = {"id": meant.id, "name": meant.name, "node": made.graph.graph.ids[meant.node], "candidates": made.candidates(meant)}
        at = self.find(meant.id)
        return record, self.matrix[at] if at is not None else made.made(meant).weight


class Texts(Space):
    """Vectors of the nodes' texts; a name is encoded like them."""

    def __init__(self, texts: TextSpace) -> None:
        self.texts, self.matrix = texts, texts.vectors

    def find(self, identifier: str) -> int | None:
        graph = self.texts.served.graph
        return int(graph.positions([identifier])[0]) if identifier in graph else None

    def record(self, at: int) -> dict[str, Any]:
        graph = self.texts.served.graph
        return {"id": graph.ids[at], "name": graph.labels[at], "node": graph.ids[at], "candidates": []}

    def of_name(self, state: State, name: str) -> tuple[dict[str, Any], np.ndarray]:
        row = self.texts.encode([name])[0]
        graph = self.texts.served.graph
        near = self.texts.served.index.meaning(row, self.texts.unit, 6)
        candidates = [{"id": graph.ids[i], "label": graph.labels[i], "score": round(score, 4)} for i, score in near]
        return {"id": name, "name": name, "node": None, "candidates": candidates}, row


def spaces(state: State) -> list[dict[str, Any]]:
    """Return what is told of all spaces."""
    store = state.store
    told = [
        {
            "name": b.name,
            "kind": "weights",
            "dim": b.bundle.weights.dim,
            "classes": len(b.bundle.names),
            "of": str(b.bundle.meta.get("encoder")),
        }
        for b in store.bundles.values()
    ]
    for graph in store.graphs.values():
        try:
            texts = text_space(state, graph)
        except KgzslError:
            continue
        told.append(
            {"name": graph.name + _TEXT, "kind": "text", "dim": int(texts.vectors.shape[1]), "classes": len(graph.graph), "of": texts.model}
        )
    return told


def space_of(state: State, name: str) -> Space:
    """Return a space by its name.

    Raises
    ------
    UnknownNameError : there is none; says which there are.
    """
    store = state.store
    if name in store.bundles:
        served = store.bundles[name]
        found: Space = state.once("space", served.key, lambda: WeightSpace(served))
        return found
    graph = store.graphs.get(name.removesuffix(_TEXT)) if name.endswith(_TEXT) else None
    if graph is not None:
        texts = text_space(state, graph)
        found = state.once("space", graph.key, lambda: Texts(texts))
        return found
    raise UnknownNameError("no such embedding is served", received=name[:200], remedy="GET /v1/embeddings lists them")
