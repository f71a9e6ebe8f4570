"""The bias sweep of compositional zero-shot learning, exact: seen and unseen accuracy for every bias that changes a decision.

A bias b is added to the scores of unseen pairs before the best pair is taken (Chao et al., ECCV 2016; Purushwalkam et al., ICCV 2019).
An image of a seen pair is right among the first k while b is *below* one threshold, one of an unseen pair as soon as b *reaches* one:
with r pairs of its own side ranked before the true pair, k − 1 − r pairs of the other side may be. So a few numbers per image stand
for its scores of all pairs, and blocks of images can be scored one after the other.

Ties: of one side the pair listed first wins, between the sides the unseen pair does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from kgzsl.errors import InvalidInputError
from kgzsl.metrics.generalised import bias_sweep as exact_curve

PROTOCOLS = ("exact", "czsl-20")
#: Scores of a block of images, in numbers: 64 MiB of float32.
BLOCK = 2**24


@dataclass(frozen=True)
class PairStatistics:
    """What the sweep needs to know of every image.

    Attributes
    ----------
    seen : whether the true pair is a seen one, bool `[images]`.
    truth : score of the true pair, float64 `[images]`; −∞ where it is no candidate.
    rank : pairs of the true pair's side that are ranked before it, int64 `[images]`, exact below `kept` and at least `kept` elsewhere.
    best_seen, best_unseen : the `kept` highest scores of either side, descending, float64 `[images, kept]`; −∞ where there are fewer.
    first_seen, first_unseen : positions of the best pair of either side, int64 `[images]`; −1 where the side is empty.
    """

    seen: np.ndarray
    truth: np.ndarray
    rank: np.ndarray
    best_seen: np.ndarray
    best_unseen: np.ndarray
    first_seen: np.ndarray
    first_unseen: np.ndarray

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def kept(self) -> int:
        """The largest k that the statistics serve."""
        return int(self.best_seen.shape[1])

    @classmethod
    def joined(cls, blocks: Sequence[PairStatistics]) -> PairStatistics:
        """Return the statistics of consecutive blocks of images as one."""
        return cls(*(np.concatenate([getattr(block, f.name) for block in blocks]) for f in fields(cls)))

    def thresholds(self, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return the bias at which an image's answer changes, float64 `[images]`, and whether it is right on one side of it, bool."""
        if not 1 <= k <= self.kept:
            raise InvalidInputError(f"k is 1 … {self.kept}, the scores kept", received=str(k), remedy="keep more")
        right = (self.rank < k) & (self.truth > -np.inf)
        other = np.where(self.seen[:, None], self.best_unseen, self.best_seen)
        beaten = np.take_along_axis(other, np.clip(k - 1 - self.rank, 0, k - 1)[:, None], axis=1)[:, 0]
        truth = np.where(right, self.truth, 0.0)  # −∞ − −∞ is no number
        return np.where(self.seen, truth - beaten, beaten - truth), right

    def predicted(self, bias: float = 0.0) -> np.ndarray:
        """Return the position of every image's best pair under a bias, int64 `[images]`."""
        with np.errstate(invalid="ignore"):  # ∞ − ∞ where a side is empty; that side's position is −1
            unseen = self.best_unseen[:, 0] + bias >= self.best_seen[:, 0]
        return np.where((unseen & (self.first_unseen >= 0)) | (self.first_seen < 0), self.first_unseen, self.first_seen)


@dataclass(frozen=True)
class BiasSweep:
    """The curve of seen and unseen accuracy, and what papers report of it; all in 0…1.

    Attributes
    ----------
    biases : ascending, `[points]`; accuracy is that from each bias on, the first (−∞) in the exact protocol only.
    seen, unseen : accuracy of images of seen and of unseen pairs, `[points]`.
    auc : area under seen over unseen accuracy.
    best_hm, best_seen, best_unseen : highest harmonic mean, and highest accuracy of either kind.
    hm_bias : the (first) bias with the best harmonic mean.
    """

    biases: np.ndarray
    seen: np.ndarray
    unseen: np.ndarray
    auc: float
    best_hm: float
    best_seen: float
    best_unseen: float
    hm_bias: float


