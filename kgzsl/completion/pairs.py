"""Pairs of entities as rows of features, in which a relation is a direction: what all models of unseen relations share.

A pair's features are `f(h, t) = [a, b, a ⊙ b]` with `a = tanh(H x_h)` and `b = tanh(T x_t)`. Inner products and lengths of `f` need
three products of matrices for all pairs of some heads with some tails, never a pass per pair.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kgzsl.completion.base import CompletionModel, TrainingFacts
from kgzsl.completion.entities import EntityFeatures, Whitening
from kgzsl.completion.familiarity import PairFamiliarity
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL
from kgzsl.errors import InvalidInputError
from kgzsl.generators.networks import perceptron
from kgzsl.metrics.filtered_ranking import Queries, Score


class PairModel(CompletionModel):
    """Models of unseen relations over whitened features of entities.

    Parameters
    ----------
    structure, structure_dim, text, text_weight, link : see `kgzsl.completion.entities.EntityFeatures`.
    columns : principal directions of the features that are kept.
    unit : scale each entity's whitened features to the same length, so that no rare entity answers everything.
    familiarity : weight of `PairFamiliarity` beside what is learned, whose scores of random pairs are scaled to deviation 1.
    """

    uses_relations = True

    def __init__(
        self,
        *,
        structure: str = "roles",
        structure_dim: int = 64,
        text: str = "minilm-l6-v2",
        text_weight: float = 1.0,
        link: dict[str, Any] | None = None,
        columns: int = 128,
        unit: bool = True,
        familiarity: float = 0.0,
    ) -> None:
        if columns < 1 or not 0 <= familiarity < np.inf:
            raise InvalidInputError("columns are at least 1, familiarity 0 or more", received=f"{columns}, {familiarity}")
        self.entity_features = EntityFeatures(structure, structure_dim, text, text_weight, dict(link or {}))
        self.columns, self.unit, self.familiarity = columns, unit, familiarity

    @abstractmethod
    def _learn(self, training: TrainingFacts, relations: np.ndarray, seed: int, device: str) -> None:
        """Fit on training triples and one vector per relation."""

    @abstractmethod
    def learned(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return what is learned of answers, `[queries, columns]`; see `CompletionModel.score`."""

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Self:
        """Fit; see `CompletionModel.fit`."""
        self.check_relations(training, relations)
        assert relations is not None
        self._learn(training, relations, seed, device)
        self._familiar = PairFamiliarity(training.facts) if self.familiarity else None
        self._spread = _deviation(self.learned, training, seed) if self.familiarity else 1.0
        return self

    def score(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return what is learned, and the familiarity of the pair; see `CompletionModel.score`."""
        scores = self.learned(queries, columns)
        if self._familiar is None:
            return scores
        return scores / self._spread + self.familiarity * torch.from_numpy(self._familiar.score(queries, columns)).to(scores)

    def whitened(self, training: TrainingFacts, seed: int, device: str) -> np.ndarray:
        """Return the features of all entities, of covariance I over the ends of training triples, float32 `[entities, columns]`."""
        return whitened_features(training, self.entity_features, self.columns, self.unit, seed, device)


def whitened_features(training: TrainingFacts, features: EntityFeatures, columns: int, unit: bool, seed: int, device: str) -> np.ndarray:
    """Return whitened features of entities, float32 `[entities, at most columns]`."""
    if not len(training.facts):
        raise InvalidInputError("a model of unseen relations is fitted on triples of seen ones", received="none")
    found = features(training, seed=seed, device=device)
    white = Whitening.of(found, training.facts.triples[:, [HEAD, TAIL]].reshape(-1), columns)(found)
    if unit:
        white *= np.sqrt(white.shape[1]) / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-6)
    return white


def _deviation(score: Score, training: TrainingFacts, seed: int) -> float:
    """Return the deviation of scores of random seen entities as answers of random training questions."""
    random, entities = np.random.default_rng(seed), training.seen_entities()
    rows = training.facts.triples[random.integers(len(training.facts), size=64)]
    columns = np.sort(random.permutation(entities)[:500])
    scores = np.asarray(score(Queries("tail", rows[:, HEAD], rows[:, RELATION]), columns))
    return max(float(scores.std(axis=1).mean()), 1e-6)


class PairEncoder(nn.Module):
    """The two layers of pair features; see above.

    Parameters
    ----------
    inputs, columns : of an entity's features, and of `a` and `b`; a pair has `3 · columns`.
    generator : draws the weights.
    """

    def __init__(self, inputs: int, columns: int, generator: torch.Generator) -> None:
        super().__init__()
        self.head, self.tail = (perceptron([inputs, columns], generator, deviation=inputs**-0.5) for _ in range(2))

    def heads(self, features: torch.Tensor) -> torch.Tensor:
        """Return `a` of entities' features `[n, inputs]`, `[n, columns]`."""
        return torch.tanh(self.head(features))

    def tails(self, features: torch.Tensor) -> torch.Tensor:
        """Return `b`, like `heads`."""
        return torch.tanh(self.tail(features))

    def forward(self, heads: torch.Tensor, tails: torch.Tensor) -> torch.Tensor:
        """Return the features of pairs, `[pairs, 3 · columns]`."""
        return joined(self.heads(heads), self.tails(tails))


def joined(heads: torch.Tensor, tails: torch.Tensor) -> torch.Tensor:
    """Return `[a, b, a ⊙ b]`."""
    return torch.cat([heads, tails, heads * tails], dim=-1)


def all_pairs(heads: torch.Tensor, tails: torch.Tensor, relation: torch.Tensor, *, cosine: bool = False) -> torch.Tensor:
    """Return the inner products of a relation's vector with the features of every pair, `[heads, tails]`.

    Parameters
    ----------
    heads, tails : `a` `[heads, columns]` and `b` `[tails, columns]`.
    relation : `[3 · columns]`.
    cosine : divide by the length of the pair's features.
    """
    own, other, both = relation.view(3, -1)
    products = (heads @ own)[:, None] + (tails @ other)[None, :] + (heads * both) @ tails.T
    if not cosine:
        return products
    squares = [part.square() for part in (heads, tails)]
    lengths = squares[0].sum(dim=1)[:, None] + squares[1].sum(dim=1)[None, :] + squares[0] @ squares[1].T
    return products / lengths.clamp_min(1e-12).sqrt()


class PairSampler:
    """Draws training triples by relation, and wrong tails and heads for them.

    Parameters
    ----------
    triples : int64 `[triples, 3]`.
    entities, relations : how many there are.
    generator : draws, on its device.
    """

    def __init__(self, triples: np.ndarray, entities: int, relations: int, generator: torch.Generator) -> None:
        order = np.argsort(triples[:, RELATION], kind="stable")
        self.triples = torch.from_numpy(triples[order]).to(generator.device)
        counts = np.bincount(triples[:, RELATION], minlength=relations)
        self.counts, self.starts = (
            torch.from_numpy(part).to(generator.device) for part in (counts, np.concatenate([[0], np.cumsum(counts)[:-1]]))
        )
        #: Frequent relations are drawn more often, by the root of their counts.
        self.weights = self.counts.double().sqrt()
        self.entities, self.relations, self.generator = entities, relations, generator
        self._keys = torch.sort(self._key(self.triples)).values

    def _key(self, rows: torch.Tensor) -> torch.Tensor:
        return (rows[..., HEAD] * self.relations + rows[..., RELATION]) * self.entities + rows[..., TAIL]

    def some_relations(self, number: int) -> torch.Tensor:
        """Return seen relations, drawn with replacement, `[number]`."""
        return torch.multinomial(self.weights, number, replacement=True, generator=self.generator)

    def of(self, relations: torch.Tensor) -> torch.Tensor:
        """Return a training triple of each relation, drawn alike, `[…, 3]`."""
        share = torch.rand(relations.shape, generator=self.generator, device=relations.device, dtype=torch.float64)
        return self.triples[self.starts[relations] + (share * self.counts[relations]).long()]

    def wrong(self, rows: torch.Tensor, side: int) -> torch.Tensor:
        """Return the rows with another tail, or head: of another triple of the relation every other time, else any entity.

        It may be a true triple; see `is_true`.
        """
        near = self.of(rows[..., RELATION])[..., side]
        shape = near.shape
        far = torch.randint(self.entities, shape, generator=self.generator, device=rows.device)
        taken = torch.rand(shape, generator=self.generator, device=rows.device) < 0.5
        changed = rows.clone()
        changed[..., side] = torch.where(taken, near, far)
        return changed

    def is_true(self, rows: torch.Tensor) -> torch.Tensor:
        """Return whether rows are training triples, bool `[…]`."""
        key = self._key(rows)
        place = torch.searchsorted(self._keys, key).clamp_max(len(self._keys) - 1)
        return self._keys[place] == key


def hinge(right: torch.Tensor, wrong: torch.Tensor, margin: float, counted: torch.Tensor | None = None) -> torch.Tensor:
    """Return the mean of `max(0, margin + wrong − right)`, over those that are counted."""
    losses = functional.relu(margin + wrong - right)
    if counted is None:
        return losses.mean()
    return (losses * counted).sum() / counted.sum().clamp_min(1)
