"""Random-walk hitting probabilities: which neighbours of a node walks from it meet most often.

As in Nayak and Bach (2022), Zero-Shot Learning with Common Sense Knowledge Graphs: from every node several walks of some steps;
the visits to each of its neighbours plus a smoothing, over their sum. Neighbours that much else leads to come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse

from kgzsl.errors import InvalidInputError

_BLOCK = 20_000
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def top_neighbours(
    adjacency: sparse.sparray,
    top: int | None = None,
    steps: int = 20,
    restarts: int = 10,
    smoothing: float = 1.0,
    seed: int = 0,
    starts: Sequence[int] | np.ndarray | None = None,
    block: int = _BLOCK,
) -> sparse.csr_array:
    """Return the hitting probability of every node's neighbours, float32 `[nodes, nodes]`, row = start.

    Of neighbour `v` of `u`: (visits of `v` on the walks from `u` + smoothing · edges `u` → `v`) / the sum of that over the
    neighbours of `u`; what is not a neighbour is walked over and does not count. A row sums to one before its `top` are taken,
    and is empty for a node without edges. A walk ends early at a node without outgoing edges.

    The random numbers depend on seed, start, restart and step only, so a row is the same whatever else is computed.

    Parameters
    ----------
    adjacency : how many edges lead from row to column, whole numbers `[nodes, nodes]`; a walk takes each edge equally often.
        For walks in both directions it must be symmetric.
    top : how many neighbours to keep per node, the likeliest, of equal ones the first; none = all.
    starts : positions whose rows are wanted; none = all. Other rows are empty.
    block : how many starts are walked from at once; memory only.

    Raises
    ------
    InvalidInputError : not square, not whole numbers, or a parameter below its least value.

    Examples
    --------
    >>> ring = sparse.csr_array(np.roll(np.eye(4, dtype=int), 1, axis=1) + np.roll(np.eye(4, dtype=int), -1, axis=1))
    >>> top_neighbours(ring, seed=3).sum(axis=1).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    edges = _edges(adjacency)
    nodes = edges.shape[0]
    for name, value, least in (
        ("top", top, 1),
        ("steps", steps, 1),
        ("restarts", restarts, 1),
        ("block", block, 1),
        ("smoothing", smoothing, 0),
    ):
        if value is not None and not (value >= least and np.isfinite(value)):
            raise InvalidInputError(f"walks need {name} of at least {least}", received=value)
    wanted = np.arange(nodes) if starts is None else np.unique(np.asarray(starts, dtype=np.int64))
    if len(wanted) and not (wanted[0] >= 0 and wanted[-1] < nodes):
        raise InvalidInputError(f"starts are positions below {nodes:,}", received=f"{wanted[0]} to {wanted[-1]}")
    parts = [
        _probabilities(edges[chosen], visits, smoothing, top) for chosen, visits in _visits(edges, wanted, steps, restarts, seed, block)
    ]
    found = sparse.vstack([*parts, sparse.csr_array((0, nodes), dtype=np.float32)], format="csr")
    lengths = np.zeros(nodes + 1, dtype=np.int64)
    lengths[wanted + 1] = np.diff(found.indptr)
    return sparse.csr_array((found.data, found.indices, np.cumsum(lengths)), shape=(nodes, nodes))


def _edges(adjacency: sparse.sparray) -> sparse.csr_array:
    """Return the edge counts as int64 CSR with sorted columns and no zero."""
    if len(adjacency.shape) != 2 or adjacency.shape[0] != adjacency.shape[1]:
        raise InvalidInputError("walks need a square adjacency", received=f"shape {adjacency.shape}")
    given = sparse.csr_array(adjacency)
    if not (np.isfinite(given.data).all() and (given.data >= 0).all() and (given.data == np.floor(given.data)).all()):
        raise InvalidInputError(
            "walks need the number of edges from row to column",
            received="values that are not whole numbers",
            remedy="pass `(adjacency > 0).astype(int)`",
        )
    edges = given.astype(np.int64, copy=True)
    edges.sum_duplicates()
    edges.eliminate_zeros()
    return edges


def _visits(
    edges: sparse.csr_array, wanted: np.ndarray, steps: int, restarts: int, seed: int, block: int
) -> Iterator[tuple[np.ndarray, sparse.csr_array]]:
    """Yield blocks of starts with the visits of every node on the walks from them, int64 `[starts, nodes]`."""
    nodes = edges.shape[0]
    target = np.repeat(edges.indices, edges.data)  # one entry per edge, so that any edge is one index
    first = np.concatenate([[0], np.cumsum(edges.data)])[edges.indptr]
    degree = np.diff(first)
    for begin in range(0, len(wanted), block):
        chosen = wanted[begin : begin + block]
        row = np.repeat(np.arange(len(chosen)), restarts)
        state = _streams(seed, chosen, restarts)
        node = chosen[row]
        rows, seen = [], []
        for step in range(steps):
            on = degree[node] > 0
            row, state, node = row[on], state[on], node[on]
            drawn = _mixed(state + np.uint64((step + 1) * int(_GOLDEN) % 2**64)) >> _HALF
            pick = (drawn * degree[node].astype(np.uint64)) >> _HALF
            node = target[first[node] + pick.astype(np.int64)]
            rows.append(row)
            seen.append(node)
        where = np.concatenate(rows), np.concatenate(seen)
        yield chosen, sparse.coo_array((np.ones(len(where[0]), dtype=np.int64), where), shape=(len(chosen), nodes)).tocsr()


def _probabilities(edges: sparse.csr_array, visits: sparse.csr_array, smoothing: float, top: int | None) -> sparse.csr_array:
    pattern = sparse.csr_array((np.ones(edges.nnz, dtype=np.int64), edges.indices, edges.indptr), shape=edges.shape)
    # Every edge stands in the sum even without visits and smoothing, so that the columns of both are the same.
    met = sparse.csr_array(visits.multiply(pattern) + pattern)
    met.sort_indices()
    score = (met.data - 1) + smoothing * edges.data
    row = np.repeat(np.arange(edges.shape[0]), np.diff(edges.indptr))
    total = np.bincount(row, weights=score, minlength=edges.shape[0])
    share = np.divide(score, total[row], out=np.zeros_like(score, dtype=np.float64), where=total[row] > 0)
    keep = np.ones(len(row), dtype=bool)
    if top is not None:
        order = np.lexsort((edges.indices, -share, row))
        keep[order] = np.arange(len(row)) - edges.indptr[row] < top
    lengths = np.bincount(row[keep], minlength=edges.shape[0])
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_array((share[keep].astype(np.float32), edges.indices[keep], ends), shape=edges.shape)


def _streams(seed: int, starts: np.ndarray, restarts: int) -> np.ndarray:
    """Return where the random numbers of every walk begin, uint64 `[starts · restarts]`.

    A walk has the SplitMix64 stream (Steele, Lea, Flood 2014) of a hash of seed, start and restart.
    """
    key = _mixed(np.asarray([seed % 2**64], dtype=np.uint64) + _GOLDEN)
    node = _mixed((key ^ starts.astype(np.uint64)) + _GOLDEN)
    return _mixed((np.repeat(node, restarts) ^ np.tile(np.arange(restarts, dtype=np.uint64), len(starts))) + _GOLDEN)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Return the SplitMix64 finaliser of `x`, uint64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
