"""From node embeddings to classifier weights in closed form: kernel ridge regression, chosen by leave-one-out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

from kgzsl.encoders.base import unit_rows
from kgzsl.errors import InvalidInputError

#: Kernels to choose from: 0 is linear; another one is a Gaussian whose squared width is so many mean squared distances.
WIDTHS = (0.0, 0.1, 0.3, 1.0)
#: Ridges to choose from, in units of the kernel's mean over the seen classes themselves.
RIDGES = tuple(10.0**k for k in range(-4, 3))
_ARRAYS = ("centre", "scale", "width", "support", "dual")


class KernelRidgeHead:
    """Unit rows of classifier weights from node embeddings: `w(u) = k(u, S) (K_SS + λI)⁻¹ Y`.

    Embeddings are centred on the seen classes and divided by their root mean square length. The kernel is linear or Gaussian, and
    has a constant added (the mean weights, where nothing else is known). Kernel and ridge are those whose exact leave-one-out
    predictions have the highest mean cosine with the seen classes' weights, from one eigendecomposition per kernel:
    the residual of class i is `[C⁻¹Y]_i / [C⁻¹]_ii` with `C = K + λI` (Rasmussen and Williams, Gaussian Processes for
    Machine Learning, 2006, eq. 5.12).
    """

    def __init__(self) -> None:
        self._state: dict[str, np.ndarray] = {}
        #: Mean leave-one-out cosine of every (width, ridge) that was tried.
        self.tried: dict[tuple[float, float], float] = {}

    def fit(self, embeddings: np.ndarray, weights: np.ndarray) -> Self:
        """Learn from the seen classes' embeddings `[seen, dim]` and weights `[seen, features + 1]`.

        Raises
        ------
        InvalidInputError : fewer than two seen classes, or a row of weights without a direction.
        """
        if len(embeddings) < 2:
            raise InvalidInputError("a head learns from at least 2 seen classes", received=len(embeddings))
        goal = unit_rows(weights.astype(np.float64))
        centre = embeddings.mean(axis=0, dtype=np.float64)
        length = float(np.sqrt(((embeddings - centre) ** 2).sum(axis=1).mean()))
        scale = 1.0 / length if length > 0 else 0.0  # of embeddings that are all equal, only the constant is left
        support = (embeddings - centre) * scale
        best, dual, chosen = -np.inf, np.empty(0), 0.0
        self.tried = {}
        for width in WIDTHS:
            kernel = _kernel(support, support, width)
            values, basis = eigh(kernel)
            rotated, level = basis.T @ goal, float(np.mean(np.diag(kernel)))
            for ridge in RIDGES:
                inverse = 1.0 / (np.maximum(values, 0.0) + ridge * level)
                candidate = basis @ (inverse[:, None] * rotated)
                left_out = goal - candidate / (np.square(basis) @ inverse)[:, None]
                score = float(np.mean((left_out * goal).sum(axis=1) / np.maximum(np.linalg.norm(left_out, axis=1), 1e-12)))
                self.tried[width, ridge] = score
                if score > best:
                    best, dual, chosen = score, candidate, width
        self._state = {
            "centre": centre,
            "scale": np.array([scale]),
            "width": np.array([chosen]),
            "support": support.astype(np.float32),
            "dual": dual.astype(np.float32),
        }
        return self

    @property
    def fitted(self) -> bool:
        """Whether there is something to predict with."""
        return bool(self._state)

    def predict(self, embeddings: np.ndarray) -> np.ndarray:
        """Return unit rows of weights `[nodes, features + 1]` for embeddings `[nodes, dim]`."""
        s = self._state
        rows = _kernel((embeddings - s["centre"]) * s["scale"][0], s["support"].astype(np.float64), float(s["width"][0])) @ s["dual"]
        return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learned as named arrays."""
        return dict(self._state)

    def load_state(self, state: Mapping[str, np.ndarray]) -> Self:
        """Take back what `state()` returned; raises InvalidInputError when a name or shape is off."""
        if set(state) != set(_ARRAYS):
            raise InvalidInputError(f"the state of a head holds {', '.join(_ARRAYS)}", received=sorted(state))
        support = state["support"]
        if support.ndim != 2 or len(support) != len(state["dual"]) or support.shape[1] != len(state["centre"]):
            raise InvalidInputError("the arrays of a head fit together", received={name: a.shape for name, a in sorted(state.items())})
        self._state = {name: np.array(state[name]) for name in _ARRAYS}
        return self


def _kernel(rows: np.ndarray, columns: np.ndarray, width: float) -> np.ndarray:
    """Kernel `[rows, columns]` between scaled embeddings, whose mean squared distance is 2; plus the constant 1."""
    if width == 0:
        return rows @ columns.T + 1.0
    return np.exp(-cdist(rows, columns, "sqeuclidean") / (4.0 * width)) + 1.0
