"""Checkpoints: everything that training needs to go on bit for bit, as an artifact folder of plain arrays and JSON."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kgzsl.artifacts import MANIFEST, atomic_directory, check_target, read_manifest, write_manifest
from kgzsl.encoders.parallel import rank, together
from kgzsl.errors import ArtifactError, IncompatibleError, InvalidInputError

if TYPE_CHECKING:
    from kgzsl.matrices import ClassifierWeights, Vectors


#: One, or several by name.
Optimisers = torch.optim.Optimizer | Mapping[str, torch.optim.Optimizer]


def data_digest(vectors: Vectors, targets: ClassifierWeights) -> str:
    """Return the hex SHA-256 of what an encoder is fitted on: ids and values."""
    hasher = hashlib.sha256()
    for part in (vectors, targets):
        hasher.update("\x00".join(part.ids).encode())
        hasher.update(np.ascontiguousarray(part.matrix).data)
    return hasher.hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of a training is kept, and whose it is.

    Attributes
    ----------
    path : artifact folder, replaced whole at every writing.
    identity : JSON values that decide every step; a checkpoint with another identity is refused.
    generator : the one source of random numbers of the training.
    every : epochs between writings.
    """

    path: str | os.PathLike[str]
    identity: Mapping[str, Any]
    generator: torch.Generator
    every: int = 50

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InvalidInputError("a checkpoint is written every so many epochs, at least 1", received=self.every)
        check_target(self.path, overwrite=True)

    def write(self, module: nn.Module, optimiser: Optimisers, best: Mapping[str, torch.Tensor], progress: dict[str, Any]) -> None:
        """Write parameters now and at the best epoch, the optimisers' moments, the generator's state and `progress` (JSON values)."""
        from safetensors.torch import save_file

        tensors = {f"module/{name}": value for name, value in module.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in best.items()}
        for prefix, one in _prefixed(optimiser).items():
            for number, moments in one.state_dict()["state"].items():
                tensors |= {f"{prefix}{number}/{name}": value for name, value in moments.items()}
        tensors["generator"] = together(self.generator.get_state())
        if rank():
            return  # the first process writes for all
        with atomic_directory(self.path, overwrite=True) as folder:
            save_file({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}, folder / "training.safetensors")
            write_manifest(folder, "checkpoint", {"identity": dict(self.identity), "progress": progress})

    def read(self, module: nn.Module, optimiser: Optimisers) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
        """Take everything back and return `(progress, best parameters)`; None where there is no checkpoint yet.

        Raises
        ------
        ArtifactError, DigestMismatchError : the folder is damaged.
        IncompatibleError : it is the checkpoint of another training.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not (Path(self.path) / MANIFEST).exists():
            return None
        manifest = read_manifest(self.path, "checkpoint")
        differing = [k for k in sorted({*self.identity, *manifest["identity"]}) if self.identity.get(k) != manifest["identity"].get(k)]
        if differing:
            raise IncompatibleError(
                "a checkpoint goes on only with the training that wrote it",
                received=f"{self.path}, which differs in: {', '.join(differing)}",
                remedy="name another folder, or remove this one to begin anew",
            )
        try:
            tensors = load_file(Path(self.path) / "training.safetensors")
            module.load_state_dict(_below(tensors, "module/"))
            for prefix, one in _prefixed(optimiser).items():
                one.load_state_dict({"state": _moments(_below(tensors, prefix)), "param_groups": one.state_dict()["param_groups"]})
            self.generator.set_state(tensors["generator"][rank()].clone())
        except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
            raise ArtifactError("a checkpoint holds the state of its training", received=f"{self.path}: {str(error)[:300]}") from error
        device = self.generator.device
        return manifest["progress"], {name: value.to(device) for name, value in _below(tensors, "best/").items()}


def _prefixed(optimiser: Optimisers) -> dict[str, torch.optim.Optimizer]:
    """Return the optimisers by the beginning of their tensors' names."""
    if isinstance(optimiser, torch.optim.Optimizer):
        return {"optimiser/": optimiser}
    return {f"optimiser/{name}/": one for name, one in optimiser.items()}


def _moments(tensors: Mapping[str, torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        number, _, moment = name.partition("/")
        moments.setdefault(int(number), {})[moment] = value
    return moments


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
