"""Hitting probabilities: against a plain loop with the same random numbers, and against the exact expectation."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.walks import top_neighbours

MASK, GOLDEN = 2**64 - 1, 0x9E3779B97F4A7C15


def mixed(x: int) -> int:
    x &= MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def plain(adjacency: np.ndarray, top: int | None, steps: int, restarts: int, smoothing: float, seed: int) -> dict[int, dict[int, float]]:
    """The definition in loops over lists of neighbours, with the same random numbers in Python integers."""
    lists = [[int(v) for v, n in enumerate(row) for _ in range(n)] for row in adjacency]
    out: dict[int, dict[int, float]] = {}
    for start, neighbours in enumerate(lists):
        visits: Counter[int] = Counter()
        for restart in range(restarts):
            state = mixed((mixed((mixed(seed + GOLDEN) ^ start) + GOLDEN) ^ restart) + GOLDEN)
            node = start
            for step in range(steps):
                if not lists[node]:
                    break
                drawn = mixed(state + (step + 1) * GOLDEN) >> 32
                node = lists[node][(drawn * len(lists[node])) >> 32]
                visits[node] += 1
        score = {v: visits[v] + smoothing * neighbours.count(v) for v in neighbours}
        total = sum(score.values())
        share = {v: s / total if total else 0.0 for v, s in score.items()}
        out[start] = dict(sorted(share.items(), key=lambda item: (-item[1], item[0]))[:top])
    return out


def rows(matrix: sparse.csr_array) -> dict[int, dict[int, float]]:
    return {
        i: dict(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist(), strict=True))
        for i, (a, b) in enumerate(zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True))
    }


@st.composite
def graphs(draw: st.DrawFn) -> np.ndarray:
    nodes = draw(st.integers(1, 7))
    values = draw(st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 3]), min_size=nodes * nodes, max_size=nodes * nodes))
    return np.asarray(values).reshape(nodes, nodes)


@settings(max_examples=60, deadline=None)
@given(
    graphs(),
    st.one_of(st.none(), st.integers(1, 4)),
    st.integers(1, 6),
    st.integers(1, 4),
    st.sampled_from([0, 0.5, 1]),
    st.integers(0, 2**70),
)
def test_equals_the_plain_loop(adjacency: np.ndarray, top: int | None, steps: int, restarts: int, smoothing: float, seed: int) -> None:
    got = top_neighbours(sparse.csr_array(adjacency), top, steps, restarts, smoothing, seed)
    expected = plain(adjacency, top, steps, restarts, smoothing, seed)
    assert {i: r.keys() for i, r in rows(got).items()} == {i: r.keys() for i, r in expected.items()}
    assert all(r[v] == pytest.approx(p, rel=1e-6) for i, r in rows(got).items() for v, p in expected[i].items())


def test_distribution_is_that_of_the_exact_visits() -> None:
    """Two triangles that share a node, a tail, and a node alone: expected visits are the sums of the transition matrix's powers."""
    pairs = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 4), (4, 5)]
    adjacency = np.zeros((7, 7), dtype=int)
    for a, b in pairs:
        adjacency[a, b] = adjacency[b, a] = 1
    adjacency[2, 3] = adjacency[3, 2] = 2  # two relations
    steps, restarts = 20, 4_000
    degree = adjacency.sum(axis=1, keepdims=True)
    transition = np.divide(adjacency, degree, out=np.zeros((7, 7)), where=degree > 0)
    visits = sum(np.linalg.matrix_power(transition, k) for k in range(1, steps + 1)) * restarts
    score = np.where(adjacency > 0, visits + adjacency, 0)
    expected = np.divide(score, score.sum(axis=1, keepdims=True), out=np.zeros((7, 7)), where=degree > 0)
    got = top_neighbours(sparse.csr_array(adjacency), steps=steps, restarts=restarts, seed=1).toarray()
    assert np.abs(got - expected).max() < 0.01
    assert not got[6].any()


def random_graph(nodes: int, seed: int = 0) -> sparse.csr_array:
    draw = np.random.default_rng(seed)
    pairs = draw.integers(0, nodes, (2, 4 * nodes))
    edges = sparse.coo_array((np.ones(4 * nodes, dtype=int), tuple(pairs)), shape=(nodes, nodes)).tocsr()
    return sparse.csr_array(edges + edges.T)


def test_rows_do_not_depend_on_blocks_or_on_other_starts() -> None:
    graph = random_graph(300)
    whole = top_neighbours(graph, 3, seed=5)
    assert (top_neighbours(graph, 3, seed=5, block=7) != whole).nnz == 0
    some = top_neighbours(graph, 3, seed=5, starts=[7, 123, 299])
    assert {i for i, r in rows(some).items() if r} == {7, 123, 299}
    assert all(rows(some)[i] == rows(whole)[i] for i in (7, 123, 299))
    assert (top_neighbours(graph, 3, seed=6) != whole).nnz > 0
    assert np.diff(whole.indptr).max() == 3


def test_order_of_entries_and_layout_change_nothing() -> None:
    graph = random_graph(50)
    shuffled = graph.tocoo()
    order = np.random.default_rng(1).permutation(shuffled.nnz)
    again = sparse.coo_array((shuffled.data[order], (shuffled.row[order], shuffled.col[order])), shape=graph.shape)
    assert (top_neighbours(again) != top_neighbours(graph)).nnz == 0
    assert (top_neighbours(graph.tocsc()) != top_neighbours(graph)).nnz == 0


def test_graphs_without_edges_or_nodes() -> None:
    assert top_neighbours(sparse.csr_array((3, 3), dtype=int)).nnz == 0
    assert top_neighbours(sparse.csr_array((0, 0), dtype=int)).shape == (0, 0)
    assert top_neighbours(random_graph(5), starts=[]).nnz == 0


def test_a_walk_ends_where_no_edge_leaves() -> None:
    chain = sparse.csr_array(np.diag([1, 1], k=1))
    assert rows(top_neighbours(chain, steps=20, restarts=3)) == {0: {1: 1.0}, 1: {2: 1.0}, 2: {}}


@pytest.mark.parametrize(
    ("adjacency", "settings", "says"),
    [
        (np.ones((2, 3)), {}, "square"),
        (np.full((2, 2), 0.5), {}, "number of edges"),
        (np.full((2, 2), np.nan), {}, "number of edges"),
        (np.full((2, 2), -1), {}, "number of edges"),
        (np.eye(2), {"top": 0}, "top of at least 1"),
        (np.eye(2), {"steps": 0}, "steps of at least 1"),
        (np.eye(2), {"restarts": 0}, "restarts of at least 1"),
        (np.eye(2), {"smoothing": -1}, "smoothing of at least 0"),
        (np.eye(2), {"smoothing": float("nan")}, "smoothing of at least 0"),
        (np.eye(2), {"starts": [2]}, "positions below 2"),
    ],
)
def test_wrong_input_is_refused(adjacency: np.ndarray, settings: dict, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        top_neighbours(sparse.csr_array(adjacency), **settings)
