"""The trivial solution of a split on images: a classifier of seen classes, and where the classes stand in a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.audit import trivial_scores
from kgzsl.graphs.nearest import Nearest
from kgzsl.ids import positions
from kgzsl.matrices import ClassifierWeights, Features, check_same_recipe
from kgzsl.metrics import KS, hit_at_k, hits, per_class_mean, rank_bounds

#: Images that are scored at once.
_ROWS = 1024


def seen_probabilities(features: np.ndarray, weights: ClassifierWeights, seen: Sequence[str]) -> np.ndarray:
    """Return the softmax over `seen` of a backbone's own classifier, `[rows, seen]`."""
    chosen = weights.select(seen)
    return _softmax(features @ chosen.weight.T + chosen.bias)


def trivial_metrics(
    nearest: Nearest,
    candidates: Sequence[str],
    images: Features,
    weights: ClassifierWeights | None = None,
    ks: Sequence[int] = KS,
) -> dict[str, float]:
    """Return hit@k per image and top-1 per class of the trivial solution on images of unseen classes; ties are shared.

    A class's score is the mean probability of the seen classes nearest to it in the graph: nothing is learned.

    Parameters
    ----------
    candidates : the unseen classes to choose among.
    images : features with labels; rows of other classes are left out.
    weights : the backbone's own classifier of the seen classes. None takes the rows of `images` for scores (logits or
        log-probabilities) of `nearest.seen`, in that order.

    Raises
    ------
    InvalidInputError : no image of a candidate, or scores of another number of classes.
    IncompatibleError : features and weights come from different backbones.
    """
    if weights is not None:
        check_same_recipe(images.meta.get("recipe", {}), weights.meta.get("recipe", {}))
    elif images.dim != len(nearest.seen):
        raise InvalidInputError(
            "scores of seen classes are one column per seen class",
            received=f"{images.dim:,} columns for {len(nearest.seen):,} seen classes",
            remedy="give the backbone's weights too (`--weights` or `--backbone`), or the seen classes in the order of the columns",
        )
    known = images.of_classes(candidates)
    truth = positions(known.labels, candidates, "the candidates")
    bounds = []
    for start in range(0, len(truth), _ROWS):
        rows = known.matrix[start : start + _ROWS]
        probabilities = seen_probabilities(rows, weights, nearest.seen) if weights is not None else _softmax(rows)
        bounds.append(rank_bounds(trivial_scores(nearest, candidates, probabilities), truth[start : start + _ROWS]))
    greater, equal = (np.concatenate(part) for part in zip(*bounds, strict=True))
    return {
        **hit_at_k(greater, equal, ks),
        "per_class_top1": per_class_mean(hits(greater, equal, 1), truth),
        "images": len(truth),
        "classes_with_images": len(np.unique(truth)),
        "candidates": len(candidates),
    }


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
