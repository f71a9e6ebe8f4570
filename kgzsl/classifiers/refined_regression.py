"""Weight regression of refined queries: an image is seen through the seen classes' classifiers a second time.

A class c that was never seen has predicted weights ŵ(c), and weight regression scores an image x by x̂·ŵ(c), x̂ being `[x, 1]` at
length 1. But ŵ(c) is made of the seen classes' weights wₖ, so only what they say about x counts, and they say it with noise: most
seen classes answer a little, about nothing. Two steps turn x̂ into the query that is scored in its place,

    x′ = M x̂ + λ unit(Σₖ max(x̂·wₖ, 0)ᵖ wₖ),    M = (1 + γ) (d/n · WᵀW + γI)⁻¹.                   (1)

* M damps the directions in which all seen classifiers vary together (animal or thing): they say little about which of several
  candidates it is, and are predicted too well. This is the ridge on the visual side of ESZSL (Romera-Paredes and Torr, 2015,
  eq. 3), with classifiers in the place of images. At γ = ∞ it is the identity.
* The sum is ConSE (Norouzi et al., 2014) in the space of classifiers: the seen classes that fire most clearly, combined. With
  ŵ(c) = Σⱼ a(c, j) wⱼ it pairs every seen class that carries c with those which the image resembles, and not with the others.

Nothing is fitted on images. Nothing depends on the other images that are scored, nor on which classes are candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize, pad

from kgzsl.classifiers.base import check_features, check_fitted
from kgzsl.classifiers.weight_regression import WeightRegression
from kgzsl.devices import resolve_device
from kgzsl.encoders.base import unit_rows
from kgzsl.errors import InvalidInputError


class RefinedRegression(WeightRegression):
    """Weight regression of queries refined by the seen classes' classifiers: whitened, and ConSE's combination added.

    The defaults stood in the middle of the flat optimum of the held-out seen classes of one ImageNet fold, with two backbones.

    Parameters
    ----------
    evidence : λ, how much the combination of seen classifiers counts beside the image itself; 0 leaves it out.
    power : p ≥ 1; the higher, the fewer seen classes are combined.
    damping : γ > 0, in units of the mean eigenvalue of the seen classifiers' second moment; None leaves M out.
    device : `auto`, `cpu`, `cuda`, `mps`; where the products are taken.
    """

    name = "refined_regression"
    source = "kgzsl; Norouzi et al., ICLR 2014, eq. 3, among classifiers; Romera-Paredes and Torr, ICML 2015, eq. 3"

    def __init__(
        self, *, evidence: float = 0.2, power: float = 3.0, damping: float | None = 10.0, device: str | torch.device = "cpu"
    ) -> None:
        if not (np.isfinite(evidence) and evidence >= 0):
            raise InvalidInputError("evidence is a finite weight of at least 0", received=evidence)
        if not (np.isfinite(power) and power >= 1):
            raise InvalidInputError("power is finite and at least 1", received=power)
        if damping is not None and not (np.isfinite(damping) and damping > 0):
            raise InvalidInputError("damping is positive and finite, or null", received=damping)
        self.evidence, self.power, self.damping, self.device = float(evidence), float(power), damping, device

    def settings(self) -> dict[str, Any]:
        return {"evidence": self.evidence, "power": self.power, "damping": self.damping}

    def _remember(self, seen: np.ndarray) -> None:
        if len(seen) == 0:
            raise InvalidInputError("queries are refined by the seen classes' classifiers", received="no seen class")
        where = resolve_device(self.device)
        rows = unit_rows(seen)
        self._memory = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)).to(where)
        self._metric = None if self.damping is None else torch.from_numpy(whitening_of(rows, self.damping)).to(where)

    def row_values(self) -> int:
        return max(len(self.classes), len(self._memory))

    def queries(self, features: np.ndarray) -> np.ndarray:
        return self._refined(features).cpu().numpy()

    def scores(self, features: np.ndarray) -> np.ndarray:
        return (self._refined(features) @ self._rows().T).cpu().numpy()

    def _rows(self) -> torch.Tensor:
        return torch.from_numpy(self.weights.matrix).to(self._memory.device)

    def _refined(self, features: np.ndarray) -> torch.Tensor:
        """Eq. (1), `[rows, features + 1]`."""
        check_fitted(self.classes)
        check_features(features, self.weights.dim - 1)
        rows = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)).to(self._memory.device)
        return refine(rows, self._memory, self._metric, self.evidence, self.power)


def refine(rows: torch.Tensor, seen: torch.Tensor, whitening: torch.Tensor | None, evidence: float, power: float) -> torch.Tensor:
    """Return the queries x′ of eq. (1), `[rows, features + 1]`, of features `[rows, features]`.

    Parameters
    ----------
    seen : unit rows of the seen classes' weights, `[seen, features + 1]`.
    whitening : M, `[features + 1, features + 1]`; None is the identity.
    """
    image = normalize(pad(rows, (0, 1), value=1.0))
    refined = image if whitening is None else image @ whitening
    if evidence == 0:
        return refined
    fires = (image @ seen.T).clamp_min(0.0)
    # divided by the largest, they survive any power in float32; the length of their combination does not matter
    fires = (fires / fires.amax(dim=1, keepdim=True).clamp_min(1e-12)).pow(power)
    return torch.add(refined, normalize(fires @ seen), alpha=evidence)


def whitening_of(seen: np.ndarray, damping: float) -> np.ndarray:
    """Return M of eq. (1), float32 `[features + 1, features + 1]`, from unit rows `[seen, features + 1]`."""
    rows = seen.astype(np.float64)
    moment = rows.T @ rows * (rows.shape[1] / len(rows))
    inverse: np.ndarray = np.linalg.inv(moment + damping * np.eye(rows.shape[1])) * (1.0 + damping)
    return ((inverse + inverse.T) / 2).astype(np.float32)
