"""Arguments that several verbs take: a graph, a class list, targets, settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgzsl.errors import InvalidInputError, UnknownNameError, first_five

if TYPE_CHECKING:
    from kgzsl.bundle import Bundle
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.matrices import ClassifierWeights, Features, Vectors

GRAPH_HELP = "A graph artifact, or a recipe's name or file (built once and kept)."
CLASSES_HELP = "A file with one id per line, or one of the lists imagenet-1k, imagenet-21k, imagenet-2-hops, imagenet-3-hops."
WEIGHTS_HELP = "Classifier weights artifact of the seen classes."
BACKBONE_HELP = "Take the weights of this backbone's own head (default, without --weights: efficientnet-lite0)."
SEEN_HELP = "Learn from the weights of these classes only (needed where the graph lacks some)."
HIDE_HELP = "Classes whose weights are not shown to the encoder."
DEFAULT_BACKBONE = "efficientnet-lite0"
DESCRIPTIONS_HELP = "Texts beside the nodes' own, JSON {id: [text, …]}: what classes look like."
SETTING_HELP = "A setting of the encoder as KEY=VALUE (VALUE is JSON, or text); repeatable."


def open_graph(text: str) -> KnowledgeGraph:
    """Return the graph artifact at `text`, or the graph of the recipe called so."""
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.workspace import Workspace

    if Path(text).is_dir():
        return KnowledgeGraph.load(text)
    return Workspace().graph(text)


def open_classes(text: str) -> tuple[str, ...]:
    """Return the ids of a list file or of a named ImageNet list."""
    from kgzsl.datasets import all_ids, hop_sets, train_ids
    from kgzsl.ids import read_ids

    if text == "imagenet-1k":
        return train_ids()
    if text == "imagenet-21k":
        return tuple(dict.fromkeys([*train_ids(), *all_ids()]))
    if text in ("imagenet-2-hops", "imagenet-3-hops"):
        return hop_sets()[text.removeprefix("imagenet-")]
    return read_ids(text)


def open_targets(weights: Path | None, backbone: str | None, seen: str | None, hide: str | None) -> ClassifierWeights:
    """Return classifier weights from an artifact or from a backbone's own head: those of `seen`, less those of `hide`."""
    from kgzsl.features import make_backbone
    from kgzsl.matrices import ClassifierWeights

    if weights and backbone:
        raise InvalidInputError("the seen classes' weights come from --weights or from --backbone", received="both")
    found = ClassifierWeights.load(weights) if weights else make_backbone(backbone or DEFAULT_BACKBONE).classifier()
    if seen is not None:
        found = found.select(_among(open_classes(seen), found.ids, "--seen"))
    if hide is not None:
        hidden = set(_among(open_classes(hide), found.ids, "--hide"))
        if len(hidden) == len(found):
            raise InvalidInputError("at least one class must stay seen", received=f"--hide {hide} names all {len(found):,}")
        found = found.select([i for i in found.ids if i not in hidden])
    return found


def _among(wanted: Sequence[str], have: Sequence[str], option: str) -> Sequence[str]:
    unknown = sorted(set(wanted) - set(have))
    if unknown:
        raise UnknownNameError(
            f"the classes of {option} must be among the {len(have):,} with weights",
            received=f"{len(unknown):,} others: {first_five(unknown)}",
            remedy="take them out of the list",
        )
    return wanted


def open_vectors(graph: KnowledgeGraph, text_encoder: str, descriptions: Path | None) -> Vectors:
    """Return the nodes' semantic vectors, joined with those of a descriptions file where one is given."""
    from kgzsl.sources.descriptions import read_descriptions
    from kgzsl.workspace import Workspace

    return Workspace().vectors(graph, text_encoder, read_descriptions(descriptions) if descriptions else None)


def read_settings(pairs: Sequence[str] | None) -> dict[str, Any]:
    """Return `["epochs=300"]` as `{"epochs": 300}`."""
    settings: dict[str, Any] = {}
    for pair in pairs or ():
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise InvalidInputError("a setting is KEY=VALUE", received=repr(pair))
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings


def is_artifact(path: Path) -> bool:
    """Return whether `path` is an artifact folder (rather than images)."""
    from kgzsl.artifacts import MANIFEST

    return (path / MANIFEST).is_file()


def open_features(paths: Sequence[Path], bundle: Bundle, backbone: str | None, on_error: str) -> Features:
    """Return a feature artifact, or extract features of image files and folders with the bundle's backbone."""
    from kgzsl.matrices import Features

    artifacts = [p for p in paths if is_artifact(p)]
    if not artifacts:
        return bundle.features_of(paths[0] if len(paths) == 1 else list(paths), backbone=backbone, on_error=on_error)
    if len(paths) > 1:
        raise InvalidInputError("the input is images, or one feature artifact", received=f"{len(paths)} paths, {artifacts[0]} among them")
    if backbone:
        raise InvalidInputError("--backbone reads images", received=f"{artifacts[0]}, features that are extracted already")
    return Features.load(artifacts[0])
