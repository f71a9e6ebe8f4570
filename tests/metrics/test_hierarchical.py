"""Metrics along the graph against slow loops over networkx."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import Distances, Hierarchy, directed, shortest_paths, undirected
from kgzsl.metrics import back_off_metrics, correct_sets, hierarchical_distance, hierarchical_precision, hits, rank_bounds
from kgzsl.testing.graphs import graph_of

NODES = 11
IDS = tuple(f"t:{i:03d}" for i in range(NODES))


def random_tree(seed: int) -> tuple[list[tuple[int, int]], np.random.Generator]:
    rng = np.random.default_rng(seed)
    return [(child, int(rng.integers(child))) for child in range(1, NODES)], rng


def slow_correct_set(tree: nx.Graph, truth: int, labels: list[int], k: int) -> set[int]:
    """Frome et al., 2013: the radius grows until the set holds k labels."""
    found: set[int] = set()
    radius = 0
    while len(found) < k:
        found |= {n for n, d in nx.single_source_shortest_path_length(tree, truth).items() if d == radius and n in labels}
        radius += 1
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_hierarchical_precision_equals_the_papers_procedure(seed: int, k: int) -> None:
    edges, rng = random_tree(seed)
    labels = sorted(rng.choice(NODES, size=6, replace=False).tolist())  # other nodes of the tree are no labels
    ids = [IDS[c] for c in labels]
    distances = shortest_paths(undirected(graph_of(NODES, edges), norm=None), ids).matrix
    scores, truth = rng.normal(size=(7, 6)) - 9, rng.integers(6, size=7)
    found = hierarchical_precision(scores, truth, distances, k)
    for row in range(7):
        correct = slow_correct_set(nx.Graph(edges), labels[truth[row]], labels, k)
        top = [labels[i] for i in np.argsort(-scores[row])[:k]]
        assert found[row] == pytest.approx(len(correct & set(top)) / k)
        assert {labels[i] for i in np.flatnonzero(correct_sets(distances, k)[truth[row]])} == correct


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_ties_are_the_mean_over_all_orders(seed: int, k: int) -> None:
    edges, rng = random_tree(seed)
    distances = shortest_paths(undirected(graph_of(NODES, edges), norm=None), IDS[:4]).matrix
    scores = rng.integers(0, 2, size=(1, 4)).astype(float)
    correct = correct_sets(distances, k)[2]
    orders = [p for p in itertools.permutations(range(4)) if all(scores[0, a] >= scores[0, b] for a, b in itertools.pairwise(p))]
    expected = np.mean([correct[list(p[:k])].mean() for p in orders])
    assert hierarchical_precision(scores, np.array([2]), distances, k)[0] == pytest.approx(expected)


def test_at_one_it_is_hit_at_one() -> None:
    edges, rng = random_tree(3)
    distances = shortest_paths(undirected(graph_of(NODES, edges), norm=None), IDS).matrix
    scores, truth = rng.integers(0, 4, size=(50, NODES)).astype(float), rng.integers(NODES, size=50)
    np.testing.assert_allclose(hierarchical_precision(scores, truth, distances, 1), hits(*rank_bounds(scores, truth), 1))


def test_all_candidates_are_always_right() -> None:
    edges, rng = random_tree(4)
    distances = shortest_paths(undirected(graph_of(NODES, edges), norm=None), IDS).matrix
    assert (hierarchical_precision(rng.normal(size=(5, NODES)), np.arange(5), distances, NODES) == 1).all()
    for k in (0, NODES + 1):
        with pytest.raises(InvalidInputError, match="k lies between"):
            hierarchical_precision(np.zeros((1, NODES)), np.array([0]), distances, k)
    with pytest.raises(InvalidInputError, match=r"\[classes, classes\]"):
        hierarchical_precision(np.zeros((1, 3)), np.array([0]), distances, 1)
    with pytest.raises(InvalidInputError, match="finite"):
        hierarchical_precision(np.full((1, NODES), np.nan), np.array([0]), distances, 1)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_hierarchical_distance_equals_networkx(seed: int) -> None:
    edges, rng = random_tree(seed)
    distances = shortest_paths(undirected(graph_of(NODES, edges), norm=None), IDS)
    answers, labels = rng.integers(NODES, size=(2, 30))
    found = hierarchical_distance(distances, [IDS[i] for i in answers], [IDS[i] for i in labels])
    tree = nx.Graph(edges)
    each = [nx.shortest_path_length(tree, int(a), int(b)) for a, b in zip(answers, labels, strict=True)]
    assert found["distance"] == pytest.approx(np.mean(each))
    assert found["distance_normalised"] == pytest.approx(np.mean(each) / nx.diameter(tree))
    assert found["squared_distance"] == pytest.approx(np.mean(np.square(each)))
    assert found["distance_of_errors"] == pytest.approx(np.mean([d for d in each if d]))


def test_distances_of_right_answers_and_of_a_single_class_are_zero() -> None:
    alone = Distances(("t:000",), ("t:000",), np.zeros((1, 1)))
    assert set(hierarchical_distance(alone, ["t:000"], ["t:000"]).values()) == {0.0}
    with pytest.raises(InvalidInputError, match="at least one row"):
        hierarchical_distance(alone, [], [])
    with pytest.raises(UnknownNameError):
        hierarchical_distance(alone, ["t:001"], ["t:000"])


def test_back_off_metrics_equal_a_slow_loop() -> None:
    edges, rng = random_tree(5)
    tree = nx.DiGraph(edges)
    classes = [c for c in range(NODES) if tree.in_degree(c) == 0 and c]
    hierarchy = Hierarchy.of_view(directed(graph_of(NODES, edges)), [IDS[c] for c in classes])
    answers = rng.choice(hierarchy.nodes, size=60).tolist()
    labels = rng.choice([IDS[c] for c in classes], size=60).tolist()
    found = back_off_metrics(hierarchy, answers, labels)
    right, depth, told = [], [], []
    root = int(hierarchy.nodes[hierarchy.root][2:])
    for answer, label in zip((int(a[2:]) for a in answers), (int(b[2:]) for b in labels), strict=True):
        right.append(answer == label or answer in nx.descendants(tree, label))
        depth.append(nx.shortest_path_length(tree, answer, root))
        below = sum(c == answer or answer in nx.descendants(tree, c) for c in classes)
        told.append(1 - np.log(below) / np.log(len(classes)))
    assert found["error"] == pytest.approx(1 - np.mean(right)) and found["depth"] == pytest.approx(np.mean(depth))
    assert found["specificity"] == pytest.approx(np.mean(told))
    assert found["correct_specificity"] == pytest.approx(np.mean(np.array(told) * right))
    assert found["exact"] == pytest.approx(np.mean([a == b for a, b in zip(answers, labels, strict=True)]))
    with pytest.raises(UnknownNameError, match="hierarchy"):
        back_off_metrics(hierarchy, ["t:099"], [labels[0]])
    with pytest.raises(InvalidInputError, match="at least one row"):
        back_off_metrics(hierarchy, [], [])