def pair_statistics(
    scores: np.ndarray, truth: np.ndarray, seen: np.ndarray, keep: int = 1, truth_seen: np.ndarray | None = None
) -> PairStatistics:
    """Return the statistics of a block of images.

    Parameters
    ----------
    scores : `[images, pairs]`; −∞ for a pair that cannot be.
    truth : position of the true pair, int64 `[images]`; −1 where it is no candidate, which is never right.
    seen : whether a pair is a seen one, bool `[pairs]`.
    keep : the largest k of top-k accuracy to come.
    truth_seen : whether the true pair is a seen one, bool `[images]`; needed where a truth is −1.

    Raises
    ------
    InvalidInputError : shapes that do not fit, a score that is no number or +∞, a truth outside the pairs.
    """
    scores, truth, seen = np.asarray(scores), np.asarray(truth, dtype=np.int64), np.asarray(seen, dtype=bool)
    _check(scores, truth, seen, keep, truth_seen)
    is_seen = np.asarray(truth_seen, dtype=bool) if truth_seen is not None else seen[truth]
    sides = [_side(scores, columns, keep) for columns in (np.flatnonzero(seen), np.flatnonzero(~seen))]
    of_truth = np.where(truth >= 0, scores[np.arange(len(truth)), truth], -np.inf).astype(np.float64)
    own = np.where(is_seen[:, None], sides[0][0], sides[1][0])
    rank = np.full(len(truth), keep, dtype=np.int64)
    near = np.flatnonzero((of_truth >= own[:, -1]) & (truth >= 0))
    rank[near] = _ranks(scores, truth, seen, near)
    return PairStatistics(is_seen, of_truth, rank, sides[0][0], sides[1][0], sides[0][1], sides[1][1])


