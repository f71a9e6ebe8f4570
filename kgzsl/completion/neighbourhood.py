"""Unseen entities known by their facts: roles of an entity and relation paths between two, weighed for each relation.

An answer `y` of `(x, r, ?)` scores `Σ_π w_π ln(1 + paths π from x to y) + Σ_l u_l ln(1 + facts of y that begin with l)`, where `l` are
relations read forwards or backwards and `π` sequences of at most three of them. For each relation and side `w` and `u` maximise the
likelihood of the training answers among all entities, with an L2 penalty. What is asked for is never part of what is counted: the
fact itself is no path, and the answer's own role is counted without it. Nothing is learned of any single entity, so that another
graph of the same relations can be asked about once its facts are there.

Features as in Lao and Cohen, Relational Retrieval Using a Combination of Path-Constrained Random Walks, Machine Learning 2010 (with counts
for probabilities); the question as in Teru et al., Inductive Relation Prediction by Subgraph Reasoning, ICML 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch

from kgzsl.completion.base import CompletionModel, TrainingFacts
from kgzsl.completion.paths import PathTable, literal_edges, spelled
from kgzsl.datasets.completion_set import RELATION
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import KnownAnswers, Queries, filtered_ranks, ranking_metrics
from kgzsl.progress import track


class Neighbourhood(CompletionModel):
    """Roles of entities and relation paths between them, log-linear, one convex problem for each relation and side.

    Parameters
    ----------
    length : literals of a path, at most 3; many relations or hubs need 2.
    paths : kinds of paths that a relation weighs, the most frequent ones of those that join at least `support` training pairs.
    support : see `paths`.
    penalties : of the squared weights; the one with the best validation MRR is taken.
    roles : whether an entity's own relations count.
    """

    name = "neighbourhood"
    source = "after Lao and Cohen, Machine Learning 2010 (path ranking), on Teru et al., ICML 2020 (unseen entities)"

    def __init__(
        self, *, length: int = 2, paths: int = 200, support: int = 2, penalties: Sequence[float] = (0.1, 1.0, 10.0), roles: bool = True
    ) -> None:
        if length not in (1, 2, 3) or paths < 0 or support < 1 or not penalties or not all(0 < p < float("inf") for p in penalties):
            raise InvalidInputError(
                "length is 1 … 3, paths at least 0, support at least 1, and penalties are positive",
                received=f"{length}, {paths}, {support}, {list(penalties)}",
            )
        self.length, self.paths, self.support, self.penalties, self.roles = length, paths, support, tuple(map(float, penalties)), roles
        self.chosen: dict[float, float] = {}
        self._weights: dict[int, _Weights] = {}

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Self:
        """Fit on the training triples; see `CompletionModel.fit`. The support is read afterwards, to answer. Nothing is random."""
        facts = training.facts
        self.device, self._names = resolve_device(device), facts
        entities, count = len(facts.entities), len(facts.relations)
        table = PathTable.of(facts.triples, entities, count, self.length)
        roles = self._roles(facts.triples)
        problems = self._problems(table, roles, training.seen_entities())
        self._table, self._role_counts = table, roles
        valid = training.valid[np.isin(training.valid[:, RELATION], training.seen_relations())]
        known = KnownAnswers(np.concatenate([facts.triples, training.valid]), count)
        seen = training.seen_entities()
        best: tuple[float, dict[int, _Weights]] = (-1.0, {})
        for penalty in self.penalties:
            self._weights = {literal: p.solve(penalty) for literal, p in track(problems.items(), f"{self.name}: penalty {penalty:g}")}
            self.chosen[penalty] = _mrr(self, valid, known, seen, entities) if len(valid) and len(self.penalties) > 1 else 0.0
            if self.chosen[penalty] > best[0]:
                best = self.chosen[penalty], self._weights
        self._weights = best[1]
        if len(training.support):
            every = np.concatenate([facts.triples, training.support])
            wanted = np.unique(np.concatenate([w.codes for w in self._weights.values()]))
            self._table, self._role_counts = PathTable.of(every, entities, count, self.length, wanted), self._roles(every)
        return self

    def _roles(self, triples: np.ndarray) -> np.ndarray:
        """Return how many facts of each entity begin with each literal, float32 `[entities, 2 · relations]`."""
        edges = literal_edges(triples, len(self._names.relations))
        found = np.zeros((len(self._names.entities), 2 * len(self._names.relations)), dtype=np.float32)
        np.add.at(found, (edges[:, 0], edges[:, 1]), 1)
        return found

    def _problems(self, table: PathTable, roles: np.ndarray, seen: np.ndarray) -> dict[int, _Problem]:
        edges, count = literal_edges(self._names.triples, len(self._names.relations)), len(self._names.relations)
        place = np.full(table.entities, -1, dtype=np.int64)
        place[seen] = np.arange(len(seen))
        found = {}
        for literal in np.unique(edges[:, 1]).tolist():
            own = edges[edges[:, 1] == literal]
            codes, often = np.unique(table.codes_between(own[:, 0] * table.entities + own[:, 2]), return_counts=True)
            fits = (often >= self.support) & (codes != literal + 1)
            codes, often = codes[fits], often[fits]
            codes = np.sort(codes[np.argsort(-often, kind="stable")[: self.paths]])
            inverse = literal + count if literal < count else literal - count
            found[literal] = _Problem(table, roles if self.roles else roles[:, :0], own, codes, inverse, seen, place, self.device)
        return found

    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        """Return the log-linear scores; see `CompletionModel.score`. Relations without training triples score 0."""
        if not self._weights:
            raise InvalidInputError(f"{self.name} answers after fit", remedy="call its fit first")
        table, count = self._table, len(self._names.relations)
        scores = np.zeros((len(queries), table.entities if columns is None else len(columns)), dtype=np.float32)
        for relation in np.unique(queries.relation).tolist():
            weights = self._weights.get(relation if queries.side == "tail" else relation + count)
            if weights is None:
                continue
            asked = np.flatnonzero(queries.relation == relation)
            query, entity, kind, value = path_values(table, queries.given[asked], weights.codes)
            whole = np.bincount(query * table.entities + entity, weights=value * weights.paths[kind], minlength=len(asked) * table.entities)
            whole = whole.reshape(len(asked), table.entities)
            if self.roles:
                whole = whole + np.log1p(self._role_counts) @ weights.roles
            scores[asked] = whole if columns is None else whole[:, columns]
        return scores

    def rules(self, relation: int, side: str = "tail", most: int = 5) -> list[tuple[tuple[str, ...], float]]:
        """Return the paths that speak most for an answer, and their weights."""
        weights = self._weights.get(relation if side == "tail" else relation + len(self._names.relations))
        if weights is None:
            return []
        order = np.argsort(-weights.paths, kind="stable")[:most]
        return [(spelled(int(weights.codes[i]), self._names.relations), float(weights.paths[i])) for i in order if weights.paths[i] > 0]


class _Weights:
    """What one literal weighs: paths by code, ascending, and roles."""

    def __init__(self, codes: np.ndarray, paths: np.ndarray, roles: np.ndarray) -> None:
        self.codes, self.paths, self.roles = codes, paths, roles


def path_values(table: PathTable, given: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return ln(1 + paths) of some codes from some entities: place in `given`, entity reached, place in `codes`, value."""
    query, row = table.rows_from(given)
    kind = np.searchsorted(codes, table.codes[row])
    inside = kind < len(codes)
    inside[inside] = codes[kind[inside]] == table.codes[row[inside]]
    query, row, kind = query[inside], row[inside], kind[inside]
    return query, table.pairs[row] % table.entities, kind, np.log1p(table.counts[row])


