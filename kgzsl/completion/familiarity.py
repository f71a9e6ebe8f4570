"""How familiar a pair is, whatever the relation: what can be known of an answer without knowing what is asked."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy import sparse

from kgzsl.completion.base import CompletionModel, TrainingFacts
from kgzsl.datasets.completion_set import HEAD, TAIL, Triples
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import Queries


class PairFamiliarity:
    """`degree · ln(1 + d_t) + links · ln(1 + n_ht) + paths · ln(1 + Σₓ n_hx n_xt / ln(2 + d_x))` from training triples.

    n counts the triples between two entities in either direction, d an entity's triples; the sum over common neighbours x is that of
    Adamic and Adar (2003), of 0/1 links.

    Parameters
    ----------
    degree, links, paths : the weights.
    """

    def __init__(self, facts: Triples, degree: float = 0.1, links: float = 1.0, paths: float = 1.0) -> None:
        rows, size = facts.triples, len(facts.entities)
        ends = np.concatenate([rows[:, [HEAD, TAIL]], rows[:, [TAIL, HEAD]]])
        counts = sparse.coo_matrix((np.ones(len(ends), dtype=np.float32), (ends[:, 0], ends[:, 1])), shape=(size, size)).tocsr()
        degrees = np.asarray(counts.sum(axis=1), dtype=np.float32).ravel()
        self._degrees = degree * np.log1p(degrees)
        self._links = counts.log1p() * links
        met = (counts > 0).astype(np.float32)
        self._first = sparse.csr_matrix(met @ sparse.diags(1 / np.log(2 + degrees)), dtype=np.float32)
        self._second, self._paths = met, paths

    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        """Return the familiarity of each query's entity with each answer, float32 `[queries, columns]`."""
        degrees, links, second = self._degrees, self._links[queries.given], self._second
        if columns is not None:
            degrees, links, second = degrees[columns], links[:, columns], second[:, columns]
        found = links.toarray() + degrees
        if self._paths:
            found += self._paths * np.log1p((self._first[queries.given] @ second).toarray())
        return np.asarray(found, dtype=np.float32)


class Familiarity(CompletionModel):
    """Entities that training links to the given one, directly or over one step, whatever the relation: a bound.

    Parameters
    ----------
    degree, links, paths : see `PairFamiliarity`.
    """

    name = "familiarity"
    source = "bound; Adamic and Adar, Friends and Neighbors on the Web, Social Networks 25, 2003"

    def __init__(self, *, degree: float = 0.1, links: float = 1.0, paths: float = 1.0) -> None:
        if min(degree, links, paths) < 0:
            raise InvalidInputError("weights of familiarity are 0 or more", received=f"{degree}, {links}, {paths}")
        self.degree, self.links, self.paths = degree, links, paths

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Self:
        """Count; see `CompletionModel.fit`."""
        self._familiar = PairFamiliarity(training.facts, self.degree, self.links, self.paths)
        return self

    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        """Return the familiarity of pairs; see `CompletionModel.score`."""
        return self._familiar.score(queries, columns)
