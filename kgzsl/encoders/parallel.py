"""Several processes under `torchrun`: each takes a share of the seen classes, gradients are added up.

A full-batch loss is a sum over classes, so that the sum over processes is exactly the gradient of one process; only the receptive
field of a process's own classes is computed there. Where batches are drawn, each process draws from rows of its own, and gradients
are averaged. Outside `torchrun` everything here does nothing.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import distributed, nn


def processes() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1")) if distributed.is_available() else 1


def rank() -> int:
    """Return this process's number, 0 for the one that writes files."""
    return int(os.environ.get("RANK", "0")) if processes() > 1 else 0


def join(device: torch.device) -> None:
    """Meet the other processes, once; NCCL between GPUs, Gloo between processors."""
    if processes() > 1 and not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)


def share(rows: np.ndarray) -> np.ndarray:
    """Return this process's part of `rows`: every n-th of them."""
    return rows[rank() :: processes()]


def add_gradients(module: nn.Module, loss: torch.Tensor) -> torch.Tensor:
    """Put the sum over the processes in place of every gradient and return that of the losses; parameters start and stay equal."""
    total = loss.detach().clone()
    if processes() > 1:
        for value in [total, *(p.grad for p in module.parameters() if p.grad is not None)]:
            distributed.all_reduce(value)
    return total


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Put the mean over the processes in place of every gradient."""
    if processes() > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= processes()


def from_first(*tensors: torch.Tensor) -> None:
    """Put the first process's values in place of every other's."""
    if processes() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, 0)


def mean_of(value: torch.Tensor) -> float:
    """Return the mean of a scalar over the processes."""
    return float(together(value).mean())


def together(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor of every process, `[processes, …]`."""
    if processes() == 1:
        return value[None]
    parts = [torch.empty_like(value) for _ in range(processes())]
    distributed.all_gather(parts, value)
    return torch.stack(parts)


def identity() -> Mapping[str, int]:
    """Return what a checkpoint must agree in: nothing for one process."""
    return {"processes": processes()} if processes() > 1 else {}
