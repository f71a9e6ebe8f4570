"""What every classifier is that learns from labelled features of the seen classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from kgzsl.classifiers.base import Classifier, check_features, check_fitted
from kgzsl.classifiers.scaling import Scaling, check_scaling, unit
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings

#: Rows whose double-precision copy is in memory at once.
CHUNK = 8192


@dataclass(frozen=True)
class SeenData:
    """Features, labels and embeddings of the seen classes, checked and scaled.

    Attributes
    ----------
    ids : the seen classes in the order of their ids, so that the order of a class axis decides nothing that is learned.
    features : float32 `[rows, dim]`.
    labels : position among `ids` of each row's class, int64 `[rows]`.
    embeddings : float64 `[seen, semantics]`.
    """

    ids: tuple[str, ...]
    features: np.ndarray
    labels: np.ndarray
    embeddings: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Rows per class, int64 `[seen]`, all positive."""
        return np.bincount(self.labels, minlength=len(self.ids))

    def gram(self) -> np.ndarray:
        """Return `XᵀX`, float64 `[dim, dim]`."""
        return sum((rows.T @ rows for _, rows in _chunks(self.features)), start=np.zeros((self.features.shape[1],) * 2))

    def sums(self) -> np.ndarray:
        """Return the sum of each class's features, float64 `[seen, dim]`."""
        total = np.zeros((len(self.ids), self.features.shape[1]))
        for part, rows in _chunks(self.features):
            total += np.eye(len(self.ids))[:, self.labels[part]] @ rows
        return total

    def means(self) -> np.ndarray:
        """Return the mean of each class's features, float64 `[seen, dim]`."""
        return self.sums() / self.counts[:, None]


class FeatureClassifier(Classifier):
    """Labelled features of the seen classes + class embeddings → scores.

    A subclass learns from `SeenData`, takes the embeddings of the classes it will score, and scores scaled features.
    What it learns depends on the seen classes' embeddings alone; the others only become columns of the scores.

    Parameters
    ----------
    feature_scaling, embedding_scaling : names from `scaling.SCALINGS`; the statistics are those of the training rows
        and of the seen classes' embeddings.
    """

    def __init__(self, *, feature_scaling: str = "standardise", embedding_scaling: str = "centre_l2") -> None:
        self.feature_scaling, self.embedding_scaling = check_scaling(feature_scaling), check_scaling(embedding_scaling)

    def fit(self, features: np.ndarray, labels: Sequence[str], embeddings: ClassEmbeddings) -> Self:
        """Learn from labelled features; the class axis becomes `embeddings.ids`.

        Parameters
        ----------
        features : `[rows, dim]`, rows of seen classes only.
        labels : class id of each row, `[rows]`; the classes that occur are the seen ones.
        embeddings : `[classes, semantics]` of all classes that `scores` shall score.

        Raises
        ------
        InvalidInputError : rows and labels disagree, NaN, constant features, one class only, an embedding of
            zeros, or equal embeddings of all seen classes.
        UnknownNameError : a label has no embedding.
        DivergedError : training produced numbers that are not finite.
        """
        features = np.asarray(features)
        ids = check_training(features, labels, embeddings)
        features = features.astype(np.float32, copy=False)
        self._of_features = Scaling.of(self.feature_scaling, features)
        known = embeddings.rows(ids).astype(np.float64)
        self._of_embeddings = Scaling.of(self.embedding_scaling, known)
        self.classes = ()  # a fit that fails leaves no half-learned classifier behind
        self._columns = features.shape[1]
        self._learn(SeenData(ids, self._of_features(features), positions(labels, ids, "the seen classes"), self._of_embeddings(known)))
        self._take(self._of_embeddings(embeddings.matrix.astype(np.float64)))
        self.seen, self.classes = ids, embeddings.ids
        return self

    def scores(self, features: np.ndarray) -> np.ndarray:
        check_fitted(self.classes)
        features = np.asarray(features)
        check_features(features, self._columns)
        return self._score(self._of_features(features.astype(np.float32, copy=False))).astype(np.float32, copy=False)

    @abstractmethod
    def _learn(self, seen: SeenData) -> None:
        """Learn from the seen classes."""

    @abstractmethod
    def _take(self, embeddings: np.ndarray) -> None:
        """Get ready to score the classes of `embeddings`, scaled, float64 `[classes, semantics]`."""

    @abstractmethod
    def _score(self, features: np.ndarray) -> np.ndarray:
        """Return scores `[rows, classes]` of scaled features, float32 `[rows, dim]`."""


