"""How sure is a mean? Percentile bootstrap intervals, rows or whole classes drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kgzsl.errors import InvalidInputError

Over = Literal["rows", "classes"]
#: Values of one block of resamples × rows.
_BLOCK_VALUES = 2**22


@dataclass(frozen=True)
class Interval:
    """A value and its bootstrap interval.

    Attributes
    ----------
    value : on the data themselves.
    low, high : percentiles `(1 − level) / 2` and `(1 + level) / 2` over the resamples.
    level : coverage that is meant, in 0…1.
    over : what was drawn again, `rows` or `classes`.
    resamples : how often.
    """

    value: float
    low: float
    high: float
    level: float
    over: Over
    resamples: int


def mean_interval(
    values: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    per_class: bool = False,
    over: Over = "rows",
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean of per-row values with its percentile interval (Efron, 1979).

    Rows drawn again answer for other images of the same classes; classes drawn again, all rows of each with it, answer for
    other classes too, and are wider.

    Parameters
    ----------
    values : any number per row: hits, distances, losses, `[rows]`.
    labels : class of each row, `[rows]`; needed by `per_class` and by `over="classes"`.
    per_class : the mean over classes of class means; a class that a resample of rows misses does not count in it.
    over : what is drawn again.
    seed : the same seed gives the same interval.

    Raises
    ------
    InvalidInputError : no rows, labels missing or of another length, values not finite, or settings out of range.
    """
    sampler = _Sampler(values, labels, per_class=per_class, over=over)
    means = sampler.means(resamples, np.random.default_rng(seed))
    return _interval(sampler.value, means, level, over, resamples)


def harmonic_interval(
    right: np.ndarray,
    labels: np.ndarray,
    of_seen_class: np.ndarray,
    *,
    over: Over = "rows",
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return per-class S, U and their harmonic mean H with intervals; seen and unseen rows (or classes) are drawn apart.

    Parameters
    ----------
    right : 1 where a row's answer is its class, `[rows]`.
    labels : class of each row, `[rows]`.
    of_seen_class : True where that class is seen, bool `[rows]`.

    Returns
    -------
    `{"S": …, "U": …, "H": …}`, values in 0…1.

    Raises
    ------
    InvalidInputError : rows of one kind only, or as for `mean_interval`.
    """
    of_seen_class = np.asarray(of_seen_class, dtype=bool)
    if of_seen_class.all() or not of_seen_class.any():
        raise InvalidInputError(
            "H needs rows of seen and of unseen classes", received=f"{int(of_seen_class.sum())} of {len(of_seen_class)} seen"
        )
    rng = np.random.default_rng(seed)
    result, values, means = {}, [], []
    for name, side in (("S", of_seen_class), ("U", ~of_seen_class)):
        sampler = _Sampler(np.asarray(right)[side], np.asarray(labels)[side], per_class=True, over=over)
        values.append(sampler.value)
        means.append(sampler.means(resamples, rng))
        result[name] = _interval(values[-1], means[-1], level, over, resamples)
    h = [2 * s * u / np.maximum(s + u, 1e-300) for s, u in (values, means)]
    result["H"] = _interval(float(h[0]), h[1], level, over, resamples)
    return result


class _Sampler:
    """Means of values under resampling, as products of draw counts with sums."""

    def __init__(self, values: np.ndarray, labels: np.ndarray | None, *, per_class: bool, over: Over) -> None:
        values = np.asarray(values, dtype=np.float64)
        if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
            raise InvalidInputError("a bootstrap takes at least one finite value per row", received=f"shape {values.shape}")
        if over not in ("rows", "classes"):
            raise InvalidInputError("rows or classes are drawn again", received=repr(over))
        if labels is None and (per_class or over == "classes"):
            raise InvalidInputError("means per class and draws of classes need the labels", received="none")
        if labels is not None and len(labels) != len(values):
            raise InvalidInputError("each row has a label", received=f"{len(labels)} labels, {len(values)} values")
        _, group = np.unique(np.zeros(len(values)) if labels is None else np.asarray(labels), return_inverse=True)
        self.group, self.per_class, self.over, self.values = group, per_class, over, values
        sizes = np.bincount(group)
        sums = np.bincount(group, weights=values)
        #: Per unit that is drawn: its share of the numerator and of the denominator.
        if over == "rows":
            self.units = (values, np.ones(len(values)))
        elif per_class:
            self.units = (sums / sizes, np.ones(len(sizes)))
        else:
            self.units = (sums, sizes.astype(np.float64))
        self.value = float((sums / sizes).mean()) if per_class else float(values.mean())

    def means(self, resamples: int, rng: np.random.Generator) -> np.ndarray:
        """Return the mean of every resample, float64 `[resamples]`."""
        if resamples < 1:
            raise InvalidInputError("a bootstrap draws at least once", received=resamples)
        count = len(self.units[0])
        result = np.empty(resamples)
        size = max(1, _BLOCK_VALUES // count)
        for start in range(0, resamples, size):
            rows = slice(start, min(start + size, resamples))
            draws = rng.multinomial(count, np.full(count, 1 / count), size=rows.stop - start).astype(np.float64)
            result[rows] = self._means_of(draws)
        return result

    def _means_of(self, draws: np.ndarray) -> np.ndarray:
        if self.per_class and self.over == "rows":
            order = np.argsort(self.group, kind="stable")
            starts = np.searchsorted(self.group[order], np.arange(self.group.max() + 1))
            counts = np.add.reduceat(draws[:, order], starts, axis=1)
            sums = np.add.reduceat((draws * self.values)[:, order], starts, axis=1)
            return np.asarray((sums / np.maximum(counts, 1)).sum(axis=1) / (counts > 0).sum(axis=1))
        numerator, denominator = self.units
        return np.asarray((draws @ numerator) / (draws @ denominator))


def _interval(value: float, means: np.ndarray, level: float, over: Over, resamples: int) -> Interval:
    if not 0 < level < 1:
        raise InvalidInputError("a level lies between 0 and 1, both excluded", received=level)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level, over, resamples)
