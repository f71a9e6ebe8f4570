"""How far wrong answers are: distance and precision along the graph, and how much backed-off answers still tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.distances import Distances
from kgzsl.graphs.hierarchy import Hierarchy
from kgzsl.ids import positions

#: Values of one block of rows × candidates.
_BLOCK_VALUES = 2**22


def hierarchical_distance(distances: Distances, answers: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Return the mean graph distance between answers and true classes.

    Parameters
    ----------
    distances : from the answers (candidates) to the true classes (observed).
    answers, labels : ids, `[rows]`.

    Returns
    -------
    `distance` in edges (or the lengths of the distances), `distance_normalised` = the same over the largest distance,
    in 0…1 (0 where all distances are 0), `squared_distance`, the mean of squares (which Loki is for), and `distance_of_errors`,
    the mean over wrong answers only (0 without any).

    Raises
    ------
    UnknownNameError : an answer or a label has no distance.
    InvalidInputError : no rows.
    """
    found = distances.between(answers, labels)
    if len(found) == 0:
        raise InvalidInputError("a mean needs at least one row", received="none")
    wrong = np.array([a != b for a, b in zip(answers, labels, strict=True)])
    return {
        "distance": float(found.mean()),
        "distance_normalised": float(found.mean() / distances.diameter) if distances.diameter > 0 else 0.0,
        "squared_distance": float(np.square(found).mean()),
        "distance_of_errors": float(found[wrong].mean()) if wrong.any() else 0.0,
    }


def correct_sets(distances: np.ndarray, k: int) -> np.ndarray:
    """Return the correct set of every class: the classes within the least radius that holds at least k (Frome et al., 2013).

    The class itself is in it; where several classes lie on the last radius, all of them are, so a set may exceed k.

    Parameters
    ----------
    distances : between classes, `[classes, classes]`.

    Returns
    -------
    bool `[classes, classes]`, row = true class.
    """
    if not 1 <= k <= len(distances):
        raise InvalidInputError(f"k lies between 1 and the {len(distances):,} classes", received=k)
    radius = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    return np.asarray(distances <= radius)


def hierarchical_precision(scores: np.ndarray, truth: np.ndarray, distances: np.ndarray, k: int) -> np.ndarray:
    """Return hierarchical precision at k per row: the share of the top k in the true class's correct set (Frome et al., 2013).

    At k = 1 this is hit@1 (where no other class is at distance 0). Tied scores are in random order, and the mean over the
    orders is returned.

    Parameters
    ----------
    scores : `[rows, classes]`, finite, higher is better.
    truth : column of the true class per row, `[rows]`.
    distances : between the classes of those columns, `[classes, classes]`.

    Returns
    -------
    float64 `[rows]` in 0…1.
    """
    if not np.isfinite(scores).all():
        raise InvalidInputError("scores must be finite", received="NaN or infinity", remedy="check the classifier weights and features")
    if distances.shape != (scores.shape[1], scores.shape[1]):
        raise InvalidInputError("distances are [classes, classes] of the scores' columns", received=f"{distances.shape} for {scores.shape}")
    correct = correct_sets(distances, k)
    result = np.empty(len(scores))
    size = max(1, _BLOCK_VALUES // scores.shape[1])
    for start in range(0, len(scores), size):
        rows = slice(start, start + size)
        block, right = scores[rows], correct[truth[rows]]
        last = -np.partition(-block, k - 1, axis=1)[:, k - 1 : k]
        above, level = block > last, block == last
        places = k - above.sum(axis=1)
        result[rows] = ((above & right).sum(axis=1) + places * (level & right).sum(axis=1) / level.sum(axis=1)) / k
    return result


def back_off_metrics(hierarchy: Hierarchy, answers: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Return what hierarchical answers are worth: how often they are wrong, and how deep they go.

    An answer is right when it is the true class or stands above it.

    Parameters
    ----------
    answers : nodes of the hierarchy, `[rows]`.
    labels : classes of it, `[rows]`.

    Returns
    -------
    `error` and `exact` (the true class itself) in 0…1, `depth` in hops below the root, `specificity` = information gain in
    0…1 (see `Hierarchy.specificity`), and `correct_specificity`, in which wrong answers count 0 (Deng et al., CVPR 2012).
    """
    nodes, truth = positions(answers, hierarchy.nodes, "the hierarchy"), positions(labels, hierarchy.classes, "the hierarchy's classes")
    if len(nodes) == 0:
        raise InvalidInputError("a mean needs at least one row", received="none")
    right = hierarchy.covers(nodes, truth)
    return {
        "error": float(1 - right.mean()),
        "exact": float(np.mean([a == b for a, b in zip(answers, labels, strict=True)])),
        "depth": float(hierarchy.depths[nodes].mean()),
        "specificity": float(hierarchy.specificity[nodes].mean()),
        "correct_specificity": float((hierarchy.specificity[nodes] * right).mean()),
    }