class LinearClassifier(FeatureClassifier):
    """A feature classifier whose classes are weights: `scores = X Wᵀ + b`.

    With `cosine`, each feature row is divided by its length first, so that unit weights give cosines.
    """

    cosine: bool = False

    @abstractmethod
    def _weights(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """Return weights `[classes, dim]` and biases `[classes]` of classes with these scaled embeddings."""

    def _take(self, embeddings: np.ndarray) -> None:
        weight, bias = self._weights(embeddings)
        self._weight, self._bias = weight.astype(np.float32), np.asarray(bias, dtype=np.float32)

    def _score(self, features: np.ndarray) -> np.ndarray:
        scores: np.ndarray = (unit(features) if self.cosine else features) @ self._weight.T + self._bias
        return scores


class PrototypeClassifier(LinearClassifier):
    """A feature classifier whose classes are points among the features: the nearest one scores highest.

    Parameters
    ----------
    distance : `euclidean` scores `pᵀx − ½‖p‖²`, which ranks a row's classes as their squared distances do;
        `cosine` scores the cosine.
    """

    def __init__(self, *, distance: str = "euclidean", feature_scaling: str = "standardise", embedding_scaling: str = "centre_l2") -> None:
        super().__init__(feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        if distance not in ("euclidean", "cosine"):
            raise InvalidInputError("a distance is euclidean or cosine", received=repr(distance))
        self.distance, self.cosine = distance, distance == "cosine"

    @abstractmethod
    def _prototypes(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the point of each class among the scaled features, `[classes, dim]`."""

    def _weights(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        points = self._prototypes(embeddings)
        if self.cosine:
            return unit(points), 0.0
        return points, -0.5 * (points**2).sum(axis=1)


def check_training(features: np.ndarray, labels: Sequence[str], embeddings: ClassEmbeddings) -> tuple[str, ...]:
    """Return the seen classes' ids in order, or raise what `FeatureClassifier.fit` documents."""
    if features.ndim != 2 or len(features) != len(labels):
        raise InvalidInputError(
            "training features are [rows, dim] with one label per row", received=f"features {features.shape}, {len(labels)} labels"
        )
    strange = [label for label in labels if not isinstance(label, str)]
    if strange:
        raise InvalidInputError(
            "labels are class ids, not numbers", received=first_five(repr(label) for label in strange), remedy="name the class of each row"
        )
    ids = tuple(sorted(set(labels)))
    if len(ids) < 2:
        raise InvalidInputError("a classifier learns from at least two seen classes", received=f"rows of {first_five(ids) or 'none'}")
    positions(ids, embeddings.ids, "the class embeddings")
    if not np.issubdtype(features.dtype, np.floating) and not np.issubdtype(features.dtype, np.integer):
        raise InvalidInputError("features are numbers", received=f"an array of {features.dtype}")
    if not np.isfinite(features).all():
        raise InvalidInputError("features must be finite", received="NaN or infinity", remedy="drop or repair those rows")
    if (features == features[0]).all():
        raise InvalidInputError(
            "features must differ between rows", received=f"{len(features)} equal rows", remedy="check how they were extracted"
        )
    empty = [i for i, row in zip(embeddings.ids, embeddings.matrix, strict=True) if not row.any()]
    if empty:
        raise InvalidInputError(
            "every class needs an embedding with a direction",
            received=f"{len(empty)} rows of zeros: {first_five(empty)}",
            remedy="leave those classes out, or give them a vector",
        )
    known = embeddings.rows(ids)
    if (known == known[0]).all():
        raise InvalidInputError(
            "the embeddings of seen classes must differ", received=f"{len(ids)} equal embeddings", remedy="check where they come from"
        )
    return ids


def check_positive(**values: float) -> None:
    """Raise InvalidInputError unless every named setting is a positive, finite number."""
    wrong = {name: value for name, value in values.items() if not 0 < value < float("inf")}
    if wrong:
        raise InvalidInputError(f"{' and '.join(wrong)} must be positive", received=", ".join(f"{k}={v}" for k, v in wrong.items()))


def _chunks(features: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(features), CHUNK):
        part = slice(start, start + CHUNK)
        yield part, features[part].astype(np.float64)
