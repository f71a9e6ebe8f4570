"""Views against slow loops, on graphs with cycles, repeated edges and lonely nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, ancestors, both_directions, descendants, hop_distance, undirected
from kgzsl.testing.graphs import graph_of

NODES = 8
edge_lists = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=20)


def slow_distances(edges: list[tuple[int, int]]) -> np.ndarray:
    """Shortest directed distance between all pairs by relaxation; −1 without a path."""
    far = 10**6
    d = np.full((NODES, NODES), far)
    for a, b in edges:
        d[a, b] = 1
    np.fill_diagonal(d, 0)
    for k in range(NODES):
        d = np.minimum(d, d[:, k : k + 1] + d[k : k + 1, :])
    return np.where(d >= far, -1, d)


def dense(view_matrix: object) -> np.ndarray:
    return view_matrix.toarray()  # type: ignore[attr-defined,no-any-return]


@settings(max_examples=60, deadline=None)
@given(edge_lists, st.integers(1, 5))
def test_ancestors_by_shortest_distance(edges: list[tuple[int, int]], max_hops: int) -> None:
    graph = graph_of(NODES, edges)
    distance = slow_distances(edges)
    view = ancestors(graph, max_hops, norm=None)
    assert len(view.adjacency) == max_hops + 1
    for k, matrix in enumerate(view.adjacency):
        expected = distance == k if k < max_hops else distance >= max_hops
        np.testing.assert_array_equal(dense(matrix), expected.astype(np.float32))
        assert matrix.dtype == np.float32
    for a, d in zip(view.adjacency, descendants(graph, max_hops, norm=None).adjacency, strict=True):
        np.testing.assert_array_equal(dense(a).T, dense(d))


@settings(max_examples=40, deadline=None)
@given(edge_lists)
def test_rows_sum_to_one_or_zero(edges: list[tuple[int, int]]) -> None:
    graph = graph_of(NODES, edges)
    for matrix in [*both_directions(graph).adjacency, *undirected(graph, self_loops=False).adjacency]:
        sums = dense(matrix).sum(axis=1)
        occupied = dense(matrix).any(axis=1)
        np.testing.assert_allclose(sums, occupied.astype(np.float32), rtol=1e-6)
    np.testing.assert_allclose(dense(undirected(graph).adjacency[0]).sum(axis=1), 1, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(edge_lists)
def test_undirected_norms(edges: list[tuple[int, int]]) -> None:
    graph = graph_of(NODES, edges)
    plain = np.zeros((NODES, NODES))
    for a, b in edges:
        plain[a, b] = plain[b, a] = 1
    np.testing.assert_array_equal(dense(undirected(graph, self_loops=False, norm=None).adjacency[0]), plain)
    np.fill_diagonal(plain, 1)
    np.testing.assert_array_equal(dense(undirected(graph, norm=None).adjacency[0]), plain)
    degree = plain.sum(axis=1)
    np.testing.assert_allclose(dense(undirected(graph, norm="row").adjacency[0]), plain / degree[:, None], rtol=1e-6)
    symmetric = dense(undirected(graph, norm="symmetric").adjacency[0])
    np.testing.assert_allclose(symmetric, plain / np.sqrt(np.outer(degree, degree)), rtol=1e-6)
    np.testing.assert_array_equal(symmetric, symmetric.T)


@settings(max_examples=40, deadline=None)
@given(edge_lists, st.sets(st.integers(0, NODES - 1), min_size=1, max_size=3))
def test_hop_distance(edges: list[tuple[int, int]], starts: set[int]) -> None:
    both = slow_distances(edges + [(b, a) for a, b in edges])
    expected = [min((int(both[s, v]) for s in starts if both[s, v] >= 0), default=-1) for v in range(NODES)]
    assert hop_distance(graph_of(NODES, edges), [f"t:{s:03d}" for s in starts]).tolist() == expected


def test_weights_are_kept_and_the_largest_counts() -> None:
    graph = graph_of(3, [(0, 1), (1, 0)], weights=[2.0, 5.0])
    matrix = dense(undirected(graph, self_loops=False, norm=None).adjacency[0])
    assert matrix.tolist() == [[0, 5, 0], [5, 0, 0], [0, 0, 0]]


def test_views_carry_ids_and_digest() -> None:
    graph = graph_of(3, [(1, 0)])
    for view in (undirected(graph), ancestors(graph), descendants(graph), both_directions(graph)):
        assert view.ids == graph.ids
        assert view.graph_digest == graph.digest
    names = {undirected(graph).name, undirected(graph, norm=None).name, ancestors(graph).name, descendants(graph).name}
    assert len(names) == 4
    up, down = ancestors(graph).adjacency, descendants(graph).adjacency
    for got, expected in zip(both_directions(graph).adjacency, up + down, strict=True):
        np.testing.assert_array_equal(dense(got), dense(expected))


def test_a_graph_without_edges() -> None:
    graph: KnowledgeGraph = graph_of(3, [])
    assert [m.nnz for m in ancestors(graph).adjacency] == [3, 0, 0, 0, 0]
    np.testing.assert_array_equal(dense(undirected(graph).adjacency[0]), np.eye(3))


def test_bad_arguments() -> None:
    graph = graph_of(3, [(1, 0)])
    with pytest.raises(UnknownNameError, match="choose from: hypernym"):
        undirected(graph, ("part",))
    with pytest.raises(InvalidInputError, match="at least one relation"):
        undirected(graph, ())
    with pytest.raises(InvalidInputError, match="at least 1"):
        ancestors(graph, 0)
    with pytest.raises(InvalidInputError, match="norm is"):
        undirected(graph, norm="column")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="t:009"):
        hop_distance(graph, ["t:009"])
