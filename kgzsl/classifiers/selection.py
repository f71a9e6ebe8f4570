"""Settings chosen on held-out seen classes, never on unseen ones."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgzsl.classifiers import feature_classifier
from kgzsl.classifiers.features import check_training
from kgzsl.errors import InvalidInputError
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings
from kgzsl.metrics.ranking import hits, per_class_mean, rank_bounds
from kgzsl.progress import track


@dataclass(frozen=True)
class Choice:
    """The settings that did best, and how all did.

    Attributes
    ----------
    settings : the best point of the grid; the first one among equals.
    table : `(settings, mean per-class top-1 among the held-out classes in 0…1)` in the grid's order.
    selected_on : what was held out, for the result file.
    """

    settings: dict[str, Any]
    table: tuple[tuple[dict[str, Any], float], ...]
    selected_on: str


def choose(
    name: str,
    grid: Mapping[str, Sequence[Any]],
    features: np.ndarray,
    labels: Sequence[str],
    embeddings: ClassEmbeddings,
    seed: int,
    *,
    fraction: float = 1 / 3,
    repeats: int = 1,
) -> Choice:
    """Try every point of `grid` on seen classes that are held out as if they were unseen.

    Parameters
    ----------
    name : of a classifier that learns from features.
    grid : setting → values to try.
    features, labels : training rows `[rows, dim]` and their class ids `[rows]`: those of seen classes only.
    embeddings : `[classes, semantics]`; only the rows of the seen classes are looked at.
    seed : draws the held-out classes.
    fraction : share of the seen classes that is held out, in 0…1; at least two are, and at least two are kept.
    repeats : draws to average over.

    Raises
    ------
    InvalidInputError : an empty grid, a setting that the classifier does not have, fewer than four seen classes, or what the
        classifier's `fit` refuses.
    UnknownNameError : no such classifier, or a label without an embedding.
    """
    if not grid or not all(len(values) for values in grid.values()):
        raise InvalidInputError("a grid names settings with values to try", received=dict(grid))
    if not 0 < fraction < 1 or repeats < 1:
        raise InvalidInputError("fraction lies between 0 and 1, repeats is at least 1", received=f"{fraction} and {repeats}")
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    for point in points:
        feature_classifier(name, point)  # a bad setting is refused before the work
    features, named = np.asarray(features), np.asarray(labels, dtype=object)
    seen = check_training(features, labels, embeddings)
    if len(seen) < 4:
        raise InvalidInputError("two seen classes are held out and two are learned from, so four are needed", received=len(seen))
    held_out = max(2, min(round(fraction * len(seen)), len(seen) - 2))
    rng = np.random.default_rng(seed)
    draws = [[seen[i] for i in np.sort(rng.permutation(len(seen))[:held_out])] for _ in range(repeats)]
    accuracies = np.zeros((len(points), repeats))
    trials = list(itertools.product(range(len(points)), range(repeats)))
    for p, d in track(trials, f"{name}: choosing settings"):
        accuracies[p, d] = _accuracy(name, points[p], features, named, embeddings, draws[d], seen)
    means = accuracies.mean(axis=1)
    table = tuple((point, float(value)) for point, value in zip(points, means, strict=True))
    best = points[int(means.argmax())]
    return Choice(best, table, f"{held_out} of {len(seen)} seen classes held out, {repeats} draws, seed {seed}")


def _accuracy(
    name: str,
    settings: Mapping[str, Any],
    features: np.ndarray,
    labels: np.ndarray,
    embeddings: ClassEmbeddings,
    held_out: Sequence[str],
    seen: Sequence[str],
) -> float:
    """Return the mean per-class top-1 among the held-out classes of a classifier that never saw their rows."""
    hidden = np.isin(labels, np.array(held_out, dtype=object))
    axis = embeddings.select([*held_out, *(i for i in seen if i not in set(held_out))])
    classifier = feature_classifier(name, settings).fit(features[~hidden], list(labels[~hidden]), axis)
    scores = classifier.scores(features[hidden])[:, : len(held_out)]
    truth = positions(list(labels[hidden]), held_out, "the held-out classes")
    return per_class_mean(hits(*rank_bounds(scores, truth), 1), truth)
