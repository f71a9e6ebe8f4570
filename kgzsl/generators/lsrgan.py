"""LsrGAN: f-CLSWGAN whose drawn features are as near to the classes of seen rows as the classes' embeddings say, unseen classes too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import SeenRows
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.losses import relation
from kgzsl.generators.training import Batch, Player


class LsrGAN(FCLSWGAN):
    """LsrGAN: similarities of drawn features to seen classes' means follow those of embeddings, for classes never seen as well.

    Embeddings of the classes that have no rows take part in training, rows of theirs never do. Without such classes only the seen
    ones are held to the relation.

    Parameters
    ----------
    relation_weight : λ of the semantic relation loss; its default was tried on held-out seen classes of CUB, not published.
    neighbours : the most similar seen classes that a drawn row is held to.
    slack : ε, how far two similarities, cosines in −1…1, may differ freely.
    settings : see `FCLSWGAN`.
    """

    name = "lsrgan"
    source = "Vyas, Venkateswara, Panchanathan, Leveraging Seen and Unseen Semantic Relationships for Generative ZSL, ECCV 2020"
    uses_unseen_embeddings = True

    def __init__(self, *, relation_weight: float = 0.1, neighbours: int = 20, slack: float = 0.15, **settings: Any) -> None:
        super().__init__(**settings)
        if relation_weight < 0 or neighbours < 1 or not 0 <= slack < 2:
            raise InvalidInputError(
                "relation_weight is not negative, neighbours at least 1, slack lies in 0…2",
                received=f"{relation_weight}, {neighbours} and {slack}",
            )
        self.relation_weight, self.neighbours, self.slack = relation_weight, neighbours, slack

    def players(self, seen: SeenRows) -> Sequence[Player]:
        self.known, self.others = seen.embeddings, seen.others
        return super().players(seen)

    def generator_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """Equation 8: f-CLSWGAN's loss, and the relation of rows of seen classes and of rows of the others (equations 5 to 7)."""
        count = len(batch.features)
        fake = self.draw(batch.embeddings, self.gaussian(count))
        recognised = functional.cross_entropy(self.networks["classifier"](fake), batch.labels)
        loss = self.class_weight * recognised - self.networks["critic"](fake, batch.embeddings).mean()
        loss = loss + self.relation_weight * self.related(fake, batch.embeddings, batch.labels)
        if len(self.others):
            which = torch.randint(len(self.others), (count,), generator=self.rng, device=self.rng.device)
            unseen = self.others[which]
            loss = loss + self.relation_weight * self.related(self.draw(unseen, self.gaussian(count)), unseen, None)
        return loss

    def related(self, drawn: torch.Tensor, embeddings: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
        """Return the relation loss of drawn rows `[rows, dim]`; a row's `own` seen class is not among its neighbours."""
        return relation(drawn, embeddings, self.centres, self.known, self.neighbours, self.slack, own)
