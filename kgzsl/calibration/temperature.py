"""Temperature scaling: probabilities whose confidence is right on held-out rows (Guo et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from scipy import optimize, special

from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows, check_fitted
from kgzsl.errors import DivergedError, InvalidInputError

#: 1 / T of scores with unit spread stays in this range: useless scores would send it to 0, separable rows to infinity.
SHARPNESS = (1e-4, 1e4)


def softmax(scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return `exp(s / T) / Σ exp(s / T)` along the last axis, float64, same shape; sums to 1.

    Raises
    ------
    InvalidInputError : T is not a positive number.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise InvalidInputError("a temperature is a positive number", received=temperature)
    return np.asarray(special.softmax(np.asarray(scores, dtype=np.float64) / temperature, axis=-1))


def fit_temperature(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the T > 0 with the least negative log-likelihood of `truth` (Guo et al., 2017, eq. 9).

    Convex in 1 / T, solved by L-BFGS. Constant scores say nothing about T and give 1.

    Parameters
    ----------
    scores : `[rows, classes]`.
    truth : column of each row's class, `[rows]`.
    """
    return _fit(scores, truth, np.zeros(scores.shape[1]))[0]


def _fit(scores: np.ndarray, truth: np.ndarray, offset: np.ndarray) -> tuple[float, float]:
    """Return T and b of `softmax(s / T − b · offset)`; b is 0 where `offset` `[classes]` is constant."""
    centred = np.asarray(scores, dtype=np.float64) - scores.mean(axis=1, keepdims=True)
    spread = float(centred.std())
    if spread == 0:
        return 1.0, 0.0
    unit = centred / spread
    rows, biased = np.arange(len(unit)), float(np.ptp(offset)) > 0

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        logits = x[0] * unit - x[1] * offset
        top = special.logsumexp(logits, axis=1)
        probabilities = np.exp(logits - top[:, None])
        loss = float((top - logits[rows, truth]).mean())
        sharper = ((probabilities * unit).sum(axis=1) - unit[rows, truth]).mean()
        lower = (offset[truth] - probabilities @ offset).mean()
        return loss, np.array([sharper, lower if biased else 0.0])

    sharpness, bias = minimise(objective, [1.0, 0.0], [SHARPNESS, (None, None) if biased else (0.0, 0.0)])
    return spread / float(sharpness), float(bias)


def minimise(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]], start: Sequence[float], bounds: Sequence[tuple[float | None, float | None]]
) -> np.ndarray:
    """Return the minimiser of a smooth convex function by L-BFGS-B.

    Parameters
    ----------
    objective : point `[dim]` → value and gradient `[dim]`.

    Raises
    ------
    DivergedError : the value is not finite where it ended.
    """
    options = {"gtol": 1e-9, "ftol": 1e-14}
    begin = np.asarray(start, dtype=np.float64)
    found = optimize.minimize(objective, begin, jac=True, method="L-BFGS-B", bounds=list(bounds), options=options)
    if not np.isfinite(found.fun):
        raise DivergedError("a calibration's likelihood must stay finite", received=found.message, remedy="check the held-out scores")
    return np.asarray(found.x)


class Temperature(Calibration):
    """Scores become probabilities by one temperature fitted on held-out rows; answers stay the same.

    Parameters
    ----------
    temperature : T, where it is known already; `fit` sets it.
    """

    name = "temperature"
    source = "Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 4.2"

    def __init__(self, *, temperature: float | None = None) -> None:
        if temperature is not None:
            softmax(np.zeros(1), temperature)
        self.temperature = temperature

    def fit(self, held_out: HeldOut) -> Self:
        """Fit T on the joint class axis by likelihood (see `fit_temperature`)."""
        self.temperature = fit_temperature(held_out.scores, held_out.truth)
        return self

    def probabilities(self, rows: ScoredRows) -> np.ndarray:
        """Return p(class | row), float64 `[rows, classes]`; rows sum to 1."""
        check_fitted(self.temperature, self)
        assert self.temperature is not None
        return softmax(rows.scores, self.temperature)

    def decide(self, rows: ScoredRows) -> Answers:
        return Answers.of_scores(rows.classes, self.probabilities(rows))


class TemperatureBias(Calibration):
    """Probabilities by a temperature and one bias of all seen classes, `softmax(s / T − b · [seen])`.

    The bias is the likelihood's answer to calibrated stacking's γ (γ = b T). A bias per class, as in vector scaling, cannot be
    fitted for classes without rows.
    """

    name = "temperature_bias"
    source = "Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, ICML 2017, with one bias for all seen classes"

    temperature: float | None = None
    bias: float = 0.0

    def fit(self, held_out: HeldOut) -> Self:
        """Fit T and b by likelihood on rows of seen classes and of classes treated as unseen."""
        held_out.of_seen_class()
        self.temperature, self.bias = _fit(held_out.scores, held_out.truth, held_out.is_seen.astype(np.float64))
        return self

    def probabilities(self, rows: ScoredRows) -> np.ndarray:
        """Return p(class | row), float64 `[rows, classes]`; rows sum to 1."""
        check_fitted(self.temperature, self)
        assert self.temperature is not None
        return softmax(rows.scores / self.temperature - self.bias * rows.is_seen)

    def decide(self, rows: ScoredRows) -> Answers:
        return Answers.of_scores(rows.classes, self.probabilities(rows))
