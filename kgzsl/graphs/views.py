"""Views: typed, weighted, normalised adjacency matrices over all nodes of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy import sparse

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.closure import ancestor_pairs
from kgzsl.graphs.graph import KnowledgeGraph

Norm = Literal["row", "symmetric"] | None


@dataclass(frozen=True, eq=False)
class View:
    """One or more adjacency matrices over the nodes `ids`.

    Attributes
    ----------
    ids : all nodes of the graph, `[nodes]`.
    adjacency : float32 CSR matrices `[nodes, nodes]`; one, or one per hop distance. Row v holds the nodes that v receives from.
    name : what the view is.
    graph_digest : digest of the graph that it was taken from.
    """

    ids: tuple[str, ...]
    adjacency: tuple[sparse.csr_matrix, ...] = field(repr=False)
    name: str
    graph_digest: str


def undirected(graph: KnowledgeGraph, relations: Sequence[str] = ("hypernym",), *, self_loops: bool = True, norm: Norm = "row") -> View:
    """Return the view of edges read both ways: `A + Aᵀ (+ I)`, normalised.

    An edge stated both ways, or by several of the relations, counts once with its largest weight.

    Parameters
    ----------
    norm : `row` = `D⁻¹A` (SGCN, DGP), `symmetric` = `D^-½ A D^-½` (GCNZ, Kipf and Welling 2017), None = as it is.
        A node without neighbours and without a self-loop has a row of zeros.

    Raises
    ------
    UnknownNameError : the graph has no such relation.
    """
    if not relations:
        raise InvalidInputError("a view takes at least one relation", received="none")
    n = len(graph.ids)
    edges = [graph.edges_of(name) for name in relations]
    subject, obj, weight = (np.concatenate([e[k] for e in edges]) for k in range(3))
    matrix = _largest(np.concatenate([subject, obj]), np.concatenate([obj, subject]), np.concatenate([weight, weight]), n)
    if self_loops:
        matrix.setdiag(0)
        matrix.eliminate_zeros()
        matrix = matrix + sparse.identity(n, dtype=np.float32, format="csr")
    return View(
        graph.ids, (_normalised(matrix, norm),), f"undirected({'+'.join(relations)}, self_loops={self_loops}, norm={norm})", graph.digest
    )


def directed(graph: KnowledgeGraph, relation: str = "hypernym") -> View:
    """Return the 0/1 view of one relation as it is stated: row = subject, column = object.

    Raises
    ------
    UnknownNameError : the graph has no such relation.
    """
    subject, obj, _ = graph.edges_of(relation)
    n = len(graph.ids)
    matrix = sparse.csr_matrix((np.ones(len(subject), dtype=np.float32), (subject, obj)), shape=(n, n))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return View(graph.ids, (matrix,), f"directed({relation})", graph.digest)


def stated(graph: KnowledgeGraph, relations: Sequence[str]) -> sparse.csr_matrix:
    """Return the edges of some relations as they are stated, row = subject: one stated several times has its largest weight.

    Raises
    ------
    UnknownNameError : the graph has no such relation.
    """
    edges = [graph.edges_of(name) for name in _names(graph, relations)]
    subject, obj, weight = (np.concatenate([e[k] for e in edges]) for k in range(3))
    return _largest(subject, obj, weight, len(graph.ids))


def typed(graph: KnowledgeGraph, relations: Sequence[str] | None = None) -> View:
    """Return two 0/1 matrices per relation, one as it is stated and one of its inverse, in the order of `relations`.

    So a matrix at an even place is a relation, the next one its inverse. Of a symmetric relation the first has both directions and
    the second is empty. Edges that the graph also holds under their inverse's name count once. Self-loops are not part of it.

    Parameters
    ----------
    relations : None takes all relations of the graph.

    Raises
    ------
    UnknownNameError : the graph has no such relation.
    """
    known = {r.id: r for r in graph.relations}
    done: set[str] = set()
    matrices: list[sparse.csr_matrix] = []
    for name in _names(graph, relations):
        if name in done:
            continue
        forward = directed(graph, name).adjacency[0]
        inverse = known[name].inverse
        done |= {name, inverse} if inverse else {name}
        if inverse in known and inverse != name:
            forward = forward.maximum(directed(graph, inverse).adjacency[0].T.tocsr())
        forward.setdiag(0)
        forward.eliminate_zeros()
        backward = forward.T.tocsr()
        both = [forward.maximum(backward), sparse.csr_matrix(forward.shape)] if known[name].symmetric else [forward, backward]
        matrices += [sparse.csr_matrix(matrix, dtype=np.float32) for matrix in both]
    return View(graph.ids, tuple(matrices), f"typed({'+'.join(_names(graph, relations))})", graph.digest)


def top_neighbours_view(
    graph: KnowledgeGraph,
    top: int | None = 100,
    *,
    relations: Sequence[str] | None = None,
    steps: int = 20,
    restarts: int = 10,
    seed: int = 0,
    by_type: bool = False,
) -> View:
    """Return every node's `top` neighbours, weighted by the probability that random walks from the node meet them.

    Walks follow edges of all the relations both ways, as in ZSL-KG (Nayak and Bach, TMLR 2022, section 3.3); a neighbour is one
    edge away, however often it is met.

    Parameters
    ----------
    top : None keeps all neighbours.
    relations : None takes all relations of the graph.
    steps, restarts : length and number of the walks from each node.
    by_type : one matrix per edge type, as in `typed`, with those weights; else one matrix of all edges.

    Raises
    ------
    UnknownNameError : the graph has no such relation.
    """
    from kgzsl.graphs.walks import top_neighbours

    names = _names(graph, relations)
    plain = undirected(graph, names, self_loops=False, norm=None).adjacency[0]
    plain.setdiag(0)  # a loop is no neighbour
    plain.eliminate_zeros()
    plain.data[:] = 1
    met = sparse.csr_matrix(top_neighbours(plain, top, steps=steps, restarts=restarts, seed=seed))
    kinds = typed(graph, names).adjacency if by_type else ()
    name = f"top_neighbours({'+'.join(names)}, top={top}, steps={steps}, restarts={restarts}, seed={seed}, by_type={by_type})"
    weighted = tuple(sparse.csr_matrix(kind.multiply(met), dtype=np.float32) for kind in kinds)
    return View(graph.ids, weighted or (met,), name, graph.digest)


def _names(graph: KnowledgeGraph, relations: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(r.id for r in graph.relations) if relations is None else tuple(relations)
    if not names:
        raise InvalidInputError("a view takes at least one relation", received="none")
    return names


def ancestors(graph: KnowledgeGraph, max_hops: int = 4, *, relation: str = "hypernym", norm: Norm = "row") -> View:
    """Return one matrix per hop distance 0 … `max_hops`; row v holds the ancestors of v at that distance.

    Distance is that of the shortest hypernym path; the last matrix holds all ancestors at `max_hops` or farther, as in the
    code of DGP (Kampffmeyer et al., CVPR 2019, section 3.3). Each matrix is normalised by itself. Distance 0 is v itself.
    """
    return _by_distance(graph, max_hops, relation, norm, "ancestors")


def descendants(graph: KnowledgeGraph, max_hops: int = 4, *, relation: str = "hypernym", norm: Norm = "row") -> View:
    """Return one matrix per hop distance 0 … `max_hops`; row v holds the descendants of v at that distance (see `ancestors`)."""
    return _by_distance(graph, max_hops, relation, norm, "descendants")


def both_directions(graph: KnowledgeGraph, max_hops: int = 4, *, relation: str = "hypernym", norm: Norm = "row") -> View:
    """Return the matrices of `ancestors`, then those of `descendants`: `2 · (max_hops + 1)` of them, as DGP uses."""
    return _by_distance(graph, max_hops, relation, norm, "ancestors", "descendants")


def hop_distance(graph: KnowledgeGraph, sources: Sequence[str], *, relation: str = "hypernym") -> np.ndarray:
    """Return the least number of edges, read both ways, from any of `sources` to each node; −1 where there is no path.

    Returns
    -------
    int64 `[nodes]`.
    """
    subject, obj, _ = graph.edges_of(relation)
    distance = np.full(len(graph.ids), -1, dtype=np.int64)
    frontier = np.zeros(len(graph.ids), dtype=bool)
    frontier[graph.positions(sources)] = True
    step = 0
    while frontier.any():
        distance[frontier] = step
        reached = np.zeros_like(frontier)
        reached[obj[frontier[subject]]] = True
        reached[subject[frontier[obj]]] = True
        frontier = reached & (distance < 0)
        step += 1
    return distance


def _by_distance(graph: KnowledgeGraph, max_hops: int, relation: str, norm: Norm, *ways: str) -> View:
    if max_hops < 1:
        raise InvalidInputError("the farthest distance is at least 1", received=max_hops)
    n = len(graph.ids)
    subject, obj, _ = graph.edges_of(relation)
    descendant, ancestor, distance = ancestor_pairs(subject, obj, n)
    distance = np.minimum(distance, max_hops)
    matrices: list[sparse.csr_matrix] = []
    for way in ways:
        row, col = (descendant, ancestor) if way == "ancestors" else (ancestor, descendant)
        matrices.append(sparse.identity(n, dtype=np.float32, format="csr"))
        for k in range(1, max_hops + 1):
            at = np.flatnonzero(distance == k)
            matrices.append(sparse.csr_matrix((np.ones(len(at), dtype=np.float32), (row[at], col[at])), shape=(n, n)))
    return View(
        graph.ids,
        tuple(_normalised(m, norm) for m in matrices),
        " | ".join(f"{way}({relation}, max_hops={max_hops}, norm={norm})" for way in ways),
        graph.digest,
    )


def _largest(row: np.ndarray, col: np.ndarray, weight: np.ndarray, n: int) -> sparse.csr_matrix:
    """Return the matrix in which a repeated entry counts once, with its largest weight (SciPy alone would add them up)."""
    order = np.lexsort((-weight, col, row))
    row, col, weight = row[order], col[order], weight[order]
    first = np.ones(len(row), dtype=bool)
    first[1:] = (row[1:] != row[:-1]) | (col[1:] != col[:-1])
    return sparse.csr_matrix((weight[first], (row[first], col[first])), shape=(n, n), dtype=np.float32)


def _normalised(matrix: sparse.csr_matrix, norm: Norm) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(matrix, dtype=np.float32)
    matrix.sum_duplicates()
    if norm not in ("row", "symmetric", None):
        raise InvalidInputError("norm is row, symmetric or None", received=repr(norm))
    degree = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()
    with np.errstate(divide="ignore"):
        inverse = np.where(degree > 0, 1 / degree, 0.0)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    if norm == "row":
        matrix.data = (matrix.data * inverse[rows]).astype(np.float32)
    elif norm == "symmetric":
        root = np.sqrt(inverse)
        matrix.data = (matrix.data * root[rows] * root[matrix.indices]).astype(np.float32)
    return matrix
