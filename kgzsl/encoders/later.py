"""Classes that come after the fit: graph_gp's eqs. (1) and (2) for one class at a time.

`GraphGP.encode` makes kernels for all classes it is asked for, which costs seconds whatever their number. Here what does not depend
on the new class is made once: the seen classes' side of every kernel, the factors of the Laplacian and the coefficients
C = (K_SS + λI)⁻¹ Y. A class then costs a row of similarities, a solve at one node and k(u, S) C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.encoders.graph_gp import PRIOR, mix_hyponyms
from kgzsl.encoders.kernels import NodeKernels, combine
from kgzsl.encoders.leave_out import Hyperparameters
from kgzsl.graphs.views import View
from kgzsl.ids import positions


@dataclass(frozen=True)
class Predicted:
    """A class that came later.

    Attributes
    ----------
    weight : its row, on the scale of `GraphGP.encode`, float32 `[features + 1]`.
    influence : each seen class's coefficient in eq. (1), float32 `[seen]`.
    """

    weight: np.ndarray
    influence: np.ndarray


class LaterClasses:
    """Predicts nodes of the graph, and classes that are a kind of a node.

    Parameters
    ----------
    features : kernels with the seen classes (or landmarks).
    mixture, hyperparameters, seen, weights, inverse : what `GraphGP` learned.
    """

    def __init__(
        self,
        features: NodeKernels,
        view: View,
        mixture: Sequence[str],
        hyperparameters: Hyperparameters,
        seen: Sequence[str],
        weights: np.ndarray,
        inverse: torch.Tensor,
    ) -> None:
        self._features, self._mixture, self._h, self._inverse = features, tuple(mixture), hyperparameters, inverse
        known = torch.from_numpy(np.array(weights))
        self._weights, self._coefficients, self._prior = known.numpy(), inverse @ known, PRIOR * known.mean(dim=0)
        self._hyponyms = sp.csr_matrix(view.adjacency[0].T)
        #: Where a node stands among the seen classes, −1 for the others, `[nodes]`.
        self._known = np.full(len(view.ids), -1)
        self._known[positions(seen, view.ids, "the graph")] = np.arange(len(seen))

    def node(self, at: int) -> Predicted:
        """Return the node at a place as `GraphGP.encode` predicts it, its hyponyms taking part."""
        below = self._hyponyms[[at]].indices
        rows = np.concatenate([[at], below])
        kernel = self._combined(self._features.solved(rows))
        regressed = self._regressed(kernel)
        others = np.where(self._known[below][:, None] >= 0, self._weights[self._known[below]], regressed[1:])
        pooled = torch.from_numpy(np.asarray(others.sum(axis=0, keepdims=True), dtype=np.float32))
        mixed = mix_hyponyms(torch.from_numpy(regressed[:1]), pooled, self._h.pooling).numpy()[0]
        scale = float(self._features.size[at]) ** self._h.generality
        return Predicted((mixed * scale).astype(np.float32), (kernel[:1] @ self._inverse).numpy()[0])

    def below(self, parent: int, text: np.ndarray) -> Predicted:
        """Return a class that is a kind of the node at `parent`; `text` is the vector of its name or description, `[dim]`."""
        kernel = self._combined(self._features.leaf(parent, text))
        return Predicted(self._regressed(kernel)[0], (kernel @ self._inverse).numpy()[0])

    def _combined(self, similarities: dict[str, torch.Tensor]) -> torch.Tensor:
        return combine(similarities, self._mixture, self._h.log_weights, self._h.log_scales).float()

    def _regressed(self, kernel: torch.Tensor) -> np.ndarray:
        return torch.nn.functional.normalize(kernel @ self._coefficients + self._prior).numpy()
