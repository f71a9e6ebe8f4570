"""Loki: answer with the class that is least far, in the mean, from where the probabilities are (Roberts et al., 2023)."""

from __future__ import annotations

from typing import Self

import numpy as np

from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows, check_fitted
from kgzsl.calibration.temperature import fit_temperature, softmax
from kgzsl.graphs.distances import Distances
from kgzsl.ids import positions

#: Values of one block of rows × candidates.
_BLOCK_VALUES = 2**23
#: Expected squared distances closer than this share of the smallest are equal: they differ by rounding alone.
_LEVEL = 1e-9


def frechet_mean(probabilities: np.ndarray, squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Fréchet mean of every row's distribution over a finite metric space, exactly.

    Parameters
    ----------
    probabilities : p_k of the observed points, `[rows, observed]`.
    squared : d²(y, y_k), `[candidates, observed]`.

    Returns
    -------
    chosen : `argmin_y Σ_k p_k d²(y, y_k)`, the first candidate among equals, int64 `[rows]`.
    expected : the sums, float64 `[rows, candidates]`.
    """
    expected = np.empty((len(probabilities), len(squared)))
    chosen = np.empty(len(probabilities), dtype=np.int64)
    transposed = np.asarray(squared, dtype=np.float64).T
    size = max(1, _BLOCK_VALUES // max(1, len(squared)))
    for start in range(0, len(probabilities), size):
        rows = slice(start, start + size)
        block = np.asarray(probabilities[rows], dtype=np.float64) @ transposed
        least = block.min(axis=1, keepdims=True)
        chosen[rows] = (block <= least + _LEVEL * (1 + least)).argmax(axis=1)
        expected[rows] = block
    return chosen, expected


class Loki(Calibration):
    """The answer minimises the expected squared graph distance; classes that were never scored can be answered.

    Lowers top-1 where it improves the distance: report both.

    Parameters
    ----------
    distances : d(y, y_k) between the candidates and the scored classes, along any graph (see `graphs.distances.shortest_paths`).
    temperature : T of the probabilities, where it is known already; `fit` sets it.
    """

    name = "loki"
    source = "Roberts, Li, Adila, Cromp, Huang, Zhao, Sala, Geometry-Aware Adaptation for Pretrained Models, NeurIPS 2023"

    def __init__(self, *, distances: Distances, temperature: float | None = None) -> None:
        self.distances, self.temperature = distances, temperature

    def fit(self, held_out: HeldOut) -> Self:
        """Fit T by likelihood; the metric is the graph's and is not learned."""
        self.temperature = fit_temperature(held_out.scores, held_out.truth)
        return self

    def decide(self, rows: ScoredRows) -> Answers:
        """Return answers among `distances.candidates`; their scores are −Σ_k p_k d².

        Raises
        ------
        UnknownNameError : a scored class is not among the observed classes of the distances.
        """
        check_fitted(self.temperature, self)
        assert self.temperature is not None
        columns = positions(rows.classes, self.distances.observed, "the observed classes of the distances")
        squared = np.square(self.distances.matrix[:, columns].astype(np.float64))
        chosen, expected = frechet_mean(softmax(rows.scores, self.temperature), squared)
        return Answers(self.distances.candidates, chosen, -expected)
