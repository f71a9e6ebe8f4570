"""Nodes that are their own ancestor."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csgraph, csr_matrix


def in_cycles(subject: np.ndarray, obj: np.ndarray, n: int) -> np.ndarray:
    """Return the nodes that lie on a cycle of edges `subject` → `obj`, self-loops aside, as positions in order."""
    real = subject != obj
    _, member = csgraph.connected_components(_links(subject[real], obj[real], n), directed=True, connection="strong")
    return np.flatnonzero(np.bincount(member)[member] > 1)


def shortest_cycle(subject: np.ndarray, obj: np.ndarray, n: int, node: int) -> list[int]:
    """Return a shortest cycle through a node that is on one, the node first and last."""
    real = subject != obj
    links = _links(subject[real], obj[real], n)
    # back from the node: of those that lead to it, the nearest that it reaches
    distance, before = csgraph.dijkstra(links, indices=node, unweighted=True, return_predecessors=True)
    into = links.tocsc().indices[links.tocsc().indptr[node] : links.tocsc().indptr[node + 1]]
    here = int(into[np.argmin(distance[into])])
    path = [node]
    while here != node:
        path.append(here)
        here = int(before[here])
    return [*path, node][::-1]


def _links(subject: np.ndarray, obj: np.ndarray, n: int) -> csr_matrix:
    return csr_matrix((np.ones(len(subject), dtype=np.int8), (subject, obj)), shape=(n, n))
