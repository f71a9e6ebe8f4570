"""DeViSE: a bilinear compatibility with a hinge on every other class (Frome et al., 2013)."""

from __future__ import annotations

import torch

from kgzsl.classifiers._bilinear import RankingClassifier, violations


class DeViSE(RankingClassifier):
    """Bilinear map; every class within the margin of the row's own costs its hinge."""

    name = "devise"
    source = "Frome et al., DeViSE: A Deep Visual-Semantic Embedding Model, NeurIPS 2013, eq. 1"

    @staticmethod
    def loss(scores: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
        """Return `mean_n Σ_{y ≠ yₙ} max(0, margin − s(n, yₙ) + s(n, y))`."""
        return violations(scores, labels, margin).sum(dim=1).mean()
