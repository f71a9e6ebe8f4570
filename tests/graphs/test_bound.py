"""The worst-case error of classes described by attributes, against the published curve and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs.bound import MOST_ATTRIBUTES, AttributeTable, answered, greedy, inseparable, worst_case_error

#: AWA2's ten unseen classes, 1 … 8 attributes chosen greedily; to two decimals.
PUBLISHED = (0.80, 0.69, 0.59, 0.50, 0.44, 0.39, 0.36, 0.33)


@pytest.fixture(scope="module")
def awa() -> AttributeTable:
    from kgzsl.datasets import read_feature_set

    read = read_feature_set("awa1", split="proposed")
    unseen = read.split.unseen
    table, left_out = answered(unseen, read.embeddings.meta["columns"], read.embeddings.rows(unseen), per_cent=True)
    assert (len(table.attributes), left_out) == (85, ())
    return table


@pytest.mark.data
def test_the_published_curve_of_awa(awa: AttributeTable) -> None:
    steps = greedy(awa, 8)
    assert [round(s.error, 2) for s in steps] == list(PUBLISHED)
    assert [s.attribute for s in steps[:3]] == ["nocturnal", "quadrapedal", "longneck"]
    assert steps[-1].error == pytest.approx(worst_case_error(awa.of([s.attribute for s in steps]).matrix))


@pytest.mark.data
def test_pairs_of_animals_that_all_attributes_leave_alike(awa: AttributeTable) -> None:
    pairs = inseparable(awa, 0.0)
    assert len(pairs) == 45
    assert [(p.first[4:], p.second[4:]) for p in pairs[:3]] == [("giraffe", "horse"), ("blue+whale", "dolphin"), ("bobcat", "rat")]
    assert [p.error for p in pairs] == sorted((p.error for p in pairs), reverse=True)
    # a bound of two classes is the linear program of their two rows, whichever attributes it is given
    for p in pairs[:5]:
        two = awa.select([p.first, p.second]).of(list(dict.fromkeys([p.attribute, *awa.attributes[:5]])))
        assert worst_case_error(two.matrix) == pytest.approx(p.error)


def test_closed_forms() -> None:
    assert worst_case_error(np.eye(4)) == pytest.approx(0)  # one attribute of its own per class
    assert worst_case_error(np.full((5, 3), 0.5)) == pytest.approx(0.8)  # alike: guessing
    assert worst_case_error(np.zeros((4, 0))) == pytest.approx(0.75)  # nothing known: guessing
    assert worst_case_error(np.array([[0.9]])) == pytest.approx(0)  # one class
    assert worst_case_error(np.array([[0.7], [0.2]])) == pytest.approx((1 - 0.5) / 2)
    # two bits name four classes; one bit names two of them, and each answer is right for one of two
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    assert worst_case_error(bits) == pytest.approx(0)
    assert worst_case_error(bits[:, :1]) == pytest.approx(0.5)


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(np.float64, st.tuples(st.just(2), st.integers(1, 4)), elements=st.floats(0, 1)))
def test_two_classes_have_the_closed_form(rows: np.ndarray) -> None:
    table = AttributeTable(("a", "b"), tuple(f"x{i}" for i in range(rows.shape[1])), rows)
    assert worst_case_error(rows) == pytest.approx(inseparable(table, 0.0)[0].error, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(arrays.arrays(np.float64, st.tuples(st.integers(2, 4), st.integers(2, 4)), elements=st.floats(0, 1)))
def test_more_attributes_never_raise_the_bound_and_no_pair_is_easier_than_the_whole(rows: np.ndarray) -> None:
    whole = worst_case_error(rows)
    assert -1e-9 <= whole <= 1 - 1 / len(rows) + 1e-9
    assert whole <= worst_case_error(rows[:, 1:]) + 1e-6
    assert worst_case_error(rows[::-1, ::-1]) == pytest.approx(whole, abs=1e-6)
    # a map for all classes, used on two of them, errs on these at most k / 2 times as often
    table = AttributeTable(tuple(map(str, range(len(rows)))), tuple(map(str, range(rows.shape[1]))), rows)
    assert max(p.error for p in inseparable(table, 0.0)) * 2 / len(rows) <= whole + 1e-6


def test_equal_rows_are_inseparable_and_ties_go_to_the_first() -> None:
    table = AttributeTable(("a", "b", "c"), ("x", "y"), np.array([[1, 1], [1, 1], [0, 0]], dtype=float))
    (pair,) = inseparable(table, 0.5)
    assert (pair.first, pair.second, pair.error, pair.gap) == ("a", "b", 0.5, 0.0)
    assert [s.attribute for s in greedy(table, 5)] == ["x", "y"]
    assert [s.error for s in greedy(table, 2)] == pytest.approx([1 / 3, 1 / 3])


@settings(max_examples=15, deadline=None)
@given(arrays.arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(3, 7)), elements=st.sampled_from([0, 0.1, 0.35, 0.5, 0.8, 1])))
def test_greedy_selection_solves_fewer_programs_and_finds_the_same(rows: np.ndarray) -> None:
    table = AttributeTable(tuple(map(str, range(len(rows)))), tuple(map(str, range(rows.shape[1]))), rows)
    chosen: list[int] = []
    for step in greedy(table, 3):
        errors = {i: worst_case_error(rows[:, [*chosen, i]]) for i in range(rows.shape[1]) if i not in chosen}
        assert step.error == pytest.approx(min(errors.values()), abs=1e-6)
        assert errors[int(step.attribute)] == pytest.approx(step.error, abs=1e-6)
        chosen.append(int(step.attribute))


def test_attributes_without_an_answer_are_left_out() -> None:
    table, left_out = answered(("a", "b"), ("x", "y", "z"), np.array([[0, -1, 50], [100, 4, np.nan]]), per_cent=True)
    assert (table.attributes, left_out) == (("x",), ("y", "z"))
    assert table.matrix.tolist() == [[0.0], [1.0]]
    with pytest.raises(InvalidInputError, match="some attribute has an answer"):
        answered(("a",), ("x",), np.array([[-1.0]]))


def test_what_is_too_large_or_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=f"at most {MOST_ATTRIBUTES} attributes"):
        worst_case_error(np.full((2, MOST_ATTRIBUTES + 1), 0.5))
    with pytest.raises(InvalidInputError, match="pairs of a class"):
        worst_case_error(np.full((200, 10), 0.5))
    for bad in (np.array([[1.5]]), np.array([[-0.1]]), np.array([[np.nan]]), np.zeros((0, 2)), np.zeros(3)):
        with pytest.raises(InvalidInputError, match=r"\[classes, attributes\] in 0…1"):
            worst_case_error(bad)
    with pytest.raises(InvalidInputError, match="40 for a, x"):
        AttributeTable(("a",), ("x",), np.array([[40.0]]))
    large = AttributeTable(tuple(map(str, range(200))), tuple(map(str, range(20))), np.full((200, 20), 0.5))
    with pytest.raises(InvalidInputError, match="8 attributes, 2\\^8 vectors of 200 classes"):
        greedy(large, 8)
    with pytest.raises(InvalidInputError, match="at least one step"):
        greedy(AttributeTable(("a",), ("x",), np.array([[0.4]])), 0)
    with pytest.raises(UnknownNameError, match="dodo"):
        AttributeTable(("a",), ("x",), np.array([[0.4]])).select(["dodo"])
