"""Perceptrons of generators and critics, with the initial weights that the published ones have."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from kgzsl.errors import InvalidInputError

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "linear": nn.Identity}


def perceptron(
    sizes: Sequence[int], generator: torch.Generator, *, slope: float = 0.2, end: str = "linear", deviation: float = 0.02
) -> nn.Sequential:
    """Return linear layers of these sizes with LeakyReLU between them and the activation `end` behind the last.

    Weights are normal with standard deviation `deviation`, biases 0, as in f-CLSWGAN (Xian et al. 2018); a deviation of 0 takes Glorot's
    uniform ones.
    """
    if end not in ACTIVATIONS:
        raise InvalidInputError(f"an end is one of {', '.join(ACTIVATIONS)}", received=repr(end))
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [_linear(inputs, outputs, generator, deviation), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers[:-1], ACTIVATIONS[end]())


def check_reaches(end: str, features: torch.Tensor) -> None:
    """Refuse an end of `relu` or `sigmoid` for scaled features `[rows, dim]` that it cannot draw.

    Raises
    ------
    InvalidInputError : negative ones, or ones above 1 for a sigmoid.
    """
    low, high = float(features.min()), float(features.max())
    if (end in ("relu", "sigmoid") and low < 0) or (end == "sigmoid" and high > 1):
        raise InvalidInputError(
            f"an end of {end} draws features that are not negative{' nor above 1' if end == 'sigmoid' else ''}",
            received=f"scaled features from {low:.4g} to {high:.4g}",
            remedy="feature_scaling minmax brings every column to 0…1; or take the end `linear`",
        )


class Critic(nn.Module):
    """`w·σ(Ux + Va + b) + c` with σ = LeakyReLU: the critic of f-CLSWGAN and of most of its descendants.

    The layer on `[x, a]` is written as two, so that the embeddings `a`, which real and drawn rows share, are multiplied once, and the
    gradient towards `x` touches U alone; see `losses.wasserstein`.

    Parameters
    ----------
    dim, semantics, hidden : columns of features, of embeddings (0: unconditional), of the hidden layer.
    generator : draws the weights; normal with standard deviation `deviation`, biases 0.
    """

    def __init__(
        self, dim: int, semantics: int, hidden: int, generator: torch.Generator, *, slope: float = 0.2, deviation: float = 0.02
    ) -> None:
        super().__init__()
        self.slope = slope
        self.features = _linear(dim, hidden, generator, deviation)
        self.condition = _linear(semantics, hidden, generator, deviation, bias=False) if semantics else None
        self.out = _linear(hidden, 1, generator, deviation)

    def hidden(self, features: torch.Tensor, embeddings: torch.Tensor | None) -> torch.Tensor:
        """Return the hidden layer before its activation, `[rows, hidden]`; embeddings None leaves their part out."""
        before: torch.Tensor = self.features(features)
        return before if embeddings is None or self.condition is None else before + self.condition(embeddings)

    def opinion(self, before: torch.Tensor) -> torch.Tensor:
        """Return the opinion `[…]` of hidden layers before their activation `[…, hidden]`."""
        opinion: torch.Tensor = self.out(functional.leaky_relu(before, self.slope))
        return opinion[..., 0]

    def forward(self, features: torch.Tensor, embeddings: torch.Tensor | None = None) -> torch.Tensor:
        """Return the opinion of each row of `features` `[rows, dim]`, `[rows]`: the higher, the more it looks real."""
        return self.opinion(self.hidden(features, embeddings))


def _linear(inputs: int, outputs: int, generator: torch.Generator, deviation: float, *, bias: bool = True) -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias, device=generator.device)
    with torch.no_grad():
        if deviation:
            linear.weight.normal_(0.0, deviation, generator=generator)
        else:
            nn.init.xavier_uniform_(linear.weight, generator=generator)
        if bias:
            linear.bias.zero_()
    return linear
