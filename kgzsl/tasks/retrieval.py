"""Image-free evaluation: does the predicted weight of a hidden class retrieve its true weight?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgzsl.datasets import Split
from kgzsl.encoders.base import unit_rows
from kgzsl.errors import InvalidInputError
from kgzsl.ids import positions
from kgzsl.matrices import ClassifierWeights
from kgzsl.metrics import KS, hit_at_k, rank_bounds
from kgzsl.tasks.methods import Method


def retrieval_metrics(predicted: ClassifierWeights, gallery: ClassifierWeights, ks: Sequence[int] = KS) -> dict[str, float]:
    """Rank the true weights of `gallery` `[candidates, dim]` by cosine with each row of `predicted` `[hidden, dim]`.

    Returns
    -------
    hit@k in 0…1, the mean cosine with the true weight in −1…1, and counts.
    """
    queries, candidates = unit_rows(predicted.matrix), unit_rows(gallery.matrix)
    truth = positions(predicted.ids, gallery.ids, "the gallery")
    scores = queries @ candidates.T
    greater, equal = rank_bounds(scores, truth)
    return {
        **hit_at_k(greater, equal, ks),
        "mean_cosine": float(scores[np.arange(len(truth)), truth].mean()),
        "queries": len(truth),
        "candidates": len(gallery),
    }


def run_retrieval(method: Method, weights: ClassifierWeights, split: Split) -> dict[str, dict[str, float]]:
    """Hide the unseen classes' weights, predict them, and retrieve them among the hidden ones and among all.

    Raises
    ------
    InvalidInputError : the method predicts no classifier weights (ConSE).
    """
    classifier = method(split.seen, split.unseen)
    predicted = getattr(classifier, "weights", None)
    if predicted is None:
        raise InvalidInputError("image-free evaluation compares predicted classifier weights", received=type(classifier).__name__)
    return {
        "hidden": retrieval_metrics(predicted, weights.select(split.unseen)),
        "all": retrieval_metrics(predicted, weights.select(split.seen + split.unseen)),
    }
