"""CIZSL: f-CLSWGAN that also draws features of imagined classes, which shall look real and be hard to take for a seen class."""

from __future__ import annotations

from typing import Any

import torch

from kgzsl.errors import InvalidInputError
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.losses import sharma_mittal
from kgzsl.generators.training import Batch

#: How much of an imagined embedding comes from the first of its two parents: never so much that it is one of them.
BETWEEN = (0.2, 0.8)


class CIZSL(FCLSWGAN):
    """CIZSL: a creativity loss on features of embeddings between those of two seen classes.

    Parameters
    ----------
    creativity : λ, weight of the creativity loss.
    alpha, beta : order and degree of the Sharma–Mittal divergence from equal chances of all seen classes; 1 and 1 is Kullback and
        Leibler's, equal ones are Tsallis's, β of 1 is Rényi's. Fixed here, learned in one variant of the paper.
    settings : see `FCLSWGAN`.
    """

    name = "cizsl"
    source = "Elhoseiny, Elfeki, Creativity Inspired Zero-Shot Learning, ICCV 2019"

    def __init__(self, *, creativity: float = 0.1, alpha: float = 1.0, beta: float = 1.0, **settings: Any) -> None:
        super().__init__(**settings)
        if creativity < 0 or min(alpha, beta) <= 0:
            raise InvalidInputError("creativity is not negative, alpha and beta are positive", received=f"{creativity}, {alpha} and {beta}")
        self.creativity, self.alpha, self.beta = creativity, alpha, beta

    def generator_loss(self, batch: Batch, epoch: int) -> torch.Tensor:
        """f-CLSWGAN's loss, and equation 4: imagined rows please the critic and are told from no seen class."""
        imagined = self.imagined(batch.embeddings)
        fake = self.draw(imagined, self.gaussian(len(imagined)))
        chances = self.networks["classifier"](fake).float().log_softmax(dim=1)
        unsettled = sharma_mittal(chances, self.alpha, self.beta).mean()
        pleasing = self.networks["critic"](fake, imagined).mean()
        return super().generator_loss(batch, epoch) + self.creativity * (unsettled - pleasing)

    def imagined(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return `α a + (1 − α) b` of embeddings `[rows, semantics]` and others drawn from the batch, α uniform in 0.2…0.8."""
        others = embeddings[torch.randperm(len(embeddings), generator=self.rng, device=self.rng.device)]
        low, high = BETWEEN
        share = low + (high - low) * torch.rand(len(embeddings), 1, generator=self.rng, device=self.rng.device)
        return torch.lerp(others, embeddings, share)
