"""ALE: a bilinear compatibility with a rank-weighted hinge (Akata et al., 2016)."""

from __future__ import annotations

import torch

from kgzsl.classifiers._bilinear import RankingClassifier, violations


class ALE(RankingClassifier):
    """Bilinear map with a weighted approximate ranking loss: the top of the ranking counts most."""

    name = "ale"
    source = "Akata et al., Label-Embedding for Image Classification, TPAMI 2016, section 3.3 (weights of WSABIE, Weston et al., 2011)"

    @staticmethod
    def loss(scores: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
        """Return `mean_n β(rₙ) / rₙ Σ_y max(0, Δ(yₙ, y) + s(n, y) − s(n, yₙ))`.

        rₙ is the number of classes within the margin and `β(r) = Σ_{i ≤ r} 1 / i`; the weight is a constant of the gradient.
        """
        over = violations(scores, labels, margin)
        rank = (over > 0).sum(dim=1)
        harmonic = (1.0 / torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)).cumsum(dim=0)
        beta = harmonic[(rank - 1).clamp_min(0)]  # without a violator the sum is 0 whatever its weight
        return (beta / rank.clamp_min(1) * over.sum(dim=1)).mean()
