"""Sparse × dense products, in one small place (they have no fake kernel, so tests can stand in for it)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.encoders.precision import exact


@dataclass(frozen=True)
class SparseOperator:
    """A constant sparse matrix `[rows, columns]` with its transpose, ready for products and their gradients."""

    matrix: torch.Tensor
    transpose: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """`(rows, columns)`."""
        return int(self.matrix.shape[0]), int(self.matrix.shape[1])

    @property
    def edges(self) -> int:
        """Number of stored values."""
        return int(self.matrix.values().numel())

    @classmethod
    def from_scipy(cls, matrices: Sequence[sp.csr_matrix], device: torch.device) -> SparseOperator:
        """Stack the matrices of the hop distances, each `[rows, columns]`, below one another."""
        stacked = sp.csr_matrix(sp.vstack(matrices, format="csr"))
        stacked.sum_duplicates()  # torch wants every row's columns in order
        return cls(_to_torch(stacked, device), _to_torch(stacked.T.tocsr(), device))


def _to_torch(matrix: sp.csr_matrix, device: torch.device) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            device=device,
            check_invariants=True,
        )


def multiply(matrix: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """Return `matrix @ dense`, `[rows, dim]`, for a sparse CSR `matrix`; the one place where it happens."""
    return matrix @ dense


class _Propagate(torch.autograd.Function):
    """The gradient of A·X is Aᵀ·G; keeping Aᵀ spares a transposition in every step."""

    @staticmethod
    def forward(ctx: Any, dense: torch.Tensor, operator: SparseOperator) -> torch.Tensor:
        ctx.operator = operator
        return multiply(operator.matrix, dense)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, None]:
        needed = ctx.needs_input_grad[0]
        return (multiply(ctx.operator.transpose, gradients[0].contiguous()) if needed else None), None


def propagate(operator: SparseOperator, dense: torch.Tensor) -> torch.Tensor:
    """Return `operator @ dense`, float32 `[rows, dim]`, differentiable in `dense` `[columns, dim]`."""
    with exact(dense.device):
        return _Propagate.apply(dense.float(), operator)
