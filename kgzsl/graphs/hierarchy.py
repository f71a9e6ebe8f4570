"""The hierarchy above a set of classes: which nodes cover which of them, from a directed view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.closure import ancestor_pairs
from kgzsl.graphs.views import View
from kgzsl.ids import check_unique, positions

#: The node that `rooted` adds.
ROOT = "kgzsl:anything"


def rooted(view: View) -> View:
    """Return the directed view with one more node, `kgzsl:anything`, above every node without a parent.

    Graphs of published benchmarks have several tops (ImageNet's has 298), and classes below different ones have neither a
    common ancestor nor a path between them. A node whose ancestors are a cycle gets no parent.

    Raises
    ------
    InvalidInputError : the view has several matrices, or the node already.
    """
    adjacency = single_adjacency(view)
    if ROOT in view.ids:
        raise InvalidInputError(f"a view is given the root {ROOT} once", received=view.name)
    tops = np.flatnonzero(np.diff(adjacency.indptr) == 0)
    above = sparse.csr_matrix((np.ones(len(tops), dtype=np.float32), (tops, np.zeros(len(tops), dtype=np.int64))), shape=(len(view.ids), 1))
    grown = sparse.block_array([[adjacency, above], [None, sparse.csr_matrix((1, 1), dtype=np.float32)]], format="csr")
    return View((*view.ids, ROOT), (sparse.csr_matrix(grown),), f"rooted {view.name}", view.graph_digest)


def single_adjacency(view: View) -> sparse.csr_matrix:
    """Return the one adjacency matrix of a view; raise InvalidInputError when it has several, one per hop distance."""
    if len(view.adjacency) != 1:
        raise InvalidInputError(
            "paths are followed on a view of one adjacency matrix",
            received=f"{len(view.adjacency)} in {view.name}",
            remedy="use directed(graph, 'hypernym') or undirected(graph)",
        )
    return view.adjacency[0]


def reachable(view: View, nodes: np.ndarray) -> sparse.csr_matrix:
    """Return which nodes each of `nodes` reaches along the edges of a directed view, itself included; safe on cycles.

    Returns
    -------
    Boolean CSR matrix `[len(nodes), all nodes]`.

    Raises
    ------
    InvalidInputError : the view has several matrices.
    """
    step = single_adjacency(view).tocoo()
    n = len(view.ids)
    starts, where = np.unique(nodes, return_inverse=True)
    start, found, _ = ancestor_pairs(step.row, step.col, n, starts=starts)
    row, col = np.concatenate([starts, start]), np.concatenate([starts, found])
    reached = sparse.csr_matrix((np.ones(len(row), dtype=bool), (np.searchsorted(starts, row), col)), shape=(len(starts), n))[where]
    reached.sort_indices()
    return sparse.csr_matrix(reached)


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Classes and the nodes that stand above them, up to one root.

    Attributes
    ----------
    classes : `[classes]`.
    nodes : classes and their ancestors, `[nodes]`. Of the nodes above every class only the most specific one, the root, is here.
    cover : True where a node is a class or stands above it, boolean CSR `[classes, nodes]`.
    paths : per class the nodes that cover it, from itself (the most specific) to the root, then the root again to fill up,
        int64 `[classes, longest]`. More specific means fewer classes below, then more ancestors, then the earlier node.
    depths : hops from the root, by the shortest path, int64 `[nodes]`.
    """

    classes: tuple[str, ...]
    nodes: tuple[str, ...]
    cover: sparse.csr_matrix = field(repr=False)
    paths: np.ndarray = field(repr=False)
    depths: np.ndarray = field(repr=False)

    @classmethod
    def of_view(cls, view: View, classes: Sequence[str]) -> Hierarchy:
        """Read the hierarchy above `classes` from a directed view, whose rows point to the parents.

        Raises
        ------
        UnknownNameError : a class is not a node of the view.
        InvalidInputError : no node stands above all classes, or a class is named twice.
        """
        check_unique(classes, "the classes of a hierarchy")
        above = reachable(view, positions(classes, view.ids, "the view"))
        below = np.asarray(above.sum(axis=0)).ravel()
        kept = np.flatnonzero(below)
        ancestors = reachable(view, kept)
        generations = np.asarray(ancestors.sum(axis=1)).ravel()
        top = kept[below[kept] == len(classes)]
        if len(top) == 0:
            raise InvalidInputError(
                "a hierarchy has a node above all its classes",
                received=f"{len(classes):,} classes; the widest node covers {int(below.max()):,}",
                remedy="give the view a common root: graphs.rooted(view)",
            )
        root = top[np.argmax(generations[np.searchsorted(kept, top)])]
        # in a graph with several tops, what leads only past the root to another one would have no depth
        stays = ((below[kept] < len(classes)) & ancestors[:, [root]].toarray().ravel()) | (kept == root)
        kept, generations = kept[stays], generations[stays]
        cover = above[:, kept].tocsr()
        return cls(
            tuple(classes),
            tuple(view.ids[i] for i in kept),
            cover,
            _paths(cover, below[kept], generations),
            csgraph.dijkstra(view.adjacency[0].T, indices=int(root), unweighted=True)[kept].astype(np.int64),
        )

    @cached_property
    def sizes(self) -> np.ndarray:
        """How many classes each node covers, int64 `[nodes]`."""
        return np.asarray(self.cover.sum(axis=0)).ravel().astype(np.int64)

    @cached_property
    def root(self) -> int:
        """Position of the root among the nodes."""
        return int(self.paths[0, -1])

    @cached_property
    def specificity(self) -> np.ndarray:
        """How much each node tells, float64 `[nodes]`: 1 for a node of one class, 0 for the root.

        `1 − log(classes below) / log(classes)`, the information gain of Deng et al. (Hedging Your Bets, CVPR 2012), scaled to 0…1.
        """
        if len(self.classes) == 1:
            return np.ones(len(self.nodes))
        return np.asarray(1.0 - np.log(self.sizes) / np.log(len(self.classes)))

    def covers(self, nodes: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return whether each node covers each class, by position; both arrays of one shape, bool of that shape."""
        width = len(self.nodes)
        keys = np.repeat(np.arange(len(self.classes)), np.diff(self.cover.indptr)) * width + self.cover.indices
        wanted = np.asarray(classes, dtype=np.int64) * width + nodes
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.asarray(keys[place] == wanted)


def _paths(cover: sparse.csr_matrix, below: np.ndarray, generations: np.ndarray) -> np.ndarray:
    """Every class's covering nodes in order; the last one, the root, fills the rows up."""
    rank = np.empty(cover.shape[1], dtype=np.int64)
    rank[np.lexsort((np.arange(cover.shape[1]), -generations, below))] = np.arange(cover.shape[1])
    by_rank = np.argsort(rank)
    counts = np.diff(cover.indptr)
    paths = np.full((cover.shape[0], counts.max()), by_rank[-1], dtype=np.int64)
    row = np.repeat(np.arange(cover.shape[0]), counts)
    order = np.lexsort((rank[cover.indices], row))
    within = np.arange(len(row)) - np.repeat(cover.indptr[:-1], counts)
    paths[row, within] = cover.indices[order]
    return paths
