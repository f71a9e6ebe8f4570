"""The receptive field: the only rows that a set of output nodes depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.encoders.sparse import SparseOperator


@dataclass(frozen=True)
class ReceptiveField:
    """What an L-layer network needs to compute some output rows.

    Attributes
    ----------
    operators : per layer, first to last, the hop matrices stacked: `[hops × rows out, rows in]`.
    inputs : positions of the input rows, `[rows in of layer 1]`, ascending.
    outputs : positions of the output nodes, as asked for.
    """

    operators: tuple[SparseOperator, ...]
    inputs: np.ndarray
    outputs: np.ndarray

    def sizes(self) -> list[int]:
        """Rows that enter each layer, then the output rows."""
        return [operator.shape[1] for operator in self.operators] + [len(self.outputs)]


def receptive_field(layers: Sequence[Sequence[sp.csr_matrix]], nodes: np.ndarray, device: torch.device) -> ReceptiveField:
    """Restrict every layer's matrices to the rows that `nodes` depend on, walking from the last layer to the first.

    Parameters
    ----------
    layers : per layer its hop matrices, each `[all nodes, all nodes]`.
    nodes : positions of the output nodes, `[nodes]`; repeated positions are allowed.
    """
    rows = np.asarray(nodes)
    operators: list[SparseOperator] = []
    for matrices in reversed(layers):
        cut = [matrix[rows] for matrix in matrices]
        columns = np.unique(np.concatenate([matrix.indices for matrix in cut]))
        operators.append(SparseOperator.from_scipy([matrix[:, columns] for matrix in cut], device))
        rows = columns
    return ReceptiveField(tuple(reversed(operators)), rows, np.asarray(nodes))