class _Problem:
    """The convex problem of one literal: its training questions, the features of all entities as their answers."""

    def __init__(
        self,
        table: PathTable,
        roles: np.ndarray,
        own: np.ndarray,
        codes: np.ndarray,
        inverse: int,
        seen: np.ndarray,
        place: np.ndarray,
        device: torch.device,
    ) -> None:
        given, question = np.unique(own[:, 0], return_inverse=True)
        self.codes, self.shape = codes, (len(given), len(seen))
        answer = place[own[:, 2]]
        query, entity, kind, value = path_values(table, given, codes)
        counted = np.log1p(roles[seen])
        # an answer's own role without the fact that is asked for
        self.without = np.zeros((len(own), roles.shape[1]), dtype=np.float32)
        if roles.shape[1]:
            own_count = roles[own[:, 2], inverse]
            self.without[:, inverse] = np.log1p(own_count - 1) - np.log1p(own_count)
        tensors = (query * len(seen) + place[entity], kind, value, counted, question * len(seen) + answer, question, self.without)
        self.at, self.kind, self.value, self.counted, self.true, self.question, self.less = (
            torch.from_numpy(np.ascontiguousarray(t)).to(device) for t in tensors
        )

    def solve(self, penalty: float) -> _Weights:
        """Return the weights that minimise the penalised loss, by L-BFGS from zero."""
        weights = torch.zeros(len(self.codes) + self.counted.shape[1], device=self.value.device, requires_grad=True)
        optimiser = torch.optim.LBFGS([weights], max_iter=40, history_size=10, line_search_fn="strong_wolfe")

        def closure() -> torch.Tensor:
            optimiser.zero_grad()
            loss = self.loss(weights) + penalty / 2 * weights.square().sum()
            loss.backward()
            return loss

        optimiser.step(closure)
        found = weights.detach().cpu().numpy()
        return _Weights(self.codes, found[: len(self.codes)], found[len(self.codes) :])

    def loss(self, weights: torch.Tensor) -> torch.Tensor:
        """Return Σ over training facts of −ln of the answer's share among itself and all entities that are no known answer."""
        paths, roles = weights[: len(self.codes)], weights[len(self.codes) :]
        flat = torch.zeros(self.shape[0] * self.shape[1], device=weights.device).index_add(0, self.at, self.value * paths[self.kind])
        logits = flat.view(self.shape) + self.counted @ roles
        true = logits.flatten()[self.true] + self.less @ roles
        others = logits.flatten().index_fill(0, self.true, float("-inf")).view(self.shape).logsumexp(dim=1)
        return (torch.logaddexp(true, others[self.question]) - true).sum()


def _mrr(model: Neighbourhood, valid: np.ndarray, known: KnownAnswers, seen: np.ndarray, entities: int) -> float:
    """Return the validation MRR among the entities of training."""
    inside = np.isin(valid[:, [0, 2]], seen).all(axis=1)
    if not inside.any():
        return 0.0
    shown = np.zeros(entities, dtype=bool)
    shown[seen] = True

    def score(queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        return np.where(shown if columns is None else shown[columns], model.score(queries, columns), np.float32(-1e6))

    return ranking_metrics(filtered_ranks(score, valid[inside], known, entities))["mrr"]
