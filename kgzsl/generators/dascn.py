"""DASCN: a primal GAN from embeddings to features and a dual GAN back, each drawing what the other is made to accept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import SeenRows
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.losses import pivot, wasserstein
from kgzsl.generators.networks import Critic, perceptron
from kgzsl.generators.training import Batch, Player


class DASCN(FCLSWGAN):
    """DASCN: f-CLSWGAN (the primal GAN) and a Wasserstein GAN of embeddings (the dual GAN), consistent with each other.

    G_SV draws features of given embeddings a and of those that G_VS reconstructs from real rows; D_V judges both. G_VS reconstructs
    embeddings of real and of drawn rows; D_S tells both from those of seen classes. Semantic consistency holds class means of what
    G_VS reconstructs at the class's embedding, for G_VS and, of drawn rows, for G_SV: with a weight above 1, the steepest slope of
    D_S, they cannot be held apart. Visual consistency is f-CLSWGAN's pivot.

    Parameters
    ----------
    dual_hidden : columns of the hidden layers of G_VS and D_S.
    semantic_weight : weight of semantic consistency, in the losses of both generators.
    pivot_weight : weight of visual consistency. The defaults of both weights were tried on held-out seen classes of CUB.
    settings : see `FCLSWGAN`.
    """

    name = "dascn"
    source = "Ni, Zhang, Xie, Dual Adversarial Semantics-Consistent Network for Generalized Zero-Shot Learning, NeurIPS 2019"

    def __init__(self, *, dual_hidden: int = 4096, semantic_weight: float = 3.0, pivot_weight: float = 0.1, **settings: Any) -> None:
        super().__init__(pivot_weight=pivot_weight, **settings)
        if dual_hidden < 1 or semantic_weight < 0:
            raise InvalidInputError(
                "dual_hidden is at least 1, semantic_weight not negative", received=f"{dual_hidden} and {semantic_weight}"
            )
        self.dual_hidden, self.semantic_weight = dual_hidden, semantic_weight

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return the networks of f-CLSWGAN (G_SV, D_V and the frozen softmax), G_VS and D_S."""
        networks = super().build(seen)
        networks["dual_generator"] = perceptron([self.dim, self.dual_hidden, self.semantics], self.rng)
        networks["dual_critic"] = Critic(self.semantics, 0, self.dual_hidden, self.rng)
        return networks

    def players(self, seen: SeenRows) -> Sequence[Player]:
        critic, generator = super().players(seen)
        self.known = seen.embeddings
        return [
            critic,
            Player("dual critic", ("dual_critic",), self.dual_critic_loss, self.critic_steps),
            generator,
            Player("dual generator", ("dual_generator",), self.dual_generator_loss),
        ]

    def critic_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """D_V tells real rows from both kinds of drawn ones."""
        with torch.no_grad():
            fake = torch.cat(self.both_draws(batch))
        real, embeddings = batch.features.repeat(2, 1), batch.embeddings.repeat(2, 1)
        return wasserstein(self.networks["critic"], real, fake, embeddings, self.penalty, self.rng)

    def generator_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """G_SV: both kinds of drawn rows convince D_V, are recognised, have their class's mean and give its embedding back."""
        plain, again = self.both_draws(batch)
        loss = 0.5 * (self.drawn_loss(plain, batch) + self.drawn_loss(again, batch))
        return loss + self.semantic_weight * self.inconsistency(self.reconstructed(plain), batch)

    def dual_critic_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """D_S tells embeddings of seen classes from both kinds of reconstructed ones."""
        with torch.no_grad():
            fake = torch.cat(self.both_reconstructions(batch))
        return wasserstein(self.networks["dual_critic"], batch.embeddings.repeat(2, 1), fake, None, self.penalty, self.rng)

    def dual_generator_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """G_VS: both kinds of reconstructed embeddings convince D_S, and their class means are those of their classes."""
        both = torch.stack(self.both_reconstructions(batch))
        inconsistency = self.inconsistency(both[0], batch) + self.inconsistency(both[1], batch)
        loss: torch.Tensor = self.semantic_weight * inconsistency - self.networks["dual_critic"](both.flatten(0, 1)).mean()
        return loss

    def both_draws(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features `[rows, dim]` drawn of the classes' embeddings, and of those that G_VS reconstructs from the real rows."""
        plain = self.draw(batch.embeddings, self.gaussian(len(batch.features)))
        with torch.no_grad():
            back = self.reconstructed(batch.features)
        return plain, self.draw(back, self.gaussian(len(batch.features)))

    def both_reconstructions(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return embeddings `[rows, semantics]` reconstructed from real rows, and from rows drawn of their classes."""
        with torch.no_grad():
            fake = self.draw(batch.embeddings, self.gaussian(len(batch.features)))
        return self.reconstructed(batch.features), self.reconstructed(fake)

    def reconstructed(self, features: torch.Tensor) -> torch.Tensor:
        """Return `G_VS(v)`, `[rows, semantics]`."""
        embeddings: torch.Tensor = self.networks["dual_generator"](features).float()
        return embeddings

    def inconsistency(self, reconstructed: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the mean distance, over the classes of a batch, of the mean reconstructed embedding to the class's own."""
        return pivot(reconstructed, batch.labels, self.known)
