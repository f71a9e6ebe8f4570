"""What every classifier is: class embeddings + what is known of the seen classes → scores of features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import numpy as np

from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights

#: Scores are produced in blocks of about this many values per array, so that memory does not grow with the images.
BLOCK_VALUES = 32 * 2**20


class Classifier(ABC):
    """Scores features against classes, seen or not.

    A `WeightClassifier` is fitted on the seen classes' weights, a `FeatureClassifier` on their labelled features.
    After `fit`, `classes` holds the ids on the class axis of `scores`.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    classes: tuple[str, ...] = ()

    @abstractmethod
    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return float32 scores `[rows, classes]` of `features` `[rows, dim]`; higher is better.

        Raises
        ------
        IncompatibleError : the features have another number of columns than the classifier's backbone.
        InvalidInputError : called before `fit`, or NaN among the features.
        """

    def row_values(self) -> int:
        """Return how many values the largest array of `scores` holds per row of features."""
        return len(self.classes)

    def blocks(self, features: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield `(rows, scores[rows, classes])` in blocks of bounded size."""
        check_fitted(self.classes)
        size = max(1, BLOCK_VALUES // max(1, features.shape[-1], self.row_values()))
        for start in range(0, len(features), size):
            rows = slice(start, min(start + size, len(features)))
            yield rows, self.scores(features[rows])


class WeightClassifier(Classifier):
    """A classifier that knows the seen classes by a backbone's own classifier weights, without any image."""

    @abstractmethod
    def fit(self, seen: ClassifierWeights, embeddings: ClassEmbeddings) -> Self:
        """Learn from the seen classes' weights `[seen, features + 1]`; score the classes of `embeddings` `[classes, dim]`."""


def check_features(features: np.ndarray, columns: int) -> None:
    """Raise unless `features` is a finite matrix `[rows, columns]`."""
    if features.ndim != 2 or features.shape[1] != columns:
        raise IncompatibleError(
            f"this classifier scores features with {columns:,} columns", received=features.shape, remedy="use features of its backbone"
        )
    if not np.isfinite(features).all():
        raise InvalidInputError("features must be finite", received="NaN or infinity", remedy="drop or repair those rows")


def check_fitted(classes: Sequence[str]) -> None:
    """Raise InvalidInputError when a classifier has no classes yet."""
    if not classes:
        raise InvalidInputError("a classifier scores after fit", remedy="call its fit first")
