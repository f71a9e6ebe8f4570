"""Fitted generators as artifact folders: settings and history as JSON, networks and scaling as plain arrays, embeddings as they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgzsl.artifacts import atomic_directory, read_manifest, write_manifest
from kgzsl.devices import resolve_device
from kgzsl.errors import ArtifactError, InvalidInputError
from kgzsl.generators.base import Generator, SeenRows, settings_of
from kgzsl.generators.scaling import ColumnScaling
from kgzsl.generators.training import History
from kgzsl.matrices import ClassEmbeddings

#: Random rows of each class on which the networks are built whose state is then taken.
STAND_INS = 4


def save_generator(generator: Generator, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a fitted generator as an artifact folder and return its path; one that is not fitted raises InvalidInputError."""
    from safetensors.torch import save_file

    if not generator.classes:
        raise InvalidInputError("a generator is saved after fit", remedy="call its fit first")
    state = {f"networks/{name}": value.detach().cpu().contiguous().clone() for name, value in generator.networks.state_dict().items()}
    scaling = {"scaling/offset": generator.scaling.offset, "scaling/size": generator.scaling.size}
    with atomic_directory(path, overwrite=overwrite) as folder:
        save_file({**state, **{name: torch.from_numpy(value) for name, value in scaling.items()}}, folder / "state.safetensors")
        generator.embeddings.save(folder / "embeddings")
        write_manifest(folder, "generator", described(generator))
    return Path(path)


def described(generator: Generator) -> dict[str, Any]:
    """Return what a fitted generator is, as JSON values."""
    return {
        "generator": generator.name,
        "settings": settings_of(generator),
        "seen": list(generator.seen),
        "history": generator.history.as_json(),
    }


def load_generator(path: str | os.PathLike[str], *, device: str | torch.device = "auto") -> Generator:
    """Read a generator that `save_generator` wrote; it draws what the saved one drew.

    Raises
    ------
    ArtifactError, DigestMismatchError : the folder is damaged or of another kind.
    UnknownNameError, InvalidInputError : its generator, or a setting of it, is not known to this version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from kgzsl.generators import GENERATORS

    manifest = read_manifest(path, "generator")
    try:
        generator = GENERATORS.make(manifest["generator"], {**manifest["settings"], "device": device})
        state = load_file(Path(path) / "state.safetensors")
        scaling = ColumnScaling(state.pop("scaling/offset").numpy(), state.pop("scaling/size").numpy())
        _stand_in(generator, tuple(manifest["seen"]), scaling, ClassEmbeddings.load(Path(path) / "embeddings"))
        generator.networks.load_state_dict({name.removeprefix("networks/"): value for name, value in state.items()})
        generator.history = History.of(manifest["history"])
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ArtifactError("a generator's folder holds its settings and state", received=f"{path}: {str(error)[:300]}") from error
    generator.networks.requires_grad_(False)
    generator.classes = generator.embeddings.ids
    return generator


def _stand_in(generator: Generator, seen: tuple[str, ...], scaling: ColumnScaling, embeddings: ClassEmbeddings) -> None:
    """Build the networks on random rows: their shapes are those of the saved ones, their values are replaced."""
    device = resolve_device(generator.device)
    generator.rng = torch.Generator(device).manual_seed(generator.seed)
    generator.scaling, generator.embeddings, generator.seen = scaling, embeddings, seen
    generator.semantics, generator.dim = embeddings.dim, len(scaling.offset)
    labels = torch.from_numpy(np.repeat(np.arange(len(seen)), STAND_INS)).to(device)
    rows = torch.rand(len(labels), generator.dim, generator=generator.rng, device=device)
    known = generator._scaled(embeddings.rows(seen)).to(device)
    generator.networks = generator.build(SeenRows(seen, rows, labels, known, generator.unseen_embeddings().to(device))).to(device)
