"""Hit@k from scores, in chunks, with ties shared fairly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgzsl.errors import InvalidInputError

#: Published ImageNet-21K tables report these (Frome et al., 2013).
KS = (1, 2, 5, 10, 20)


def rank_bounds(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the candidates above and level with the true one.

    Parameters
    ----------
    scores : `[rows, candidates]`, higher is better, finite.
    truth : column of the true candidate per row, `[rows]`.

    Returns
    -------
    greater : candidates with a strictly higher score, int64 `[rows]`.
    equal : candidates with the same score, the true one included, int64 `[rows]` (≥ 1).
    """
    own = scores[np.arange(len(scores)), truth][:, None]
    if not np.isfinite(own).all():
        raise InvalidInputError("scores must be finite", received="NaN or infinity", remedy="check the classifier weights and features")
    return (scores > own).sum(axis=1), (scores == own).sum(axis=1)


def hits(greater: np.ndarray, equal: np.ndarray, k: int) -> np.ndarray:
    """Return per row the probability that the true candidate is among the top `k`, `[rows]` in 0…1.

    Tied candidates are in random order, so constant scores give the chance value k / candidates.
    """
    return np.clip((k - greater) / equal, 0.0, 1.0)


def hit_at_k(greater: np.ndarray, equal: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """Return `{"hit@k": mean over rows}` for every k; values in 0…1."""
    return {f"hit@{k}": float(hits(greater, equal, k).mean()) for k in ks}


def per_class_mean(values: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over classes of the mean over each class's rows (per-class top-1 when `values` are hits).

    Parameters
    ----------
    values : `[rows]`.
    labels : class index of each row, `[rows]`.
    """
    if len(values) == 0:
        raise InvalidInputError("a mean needs at least one row", received="none")
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return float((np.bincount(inverse, weights=values) / counts).mean())
