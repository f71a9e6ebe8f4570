"""`pair_evidence`: closed forms against slow ones, left-out relations, and NELL-ZS and WN18RR themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from kgzsl.completion.base import TrainingFacts
from kgzsl.completion.bounds import Degree
from kgzsl.completion.pair_evidence import EVIDENCE, PairEvidence, conditional_logit, weights_of_seen
from kgzsl.completion.relations import RelationSemantics
from kgzsl.datasets import read_completion_set
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import Queries
from kgzsl.tasks.completion import completion_metrics, completion_ranks


def test_the_weights_of_seen_relations_are_kernel_ridge_regressions_without_the_relation_itself() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(9, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    seen, wanted = np.array([0, 2, 3, 5, 6, 8]), np.array([1, 3, 7])
    found = weights_of_seen(vectors, seen, wanted, 0.1, 4.0)
    for row, relation in zip(found, wanted.tolist(), strict=True):
        others = [r for r in seen.tolist() if r != relation]
        kernel = np.array([[np.exp(4 * (vectors[a] @ vectors[b] - 1)) for b in others] for a in others])
        towards = np.array([np.exp(4 * (vectors[relation] @ vectors[b] - 1)) for b in others])
        expected = np.linalg.solve(kernel + 0.1 * np.eye(len(others)), towards)
        assert np.allclose(row[[r in others for r in seen.tolist()]], expected)
        assert (row[seen == relation] == 0).all()


def test_the_conditional_logit_is_the_minimum_that_scipy_finds() -> None:
    random = np.random.default_rng(0)
    questions = [random.normal(size=(n, 3)) + (np.arange(n) == 0)[:, None] * [1.0, 0.3, 0.0] for n in (4, 7, 9, 12, 5)]
    scale = np.concatenate(questions).std(axis=0)

    def loss(weights: np.ndarray) -> float:
        total = 0.0
        for question in questions:
            scores = question / scale @ weights
            total += np.log(np.exp(scores).sum()) - scores[0]
        return total / len(questions) + 0.01 * float(weights @ weights)

    expected = minimize(loss, np.zeros(3)).x / scale
    assert np.allclose(conditional_logit([q.astype(np.float32) for q in questions], 0.01), expected, atol=2e-3)


@pytest.mark.data
def test_the_evidence_of_a_pair_is_what_a_reader_would_count() -> None:
    data = read_completion_set("umls")
    training = TrainingFacts.of(data)
    facts = training.facts
    vectors = np.eye(len(facts.relations), dtype=np.float32)
    model = PairEvidence(questions=5, relations=5, candidates=50).fit(training, vectors)
    relation, head = int(facts.triples[0, 1]), int(facts.triples[0, 0])
    asked = np.arange(0, len(facts.entities), 7)
    found = model._read(relation, "tail", left_out=relation).evidence(np.array([head]), asked)[0]
    others = [tuple(t) for t in facts.triples.tolist() if t[1] != relation]
    linked = {(h, t) for h, _, t in others} | {(t, h) for h, _, t in others}
    degree = np.zeros(len(facts.entities))
    for h, _, t in others:
        degree[[h, t]] += 1 if h != t else 2
    ends = [{b for a, b in linked if a == e} for e in range(len(facts.entities))]
    for row, tail in zip(found, asked.tolist(), strict=True):
        assert row[EVIDENCE.index("any fact")] == ((head, tail) in linked)
        shared = sum(1 / max(np.log1p(len(ends[m])), np.log(2)) for m in ends[head] & ends[tail])
        assert row[EVIDENCE.index("shared neighbours")] == pytest.approx(np.log1p(shared), rel=1e-4)
        assert row[EVIDENCE.index("degree")] == pytest.approx(np.log1p(degree[tail]), rel=1e-5)
    assert np.isfinite(found).all()


@pytest.mark.data
def test_no_fact_of_a_left_out_relation_is_evidence_and_the_same_seed_gives_the_same_bits() -> None:
    data = read_completion_set("umls")
    training = TrainingFacts.of(data)
    vectors = np.random.default_rng(0).normal(size=(len(training.facts.relations), 8)).astype(np.float32)
    relation = int(training.seen_relations()[3])
    kept = training.facts.triples[training.facts.triples[:, 1] != relation]
    without = TrainingFacts(type(training.facts)(training.facts.entities, training.facts.relations, kept), training.valid, training.support)
    few = {"questions": 5, "relations": 5, "candidates": 50}
    whole, less = (PairEvidence(**few).fit(facts, vectors) for facts in (training, without))
    entities = np.arange(20)
    left_out, absent = (m._read(relation, "tail", out).evidence(entities, entities) for m, out in ((whole, relation), (less, None)))
    structural = [EVIDENCE.index(name) for name in ("any fact", "shared neighbours", "two random steps", "degree")]
    assert np.allclose(left_out[..., structural], absent[..., structural], rtol=1e-5)
    again = PairEvidence(**few).fit(training, vectors)
    queries = Queries("head", np.arange(10), np.full(10, relation))
    assert (whole.score(queries, None) == again.score(queries, None)).all()
    columns = np.array([3, 30, 100])
    assert np.allclose(whole.score(queries, None)[:, columns], whole.score(queries, columns), rtol=1e-5)


@pytest.mark.data
@pytest.mark.slow
def test_unseen_relations_of_nell_are_answered_better_than_by_degree() -> None:
    data = read_completion_set("nell-zs", without_text="drop")
    training = TrainingFacts.of(data)
    model = PairEvidence(questions=10, relations=30, candidates=1000).fit(training, RelationSemantics("text")(training))
    models = model, Degree().fit(training)
    found, bound = (completion_metrics(data, completion_ranks(data, m.score, part="valid", protocol="candidates")) for m in models)
    assert found["metrics"]["mrr"] > 1.5 * bound["metrics"]["mrr"]


def test_bad_settings_and_relations_without_vectors_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="temperature are positive"):
        PairEvidence(temperature=0)
    with pytest.raises(InvalidInputError, match="after fit"):
        PairEvidence().score(Queries("tail", np.array([0]), np.array([0])), None)
