"""DeViSE for relations: a linear map from relation vectors into pair features, both learned with a hinge (Frome et al., 2013).

The score of a pair is the inner product of the relation's projection with the features of the pair (`pairs.py`); true triples of seen
relations lie a margin above the same triples with another tail, and with another head. It is the baseline of Qin et al. (AAAI 2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from kgzsl.completion.base import TrainingFacts
from kgzsl.completion.pairs import PairEncoder, PairModel, PairSampler, all_pairs, hinge
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL
from kgzsl.devices import resolve_device
from kgzsl.errors import DivergedError, InvalidInputError
from kgzsl.generators.networks import perceptron
from kgzsl.metrics.filtered_ranking import Queries
from kgzsl.progress import track


class ProjectedRelations(nn.Module):
    """A pair encoder and the projection of relation vectors, `[relations, 3 · columns]`."""

    def __init__(self, inputs: int, semantics: int, columns: int, generator: torch.Generator) -> None:
        super().__init__()
        self.pairs = PairEncoder(inputs, columns, generator)
        self.projection = perceptron([semantics, 3 * columns], generator, deviation=semantics**-0.5)

    def forward(self, heads: torch.Tensor, relations: torch.Tensor, tails: torch.Tensor) -> torch.Tensor:
        """Return the scores of rows of heads, relations and tails, `[…]`."""
        scores: torch.Tensor = (self.projection(relations) * self.pairs(heads, tails)).sum(dim=-1)
        return scores


class Projection(PairModel):
    """DeViSE-style: relation vectors projected into features of pairs, trained with a hinge (Frome et al. 2013).

    Parameters
    ----------
    pair_columns : a third of a pair's features.
    steps, batch_size, learning_rate, decay : of Adam with decoupled weight decay.
    margin, negatives : of the hinge, and wrong tails, and as many wrong heads, per triple.
    dropout : share of the relation vectors' columns that a step does without.
    structure, structure_dim, text, text_weight, link, columns, unit, familiarity : see `PairModel`.
    """

    name = "projection"
    source = "Frome et al., DeViSE, NeurIPS 2013; for relations: Qin et al., AAAI 2020"

    def __init__(
        self,
        *,
        pair_columns: int = 64,
        steps: int = 1000,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        decay: float = 1e-2,
        margin: float = 1.0,
        negatives: int = 8,
        dropout: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if min(pair_columns, steps, batch_size, negatives) < 1 or min(learning_rate, margin) <= 0 or decay < 0 or not 0 <= dropout < 1:
            raise InvalidInputError(
                "counts are at least 1, learning_rate and margin positive, decay 0 or more, dropout in 0…1",
                received=f"{pair_columns}, {steps}, {batch_size}, {negatives}, {learning_rate}, {margin}, {decay}, {dropout}",
            )
        self.pair_columns, self.steps, self.batch_size, self.learning_rate = pair_columns, steps, batch_size, learning_rate
        self.decay, self.margin, self.negatives, self.dropout = decay, margin, negatives, dropout

    def _learn(self, training: TrainingFacts, relations: np.ndarray, seed: int, device: str) -> None:
        """Train (see `PairModel`).

        Raises
        ------
        DivergedError : a loss that is not finite.
        """
        where = resolve_device(device)
        generator = torch.Generator(where).manual_seed(seed)
        entities, vectors = (torch.from_numpy(rows).to(where) for rows in (self.whitened(training, seed, device), relations))
        network = ProjectedRelations(entities.shape[1], vectors.shape[1], self.pair_columns, generator)
        sampler = PairSampler(training.facts.triples, len(entities), len(vectors), generator)
        optimiser = torch.optim.AdamW(network.parameters(), lr=self.learning_rate, weight_decay=self.decay)
        loss = torch.zeros(())
        for _ in track(range(self.steps), self.name):
            rows = sampler.of(sampler.some_relations(self.batch_size))
            optimiser.zero_grad(set_to_none=True)
            loss = projection_loss(network, sampler, rows, entities, vectors, self.margin, self.negatives, self.dropout)
            loss.backward()
            optimiser.step()
        if not torch.isfinite(loss):
            raise DivergedError("the training loss must stay finite", received=f"{self.name}", remedy="lower the learning rate")
        with torch.no_grad():
            self._heads, self._tails = network.pairs.heads(entities), network.pairs.tails(entities)
            self._projected = network.projection(vectors)

    def learned(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return inner products of projections and pairs; see `CompletionModel.score`."""
        return score_pairs(self._heads, self._tails, self._projected, queries, columns)


def projection_loss(
    network: ProjectedRelations,
    sampler: PairSampler,
    rows: torch.Tensor,
    entities: torch.Tensor,
    vectors: torch.Tensor,
    margin: float,
    negatives: int,
    dropout: float,
) -> torch.Tensor:
    """Return the hinge of triples `[rows, 3]` against wrong tails and heads that are no true ones."""
    kept = torch.rand(vectors.shape[1], generator=sampler.generator, device=vectors.device) >= dropout
    known = vectors * (kept / (1 - dropout))
    several = rows[:, None].expand(-1, negatives, -1)
    wrong = torch.cat([sampler.wrong(several, side) for side in (TAIL, HEAD)], dim=1)
    every = torch.cat([rows[:, None], wrong], dim=1)
    scores = network(entities[every[..., HEAD]], known[every[..., RELATION]], entities[every[..., TAIL]])
    return hinge(scores[:, :1], scores[:, 1:], margin, ~sampler.is_true(wrong))


def score_pairs(
    heads: torch.Tensor,
    tails: torch.Tensor,
    relations: torch.Tensor,
    queries: Queries,
    columns: np.ndarray | None,
    *,
    cosine: bool = False,
) -> torch.Tensor:
    """Return the inner products, or cosines, of relations' vectors with the pairs that queries and columns make, `[queries, columns]`.

    Parameters
    ----------
    heads, tails : `a` and `b` of all entities (`pairs.py`).
    relations : `[relations, 3 · columns]`; for cosines of length 1 or below.
    """
    where = heads.device
    own, other = (heads, tails) if queries.side == "tail" else (tails, heads)
    answers = other if columns is None else other[torch.from_numpy(columns).to(where)]
    given = torch.from_numpy(queries.given).to(where)
    scores = torch.empty(len(queries), len(answers), device=where)
    for relation in np.unique(queries.relation).tolist():
        rows = torch.from_numpy(np.flatnonzero(queries.relation == relation)).to(where)
        asked = own[given[rows]]
        if queries.side == "tail":
            scores[rows] = all_pairs(asked, answers, relations[relation], cosine=cosine)
        else:
            scores[rows] = all_pairs(answers, asked, relations[relation], cosine=cosine).T
    return scores