def statistics_in_blocks(
    score: Callable[[slice], np.ndarray],
    truth: np.ndarray,
    seen: np.ndarray,
    keep: int = 1,
    truth_seen: np.ndarray | None = None,
    block: int = BLOCK,
) -> PairStatistics:
    """Return the statistics of images that are scored block after block, so that no matrix of all images and pairs is ever held.

    Parameters
    ----------
    score : gives the scores `[rows, pairs]` of a slice of the images.
    block : scores held at a time, in numbers.
    """
    rows = max(1, block // max(1, len(seen)))
    found = []
    for start in range(0, len(truth), rows):
        part = slice(start, min(start + rows, len(truth)))
        known = None if truth_seen is None else truth_seen[part]
        found.append(pair_statistics(score(part), truth[part], seen, keep, known))
    if not found:
        raise InvalidInputError("a bias sweep needs images", received="none")
    return PairStatistics.joined(found)


def bias_sweep(
    scores: np.ndarray, truth: np.ndarray, seen: np.ndarray, *, k: int = 1, protocol: str = "exact", truth_seen: np.ndarray | None = None
) -> BiasSweep:
    """Return the sweep of scores that fit in memory; see `pair_statistics` for the parameters and `sweep` for the protocols."""
    blocks = statistics_in_blocks(lambda rows: np.asarray(scores)[rows], np.asarray(truth), np.asarray(seen, dtype=bool), k, truth_seen)
    return sweep(blocks, k=k, protocol=protocol)


def sweep(statistics: PairStatistics, *, k: int = 1, protocol: str = "exact") -> BiasSweep:
    """Return the sweep of an image's statistics.

    Parameters
    ----------
    k : an image is right when the true pair is among the first k.
    protocol : `exact`, every bias that changes a decision; or `czsl-20`, the published evaluators' grid of about twenty: the biases
        that bring images of unseen pairs to the true pair, less 1e-4, every ⌊n / 20⌋-th of them, and one above all. Old tables
        only: a grid cuts corners of the curve, and misses the best harmonic mean.

    Raises
    ------
    InvalidInputError : images of only one kind, an unknown protocol, more than the statistics keep.
    """
    if protocol not in PROTOCOLS:
        raise InvalidInputError(f"a bias sweep is one of {', '.join(PROTOCOLS)}", received=repr(protocol))
    count = int(statistics.seen.sum()), int((~statistics.seen).sum())
    if not all(count):
        raise InvalidInputError("a bias sweep needs images of seen and of unseen pairs", received=f"{count[0]:,} and {count[1]:,}")
    threshold, right = statistics.thresholds(k)
    side = statistics.seen & right, ~statistics.seen & right
    lost, gained = (np.sort(threshold[chosen]) for chosen in side)
    if protocol == "exact":
        ones = [np.ones(len(values)) for values in (lost, gained)]
        biases, kept, won = exact_curve(lost, ones[0], gained, ones[1], *ones)
    else:
        biases = _grid(statistics, k)
        kept = len(lost) - np.searchsorted(lost, biases, side="right")
        won = np.searchsorted(gained, biases, side="right")
    seen, unseen = kept / count[0], won / count[1]
    both = seen + unseen
    harmonic = np.divide(2 * seen * unseen, both, out=np.zeros_like(both), where=both > 0)
    return BiasSweep(
        biases=biases,
        seen=seen,
        unseen=unseen,
        auc=float(np.trapezoid(seen, unseen)),
        best_hm=float(harmonic.max()),
        best_seen=float(seen.max()),
        best_unseen=float(unseen.max()),
        hm_bias=float(biases[np.argmax(harmonic)]),
    )


def part_accuracies(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return the shares of images whose state, and whose object, is right; pairs of positions, int64 `[images, 2]` each."""
    state, obj = (predicted == truth).mean(axis=0)
    return float(state), float(obj)


def _grid(statistics: PairStatistics, k: int) -> np.ndarray:
    """The published grid; for k > 1 it takes the k-th seen score, however many unseen pairs are before the true one."""
    chosen = ~statistics.seen & (statistics.rank < k) & (statistics.truth > -np.inf)
    reached = np.sort(statistics.best_seen[chosen, k - 1] - statistics.truth[chosen] - 1e-4)
    return np.append(reached[:: max(len(reached) // 20, 1)], np.finfo(np.float64).max)


def _side(scores: np.ndarray, columns: np.ndarray, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest scores among some columns, `[rows, keep]`, and the position of the first highest, `[rows]`."""
    rows = len(scores)
    best = np.full((rows, keep), -np.inf)
    if not len(columns):
        return best, np.full(rows, -1, dtype=np.int64)
    own = _columns(scores, columns)
    at = own.argmax(axis=1)
    best[:, 0] = own[np.arange(rows), at]
    if keep > 1:
        count = min(keep, len(columns))
        highest = np.partition(own, len(columns) - count, axis=1)[:, -count:]
        best[:, :count] = np.sort(highest, axis=1)[:, ::-1]
    if not (best[:, 0] < np.inf).all():
        raise InvalidInputError(
            "scores are numbers, below infinity", received=f"{np.count_nonzero(~(best[:, 0] < np.inf)):,} images with others"
        )
    return best, columns[at]


def _columns(scores: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return some columns; without a copy where they are consecutive."""
    first, last = int(columns[0]), int(columns[-1]) + 1
    return scores[:, first:last] if last - first == len(columns) else scores[:, columns]


def _ranks(scores: np.ndarray, truth: np.ndarray, seen: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return how many pairs of the true pair's side are ranked before it, int64 `[rows]`."""
    own, at = scores[rows], truth[rows]
    reference = own[np.arange(len(rows)), at][:, None]
    before = (own > reference) | ((own == reference) & (np.arange(scores.shape[1]) < at[:, None]))
    return (before & (seen[None, :] == seen[at][:, None])).sum(axis=1)


def _check(scores: np.ndarray, truth: np.ndarray, seen: np.ndarray, keep: int, truth_seen: np.ndarray | None) -> None:
    if scores.ndim != 2 or scores.shape != (len(truth), len(seen)) or scores.dtype.kind != "f" or 0 in scores.shape:
        raise InvalidInputError(
            "scores are floating-point numbers [images, pairs], a truth for each image and seen or not for each pair",
            received=f"{scores.dtype} {scores.shape}, {len(truth):,} truths, {len(seen):,} pairs",
        )
    if keep < 1:
        raise InvalidInputError("at least one score of each side is kept", received=str(keep))
    lowest = -1 if truth_seen is not None else 0
    if truth.min() < lowest or truth.max() >= len(seen):
        raise InvalidInputError(f"a truth is the position of a pair, {lowest} … {len(seen) - 1}", received=f"{truth.min()} … {truth.max()}")
    if truth_seen is not None and (np.asarray(truth_seen, dtype=bool) != seen[truth])[truth >= 0].any():
        raise InvalidInputError("truth_seen says what `seen` says of the true pairs", received="they differ")
