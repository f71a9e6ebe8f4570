"""Metrics against second, independent implementations; ties, single rows and chance included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from kgzsl.errors import InvalidInputError
from kgzsl.metrics import area_under_curve, bias_sweep, harmonic_mean, hit_at_k, hits, per_class_mean, rank_bounds


def test_hits_equal_scikit_learn_without_ties():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(300, 40)) - 5, rng.integers(40, size=300)  # negative scores too
    greater, equal = rank_bounds(scores, truth)
    for k in (1, 2, 5, 10, 20):
        assert hit_at_k(greater, equal, [k])[f"hit@{k}"] == pytest.approx(top_k_accuracy_score(truth, scores, k=k, labels=range(40)))


def test_constant_scores_give_chance():
    greater, equal = rank_bounds(np.zeros((7, 50), dtype=np.float32), np.arange(7))
    assert hit_at_k(greater, equal, [1, 5]) == {"hit@1": pytest.approx(1 / 50), "hit@5": pytest.approx(5 / 50)}


@given(arrays(np.int8, (5, 6), elements=st.integers(0, 3)), arrays(np.int64, 5, elements=st.integers(0, 5)), st.integers(1, 6))
def test_ties_equal_the_mean_over_random_orders(scores, truth, k):
    greater, equal = rank_bounds(scores.astype(float), truth)
    for row in range(5):
        own = scores[row, truth[row]]
        above, level = int((scores[row] > own).sum()), int((scores[row] == own).sum())
        places = [above + i < k for i in range(level)]  # the true one stands at each place among its ties equally often
        assert hits(greater, equal, k)[row] == pytest.approx(np.mean(places))


def test_nan_scores_are_refused():
    with pytest.raises(InvalidInputError, match="finite"):
        rank_bounds(np.array([[np.nan, 1.0]]), np.array([0]))


def test_per_class_mean_equals_balanced_accuracy():
    rng = np.random.default_rng(1)
    labels, predicted = rng.integers(7, size=500) ** 2, rng.integers(7, size=500) ** 2
    assert per_class_mean((labels == predicted).astype(float), labels) == pytest.approx(balanced_accuracy_score(labels, predicted))
    with pytest.raises(InvalidInputError):
        per_class_mean(np.array([]), np.array([]))


def test_harmonic_mean():
    assert harmonic_mean(0.0, 0.0) == 0.0
    assert harmonic_mean(0.5, 1.0) == pytest.approx(2 / 3)


@given(st.integers(0, 10_000))
def test_bias_sweep_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    n, seen = 12, 5
    scores, truth = rng.integers(0, 6, size=(n, 9)).astype(float), np.concatenate([rng.integers(0, seen, 6), rng.integers(seen, 9, 6)])
    best_seen, best_unseen = scores[:, :seen].argmax(1), seen + scores[:, seen:].argmax(1)
    margin = scores[:, :seen].max(1) - scores[:, seen:].max(1)
    s = truth < seen
    gammas, acc_s, acc_u = bias_sweep(
        margin[s],
        (best_seen == truth)[s].astype(float),
        margin[~s],
        (best_unseen == truth)[~s].astype(float),
        np.full(6, 1 / 6),
        np.full(6, 1 / 6),
    )
    for gamma, a, b in zip(gammas, acc_s, acc_u, strict=True):
        answer = np.where(margin > gamma, best_seen, best_unseen)
        assert a == pytest.approx((answer == truth)[s].mean()) and b == pytest.approx((answer == truth)[~s].mean())
    assert 0.0 <= area_under_curve(acc_s, acc_u) <= 1.0


def test_area_of_a_perfect_classifier_is_one():
    gammas, seen, unseen = bias_sweep(np.ones(4), np.ones(4), -np.ones(4), np.ones(4), np.full(4, 0.25), np.full(4, 0.25))
    assert area_under_curve(seen, unseen) == pytest.approx(1.0)
    assert any(s == 1.0 and u == 1.0 for s, u in zip(seen, unseen, strict=True)) and len(gammas) == 3
