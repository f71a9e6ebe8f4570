"""Loki: answer with the class that is least far, in the mean, from where the probabilities are (Roberts et al., 2023)."""

from __future__ import annotations

from typing import Self

import numpy as np

from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows, check_fitted
from kgzsl.calibration.temperature import fit_temperature, softmax
from kgzsl.graphs.distances import Distances
from kgzsl.ids import positions

#: Powers of two by which the temperature of the likelihood is multiplied, of which held-out distances choose one.
_STEPS = range(-6, 2)
#: Values of one block of candidates × observed classes.
_BLOCK_VALUES = 2**23
#: Expected squared distances closer than this share of the smallest are equal: they differ by rounding alone.
_LEVEL = 1e-9


def frechet_mean(probabilities: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Fréchet mean of every row's distribution over a finite metric space, exactly.

    Parameters
    ----------
    probabilities : p_k of the observed points, `[rows, observed]`.
    distances : d(y, y_k), `[candidates, observed]`; squared block by block, so that no second matrix of that size is made.

    Returns
    -------
    chosen : `argmin_y Σ_k p_k d²(y, y_k)`, the first candidate among equals, int64 `[rows]`.
    expected : the sums, float64 `[rows, candidates]`.
    """
    expected = np.empty((len(probabilities), len(distances)))
    size = max(1, _BLOCK_VALUES // max(1, distances.shape[1]))
    for start in range(0, len(distances), size):
        block = slice(start, start + size)
        expected[:, block] = probabilities @ np.square(distances[block].astype(np.float64)).T
    least = expected.min(axis=1, keepdims=True)
    return (expected <= least + _LEVEL * (1 + least)).argmax(axis=1), expected


class Loki(Calibration):
    """The answer minimises the expected squared graph distance; classes that were never scored can be answered.

    Lowers top-1 where it improves the distance: report both. Probabilities of the best likelihood are too spread for it when
    classes are many: what little mass lies on each of hundreds of wrong ones draws all answers to the middle of the graph. So the
    temperature is chosen by what Loki is for.

    Parameters
    ----------
    distances : d(y, y_k) between the candidates and the scored classes, along any graph (see `graphs.distances.shortest_paths`).
    unscored : whether candidates that are no scored class can be answered; False leaves them out.
    temperature : T of the probabilities, where it is known already; `fit` sets it.
    """

    name = "loki"
    source = "Roberts, Li, Adila, Cromp, Huang, Zhao, Sala, Geometry-Aware Adaptation for Pretrained Models, NeurIPS 2023"

    def __init__(self, *, distances: Distances, unscored: bool = True, temperature: float | None = None) -> None:
        self.distances, self.unscored, self.temperature = distances, unscored, temperature

    def fit(self, held_out: HeldOut) -> Self:
        """Choose T, around the one of the best likelihood, by the least mean squared distance of held-out answers, sharper on ties."""
        _, distances = self._candidates(held_out)
        start = fit_temperature(held_out.scores, held_out.truth)
        best = np.inf
        for temperature in (start * 2.0**step for step in _STEPS):
            chosen, _ = frechet_mean(softmax(held_out.scores, temperature), distances)
            far = float(np.square(distances[chosen, held_out.truth], dtype=np.float64).mean())
            if far < best * (1 - _LEVEL):
                best, self.temperature = far, temperature
        return self

    def decide(self, rows: ScoredRows) -> Answers:
        """Return answers among the candidates; their scores are −Σ_k p_k d².

        Raises
        ------
        UnknownNameError : a scored class is not among the observed classes of the distances (or not among its candidates, where
            only scored classes can be answered).
        """
        check_fitted(self.temperature, self)
        assert self.temperature is not None
        candidates, distances = self._candidates(rows)
        chosen, expected = frechet_mean(softmax(rows.scores, self.temperature), distances)
        return Answers(candidates, chosen, -expected)

    def _candidates(self, rows: ScoredRows) -> tuple[tuple[str, ...], np.ndarray]:
        """The ids that can be answered, and their distances to the scored classes, `[candidates, classes]`."""
        candidates, matrix = self.distances.candidates, self.distances.matrix
        if not self.unscored:
            matrix = matrix[positions(rows.classes, candidates, "the candidates of the distances")]
            candidates = rows.classes
        if rows.classes != self.distances.observed:  # else a copy, which is large where classes are many
            matrix = matrix[:, positions(rows.classes, self.distances.observed, "the observed classes of the distances")]
        return candidates, matrix
