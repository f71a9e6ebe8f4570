"""Generalised zero-shot accuracy: seen, unseen, and how they trade."""

from __future__ import annotations

import numpy as np


def harmonic_mean(seen: float, unseen: float) -> float:
    """Return H = 2SU / (S + U); 0 when both are 0 (Xian et al., 2018, eq. 5)."""
    return 0.0 if seen + unseen == 0 else 2 * seen * unseen / (seen + unseen)


def bias_sweep(
    margin_seen: np.ndarray,
    right_seen: np.ndarray,
    margin_unseen: np.ndarray,
    right_unseen: np.ndarray,
    weight_seen: np.ndarray,
    weight_unseen: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Accuracy of both sides at every value of γ where a decision changes (calibrated stacking's exact curve).

    A row answers with its best seen class while `best seen score − γ > best unseen score`, that is while
    `γ < margin`. At γ equal to a margin the answer is the unseen class.

    Parameters
    ----------
    margin_seen, margin_unseen : best seen score − best unseen score, per row of seen and of unseen classes.
    right_seen : 1 where a seen row's best seen class is the true one, else 0.
    right_unseen : 1 where an unseen row's best unseen class is the true one, else 0.
    weight_seen, weight_unseen : weight of each row; each sums to 1 (1 / rows, or per-class weights).

    Returns
    -------
    gammas : `[points]` ascending, the first −∞.
    seen, unseen : accuracies `[points]` for γ at and just above each point.
    """
    points = np.unique(np.concatenate([margin_seen, margin_unseen]))
    gammas = np.concatenate([[-np.inf], points])

    def mass_up_to(margin: np.ndarray, mass: np.ndarray) -> np.ndarray:
        order = np.argsort(margin, kind="stable")
        total = np.concatenate([[0.0], np.cumsum(mass[order])])
        return total[np.searchsorted(margin[order], gammas, side="right")]

    gained = mass_up_to(margin_unseen, right_unseen * weight_unseen)  # γ ≥ margin: answers unseen
    lost = mass_up_to(margin_seen, right_seen * weight_seen)
    return gammas, float((right_seen * weight_seen).sum()) - lost, gained


def area_under_curve(seen: np.ndarray, unseen: np.ndarray) -> float:
    """Return AUSUC, the area under the (unseen, seen) accuracy curve in 0…1 (Chao et al., 2016, eq. 4)."""
    order = np.argsort(unseen, kind="stable")
    return float(np.trapezoid(seen[order], unseen[order]))
