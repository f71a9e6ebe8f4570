"""One trainer for bilinear compatibilities `F(x, y) = xᵀ W φ(y)` that are learned by ranking (DeViSE, SJE, ALE)."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch

from kgzsl.classifiers._descent import Minibatches
from kgzsl.classifiers.features import LinearClassifier, SeenData, check_positive
from kgzsl.devices import resolve_device


class RankingClassifier(LinearClassifier):
    """Bilinear map trained so that a row's own class outscores the others by a margin.

    All three losses are convex in W, so training starts at W = 0 and the seed only orders the rows.

    Parameters
    ----------
    margin : by how much the own class should win.
    epochs, batch_size, learning_rate, weight_decay, seed, device : see `_descent.Minibatches`.
    """

    def __init__(
        self,
        *,
        margin: float = 1.0,
        epochs: int = 10,
        batch_size: int = 128,
        learning_rate: float = 3e-4,
        weight_decay: float = 30.0,
        seed: int = 0,
        device: str | torch.device = "auto",
        feature_scaling: str = "standardise",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        super().__init__(feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        check_positive(margin=margin)
        self.margin = margin
        self.schedule = Minibatches(epochs, batch_size, learning_rate, weight_decay, seed, device)

    @staticmethod
    @abstractmethod
    def loss(scores: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
        """Return the mean loss over rows of `scores` `[rows, classes]` with true columns `labels` `[rows]`."""

    def _learn(self, seen: SeenData) -> None:
        device = resolve_device(self.schedule.device)
        features, labels = torch.from_numpy(seen.features).to(device), torch.from_numpy(seen.labels).to(device)
        embeddings = torch.from_numpy(seen.embeddings.astype(np.float32)).to(device)
        weight = torch.zeros(features.shape[1], embeddings.shape[1], device=device, requires_grad=True)

        def loss(batch: torch.Tensor) -> torch.Tensor:
            return self.loss(features[batch] @ weight @ embeddings.T, labels[batch], self.margin)

        self.schedule.descend([weight], loss, len(features), self.schedule.generator(), f"{self.name}: training")
        self._map = weight.detach().cpu().numpy()

    def _weights(self, embeddings: np.ndarray) -> tuple[np.ndarray, float]:
        return embeddings @ self._map.T, 0.0


def violations(scores: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """Return `max(0, margin + s_y − s_own)` for every class y, `[rows, classes]`; 0 for a row's own class."""
    own = scores.gather(1, labels[:, None])
    return (margin + scores - own).clamp_min(0).scatter(1, labels[:, None], 0.0)
