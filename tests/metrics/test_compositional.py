"""The bias sweep equals trying every bias on every image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kgzsl.errors import InvalidInputError
from kgzsl.metrics.compositional import PairOutcomes, bias_sweep, pair_outcomes, sweep


@st.composite
def problems(draw, distinct: bool = False):
    """`(scores, truth, seen, top)`, whole numbers so that ties are many and sums exact; at least one image of either kind."""
    rows, columns = draw(st.integers(2, 9)), draw(st.integers(2, 7))
    values = st.integers(-5, 5)
    scores = draw(hnp.arrays(np.float32, (rows, columns), elements=values.map(float)))
    if distinct:
        scores = draw(st.permutations(range(rows * columns)).map(lambda p: np.array(p, dtype=np.float32).reshape(rows, columns)))
    seen = np.array([True, False, *draw(st.lists(st.booleans(), min_size=columns - 2, max_size=columns - 2))])
    truth = np.array([0, 1, *draw(st.lists(st.integers(0, columns - 1), min_size=rows - 2, max_size=rows - 2))])
    return scores, truth, seen, draw(st.integers(1, 3))


def brute_force(scores, truth, seen, top, biases):
    """Seen and unseen accuracy at each bias, image by image; another pair with the same score counts as better."""
    curve = []
    for bias in biases:
        right: dict[bool, list[bool]] = {True: [], False: []}
        for row, true in zip(scores.astype(np.float64), truth, strict=True):
            shifted = row + bias * ~seen
            right[bool(seen[true])].append(bool((np.delete(shifted, true) >= shifted[true]).sum() < top))
        curve.append([np.mean(right[True]), np.mean(right[False])])
    return np.array(curve)


@given(problems())
@settings(deadline=None)
def test_every_bias_is_tried(problem):
    scores, truth, seen, top = problem
    found = bias_sweep(scores, truth, seen, top=top)
    biases = np.arange(-12, 12.5, 0.5)[::1]
    biases = biases[biases % 1 != 0]  # whole numbers are change points, halves lie between all of them
    curve = brute_force(scores, truth, seen, top, np.concatenate([[-100], biases, [100]]))
    assert found.auc == pytest.approx(np.trapezoid(curve[:, 0], curve[:, 1]), abs=1e-12)
    both = curve.sum(axis=1)
    assert found.harmonic_mean == pytest.approx(np.max(2 * curve.prod(axis=1) / np.where(both > 0, both, 1)), abs=1e-12)
    assert (found.seen, found.unseen) == pytest.approx(tuple(curve.max(axis=0)), abs=1e-12)
    at_best = brute_force(scores, truth, seen, top, [found.bias])[0]
    assert 2 * at_best.prod() / max(at_best.sum(), 1e-9) == pytest.approx(found.harmonic_mean, abs=1e-9)


@given(problems(distinct=True))
@settings(deadline=None)
def test_published_grid_is_part_of_the_exact_curve(problem):
    scores, truth, seen, _ = problem
    nothing = np.zeros((len(seen), 2), dtype=np.int64)
    outcomes = pair_outcomes(scores, truth, nothing, seen)
    exact, grid = sweep(outcomes), sweep(outcomes, grid=True)
    assert {tuple(p) for p in grid.curve.tolist()} <= {tuple(p) for p in exact.curve.tolist()}
    assert grid.harmonic_mean <= exact.harmonic_mean


@given(problems())
@settings(deadline=None)
def test_blocks_and_order_of_candidates_change_nothing(problem):
    scores, truth, seen, top = problem
    pairs = np.stack([np.arange(len(seen)), np.zeros(len(seen), dtype=np.int64)], axis=1)
    whole = pair_outcomes(scores, truth, pairs, seen, top=top)
    blocks = PairOutcomes.gather(pair_outcomes(scores[i : i + 2], truth[i : i + 2], pairs, seen, top=top) for i in range(0, len(scores), 2))
    np.testing.assert_array_equal(whole.change, blocks.change)
    back = np.arange(len(seen))[::-1]
    np.testing.assert_array_equal(whole.change, pair_outcomes(scores[:, back], truth, pairs, seen, back, top=top).change)


def test_state_and_object_are_those_of_the_best_pair():
    pairs = np.array([[0, 0], [0, 1], [1, 1]])
    scores = np.array([[3.0, 2, 1], [3, 2, 1], [1, 2, 3]], dtype=np.float32)
    found = pair_outcomes(scores, np.array([0, 1, 1]), pairs, np.array([True, False, True]))
    assert found.state.tolist() == [True, True, False] and found.object.tolist() == [True, False, True]


def test_a_pair_that_is_no_candidate_or_ruled_out_is_never_right():
    pairs, seen = np.array([[0, 0], [0, 1], [1, 1]]), np.array([True, False, False])
    absent = pair_outcomes(np.zeros((1, 2), dtype=np.float32), np.array([2]), pairs, seen, np.array([0, 1]))
    ruled_out = pair_outcomes(np.array([[0, 0, -np.inf]], dtype=np.float32), np.array([2]), pairs, seen)
    assert absent.change.tolist() == ruled_out.change.tolist() == [np.inf]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_cannot_be_compared_are_refused(bad):
    scores = np.zeros((2, 2), dtype=np.float32)
    scores[1, 0] = bad
    with pytest.raises(InvalidInputError, match="finite"):
        bias_sweep(scores, np.array([0, 1]), np.array([True, False]))


def test_one_kind_of_image_alone_is_refused():
    with pytest.raises(InvalidInputError, match="2 of seen, 0 of unseen"):
        bias_sweep(np.zeros((2, 2), dtype=np.float32), np.array([0, 0]), np.array([True, False]))
    with pytest.raises(InvalidInputError, match="top is at least 1"):
        bias_sweep(np.zeros((2, 2), dtype=np.float32), np.array([0, 1]), np.array([True, False]), top=0)
