"""DSP: f-CLSWGAN conditioned on prototypes that evolve towards what can be read off features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import SeenRows
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.losses import wasserstein
from kgzsl.generators.networks import perceptron
from kgzsl.generators.training import Batch, Player
from kgzsl.generators.variational import laplace


class DSP(FCLSWGAN):
    """DSP: V2SM reads prototypes off features, VOPE evolves the given ones towards them, and the generator is conditioned on these.

    A class's dynamic prototype is `z⁺ = α z + (1 − α) VOPE(z)` of its embedding z, so that classes never seen have theirs too. The
    published training moves a seen class's prototype on from step to step; here VOPE alone learns, and training, unseen classes and
    rows drawn in the end are conditioned alike, by `evolutions` of these moves. The final classifier works on features beside the
    prototype that V2SM reads off each: what a test row can be asked for without its class.

    Parameters
    ----------
    alpha : α, how much of an embedding a move leaves.
    evolutions : moves from an embedding to the prototype that conditions the generator.
    reader_hidden, evolver_hidden : columns of the hidden layers of V2SM and VOPE.
    cycle_weight : of the absolute error of prototypes read off real and drawn rows, summed over columns.
    evolution_weight : of the absolute error of what VOPE evolves, against what V2SM reads off the rows drawn with it. The defaults of
        both weights were tried on held-out seen classes of CUB, not published.
    settings : see `FCLSWGAN`.
    """

    name = "dsp"
    source = "Chen et al., Evolving Semantic Prototype Improves Generative Zero-Shot Learning, ICML 2023"

    def __init__(
        self,
        *,
        alpha: float = 0.9,
        evolutions: int = 1,
        reader_hidden: int = 4096,
        evolver_hidden: int = 4096,
        cycle_weight: float = 0.01,
        evolution_weight: float = 0.01,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if min(evolutions, reader_hidden, evolver_hidden) < 1 or min(cycle_weight, evolution_weight) < 0 or not 0 <= alpha <= 1:
            raise InvalidInputError(
                "alpha lies in 0…1, evolutions, reader_hidden and evolver_hidden are at least 1, "
                "cycle_weight and evolution_weight not negative",
                received=f"{alpha}, {evolutions}, {reader_hidden}, {evolver_hidden}, {cycle_weight}, {evolution_weight}",
            )
        self.alpha, self.evolutions, self.reader_hidden, self.evolver_hidden = alpha, evolutions, reader_hidden, evolver_hidden
        self.cycle_weight, self.evolution_weight = cycle_weight, evolution_weight

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return the networks of f-CLSWGAN, V2SM and VOPE (the rest of it is in `evolved`)."""
        networks = super().build(seen)
        networks["reader"] = perceptron([self.dim, self.reader_hidden, self.semantics], self.rng)
        networks["evolver"] = perceptron([self.semantics, self.evolver_hidden, self.semantics], self.rng)
        return networks

    def players(self, seen: SeenRows) -> Sequence[Player]:
        critic, _ = super().players(seen)
        return [critic, Player("generator", ("generator", "reader", "evolver"), self.generator_loss)]

    def critic_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """The critic of f-CLSWGAN, conditioned on the dynamic prototypes."""
        prototypes = self.moved(batch).embeddings
        with torch.no_grad():
            fake = self.conditioned(prototypes, self.gaussian(len(prototypes)))
        return wasserstein(self.networks["critic"], batch.features, fake, prototypes, self.penalty, self.rng)

    def generator_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """f-CLSWGAN's loss on the dynamic prototypes, the semantic cycle (L_SCYC), and VOPE's own loss (L_V2S)."""
        moved = self.moved(batch)
        fake = self.conditioned(moved.embeddings, self.gaussian(len(batch.features)))
        read = self.read(fake)
        cycle = laplace(read, batch.embeddings) + laplace(self.read(batch.features), batch.embeddings)
        evolution = laplace(self.evolved(batch.embeddings), read.detach())
        return self.drawn_loss(fake, moved) + self.cycle_weight * cycle + self.evolution_weight * evolution

    def moved(self, batch: Batch) -> Batch:
        """Return the batch with dynamic prototypes in place of embeddings; VOPE learns from its own loss alone."""
        return replace(batch, embeddings=self.prototypes(batch.embeddings).detach())

    def prototypes(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the dynamic prototypes z⁺ of embeddings `[rows, semantics]`."""
        for _ in range(self.evolutions):
            embeddings = torch.lerp(self.evolved(embeddings), embeddings, self.alpha)
        return embeddings

    def evolved(self, prototypes: torch.Tensor) -> torch.Tensor:
        """Return `VOPE(z)`, `[rows, semantics]`: what it adds to z is learned."""
        return prototypes + self.networks["evolver"](prototypes).float()

    def read(self, features: torch.Tensor) -> torch.Tensor:
        """Return the prototypes `[rows, semantics]` that V2SM reads off scaled features."""
        read: torch.Tensor = self.networks["reader"](features).float()
        return read

    def conditioned(self, prototypes: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return features drawn for dynamic prototypes, `[rows, dim]`."""
        return super().draw(prototypes, noise)

    def draw(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.conditioned(self.prototypes(embeddings), noise)

    def represent(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat([features, self.read(features)], dim=1)
