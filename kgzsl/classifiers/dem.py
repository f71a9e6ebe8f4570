"""DEM: embeddings are mapped into the visual space by a network (Zhang et al., 2017)."""

from __future__ import annotations

import numpy as np
import torch

from kgzsl.classifiers._descent import Minibatches
from kgzsl.classifiers._network import perceptron
from kgzsl.classifiers.features import PrototypeClassifier, SeenData
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError


class DEM(PrototypeClassifier):
    """Two-layer network from embeddings to features, least squares with a ridge; the nearest prediction wins.

    The visual space is the one that is searched, which makes hubs rarer than in the semantic space. The paper's ReLU after the
    second layer is left out: scaled features have both signs.

    Parameters
    ----------
    hidden : columns of the hidden layer.
    epochs, batch_size, learning_rate, weight_decay, seed, device : see `_descent.Minibatches`.
    distance : see `PrototypeClassifier`.
    """

    name = "dem"
    source = "Zhang, Xiang, Gong, Learning a Deep Embedding Model for Zero-Shot Learning, CVPR 2017, section 3"

    def __init__(
        self,
        *,
        hidden: int = 512,
        epochs: int = 20,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.1,
        seed: int = 0,
        device: str | torch.device = "auto",
        distance: str = "euclidean",
        feature_scaling: str = "standardise",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        super().__init__(distance=distance, feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        if hidden < 1:
            raise InvalidInputError("a hidden layer has at least one column", received=hidden)
        self.hidden = hidden
        self.schedule = Minibatches(epochs, batch_size, learning_rate, weight_decay, seed, device)

    def _learn(self, seen: SeenData) -> None:
        device = resolve_device(self.schedule.device)
        features, labels = torch.from_numpy(seen.features).to(device), torch.from_numpy(seen.labels).to(device)
        embeddings = torch.from_numpy(seen.embeddings.astype(np.float32)).to(device)
        generator = self.schedule.generator()
        self._network = perceptron([embeddings.shape[1], self.hidden, features.shape[1]], generator).to(device)

        def loss(batch: torch.Tensor) -> torch.Tensor:
            return squared_distance(self._network(embeddings[labels[batch]]), features[batch])

        self.schedule.descend(list(self._network.parameters()), loss, len(features), generator, f"{self.name}: training")
        self._network.cpu()

    @torch.no_grad()
    def _prototypes(self, embeddings: np.ndarray) -> np.ndarray:
        points: np.ndarray = self._network(torch.from_numpy(embeddings.astype(np.float32))).numpy()
        return points.astype(np.float64)


def squared_distance(points: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Return `mean_n ‖pₙ − xₙ‖² / dim` of `[rows, dim]` with `[rows, dim]`."""
    return (points - features).square().mean()
