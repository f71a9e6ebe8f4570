"""An experiment cell: one YAML file with everything that decides a number."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import yaml

from kgzsl.errors import InvalidInputError, UnknownNameError

if TYPE_CHECKING:
    from kgzsl.tasks.decisions import Choice

CELLS = files("kgzsl.experiments") / "cells"

#: Tasks on images of classes, which need a graph, node vectors and a backbone; the others run on feature or composition sets.
IMAGE_TASKS = ("image-holdout", "image-hops", "weight-retrieval")
TASKS = (*IMAGE_TASKS, "feature-zsl", "composition-zsl", "completion")

_NAMED: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "settings": {"type": "object"}},
}
_GRID: dict[str, Any] = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "array", "minItems": 1}}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 1}
_GENERATOR: dict[str, Any] = {
    **_NAMED,
    "properties": {
        **_NAMED["properties"],
        "head": {"anyOf": [{"type": "string"}, _NAMED]},
        "per_class": _COUNT,
        "seen_rows": {"type": "integer", "minimum": 0},
        "evaluate_every": _COUNT,
        "patience": {"type": "integer", "minimum": 0},
        "grid": _GRID,
    },
}
_PUBLISHED: dict[str, Any] = {
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
}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "task", "dataset", "seeds", "source"],
    "properties": {
        "name": {"type": "string", "pattern": r"^([a-z]+\d{4}|local)_[a-z0-9-]+_[a-z0-9-]+$"},
        "source": {"type": "string", "minLength": 10},
        "task": {"enum": list(TASKS)},
        "dataset": {"anyOf": [{"type": "string"}, _NAMED]},
        "graph": {"type": "string"},
        "vectors": {"type": "string"},
        "descriptions": {"enum": ["imagenet-descriptions"]},
        "backbone": {"type": "string"},
        "semantics": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "kind": {"enum": ["text", "hierarchy", "constraints", "rdfs", "rdfs+literals", "axioms"]},
                "encoder": {"type": "string"},
                "settings": {"type": "object"},
                "space": {"enum": ["weights", "nodes"]},
                "template": {"type": "string"},
            },
        },
        "method": {
            **_NAMED,
            "properties": {
                **_NAMED["properties"],
                "grid": _GRID,
                "classifier": _NAMED,
            },
        },
        "generator": _GENERATOR,
        "calibrations": {"type": "array", "items": {"anyOf": [{"type": "string"}, _NAMED]}, "uniqueItems": True},
        "seeds": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
        "folds": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
        "finetune": {"type": "object"},
        "worlds": {"type": "array", "items": {"enum": ["closed", "open"]}, "minItems": 1, "uniqueItems": True},
        "feasibility": {"type": "string"},
        "protocol": {"enum": ["all-entities", "tails", "candidates"]},
        "axioms": {"type": "boolean"},
        "published": {"type": "array", "items": _PUBLISHED},
    },
    "allOf": [
        {"if": {"required": ["generator"]}, "then": {"properties": {"method": False}}, "else": {"required": ["method"]}},
        {
            "if": {"properties": {"task": {"const": "composition-zsl"}}},
            "then": {
                "properties": {"semantics": False, "descriptions": False, "folds": False, "calibrations": False, "generator": False},
                "dependentRequired": {"graph": ["vectors"], "vectors": ["graph"], "feasibility": ["graph"]},
            },
            "else": {"properties": {"finetune": False, "worlds": False, "feasibility": False}},
        },
        {
            "if": {"properties": {"task": {"const": "completion"}}},
            "then": {
                "properties": {
                    **dict.fromkeys(("generator", "graph", "vectors", "backbone", "descriptions", "folds", "calibrations"), False),
                    "semantics": {"required": ["kind"], "properties": {"space": False, "template": False}},
                    "method": {"properties": {"classifier": False}},
                }
            },
            "else": {
                "properties": {"semantics": {"required": ["encoder"], "properties": {"kind": False}}, "protocol": False, "axioms": False}
            },
        },
        {
            "if": {"properties": {"task": {"enum": ["composition-zsl", "feature-zsl"]}}},
            "then": {"properties": {"method": {"properties": {"classifier": False}}}},
        },
        {
            "if": {"properties": {"task": {"enum": list(IMAGE_TASKS)}}},
            "then": {
                "required": ["graph", "vectors", "backbone"],
                "properties": {
                    "dataset": {"enum": ["imagenet-samples", "caltech101-unseen", "imagenet-1k"]},
                    "method": {"properties": {"grid": False}},
                    "generator": {"properties": {"head": False}},
                },
                "dependentRequired": {"semantics": ["generator"]},
            },
        },
        {
            "if": {"properties": {"task": {"const": "feature-zsl"}}},
            "then": {
                "properties": {"backbone": False, "descriptions": False, "folds": False},
                "dependentRequired": {"semantics": ["graph", "vectors"], "graph": ["semantics"], "vectors": ["semantics"]},
            },
        },
    ],
}


@dataclass(frozen=True)
class Cell:
    """One experiment.

    Attributes
    ----------
    name : `<author><year>_<method>_<dataset>`.
    dataset, dataset_settings : of a feature or composition set, the settings of its reader (`kgzsl.datasets.read_feature_set`).
    graph, vectors, backbone : empty for a feature set with semantics of its own.
    vectors, descriptions : the text encoder, and the descriptions of classes beside the nodes' texts (None: none).
    encoder, encoder_settings : what turns the graph into the semantics of a feature set; None takes its own.
    space, template : weights or embeddings of nodes, and the node text, as `kgzsl.tasks.semantics.GraphSemantics` has them.
    method, settings : see `kgzsl.tasks.methods.make_method`, `kgzsl.tasks.features.FeatureMethod` and
        `kgzsl.tasks.generation.GenerationTask`; of a generator on images, `kgzsl.tasks.drawn`.
    generator : the YAML's entry where a generator of features is the method (`kgzsl.tasks.generation.Use.of` reads what is done with it).
    classifier, classifier_settings : what scores images by an encoder's predicted weights; None takes `weight_regression`.
    grid : setting → values, of which held-out seen classes choose.
    calibrations : to run beside calibrated stacking.
    seeds : one run each; a method without randomness has one.
    folds : which folds of the dataset to run, from 0; None runs all.
    finetune : of a composition set, how the backbone is trained on (`kgzsl.tasks.composition_features.tuning_of`); None freezes it.
    worlds, feasibility : see `kgzsl.tasks.composition.CompositionTask`.
    Of a completion set, `kgzsl.experiments.completion_plan` reads semantics of relations, protocol and axioms from the content.
    published : numbers from papers with their source, comparable or not and why.
    content : the whole YAML as JSON values.
    """

    name: str
    task: str
    dataset: str
    dataset_settings: Mapping[str, Any]
    graph: str
    vectors: str
    descriptions: str | None
    backbone: str
    encoder: str | None
    encoder_settings: Mapping[str, Any]
    space: str
    template: str | None
    method: str
    settings: Mapping[str, Any]
    generator: Mapping[str, Any] | None
    classifier: str | None
    classifier_settings: Mapping[str, Any]
    grid: Mapping[str, Any]
    calibrations: tuple[Choice, ...]
    seeds: tuple[int, ...]
    folds: tuple[int, ...] | None
    finetune: Mapping[str, Any] | None
    worlds: tuple[str, ...]
    feasibility: str | None
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
    except yaml.YAMLError as error:
        raise InvalidInputError("an experiment file is YAML", received=str(error)[:300]) from error
    cell = cell_of(content, name_or_path)
    if path.suffix in {".yaml", ".yml"} or cell.name == name_or_path:
        return cell
    raise InvalidInputError("a shipped cell's name is its file's name", received=f"{content['name']} in {name_or_path}.yaml")


def cell_of(content: Any, where: str) -> Cell:
    """Return the cell that YAML or JSON values describe; raises InvalidInputError, naming `where`, when the schema refuses them."""
    try:
        jsonschema.validate(content, _SCHEMA)
    except jsonschema.ValidationError as error:
        raise InvalidInputError(
            f"{where}: {_place(error, content)} must follow the schema of experiments", received=error.message[:300]
        ) from error
    return _cell(content)


def _place(error: jsonschema.ValidationError, content: Any) -> str:
    """Return where an error is; of a key that is not allowed there, whose value is all that the library tells, the key too."""
    if error.validator is not None:
        return error.json_path
    parent = content
    for key in error.absolute_path:
        parent = parent[key]
    return ".".join([error.json_path, *(key for key, value in parent.items() if value is error.instance)])


def method_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a cell's content says of its method, or of its generator where that is the method."""
    found: Mapping[str, Any] = content.get("generator") or content["method"]
    return found


