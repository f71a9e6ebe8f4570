"""Nearest seen classes by levels against networkx, with ties, cycles and nodes without a path."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import directed, hop_distance, nearest_seen, undirected
from kgzsl.testing.graphs import graph_of

NODES = 10
edge_lists = st.lists(
    st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)).filter(lambda e: e[0] != e[1]), unique=True, max_size=20
)


def name(node: int) -> str:
    return f"t:{node:03d}"


@settings(max_examples=80, deadline=None)
@given(edge_lists, st.lists(st.integers(0, NODES - 1), min_size=1, max_size=4, unique=True))
def test_hops_and_all_nearest_equal_networkx(edges: list[tuple[int, int]], seen: list[int]) -> None:
    graph = graph_of(NODES, edges)
    other = nx.Graph(edges)
    other.add_nodes_from(range(NODES))
    found = nearest_seen(directed(graph), [name(s) for s in seen])
    assert found.hops.tolist() == hop_distance(graph, [name(s) for s in seen]).tolist()
    for node in range(NODES):
        lengths = nx.single_source_shortest_path_length(other, node)
        reached = {s: lengths[s] for s in seen if s in lengths}
        least = {s for s, d in reached.items() if d == min(reached.values())} if reached else set()
        row = found.indicator([name(node)]).toarray()[0]
        assert {seen[i] for i in np.flatnonzero(row)} == least
        assert row.sum() == pytest.approx(1.0 if least else 0.0)


def test_a_view_of_either_direction_gives_the_same() -> None:
    graph = graph_of(5, [(0, 1), (2, 1), (3, 2)])
    ways = [nearest_seen(v, [name(0), name(3)]) for v in (directed(graph), undirected(graph, self_loops=True, norm="row"))]
    assert ways[0].hops.tolist() == ways[1].hops.tolist() == [0, 1, 1, 0, -1]
    assert ways[0].indicator([name(1), name(4), name(0)]).toarray().tolist() == [[1, 0], [0, 0], [1, 0]]


def test_unknown_and_repeated_classes_are_refused() -> None:
    graph = graph_of(3, [(0, 1)])
    with pytest.raises(UnknownNameError, match="t:009"):
        nearest_seen(directed(graph), ["t:009"])
    with pytest.raises(InvalidInputError, match="must not name an id twice"):
        nearest_seen(directed(graph), [name(0), name(0)])
    with pytest.raises(InvalidInputError, match="at least one id"):
        nearest_seen(directed(graph), [])
    with pytest.raises(UnknownNameError, match="t:009"):
        nearest_seen(directed(graph), [name(0)]).indicator(["t:009"])
