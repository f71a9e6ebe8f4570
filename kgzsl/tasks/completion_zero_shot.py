"""Completion with unseen relations: settings chosen on the relations of validation, the test asked once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.completion.axioms import AxiomAnswers, combined
from kgzsl.completion.base import CompletionModel, TrainingFacts
from kgzsl.completion.models import COMPLETION_MODELS
from kgzsl.completion.relations import RelationSemantics
from kgzsl.datasets.completion_schema import RelationSchema
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, CompletionSet
from kgzsl.datasets.readers import one_of
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import KS, Ranks, Score, ranking_metrics
from kgzsl.tasks.completion import PROTOCOLS, completion_ranks

if TYPE_CHECKING:
    from kgzsl.graphs import KnowledgeGraph

#: Weights of axioms' answers beside learned scores of deviation 1, of which validation chooses.
AXIOM_WEIGHTS = (0.0, 0.3, 1.0, 3.0, 10.0)
#: Pairs whose scores say how far a model's lie apart.
_PAIRS = 1_000


@dataclass(frozen=True)
class ZeroShotCompletion:
    """Everything that a run needs, its seed apart.

    Attributes
    ----------
    data : the set.
    model, settings : from `COMPLETION_MODELS`.
    grid : setting → values; of their combinations, the best one on validation is taken.
    semantics : of relations; None for models that need none.
    graph : of the set's schema, where the semantics need it.
    protocol : see `kgzsl.tasks.completion.PROTOCOLS`.
    schema : whose axioms' answers stand beside and are added to the learned scores; None leaves them out.
    """

    data: CompletionSet
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    semantics: RelationSemantics | None = None
    graph: KnowledgeGraph | None = None
    protocol: str = "all-entities"
    schema: RelationSchema | None = None

    def __post_init__(self) -> None:
        one_of("a protocol", self.protocol, tuple(PROTOCOLS))
        for point in self.points():
            check_model(self.model, point, self.semantics)

    def points(self) -> list[dict[str, Any]]:
        """Return the settings of every combination of the grid."""
        return [{**self.settings, **dict(zip(self.grid, values, strict=True))} for values in itertools.product(*self.grid.values())]

    def run(self, seed: int, device: str = "cpu") -> dict[str, dict[str, float]]:
        """Return the numbers of `test` and `validation`, of `axioms` alone and beside the model, of `chance`, and what is covered.

        Metrics are in 0…1: `mrr`, `hit@k` and their means over relations, with the realistic tie rule; a true answer that a list of
        candidates lacks is lost. `chance` is what scores drawn at random have in the mean.
        """
        training = TrainingFacts.of(self.data)
        relations = self._relations(training, seed, device)
        fitted = [self._fitted(point, training, relations, seed, device) for point in self.points()]
        values = [self._metrics(model.score, "valid") for model in fitted] if len(fitted) > 1 or self.schema else [{}]
        best = max(range(len(fitted)), key=lambda k: values[k].get("mrr", 0.0))  # the first one among equals
        score = fitted[best].score
        ranks = self._ranks(score, "test")
        found = {"test": ranking_metrics(ranks), "chance": chance_metrics(ranks), "coverage": _coverage(self.data)}
        found["validation"] = values[best] or self._metrics(score, "valid")
        if self.schema is not None:
            found |= self._with_axioms(self.schema, training, score, seed)
        return found

    def _fitted(
        self, settings: Mapping[str, Any], training: TrainingFacts, relations: np.ndarray | None, seed: int, device: str
    ) -> CompletionModel:
        return COMPLETION_MODELS.make(self.model, settings).fit(training, relations, seed=seed, device=device)

    def _relations(self, training: TrainingFacts, seed: int, device: str) -> np.ndarray | None:
        if self.semantics is None:
            return None
        targets = mean_ends(training, self.points()[0], seed, device) if self.semantics.needs_targets else None
        return self.semantics(training, self.graph, targets, seed=seed)

    def _ranks(self, score: Score, part: str) -> Ranks:
        return completion_ranks(self.data, score, part=part, protocol=self.protocol)

    def _metrics(self, score: Score, part: str) -> dict[str, float]:
        return ranking_metrics(self._ranks(score, part))

    def _with_axioms(self, schema: RelationSchema, training: TrainingFacts, score: Score, seed: int) -> dict[str, dict[str, float]]:
        """Return the numbers of axioms alone and beside the model, whose scores are scaled to deviation 1, the weight chosen."""
        axioms = AxiomAnswers(training.facts, schema)
        spread = _deviation(score, self.data, seed)
        weighed = {weight: self._metrics(combined(score, axioms, weight * spread), "valid") for weight in AXIOM_WEIGHTS}
        weight = max(weighed, key=lambda w: weighed[w]["mrr"])
        both = self._metrics(combined(score, axioms, weight * spread), "test")
        derived = set(axioms.derivable())
        asked = [self.data.facts.relations[r] in derived for r in self.data.triples("test")[:, RELATION].tolist()]
        counted = {"weight": weight, "test triples of relations that axioms derive": float(np.count_nonzero(asked))}
        return {"axioms": self._metrics(axioms.score, "test"), "test + axioms": {**both, **counted}}


def check_model(name: str, settings: Mapping[str, Any], semantics: RelationSemantics | None) -> None:
    """Raise UnknownNameError or InvalidInputError for a model, settings, or semantics that do not fit, before long work."""
    model = COMPLETION_MODELS.make(name, settings)
    if model.uses_relations and semantics is None:
        raise InvalidInputError(f"`{name}` knows relations by their semantics", received="none", remedy="add semantics, such as text")
    if semantics is not None and not model.uses_relations:
        raise InvalidInputError(f"`{name}` takes no semantics of relations", received=semantics.kind, remedy="leave them out")


def mean_ends(training: TrainingFacts, settings: Mapping[str, Any], seed: int, device: str) -> np.ndarray:
    """Return the mean features of the heads, and of the tails, of each seen relation, float32 `[seen, 2 · columns]`: encoders' targets."""
    from kgzsl.completion.pairs import PairModel
    from kgzsl.registry import parameters

    known = parameters(PairModel) - {"familiarity"}
    model = COMPLETION_MODELS.make("closed_form", {name: value for name, value in settings.items() if name in known})
    assert isinstance(model, PairModel)
    features, rows = model.whitened(training, seed, device), training.facts.triples
    _, relation, counts = np.unique(rows[:, RELATION], return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), 2 * features.shape[1]), dtype=np.float64)
    np.add.at(sums, relation, np.concatenate([features[rows[:, HEAD]], features[rows[:, TAIL]]], axis=1))
    return np.asarray(sums / counts[:, None], dtype=np.float32)


