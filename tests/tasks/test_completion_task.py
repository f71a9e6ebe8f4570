"""Protocols of completion: chance, the truth, unseen entities among their own graph, and memory."""

from __future__ import annotations

import numpy as np
import pytest

from kgzsl.completion import CompletionModel, TrainingFacts
from kgzsl.datasets import CompletionSet, Triples, read_completion_set
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import Queries
from kgzsl.tasks.completion import completion_metrics, completion_ranks


class Popular(CompletionModel):
    """How often an entity answers on a side in training: a model without relations."""

    name = "popular"
    source = "-"

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Popular:
        """Count."""
        rows, n = training.facts.triples, len(training.facts.entities)
        self.counts = {side: np.bincount(rows[:, column], minlength=n).astype(np.float32) for side, column in (("head", 0), ("tail", 2))}
        return self

    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        """Return the counts."""
        counts = self.counts[queries.side]
        return np.broadcast_to(counts if columns is None else counts[columns], (len(queries), len(counts if columns is None else columns)))


def constant(queries: Queries, columns: np.ndarray | None) -> np.ndarray:
    """Return the same score for all of 135 entities."""
    return np.zeros((len(queries), 135 if columns is None else len(columns)), dtype=np.float32)


@pytest.mark.data
def test_umls_with_constant_scores_is_chance_and_ties_are_told() -> None:
    data = read_completion_set("umls")
    ranks = completion_ranks(data, constant)
    told = {tie: completion_metrics(data, ranks, tie=tie)["metrics"]["mrr"] for tie in ("optimistic", "realistic", "pessimistic")}
    assert told["optimistic"] == 1 and told["pessimistic"] < told["realistic"] < 0.1
    assert len(ranks) == 2 * 661 and ranks.greater.max() == 0
    popular = completion_metrics(data, completion_ranks(data, Popular().fit(TrainingFacts.of(data)).score))
    assert popular["metrics"]["mrr"] > 2 * told["realistic"]
    assert set(popular["by side"]) == {"head", "tail"} and sum(m["questions"] for m in popular["per relation"].values()) == len(ranks)


@pytest.mark.data
def test_unseen_entities_are_sought_in_their_own_graph() -> None:
    data = read_completion_set("grail-fb237")
    inside = set(data.entities_of("facts", "valid_unseen", "test").tolist())
    asked: list[np.ndarray | None] = []

    def score(queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        assert columns is not None and set(columns.tolist()) == inside and set(queries.given.tolist()) <= inside
        asked.append(columns)
        return np.zeros((len(queries), len(columns)), dtype=np.float32)

    ranks = completion_ranks(data, score)
    assert asked and ranks.options.max() <= 1_093 and len(ranks) == 410
    training = TrainingFacts.of(data)
    assert len(training.support) == 1_993 and not set(training.seen_entities().tolist()) & inside


@pytest.mark.data
def test_nell_protocols() -> None:
    data = read_completion_set("nell-zs", training="partial")
    model = Popular().fit(TrainingFacts.of(data))
    ranks = completion_ranks(data, model.score, protocol="candidates")
    assert len(ranks) == 5_483 and int(ranks.missed.sum()) == 443 and ranks.options.max() < 8_000
    metrics = completion_metrics(data, ranks)
    assert metrics["questions whose candidates miss the true answer"] == 443
    assert 0 < metrics["metrics"]["hit@1"] <= metrics["metrics"]["mrr"] <= metrics["metrics"]["hit@10"] + 0.1 < 0.5


def small() -> CompletionSet:
    facts = Triples(("a", "b", "c"), ("r",), np.array([[0, 0, 1], [1, 0, 2], [2, 0, 0]]))
    return CompletionSet("small", "1", facts, np.arange(3, dtype=np.int8))


def test_protocols_that_cannot_be_are_refused() -> None:
    model = Popular().fit(TrainingFacts.of(small()))
    with pytest.raises(InvalidInputError, match="a protocol is one of"):
        completion_ranks(small(), model.score, protocol="guess")
    with pytest.raises(InvalidInputError, match="needs lists for test"):
        completion_ranks(small(), model.score, protocol="candidates")
    with pytest.raises(InvalidInputError, match="a part of small is one of"):
        completion_ranks(small(), model.score, part="dev")


def test_training_holds_no_test_triple_and_relations_are_checked() -> None:
    training = TrainingFacts.of(small())
    assert training.facts.triples.tolist() == [[0, 0, 1]] and training.valid.tolist() == [[1, 0, 2]] and not len(training.support)

    class Needs(Popular):
        uses_relations = True

    Needs().check_relations(training, np.zeros((1, 4), dtype=np.float32))
    for wrong in (None, np.zeros((2, 4)), np.full((1, 4), np.nan)):
        with pytest.raises(InvalidInputError, match="a finite vector for each of 1 relations"):
            Needs().check_relations(training, wrong)
