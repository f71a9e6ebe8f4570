"""Are the probabilities right? Calibration error, negative log-likelihood, Brier score."""

from __future__ import annotations

from typing import Literal

import numpy as np

from kgzsl.errors import InvalidInputError

Bins = Literal["width", "mass"]


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray, *, bins: int = 15, by: Bins = "width") -> float:
    """Return the mean gap between confidence and accuracy over bins of confidence, weighted by their rows (Guo et al., 2017, eq. 3).

    Parameters
    ----------
    probabilities : `[rows, classes]`; rows sum to 1.
    truth : column of each row's class, `[rows]`.
    bins : how many; a confidence on an edge belongs to the lower bin.
    by : `width` cuts 0…1 into equal parts; `mass` cuts at quantiles of the confidences, equal ones staying together,
        so that constant confidences are one bin.

    Returns
    -------
    A number in 0…1.

    Raises
    ------
    InvalidInputError : not probabilities, no rows, or fewer than one bin.
    """
    check_probabilities(probabilities, truth)
    if bins < 1:
        raise InvalidInputError("calibration error needs at least one bin", received=bins)
    if by not in ("width", "mass"):
        raise InvalidInputError("bins are by width or by mass", received=repr(by))
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    inner = np.arange(1, bins) / bins
    edges = inner if by == "width" else np.quantile(confidence, inner)
    place = np.searchsorted(edges, confidence, side="left")
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def negative_log_likelihood(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of −log p(true class) in nats; probabilities of 0 count as the smallest positive number of their type."""
    check_probabilities(probabilities, truth)
    own = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(own, np.finfo(own.dtype).tiny)).mean(dtype=np.float64))


def brier_score(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of `Σ_c (p_c − [c is true])²`, in 0…2 (Brier, 1950)."""
    check_probabilities(probabilities, truth)
    own = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    squares = np.einsum("rc,rc->r", probabilities, probabilities, dtype=np.float64)
    return float((squares - 2 * own + 1).mean())


def check_probabilities(probabilities: np.ndarray, truth: np.ndarray) -> None:
    """Raise InvalidInputError unless `probabilities` is `[rows, classes]`, ≥ 0 with rows that sum to 1, and `truth` fits it."""
    if probabilities.ndim != 2 or len(probabilities) == 0 or len(truth) != len(probabilities):
        raise InvalidInputError(
            "probabilities are [rows, classes] with a true column per row, and there is at least one row",
            received=f"{probabilities.shape} and {len(truth)} columns",
        )
    if not (probabilities >= 0).all() or not np.allclose(probabilities.sum(axis=1, dtype=np.float64), 1.0, atol=1e-4):
        raise InvalidInputError(
            "probabilities are not negative and sum to 1 in every row",
            received=f"values from {probabilities.min():.4g}, rows that sum to {probabilities.sum(axis=1).min():.4g} and more",
            remedy="turn scores into probabilities first (calibration.Temperature)",
        )
