"""Scaling of feature columns that a generator can undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from kgzsl.errors import InvalidInputError

#: `minmax`: every column to 0…1, for generators that end in ReLU or a sigmoid; `standardise`: mean 0, deviation 1, for linear ends.
COLUMN_SCALINGS = ("minmax", "standardise", "none")


@dataclass(frozen=True)
class ColumnScaling:
    """`(x − offset) / size`, and back.

    Attributes
    ----------
    offset, size : float32 `[dim]`; the size of a constant column is 1.
    """

    offset: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, name: str, rows: np.ndarray) -> Self:
        """Return the scaling called `name` with the statistics of training rows `[rows, dim]`."""
        check_column_scaling(name)
        if name == "minmax":
            offset = rows.min(axis=0).astype(np.float64)
            size = rows.max(axis=0) - offset
        elif name == "standardise":
            offset, size = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        else:
            offset, size = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        return cls(offset.astype(np.float32), np.where(size > 0, size, 1.0).astype(np.float32))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return rows `[rows, dim]`, scaled, float32."""
        scaled: np.ndarray = (rows.astype(np.float32, copy=False) - self.offset) / self.size
        return scaled

    def back(self, rows: np.ndarray) -> np.ndarray:
        """Return scaled rows `[rows, dim]` in their own units, float32."""
        restored: np.ndarray = rows * self.size + self.offset
        return restored


def check_column_scaling(name: str) -> str:
    """Return `name`; one that is not among `COLUMN_SCALINGS` raises InvalidInputError."""
    if name not in COLUMN_SCALINGS:
        raise InvalidInputError(
            "feature_scaling is one of the known ones", received=repr(name), remedy=f"choose from: {', '.join(COLUMN_SCALINGS)}"
        )
    return name
