"""PSR: an embedding that keeps the semantic relations between classes (Annadani and Biswas, 2018)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from kgzsl.classifiers._descent import Minibatches
from kgzsl.classifiers._network import perceptron
from kgzsl.classifiers.dem import squared_distance
from kgzsl.classifiers.features import PrototypeClassifier, SeenData
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError


class PSR(PrototypeClassifier):
    """Encoder and decoder between embeddings and features that keep identical, similar and dissimilar classes so.

    With f the network from embeddings to features, g the one back, δ the cosine of two classes' embeddings and c that of their
    images under f, the loss adds up

    * identical: `‖f(s_y) − x‖²`, a row and its class;
    * similar, δ ≥ τ: `max(0, δ − c)`, as similar as the embeddings are, or more;
    * dissimilar, δ < τ: `max(0, c − δ)`, as dissimilar, or more;
    * reconstruction: `‖g(f(s_y)) − s_y‖²`.

    Parameters
    ----------
    threshold : τ.
    relations : weight of the similar and the dissimilar term.
    reconstruction : weight of the decoder's term.
    hidden : columns of each network's hidden layer.
    epochs, batch_size, learning_rate, weight_decay, seed, device : see `_descent.Minibatches`.
    distance : see `PrototypeClassifier`.
    """

    name = "psr"
    source = "Annadani and Biswas, Preserving Semantic Relations for Zero-Shot Learning, CVPR 2018, section 3"

    def __init__(
        self,
        *,
        threshold: float = 0.3,
        relations: float = 0.1,
        reconstruction: float = 0.1,
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
        if hidden < 1 or not -1 <= threshold <= 1 or relations < 0 or reconstruction < 0:
            raise InvalidInputError(
                "hidden is at least 1, threshold a cosine, relations and reconstruction not negative",
                received=f"{hidden}, {threshold}, {relations}, {reconstruction}",
            )
        self.threshold, self.relations, self.reconstruction, self.hidden = threshold, relations, reconstruction, hidden
        self.schedule = Minibatches(epochs, batch_size, learning_rate, weight_decay, seed, device)

    def _learn(self, seen: SeenData) -> None:
        device = resolve_device(self.schedule.device)
        features, labels = torch.from_numpy(seen.features).to(device), torch.from_numpy(seen.labels).to(device)
        embeddings = torch.from_numpy(seen.embeddings.astype(np.float32)).to(device)
        generator = self.schedule.generator()
        sizes = [embeddings.shape[1], self.hidden, features.shape[1]]
        self._encoder = perceptron(sizes, generator).to(device)
        decoder = perceptron(sizes[::-1], generator).to(device)
        networks = nn.ModuleList([self._encoder, decoder])

        def loss(batch: torch.Tensor) -> torch.Tensor:
            points = self._encoder(embeddings)
            identical = squared_distance(points[labels[batch]], features[batch])
            reconstructed = squared_distance(decoder(points)[labels[batch]], embeddings[labels[batch]])
            broken = relation_loss(embeddings, points, self.threshold)
            return identical + self.relations * broken + self.reconstruction * reconstructed

        self.schedule.descend(list(networks.parameters()), loss, len(features), generator, f"{self.name}: training")
        self._encoder.cpu()

    @torch.no_grad()
    def _prototypes(self, embeddings: np.ndarray) -> np.ndarray:
        points: np.ndarray = self._encoder(torch.from_numpy(embeddings.astype(np.float32))).numpy()
        return points.astype(np.float64)


def relation_loss(embeddings: torch.Tensor, points: torch.Tensor, threshold: float) -> torch.Tensor:
    """Return the mean over pairs of different classes of the similar and the dissimilar term.

    Parameters
    ----------
    embeddings : `[classes, semantics]`.
    points : their images, `[classes, dim]`.
    """
    semantic, visual = (normalize(rows) @ normalize(rows).T for rows in (embeddings, points))
    broken = torch.where(semantic >= threshold, semantic - visual, visual - semantic).clamp_min(0)
    pairs = len(embeddings) * (len(embeddings) - 1)
    return (broken.sum() - broken.diagonal().sum()) / pairs
