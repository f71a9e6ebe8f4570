"""CADA-VAE: two variational autoencoders, of features and of embeddings, whose latent spaces are brought to agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import Generator, SeenRows
from kgzsl.generators.networks import perceptron
from kgzsl.generators.training import Batch, Player
from kgzsl.generators.variational import DiagonalGaussian, WarmUp, laplace


class CADAVAE(Generator):
    """CADA-VAE: a VAE of features and one of class embeddings share a latent space, in which the final classifier works.

    A latent of either VAE must decode into the other's rows (cross-alignment), and the two distributions of a pair must be the same
    (distribution alignment). The classifier learns from latents of real rows of seen classes and from latents that the encoder of
    embeddings draws for unseen ones; it is asked about the means of real rows. `draw` decodes drawn latents into features.

    Parameters
    ----------
    feature_hidden, embedding_hidden : columns of the hidden layers of encoder and decoder, of features and of embeddings.
    kl_weight, cross_weight, distribution_weight : β of the divergence, γ of cross-alignment, δ of distribution alignment.
    kl_epochs, cross_epochs, distribution_epochs : each weight grows from 0 between these epochs.
    noise : columns of the latent space.
    settings : see `Generator`.
    """

    name = "cadavae"
    source = "Schönfeld et al., Generalized Zero- and Few-Shot Learning via Aligned Variational Autoencoders, CVPR 2019"

    def __init__(
        self,
        *,
        feature_hidden: Sequence[int] = (1560, 1660),
        embedding_hidden: Sequence[int] = (1450, 665),
        kl_weight: float = 0.25,
        kl_epochs: Sequence[int] = (0, 93),
        cross_weight: float = 2.37,
        cross_epochs: Sequence[int] = (21, 75),
        distribution_weight: float = 8.13,
        distribution_epochs: Sequence[int] = (6, 22),
        noise: int = 64,
        epochs: int = 100,
        batch_size: int = 50,
        learning_rate: float = 1.5e-4,
        beta1: float = 0.9,
        **settings: Any,
    ) -> None:
        super().__init__(noise=noise, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, beta1=beta1, **settings)
        self.feature_hidden, self.embedding_hidden = _two(feature_hidden), _two(embedding_hidden)
        self.kl_weight, self.cross_weight, self.distribution_weight = kl_weight, cross_weight, distribution_weight
        self.kl_epochs, self.cross_epochs, self.distribution_epochs = list(kl_epochs), list(cross_epochs), list(distribution_epochs)
        self.beta = WarmUp.of(kl_weight, kl_epochs)
        self.gamma = WarmUp.of(cross_weight, cross_epochs)
        self.delta = WarmUp.of(distribution_weight, distribution_epochs)

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        latent = self.noise_columns()

        def relu(*sizes: int) -> nn.Sequential:
            return perceptron(sizes, self.rng, slope=0.0, deviation=0.0)

        return nn.ModuleDict(
            {
                "encode_features": relu(self.dim, self.feature_hidden[0], 2 * latent),
                "decode_features": relu(latent, self.feature_hidden[1], self.dim),
                "encode_embeddings": relu(self.semantics, self.embedding_hidden[0], 2 * latent),
                "decode_embeddings": relu(latent, self.embedding_hidden[1], self.semantics),
            }
        )

    def players(self, seen: SeenRows) -> Sequence[Player]:
        return [Player("autoencoders", tuple(self.networks), self.loss)]

    def loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """L_CADA-VAE: both VAEs' own losses + γ · cross-alignment + δ · distribution alignment."""
        rows = {"features": batch.features, "embeddings": batch.embeddings}
        latents = {kind: self.posterior(kind, values) for kind, values in rows.items()}
        drawn = {kind: q.at(self.gaussian(len(q.mean))) for kind, q in latents.items()}
        own, crossed = self.reconstruction(drawn, rows, crossed=False), self.reconstruction(drawn, rows, crossed=True)
        divergence = latents["features"].divergence() + latents["embeddings"].divergence()
        apart = latents["features"].wasserstein(latents["embeddings"])
        return own + self.beta(epoch) * divergence + self.gamma(epoch) * crossed + self.delta(epoch) * apart

    def reconstruction(self, drawn: dict[str, torch.Tensor], rows: dict[str, torch.Tensor], crossed: bool) -> torch.Tensor:
        """Return the absolute error of both decoders, summed over columns, each from its own latents or from the other's."""
        features, embeddings = ("embeddings", "features") if crossed else ("features", "embeddings")
        return laplace(self.networks["decode_features"](drawn[features]), rows["features"]) + laplace(
            self.networks["decode_embeddings"](drawn[embeddings]), rows["embeddings"]
        )

    def posterior(self, kind: str, rows: torch.Tensor) -> DiagonalGaussian:
        """Return the distribution of latents of `features` or `embeddings` `[rows, columns]`."""
        return DiagonalGaussian.of(self.networks[f"encode_{kind}"](rows))

    def draw(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = self.networks["decode_features"](self.represent_drawn(embeddings, noise))
        return decoded

    def represent(self, features: torch.Tensor) -> torch.Tensor:
        return self.posterior("features", features).mean

    def represent_training(self, features: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Latents of real rows, as widely spread as those that are drawn for unseen classes."""
        return self.posterior("features", features).at(noise)

    def represent_drawn(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.posterior("embeddings", embeddings).at(noise)


def _two(hidden: Sequence[int]) -> list[int]:
    if len(hidden) != 2 or min(hidden) < 1:
        raise InvalidInputError("an encoder's and a decoder's hidden columns are two numbers of at least 1", received=list(hidden))
    return list(hidden)
