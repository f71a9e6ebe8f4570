"""What every model of completion has to beat: chance, and the entities that training mentions most."""

from __future__ import annotations

import hashlib
from typing import Self

import numpy as np

from kgzsl.completion.base import CompletionModel, TrainingFacts
from kgzsl.datasets.completion_set import HEAD, TAIL
from kgzsl.metrics.filtered_ranking import Queries


class Degree(CompletionModel):
    """The number of training triples that mention an entity, whatever is asked."""

    name = "degree"
    source = "bound"

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Self:
        """Count; see `CompletionModel.fit`."""
        ends = training.facts.triples[:, [HEAD, TAIL]].reshape(-1)
        self._scores = np.bincount(ends, minlength=len(training.facts.entities)).astype(np.float32)
        return self

    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        """Return the same scores for every query; see `CompletionModel.score`."""
        scores = self._scores if columns is None else self._scores[columns]
        return np.tile(scores, (len(queries), 1))


class Chance(CompletionModel):
    """Scores drawn at random, from the seed and the question."""

    name = "chance"
    source = "bound"

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Self:
        """Take the seed; see `CompletionModel.fit`."""
        self._seed, self._entities = seed, len(training.facts.entities)
        return self

    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        """Return numbers in 0…1; see `CompletionModel.score`."""
        asked = np.stack([queries.given, queries.relation]).astype("<i8").tobytes() + queries.side.encode()
        drawn = int.from_bytes(hashlib.sha256(asked).digest()[:8], "big")
        width = self._entities if columns is None else len(columns)
        return np.random.default_rng([self._seed, drawn]).random((len(queries), width), dtype=np.float32)
