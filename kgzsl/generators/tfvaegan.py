"""TF-VAEGAN: f-VAEGAN held to its semantics while training, while drawing (feedback), and in the final classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import SeenRows
from kgzsl.generators.fvaegan import FVAEGAN
from kgzsl.generators.networks import perceptron
from kgzsl.generators.training import Batch, Player
from kgzsl.generators.variational import laplace


class TFVAEGAN(FVAEGAN):
    """TF-VAEGAN: a decoder of class embeddings judges drawn features, and its hidden layer refines them and widens the final rows.

    Dec reads the embedding off a feature. Its hidden layer goes through the feedback module F into the hidden layer of the generator,
    which then draws the same latents again. Every second epoch trains with feedback, the others without; the published loop makes one
    pass of each kind per epoch, so it counts half as many. The final classifier works on features beside Dec's hidden layer.

    Parameters
    ----------
    semantic_weight : of the absolute error of the embeddings that Dec reads off drawn features, summed over columns.
    decoder_rate, feedback_rate : learning rates of Dec and of F.
    freeze_decoder : whether Dec learns from real rows alone, and not in the generator's steps.
    feedback, feedback_drawn : δ, strength of feedback in training and when features are drawn in the end.
    settings : see `FVAEGAN`.
    """

    name = "tfvaegan"
    source = "Narayan et al., Latent Embedding Feedback and Discriminative Features for Zero-Shot Classification, ECCV 2020"

    def __init__(
        self,
        *,
        semantic_weight: float = 0.01,
        decoder_rate: float = 1e-4,
        feedback_rate: float = 1e-5,
        freeze_decoder: bool = False,
        feedback: float = 1.0,
        feedback_drawn: float = 1.0,
        encoded_noise: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(encoded_noise=encoded_noise, **settings)
        if min(semantic_weight, feedback, feedback_drawn) < 0 or min(decoder_rate, feedback_rate) <= 0:
            raise InvalidInputError(
                "semantic_weight and both strengths of feedback are not negative, both rates positive",
                received=f"{semantic_weight}, {feedback}, {feedback_drawn}, {decoder_rate}, {feedback_rate}",
            )
        self.semantic_weight, self.decoder_rate, self.feedback_rate = semantic_weight, decoder_rate, feedback_rate
        self.freeze_decoder, self.feedback, self.feedback_drawn = freeze_decoder, feedback, feedback_drawn

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return the networks of f-VAEGAN, Dec, and F (its last activation is in `refined`)."""
        networks = super().build(seen)
        networks["decoder"] = perceptron([self.dim, self.hidden, self.semantics], self.rng)
        networks["feedback"] = perceptron([self.hidden, self.hidden, self.hidden], self.rng)
        return networks

    def players(self, seen: SeenRows) -> Sequence[Player]:
        moved = ("encoder", "generator", "feedback", *(() if self.freeze_decoder else ("decoder",)))
        rates = {"feedback": self.feedback_rate, "decoder": self.decoder_rate}
        return [
            Player("decoder", ("decoder",), self.decoder_loss, self.critic_steps, self.decoder_rate),
            Player("critic", ("critic",), self.critic_loss, self.critic_steps),
            Player("generator", moved, self.generator_loss, rates=rates),
        ]

    def decoder_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """L_R on real rows: Dec reads off their class's embedding."""
        return self.inconsistency(batch.features, batch.embeddings)

    def drawn_loss(self, fake: torch.Tensor, batch: Batch) -> torch.Tensor:
        """What f-VAEGAN holds against drawn rows, and that Dec reads another embedding off them (L_R)."""
        return super().drawn_loss(fake, batch) + self.semantic_weight * self.inconsistency(fake, batch.embeddings)

    def inconsistency(self, features: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the mean over rows of `‖Dec(x) − a‖₁`; what Dec reads has length 1 where embeddings have."""
        read = self.networks["decoder"](features).float()
        return laplace(functional.normalize(read) if self.embedding_scaling.endswith("l2") else read, embeddings)

    def training_logits(self, batch: Batch, noise: torch.Tensor, epoch: int) -> torch.Tensor:
        plain = self.decoded(batch.embeddings, noise)
        return plain if epoch % 2 else self.refined(plain, batch.embeddings, noise, self.feedback)

    def refined(self, logits: torch.Tensor, embeddings: torch.Tensor, noise: torch.Tensor, strength: float) -> torch.Tensor:
        """Return a second draw `[rows, dim]`, before its end, with what Dec made of the first one added to G's hidden layer."""
        generator = cast(nn.Sequential, self.networks["generator"])
        latent = functional.leaky_relu(self.networks["feedback"](self.latent(self.ended(logits))), 0.2)
        again: torch.Tensor = generator[2:](generator[:2](torch.cat([noise, embeddings], dim=1)) + strength * latent)
        return again

    def latent(self, features: torch.Tensor) -> torch.Tensor:
        """Return Dec's hidden layer `[rows, hidden]` of scaled features."""
        hidden: torch.Tensor = cast(nn.Sequential, self.networks["decoder"])[:2](features)
        return hidden

    def draw(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return self.ended(self.refined(self.decoded(embeddings, noise), embeddings, noise, self.feedback_drawn))

    def represent(self, features: torch.Tensor) -> torch.Tensor:
        return torch.cat([features, self.latent(features)], dim=1)
