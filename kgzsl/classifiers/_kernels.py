"""Kernels between rows, shared by the kernelised closed forms."""

from __future__ import annotations

import numpy as np

from kgzsl.errors import InvalidInputError

KERNELS = ("linear", "rbf")


class Kernel:
    """`linear` aᵀb, or `rbf` exp(−g ‖a − b‖² / s) with s the mean squared distance between the rows it is made with.

    Parameters
    ----------
    name : one of `KERNELS`.
    sharpness : g; the linear kernel has none.
    """

    def __init__(self, name: str, sharpness: float, rows: np.ndarray) -> None:
        self.name, self.sharpness = check_kernel(name), sharpness
        spread = float(rows.var(axis=0, dtype=np.float64).sum())
        #: s; the mean squared distance of two rows is twice their mean squared distance from the mean.
        self.scale = 2 * spread

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the kernel of every row of `a` `[m, dim]` with every row of `b` `[n, dim]`, `[m, n]`."""
        products: np.ndarray = a @ b.T
        if self.name == "linear":
            return products
        distances = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * products
        similar: np.ndarray = np.exp(-self.sharpness / self.scale * np.maximum(distances, 0))
        return similar


def check_kernel(name: str) -> str:
    """Return `name`; one that is not among `KERNELS` raises InvalidInputError."""
    if name not in KERNELS:
        raise InvalidInputError("a kernel is one of the known ones", received=repr(name), remedy=f"choose from: {', '.join(KERNELS)}")
    return name
