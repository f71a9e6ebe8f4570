"""Temperature and bias: the likelihood's minimum, found twice."""

from __future__ import annotations

import numpy as np
import pytest
from calibration.scored import biased_rows, names
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from sklearn.linear_model import LogisticRegression

from kgzsl.calibration import HeldOut, ScoredRows, Temperature, TemperatureBias, softmax
from kgzsl.calibration.temperature import fit_temperature
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.metrics import expected_calibration_error, negative_log_likelihood


def slow_loss(scores: np.ndarray, truth: np.ndarray, temperature: float) -> float:
    total = 0.0
    for row, own in zip(scores, truth, strict=True):
        z = (row - row.max()) / temperature
        total -= z[own] - np.log(np.sum(np.exp(z)))
    return total / len(scores)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_the_temperature_minimises_a_slow_loss_at_any_scale(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(5, size=60)
    scores = scale * (rng.normal(size=(60, 5)) + np.eye(5)[truth] - 3)
    found = fit_temperature(scores, truth)
    middle = np.log(scale)
    best = optimize.minimize_scalar(lambda t: slow_loss(scores, truth, np.exp(t)), bounds=(middle - 4, middle + 4), method="bounded")
    assert slow_loss(scores, truth, found) <= best.fun + 1e-7


def test_the_temperature_undoes_an_overconfident_scale() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 6)) * 2
    truth = np.array([rng.choice(6, p=p) for p in softmax(logits)])
    held_out = HeldOut(names(6), (), 7 * logits, labels=tuple(names(6)[i] for i in truth))
    calibration = Temperature().fit(held_out)
    assert calibration.temperature == pytest.approx(7, rel=0.05)
    before, after = softmax(held_out.scores), calibration.probabilities(held_out)
    assert expected_calibration_error(after, truth) < 0.02 < 0.2 < expected_calibration_error(before, truth)
    assert calibration.decide(held_out).ids == tuple(held_out.classes[i] for i in held_out.scores.argmax(axis=1))


def test_constant_scores_give_the_temperature_one() -> None:
    assert fit_temperature(np.full((5, 3), -2.0), np.zeros(5, dtype=int)) == 1.0


def test_useless_and_separable_scores_stay_finite() -> None:
    truth = np.arange(30) % 3
    assert np.isfinite(fit_temperature(-np.eye(3)[truth], truth)) and fit_temperature(np.eye(3)[truth], truth) > 0


def test_the_bias_equals_an_unpenalised_logistic_regression_of_two_classes() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(2, size=400)
    margin = rng.normal(size=400) + 1.5 * (truth == 0) + 1  # seen minus unseen, too high by one
    held_out = HeldOut(names(2), names(1), np.stack([margin, np.zeros(400)], axis=1), labels=tuple(names(2)[i] for i in truth))
    ours = TemperatureBias().fit(held_out)
    theirs = LogisticRegression(C=1e9, tol=1e-10).fit(margin[:, None], truth == 0)
    assert 1 / ours.temperature == pytest.approx(theirs.coef_[0, 0], rel=1e-3) and -ours.bias == pytest.approx(
        theirs.intercept_[0], rel=1e-3
    )


def test_the_bias_takes_the_seen_classes_advantage_away() -> None:
    held_out, fresh = biased_rows(0), biased_rows(1)
    plain, biased = Temperature().fit(held_out), TemperatureBias().fit(held_out)
    assert biased.bias * biased.temperature == pytest.approx(2.0, abs=0.5)  # in the scores' units
    likelihood = [negative_log_likelihood(c.probabilities(fresh), fresh.truth) for c in (plain, biased)]
    assert likelihood[1] < likelihood[0] - 0.05
    answers = biased.decide(fresh)
    np.testing.assert_allclose(answers.scores.sum(axis=1), 1)


def test_what_is_wrong_is_refused() -> None:
    held_out = biased_rows(0)
    with pytest.raises(InvalidInputError, match="after fit"):
        Temperature().decide(held_out)
    with pytest.raises(InvalidInputError, match="positive number"):
        Temperature(temperature=0.0)
    with pytest.raises(InvalidInputError, match="treated as unseen"):
        TemperatureBias().fit(HeldOut(held_out.classes, held_out.classes, held_out.scores, labels=held_out.labels))
    with pytest.raises(InvalidInputError, match="finite"):
        ScoredRows(names(2), (), np.array([[np.nan, 0.0]]))
    with pytest.raises(InvalidInputError, match=r"\[rows, classes\]"):
        ScoredRows(names(3), (), np.zeros((1, 2)))
    with pytest.raises(InvalidInputError, match="row per row"):
        ScoredRows(names(2), (), np.zeros((1, 2)), np.zeros((2, 4)))
    with pytest.raises(UnknownNameError, match="class axis"):
        ScoredRows(names(2), ("t:009",), np.zeros((1, 2)))
    with pytest.raises(UnknownNameError, match="class axis"):
        HeldOut(names(2), (), np.zeros((1, 2)), labels=("t:009",))
    with pytest.raises(InvalidInputError, match="at least one"):
        HeldOut(names(2), (), np.zeros((0, 2)), labels=())
