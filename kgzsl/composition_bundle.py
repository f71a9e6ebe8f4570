"""CompositionBundle: a fitted composition classifier with the features it reads, in one folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.artifacts import atomic_directory, read_manifest, write_manifest
from kgzsl.datasets.composition_names import find_composition
from kgzsl.datasets.composition_set import CompositionSpace
from kgzsl.errors import ArtifactError, InvalidInputError, KgzslError, MissingDataError
from kgzsl.matrices import Features, check_same_recipe

if TYPE_CHECKING:
    from kgzsl.classifiers.compositions import CompositionClassifier
    from kgzsl.features import Backbone
    from kgzsl.features.extraction import Images
    from kgzsl.features.trainable import TrainedBackbone

#: Feature rows that are scored at once.
_ROWS = 4096


@dataclass(frozen=True)
class Match:
    """An image that was found for a composition.

    Attributes
    ----------
    image : its row id.
    share : probability of the composition among those of the closed world and itself, 0…1, by softmax of the scores.
    answer : the most probable composition of the image in that world.
    """

    image: str
    share: float
    answer: str


@dataclass(frozen=True)
class Ranking:
    """Images by how well a composition fits them.

    Attributes
    ----------
    state, object : names as the space writes them.
    seen : whether there were training images of the composition.
    images : how many were ranked.
    matches : best first; equal shares keep the images' order.
    skipped : unreadable files with the reason.
    """

    state: str
    object: str
    seen: bool
    images: int
    matches: tuple[Match, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CompositionBundle:
    """Everything needed to recognise compositions in images: classifier, names, feature recipe and, where it was trained, backbone.

    Attributes
    ----------
    space : states, objects and pairs that the classifier was fitted for.
    classifier : fitted.
    recipe : of the features that it reads.
    network : the fine-tuned backbone; None where the recipe names one by its package.
    meta : what it was fitted on and what was chosen on validation, JSON values.
    """

    space: CompositionSpace
    classifier: CompositionClassifier
    recipe: Mapping[str, Any]
    network: TrainedBackbone | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.network is not None:
            check_same_recipe(self.network.recipe(), self.recipe)
        elif "backbone" not in self.recipe:
            raise InvalidInputError("a bundle knows the backbone of its features", received=f"a recipe with {sorted(self.recipe)}")

    def features_of(self, images: Images, *, backbone: str | None = None, on_error: str = "raise") -> Features:
        """Return the features of images, extracted with the bundle's backbone.

        Parameters
        ----------
        images : a folder, a file, or a sequence of files.
        backbone : folder of the transformers model that the bundle was fitted with; None for all others.
        on_error : `raise`, or `skip` images that cannot be read (listed in `meta["skipped"]`).

        Raises
        ------
        IncompatibleError : `backbone` is another one than the bundle's.
        MissingDataError : the backbone is a transformers model, whose folder the bundle does not know.
        """
        from kgzsl.features import extract

        return extract(images, self._backbone(backbone), on_error=on_error)

    def _backbone(self, given: str | None) -> Backbone:
        from kgzsl.features import make_backbone

        if self.network is not None:
            if given is not None:
                raise InvalidInputError("a bundle with a fine-tuned backbone reads images with that one", received=f"--backbone {given}")
            return self.network
        name = str(self.recipe["backbone"])
        if given is None and name.startswith("transformers:"):
            raise MissingDataError(
                "the folder of the bundle's transformers backbone is needed to read images",
                received=f"a bundle for {name}",
                remedy="name the folder: `--backbone FOLDER`",
            )
        made = make_backbone(given or name)
        check_same_recipe(made.recipe(), self.recipe)  # before the work, not after it
        return made

    def scores(self, features: Features, pairs: np.ndarray) -> np.ndarray:
        """Return scores `[rows, pairs]` for positions of state and object, int64 `[pairs, 2]`.

        Raises
        ------
        IncompatibleError : the features come from another backbone or preprocessing.
        """
        check_same_recipe(features.meta.get("recipe", {}), self.recipe)
        return self.classifier.scores(features.matrix, np.ascontiguousarray(pairs, dtype=np.int64))

    def rank(self, composition: str, features: Features | Images, *, top: int = 20) -> Ranking:
        """Return the images that fit a composition best.

        Parameters
        ----------
        composition : `red dress`: any state with any object, seen together or not (see `find_composition`).
        features : rows of the bundle's own backbone, or images (see `features_of`).

        Raises
        ------
        UnknownNameError : no such state or object.
        IncompatibleError : the features come from another backbone or preprocessing.
        """
        asked = find_composition(composition, self.space)
        if top < 1:
            raise InvalidInputError("top is at least 1", received=top)
        if not isinstance(features, Features):
            features = self.features_of(features)
        check_same_recipe(features.meta.get("recipe", {}), self.recipe)
        at = np.flatnonzero((self.space.pairs == asked).all(axis=1))
        pairs = self.space.pairs if len(at) else np.concatenate([self.space.pairs, [asked]])
        column = int(at[0]) if len(at) else len(pairs) - 1
        log_shares, answers = np.empty(len(features), np.float64), np.empty(len(features), np.int64)
        for start in range(0, len(features), _ROWS):
            rows = slice(start, start + _ROWS)
            scores = self.classifier.scores(features.matrix[rows], pairs).astype(np.float64)
            top_score = scores.max(axis=1, keepdims=True)
            log_shares[rows] = scores[:, column] - (top_score[:, 0] + np.log(np.exp(scores - top_score).sum(axis=1)))
            answers[rows] = scores.argmax(axis=1)
        best = np.argsort(-log_shares, kind="stable")[:top]
        matches = tuple(Match(features.ids[i], float(np.exp(log_shares[i])), self._name(pairs[answers[i]])) for i in best)
        names = self.space.states[asked[0]], self.space.objects[asked[1]]
        return Ranking(*names, bool(len(at) and self.space.seen[at[0]]), len(features), matches, features.meta.get("skipped", {}))

    def _name(self, pair: np.ndarray) -> str:
        return f"{self.space.states[pair[0]]} {self.space.objects[pair[1]]}"

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the bundle folder and return its path; raises InvalidInputError for a classifier that cannot be kept."""
        from safetensors.numpy import save_file
        from safetensors.torch import save_file as save_tensors

        state, settings = self.classifier.state(), self.classifier.settings()
        with atomic_directory(path, overwrite=overwrite) as folder:
            save_file({name: np.ascontiguousarray(value) for name, value in state.items()}, folder / "classifier.safetensors")
            if self.network is not None:
                save_tensors({k: v.contiguous() for k, v in self.network.state.items()}, folder / "backbone.safetensors")
            space = {"prefix": self.space.prefix, "states": list(self.space.states), "objects": list(self.space.objects)}
            pairs = {"pairs": self.space.pairs.tolist(), "seen": self.space.seen.tolist()}
            method = {"method": self.classifier.name, "settings": settings, "recipe": dict(self.recipe), "meta": dict(self.meta)}
            write_manifest(folder, "composition-bundle", {"space": {**space, **pairs}, **method})
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "auto", verify: bool = True) -> CompositionBundle:
        """Read a bundle; a damaged or foreign folder raises ArtifactError or DigestMismatchError."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
        from safetensors.torch import load_file as load_tensors

        from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS
        from kgzsl.features.trainable import TrainedBackbone

        folder = Path(path)
        manifest = read_manifest(folder, "composition-bundle", verify=verify)
        try:
            space = _space(manifest["space"])
            classifier = COMPOSITION_CLASSIFIERS.make(manifest["method"], manifest["settings"])
            classifier.load_state(load_file(folder / "classifier.safetensors"), space)
            recipe, weights = manifest["recipe"], folder / "backbone.safetensors"
            network = TrainedBackbone.of_state(recipe, load_tensors(weights), device) if weights.is_file() else None
            return cls(space, classifier, recipe, network, manifest["meta"])
        except KgzslError as error:
            if isinstance(error, MissingDataError | ArtifactError):
                raise
            raise ArtifactError("a composition bundle's parts fit together", received=f"{folder}: {error}") from error
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ArtifactError("a composition bundle holds its classifier and its space", received=f"{folder}: {error!r}") from error


def _space(content: Mapping[str, Any]) -> CompositionSpace:
    """Return the space in a manifest, checked."""
    states, objects = tuple(map(str, content["states"])), tuple(map(str, content["objects"]))
    pairs, seen = np.array(content["pairs"], dtype=np.int64), np.array(content["seen"], dtype=bool)
    if (
        pairs.ndim != 2
        or pairs.shape[1] != 2
        or len(pairs) != len(seen)
        or pairs.min() < 0
        or (pairs.max(0) >= (len(states), len(objects))).any()
    ):
        raise ValueError("pairs are positions of states and objects, with a flag each")
    return CompositionSpace(str(content["prefix"]), states, objects, pairs, seen)
