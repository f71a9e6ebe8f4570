"""SynC: classifiers synthesised from those of phantom classes (Changpinyo et al., 2016)."""

from __future__ import annotations

import numpy as np
import torch

from kgzsl.classifiers._descent import lbfgs
from kgzsl.classifiers.features import LinearClassifier, SeenData, check_positive
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError


class SynC(LinearClassifier):
    """A class's weights are a convex combination of phantom classes' weights, by semantic nearness.

        w_c = Σ_r s_cr v_r,   s_cr = softmax_r(−‖a_c − b_r‖² / σ²),   min_V mean_n ℓ(xₙ, yₙ; w) + λ/2 mean_c ‖w_c‖²

    with one phantom class b_r at each seen class's embedding, as in the paper's experiments. Both losses are squared hinges,
    smooth enough for L-BFGS.

    Parameters
    ----------
    sigma : σ, in units of the mean distance between seen classes' embeddings.
    lam : λ.
    loss : `one_vs_other`, or `crammer_singer` with the distance between two classes' embeddings as the margin (the paper's
        structured loss).
    steps : most L-BFGS iterations.
    device : `auto`, `cpu`, `cuda`, `mps`.
    """

    name = "sync"
    source = "Changpinyo et al., Synthesized Classifiers for Zero-Shot Learning, CVPR 2016, section 3"

    def __init__(
        self,
        *,
        sigma: float = 2.0,
        lam: float = 1.0,
        loss: str = "crammer_singer",
        steps: int = 60,
        device: str | torch.device = "auto",
        feature_scaling: str = "standardise",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        super().__init__(feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        check_positive(sigma=sigma, lam=lam, steps=steps)
        if loss not in LOSSES:
            raise InvalidInputError("a loss of SynC", received=repr(loss), remedy=f"choose from: {', '.join(LOSSES)}")
        self.sigma, self.lam, self.loss, self.steps, self.device = sigma, lam, loss, steps, device

    def _learn(self, seen: SeenData) -> None:
        device = resolve_device(self.device)
        self._phantoms = seen.embeddings
        distances = squared_distances(seen.embeddings, seen.embeddings)
        self._scale = self.sigma**2 * distances.sum() / (len(distances) * (len(distances) - 1))
        features, labels = torch.from_numpy(seen.features).to(device), torch.from_numpy(seen.labels).to(device)
        shares = torch.from_numpy(self._shares(seen.embeddings).astype(np.float32)).to(device)
        margins = torch.from_numpy(np.sqrt(distances).astype(np.float32)).to(device)
        phantoms = torch.zeros(len(shares), features.shape[1] + 1, device=device, requires_grad=True)

        def objective() -> torch.Tensor:
            weights = shares @ phantoms
            scores = features @ weights[:, :-1].T + weights[:, -1]
            return LOSSES[self.loss](scores, labels, margins) + 0.5 * self.lam * weights.square().sum(dim=1).mean()

        lbfgs([phantoms], objective, self.steps, f"{self.name}: training")
        self._phantom_weights = phantoms.detach().cpu().numpy().astype(np.float64)

    def _shares(self, embeddings: np.ndarray) -> np.ndarray:
        """Return s, `[classes, phantoms]`, rows that sum to 1."""
        from scipy.special import softmax

        shares: np.ndarray = softmax(-squared_distances(embeddings, self._phantoms) / self._scale, axis=1)
        return shares

    def _weights(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = self._shares(embeddings) @ self._phantom_weights
        return rows[:, :-1], rows[:, -1]


def one_vs_other(scores: torch.Tensor, labels: torch.Tensor, margins: torch.Tensor) -> torch.Tensor:
    """Return `mean_n Σ_c max(0, 1 − I(yₙ, c) s(n, c))²`, I = 1 for the own class and −1 for the others; takes no margins."""
    signs = torch.full_like(scores, -1.0).scatter(1, labels[:, None], 1.0)
    return (1 - signs * scores).clamp_min(0).square().sum(dim=1).mean()


def crammer_singer(scores: torch.Tensor, labels: torch.Tensor, margins: torch.Tensor) -> torch.Tensor:
    """Return `mean_n max_c max(0, Δ(yₙ, c) + s(n, c) − s(n, yₙ))²` for margins Δ `[classes, classes]`."""
    over = margins[labels] + scores - scores.gather(1, labels[:, None])
    return over.amax(dim=1).clamp_min(0).square().mean()


#: Pure functions of scores `[rows, classes]`, labels `[rows]` and margins `[classes, classes]`.
LOSSES = {"one_vs_other": one_vs_other, "crammer_singer": crammer_singer}


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ‖aᵢ − bⱼ‖² of `[m, dim]` with `[n, dim]`, `[m, n]`."""
    from scipy.spatial.distance import cdist

    distances: np.ndarray = cdist(a, b, "sqeuclidean")
    return distances
