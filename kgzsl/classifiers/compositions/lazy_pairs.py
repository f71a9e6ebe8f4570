"""Two graph convolutions over an open world whose pairs are never made: only the rows that are asked for.

With one convolution before it, everything a pair says to its state is linear in the pair's input, ½ (x_s + x_o), and so in the
vectors of states and objects. Let B hold the weights w of the pairs, from state to object and back `[hubs, hubs]`, and H all edges
among states, objects and outside nodes, those of B with them. The row of a hub in A X, sums over hundreds of pairs included, is

    ((I + H + ½ (B + diag(B 1))) X_hubs)_h / (1 + H 1 + B 1)_h,

and that of a pair is ((½ + w) x_s + (½ + w) x_o) / (1 + 2w). So layer 1 reads hubs alone, and a block of pairs costs its own dense
products and nothing more, however many pairs the world has.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.encoders.receptive import ReceptiveField
from kgzsl.encoders.sparse import SparseOperator


class LazyPairs:
    """Receptive fields of pairs in a two-layer network over `D⁻¹(A + I)` (SGCN's), equal to those of the whole graph.

    Parameters
    ----------
    vectors : of the hubs, `[hubs, dim]`.
    outside : edges among hubs apart from those of pairs, both ways, `[hubs, hubs]`.
    states, objects : where they stand among the hubs.
    weights : of the pairs' edges, `[states, objects]`; 0 for those that are not listed.
    listed : which pairs are nodes; another one receives with weight 1 and is heard by nobody.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        outside: sp.csr_matrix,
        states: np.ndarray,
        objects: np.ndarray,
        weights: np.ndarray,
        listed: np.ndarray,
        device: torch.device,
    ) -> None:
        self._states, self._objects, self._device = states, objects, device
        self._received = np.where(listed, weights, 1.0).astype(np.float64)
        self._vectors = torch.from_numpy(vectors).to(device)
        hubs = len(vectors)
        row, column = np.nonzero(weights)
        s, o, w = states[row], objects[column], weights[row, column].astype(np.float64)
        both = sp.csr_matrix((np.concatenate([w, w]), (np.concatenate([s, o]), np.concatenate([o, s]))), shape=(hubs, hubs))
        near = sp.csr_matrix(outside, dtype=np.float64).maximum(both)
        near.setdiag(0)
        sums = np.asarray(both.sum(axis=1)).ravel()
        degree = 1.0 + np.asarray(near.sum(axis=1)).ravel() + sums
        #: D⁻¹ A X of the hubs as sums over hubs, `[hubs, hubs]`.
        self._hub_rows = sp.csr_matrix(sp.diags(1 / degree) @ (near + 0.5 * both + sp.diags(1.0 + 0.5 * sums)))

    def field(self, pairs: np.ndarray) -> tuple[torch.Tensor, ReceptiveField]:
        """Return the hubs' vectors and the receptive field of `pairs` `[pairs, 2]` over them."""
        state, obj = self._states[pairs[:, 0]], self._objects[pairs[:, 1]]
        weight = self._received[pairs[:, 0], pairs[:, 1]]
        heard = np.unique(np.concatenate([state, obj]))
        count, own = len(heard), np.arange(len(pairs))
        first = _rows(
            [(own, state, (0.5 + weight) / (1 + 2 * weight)), (own, obj, (0.5 + weight) / (1 + 2 * weight))], len(pairs), len(self._vectors)
        )
        share = weight / (1 + 2 * weight)
        places = [(own, np.searchsorted(heard, state), share), (own, np.searchsorted(heard, obj), share)]
        second = _rows([*places, (own, count + own, 1 / (1 + 2 * weight))], len(pairs), count + len(pairs))
        layers = [sp.vstack([self._hub_rows[heard], first], format="csr"), second]
        operators = tuple(SparseOperator.from_scipy([sp.csr_matrix(layer, dtype=np.float32)], self._device) for layer in layers)
        return self._vectors, ReceptiveField(operators, np.arange(len(self._vectors)), own)


def _rows(entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]], rows: int, columns: int) -> sp.csr_matrix:
    row, column, value = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return sp.csr_matrix((value, (row, column)), shape=(rows, columns))
