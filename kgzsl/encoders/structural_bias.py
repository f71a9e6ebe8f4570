"""Structural bias: a class takes the mean weights of the seen classes nearest to it in the graph (the trivial solution)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from kgzsl.encoders.base import Encoder, check_same_nodes, unit_rows
from kgzsl.errors import InvalidInputError
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors

if TYPE_CHECKING:
    from scipy import sparse

    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View


class StructuralBias(Encoder):
    """The trivial solution of a split: semantics are the indicator of the nearest training classes, and no text is read.

    A class's weights are the mean of the unit weights of the seen classes at the least number of edges from it, read both
    ways, at length 1; a seen class keeps its own, and a class without a path to any takes the mean of all. What a method
    scores above this it owes to more than where the split's classes stand in the graph. Classes with the same nearest seen
    classes get the same weights: they cannot be told apart.
    """

    name = "structural_bias"
    source = "Hascoet et al., On zero-shot recognition of generic objects, CVPR 2019, section 4 (trivial solution)"

    def __init__(self) -> None:
        self._seen: tuple[str, ...] = ()
        self._weights = np.zeros((0, 0), dtype=np.float32)

    def settings(self) -> dict[str, Any]:
        return {}

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import undirected

        return undirected(graph, self_loops=False, norm=None)

    def fit(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> Self:
        check_same_nodes(view, vectors)
        positions(targets.ids, view.ids, "the graph")
        self._seen, self._weights = targets.ids, unit_rows(targets.matrix)
        return self

    def encode(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> ClassEmbeddings:
        check_same_nodes(view, vectors)
        shares = self._shares(view, nodes)
        rows = np.asarray(shares @ self._weights)
        rows[np.diff(shares.indptr) == 0] = self._weights.mean(axis=0)
        meta = {"encoder": self.name, "settings": self.settings(), "graph": view.graph_digest, "vectors": dict(vectors.meta)}
        return ClassEmbeddings(tuple(nodes), unit_rows(rows), meta)

    def influence(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> np.ndarray:
        """Return each seen class's share in a prediction, `[nodes, seen]`."""
        check_same_nodes(view, vectors)
        return np.asarray(self._shares(view, nodes).toarray())

    def _shares(self, view: View, nodes: Sequence[str]) -> sparse.csr_matrix:
        from kgzsl.graphs.nearest import nearest_seen

        if not self._seen:
            raise InvalidInputError(f"`{self.name}` encodes after fit or load", remedy="call fit(view, vectors, targets) first")
        return nearest_seen(view, self._seen).indicator(nodes)

    def state(self) -> dict[str, np.ndarray]:
        if not self._seen:
            raise InvalidInputError(f"`{self.name}` encodes after fit or load", remedy="call fit(view, vectors, targets) first")
        return {"seen": np.frombuffer("\n".join(self._seen).encode(), dtype=np.uint8), "weights": self._weights}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        if set(state) != {"seen", "weights"}:
            raise InvalidInputError(f"the state of `{self.name}` holds seen and weights", received=sorted(state))
        seen = tuple(state["seen"].tobytes().decode().split("\n"))
        if len(seen) != len(state["weights"]):
            raise InvalidInputError("the state has one weight row per seen class", received=f"{len(seen)}, {len(state['weights'])}")
        self._seen, self._weights = seen, state["weights"]
