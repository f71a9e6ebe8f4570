"""How sure graph_gp is of a class it never saw: the posterior variance of its weights, calibrated on held-out seen classes.

The posterior variance of a weight vector at node u, the same for all its columns but for their scale, is

    v(u) = k(u, u) + λ − k(u, S) (K_SS + λI)⁻¹ k(S, u).                                        (1)

What is wanted is the squared error of the predicted direction, e(u) = ‖unit ŵ(u) − y(u)‖² in 0…4, that is 2 − 2 cos. A
kernel learned for ranking need not have the right variance, so the seen classes are left out in groups, which costs no
fit: with A = (K_SS + λI)⁻¹, the group g is predicted by the others with

    y_g − ŵ_g = (A_gg)⁻¹ (A Y)_g,    v_g = diag (A_gg)⁻¹                                        (2)

(Rasmussen and Williams, 2006, section 5.4.2, for groups), and `log e = α + β log v + r` is fitted to them by least squares
with β ≥ 0. The residuals r stay: their quantiles make intervals that hold for a new class as far as it is like the
held-out ones (split conformal prediction), whatever the distribution of r.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kgzsl.errors import InvalidInputError


@dataclass(frozen=True)
class Calibration:
    """`log e = intercept + slope · log v + r`, r one of the sorted `residuals`."""

    intercept: float
    slope: float
    residuals: np.ndarray

    def error(self, variance: np.ndarray) -> np.ndarray:
        """Return the expected squared error of directions with these posterior variances, `[nodes]`."""
        return np.exp(self._middle(variance)) * np.exp(self.residuals).mean()

    def interval(self, variance: np.ndarray, level: float) -> np.ndarray:
        """Return the ends between which the squared error lies with probability `level`, `[nodes, 2]`.

        Raises
        ------
        InvalidInputError : a level outside 0…1, or one that so few held-out classes cannot tell from 1.
        """
        count = len(self.residuals)
        if not 0 < level < 1 or math.ceil((count + 1) * (1 + level) / 2) > count:
            raise InvalidInputError(
                "the level lies between 0 and 1, with enough held-out classes on both sides", received=f"{level} with {count} classes"
            )
        upper = math.ceil((count + 1) * (1 + level) / 2) - 1
        ends = self.residuals[[count - 1 - upper, upper]]
        return np.exp(self._middle(variance)[:, None] + ends)

    def _middle(self, variance: np.ndarray) -> np.ndarray:
        return self.intercept + self.slope * np.log(np.maximum(variance, 1e-12))


def calibrate(inverse: np.ndarray, weights: np.ndarray, groups: int, seed: int) -> Calibration:
    """Fit a calibration on the seen classes.

    Parameters
    ----------
    inverse : A of eq. (2), `[seen, seen]`.
    weights : Y, unit rows `[seen, features + 1]`.
    groups : how many groups are left out in turn; few make the held-out classes as lonely as those never seen.
    """
    variance, error = left_out(inverse, weights, groups, seed)
    x, y = np.log(np.maximum(variance, 1e-12)), np.log(np.maximum(error, 1e-12))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = max(float(((x - x.mean()) * (y - y.mean())).sum()) / spread, 0.0) if spread > 0 else 0.0
    intercept = float(y.mean() - slope * x.mean())
    return Calibration(intercept, slope, np.sort(y - intercept - slope * x))


def left_out(inverse: np.ndarray, weights: np.ndarray, groups: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return every seen class's posterior variance and squared error with its group left out (eq. 2), `[seen]` each."""
    inverse, weights = inverse.astype(np.float64), weights.astype(np.float64)
    variance, error = np.empty(len(weights)), np.empty(len(weights))
    dual = inverse @ weights
    for group in np.array_split(np.random.default_rng(seed).permutation(len(weights)), groups):
        block = np.linalg.inv(inverse[np.ix_(group, group)])
        predicted = weights[group] - block @ dual[group]
        predicted /= np.maximum(np.linalg.norm(predicted, axis=1, keepdims=True), 1e-12)
        variance[group], error[group] = np.diag(block), ((predicted - weights[group]) ** 2).sum(axis=1)
    return variance, error
