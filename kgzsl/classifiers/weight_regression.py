"""Weight regression: class embeddings are classifier weights (Wang et al., 2018; Kampffmeyer et al., 2019)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from kgzsl.classifiers.base import WeightClassifier, check_features, check_fitted
from kgzsl.encoders.base import unit_rows
from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights


class WeightRegression(WeightClassifier):
    """Cosine between [feature, 1] and [weight, bias]; seen classes keep their own weights.

    An encoder fitted on L2-normalised `[weight, bias]` rows embeds a class **as** its classifier. Rows of seen
    classes are the true ones, L2-normalised; predicted rows stay as the encoder made them (of length 1, or longer
    for general classes in graph_gp). Dividing by the length of `[feature, 1]` changes no ranking within an image
    and makes γ comparable between images.
    """

    name = "weight_regression"
    source = "Wang, Ye, Gupta, Zero-shot Recognition via Semantic Embeddings and Knowledge Graphs, CVPR 2018, section 3.2"

    def fit(self, seen: ClassifierWeights, embeddings: ClassEmbeddings) -> Self:
        if embeddings.dim != seen.dim:
            raise IncompatibleError(
                "embeddings for weight regression have the columns of the classifier weights",
                received=f"{embeddings.dim} and {seen.dim}",
                remedy="use an encoder that regresses weights (sgcn, dgp, gcnz, graph_gp)",
            )
        own = {identifier: i for i, identifier in enumerate(seen.ids)}
        here = np.array([i for i, c in enumerate(embeddings.ids) if c in own], dtype=np.int64)
        rows = np.array(embeddings.matrix)
        rows[here] = unit_rows(seen.rows([embeddings.ids[i] for i in here]))
        if not np.any(rows, axis=1).all():
            raise InvalidInputError(
                "every class needs a weight with a direction", received=f"{int((~rows.any(axis=1)).sum())} rows of zeros"
            )
        return self.on_rows(ClassifierWeights(embeddings.ids, rows, seen.meta), unit_rows(seen.matrix))

    def on_rows(self, weights: ClassifierWeights, seen: np.ndarray) -> Self:
        """Score rows that stand on the common scale already, `[classes, features + 1]`; `seen` are those of all seen classes."""
        self.weights, self.classes = weights, weights.ids
        self._remember(seen)
        return self

    def _remember(self, seen: np.ndarray) -> None:
        """Prepare what scores need of the seen classes' unit rows `[seen, features + 1]`, beside the rows of the candidates."""

    def select(self, classes: Sequence[str]) -> Self:
        """Return the same classifier with only `classes` on its axis."""
        fewer = copy.copy(self)
        fewer.weights = self.weights.select(classes)
        fewer.classes = fewer.weights.ids
        return fewer

    def settings(self) -> dict[str, Any]:
        """Return the constructor's settings that decide the scores."""
        return {}

    @classmethod
    def of_weights(cls, weights: ClassifierWeights) -> Self:
        """Return the classifier of known weights `[classes, features + 1]`, for example the oracle's."""
        return cls().fit(weights, ClassEmbeddings(weights.ids, weights.matrix, weights.meta))

    @classmethod
    def of_rows(cls, weights: ClassifierWeights) -> Self:
        """Return the classifier of rows that stand on the common scale already, `[classes, features + 1]`."""
        return cls().on_rows(weights, weights.matrix)

    def queries(self, features: np.ndarray) -> np.ndarray:
        """Return what stands for the images in the scores, `[rows, features + 1]`: their inner products with the weights."""
        extended = np.hstack([features, np.ones((len(features), 1))])
        return np.asarray(extended / np.linalg.norm(extended, axis=1, keepdims=True))

    def scores(self, features: np.ndarray) -> np.ndarray:
        import torch

        check_fitted(self.classes)
        check_features(features, self.weights.dim - 1)
        rows = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
        lengths = (rows.square().sum(dim=1, keepdim=True) + 1.0).sqrt()
        matrix = torch.from_numpy(self.weights.matrix)
        return torch.addmm(matrix[:, -1] / lengths, rows / lengths, matrix[:, :-1].T).numpy()
