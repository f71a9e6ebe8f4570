"""The bias sweep against a slow one that adds every bias and sorts; blocks, ties, masked pairs, the published grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError
from kgzsl.metrics.compositional import PairStatistics, bias_sweep, pair_statistics, part_accuracies, statistics_in_blocks, sweep


def order_under(row: np.ndarray, seen: np.ndarray, bias: float) -> list[int]:
    """Positions of the pairs, best first: by score, the unseen before the seen, then as listed."""
    return sorted(range(len(row)), key=lambda j: (-(row[j] if seen[j] else row[j] + bias), seen[j], j))


def slow(scores: np.ndarray, truth: np.ndarray, seen: np.ndarray, k: int, biases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seen and unseen accuracy at each bias, by sorting all pairs of every image."""
    found = np.array([[truth[i] in order_under(row, seen, b)[:k] for i, row in enumerate(scores)] for b in biases])
    return found[:, seen[truth]].mean(axis=1), found[:, ~seen[truth]].mean(axis=1)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Scores on a coarse grid of whole numbers (so that sums with a bias are exact and ties are common)."""
    pairs, images, levels = draw(st.integers(2, 9)), draw(st.integers(2, 8)), draw(st.sampled_from([1, 2, 5, 1000]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    seen = random.random(pairs) < 0.5
    seen[:2] = True, False
    truth = random.integers(0, pairs, images)
    truth[:2] = 0, 1
    return random.integers(-levels, levels + 1, (images, pairs)).astype(np.float32), truth, seen, draw(st.integers(1, 3))


@given(problems())
@settings(max_examples=150, deadline=None)
def test_the_sweep_equals_a_brute_force_one(problem: tuple[np.ndarray, np.ndarray, np.ndarray, int]) -> None:
    scores, truth, seen, k = problem
    found = bias_sweep(scores, truth, seen, k=k)
    gaps = (scores[:, seen][:, :, None] - scores[:, ~seen][:, None, :]).ravel()  # nothing can change but at one of them
    biases = np.unique(np.concatenate([gaps, [gaps.min() - 1, gaps.max() + 1]]))
    s, u = slow(scores, truth, seen, k, biases)
    assert found.auc == pytest.approx(np.trapezoid(s, u), abs=1e-12)
    harmonic = np.where(s + u > 0, 2 * s * u / np.maximum(s + u, 1e-12), 0)
    assert (found.best_seen, found.best_unseen) == (s.max(), u.max())
    assert found.best_hm == pytest.approx(harmonic.max(), abs=1e-12)
    again = slow(scores, truth, seen, k, np.append(found.biases[1:], gaps.max() + 1))
    np.testing.assert_array_equal([*found.seen[1:], found.seen[-1]], again[0])
    np.testing.assert_array_equal([*found.unseen[1:], found.unseen[-1]], again[1])


@given(problems(), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_blocks_of_images_change_nothing(problem: tuple[np.ndarray, np.ndarray, np.ndarray, int], block: int) -> None:
    scores, truth, seen, k = problem
    whole = pair_statistics(scores, truth, seen, keep=k)
    parts = statistics_in_blocks(lambda rows: scores[rows], truth, seen, keep=k, block=block)
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    for bias in (-1.0, 0.0, 2.0):
        np.testing.assert_array_equal(parts.predicted(bias), [order_under(row, seen, bias)[0] for row in scores])


@given(problems())
@settings(max_examples=60, deadline=None)
def test_the_published_grid_equals_a_brute_force_one(problem: tuple[np.ndarray, np.ndarray, np.ndarray, int]) -> None:
    scores, truth, seen, k = problem
    unseen_image, k = ~seen[truth], min(k, int(seen.sum()))
    last = slow(scores, truth, seen, k, np.array([1e6]))
    at_last = np.array([truth[i] in order_under(row, seen, 1e6)[:k] for i, row in enumerate(scores)])
    highest = np.sort(scores[:, seen], axis=1)[:, -k]
    reached = np.sort((highest.astype(np.float64) - scores[np.arange(len(truth)), truth])[unseen_image & at_last] - 1e-4)
    biases = reached[:: max(len(reached) // 20, 1)]
    s, u = slow(scores, truth, seen, k, biases) if len(biases) else (np.zeros(0), np.zeros(0))
    found = bias_sweep(scores, truth, seen, k=k, protocol="czsl-20")
    np.testing.assert_array_equal(found.seen, [*s, *last[0]])
    np.testing.assert_array_equal(found.unseen, [*u, *last[1]])
    assert found.auc == pytest.approx(np.trapezoid([*s, *last[0]], [*u, *last[1]]), abs=1e-12)


def test_a_small_case_by_hand() -> None:
    """Two images of seen pairs with margins 3 and 1, two of unseen ones with 2 and 4; one seen image is never right."""
    seen = np.array([True, True, False])
    scores = np.array([[3, 0, 0], [1, 0, 0], [0, 2, 0], [4, 0, 0], [0, 9, 0]], dtype=np.float32)
    found = bias_sweep(scores, np.array([0, 0, 2, 2, 0]), seen)
    np.testing.assert_array_equal(found.biases, [-np.inf, 1, 2, 3, 4])
    np.testing.assert_allclose(found.seen, np.array([2, 1, 1, 0, 0]) / 3)
    np.testing.assert_allclose(found.unseen, np.array([0, 0, 1, 1, 2]) / 2)
    assert found.auc == pytest.approx(1 / 6) and found.hm_bias == 2
    assert found.best_hm == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))


def test_more_candidates_than_the_grid_has_biases_make_the_grid_smaller_than_the_curve() -> None:
    random = np.random.default_rng(0)
    truth, seen = random.integers(0, 40, 2_000), np.arange(40) < 25
    scores = random.normal(size=(2_000, 40)).astype(np.float32)
    scores[np.arange(2_000), truth] += 2
    exact, grid = (bias_sweep(scores, truth, seen, protocol=p) for p in ("exact", "czsl-20"))
    assert 20 <= len(grid.biases) <= 41 < len(exact.biases)
    assert grid.best_hm <= exact.best_hm and abs(grid.auc - exact.auc) < 0.01 and grid.auc != exact.auc


def test_a_true_pair_that_is_no_candidate_is_never_right() -> None:
    seen = np.array([True, False, False])
    scores = np.array([[2, 1, -np.inf], [1, 2, -np.inf], [1, 2, -np.inf]], dtype=np.float32)
    truth = np.array([0, 1, -1])
    dropped = bias_sweep(scores[:, :2], truth, seen[:2], truth_seen=np.array([True, False, False]))
    masked = bias_sweep(scores, np.array([0, 1, 2]), seen)
    assert dropped.best_unseen == masked.best_unseen == 0.5 and dropped.auc == masked.auc
    only_seen = bias_sweep(scores[:2, :1], np.array([0, -1]), seen[:1], truth_seen=np.array([True, False]))
    assert (only_seen.best_seen, only_seen.best_unseen, only_seen.auc) == (1, 0, 0)


def test_states_and_objects_are_those_of_the_best_pair() -> None:
    pairs = np.array([[0, 0], [0, 1], [1, 1]])
    found = pair_statistics(
        np.array([[1, 3, 2], [3, 2, 1], [0, 1, 1]], dtype=np.float32), np.array([2, 0, 1]), np.array([True, False, True])
    )
    np.testing.assert_array_equal(found.predicted(), [1, 0, 1])
    assert part_accuracies(pairs[found.predicted()], pairs[[2, 0, 1]]) == (pytest.approx(2 / 3), 1)
    np.testing.assert_array_equal(found.predicted(-9), [2, 0, 2])


SEEN = np.array([True, False])
GOOD = np.array([[1, 0], [0, 1]], dtype=np.float32)


@pytest.mark.parametrize(
    ("scores", "truth", "seen", "more", "rule"),
    [
        (GOOD * np.nan, [0, 1], SEEN, {}, "scores are numbers"),
        (GOOD + np.float32("inf"), [0, 1], SEEN, {}, "scores are numbers"),
        (GOOD, [0, 2], SEEN, {}, "a truth is the position of a pair"),
        (GOOD, [0, -1], SEEN, {}, "a truth is the position of a pair"),
        (GOOD, [0, 1, 1], SEEN, {}, "a truth for each image"),
        (GOOD.astype(int), [0, 1], SEEN, {}, "floating-point"),
        (GOOD, [0, 0], SEEN, {}, "images of seen and of unseen pairs"),
        (GOOD, [0, 1], SEEN, {"protocol": "czsl-30"}, "exact, czsl-20"),
        (GOOD, [0, 1], SEEN, {"k": 0}, "at least one score"),
        (GOOD, [0, 1], SEEN, {"truth_seen": np.array([True, True])}, "truth_seen says"),
        (GOOD[:0], [], SEEN, {}, "needs images"),
    ],
)
def test_what_is_no_sweep_is_refused(scores: np.ndarray, truth: list[int], seen: np.ndarray, more: dict, rule: str) -> None:
    with pytest.raises(InvalidInputError, match=rule):
        bias_sweep(scores, np.array(truth, dtype=np.int64), seen, **more)


def test_a_larger_k_than_kept_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"k is 1 … 1"):
        sweep(pair_statistics(GOOD, np.array([0, 1]), SEEN), k=2)


@pytest.mark.slow
def test_open_world_statistics_hold_one_block_at_a_time() -> None:
    """As many pairs as C-GQA's open world has; numpy's own allocations are traced."""
    import tracemalloc

    random = np.random.default_rng(0)
    pairs, images = 278_362, 300
    seen, truth = np.arange(pairs) < 5_592, np.concatenate([np.arange(150), 278_000 + np.arange(150)])
    tracemalloc.start()
    found = statistics_in_blocks(lambda r: random.random((r.stop - r.start, pairs), dtype=np.float32), truth, seen)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert isinstance(found, PairStatistics) and len(found) == images and peak < 400
