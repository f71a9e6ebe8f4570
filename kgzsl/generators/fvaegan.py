"""f-VAEGAN-D2, inductive: one generator is the decoder of a conditional VAE and the generator of a Wasserstein GAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import Generator, SeenRows
from kgzsl.generators.losses import wasserstein
from kgzsl.generators.networks import Critic, perceptron
from kgzsl.generators.training import Batch, Player
from kgzsl.generators.variational import DiagonalGaussian, bernoulli, gaussian


class FVAEGAN(Generator):
    """f-VAEGAN-D2 without its transductive critic: a conditional VAE whose decoder must also please a Wasserstein critic.

    Features scaled to 0…1 (`minmax`, as published) are drawn through a sigmoid and reconstructed with the binary cross-entropy. Of
    features that may be negative, `standardise` makes rows of about equal columns, which are drawn as they leave the generator and
    reconstructed with the squared error.

    Parameters
    ----------
    hidden : columns of the hidden layer of encoder, generator and critic.
    critic_steps : steps of the critic per step of the generator.
    penalty : λ, weight of the gradient penalty.
    adversarial_weight : γ, weight of the critic's opinion beside the loss of the VAE.
    encoded_noise : whether the critic sees features drawn from latents of real rows instead of the prior.
    noise : columns of the latent space; 0 takes as many as the embeddings have.
    settings : see `Generator`.
    """

    name = "fvaegan"
    source = "Xian et al., f-VAEGAN-D2: A Feature Generating Framework for Any-Shot Learning, CVPR 2019, section 3.1"

    def __init__(
        self,
        *,
        hidden: int = 4096,
        critic_steps: int = 5,
        penalty: float = 10.0,
        adversarial_weight: float = 10.0,
        encoded_noise: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if hidden < 1 or critic_steps < 1 or penalty < 0 or adversarial_weight < 0:
            raise InvalidInputError(
                "hidden and critic_steps are at least 1, penalty and adversarial_weight not negative",
                received=f"{hidden}, {critic_steps}, {penalty}, {adversarial_weight}",
            )
        self.hidden, self.critic_steps, self.penalty = hidden, critic_steps, penalty
        self.adversarial_weight, self.encoded_noise = adversarial_weight, encoded_noise
        self.bounded = self.feature_scaling == "minmax"

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return E, G (its end is in `ended`) and D₁."""
        latent = self.noise_columns()
        return nn.ModuleDict(
            {
                "encoder": perceptron([self.dim + self.semantics, self.hidden, 2 * latent], self.rng),
                "generator": perceptron([latent + self.semantics, self.hidden, self.dim], self.rng),
                "critic": Critic(self.dim, self.semantics, self.hidden, self.rng),
            }
        )

    def players(self, seen: SeenRows) -> Sequence[Player]:
        return [
            Player("critic", ("critic",), self.critic_loss, self.critic_steps),
            Player("generator", ("encoder", "generator"), self.generator_loss),
        ]

    def critic_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """−L_WGAN: D₁ tells real rows from drawn ones, its gradient held near length 1."""
        with torch.no_grad():
            fake = self.ended(self.training_logits(batch, self.critic_noise(batch), epoch))
        return wasserstein(self.networks["critic"], batch.features, fake, batch.embeddings, self.penalty, self.rng)

    def critic_noise(self, batch: Batch) -> torch.Tensor:
        """Return the latents of the rows that the critic learns from, `[rows, latent]`."""
        noise = self.gaussian(len(batch.features))
        return self.posterior(batch).at(noise) if self.encoded_noise else noise

    def generator_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """L_VAE + γ · L_WGAN: rows come back from their latents, and drawn ones please the critic."""
        latents = self.posterior(batch)
        logits = self.training_logits(batch, latents.at(self.gaussian(len(batch.features))), epoch)
        drawn = logits if self.encoded_noise else self.training_logits(batch, self.gaussian(len(batch.features)), epoch)
        error = (bernoulli if self.bounded else gaussian)(logits, batch.features)
        return latents.divergence() + error + self.drawn_loss(self.ended(drawn), batch)

    def drawn_loss(self, fake: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return what is held against drawn rows `[rows, dim]` of the batch's classes."""
        opinion: torch.Tensor = self.networks["critic"](fake, batch.embeddings).mean()
        return -self.adversarial_weight * opinion

    def training_logits(self, batch: Batch, noise: torch.Tensor, epoch: int) -> torch.Tensor:
        """Return features of the batch's classes before their end, as this epoch trains them."""
        return self.decoded(batch.embeddings, noise)

    def posterior(self, batch: Batch) -> DiagonalGaussian:
        """Return `q(z | x, c)` of the batch's rows."""
        return DiagonalGaussian.of(self.networks["encoder"](torch.cat([batch.features, batch.embeddings], dim=1)))

    def decoded(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return what leaves the generator, `[rows, dim]`, before its end."""
        logits: torch.Tensor = self.networks["generator"](torch.cat([noise, embeddings], dim=1))
        return logits

    def ended(self, logits: torch.Tensor) -> torch.Tensor:
        """Return features `[rows, dim]` in the range of the scaled ones."""
        return torch.sigmoid(logits) if self.bounded else logits

    def draw(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.ended(self.decoded(embeddings, noise))
