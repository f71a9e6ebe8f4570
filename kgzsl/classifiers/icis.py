"""ICIS: classifier weights are predicted from embeddings without any image (Christensen et al., 2023)."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cosine_similarity

from kgzsl.classifiers._descent import Minibatches
from kgzsl.classifiers._network import perceptron
from kgzsl.classifiers.base import WeightClassifier, check_fitted
from kgzsl.classifiers.scaling import Scaling, check_scaling
from kgzsl.classifiers.weight_regression import WeightRegression
from kgzsl.devices import resolve_device
from kgzsl.encoders.base import unit_rows
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights


class CrossAutoencoder(nn.Module):
    """Two encoders into one latent space and two decoders out of it, for embeddings and for classifier weights.

    Parameters
    ----------
    semantics, columns : columns of the embeddings and of the weights.
    hidden, latent : columns of each part's hidden layer and of the latent space.
    """

    def __init__(self, semantics: int, columns: int, hidden: int, latent: int, generator: torch.Generator) -> None:
        super().__init__()
        self.encode_embedding = perceptron([semantics, hidden, latent], generator)
        self.encode_weight = perceptron([columns, hidden, latent], generator)
        self.decode_embedding = perceptron([latent, hidden, semantics], generator)
        self.decode_weight = perceptron([latent, hidden, columns], generator)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the weights `[classes, columns]` injected for `embeddings` `[classes, semantics]`."""
        weights: torch.Tensor = self.decode_weight(self.encode_embedding(embeddings))
        return weights

    def loss(self, embeddings: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the mean cosine distance of both reconstructions and both cross-reconstructions, added up."""
        latents = self.encode_embedding(embeddings), self.encode_weight(weights)
        total = torch.zeros((), device=weights.device)
        for latent in latents:
            total = total + (1 - cosine_similarity(self.decode_weight(latent), weights)).mean()
            total = total + (1 - cosine_similarity(self.decode_embedding(latent), embeddings)).mean()
        return total


class ICIS(WeightClassifier):
    """Classifier weights of unseen classes from their embeddings, learned from seen classes' weights: no images.

    Weights are compared by direction, `[weight, bias]` rows at length 1; seen classes keep their own. Scores are those of
    `WeightRegression`.

    Parameters
    ----------
    hidden, latent : see `CrossAutoencoder`.
    epochs, batch_size, learning_rate, weight_decay, seed, device : see `_descent.Minibatches`; a row is a seen class.
    embedding_scaling : a name from `scaling.SCALINGS`, with the seen classes' statistics.
    """

    name = "icis"
    source = "Christensen et al., Image-Free Classifier Injection for Zero-Shot Classification, ICCV 2023, section 3"

    def __init__(
        self,
        *,
        hidden: int = 1024,
        latent: int = 512,
        epochs: int = 30,
        batch_size: int = 16,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        seed: int = 0,
        device: str | torch.device = "auto",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        if hidden < 1 or latent < 1:
            raise InvalidInputError("hidden and latent have at least one column", received=f"{hidden} and {latent}")
        self.hidden, self.latent = hidden, latent
        self.schedule = Minibatches(epochs, batch_size, learning_rate, weight_decay, seed, device)
        self.embedding_scaling = check_scaling(embedding_scaling)

    def fit(self, seen: ClassifierWeights, embeddings: ClassEmbeddings) -> Self:
        """`embeddings` must hold the seen classes too: their weights and embeddings are the training pairs."""
        known = embeddings.rows(seen.ids)
        unit_rows(embeddings.matrix)  # a class without a direction is refused
        scaling = Scaling.of(self.embedding_scaling, known)
        device = resolve_device(self.schedule.device)
        sources = torch.from_numpy(scaling(known)).to(device)
        targets = torch.from_numpy(unit_rows(seen.matrix)).to(device)
        generator = self.schedule.generator()
        network = CrossAutoencoder(embeddings.dim, seen.dim, self.hidden, self.latent, generator).to(device)
        self.schedule.descend(
            list(network.parameters()),
            lambda batch: network.loss(sources[batch], targets[batch]),
            len(seen),
            generator,
            f"{self.name}: training",
        )
        with torch.no_grad():
            injected = network(torch.from_numpy(scaling(embeddings.matrix)).to(device)).cpu().numpy()
        self._head = WeightRegression().fit(seen, ClassEmbeddings(embeddings.ids, unit_rows(injected), embeddings.meta))
        self.classes = embeddings.ids
        return self

    @property
    def weights(self) -> ClassifierWeights:
        """Unit rows `[classes, features + 1]`: the seen classes' own and the injected ones."""
        return self._head.weights

    def scores(self, features: np.ndarray) -> np.ndarray:
        check_fitted(self.classes)
        return self._head.scores(features)
