"""Calibration error, likelihood and Brier score against slow loops and scikit-learn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from kgzsl.errors import InvalidInputError
from kgzsl.metrics import brier_score, expected_calibration_error, negative_log_likelihood


def random_rows(seed: int, rows: int = 200, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.5), size=rows)
    return p, rng.integers(classes, size=rows)


def slow_error(p: np.ndarray, truth: np.ndarray, edges: np.ndarray) -> float:
    total = 0.0
    for low, high in itertools.pairwise(edges):
        inside = [i for i in range(len(p)) if low < p[i].max() <= high]
        if inside:
            confidence = np.mean([p[i].max() for i in inside])
            accuracy = np.mean([p[i].argmax() == truth[i] for i in inside])
            total += len(inside) / len(p) * abs(confidence - accuracy)
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20))
def test_calibration_error_by_width_equals_a_slow_loop(seed: int, bins: int) -> None:
    p, truth = random_rows(seed)
    assert expected_calibration_error(p, truth, bins=bins) == pytest.approx(slow_error(p, truth, np.arange(bins + 1) / bins))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 20))
def test_calibration_error_by_mass_equals_a_slow_loop(seed: int, bins: int) -> None:
    p, truth = random_rows(seed)
    p = np.round(p * 20) / 20  # many equal confidences
    p[:, 0] += 1 - p.sum(axis=1)
    p = np.abs(p) / np.abs(p).sum(axis=1, keepdims=True)
    edges = np.quantile(p.max(axis=1), np.arange(bins + 1) / bins)
    edges[0], edges[-1] = -1, 2
    assert expected_calibration_error(p, truth, bins=bins, by="mass") == pytest.approx(slow_error(p, truth, edges))


@pytest.mark.parametrize(("by", "strategy"), [("width", "uniform"), ("mass", "quantile")])
def test_the_bins_are_scikit_learns(by: str, strategy: str) -> None:
    p, truth = random_rows(7, rows=3000)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == truth
    accuracy, mean = calibration_curve(right, confidence, n_bins=10, strategy=strategy)
    edges = np.arange(11) / 10 if by == "width" else np.quantile(confidence, np.arange(11) / 10)
    counts = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=10)
    expected = np.sum(counts[counts > 0] / 3000 * np.abs(accuracy - mean))
    assert expected_calibration_error(p, truth, bins=10, by=by) == pytest.approx(expected)


def test_constant_confidence_is_one_bin_and_order_does_not_matter() -> None:
    p, truth = np.full((10, 4), 0.25), np.array([0, 0, 0, 0, 1, 1, 2, 3, 3, 3])
    for by in ("width", "mass"):
        assert expected_calibration_error(p, truth, by=by) == pytest.approx(0.15)  # 0.4 right, 0.25 sure
        assert expected_calibration_error(p, truth[::-1], by=by) == pytest.approx(0.15)


def test_perfect_probabilities_have_no_error() -> None:
    p, truth = np.eye(4)[[0, 1, 2, 3]], np.arange(4)
    assert expected_calibration_error(p, truth) == negative_log_likelihood(p, truth) == brier_score(p, truth) == 0
    assert brier_score(p, (truth + 1) % 4) == 2 and np.isfinite(negative_log_likelihood(p, (truth + 1) % 4))


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_likelihood_and_brier_score_equal_scikit_learn(seed: int) -> None:
    p, truth = random_rows(seed, rows=50)
    assert negative_log_likelihood(p, truth) == pytest.approx(log_loss(truth, p, labels=range(5)))
    per_class = sum(brier_score_loss(truth == c, p[:, c], pos_label=True) for c in range(5))
    assert brier_score(p, truth) == pytest.approx(per_class)


def test_what_are_no_probabilities_is_refused() -> None:
    truth = np.array([0, 1])
    for bad in (np.array([[0.5, 0.6], [0.5, 0.5]]), np.array([[-0.5, 1.5], [0.5, 0.5]]), np.full((2, 2), np.nan)):
        with pytest.raises(InvalidInputError, match="sum to 1"):
            negative_log_likelihood(bad, truth)
    with pytest.raises(InvalidInputError, match="true column per row"):
        brier_score(np.full((2, 2), 0.5), np.array([0]))
    with pytest.raises(InvalidInputError, match="at least one row"):
        brier_score(np.zeros((0, 2)), np.array([], dtype=int))
    with pytest.raises(InvalidInputError, match="one bin"):
        expected_calibration_error(np.full((2, 2), 0.5), truth, bins=0)
    with pytest.raises(InvalidInputError, match="width or by mass"):
        expected_calibration_error(np.full((2, 2), 0.5), truth, by="luck")  # type: ignore[arg-type]
