"""What variational autoencoders share: diagonal Gaussians of latents, likelihoods of rows, and weights that warm up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch.nn import functional

from kgzsl.errors import InvalidInputError


@dataclass(frozen=True)
class DiagonalGaussian:
    """A normal distribution of latents for every row; all in float32, whatever precision the encoder computed in.

    Attributes
    ----------
    mean, log_variance : `[rows, latent]`.
    """

    mean: torch.Tensor
    log_variance: torch.Tensor

    @classmethod
    def of(cls, encoded: torch.Tensor) -> Self:
        """Return the distribution that an encoder states as means beside log variances, `[rows, 2 · latent]`."""
        mean, log_variance = encoded.float().chunk(2, dim=1)
        return cls(mean, log_variance)

    @property
    def deviation(self) -> torch.Tensor:
        """Standard deviations, `[rows, latent]`."""
        return (0.5 * self.log_variance).exp()

    def at(self, noise: torch.Tensor) -> torch.Tensor:
        """Return latents `[rows, latent]` for standard normal noise, so that gradients reach the distribution.

        Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, equation 10.
        """
        return torch.addcmul(self.mean, self.deviation, noise)

    def divergence(self) -> torch.Tensor:
        """Return the mean over rows of `KL(q ‖ N(0, I))`, summed over latent columns.

        Source: Kingma and Welling 2014, appendix B.
        """
        return 0.5 * (self.mean**2 + self.log_variance.exp() - 1 - self.log_variance).sum(dim=1).mean()

    def wasserstein(self, other: DiagonalGaussian) -> torch.Tensor:
        """Return the mean over rows of the 2-Wasserstein distance to `other`: `√(‖μ₁ − μ₂‖² + ‖σ₁ − σ₂‖²)`.

        Source: Schönfeld et al. 2019, distribution alignment. A norm, not a root of a sum: equal rows have the gradient 0 instead of NaN.
        """
        apart = torch.cat([self.mean - other.mean, self.deviation - other.deviation], dim=1)
        return torch.linalg.vector_norm(apart, dim=1).mean()


def laplace(decoded: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the mean over rows of `Σ |x − x̂|`: −log likelihood under Laplace noise of scale 1, up to a constant."""
    return (decoded.float() - rows).abs().sum(dim=1).mean()


def gaussian(decoded: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the mean over rows of `½ Σ (x − x̂)²`: −log likelihood under Gaussian noise of variance 1, up to a constant."""
    return 0.5 * ((decoded.float() - rows) ** 2).sum(dim=1).mean()


def bernoulli(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the mean over rows of `−Σ x log x̂ + (1 − x) log(1 − x̂)` for rows in 0…1 and `x̂` the sigmoid of `logits`."""
    return functional.binary_cross_entropy_with_logits(logits.float(), rows, reduction="none").sum(dim=1).mean()


@dataclass(frozen=True)
class WarmUp:
    """A weight that is 0 until the epoch `start`, grows along a line, and is `weight` from the epoch `end` on.

    Raises
    ------
    InvalidInputError : a negative weight, or epochs that are not two numbers of which the first is smaller.
    """

    weight: float
    start: int
    end: int

    @classmethod
    def of(cls, weight: float, epochs: Sequence[int]) -> Self:
        """Return the warm-up to `weight` between two epochs."""
        if len(epochs) != 2 or not 0 <= epochs[0] < epochs[1] or weight < 0:
            raise InvalidInputError(
                "a weight, not negative, warms up between two epochs, the first smaller than the second",
                received=f"{weight} between {list(epochs)}",
            )
        return cls(weight, *epochs)

    def __call__(self, epoch: int) -> float:
        """Return the weight of an epoch."""
        return self.weight * min(1.0, max(0.0, (epoch - self.start) / (self.end - self.start)))
