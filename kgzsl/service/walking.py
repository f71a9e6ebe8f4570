"""Nodes of a graph as a client sees them, what is around one, and the way between two."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

from kgzsl.errors import UnknownNameError
from kgzsl.graphs.graph import KnowledgeGraph


class Walk:
    """Edges of a graph by node, in both directions; made once, asked often."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        self.graph = graph
        ends = np.concatenate([graph.subject, graph.object])
        edges = np.tile(np.arange(len(graph.subject)), 2)
        order = np.argsort(ends, kind="stable")
        #: Edges of node v are `_edges[_start[v] : _start[v + 1]]`.
        self._edges = edges[order]
        self._start = np.searchsorted(ends[order], np.arange(len(graph) + 1))
        self._relations = [r.id for r in graph.relations]
        count = len(graph)
        ones = np.ones(len(graph.subject), dtype=np.float32)
        self._joined = sp.csr_matrix((ones, (graph.subject, graph.object)), shape=(count, count))
        self._joined = sp.csr_matrix(self._joined + self._joined.T)

    def node(self, at: int) -> dict[str, Any]:
        """Return a node as JSON."""
        graph = self.graph
        return {"id": graph.ids[at], "label": graph.labels[at], "text": graph.texts[at], "kind": graph.kinds[at]}

    def nodes(self, places: Iterable[int]) -> list[dict[str, Any]]:
        """Return nodes as JSON."""
        return [self.node(at) for at in places]

    def neighbours(self, at: int, limit: int, relation: str | None = None) -> dict[str, Any]:
        """Return what is around a node: of its edges the first `limit`, parents first, then the weightiest.

        Raises
        ------
        UnknownNameError : the graph has no such relation.
        """
        graph = self.graph
        edges = np.unique(self._edges[self._start[at] : self._start[at + 1]])
        if relation is not None:
            if relation not in self._relations:
                raise UnknownNameError(
                    "a relation of the graph is needed", received=repr(relation), remedy=f"choose from: {', '.join(self._relations)}"
                )
            edges = edges[graph.relation[edges] == self._relations.index(relation)]
        order = np.lexsort((edges, -graph.weight[edges], graph.subject[edges] != at))
        chosen = edges[order[:limit]]
        others = np.where(graph.subject[chosen] == at, graph.object[chosen], graph.subject[chosen])
        around = dict.fromkeys(o for o in others.tolist() if o != at)
        return {"node": self.node(at), "nodes": self.nodes(around), "edges": self._as_json(chosen), "total": len(edges)}

    def labels(self, at: int, *, up: bool) -> tuple[str, ...]:
        """Return the labels of what is directly above a node by hypernym, or below it."""
        graph = self.graph
        edges = self._edges[self._start[at] : self._start[at + 1]]
        edges = edges[graph.relation[edges] == self._relations.index("hypernym")] if "hypernym" in self._relations else edges[:0]
        here, there = (graph.subject, graph.object) if up else (graph.object, graph.subject)
        return tuple(graph.labels[i] for i in there[edges[here[edges] == at]].tolist())

    def path(self, start: int, end: int) -> dict[str, Any]:
        """Return the shortest path, edges read both ways; empty lists where there is none."""
        _, before = csgraph.breadth_first_order(self._joined, start, directed=True, return_predecessors=True)
        places = [end]
        while places[-1] != start:
            previous = int(before[places[-1]])
            if previous < 0:
                return {"nodes": [], "edges": []}
            places.append(previous)
        places.reverse()
        edges = [self._between(a, b) for a, b in pairwise(places)]
        return {"nodes": self.nodes(places), "edges": self._as_json(np.array(edges, dtype=np.int64))}

    def _between(self, a: int, b: int) -> int:
        """The weightiest edge that joins two nodes."""
        own = self._edges[self._start[a] : self._start[a + 1]]
        joins = own[(self.graph.subject[own] == b) | (self.graph.object[own] == b)]
        return int(joins[np.argmax(self.graph.weight[joins])])

    def _as_json(self, edges: np.ndarray) -> list[dict[str, Any]]:
        graph = self.graph
        columns = (
            graph.subject[edges].tolist(),
            graph.relation[edges].tolist(),
            graph.object[edges].tolist(),
            graph.weight[edges].tolist(),
        )
        return [
            {"subject": graph.ids[s], "relation": self._relations[r], "object": graph.ids[o], "weight": w}
            for s, r, o, w in zip(*columns, strict=True)
        ]
