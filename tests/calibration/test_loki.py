"""Loki against brute force over every candidate, on trees and on graphs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from calibration.scored import names, random_tree, tree_views
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.calibration import HeldOut, Loki, ScoredRows, softmax
from kgzsl.calibration.loki import frechet_mean
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import shortest_paths, undirected
from kgzsl.metrics import hierarchical_distance
from kgzsl.testing.graphs import graph_of


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 20), st.integers(0, 6))
def test_it_equals_brute_force_on_trees_and_graphs(seed: int, nodes: int, extra: int) -> None:
    rng = np.random.default_rng(seed)
    edges = random_tree(rng, nodes) + [(int(a), int(b)) for a, b in rng.integers(nodes, size=(extra, 2)) if a != b]
    ids = names(nodes)
    observed = sorted(rng.choice(nodes, size=rng.integers(1, nodes + 1), replace=False).tolist())
    distances = shortest_paths(undirected(graph_of(nodes, edges), norm=None), [ids[k] for k in observed], ids)
    scores = rng.integers(-3, 3, size=(6, len(observed))).astype(float)  # ties and negative scores
    rows = ScoredRows(distances.observed, (), scores)
    decided = Loki(distances=distances, temperature=1.0).decide(rows)
    length = dict(nx.all_pairs_shortest_path_length(nx.Graph(edges)))
    for row, p in enumerate(softmax(scores)):
        cost = [sum(p[i] * length[y][k] ** 2 for i, k in enumerate(observed)) for y in range(nodes)]
        assert cost[int(decided.ids[row][2:])] == pytest.approx(min(cost), rel=1e-6, abs=1e-9)
        np.testing.assert_allclose(-decided.scores[row], cost, rtol=1e-6)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_certain_probabilities_give_their_class(seed: int) -> None:
    rng = np.random.default_rng(seed)
    _, view, _ = tree_views(rng, 12)
    distances = shortest_paths(view, names(12))
    chosen, expected = frechet_mean(np.eye(12), distances.matrix)
    assert chosen.tolist() == list(range(12)) and (expected[np.arange(12), chosen] == 0).all()


def test_a_parent_that_was_never_scored_is_answered_between_its_children() -> None:
    distances = shortest_paths(undirected(graph_of(4, [(1, 0), (2, 0), (3, 0)]), norm=None), ["t:001", "t:002", "t:003"], names(4))
    decided = Loki(distances=distances, temperature=1.0).decide(ScoredRows(("t:001", "t:002", "t:003"), (), np.zeros((1, 3))))
    assert decided.ids == ("t:000",)
    same = ScoredRows(("t:003", "t:001", "t:002"), (), np.array([[9.0, 0.0, 0.0]]))  # joined by id, whatever the order
    assert Loki(distances=distances, temperature=1.0).decide(same).ids == ("t:003",)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    p, distances = rng.dirichlet(np.ones(9), size=40), rng.integers(0, 9, size=(15, 9))
    whole = frechet_mean(p, distances)
    monkeypatch.setattr("kgzsl.calibration.loki._BLOCK_VALUES", 40)
    parts = frechet_mean(p, distances)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_allclose(whole[1], parts[1])


def test_the_temperature_is_the_one_with_the_nearest_held_out_answers() -> None:
    rng = np.random.default_rng(2)
    _, view, _ = tree_views(rng, 40)
    distances = shortest_paths(view, names(40))
    truth = rng.integers(40, size=150)
    near = -0.5 * distances.matrix[truth].astype(float) + rng.normal(size=(150, 40))
    rows = HeldOut(names(40), (), near, labels=tuple(names(40)[i] for i in truth))
    calibration = Loki(distances=distances).fit(rows)
    chosen = hierarchical_distance(distances, calibration.decide(rows).ids, rows.labels)["squared_distance"]
    for step in (0.25, 0.5, 2.0, 4.0):
        other = Loki(distances=distances, temperature=step * calibration.temperature).decide(rows)
        assert chosen <= hierarchical_distance(distances, other.ids, rows.labels)["squared_distance"] + 1e-9
    plain = tuple(names(40)[i] for i in near.argmax(axis=1))
    assert chosen < hierarchical_distance(distances, plain, rows.labels)["squared_distance"]


def test_unscored_candidates_can_be_left_out() -> None:
    distances = shortest_paths(undirected(graph_of(4, [(1, 0), (2, 0), (3, 0)]), norm=None), names(4))
    rows = ScoredRows(("t:003", "t:001", "t:002"), (), np.array([[0.1, 0.0, 0.0]]))
    assert Loki(distances=distances, temperature=1.0).decide(rows).ids == ("t:000",)
    decided = Loki(distances=distances, temperature=1.0, unscored=False).decide(rows)
    assert decided.ids == ("t:003",) and decided.candidates == rows.classes


def test_real_carnivores_move_nearer_than_the_likeliest_class(world, carnivore_scores: HeldOut) -> None:
    distances = shortest_paths(undirected(world.graph, norm=None), carnivore_scores.classes)
    decided = Loki(distances=distances).fit(carnivore_scores).decide(carnivore_scores)
    plain = tuple(carnivore_scores.classes[i] for i in carnivore_scores.scores.argmax(axis=1))
    far = [hierarchical_distance(distances, answers, carnivore_scores.labels)["squared_distance"] for answers in (decided.ids, plain)]
    assert far[0] <= far[1]  # on its own rows, where the sharpest temperature would be no worse than the likeliest class


def test_what_is_wrong_is_refused() -> None:
    distances = shortest_paths(undirected(graph_of(3, [(1, 0), (2, 0)]), norm=None), names(2))
    with pytest.raises(InvalidInputError, match="after fit"):
        Loki(distances=distances).decide(ScoredRows(names(2), (), np.zeros((1, 2))))
    with pytest.raises(UnknownNameError, match="observed classes"):
        Loki(distances=distances, temperature=1.0).decide(ScoredRows(names(3), (), np.zeros((1, 3))))
