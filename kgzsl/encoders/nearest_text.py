"""Nearest text: a class takes the mean weights of the seen classes whose texts are closest (a baseline)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from kgzsl.encoders.base import Encoder, check_same_nodes, unit_rows
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View

#: Neighbourhood sizes among which leave-one-out chooses.
SIZES = (1, 2, 3, 5, 10, 20)


class NearestText(Encoder):
    """Mean weights of the k seen classes with the most similar texts; k by leave-one-out on seen classes.

    Parameters
    ----------
    neighbours : k; None chooses the one of 1, 2, 3, 5, 10, 20 whose leave-one-out prediction has the
        highest mean cosine with the true weights.
    """

    name = "nearest_text"
    source = "baseline; k-nearest-neighbour regression of classifier weights in text space"

    def __init__(self, *, neighbours: int | None = None) -> None:
        if neighbours is not None and neighbours < 1:
            raise InvalidInputError("neighbours is at least 1", received=neighbours)
        self.neighbours = neighbours
        self._state: dict[str, np.ndarray] = {}

    def settings(self) -> dict[str, Any]:
        return {"neighbours": self.neighbours}

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import undirected

        return undirected(graph, self_loops=True, norm="row")

    def fit(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> Self:
        check_same_nodes(view, vectors)
        texts, weights = unit_rows(vectors.rows(targets.ids)), unit_rows(targets.matrix)
        similar = texts @ texts.T
        np.fill_diagonal(similar, -np.inf)
        usable = [k for k in SIZES if k < len(weights)] or [1]
        k = self.neighbours or max(usable, key=lambda size: float((_mean_of_nearest(similar, weights, size) * weights).sum()))
        self._state = {"texts": texts, "weights": weights, "k": np.array([k])}
        return self

    def encode(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> ClassEmbeddings:
        check_same_nodes(view, vectors)
        state = self.state()
        similar = unit_rows(vectors.rows(nodes)) @ state["texts"].T
        rows = _mean_of_nearest(similar, state["weights"], int(state["k"][0]))
        meta = {"encoder": self.name, "settings": self.settings(), "graph": view.graph_digest, "vectors": dict(vectors.meta)}
        return ClassEmbeddings(tuple(nodes), rows, meta)

    def state(self) -> dict[str, np.ndarray]:
        if not self._state:
            raise InvalidInputError(f"`{self.name}` encodes after fit or load", remedy="call fit(view, vectors, targets) first")
        return self._state

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        if set(state) != {"texts", "weights", "k"}:
            raise InvalidInputError(f"the state of `{self.name}` holds texts, weights and k", received=sorted(state))
        self._state = dict(state)


def _mean_of_nearest(similar: np.ndarray, weights: np.ndarray, k: int) -> np.ndarray:
    """Unit-norm mean of the `weights` `[seen, dim]` of each row's k largest `similar` `[rows, seen]`."""
    k = min(k, similar.shape[1])
    nearest = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    return unit_rows(weights[nearest].mean(axis=1))
