"""`kgzsl fit --compositions` and `kgzsl compose` as functions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.composition_bundle import CompositionBundle, Ranking
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.matrices import Features, check_has_recipe

if TYPE_CHECKING:
    from kgzsl.classifiers.compositions import CompositionClassifier, Knowledge, PairFeatures
    from kgzsl.classifiers.compositions.finetuning import FineTuning
    from kgzsl.datasets.composition_set import CompositionSet
    from kgzsl.features.extraction import Images


def fit_compositions(
    images: CompositionSet,
    *,
    method: str = "joint_heads",
    knowledge: Knowledge | None = None,
    settings: Mapping[str, Any] | None = None,
    features: Features | None = None,
    finetune: FineTuning | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    keep: Path | None = None,
) -> CompositionBundle:
    """Return a bundle that recognises compositions of the states and objects of `images`, seen together or not.

    Parameters
    ----------
    method : a name of `kgzsl list composition-classifiers`.
    knowledge : composition graph and vectors of its nodes, for methods that take them.
    settings : the method's settings.
    features : of all images, in their order, from a frozen backbone; or
    finetune : how to train an image network on; one of the two.
    checkpoint : folder that keeps the state of fine-tuning.
    keep : folder in which decoded images are kept for the next run.

    Raises
    ------
    InvalidInputError : both or neither of `features` and `finetune`, features without recipe, or a method that cannot be kept.
    IncompatibleError : features that are not those of the images.
    """
    from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS

    if (features is None) == (finetune is None):
        raise InvalidInputError("features come from a frozen backbone, or it is fine-tuned", received="both" if features else "neither")
    if checkpoint is not None and finetune is None:
        raise InvalidInputError("a checkpoint keeps the state of fine-tuning", received="none is asked for", remedy="leave it out")
    classifier = COMPOSITION_CLASSIFIERS.make(method, settings)
    classifier.settings()  # a method that a bundle cannot keep is refused before the work, not after it
    meta = {"images": images.digest, "dataset": images.name, "graph": knowledge.graph.digest if knowledge else None}
    if finetune is not None:
        return _fine_tuned(images, classifier, knowledge, finetune, meta, checkpoint, keep)
    assert features is not None
    check_has_recipe(features)
    rows = _rows_of(images, features)
    classifier.fit(_part(images, rows, "train"), images.space, knowledge, _part(images, rows, "val"))
    return CompositionBundle(images.space, classifier, features.meta["recipe"], None, meta)


def _fine_tuned(
    images: CompositionSet,
    classifier: CompositionClassifier,
    knowledge: Knowledge | None,
    finetune: FineTuning,
    meta: Mapping[str, Any],
    checkpoint: str | os.PathLike[str] | None,
    keep: Path | None,
) -> CompositionBundle:
    """Fine-tune with joint heads; another method is then fitted on the features that the network has learned."""
    from kgzsl.classifiers.compositions.finetuning import fine_tune
    from kgzsl.classifiers.compositions.joint_heads import JointHeads
    from kgzsl.features.pixels import decode

    heads = classifier if isinstance(classifier, JointHeads) else JointHeads(seed=finetune.seed, device=finetune.device)
    tuned = fine_tune(images, heads, knowledge, finetune, checkpoint=checkpoint, keep=keep)
    meta = {**meta, "fine_tuning": {k: v for k, v in tuned.history.items() if k != "loss"}}
    if classifier is not heads:
        rows = np.zeros((len(images), tuned.backbone.dim), np.float32)
        for part in ("train", "val"):
            at = images.rows(part)
            rows[at] = tuned.backbone.rows_of(decode([images.paths[i] for i in at], finetune.size, keep=keep))
        classifier.fit(_part(images, rows, "train"), images.space, knowledge, _part(images, rows, "val"))
    return CompositionBundle(images.space, classifier, tuned.backbone.recipe(), tuned.backbone, meta)


def _part(images: CompositionSet, rows: np.ndarray, part: str) -> PairFeatures:
    from kgzsl.classifiers.compositions import PairFeatures

    at = images.rows(part)
    return PairFeatures(rows[at], images.labels[at])


def _rows_of(images: CompositionSet, features: Features) -> np.ndarray:
    """Return the features in the images' order; ids are file names or paths below the images' folder."""
    names = [path.relative_to(images.root).as_posix() for path in images.paths]
    for ids in (names, [path.name for path in images.paths]):
        try:
            return features.rows(ids)
        except UnknownNameError:
            continue
    raise IncompatibleError(
        "features of a composition set have a row for every image of it, named by its path or its file",
        received=f"{len(features):,} rows, such as {features.ids[0]!r}, for {len(images):,} images, such as {names[0]!r}",
        remedy="extract the features of its folder",
    )


def compose(
    composition: str,
    images: Features | Images,
    *,
    model: CompositionBundle | str | os.PathLike[str],
    top: int = 20,
    on_error: str = "raise",
) -> Ranking:
    """Return the images that fit a composition such as `red dress` best, also one that was never seen.

    Parameters
    ----------
    images : a folder, a file, a sequence of files, or features of the bundle's backbone.
    model : a bundle or its folder.
    on_error : `raise`, or `skip` images that cannot be read.
    """
    bundle = model if isinstance(model, CompositionBundle) else CompositionBundle.load(model)
    from kgzsl.datasets.composition_names import find_composition

    find_composition(composition, bundle.space)  # before the work, not after it
    features = images if isinstance(images, Features) else bundle.features_of(images, on_error=on_error)
    return bundle.rank(composition, features, top=top)
