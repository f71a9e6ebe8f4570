"""CHiLS: the sets against networkx, the decision against a slow loop."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from calibration.scored import names
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.calibration import CHiLS, HeldOut, ScoredRows, SubclassSets, softmax
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import directed
from kgzsl.testing.graphs import graph_of

NODES = 12


def sets_of(sets: SubclassSets) -> dict[str, set[str]]:
    return {c: {sets.subclasses[k] for k in sets.child[sets.parent == i]} for i, c in enumerate(sets.classes)}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=25),
    st.sets(st.integers(0, NODES - 1), min_size=1),
    st.booleans(),
    st.integers(0, 100),
)
def test_sets_are_descendants_up_to_the_next_class(edges: list[tuple[int, int]], chosen: set[int], include: bool, seed: int) -> None:
    classes, ids = sorted(chosen), names(NODES)
    allowed = [i for i in range(NODES) if np.random.default_rng(seed).random(NODES)[i] < 0.7]
    found = SubclassSets.of_view(
        directed(graph_of(NODES, edges)), [ids[c] for c in classes], among=[ids[i] for i in allowed], include_class=include
    )
    for c in classes:
        other = nx.DiGraph([(b, a) for a, b in edges if a not in chosen])  # parent → child, never into a class
        other.add_node(c)
        below = {n for n in nx.descendants(other, c) if n in allowed and n not in chosen}
        expected = below | ({c} if include or not below else set())
        assert sets_of(found)[ids[c]] == {ids[n] for n in expected}
    assert set(found.scored) == set(found.classes) | set(found.subclasses)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_the_decision_equals_a_slow_loop(seed: int, reweight: bool) -> None:
    rng = np.random.default_rng(seed)
    edges = [(child, int(rng.integers(child))) for child in range(1, NODES)]
    edges += [(int(a), int(b)) for a, b in rng.integers(1, NODES, size=(4, 2)) if a > b]
    sets = SubclassSets.of_view(directed(graph_of(NODES, edges)), names(NODES)[1:4])
    axis = tuple(rng.permutation(names(NODES)).tolist())  # another order than the sets'
    scores = rng.integers(-4, 2, size=(5, NODES)).astype(float)
    decided = CHiLS(sets=sets, reweight=reweight, temperature=0.7).decide(ScoredRows(axis, (), scores))
    for row in range(5):
        score = dict(zip(axis, scores[row] / 0.7, strict=True))
        of_class = dict(zip(sets.classes, softmax(np.array([score[c] for c in sets.classes])), strict=True))
        of_sub = dict(zip(sets.subclasses, softmax(np.array([score[s] for s in sets.subclasses])), strict=True))
        best = {c: max(of_sub[s] for s in members) * (of_class[c] if reweight else 1) for c, members in sets_of(sets).items()}
        np.testing.assert_allclose(decided.scores[row], [best[c] for c in sets.classes])
        assert best[decided.ids[row]] == pytest.approx(max(best.values()))


def test_without_subclasses_it_is_the_likeliest_class() -> None:
    rng = np.random.default_rng(0)
    ids, scores = names(4), rng.normal(size=(30, 4))
    sets = SubclassSets.of_view(directed(graph_of(4, [(1, 0), (2, 0), (3, 0)])), ids[1:])
    decided = CHiLS(sets=sets, temperature=1.0).decide(ScoredRows(ids, (), scores))
    assert decided.ids == tuple(ids[1 + i] for i in scores[:, 1:].argmax(axis=1))


def test_a_subclass_that_is_found_decides_for_its_class() -> None:
    ids = names(5)  # classes 1 and 2 under 0; 3 and 4 are kinds of 2
    sets = SubclassSets.of_view(directed(graph_of(5, [(1, 0), (2, 0), (3, 2), (4, 2)])), ids[1:3])
    scores = np.array([[0.0, 1.0, 0.9, 3.0, -2.0]])
    assert CHiLS(sets=sets, temperature=1.0).decide(ScoredRows(ids, (), scores)).ids == ("t:002",)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    sets = SubclassSets.of_view(directed(graph_of(6, [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)])), names(3)[1:])
    rows = ScoredRows(names(6), (), rng.normal(size=(17, 6)))
    whole = CHiLS(sets=sets, temperature=1.0).decide(rows).scores
    monkeypatch.setattr("kgzsl.calibration.chils._BLOCK_VALUES", 10)
    np.testing.assert_array_equal(CHiLS(sets=sets, temperature=1.0).decide(rows).scores, whole)


def test_what_is_wrong_is_refused() -> None:
    sets = SubclassSets.of_view(directed(graph_of(3, [(1, 0), (2, 0)])), names(3)[1:])
    rows = ScoredRows(names(2), (), np.zeros((1, 2)))
    with pytest.raises(InvalidInputError, match="after fit"):
        CHiLS(sets=sets).decide(rows)
    with pytest.raises(UnknownNameError, match="class axis"):
        CHiLS(sets=sets, temperature=1.0).decide(rows)
    with pytest.raises(InvalidInputError, match="twice"):
        SubclassSets.of_view(directed(graph_of(2, [(1, 0)])), ["t:000", "t:000"])


def test_carnivores_stand_for_their_kinds(world, carnivore_scores: HeldOut) -> None:
    sets = SubclassSets.of_view(directed(world.graph), carnivore_scores.classes)
    assert len(sets.subclasses) > len(sets.classes) == len(np.unique(sets.parent))
    fitted = CHiLS(sets=sets).fit(carnivore_scores)
    assert 0 < fitted.temperature < 1  # cosines are far less spread than logits
