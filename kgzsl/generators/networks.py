"""Perceptrons of generators and critics, with the initial weights that the published ones have."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

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
        linear = nn.utils.skip_init(nn.Linear, inputs, outputs, device=generator.device)
        with torch.no_grad():
            if deviation:
                linear.weight.normal_(0.0, deviation, generator=generator)
            else:
                nn.init.xavier_uniform_(linear.weight, generator=generator)
            linear.bias.zero_()
        layers += [linear, nn.LeakyReLU(slope)]
    return nn.Sequential(*layers[:-1], ACTIVATIONS[end]())
