"""An experiment cell: one YAML file with everything that decides a number."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from kgzsl.errors import InvalidInputError, UnknownNameError

CELLS = files("kgzsl.experiments") / "cells"

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "task", "dataset", "graph", "vectors", "backbone", "method", "seeds", "source"],
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-z]+\d{4}_[a-z0-9-]+_[a-z0-9-]+$"},
        "source": {"type": "string", "minLength": 10},
        "task": {"enum": ["image-holdout", "image-hops", "weight-retrieval"]},
        "dataset": {"enum": ["imagenet-samples", "caltech101-unseen", "imagenet-1k"]},
        "graph": {"type": "string"},
        "vectors": {"type": "string"},
        "descriptions": {"enum": ["imagenet-descriptions"]},
        "backbone": {"type": "string"},
        "method": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "settings": {"type": "object"}},
        },
        "seeds": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
        "folds": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
        "published": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["metric", "value", "source", "comparable"],
                "properties": {
                    "metric": {"type": "string"},
                    "value": {"type": "number"},
                    "source": {"type": "string"},
                    "comparable": {"type": "boolean"},
                    "why": {"type": "string"},
                },
                "if": {"properties": {"comparable": {"const": False}}},
                "then": {"required": ["why"]},
            },
        },
    },
}


@dataclass(frozen=True)
class Cell:
    """One experiment.

    Attributes
    ----------
    name : `<author><year>_<method>_<dataset>`.
    vectors, descriptions : the text encoder, and the descriptions of classes beside the nodes' texts (None: none).
    method, settings : see `kgzsl.tasks.methods.make_method`.
    seeds : one run each; a method without randomness has one.
    folds : which folds of the dataset to run, from 0; None runs all.
    published : numbers from papers with their source, comparable or not and why.
    content : the whole YAML as JSON values.
    """

    name: str
    task: str
    dataset: str
    graph: str
    vectors: str
    descriptions: str | None
    backbone: str
    method: str
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    folds: tuple[int, ...] | None
    published: tuple[Mapping[str, Any], ...]
    content: Mapping[str, Any]


def shipped_cells() -> tuple[str, ...]:
    """Return the names of the cells that come with the package, sorted."""
    return tuple(sorted(Path(str(p)).stem for p in CELLS.iterdir() if p.name.endswith(".yaml")))


def load_cell(name_or_path: str) -> Cell:
    """Read a shipped cell by name, or a YAML file.

    Raises
    ------
    UnknownNameError : neither a shipped name nor a file; close names are listed.
    InvalidInputError : not YAML, or a key or value that the schema does not allow.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError("an experiment file is UTF-8 text", received=f"{path}: {error}") from error
    elif name_or_path in shipped_cells():
        text = (CELLS / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    else:
        close = difflib.get_close_matches(name_or_path, shipped_cells(), n=3)
        raise UnknownNameError(
            "an experiment is a shipped name or a .yaml file",
            received=repr(name_or_path),
            remedy=(f"did you mean {' or '.join(close)}? " if close else "") + "`kgzsl experiment list` shows the names",
        )
    try:
        content = yaml.safe_load(text)
        jsonschema.validate(content, _SCHEMA)
    except yaml.YAMLError as error:
        raise InvalidInputError("an experiment file is YAML", received=str(error)[:300]) from error
    except jsonschema.ValidationError as error:
        raise InvalidInputError(
            f"{name_or_path}: {error.json_path} must follow the schema of experiments", received=error.message[:300]
        ) from error
    if path.suffix in {".yaml", ".yml"} or content["name"] == name_or_path:
        return _cell(content)
    raise InvalidInputError("a shipped cell's name is its file's name", received=f"{content['name']} in {name_or_path}.yaml")


def _cell(content: Mapping[str, Any]) -> Cell:
    return Cell(
        name=content["name"],
        task=content["task"],
        dataset=content["dataset"],
        graph=content["graph"],
        vectors=content["vectors"],
        descriptions=content.get("descriptions"),
        backbone=content["backbone"],
        method=content["method"]["name"],
        settings=content["method"].get("settings", {}),
        seeds=tuple(content["seeds"]),
        folds=tuple(content["folds"]) if "folds" in content else None,
        published=tuple(content.get("published", ())),
        content=content,
    )
