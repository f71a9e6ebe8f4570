"""Bundle: everything needed to predict, in one folder; loads with the core dependencies only."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kgzsl.artifacts import atomic_directory, read_manifest, write_manifest
from kgzsl.classifiers import WeightRegression, regression_classifier
from kgzsl.errors import ArtifactError, InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.mapped import mapped_arrays
from kgzsl.matrices import ClassifierWeights, Features, check_has_recipe, check_same_recipe

if TYPE_CHECKING:
    from kgzsl.features.extraction import Images

#: How many seen classes are kept per class to explain a prediction.
CARRIERS = 10
#: File of the optional part that adds classes.
_ADDING = "adding.safetensors"


@dataclass(frozen=True)
class Answer:
    """One predicted class of one image.

    Attributes
    ----------
    id, name : the class and its label.
    score : cosine between [feature, 1] and [weight, bias], less γ for seen classes; with another classifier, its score.
    seen : whether the class had labelled examples.
    """

    id: str
    name: str
    score: float
    seen: bool


@dataclass(frozen=True)
class Explanation:
    """Why a class was answered.

    Attributes
    ----------
    parents, children : labels of its direct hypernyms and hyponyms.
    carriers : `(label, contribution)` of the seen classes that carried the score, best first; a contribution is
        the seen class's share in the class's weight × the image's score for that seen class.
    """

    parents: tuple[str, ...]
    children: tuple[str, ...]
    carriers: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Adding:
    """What adds classes to a bundle without training: its encoder, when that is a closed form, and the texts it read.

    Attributes
    ----------
    encoder, settings : name in the resolver and constructor's settings.
    state : what the encoder learned (`Encoder.state`).
    vectors : semantic vectors of all nodes of the graph, in its order, float32 `[nodes, dim]`.
    vectors_meta : how those were made.
    """

    encoder: str
    settings: Mapping[str, Any]
    state: Mapping[str, np.ndarray]
    vectors: np.ndarray
    vectors_meta: Mapping[str, Any]

    def _write(self, folder: Path) -> dict[str, Any]:
        from safetensors.numpy import save_file

        arrays = {f"state.{name}": np.ascontiguousarray(array) for name, array in self.state.items()}
        save_file({**arrays, "vectors": self.vectors}, folder / _ADDING)
        return {"encoder": self.encoder, "settings": dict(self.settings), "vectors": dict(self.vectors_meta)}

    @classmethod
    def _read(cls, folder: Path, content: Mapping[str, Any]) -> Adding:
        arrays = mapped_arrays(folder / _ADDING)
        state = {name.removeprefix("state."): array for name, array in arrays.items() if name.startswith("state.")}
        return cls(content["encoder"], content["settings"], state, arrays["vectors"], content["vectors"])


@dataclass(frozen=True)
class Bundle:
    """Classifier weights of all classes with names, calibration, explanations and the feature recipe.

    Attributes
    ----------
    weights : `[classes, features + 1]`, seen rows L2-normalised and the others on their scale; `meta["recipe"]` is the feature recipe.
    names : label per class.
    seen : True for classes with labelled examples, bool `[classes]`.
    gamma : calibrated stacking's γ, subtracted from seen scores.
    carriers : positions of seen classes, int64 `[classes, ≤ 10]`.
    shares : their shares in each class's weight, float32 `[classes, ≤ 10]`.
    parents, children : labels of neighbours per class.
    meta : encoder, settings, graph digest, what γ was selected on, and where it is not plain weight regression, the classifier.
    adding : what adds classes later; None where the encoder is no closed form.
    """

    weights: ClassifierWeights
    names: tuple[str, ...]
    seen: np.ndarray
    gamma: float
    carriers: np.ndarray
    shares: np.ndarray
    parents: tuple[tuple[str, ...], ...]
    children: tuple[tuple[str, ...], ...]
    meta: Mapping[str, Any]
    adding: Adding | None = None

    def __post_init__(self) -> None:
        counts = {
            len(self.weights),
            len(self.names),
            len(self.seen),
            len(self.carriers),
            len(self.shares),
            len(self.parents),
            len(self.children),
        }
        if len(counts) != 1:
            raise InvalidInputError("a bundle's parts have one entry per class", received=f"lengths {sorted(counts)}")
        check_has_recipe(self.weights)

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The feature recipe (backbone, weights digest, preprocessing) that predictions need."""
        recipe: Mapping[str, Any] = self.weights.meta["recipe"]
        return recipe

    @cached_property
    def classifier(self) -> WeightRegression:
        """What scores features against the bundle's classes: weight regression unless `meta["classifier"]` names a kind of it."""
        chosen = self.meta.get("classifier", {"name": WeightRegression.name})
        try:
            made = regression_classifier(chosen["name"], chosen.get("settings"))
        except (KeyError, TypeError, AttributeError, InvalidInputError, UnknownNameError) as error:
            raise ArtifactError("a bundle's classifier is one that this version knows", received=f"{chosen!r}: {error}") from error
        return made.on_rows(self.weights, self.weights.matrix[self.seen])

    def features_of(self, images: Images, *, backbone: str | None = None, on_error: str = "raise") -> Features:
        """Return the features of images, extracted with the bundle's backbone.

        Parameters
        ----------
        images : a folder, a file, or a sequence of files.
        backbone : its name, or its folder where it is a transformers model; None takes the name in the recipe.
        on_error : `raise`, or `skip` images that cannot be read (listed in `meta["skipped"]`).

        Raises
        ------
        IncompatibleError : `backbone` is another one than the bundle's, or preprocesses otherwise.
        MissingDataError : the backbone is a transformers model, whose folder the bundle does not know.
        """
        from kgzsl.features import extract, make_backbone

        name = str(self.recipe["backbone"])
        if backbone is None and name.startswith("transformers:"):
            raise MissingDataError(
                "the folder of the bundle's transformers backbone is needed to read images",
                received=f"a bundle for {name}",
                remedy="name the folder: `--backbone FOLDER`",
            )
        network = make_backbone(backbone or name)
        check_same_recipe(network.recipe(), self.recipe)  # before the work, not after it
        return extract(images, network, on_error=on_error)

    def predict(self, features: Features | Images, *, top: int = 5, candidates: str = "all") -> list[list[Answer]]:
        """Return the `top` answers for every feature row or image, best first.

        Parameters
        ----------
        features : rows of the bundle's own backbone, or images (see `features_of`).
        candidates : `all`, `unseen` or `seen` classes.

        Raises
        ------
        IncompatibleError : the features come from another backbone or preprocessing.
        InvalidInputError : `top` or `candidates` is off.
        """
        columns = self._columns(candidates)
        if not top >= 1:
            raise InvalidInputError("top is at least 1", received=top)
        if not isinstance(features, Features):
            features = self.features_of(features)
        check_same_recipe(features.meta.get("recipe", {}), self.recipe)
        classifier = self.classifier
        bias = np.where(self.seen, np.float32(self.gamma), np.float32(0))[columns]
        answers: list[list[Answer]] = []
        for _, scores in classifier.blocks(features.matrix):
            block = scores[:, columns] - bias
            k = min(top, len(columns))
            least = np.partition(block, -k, axis=1)[:, -k]
            for row, bound in zip(block, least, strict=True):
                order = sorted(np.flatnonzero(row >= bound), key=lambda c: (-row[c], c))[:k]  # ties by place, whatever `top` is
                answers.append([self._answer(int(columns[c]), float(row[c])) for c in order])
        return answers

    def explain(self, feature: np.ndarray, class_id: str) -> Explanation:
        """Say which graph neighbours and seen classes carry `class_id` for one feature row `[features]`."""
        from kgzsl.ids import positions

        at = int(positions([class_id], self.weights.ids, "the bundle")[0])
        seen_scores = self.weights.matrix[self.carriers[at]] @ self.classifier.queries(feature[None])[0]
        parts = sorted(
            (
                (self.names[c], float(share * score))
                for c, share, score in zip(self.carriers[at], self.shares[at], seen_scores, strict=True)
            ),
            key=lambda part: -part[1],
        )
        return Explanation(self.parents[at], self.children[at], tuple(parts))

    def _columns(self, candidates: str) -> np.ndarray:
        masks = {"all": np.ones(len(self.seen), dtype=bool), "unseen": ~self.seen, "seen": self.seen}
        if candidates not in masks:
            raise InvalidInputError("candidates is all, unseen or seen", received=repr(candidates))
        columns = np.flatnonzero(masks[candidates])
        if len(columns) == 0:
            raise InvalidInputError(f"the bundle must hold {candidates} classes", received="none")
        return columns

    def _answer(self, at: int, score: float) -> Answer:
        return Answer(self.weights.ids[at], self.names[at], score, bool(self.seen[at]))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the bundle folder and return its path."""
        with atomic_directory(path, overwrite=overwrite) as folder:
            self.weights._write(folder)
            columns = {
                "name": pa.array(self.names, pa.string()),
                "seen": pa.array(self.seen, pa.bool_()),
                "parents": pa.array(list(map(list, self.parents)), pa.list_(pa.string())),
                "children": pa.array(list(map(list, self.children)), pa.list_(pa.string())),
                "carriers": pa.array(self.carriers.tolist(), pa.list_(pa.int64())),
                "shares": pa.array(self.shares.tolist(), pa.list_(pa.float32())),
            }
            pq.write_table(pa.table(columns), folder / "classes.parquet")
            content = {"weights": dict(self.weights.meta), "gamma": self.gamma, "meta": dict(self.meta), "classes": len(self.names)}
            if self.adding is not None:
                content["adding"] = self.adding._write(folder)
            write_manifest(folder, "bundle", content)
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True, mapped: bool = False) -> Bundle:
        """Read a bundle; a damaged or foreign folder raises ArtifactError or DigestMismatchError.

        Parameters
        ----------
        mapped : map the weights from the file rather than read them, so that processes share them.
        """
        folder = Path(path)
        manifest = read_manifest(folder, "bundle", verify=verify)
        try:
            table = pq.read_table(folder / "classes.parquet").to_pydict()
            return cls(
                weights=ClassifierWeights(meta=manifest["weights"], **ClassifierWeights._read(folder, mapped=mapped)),
                names=tuple(table["name"]),
                seen=np.array(table["seen"], dtype=bool),
                gamma=float(manifest["gamma"]),
                carriers=np.array(table["carriers"], dtype=np.int64),
                shares=np.array(table["shares"], dtype=np.float32),
                parents=tuple(map(tuple, table["parents"])),
                children=tuple(map(tuple, table["children"])),
                meta=manifest["meta"],
                adding=Adding._read(folder, manifest["adding"]) if "adding" in manifest else None,
            )
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise ArtifactError("a bundle holds classes.parquet and matrix.safetensors", received=f"{folder}: {error}") from error


def carriers_by_cosine(weights: np.ndarray, seen: np.ndarray, count: int = CARRIERS) -> tuple[np.ndarray, np.ndarray]:
    """Return per class the seen classes whose weights point most its way, with shares that sum to 1.

    Parameters
    ----------
    weights : unit rows `[classes, dim]`.
    seen : positions of the seen classes, `[seen]`.

    Returns
    -------
    positions int64 `[classes, count]` and shares float32 `[classes, count]`; a seen class carries itself alone.
    """
    return carriers_from_influence(weights @ weights[seen].T, seen, count)


def carriers_from_influence(influence: np.ndarray, seen: np.ndarray, count: int = CARRIERS) -> tuple[np.ndarray, np.ndarray]:
    """Return the `count` most influential seen classes of each class, with shares that sum to 1; `influence` is `[classes, seen]`."""
    count = min(count, len(seen))
    best = np.argpartition(-influence, count - 1, axis=1)[:, :count]
    raw = np.take_along_axis(influence, best, axis=1)
    values = np.maximum(raw, 0.0)
    none = values.sum(axis=1) <= 1e-12
    values[none, raw[none].argmax(axis=1)] = 1.0  # where nothing speaks for a class, the least contrary seen class carries it
    shares = values / values.sum(axis=1, keepdims=True)
    carriers = seen[best]
    carriers[seen], shares[seen] = seen[:, None], 0.0
    shares[seen, 0] = 1.0
    return carriers, shares.astype(np.float32)


def neighbour_labels(graph: Any, classes: Sequence[str]) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """Return per class the labels of its hypernyms and of its hyponyms in `graph`."""
    where = {int(p): i for i, p in enumerate(graph.positions(classes))}
    parents: list[list[str]] = [[] for _ in classes]
    children: list[list[str]] = [[] for _ in classes]
    child, parent, _ = graph.edges_of("hypernym")
    for c, p in zip(child.tolist(), parent.tolist(), strict=True):
        if c in where:
            parents[where[c]].append(graph.labels[p])
        if p in where:
            children[where[p]].append(graph.labels[c])
    return tuple(map(tuple, parents)), tuple(map(tuple, children))
