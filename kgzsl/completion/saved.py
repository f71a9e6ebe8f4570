"""Fitted link models as artifact folders: settings and history as JSON, names as JSON, vectors as plain arrays."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch

from kgzsl.artifacts import atomic_directory, canonical_json, read_manifest, write_manifest
from kgzsl.completion.link_base import LinkModel
from kgzsl.completion.links import LINK_MODELS
from kgzsl.datasets.completion_set import Triples
from kgzsl.devices import resolve_device
from kgzsl.encoders.training import History
from kgzsl.errors import ArtifactError, IncompatibleError, InvalidInputError

KIND = "link-model"


def save_link_model(model: LinkModel, path: str | os.PathLike[str], *, dataset: str = "", overwrite: bool = False) -> Path:
    """Write a fitted link model as an artifact folder and return its path.

    Parameters
    ----------
    dataset : digest of the completion set that it was fitted on, for whoever reads it.

    Raises
    ------
    InvalidInputError : it is not fitted, or the path is taken.
    """
    from safetensors.torch import save_file

    if not model.entities:
        raise InvalidInputError("a link model is saved after fit", remedy="call its fit first")
    state = {"entities": torch.from_numpy(model.entity_vectors()), "relations": torch.from_numpy(model.relation_vectors())}
    described = {"model": model.name, "settings": model.settings(), "history": model.history.as_json(), "dataset": dataset}
    with atomic_directory(path, overwrite=overwrite) as folder:
        save_file({name: value.contiguous().clone() for name, value in state.items()}, folder / "vectors.safetensors")
        names = {"entities": list(model.entities), "relations": list(model.relations)}
        (folder / "names.json").write_text(canonical_json(names) + "\n", encoding="utf-8")
        write_manifest(folder, KIND, described)
    return Path(path)


def load_link_model(path: str | os.PathLike[str], facts: Triples | None = None, *, device: str = "cpu") -> LinkModel:
    """Read a model that `save_link_model` wrote; it scores what the saved one scored.

    Parameters
    ----------
    facts : the triples that it is to answer about; the names must be the same.

    Raises
    ------
    ArtifactError, DigestMismatchError : the folder is damaged or of another kind.
    IncompatibleError : it was fitted on other entities or relations than those of `facts`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    manifest = read_manifest(path, KIND)
    try:
        model = LINK_MODELS.make(manifest["model"], manifest["settings"])
        names = json.loads((Path(path) / "names.json").read_text(encoding="utf-8"))
        model.entities, model.relations = tuple(names["entities"]), tuple(names["relations"])
        model.history = History.of(manifest["history"])
        state = load_file(Path(path) / "vectors.safetensors")
        entities, relations = (state[name].to(resolve_device(device)) for name in ("entities", "relations"))
        columns = model.dim * (2 if model.is_complex else 1)
        shapes = [(len(model.entities), columns), (len(model.relations), columns)]
        if [tuple(v.shape) for v in (entities, relations)] != shapes or not all(torch.isfinite(v).all() for v in (entities, relations)):
            raise ValueError(f"vectors {tuple(entities.shape)} and {tuple(relations.shape)}, or values that are not finite")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            "a link model's folder holds its settings, names and vectors", received=f"{path}: {str(error)[:300]}"
        ) from error
    if facts is not None and (model.entities, model.relations) != (facts.entities, facts.relations):
        raise IncompatibleError(
            "a link model answers about the entities and relations that it was fitted on",
            received=f"{path} has {len(model.entities):,} and {len(model.relations):,}, of other names",
            remedy="name the set that it was fitted on, or fit it again",
        )
    model._take(entities, relations)
    return model


def saved_dataset(path: str | os.PathLike[str]) -> str:
    """Return the digest of the completion set that a saved model was fitted on."""
    return str(read_manifest(path, KIND, verify=False).get("dataset", ""))
