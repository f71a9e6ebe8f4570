"""Unseen relations in closed form: Fisher's direction of every seen relation, and kernel regression of directions on semantics.

Method
------
Let z be the features of an entity, whitened so that the ends of training triples have mean 0 and covariance I, and z̃ = [1, z]. The
features of a pair are z̃_h ⊗ z̃_t. Of pairs whose ends are drawn independently their covariance is I ⊗ I and their mean e₀ ⊗ e₀, so
that Fisher's linear discriminant between a relation's pairs and any pairs is, without a system to solve, the mean of its pairs:

    W_r = n_r / (n_r + τ) · mean over its triples of z̃_h z̃_tᵀ,      score(h, r, t) = z̃_hᵀ W_r z̃_t.                   (1)

Its first row is the mean tail (what kind of entity the range holds), its other rows say how the tail depends on the head. W is regressed
on the relations' vectors v, with k(u, v) = exp((cos(u, v) − 1) / ℓ²) and W̄ the mean of the seen relations:

    W_u = W̄ + k(u, S) (K_SS + λI)⁻¹ (W_S − W̄),                                                                      (2)

which is a weighted sum of the seen relations' scores. `interaction` weighs the rows that depend on the other end.

Known facts between both ends are features of the pair as well, a column for each seen relation and its reverse. The mean of these over
a relation's triples, how often its pairs have fact s as well, is regressed alike; `facts` weighs ln(1 + Σ_s weight of s · [s holds of
the pair]), the weights of an unseen relation being scaled to mean 1 over training facts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix

from kgzsl.completion.base import TrainingFacts
from kgzsl.completion.pairs import PairModel
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, Triples
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import Queries


class ClosedForm(PairModel):
    """Fisher's direction of every seen relation in whitened pair features; kernel ridge regression to unseen ones.

    Parameters
    ----------
    ridge, length : λ and ℓ of the kernel.
    interaction : weight of the part in which head and tail depend on each other, from 0.
    facts : weight of known facts between both ends, beside directions whose scores have deviation about 1.
    prior : τ, the triples' worth of the prior 0 of a relation's direction.
    structure, structure_dim, text, text_weight, link, columns, unit, familiarity : see `PairModel`.
    """

    name = "closed_form"
    source = "kgzsl; Fisher's discriminant, and ridge regression as in Romera-Paredes and Torr, ICML 2015"

    def __init__(
        self, *, ridge: float = 0.3, length: float = 0.6, interaction: float = 0.3, facts: float = 0.0, prior: float = 10.0, **settings: Any
    ) -> None:
        super().__init__(**settings)
        if min(ridge, length) <= 0 or min(interaction, prior, facts) < 0:
            raise InvalidInputError(
                "ridge and length are positive, interaction, facts and prior 0 or more",
                received=f"{ridge}, {length}, {interaction}, {facts}, {prior}",
            )
        self.ridge, self.length, self.interaction, self.facts, self.prior = ridge, length, interaction, facts, prior

    def _learn(self, training: TrainingFacts, relations: np.ndarray, seed: int, device: str) -> None:
        """Fit in closed form (see `PairModel`)."""
        whitened = self.whitened(training, seed, device)
        ones = np.ones((len(whitened), 1), dtype=np.float32)
        self._entities = torch.from_numpy(np.concatenate([ones, whitened], axis=1)).to(resolve_device(device))
        self.seen = training.seen_relations()
        self._directions = directions(self._entities, training.facts.triples, self.seen, self.prior)
        self._directions[:, 1:, 1:] *= self.interaction
        weights = kernel_weights(relations, self.seen, self.ridge, self.length)
        self._links = RelationLinks(training.facts, self.seen, weights) if self.facts else None
        self._weights = torch.from_numpy(weights.astype(np.float32)).to(self._entities.device)

    @property
    def _size(self) -> float:
        """How far scores of directions lie apart: the root of the columns, since features have length about that of theirs."""
        return float(self._directions[:, 0, 1:].norm(dim=1).mean().clamp_min(1e-6))

    def direction(self, relation: int) -> torch.Tensor:
        """Return W of a relation by its position, `[1 + columns, 1 + columns]`."""
        return torch.einsum("s,sij->ij", self._weights[relation], self._directions)

    def learned(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return `z̃_hᵀ W z̃_t`; see `CompletionModel.score`."""
        answers = self._entities if columns is None else self._entities[torch.from_numpy(columns).to(self._entities.device)]
        scores = torch.empty(len(queries), len(answers), device=answers.device)
        for relation in np.unique(queries.relation).tolist():
            rows = torch.from_numpy(np.flatnonzero(queries.relation == relation)).to(answers.device)
            given = self._entities[torch.from_numpy(queries.given).to(answers.device)[rows]]
            own = self.direction(relation)
            scores[rows] = (given @ (own if queries.side == "tail" else own.T)) @ answers.T
            if self._links is not None:
                known = self._links.score(relation, queries.given[rows.cpu().numpy()], queries.side, columns)
                scores[rows] = scores[rows] / self._size + self.facts * torch.from_numpy(known).to(scores)
        return scores


