"""Where tensors live. No module-level device, no device chosen at import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    import torch


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Return the torch device for `auto`, `cpu`, `cuda`, `mps` (or an indexed one such as `cuda:1`).

    `auto` takes CUDA where there is one, else the CPU.

    Raises
    ------
    InvalidInputError : the device does not exist on this machine.
    """
    import torch

    if isinstance(device, torch.device):
        return device
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InvalidInputError("device is auto, cpu, cuda or mps", received=repr(device)) from error
    available = {"cpu": True, "meta": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(chosen.type, False):
        raise InvalidInputError(
            "the device must exist on this machine", received=repr(device), remedy="use --device cpu, or see `kgzsl doctor`"
        )
    return chosen
