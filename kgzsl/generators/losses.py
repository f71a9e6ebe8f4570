"""Losses that several generators share."""

from __future__ import annotations

from collections.abc import Callable

import torch


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, fake: torch.Tensor, rng: torch.Generator
) -> torch.Tensor:
    """Return the mean of `(‖∇ critic(x̂)‖ − 1)²` at points `x̂` on straight lines between rows of `real` and `fake`, `[rows, dim]`.

    Source: Gulrajani et al., Improved Training of Wasserstein GANs, 2017, algorithm 1, line 7; one backward pass for all rows.
    """
    share = torch.rand(len(real), 1, generator=rng, device=rng.device)
    between = torch.lerp(fake.detach().to(real.dtype), real, share).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((gradient.float().norm(dim=1) - 1) ** 2).mean()
