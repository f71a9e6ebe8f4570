"""Classifiers of seen classes that are trained first and stay frozen while a generator learns."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from kgzsl.generators.base import SeenRows


def seen_softmax(
    seen: SeenRows, rng: torch.Generator, *, epochs: int = 20, batch_size: int = 256, learning_rate: float = 1e-3
) -> nn.Linear:
    """Return softmax regression of the seen classes' scaled rows, trained by Adam: logits `[rows, seen]`."""
    linear = nn.utils.skip_init(nn.Linear, seen.features.shape[1], len(seen.ids), device=rng.device)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    optimiser = torch.optim.Adam(linear.parameters(), lr=learning_rate, fused=True)
    for _ in range(epochs):
        for rows in torch.randperm(len(seen.labels), generator=rng, device=rng.device).split(batch_size):
            optimiser.zero_grad(set_to_none=True)
            functional.cross_entropy(linear(seen.features[rows]), seen.labels[rows]).backward()
            optimiser.step()
    return linear.requires_grad_(False)
