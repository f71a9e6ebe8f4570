"""Dropout from one stream of random bits: four values cost one draw, and torch's own draws serially on the CPU."""

from __future__ import annotations

import torch

_LEVELS = 2**16


def dropout(inputs: torch.Tensor, p: float, generator: torch.Generator | None) -> torch.Tensor:
    """Zero each value with probability `p` and scale the rest by 1 / (1 − p); no generator means no dropout.

    Drawn from the given generator, so that one seed decides every mask.
    """
    return inputs if generator is None or p == 0.0 else inputs * _mask(inputs, p, generator)


def dropout_in_training(inputs: torch.Tensor, p: float, training: bool) -> torch.Tensor:
    """Return the same from torch's global random numbers, for layers that are handed no generator."""
    return inputs * _mask(inputs, p, None) if training and p > 0.0 else inputs


def _mask(like: torch.Tensor, p: float, generator: torch.Generator | None) -> torch.Tensor:
    """Return 0 or 1 / (1 − p) for every value of `like`; 1 − p is rounded to 1/65,536, in both places."""
    count = like.numel()
    drawn = torch.empty(-(-count // 4), dtype=torch.int64, device=like.device).random_(-(2**63), None, generator=generator)
    kept = max(round((1.0 - p) * _LEVELS), 1)
    keep = drawn.view(torch.int16)[:count].view(like.shape) < kept - _LEVELS // 2
    return keep.to(like.dtype).mul_(_LEVELS / kept)
