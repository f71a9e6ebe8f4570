"""Compositional zero-shot metrics: the bias sweep over every change point, from one number per image.

A bias b is added to the scores of unseen pairs. An image of a seen pair is right up to some bias and wrong after it, one of an
unseen pair the other way round; that bias, where it changes, is all that the curve of seen against unseen accuracy needs
(Purushwalkam et al., ICCV 2019). Scores may therefore come in blocks and be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kgzsl.errors import InvalidInputError

#: Biases of the published evaluator: about so many of the change points of unseen images, each lowered by a little.
GRID, GRID_STEP = 20, 1e-4


@dataclass(frozen=True)
class PairOutcomes:
    """What a sweep needs to know of each image.

    Attributes
    ----------
    seen : whether the true pair is a seen one, bool `[rows]`.
    change : float64 `[rows]`. An image of a seen pair is right below this bias, one of an unseen pair above it; an infinity of the
        one sign is right at every bias, of the other at none.
    state, object : whether the best pair without any bias has the true state, the true object, bool `[rows]`.
    """

    seen: np.ndarray
    change: np.ndarray
    state: np.ndarray
    object: np.ndarray

    @classmethod
    def gather(cls, parts: Iterable[PairOutcomes]) -> PairOutcomes:
        """Return the images of all parts, in order."""
        listed = list(parts)
        return cls(*(np.concatenate([getattr(part, name) for part in listed]) for name in ("seen", "change", "state", "object")))


@dataclass(frozen=True)
class Sweep:
    """The curve and what is read from it; all accuracies in 0…1, per image.

    Attributes
    ----------
    auc : area under unseen accuracy as a function of seen accuracy.
    harmonic_mean, seen, unseen : the best of each over all biases.
    bias : one with the best harmonic mean.
    curve : `[points, 2]` of seen and unseen accuracy, by rising bias.
    """

    auc: float
    harmonic_mean: float
    seen: float
    unseen: float
    bias: float
    curve: np.ndarray


def pair_outcomes(
    scores: np.ndarray,
    truth: np.ndarray,
    pairs: np.ndarray,
    seen: np.ndarray,
    candidates: np.ndarray | None = None,
    *,
    top: int = 1,
) -> PairOutcomes:
    """Return the outcomes of a block of images. Ties count against the true pair.

    Parameters
    ----------
    scores : `[rows, candidates]`, finite or −∞ (for pairs that are ruled out).
    truth : positions of the true pairs in `pairs`, int64 `[rows]`.
    pairs : states and objects, int64 `[pairs, 2]`.
    seen : whether a pair is seen, bool `[pairs]`.
    candidates : positions in `pairs` of the columns of `scores`, unique; None for all. An image whose pair is none of them is wrong.
    top : the true pair must be among so many best.

    Raises
    ------
    InvalidInputError : shapes disagree, a NaN or +∞ among the scores, or `top` below 1.
    """
    columns = np.arange(len(pairs)) if candidates is None else candidates
    if scores.shape != (len(truth), len(columns)) or len(seen) != len(pairs) or top < 1:
        raise InvalidInputError(
            "scores are [rows, candidates], with a true pair for every row and `seen` for every pair; top is at least 1",
            received=f"{scores.shape} scores, {len(truth)} rows, {len(columns)} candidates, {len(pairs)} pairs, top {top}",
        )
    if np.isnan(scores).any() or (scores == np.inf).any():
        raise InvalidInputError("scores of pairs are finite, or −∞ where ruled out", received="NaN or +∞")
    where = np.full(len(pairs), -1)
    where[columns] = np.arange(len(columns))
    at, rows = where[truth], np.arange(len(truth))
    own = np.where(at >= 0, scores[rows, at], -np.inf).astype(np.float64)
    is_seen = seen[truth]
    best = np.argmax(scores, axis=1)
    change = np.empty(len(truth))
    for side in (True, False):
        of_side = np.flatnonzero(is_seen == side)
        change[of_side] = _change(scores[of_side], own[of_side], at[of_side], seen[columns] == side, top)
    change[~is_seen] *= -1
    right = pairs[columns[best]] == pairs[truth]
    return PairOutcomes(is_seen, change, right[:, 0], right[:, 1])


def _change(scores: np.ndarray, own: np.ndarray, at: np.ndarray, same_side: np.ndarray, top: int) -> np.ndarray:
    """Return how much the other side's scores may gain on the true pair's until it leaves the `top` best, `[rows]`."""
    found = np.full(len(scores), -np.inf)
    if not len(scores):
        return found
    rivals, others = scores[:, same_side], scores[:, ~same_side]
    column = np.cumsum(same_side) - 1
    listed = at >= 0
    rivals[np.flatnonzero(listed), column[at[listed]]] = -np.inf
    ahead = (_highest(rivals, top) >= own[:, None]).sum(axis=1)
    left = top - ahead
    possible = listed & (left > 0) & np.isfinite(own)
    rows = np.flatnonzero(possible)
    highest = _highest(others, top)
    found[rows] = own[rows] - highest[rows, left[rows] - 1]
    return found


def _highest(scores: np.ndarray, top: int) -> np.ndarray:
    """Return the `top` highest of each row, falling, `[rows, top]`; −∞ where there are fewer."""
    if top == 1:
        return scores.max(axis=1, initial=-np.inf, keepdims=True)
    size = min(top, scores.shape[1])
    part = -np.sort(-np.partition(scores, scores.shape[1] - size, axis=1)[:, scores.shape[1] - size :], axis=1)
    return np.pad(part, ((0, 0), (0, top - size)), constant_values=-np.inf)


def sweep(outcomes: PairOutcomes, *, grid: bool = False) -> Sweep:
    """Return the curve over all biases between change points; with `grid` over the published evaluator's biases alone.

    Raises
    ------
    InvalidInputError : no image of a seen pair, or none of an unseen one.
    """
    of_seen, of_unseen = (np.sort(outcomes.change[outcomes.seen == side]) for side in (True, False))
    if not len(of_seen) or not len(of_unseen):
        raise InvalidInputError(
            "a bias sweep needs images of seen and of unseen pairs", received=f"{len(of_seen)} of seen, {len(of_unseen)} of unseen"
        )
    biases = _published_biases(of_unseen) if grid else _between(np.concatenate([of_seen, of_unseen]))
    seen = 1 - np.searchsorted(of_seen, biases, side="right") / len(of_seen)
    unseen = np.searchsorted(of_unseen, biases, side="left") / len(of_unseen)
    both = seen + unseen
    means = np.divide(2 * seen * unseen, both, out=np.zeros(len(both)), where=both > 0)
    best = int(np.argmax(means))
    area = float(np.trapezoid(seen, unseen))
    return Sweep(area, float(means[best]), float(seen.max()), float(unseen.max()), float(biases[best]), np.stack([seen, unseen], axis=1))


def _between(changes: np.ndarray) -> np.ndarray:
    """Return one bias of every interval between neighbouring change points, the two unbounded ones with them."""
    points = np.unique(changes[np.isfinite(changes)])
    if not len(points):
        return np.zeros(1)
    middle = points[:-1] + (points[1:] - points[:-1]) / 2
    return np.concatenate([[points[0] - 1], middle, [points[-1] + 1]])


def _published_biases(of_unseen: np.ndarray) -> np.ndarray:
    """Return the published evaluator's grid: some change points of unseen images, less 1e-4, and one bias beyond all scores."""
    points = of_unseen[np.isfinite(of_unseen)]
    return np.append(points[:: max(len(points) // GRID, 1)] - GRID_STEP, 1e3)


def bias_sweep(scores: np.ndarray, truth: np.ndarray, seen: np.ndarray, *, top: int = 1) -> Sweep:
    """Return the sweep of scores `[rows, pairs]` whose true columns are `truth` `[rows]`; `seen` `[pairs]` says which are seen."""
    nothing = np.zeros((len(seen), 2), dtype=np.int64)  # states and objects play no part in the curve
    return sweep(pair_outcomes(scores, truth, nothing, seen, top=top))
