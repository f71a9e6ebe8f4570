"""The seen classes that stand nearest to each node of a graph: the whole content of the structural-bias trivial solution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from kgzsl.graphs.hierarchy import single_adjacency
from kgzsl.graphs.views import View
from kgzsl.ids import check_unique, positions


@dataclass(frozen=True, eq=False)
class Nearest:
    """Which seen classes are nearest to each node of a view.

    Attributes
    ----------
    ids : all nodes of the view, `[nodes]`.
    seen : `[seen]`.
    hops : edges to the nearest seen class, read both ways, int64 `[nodes]`; 0 for a seen class, −1 without a path to any.
    which : True where a seen class is at that distance, boolean CSR `[nodes, seen]`; an empty row where there is no path.
    """

    ids: tuple[str, ...]
    seen: tuple[str, ...]
    hops: np.ndarray = field(repr=False)
    which: sparse.csr_matrix = field(repr=False)

    def indicator(self, nodes: Sequence[str]) -> sparse.csr_matrix:
        """Return the trivial semantics of `nodes`, float32 CSR `[nodes, seen]`.

        A row is 1 / (number of nearest seen classes) at each of them and 0 elsewhere; all zeros without a path to any (Hascoet
        et al., CVPR 2019, section 4: the semantics of a class are the indicator of the training classes closest to it).

        Raises
        ------
        UnknownNameError : a node is not in the graph.
        """
        rows = sparse.csr_matrix(self.which[positions(nodes, self.ids, "the graph")], dtype=np.float32)
        rows.data[:] = np.repeat(1 / np.maximum(np.diff(rows.indptr), 1), np.diff(rows.indptr))
        return rows


def nearest_seen(view: View, seen: Sequence[str]) -> Nearest:
    """Return the seen classes nearest to every node, edges read both ways, each counting 1.

    Level by level from all seen classes at once, so the time does not grow with their number times the graph's size.

    Parameters
    ----------
    view : of one adjacency matrix, directed or not.

    Raises
    ------
    UnknownNameError : a seen class is not a node of the view.
    InvalidInputError : the view has several matrices, or a seen class is named twice.
    """
    check_unique(seen, "the seen classes")
    adjacency = single_adjacency(view).astype(bool)
    step = sparse.csr_matrix(adjacency + adjacency.T)
    start = positions(seen, view.ids, "the view")
    shape = (len(view.ids), len(seen))
    frontier = sparse.csr_matrix((np.ones(len(seen), dtype=bool), (start, np.arange(len(seen)))), shape=shape)
    hops = np.full(len(view.ids), -1, dtype=np.int64)
    hops[start] = 0
    levels, distance = [frontier], 0
    while frontier.nnz:
        distance += 1
        reached = sparse.csr_matrix(step @ frontier)
        new = (np.diff(reached.indptr) > 0) & (hops < 0)
        hops[new] = distance
        frontier = _only_rows(reached, new)
        levels.append(frontier)
    which = sparse.csr_matrix(sum(levels[1:], start=levels[0]), dtype=bool)
    which.sort_indices()
    return Nearest(view.ids, tuple(seen), hops, which)


def _only_rows(matrix: sparse.csr_matrix, keep: np.ndarray) -> sparse.csr_matrix:
    """Return the matrix with the rows that are not kept emptied."""
    sizes = np.diff(matrix.indptr)
    inside = np.repeat(keep, sizes)
    indptr = np.concatenate([[0], np.cumsum(np.where(keep, sizes, 0))])
    return sparse.csr_matrix((matrix.data[inside], matrix.indices[inside], indptr), shape=matrix.shape)
