"""Boundary gating: inside the sphere of any seen class → seen expert, outside all → unseen expert (Chen et al., 2020)."""

from __future__ import annotations

import math
from typing import Literal, Self

import numpy as np

from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows, check_features, check_fitted, check_share
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.ids import positions
from kgzsl.matrices import IdMatrix

Metric = Literal["cosine", "euclidean"]
#: Values of one block of rows × prototypes.
_BLOCK_VALUES = 2**23


class Boundary(Calibration):
    """Spheres around the seen classes' prototypes hold a chosen share of their held-out rows; what lies in none is unseen.

    A class with at least `1 / (1 − accept)` held-out rows has a radius of its own; the others share the radius of all rows
    together. The paper's space is the latent one of a hyperspherical auto-encoder; here it is whichever the prototypes and
    features are in.

    Parameters
    ----------
    prototypes : centres of the seen classes, `[classes, dim]`, not taken from the held-out rows (their own mean is too near them).
    accept : share of a class's rows that its sphere holds, in 0…1 (0.95 in the paper).
    metric : `cosine` measures 1 − cosine (spherical caps), `euclidean` the distance.
    """

    name = "boundary"
    source = "Chen, Lan, Sun, Zheng, A Boundary Based Out-of-Distribution Classifier for Generalized Zero-Shot Learning, ECCV 2020"

    def __init__(self, *, prototypes: IdMatrix, accept: float = 0.95, metric: Metric = "cosine") -> None:
        if metric not in ("cosine", "euclidean"):
            raise InvalidInputError("the metric is cosine or euclidean", received=repr(metric))
        self.prototypes, self.accept, self.metric = prototypes, check_share(accept, "the accepted share"), metric
        if metric == "cosine":
            _check_directions(prototypes)
        self.radii: np.ndarray | None = None

    def fit(self, held_out: HeldOut) -> Self:
        """Set the radii from the rows of seen classes; rows of classes treated as unseen are ignored."""
        rows = np.flatnonzero(held_out.is_seen[held_out.truth])
        if len(rows) == 0:
            raise InvalidInputError("boundaries need held-out rows of seen classes", received="none")
        features = check_features(held_out, self.prototypes.dim, self)[rows]
        own = positions([held_out.labels[i] for i in rows], self.prototypes.ids, "the prototypes")
        distance = self._paired(features, own)
        self.radii = np.full(len(self.prototypes), _holding(distance, self.accept))
        enough = math.ceil(1 / (1 - self.accept) - 1e-9)
        order = np.argsort(own, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(own[order])) + 1):
            if len(group) >= enough:
                self.radii[own[group[0]]] = _holding(distance[group], self.accept)
        return self

    def inside(self, rows: ScoredRows) -> np.ndarray:
        """Return True where a row lies in the sphere of a seen class, on its edge included, bool `[rows]`."""
        check_fitted(self.radii, self)
        assert self.radii is not None
        features = check_features(rows, self.prototypes.dim, self)
        where = positions(rows.seen, self.prototypes.ids, "the prototypes")
        centres, radii = self.prototypes.matrix[where].astype(np.float64), self.radii[where]
        found = np.zeros(len(features), dtype=bool)
        size = max(1, _BLOCK_VALUES // max(1, len(where)))
        for start in range(0, len(features), size):
            block = slice(start, start + size)
            # rounding must not put a row that set a radius outside it
            found[block] = (_distances(features[block], centres, self.metric) <= radii * (1 + 1e-9) + 1e-9).any(axis=1)
        return found

    def decide(self, rows: ScoredRows) -> Answers:
        """Return the best class of the expert that the boundaries choose.

        The scores rank all its classes above all of the other expert's: each expert's scores are brought to 0…1 within the row.
        """
        seen, unseen = rows.sides()
        inside = self.inside(rows)
        scores = np.empty(rows.scores.shape)
        for columns, chosen in ((seen, inside), (unseen, ~inside)):
            scores[:, columns] = _unit_range(rows.scores[:, columns]) + 2.0 * chosen[:, None]
        return Answers.of_scores(rows.classes, scores)

    def _paired(self, features: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The distance of each row to its own class's prototype, `[rows]`."""
        centres = self.prototypes.matrix[own].astype(np.float64)
        if self.metric == "euclidean":
            return np.asarray(np.linalg.norm(features - centres, axis=1))
        return np.asarray(1.0 - (_unit(features) * _unit(centres)).sum(axis=1))


def _distances(features: np.ndarray, centres: np.ndarray, metric: Metric) -> np.ndarray:
    if metric == "cosine":
        return np.asarray(1.0 - _unit(features) @ _unit(centres).T)
    squared = (features**2).sum(axis=1)[:, None] - 2 * features @ centres.T + (centres**2).sum(axis=1)
    return np.sqrt(np.maximum(squared, 0.0))


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays and is at right angles to everything."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300))


def _holding(distance: np.ndarray, share: float) -> float:
    """The least radius, among the distances, that holds at least `share` of them."""
    return float(np.quantile(distance, share, method="inverted_cdf"))


def _unit_range(scores: np.ndarray) -> np.ndarray:
    low, high = scores.min(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    return np.asarray((scores - low) / np.where(high > low, high - low, 1.0), dtype=np.float64)


def _check_directions(prototypes: IdMatrix) -> None:
    empty = ~prototypes.matrix.any(axis=1)
    if empty.any():
        raise InvalidInputError(
            "a prototype compared by cosine has a direction",
            received=f"rows of zeros: {first_five(prototypes.ids[i] for i in np.flatnonzero(empty))}",
            remedy="drop those classes or use metric='euclidean'",
        )
