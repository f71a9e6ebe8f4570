"""Answers of unseen relations by analogy: what is known of two entities, read as similar relations would read it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from scipy import sparse

from kgzsl.completion.base import CompletionModel, TrainingFacts
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, Triples
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import SIDES, Queries

#: The columns of evidence, in order.
EVIDENCE = (
    "profile by ridge",
    "profile by similarity",
    "degree",
    "popularity",
    "similar fact",
    "similar fact, reversed",
    "any fact",
    "shared neighbours",
    "two random steps",
    "same profile",
)
_ROWS = 64  # questions that are scored at once: dense columns of all entities stay small
_NONE = 1e-3  # of a fact that there is not, so that logarithms stay finite


class PairEvidence(CompletionModel):
    """A log-linear model of ten kinds of evidence for an answer, whose weights are learned on seen relations that are left out in turn.

    An entity's *profile* is which relations it has at which end, weighted by TF-IDF. What the answers of an unseen relation look like,
    which of them are asked for often, and which facts come near to it, is combined of the seen relations: by kernel ridge regression
    on the relations' vectors, and by the softmax of their cosines. Beside it stands what needs no relation: facts between the two
    entities, neighbours that they share, where two random steps lead, degree, and equal profiles. Weights are those of a conditional
    logit: the right answer among entities drawn at random, for relations whose own facts are taken out as if they were unseen. All but
    these few weights is in closed form.

    Parameters
    ----------
    sharpness, ridge : of the kernel `exp(sharpness · (cosine − 1))` of relations, and of its regression.
    temperature, similar : of the softmax of cosines, and how many of the most similar relations' facts are looked at.
    relations, questions, candidates : of the left-out relations: how many (those with ten facts at least), questions of each, and
        entities drawn as wrong answers.
    penalty : on the squared weights.
    """

    name = "pair_evidence"
    source = "this package; profiles after Teru et al., ICML 2020, random steps after Lao and Cohen, 2010"
    uses_relations: ClassVar[bool] = True

    def __init__(
        self,
        *,
        sharpness: float = 4.0,
        ridge: float = 0.1,
        temperature: float = 0.08,
        similar: int = 20,
        relations: int = 60,
        questions: int = 20,
        candidates: int = 3_000,
        penalty: float = 1e-3,
    ) -> None:
        if min(sharpness, ridge, temperature) <= 0 or min(similar, relations, questions) < 1 or candidates < 2 or penalty < 0:
            raise InvalidInputError(
                "sharpness, ridge and temperature are positive, similar, relations and questions at least 1, candidates 2, penalty 0",
                received=f"{sharpness}, {ridge}, {temperature}, {similar}, {relations}, {questions}, {candidates}, {penalty}",
            )
        self.sharpness, self.ridge, self.temperature, self.similar = sharpness, ridge, temperature, similar
        self.relations, self.questions, self.candidates, self.penalty = relations, questions, candidates, penalty

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Self:
        """Fit; see `CompletionModel.fit`. Sparse products and ten weights: it runs on the processor, whatever the device.

        Raises
        ------
        InvalidInputError : relations without vectors, or no seen relation has ten facts.
        """
        self.check_relations(training, relations)
        assert relations is not None
        self.vectors = relations / np.maximum(np.linalg.norm(relations, axis=1, keepdims=True), 1e-12)
        self.known = _Known(training.facts)
        self._reads: dict[tuple[int, str], _Reading] = {}
        self.weights = {side: self._learned(side, seed) for side in SIDES}
        return self

    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        if not hasattr(self, "weights"):
            raise InvalidInputError(f"{self.name} answers after fit", remedy="call its fit first")
        asked = np.arange(self.known.entities) if columns is None else columns
        scores = np.empty((len(queries), len(asked)), dtype=np.float32)
        for relation in np.unique(queries.relation).tolist():
            reading = self._reading(relation, queries.side)
            rows = np.flatnonzero(queries.relation == relation)
            for part in np.array_split(rows, math.ceil(len(rows) / _ROWS)):
                scores[part] = reading.evidence(queries.given[part], asked) @ self.weights[queries.side]
        return scores

    def _reading(self, relation: int, side: str) -> _Reading:
        """Return what is known for questions of a relation, made once."""
        if (relation, side) not in self._reads:
            self._reads[relation, side] = self._read(relation, side, left_out=None)
        return self._reads[relation, side]

    def _read(self, relation: int, side: str, left_out: int | None) -> _Reading:
        known = self.known
        ridge = weights_of_seen(self.vectors, known.seen, np.array([relation]), self.ridge, self.sharpness)[0]
        cosines = self.vectors[known.seen] @ self.vectors[relation]
        cosines = np.where(known.seen == relation, -np.inf, cosines)
        soft = np.exp((cosines - cosines.max()) / self.temperature)
        return _Reading.of(known, side, ridge, soft / soft.sum(), self.similar, left_out)

    def _learned(self, side: str, seed: int) -> np.ndarray:
        """Return the weights of evidence for questions of one side, float32 `[evidence]`."""
        random = np.random.default_rng(seed)
        given, answer = (HEAD, TAIL) if side == "tail" else (TAIL, HEAD)
        large = [r for r in self.known.seen.tolist() if len(self.known.facts(r)) >= 10]
        if not large:
            raise InvalidInputError(f"{self.name} learns from seen relations with ten facts", received="none has as many")
        questions = []
        for relation in random.permutation(large)[: self.relations].tolist():
            facts = random.permutation(self.known.facts(relation))[: self.questions]
            drawn = random.choice(self.known.entities, min(self.candidates, self.known.entities), replace=False)
            asked = np.unique(np.concatenate([drawn, facts[:, answer]]))
            evidence = self._read(relation, side, left_out=relation).evidence(facts[:, given], asked)
            own = self.known.matrix(relation, side)[facts[:, given]][:, asked].toarray() > 0
            for row, right in enumerate(np.searchsorted(asked, facts[:, answer]).tolist()):
                wrong = ~own[row]  # other right answers are none to be beaten
                questions.append(np.concatenate([evidence[row, [right]], evidence[row, wrong]]))
        return conditional_logit(questions, self.penalty)


@dataclass(frozen=True)
class _Reading:
    """The evidence for answers of one relation from one side."""

    known: _Known
    side: str
    profiles: np.ndarray  # [2, 2 · relations]: by ridge and by similarity
    popularity: np.ndarray  # [entities]
    similar: tuple[sparse.csr_matrix, sparse.csr_matrix]  # facts of similar relations, and the same reversed
    links: sparse.csr_matrix  # [entities, entities], 1 where there is any fact
    neighbours: np.ndarray  # [entities], 1 / ln(1 + how many an entity has)
    degree: np.ndarray  # [entities]

    @classmethod
    def of(cls, known: _Known, side: str, ridge: np.ndarray, soft: np.ndarray, most: int, left_out: int | None) -> _Reading:
        answers = known.answers[side]
        profiles = np.stack([ridge @ answers, soft @ answers])
        if left_out is not None:
            profiles[:, [left_out, left_out + known.relations]] = 0
        profiles /= np.maximum(np.linalg.norm(profiles, axis=1, keepdims=True), 1e-9)
        popularity = np.zeros(known.entities, dtype=np.float32)
        ahead, back = (sparse.csr_matrix((known.entities,) * 2, dtype=np.float32) for _ in SIDES)
        for place in np.argsort(-soft, kind="stable")[:most].tolist():
            if soft[place] > 0:
                matrix = known.matrix(int(known.seen[place]), side)
                ahead, back = ahead + soft[place] * matrix, back + soft[place] * matrix.T
                popularity += soft[place] * np.log1p(np.asarray(matrix.sum(axis=0)).ravel())
        links, degree = known.links_without(left_out)
        neighbours = np.asarray(links.sum(axis=1)).ravel()
        rare = (1 / np.maximum(np.log1p(neighbours), np.log(2))).astype(np.float32)
        return cls(known, side, profiles, popularity, (ahead.tocsr(), back.tocsr()), links, rare, degree)

    def evidence(self, given: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Return the evidence for entities `asked` as answers about `given`, float32 `[given, asked, evidence]`."""
        known, shape = self.known, (len(given), len(asked))
        by_profile = known.profiles[asked] @ self.profiles.T
        linked = self.links[given]
        shared = (linked @ sparse.diags(self.neighbours)) @ self.links
        steps = (linked @ sparse.diags(1 / np.maximum(self.degree, 1))) @ self.links
        walked = steps[:, asked].toarray() / np.maximum(self.degree[given], 1)[:, None]
        of_all = [by_profile[:, 0], by_profile[:, 1], np.log1p(self.degree[asked]), self.popularity[asked]]
        of_each = [
            *(np.log(matrix[given][:, asked].toarray() + _NONE) for matrix in self.similar),
            linked[:, asked].toarray(),
            np.log1p(shared[:, asked].toarray()),
            np.log(walked + _NONE**2),
            (known.profiles[given] @ known.profiles[asked].T).toarray(),
        ]
        columns: Iterator[np.ndarray] = (np.broadcast_to(column, shape) for column in (*of_all, *of_each))
        return np.stack([column.astype(np.float32) for column in columns], axis=2)


