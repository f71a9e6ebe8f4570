"""GDAN: a conditional VAE, a regressor back to embeddings, and one discriminator of pairs that both must convince."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import Generator, SeenRows
from kgzsl.generators.networks import perceptron
from kgzsl.generators.training import Batch, Player
from kgzsl.generators.variational import DiagonalGaussian, gaussian


class GDAN(Generator):
    """GDAN: generator and regressor undo each other, and a discriminator tells their pairs of feature and embedding from real ones.

    In the first epochs the CVAE, and the regressor on real rows, learn without minding discriminator and cycles: the published method
    starts from such a CVAE.

    Parameters
    ----------
    encoder_hidden : columns of the encoder's hidden layers.
    generator_hidden, regressor_hidden, discriminator_hidden : columns of one hidden layer each.
    cycle_weight, regression_weight, dual_weight : θ₁, θ₂ and θ₃: of the cycles, of the regressor on real rows, of its pairs.
    pretraining : epochs before the adversarial ones; they are among `epochs`.
    weight_decay : of all three.
    noise : columns of the latent space.
    settings : see `Generator`.
    """

    name = "gdan"
    source = "Huang et al., Generative Dual Adversarial Network for Generalized Zero-Shot Learning, CVPR 2019, section 3"

    def __init__(
        self,
        *,
        encoder_hidden: Sequence[int] = (1200, 600),
        generator_hidden: int = 600,
        regressor_hidden: int = 512,
        discriminator_hidden: int = 800,
        cycle_weight: float = 0.1,
        regression_weight: float = 0.1,
        dual_weight: float = 0.1,
        pretraining: int = 100,
        weight_decay: float = 0.01,
        noise: int = 100,
        epochs: int = 200,
        batch_size: int = 128,
        beta1: float = 0.8,
        feature_scaling: str = "standardise",
        **settings: Any,
    ) -> None:
        super().__init__(noise=noise, epochs=epochs, batch_size=batch_size, beta1=beta1, feature_scaling=feature_scaling, **settings)
        sizes = [*encoder_hidden, generator_hidden, regressor_hidden, discriminator_hidden]
        if not encoder_hidden or min(sizes) < 1:
            raise InvalidInputError("every hidden layer has at least one column, and the encoder a layer", received=sizes)
        if min(cycle_weight, regression_weight, dual_weight, pretraining, weight_decay) < 0:
            raise InvalidInputError(
                "weights, pretraining and weight_decay are not negative",
                received=f"{cycle_weight}, {regression_weight}, {dual_weight}, {pretraining}, {weight_decay}",
            )
        self.encoder_hidden, self.generator_hidden = list(encoder_hidden), generator_hidden
        self.regressor_hidden, self.discriminator_hidden = regressor_hidden, discriminator_hidden
        self.cycle_weight, self.regression_weight, self.dual_weight = cycle_weight, regression_weight, dual_weight
        self.pretraining, self.weight_decay = pretraining, weight_decay

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return E and G (the CVAE), R and D."""
        latent = self.noise_columns()

        def relu(*sizes: int) -> nn.Sequential:
            return perceptron(sizes, self.rng, slope=0.0, deviation=0.0)

        return nn.ModuleDict(
            {
                "encoder": relu(self.dim, *self.encoder_hidden, 2 * latent),
                "generator": relu(latent + self.semantics, self.generator_hidden, self.dim),
                "regressor": relu(self.dim, self.regressor_hidden, self.semantics),
                "discriminator": relu(self.dim + self.semantics, self.discriminator_hidden, 1),
            }
        )

    def players(self, seen: SeenRows) -> Sequence[Player]:
        judge = partial(self.discriminator_loss, others=seen.embeddings)
        return [
            Player("discriminator", ("discriminator",), judge, weight_decay=self.weight_decay),
            Player("generator", ("encoder", "generator", "regressor"), self.generator_loss, weight_decay=self.weight_decay),
        ]

    def discriminator_loss(self, batch: Batch, epoch: int, others: torch.Tensor) -> torch.Tensor:
        """Least squares: real pairs are 1; a drawn feature, a regressed embedding or another class's embedding makes a pair 0."""
        features, embeddings = batch.features, batch.embeddings
        with torch.no_grad():
            fake = self.draw(embeddings, self.posterior(features).at(self.gaussian(len(features))))
            regressed = self.regressed(features)
        shift = torch.randint(1, len(others), (len(features),), generator=self.rng, device=self.rng.device)
        wrong = others[(batch.labels + shift) % len(others)]
        return (
            self.squares(features, embeddings, 1)
            + self.squares(fake, embeddings, 0)
            + self.squares(features, wrong, 0)
            + self.dual_weight * self.squares(features, regressed, 0)
        )

    def generator_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """L_CVAE, what both must convince D of, and the cycles; the first and the regressor's own error alone while pretraining."""
        features, embeddings = batch.features, batch.embeddings
        latents = self.posterior(features)
        drawn = self.draw(embeddings, latents.at(self.gaussian(len(features))))
        regressed = self.regressed(features)
        autoencoder = gaussian(drawn, features) + latents.divergence()
        loss = autoencoder + self.regression_weight * functional.mse_loss(regressed, embeddings)
        if epoch <= self.pretraining:
            return loss
        again = self.draw(regressed, latents.at(self.gaussian(len(features))))
        cycle = functional.mse_loss(self.regressed(drawn), embeddings) + functional.mse_loss(again.float(), features)
        convinced = self.squares(drawn, embeddings, 1) + self.dual_weight * self.squares(features, regressed, 1)
        return loss + convinced + self.cycle_weight * cycle

    def posterior(self, features: torch.Tensor) -> DiagonalGaussian:
        """Return `q(z | x)`."""
        return DiagonalGaussian.of(self.networks["encoder"](features))

    def regressed(self, features: torch.Tensor) -> torch.Tensor:
        """Return the embeddings `[rows, semantics]` that R reads off scaled features."""
        read: torch.Tensor = self.networks["regressor"](features).float()
        return read

    def squares(self, features: torch.Tensor, embeddings: torch.Tensor, target: int) -> torch.Tensor:
        """Return the mean of `(D(x, a) − target)²`."""
        opinion = self.networks["discriminator"](torch.cat([features, embeddings], dim=1)).float()
        return ((opinion - target) ** 2).mean()

    def draw(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        drawn: torch.Tensor = self.networks["generator"](torch.cat([noise, embeddings], dim=1))
        return drawn
