"""Why an answer was given: its neighbours, the seen classes that carried it, and the most specific thing that is likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgzsl.service.adding import Added
from kgzsl.service.predicting import Predictor
from kgzsl.service.state import State
from kgzsl.service.store import ServedBundle, ServedGraph

#: What an answer falls back to holds at least this share of the confidence.
LIKELY = 0.5


class Ladder:
    """The nodes above every class of a bundle, to add confidences up along them."""

    def __init__(self, served: ServedBundle, graph: ServedGraph) -> None:
        from kgzsl.graphs.hierarchy import reachable
        from kgzsl.graphs.views import directed

        self.graph = graph
        self._view = directed(graph.graph)
        self._places = graph.graph.positions(served.bundle.weights.ids)
        #: Which nodes cover each class, `[classes, nodes]`.
        self._cover = reachable(self._view, self._places).astype(np.float32)
        self._size = np.maximum(np.asarray(self._cover.sum(axis=0)).ravel(), 1)
        self._above: dict[int, sp.csr_matrix] = {}

    def rows_of(self, nodes: np.ndarray) -> sp.csr_matrix:
        """Return which nodes cover the nodes at some places, `[nodes, all nodes]`."""
        from kgzsl.graphs.hierarchy import reachable

        return reachable(self._view, nodes).astype(np.float32)

    def back_off(self, confidences: np.ndarray, added: np.ndarray, added_nodes: np.ndarray, best: int) -> dict[str, Any]:
        """Return the most specific node above the best class with at least `LIKELY` of the confidence.

        Parameters
        ----------
        confidences, added : of the bundle's own classes, `[classes]`, and of the added ones, `[added]`.
        added_nodes : places of what the added ones are or are kinds of, `[added]`.
        best : place of the best class among both.
        """
        mass = np.asarray(confidences @ self._cover).ravel()
        extra = self.rows_of(added_nodes) if len(added_nodes) else None
        if extra is not None:
            mass = mass + np.asarray(added @ extra).ravel()
        own = self._cover[best] if best < len(confidences) else extra[best - len(confidences)]  # type: ignore[index]
        above = own.indices[np.argsort(self._size[own.indices], kind="stable")]
        likely = above[mass[above] >= LIKELY]
        at = int(likely[0]) if len(likely) else int(above[np.argmax(mass[above])])
        graph = self.graph.graph
        return {"id": graph.ids[at], "name": graph.labels[at], "confidence": min(float(mass[at]), 1.0)}


def explained(
    state: State,
    served: ServedBundle,
    predictor: Predictor,
    rows: np.ndarray,
    answers: Sequence[Sequence[dict[str, Any]]],
    columns: np.ndarray | None,
    added: Sequence[Added],
) -> list[dict[str, Any]]:
    """Return predictions with the reasons for the first answer of each row, as JSON."""
    queries = predictor.queries(rows)
    ladder: Ladder | None = None
    if served.graph is not None:
        graph = served.graph
        ladder = state.once("ladder", served.key, lambda: Ladder(served, graph))
    found = []
    for row, query, best in zip(rows, queries, answers, strict=True):
        place, new = _place(served, added, best[0]["id"])
        found.append(
            {
                "answers": list(best),
                "explanation": _reasons(served, query, place, new),
                "backoff": _back_off(served, predictor, ladder, row, columns, added, place) if ladder is not None else None,
            }
        )
    return found


def _place(served: ServedBundle, added: Sequence[Added], identifier: str) -> tuple[int, Added | None]:
    for i, one in enumerate(added):
        if one.id == identifier:
            return len(served.bundle.names) + i, one
    return served.index[identifier], None


def _reasons(served: ServedBundle, query: np.ndarray, place: int, new: Added | None) -> dict[str, Any]:
    bundle = served.bundle
    carriers, shares = (bundle.carriers[place], bundle.shares[place]) if new is None else (new.carriers, new.shares)
    parts = shares * (bundle.weights.matrix[carriers] @ query)
    order = np.argsort(-parts, kind="stable")
    order = order[parts[order] > 0]
    total = float(parts[order].sum()) or 1.0
    nothing: dict[str, Any] = {"nodes": [], "edges": []}
    path = nothing
    if served.graph is not None and len(order):
        graph = served.graph
        start = graph.place(new.node if new is not None else bundle.weights.ids[place])
        path = graph.walk.path(start, graph.place(bundle.weights.ids[carriers[order[0]]]))
    return {
        "parents": list(bundle.parents[place] if new is None else new.parents),
        "children": list(bundle.children[place] if new is None else new.children),
        "carriers": [[bundle.names[carriers[i]], float(parts[i]) / total] for i in order.tolist()],
        "path": path,
    }


def _back_off(
    served: ServedBundle,
    predictor: Predictor,
    ladder: Ladder,
    row: np.ndarray,
    columns: np.ndarray | None,
    added: Sequence[Added],
    best: int,
) -> dict[str, Any]:
    confidences = predictor.confidences(row, columns, added)
    count = len(served.bundle.names)
    nodes = ladder.graph.graph.positions([one.node for one in added]) if added else np.empty(0, dtype=np.int64)
    return ladder.back_off(confidences[:count], confidences[count:], nodes, best)
