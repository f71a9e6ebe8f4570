"""CE-GZSL: a Wasserstein GAN beside an embedding in which rows of a class meet; the final classifier works there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import SeenRows
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.losses import instance_contrast
from kgzsl.generators.networks import Critic, perceptron
from kgzsl.generators.training import Batch, Player

#: Values of the comparator's hidden layer that are kept for the backward pass; of what is more, they are computed again.
KEPT_VALUES = 32 * 2**20


class CEGZSL(FCLSWGAN):
    """CE-GZSL: E embeds features, H projects embeddings onto a sphere, F compares them with class embeddings.

    Rows of a class are drawn together on the sphere (instances), and each embedding fits its own class better than the other seen
    ones (classes). E, H and F learn beside the critic from real rows; the generator learns to draw rows that do as well.

    Parameters
    ----------
    embedding, projection, comparator_hidden : columns of what E and H return, and of F's hidden layer.
    instance_weight, class_contrast_weight : of the two losses of drawn rows.
    instance_temperature, class_temperature : τ_e and τ_s.
    class_weight : of f-CLSWGAN's frozen softmax, which CE-GZSL does without.
    settings : see `FCLSWGAN`.
    """

    name = "cegzsl"
    source = "Han et al., Contrastive Embedding for Generalized Zero-Shot Learning, CVPR 2021"

    def __init__(
        self,
        *,
        embedding: int = 2048,
        projection: int = 512,
        comparator_hidden: int = 2048,
        instance_weight: float = 0.001,
        class_contrast_weight: float = 0.001,
        instance_temperature: float = 0.1,
        class_temperature: float = 0.1,
        class_weight: float = 0.0,
        **settings: Any,
    ) -> None:
        super().__init__(class_weight=class_weight, **settings)
        if min(embedding, projection, comparator_hidden) < 1 or min(instance_weight, class_contrast_weight) < 0:
            raise InvalidInputError(
                "embedding, projection and comparator_hidden are at least 1, instance_weight and class_contrast_weight not negative",
                received=f"{embedding}, {projection}, {comparator_hidden}, {instance_weight}, {class_contrast_weight}",
            )
        if min(instance_temperature, class_temperature) <= 0:
            raise InvalidInputError(
                "instance_temperature and class_temperature are positive", received=f"{instance_temperature} and {class_temperature}"
            )
        self.embedding, self.projection, self.comparator_hidden = embedding, projection, comparator_hidden
        self.instance_weight, self.class_contrast_weight = instance_weight, class_contrast_weight
        self.instance_temperature, self.class_temperature = instance_temperature, class_temperature

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return the networks of f-CLSWGAN, E, H and F."""
        networks = super().build(seen)
        networks["embedder"] = perceptron([self.dim, self.embedding], self.rng, end="relu")
        networks["projector"] = perceptron([self.embedding, self.projection], self.rng)
        networks["comparator"] = Critic(self.embedding, self.semantics, self.comparator_hidden, self.rng)
        return networks

    def players(self, seen: SeenRows) -> Sequence[Player]:
        _, generator = super().players(seen)
        self.known = seen.embeddings
        return [Player("critic", ("critic", "embedder", "projector", "comparator"), self.critic_loss, self.critic_steps), generator]

    def critic_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """Equation 8 for all but G: the critic's loss, and both contrasts of real rows (equations 4 and 6)."""
        embedded = self.represent(batch.features)
        instances = instance_contrast(self.projected(embedded), batch.labels, self.instance_temperature)
        return super().critic_loss(batch, epoch) + instances + self.class_contrast(embedded, batch.labels)

    def drawn_loss(self, fake: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Equation 8 for G: pleasing the critic, and both contrasts of drawn rows, instances among real ones too."""
        embedded = self.represent(fake)
        with torch.no_grad():
            real = self.projected(self.represent(batch.features))
        together = torch.cat([self.projected(embedded), real])
        instances = instance_contrast(together, batch.labels.repeat(2), self.instance_temperature)
        classes = self.class_contrast(embedded, batch.labels)
        return super().drawn_loss(fake, batch) + self.instance_weight * instances + self.class_contrast_weight * classes

    def class_contrast(self, embedded: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Equation 6: the cross-entropy of `F(h, a) / τ_s` over the seen classes' embeddings a, of embedded rows `[rows, embedding]`."""
        return functional.cross_entropy(self.compared(embedded, self.known).float() / self.class_temperature, labels)

    def compared(self, embedded: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Return F of every pair, `[rows, classes]`; its first layer is affine, so that each half is multiplied once."""
        comparator = cast(Critic, self.networks["comparator"])
        rows, classes = comparator.features(embedded), cast(nn.Linear, comparator.condition)(embeddings)

        def opinions(part: torch.Tensor) -> torch.Tensor:
            return comparator.opinion(part[:, None] + classes)

        size = max(1, KEPT_VALUES // classes.numel())
        if len(rows) <= size:
            return opinions(rows)
        return torch.cat([checkpoint(opinions, part, use_reentrant=False, preserve_rng_state=False) for part in rows.split(size)])

    def projected(self, embedded: torch.Tensor) -> torch.Tensor:
        """Return `H(h)`, `[rows, projection]`, of length 1."""
        return functional.normalize(self.networks["projector"](embedded).float())

    def represent(self, features: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.networks["embedder"](features)
        return embedded
