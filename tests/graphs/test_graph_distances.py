"""Distances and hierarchies of classes against networkx, on trees, on graphs with several parents and with cycles."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import Distances, Hierarchy, ancestors, directed, rooted, shortest_paths, undirected
from kgzsl.testing.graphs import graph_of

NODES = 9
edge_lists = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=24)


def name(node: int) -> str:
    return f"t:{node:03d}"


@settings(max_examples=60, deadline=None)
@given(edge_lists, st.booleans())
def test_shortest_paths_equal_networkx(edges: list[tuple[int, int]], weighted: bool) -> None:
    rng = np.random.default_rng(len(edges))
    edges = list(dict.fromkeys(tuple(sorted(e)) for e in edges if e[0] != e[1])) + [(k, k + 1) for k in range(NODES - 1)]
    edges = list(dict.fromkeys(edges))
    weights = rng.integers(1, 5, size=len(edges)).astype(float)
    view = undirected(graph_of(NODES, edges, weights=weights), self_loops=False, norm=None)
    other = nx.Graph()
    other.add_weighted_edges_from((a, b, w) for (a, b), w in zip(edges, weights, strict=True))
    observed = [name(k) for k in (3, 0, 7)]
    found = shortest_paths(view, observed, [name(k) for k in range(NODES)], lengths="weights" if weighted else "hops")
    for column, source in enumerate((3, 0, 7)):
        expected = nx.single_source_dijkstra_path_length(other, source, weight="weight" if weighted else None)
        assert found.matrix[:, column].tolist() == [expected[k] for k in range(NODES)]
    assert found.diameter == found.matrix.max()
    assert found.between([name(1)], [name(7)])[0] == found.matrix[1, 2]


def test_classes_without_a_path_are_named() -> None:
    view = undirected(graph_of(4, [(1, 0), (3, 2)]), norm=None)
    assert shortest_paths(view, [name(0), name(1)]).matrix.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(InvalidInputError, match="t:003"):
        shortest_paths(view, [name(0)], [name(1), name(3)])
    with pytest.raises(UnknownNameError):
        shortest_paths(view, ["t:010"])
    with pytest.raises(InvalidInputError, match="one adjacency"):
        shortest_paths(ancestors(graph_of(2, [(1, 0)])), [name(0)])
    with pytest.raises(InvalidInputError, match="hops or weights"):
        shortest_paths(view, [name(0)], lengths="miles")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="one length"):
        shortest_paths(view, [name(0)]).between([name(0)], [])
    with pytest.raises(InvalidInputError, match=r"\[candidates, observed\]"):
        Distances((name(0),), (name(1),), np.zeros((2, 1)))


@settings(max_examples=80, deadline=None)
@given(edge_lists, st.sets(st.integers(0, NODES - 1), min_size=1, max_size=6))
def test_a_hierarchy_equals_networkx(edges: list[tuple[int, int]], chosen: set[int]) -> None:
    edges = [(a, b) for a, b in edges if a > b] + [(k, 0) for k in range(1, NODES)]  # no cycle; node 0 above all
    other = nx.DiGraph(edges)
    classes = sorted(chosen)
    above = {c: {c} | nx.descendants(other, c) for c in classes}
    found = Hierarchy.of_view(directed(graph_of(NODES, edges)), [name(c) for c in classes])
    root = int(found.nodes[found.root][2:])
    common = set.intersection(*above.values())
    assert root in common and not (nx.ancestors(other, root) & common)  # nothing more specific is above all
    for row, c in enumerate(classes):
        kept = {n for n in above[c] if n == root or (n not in common and root in nx.descendants(other, n))}
        assert {found.nodes[i] for i in found.cover[row].indices} == {name(n) for n in kept}
        path = [int(found.nodes[i][2:]) for i in found.paths[row]]
        assert path[0] == c and path[len(kept) - 1 :] == [root] * (len(path) - len(kept) + 1) and set(path) == kept
        sizes = [found.sizes[i] for i in found.paths[row]]
        assert sizes == sorted(sizes)
        for place, n in enumerate(path):  # a node never comes before one below it
            assert not (nx.ancestors(other, n) & set(path[place + 1 :]) - {n, root})
    for place, n in enumerate(found.nodes):
        assert found.depths[place] == nx.shortest_path_length(other, int(n[2:]), root)
    grid = np.indices((len(found.nodes), len(classes)))
    np.testing.assert_array_equal(found.covers(grid[0], grid[1]), found.cover.toarray().T)


def test_cycles_and_several_tops_end() -> None:
    # 3 and 4 under 1; 1 and 2 are each other's parents; 4 also has a parent 5 of its own, which leads nowhere near the root
    graph = graph_of(6, [(3, 1), (4, 1), (1, 2), (2, 1), (4, 5)])
    found = Hierarchy.of_view(directed(graph), [name(3), name(4)])
    assert found.nodes[found.root] in (name(1), name(2)) and name(5) not in found.nodes
    assert (found.depths >= 0).all() and found.depths.max() <= 2


def test_fewer_classes_below_come_before_more_generations_above() -> None:
    # class 5 is under 1, which covers it alone, and under the deeper 4, which covers 6 too
    found = Hierarchy.of_view(
        directed(graph_of(8, [(1, 0), (2, 0), (3, 2), (4, 3), (5, 1), (5, 4), (6, 4), (7, 0)])), [name(k) for k in (5, 6, 7)]
    )
    assert [found.nodes[i] for i in found.paths[0]] == [name(k) for k in (5, 1, 4, 3, 2, 0)]


def test_specificity_runs_from_the_root_to_a_leaf() -> None:
    found = Hierarchy.of_view(directed(graph_of(7, [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2)])), [name(k) for k in (3, 4, 5, 6)])
    by_name = dict(zip(found.nodes, found.specificity, strict=True))
    assert by_name[name(0)] == 0 and by_name[name(3)] == 1 and by_name[name(1)] == pytest.approx(0.5)
    alone = Hierarchy.of_view(directed(graph_of(2, [(1, 0)])), [name(1)])
    assert alone.nodes == (name(1),) and alone.specificity.tolist() == [1]


def test_classes_without_a_common_ancestor_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="above all its classes"):
        Hierarchy.of_view(directed(graph_of(4, [(1, 0), (3, 2)])), [name(1), name(3)])
    with pytest.raises(InvalidInputError, match="one adjacency"):
        Hierarchy.of_view(ancestors(graph_of(2, [(1, 0)])), [name(1)])


def test_a_root_above_all_tops_joins_a_forest() -> None:
    view = rooted(directed(graph_of(5, [(1, 0), (3, 2)])))  # tops 0, 2 and the lonely 4
    classes = [name(k) for k in (1, 3, 4)]
    found = Hierarchy.of_view(view, classes)
    assert found.nodes[found.root] == "kgzsl:anything" and found.specificity[found.root] == 0
    assert dict(zip(found.nodes, found.depths.tolist(), strict=True))[name(1)] == 2
    assert shortest_paths(view, classes).matrix.tolist() == [[0, 4, 3], [4, 0, 3], [3, 3, 0]]
    with pytest.raises(InvalidInputError, match="once"):
        rooted(view)


def test_a_root_that_is_not_needed_changes_nothing() -> None:
    plain = directed(graph_of(5, [(1, 0), (2, 0), (3, 1), (4, 1)]))
    classes = [name(k) for k in (2, 3, 4)]
    one, other = Hierarchy.of_view(plain, classes), Hierarchy.of_view(rooted(plain), classes)
    assert one.nodes == other.nodes and one.paths.tolist() == other.paths.tolist()


def test_the_carnivores_have_their_root_and_wordnets_distances(world) -> None:
    classes = world.weights.ids
    found = Hierarchy.of_view(directed(world.graph), classes)
    label = dict(zip(world.graph.ids, world.graph.labels, strict=True))
    assert label[found.nodes[found.root]].startswith("carnivore")
    other = nx.Graph()
    subject, obj, _ = world.graph.edges_of("hypernym")
    other.add_edges_from((world.graph.ids[a], world.graph.ids[b]) for a, b in zip(subject, obj, strict=True))
    matrix = shortest_paths(undirected(world.graph, norm=None), classes, world.graph.ids).matrix
    for column in range(0, len(classes), 13):
        expected = nx.single_source_shortest_path_length(other, classes[column])
        assert matrix[:, column].tolist() == [expected[i] for i in world.graph.ids]