class _Known:
    """The training facts as sparse matrices.

    Attributes
    ----------
    seen : positions of relations with facts, ascending.
    profiles : TF-IDF of the relations at whose tail, then head, an entity stands, rows of length 1, sparse `[entities, 2 · relations]`.
    answers : side → mean profile of each seen relation's answers, its own two columns left out, `[seen, 2 · relations]`.
    """

    def __init__(self, facts: Triples) -> None:
        self.entities, self.relations = len(facts.entities), len(facts.relations)
        self._rows = facts.triples[np.argsort(facts.triples[:, RELATION], kind="stable")]
        self._starts = np.searchsorted(self._rows[:, RELATION], np.arange(self.relations + 1))
        self.seen = np.unique(self._rows[:, RELATION])
        self.profiles = self._tf_idf()
        self._links = self._pairs(self._rows)
        self.answers = {side: self._mean_profiles(side) for side in SIDES}

    def facts(self, relation: int) -> np.ndarray:
        """Return the triples of a relation, int64 `[facts, 3]`."""
        return self._rows[self._starts[relation] : self._starts[relation + 1]]

    def matrix(self, relation: int, side: str) -> sparse.csr_matrix:
        """Return 1 for each fact, from what is given to what answers a question of this side, `[entities, entities]`."""
        facts = self.facts(relation)
        given, answer = (HEAD, TAIL) if side == "tail" else (TAIL, HEAD)
        return self._ones(facts[:, given], facts[:, answer], self.entities)

    def links_without(self, relation: int | None) -> tuple[sparse.csr_matrix, np.ndarray]:
        """Return 1 where any other relation has a fact, both ways, and how many facts each entity has then, `[entities]`."""
        links = self._links if relation is None else (self._links - self._pairs(self.facts(relation))).tocsr()
        degree = np.asarray(links.sum(axis=1)).ravel()
        links = links.copy()
        links.eliminate_zeros()
        links.data[:] = 1
        return links, degree

    def _ones(self, rows: np.ndarray, columns: np.ndarray, width: int) -> sparse.csr_matrix:
        return sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(self.entities, width))

    def _pairs(self, facts: np.ndarray) -> sparse.csr_matrix:
        counts = self._ones(facts[:, HEAD], facts[:, TAIL], self.entities)
        return (counts + counts.T).tocsr()

    def _tf_idf(self) -> sparse.csr_matrix:
        ends = [self._ones(self._rows[:, end], self._rows[:, RELATION], self.relations) for end in (HEAD, TAIL)]
        counts = sparse.hstack(ends, format="csr")
        entities_of = counts.getnnz(axis=0)
        counts.data = np.log1p(counts.data)
        weighted = (counts @ sparse.diags(np.log((self.entities + 1) / (1 + entities_of)).astype(np.float32))).tocsr()
        length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        return (sparse.diags((1 / np.maximum(length, 1e-9)).astype(np.float32)) @ weighted).tocsr()

    def _mean_profiles(self, side: str) -> np.ndarray:
        means = np.empty((len(self.seen), 2 * self.relations), dtype=np.float32)
        for row, relation in enumerate(self.seen.tolist()):
            means[row] = self.profiles[np.unique(self.facts(relation)[:, TAIL if side == "tail" else HEAD])].mean(axis=0)
            means[row, [relation, relation + self.relations]] = 0
        return means