class RelationLinks:
    """Known facts between two entities, weighted by how often pairs of a relation have them as well.

    Parameters
    ----------
    facts : of training.
    seen : their relations, ascending.
    weights : of the seen relations for every relation, `[relations, seen]`.
    """

    def __init__(self, facts: Triples, seen: np.ndarray, weights: np.ndarray) -> None:
        self._rows, self._size = facts.triples, len(facts.entities)
        own = shared_pairs(facts)[seen]
        regressed = np.maximum(weights @ own, 0)
        counts = np.bincount(self._rows[:, RELATION], minlength=len(facts.relations))
        frequency = np.tile(counts, 2) / max(2 * len(self._rows), 1)
        self._weights = regressed / np.maximum(regressed @ frequency, 1e-12)[:, None]
        self._of: dict[int, csr_matrix] = {}

    def matrix(self, relation: int) -> csr_matrix:
        """Return the weighted facts from head to tail for a relation, sparse `[entities, entities]`."""
        if relation not in self._of:
            heads, kinds, tails = self._rows.T
            forth, back = np.split(self._weights[relation], 2)
            values = np.concatenate([forth[kinds], back[kinds]]).astype(np.float32)
            place = np.concatenate([heads, tails]), np.concatenate([tails, heads])
            self._of = {**self._of, relation: coo_matrix((values, place), shape=(self._size,) * 2).tocsr().log1p()}
        return self._of[relation]

    def score(self, relation: int, given: np.ndarray, side: str, columns: np.ndarray | None) -> np.ndarray:
        """Return the weighted facts of each given entity with each answer, float32 `[given, columns]`."""
        matrix = self.matrix(relation)
        found = (matrix if side == "tail" else matrix.T.tocsr())[given]
        return np.asarray((found if columns is None else found[:, columns]).toarray(), dtype=np.float32)


def shared_pairs(facts: Triples) -> np.ndarray:
    """Return the share of each relation's pairs that each relation holds of as well, and of which reversed, `[relations, 2 · relations]`.

    A relation's own column is left at 0: that its pairs have it says nothing of an unseen relation's.
    """
    rows, n, count = facts.triples, len(facts.entities), len(facts.relations)
    pairs, column = np.unique(np.concatenate([rows[:, HEAD] * n + rows[:, TAIL], rows[:, TAIL] * n + rows[:, HEAD]]), return_inverse=True)
    shape = count, len(pairs)
    forth, back = (
        coo_matrix((np.ones(len(rows)), (rows[:, RELATION], side)), shape=shape).tocsr() for side in np.split(column.reshape(-1), 2)
    )
    size = np.maximum(np.bincount(rows[:, RELATION], minlength=count), 1)[:, None]
    both = np.concatenate([(forth @ forth.T).toarray(), (forth @ back.T).toarray()], axis=1) / size
    both[np.arange(count), np.arange(count)] = 0
    return np.asarray(both)


def directions(entities: torch.Tensor, triples: np.ndarray, seen: np.ndarray, prior: float) -> torch.Tensor:
    """Return equation 1 for relations in the order of `seen`, `[seen, 1 + columns, 1 + columns]`."""
    order = np.argsort(triples[:, RELATION], kind="stable")
    bounds = np.searchsorted(triples[order, RELATION], [*seen.tolist(), np.iinfo(np.int64).max])
    found = torch.empty(len(seen), entities.shape[1], entities.shape[1], device=entities.device)
    for k, (start, end) in enumerate(pairwise(bounds.tolist())):  # hundreds of relations
        heads, tails = (entities[torch.from_numpy(triples[order[start:end], side]).to(entities.device)] for side in (HEAD, TAIL))
        found[k] = heads.T @ tails / (end - start + prior)
    return found


def kernel_weights(relations: np.ndarray, seen: np.ndarray, ridge: float, length: float) -> np.ndarray:
    """Return the weights of the seen relations in equation 2, float64 `[relations, seen]`; each row sums to 1."""
    unit = relations.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    kernel = np.exp((unit @ unit[seen].T - 1) / length**2)
    solved = np.linalg.solve(kernel[seen] + ridge * np.eye(len(seen)), kernel.T).T
    weights: np.ndarray = solved + (1 - solved.sum(axis=1, keepdims=True)) / len(seen)
    return weights
