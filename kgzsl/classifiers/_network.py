"""The small networks of DEM, PSR and ICIS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


def perceptron(sizes: Sequence[int], generator: torch.Generator) -> nn.Sequential:
    """Return linear layers of these sizes, inputs first, with ReLU between them.

    Weights are drawn from `generator` as He et al. (2015) have them; biases start at 0.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        linear = nn.utils.skip_init(nn.Linear, inputs, outputs)
        with torch.no_grad():
            linear.weight.normal_(0.0, math.sqrt(2.0 / inputs), generator=generator)
            linear.bias.zero_()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
