"""SJE: a bilinear compatibility with a hinge on the worst violator (Akata et al., 2015)."""

from __future__ import annotations

import torch

from kgzsl.classifiers._bilinear import RankingClassifier, violations


class SJE(RankingClassifier):
    """Bilinear map with a structured loss: only the class that violates the margin most costs."""

    name = "sje"
    source = "Akata et al., Evaluation of Output Embeddings for Fine-Grained Image Classification, CVPR 2015, section 3"

    @staticmethod
    def loss(scores: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
        """Return `mean_n max_y max(0, Δ(yₙ, y) + s(n, y) − s(n, yₙ))`, Δ the margin between different classes."""
        return violations(scores, labels, margin).amax(dim=1).mean()
