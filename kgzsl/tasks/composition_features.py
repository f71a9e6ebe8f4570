"""Feature rows of a composition set's images: of a frozen backbone, or of an image network trained on with the heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError, KgzslError

if TYPE_CHECKING:
    from kgzsl.classifiers.compositions import CompositionClassifier, Knowledge
    from kgzsl.classifiers.compositions.finetuning import FineTuning
    from kgzsl.datasets.composition_set import CompositionSet
    from kgzsl.features.trainable import TrainedBackbone
    from kgzsl.matrices import Features
    from kgzsl.workspace import Workspace


@dataclass(frozen=True)
class Rows:
    """Features of all images.

    Attributes
    ----------
    matrix : float32 `[images, dim]`, in the images' order.
    digest : of the images, the recipe and what was trained.
    heads : the classifier that was trained together with the network; None of a frozen one.
    """

    matrix: np.ndarray
    digest: str
    heads: CompositionClassifier | None = None


def frozen_features(images: CompositionSet, backbone: str, workspace: Workspace) -> Features:
    """Return the features of a frozen backbone (`kgzsl list backbones`) by the images' paths, extracted once per set and recipe."""
    from kgzsl.features import extract, make_backbone
    from kgzsl.matrices import Features

    network = make_backbone(backbone)
    key = digest({"images": images.digest, "recipe": network.recipe()})
    path = workspace.root / f"{images.name}-{network.name}-{key[:12]}.features"
    if not path.exists():
        try:
            extract(list(images.paths), network, out=path)
        except KgzslError:
            if not path.exists():  # else another process extracted the same rows meanwhile
                raise
    return replace(Features.load(path), ids=tuple(image.relative_to(images.root).as_posix() for image in images.paths))


def frozen_rows(images: CompositionSet, backbone: str, workspace: Workspace) -> Rows:
    """Return the rows of `frozen_features`."""
    found = frozen_features(images, backbone, workspace)
    return Rows(found.matrix, digest({"images": images.digest, "recipe": dict(found.meta["recipe"])}))


def tuning_of(settings: Mapping[str, Any]) -> FineTuning:
    """Return the fine-tuning that a cell asks for: `configuration` (`small` or `large`) and changes of it or of its augmentation.

    Raises
    ------
    InvalidInputError : no such configuration or setting.
    """
    from kgzsl.classifiers.compositions.finetuning import CONFIGURATIONS
    from kgzsl.features.pixels import Augmentation

    changes = dict(settings)
    name = changes.pop("configuration", "small")
    if name not in CONFIGURATIONS:
        raise InvalidInputError(
            "a configuration is one of those there are", received=name, remedy=f"choose from: {', '.join(CONFIGURATIONS)}"
        )
    base = CONFIGURATIONS[name]
    own = {f.name for f in fields(base)} - {"augmentation", "seed"}
    moves = {f.name for f in fields(Augmentation)}
    unknown = sorted(set(changes) - own - moves)
    if unknown:
        raise InvalidInputError(
            "settings of fine-tuning are those it has", received=", ".join(unknown), remedy=f"it takes: {', '.join(sorted(own | moves))}"
        )
    try:
        augmentation = replace(base.augmentation, **{k: v for k, v in changes.items() if k in moves})
        return replace(base, augmentation=augmentation, **{k: v for k, v in changes.items() if k in own})
    except TypeError as error:
        raise InvalidInputError("settings of fine-tuning have the right kind of value", received=f"{changes}: {error}") from error


def tuned_rows(
    images: CompositionSet, tuning: FineTuning, knowledge: Knowledge | None, workspace: Workspace, *, heads: Mapping[str, Any] | None = None
) -> Rows:
    """Return the rows of an image network after fine-tuning on the training part; with 0 epochs, as it came.

    Made once per set, settings and graph; a run that was killed goes on from its last epoch; decoded images are kept in the workspace.

    Parameters
    ----------
    heads : settings of the heads (`joint_heads`) that are trained with the network and then wanted too; None takes usual ones.
    """
    from kgzsl.features.pixels import decode
    from kgzsl.matrices import Features

    graph = knowledge.graph.digest if knowledge is not None and tuning.epochs else None
    key = digest({"images": images.digest, "tuning": _decides(tuning), "graph": graph, **({"heads": dict(heads)} if heads else {})})
    path = workspace.root / f"{images.name}-tuned-{key[:12]}.features"
    if path.exists() and (heads is None or not tuning.epochs):
        return Rows(Features.load(path).matrix, key)
    checkpoint = workspace.root / f"{images.name}-{key[:12]}.training"
    backbone, trained = _network(images, tuning, knowledge, {**(heads or {})}, checkpoint, workspace.root)
    matrix = backbone.rows_of(decode(list(images.paths), tuning.size, keep=workspace.root))
    if not path.exists():
        ids = tuple(image.relative_to(images.root).as_posix() for image in images.paths)
        Features(ids=ids, matrix=matrix, meta={"recipe": backbone.recipe()}).save(path)
    return Rows(matrix, key, trained)


def _network(
    images: CompositionSet, tuning: FineTuning, knowledge: Knowledge | None, heads: Mapping[str, Any], checkpoint: Path, keep: Path
) -> tuple[TrainedBackbone, CompositionClassifier | None]:
    """Return the network, and the heads that were trained with it."""
    from kgzsl.classifiers.compositions.finetuning import fine_tune
    from kgzsl.classifiers.compositions.joint_heads import JointHeads
    from kgzsl.features.trainable import ImageNetwork, TrainedBackbone

    if not tuning.epochs:
        network = ImageNetwork.pretrained(tuning.backbone, early=tuning.early, colours=tuning.colours)
        return TrainedBackbone(network, tuning.size, tuning.device), None
    fresh = JointHeads(**{"device": tuning.device, **heads, "seed": tuning.seed})
    tuned = fine_tune(images, fresh, knowledge, tuning, checkpoint=checkpoint, keep=keep)
    return tuned.backbone, tuned.heads


def _decides(tuning: FineTuning) -> dict[str, Any]:
    """What decides the rows: all but the device, and nothing of training where there is none."""
    settings = {k: v for k, v in asdict(tuning).items() if k != "device"}
    if tuning.epochs:
        return settings
    return {k: settings[k] for k in ("backbone", "height", "width", "early", "colours", "epochs")}
