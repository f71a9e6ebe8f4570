"""Mixed precision: dense products in bfloat16 while training, everything else in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from kgzsl.errors import InvalidInputError

PRECISIONS = ("float32", "bfloat16")


def check_precision(precision: str) -> str:
    """Return `precision`, or raise InvalidInputError when it is none of `PRECISIONS`."""
    if precision not in PRECISIONS:
        raise InvalidInputError(f"precision is {' or '.join(PRECISIONS)}", received=repr(precision))
    return precision


def mixed(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of a forward pass; parameters, their gradients and the optimiser stay in float32 whatever it is.

    bfloat16 has float32's range, so the loss needs no scaling (unlike float16).
    """
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


def exact(device: torch.device) -> AbstractContextManager[object]:
    """Return the context of sums over neighbours, which are always taken in float32: a hub adds up thousands of small terms."""
    rounded = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
    return torch.autocast(device.type, enabled=False) if rounded else nullcontext()