def weights_of_seen(vectors: np.ndarray, seen: np.ndarray, wanted: np.ndarray, ridge: float, sharpness: float) -> np.ndarray:
    """Return kernel ridge regression's weights of the seen relations for each wanted one, `[wanted, seen]`.

    The kernel is `exp(sharpness · (cosine − 1))`; a seen relation never takes part in its own row.
    """
    known = vectors[seen]
    kernel = np.exp(sharpness * (known @ known.T - 1)).astype(np.float64)
    towards = np.exp(sharpness * (vectors[wanted] @ known.T - 1)).astype(np.float64)
    inverse = np.linalg.inv(kernel + ridge * np.eye(len(known)))
    weights = towards @ inverse
    own = seen[None, :] == wanted[:, None]
    for row in np.flatnonzero(own.any(axis=1)).tolist():  # leave one out: the inverse of the rest follows from the whole one
        out = int(own[row].argmax())
        keep = np.arange(len(known)) != out
        smaller = inverse[np.ix_(keep, keep)] - np.outer(inverse[keep, out], inverse[out, keep]) / inverse[out, out]
        weights[row] = 0
        weights[row, keep] = towards[row, keep] @ smaller
    return weights


def conditional_logit(questions: list[np.ndarray], penalty: float) -> np.ndarray:
    """Return the weights under which the first row of each question is the likeliest, float32 `[columns]`.

    Columns are weighed on a common scale (their deviation over all rows); `penalty` is on the squares of those weights. Convex, solved
    by L-BFGS from zero.

    Parameters
    ----------
    questions : `[answers, columns]` each, the right answer first.

    Source: McFadden, Conditional logit analysis of qualitative choice behavior, 1974.
    """
    scale = np.maximum(np.concatenate(questions).std(axis=0), 1e-6)
    longest = max(map(len, questions))
    rows = torch.zeros(len(questions), longest, len(scale))
    hidden = torch.full((len(questions), longest), -torch.inf)
    for place, question in enumerate(questions):
        rows[place, : len(question)] = torch.from_numpy((question - question[:1]) / scale)
        hidden[place, : len(question)] = 0
    weights = torch.zeros(len(scale), requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = (rows @ weights + hidden).logsumexp(dim=1).mean() + penalty * weights.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    found: np.ndarray = (weights.detach().numpy() / scale).astype(np.float32)
    return found
