"""Scaling of features and class embeddings, with statistics from seen classes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from kgzsl.errors import InvalidInputError

#: Name → which steps are taken, in this order: subtract the mean, divide by the deviation, divide each row by its length.
SCALINGS: dict[str, tuple[bool, bool, bool]] = {
    "none": (False, False, False),
    "l2": (False, False, True),
    "centre": (True, False, False),
    "centre_l2": (True, False, True),
    "standardise": (True, True, False),
    "standardise_l2": (True, True, True),
}
#: A column that varies less than this share of its size is constant: what varies is rounding.
CONSTANT = 1e-6


@dataclass(frozen=True)
class Scaling:
    """`(x − mean) / deviation`, then perhaps to length 1; a row without a direction stays zero.

    Attributes
    ----------
    mean, deviation : `[dim]`, 0 and 1 where the step is not taken; constant columns keep a deviation of 1.
    unit : whether rows are divided by their L2 norm.
    """

    mean: np.ndarray
    deviation: np.ndarray
    unit: bool

    @classmethod
    def of(cls, name: str, rows: np.ndarray) -> Self:
        """Return the scaling called `name` with the statistics of `rows` `[rows, dim]`."""
        centre, divide, unit = SCALINGS[check_scaling(name)]
        columns = rows.shape[1]
        mean = rows.mean(axis=0, dtype=np.float64) if centre else np.zeros(columns)
        deviation = rows.std(axis=0, dtype=np.float64) if divide else np.ones(columns)
        constant = deviation <= CONSTANT * np.abs(rows).max(axis=0)
        return cls(mean, np.where(constant, 1.0, deviation) if divide else deviation, unit)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return `rows` `[rows, dim]`, scaled, in their own precision."""
        scaled = (rows - self.mean.astype(rows.dtype)) / self.deviation.astype(rows.dtype)
        return unit(scaled) if self.unit else scaled


def check_scaling(name: str) -> str:
    """Return `name`; one that is not among `SCALINGS` raises InvalidInputError."""
    if name not in SCALINGS:
        raise InvalidInputError("a scaling is one of the known ones", received=repr(name), remedy=f"choose from: {', '.join(SCALINGS)}")
    return name


def unit(rows: np.ndarray) -> np.ndarray:
    """Return `rows` `[rows, dim]` at L2 norm 1; a row of zeros, such as a class at the very mean, stays zero."""
    scaled: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return scaled
