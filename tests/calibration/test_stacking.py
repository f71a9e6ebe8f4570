"""Calibrated stacking: γ comes from held-out seen classes and does what the formula says."""

from __future__ import annotations

import numpy as np
import pytest

from kgzsl.calibration import JointScores, choose_gamma, evaluate
from kgzsl.errors import InvalidInputError

SEEN = np.array([True] * 4 + [False] * 3)


def _random(seed: int, shift: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(7, size=400)
    scores = rng.normal(size=(400, 7)) + 2 * np.eye(7)[truth]
    scores[:, :4] += shift  # seen classes score too high, as they do
    return scores, truth


def test_evaluate_equals_subtracting_gamma():
    scores, truth = _random(0)
    joint = JointScores.from_scores(scores, truth, SEEN)
    for gamma in (-1.0, 0.0, 1.3, 2.0, 9.0):
        answer = (scores - gamma * SEEN).argmax(axis=1)
        per_class = [np.mean(answer[truth == c] == c) for c in range(7)]
        found = evaluate(joint, gamma)
        assert found["S"] == pytest.approx(np.mean(per_class[:4])) and found["U"] == pytest.approx(np.mean(per_class[4:]))


def test_gamma_undoes_the_shift():
    held_out = JointScores.from_scores(*_random(1), SEEN)
    gamma = choose_gamma(held_out)
    assert gamma == pytest.approx(2.0, abs=0.6)
    test = JointScores.from_scores(*_random(2), SEEN)
    assert evaluate(test, gamma)["H"] > evaluate(test, 0.0)["H"] + 0.1


def test_one_side_only_is_refused():
    scores, truth = _random(3)
    with pytest.raises(InvalidInputError, match="seen and unseen classes"):
        JointScores.from_scores(scores, truth, np.ones(7, dtype=bool))
    joint = JointScores.from_scores(scores[truth < 4], truth[truth < 4], SEEN)
    with pytest.raises(InvalidInputError, match="rows of seen and of unseen"):
        choose_gamma(joint)
