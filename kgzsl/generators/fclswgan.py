"""f-CLSWGAN: a conditional Wasserstein GAN of features, held to its classes by a frozen classifier of seen ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import Generator, SeenRows
from kgzsl.generators.frozen import seen_softmax
from kgzsl.generators.losses import class_means, pivot, wasserstein
from kgzsl.generators.networks import Critic, check_reaches, perceptron
from kgzsl.generators.training import Batch, Player


class FCLSWGAN(Generator):
    """f-CLSWGAN: a Wasserstein GAN conditioned on class embeddings, whose features a classifier of seen classes must recognise.

    Parameters
    ----------
    hidden : columns of the hidden layer of generator and critic.
    critic_steps : steps of the critic per step of the generator.
    penalty : λ, weight of the gradient penalty.
    class_weight : β, weight of the classification loss.
    pivot_weight : weight of the distance between drawn and real class means (`losses.pivot`), which f-CLSWGAN does without.
    end : activation behind the generator: `relu`, `sigmoid` or `linear`.
    settings : see `Generator`.
    """

    name = "fclswgan"
    source = "Xian et al., Feature Generating Networks for Zero-Shot Learning, CVPR 2018"

    def __init__(
        self,
        *,
        hidden: int = 4096,
        critic_steps: int = 5,
        penalty: float = 10.0,
        class_weight: float = 0.01,
        pivot_weight: float = 0.0,
        end: str = "relu",
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if min(hidden, critic_steps) < 1 or min(penalty, class_weight, pivot_weight) < 0:
            raise InvalidInputError(
                "hidden and critic_steps are at least 1, penalty, class_weight and pivot_weight not negative",
                received=f"{hidden}, {critic_steps}, {penalty}, {class_weight}, {pivot_weight}",
            )
        self.hidden, self.critic_steps, self.end = hidden, critic_steps, end
        self.penalty, self.class_weight, self.pivot_weight = penalty, class_weight, pivot_weight

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return G (equation 1), D, and the softmax of seen classes that stays frozen (equation 4)."""
        check_reaches(self.end, seen.features)
        return nn.ModuleDict(
            {
                "generator": perceptron([self.noise_columns() + self.semantics, self.hidden, self.dim], self.rng, end=self.end),
                "critic": Critic(self.dim, self.semantics, self.hidden, self.rng),
                "classifier": seen_softmax(seen, self.rng),
            }
        )

    def players(self, seen: SeenRows) -> Sequence[Player]:
        self.centres, _ = class_means(seen.features, seen.labels, len(seen.ids))
        return [
            Player("critic", ("critic",), self.critic_loss, self.critic_steps),
            Player("generator", ("generator",), self.generator_loss),
        ]

    def critic_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """Equation 2, negated: the critic tells real rows from drawn ones, its gradient held near length 1."""
        with torch.no_grad():
            fake = self.draw(batch.embeddings, self.gaussian(len(batch.features)))
        return wasserstein(self.networks["critic"], batch.features, fake, batch.embeddings, self.penalty, self.rng)

    def generator_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """Equation 5: drawn rows shall please the critic and be recognised as their class."""
        fake = self.draw(batch.embeddings, self.gaussian(len(batch.features)))
        recognised = functional.cross_entropy(self.networks["classifier"](fake), batch.labels)
        loss = self.class_weight * recognised - self.networks["critic"](fake, batch.embeddings).mean()
        return loss + self.pivot_weight * pivot(fake, batch.labels, self.centres) if self.pivot_weight else loss

    def draw(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        drawn: torch.Tensor = self.networks["generator"](torch.cat([noise, embeddings], dim=1))
        return drawn