def _cell(content: Mapping[str, Any]) -> Cell:
    from kgzsl.tasks.decisions import Choice

    dataset, semantics, method = content["dataset"], content.get("semantics", {}), method_of(content)
    scored_by = method.get("classifier", {})
    named: Mapping[str, Any] = {"name": dataset} if isinstance(dataset, str) else dataset
    return Cell(
        name=content["name"],
        task=content["task"],
        dataset=named["name"],
        dataset_settings=named.get("settings", {}),
        graph=content.get("graph", ""),
        vectors=content.get("vectors", ""),
        descriptions=content.get("descriptions"),
        backbone=content.get("backbone", ""),
        encoder=semantics.get("encoder"),
        encoder_settings=semantics.get("settings", {}),
        space=semantics.get("space", "weights"),
        template=semantics.get("template"),
        method=method["name"],
        settings=method.get("settings", {}),
        generator=content.get("generator"),
        grid=method.get("grid", {}),
        classifier=scored_by.get("name"),
        classifier_settings=scored_by.get("settings", {}),
        calibrations=tuple(Choice.of(entry) for entry in content.get("calibrations", ())),
        seeds=tuple(content["seeds"]),
        folds=tuple(content["folds"]) if "folds" in content else None,
        finetune=content.get("finetune"),
        worlds=tuple(content.get("worlds", ("closed", "open"))),
        feasibility=content.get("feasibility"),
        published=tuple(content.get("published", ())),
        content=content,
    )