def chance_metrics(ranks: Ranks) -> dict[str, float]:
    """Return the mean of the metrics over all orders of each question's candidates: H(n)/n, and min(k, n)/n."""
    n = np.maximum(ranks.options, 1).astype(np.float64)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(n.max()) + 1))])
    hit = ~ranks.missed
    return {
        "mrr": float((hit * harmonic[n.astype(np.int64)] / n).mean()),
        **{f"hit@{k}": float((hit * np.minimum(k, n) / n).mean()) for k in KS},
    }


def _deviation(score: Score, data: CompletionSet, seed: int) -> float:
    """Return how far apart a model's scores of random entities lie for random questions of validation."""
    from kgzsl.metrics.filtered_ranking import Queries

    random = np.random.default_rng(seed)
    rows = data.triples("valid")
    rows = rows[random.permutation(len(rows))[:50]]
    columns = np.sort(random.permutation(len(data.facts.entities))[:_PAIRS])
    blocks = [np.asarray(score(Queries("tail", row[:1], row[1:2]), columns)) for row in rows]
    return max(float(np.std(np.concatenate(blocks), axis=1).mean()), 1e-6)


def _coverage(data: CompletionSet) -> dict[str, float]:
    """Return what of the benchmark is here, as numbers."""
    return {what: float(count) for what, count in data.counts().items()}
