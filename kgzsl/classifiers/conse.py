"""ConSE: a convex combination of the embeddings of the likeliest seen classes (Norouzi et al., 2014)."""

from __future__ import annotations

from typing import Self

import numpy as np

from kgzsl.classifiers.base import WeightClassifier, check_features, check_fitted
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights


class ConSE(WeightClassifier):
    """An image's embedding is the mean of its top-T seen classes' embeddings; nearest class by cosine.

    Parameters
    ----------
    top : T, the number of seen classes that are combined (10 in the paper).
    """

    name = "conse"
    source = "Norouzi et al., Zero-Shot Learning by Convex Combination of Semantic Embeddings, ICLR 2014, eq. 3-4"

    def __init__(self, *, top: int = 10) -> None:
        self.top = check_top(top)

    def fit(self, seen: ClassifierWeights, embeddings: ClassEmbeddings) -> Self:
        """`embeddings` must hold the seen classes too: they are what is combined."""
        self._seen = seen
        self._combined = embeddings.rows(seen.ids)
        norms = np.linalg.norm(embeddings.matrix, axis=1, keepdims=True)
        if not (norms > 0).all():
            raise InvalidInputError("every class needs an embedding with a direction", received=f"{int((norms == 0).sum())} rows of zeros")
        self._directions = embeddings.matrix / norms
        self.classes = embeddings.ids
        return self

    def row_values(self) -> int:
        return max(len(self.classes), len(self._seen), min(self.top, len(self._seen)) * self._combined.shape[1])

    def scores(self, features: np.ndarray) -> np.ndarray:
        check_fitted(self.classes)
        check_features(features, self._seen.dim - 1)
        logits = features @ self._seen.weight.T + self._seen.bias
        return convex_combination(logits, self._combined, self._directions, self.top).astype(np.float32)


def convex_combination(logits: np.ndarray, combined: np.ndarray, directions: np.ndarray, top: int) -> np.ndarray:
    """Return the cosines of rows' combined embeddings with the classes', `[rows, classes]`: eq. 3-4 of the paper.

    Parameters
    ----------
    logits : of the seen classes, `[rows, seen]`.
    combined : embeddings of the seen classes, `[seen, dim]`.
    directions : embeddings of the scored classes at length 1, `[classes, dim]`.
    top : T; more than there are seen classes means all of them.
    """
    top = min(top, logits.shape[1])
    likeliest = np.argpartition(-logits, top - 1, axis=1)[:, :top]
    chosen = np.take_along_axis(logits, likeliest, axis=1)
    # the softmax's denominator cancels in the convex combination
    shares = np.exp(chosen - chosen.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    image = np.einsum("rt,rtd->rd", shares, combined[likeliest])
    image /= np.maximum(np.linalg.norm(image, axis=1, keepdims=True), 1e-12)
    cosines: np.ndarray = image @ directions.T
    return cosines


def check_top(top: int) -> int:
    """Return T; one below 1 raises InvalidInputError."""
    if top < 1:
        raise InvalidInputError("ConSE combines at least one seen class", received=top)
    return top
