"""Filtered ranks against a slow loop, against PyKEEN's evaluator, with ties, candidate lists, blocks of one and scores that are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.datasets import CandidateLists
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import SIDES, KnownAnswers, Queries, Ranks, filtered_ranks, per_relation, ranking_metrics


class Table:
    """Scores of every triple, and a record of what was asked."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores.copy()
        self.asked: list[Queries] = []

    def __call__(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return scores; in one piece where all entities are asked for, so that writing to them would be seen."""
        self.asked.append(queries)
        found = [
            self.scores[g, r] if queries.side == "tail" else self.scores[:, r, g]
            for g, r in zip(queries.given.tolist(), queries.relation.tolist(), strict=True)
        ]
        scores = np.stack(found)
        return torch.from_numpy(scores if columns is None else scores[:, columns])


@st.composite
def worlds(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, CandidateLists | None]:
    """Draw scores with many ties, known triples, evaluated ones (some of them not known), and lists or none."""
    entities, relations = draw(st.integers(2, 7)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = random.integers(-2, draw(st.integers(-1, 4)) + 1, (entities, relations, entities)).astype(np.float32)
    size = draw(st.integers(1, 30))
    every = np.stack([random.integers(0, n, size) for n in (entities, relations, entities)], axis=1)
    test = np.unique(np.concatenate([every[: max(len(every) // 2, 1)], every[-1:]]), axis=0)
    test = random.permutation(test)
    lists = None
    if draw(st.booleans()):
        several = [np.flatnonzero(random.random(entities) < 0.6) for _ in range(3)]
        lists = CandidateLists("drawn", np.concatenate(several), np.cumsum([0, *map(len, several)]), random.integers(-1, 3, len(test)))
        lists.of[0] = max(lists.of[0], 0)
    return scores, every[: draw(st.integers(0, len(every)))], test, lists


def slowly(scores: np.ndarray, every: np.ndarray, test: np.ndarray, lists: CandidateLists | None) -> list[tuple]:
    """Rank one question after the other from the definition."""
    known = set(map(tuple, every.tolist()))
    found = []
    for side in SIDES:
        for row, (h, r, t) in enumerate(test.tolist()):
            candidates = set(range(len(scores)))
            missed = False
            if side == "tail" and lists is not None:
                if lists.of[row] < 0:
                    continue
                which = lists.of[row]
                candidates = set(lists.entities[lists.offsets[which] : lists.offsets[which + 1]].tolist())
                missed = t not in candidates
            own = scores[h, r, t]
            others = [c for c in candidates if c != (t if side == "tail" else h)]
            triples = {c: (h, r, c) if side == "tail" else (c, r, t) for c in others}
            others = [scores[triples[c]] for c in others if triples[c] not in known]
            found.append((side, row, r, sum(s > own for s in others), 1 + sum(s == own for s in others), 1 + len(others), missed))
    return found


def as_rows(ranks: Ranks) -> list[tuple]:
    """Return the questions one after the other."""
    return [
        (SIDES[s], *rest)
        for s, *rest in zip(
            *(getattr(ranks, name).tolist() for name in ("side", "row", "relation", "greater", "equal", "options", "missed")), strict=True
        )
    ]


@given(worlds(), st.sampled_from((1, 200, 1 << 20)))
@settings(max_examples=150, deadline=None)
def test_ranks_are_those_of_a_slow_loop(world: tuple, block_bytes: int) -> None:
    scores, every, test, lists = world
    table = Table(scores)
    found = filtered_ranks(
        table,
        test,
        KnownAnswers(every, scores.shape[1]),
        len(scores),
        candidates={"tail": lists} if lists else None,
        block_bytes=block_bytes,
    )
    assert as_rows(found) == slowly(scores, every, test, lists)
    assert np.array_equal(table.scores, scores)


def test_a_block_asks_each_question_once_and_of_one_relation_where_there_are_lists() -> None:
    triples = np.array([[0, 0, 1], [0, 0, 2], [1, 1, 2], [0, 1, 2], [0, 0, 3]])
    table = Table(np.zeros((4, 2, 4), dtype=np.float32))
    filtered_ranks(table, triples, KnownAnswers(triples, 2), 4, sides=("tail",))
    assert [sorted(zip(q.given.tolist(), q.relation.tolist(), strict=True)) for q in table.asked] == [[(0, 0), (0, 1), (1, 1)]]
    table.asked.clear()
    lists = CandidateLists("all", np.arange(4), np.array([0, 4]), np.zeros(5, dtype=np.int64))
    filtered_ranks(table, triples, KnownAnswers(triples, 2), 4, sides=("tail",), candidates={"tail": lists})
    assert [set(q.relation.tolist()) for q in table.asked] == [{0}, {1}]


def test_ranks_equal_pykeens_on_the_same_scores() -> None:
    evaluation = pytest.importorskip("pykeen.evaluation")
    evaluator_module = pytest.importorskip("pykeen.evaluation.evaluator")
    random = np.random.default_rng(1)
    entities, relations = 30, 4
    scores = random.integers(-3, 4, (entities, relations, entities)).astype(np.float32)
    every = np.unique(np.stack([random.integers(0, n, 400) for n in (entities, relations, entities)], axis=1), axis=0)
    test = every[::7]
    found = filtered_ranks(Table(scores), test, KnownAnswers(every, relations), entities)
    evaluator = evaluation.RankBasedEvaluator(filtered=True)
    batch, index = torch.from_numpy(test), torch.arange(len(test))
    for side, column in zip(SIDES, (0, 2), strict=True):
        given = scores[:, test[:, 1], test[:, 2]].T if side == "head" else scores[test[:, 0], test[:, 1]]
        block = torch.from_numpy(given.copy())
        positive, _ = evaluator_module.create_sparse_positive_filter_(batch, torch.from_numpy(every), filter_col=column)
        true = block[index, batch[:, column]].clone()
        block = evaluator_module.filter_scores_(block, positive)
        block[index, batch[:, column]] = true
        evaluator.process_scores_(hrt_batch=batch, target=side, scores=block, true_scores=true[:, None])
    for (side, rule), theirs in evaluator.ranks.items():
        assert np.array_equal(found.of_side(side).ranks(rule), np.concatenate(theirs)), (side, rule)
    theirs = evaluator.finalize()
    for rule in ("optimistic", "realistic", "pessimistic"):
        ours = ranking_metrics(found, tie=rule)
        assert ours["mrr"] == pytest.approx(theirs.get_metric(f"both.{rule}.inverse_harmonic_mean_rank"), rel=1e-6)
        for k in (1, 5, 10):
            assert ours[f"hit@{k}"] == pytest.approx(theirs.get_metric(f"both.{rule}.hits_at_{k}"), rel=1e-6)


def ranks_of(greater: list[int], equal: list[int], relation: list[int], missed: list[bool]) -> Ranks:
    """Return ranks of the tail side."""
    n = len(greater)
    row, of, above, level, options = (np.array(v, dtype=np.int64) for v in (range(n), relation, greater, equal, [9] * n))
    return Ranks(np.ones(n, dtype=np.int8), row, of, above, level, options, np.array(missed))


def test_metrics_by_hand() -> None:
    ranks = ranks_of([0, 1, 9], [1, 3, 1], [0, 0, 1], [False, False, False])
    assert ranks.ranks("optimistic").tolist() == [1, 2, 10]
    assert ranks.ranks("pessimistic").tolist() == [1, 4, 10]
    assert ranks.ranks().tolist() == [1, 3, 10]
    metrics = ranking_metrics(ranks)
    assert metrics["mrr"] == pytest.approx((1 + 1 / 3 + 1 / 10) / 3)
    assert metrics["macro mrr"] == pytest.approx(((1 + 1 / 3) / 2 + 1 / 10) / 2)
    assert (metrics["hit@1"], metrics["hit@5"], metrics["hit@10"]) == pytest.approx((1 / 3, 2 / 3, 1))
    assert metrics["macro hit@5"] == pytest.approx(1 / 2)
    assert per_relation(ranks)[0] == pytest.approx({"mrr": 2 / 3, "hit@1": 0.5, "hit@5": 1, "hit@10": 1, "questions": 2})


def test_a_missed_answer_counts_nothing_unless_it_is_added() -> None:
    ranks = ranks_of([0, 0], [1, 1], [0, 0], [True, False])
    assert ranking_metrics(ranks)["mrr"] == ranking_metrics(ranks)["hit@10"] == 0.5
    assert ranking_metrics(ranks, missed="added")["mrr"] == 1
    with pytest.raises(InvalidInputError, match="missed is one of"):
        ranking_metrics(ranks, missed="dropped")


def test_what_cannot_be_ranked_is_refused() -> None:
    triples, known = np.array([[0, 0, 1]]), KnownAnswers(np.array([[0, 0, 1]]), 1)
    zeros = np.zeros((2, 1, 2), dtype=np.float32)
    for value in (np.nan, np.inf, -np.inf):
        broken = zeros.copy()
        broken[0, 0, 1] = value
        with pytest.raises(InvalidInputError, match="scores are finite"):
            filtered_ranks(Table(broken), triples, known, 2)
    with pytest.raises(InvalidInputError, match=r"scores are \[queries, entities\]"):
        filtered_ranks(Table(zeros), triples, known, 3)
    with pytest.raises(InvalidInputError, match=r"of 1 entities, numbered from 0\s+received: number 1"):
        filtered_ranks(Table(zeros), triples, known, 1)
    with pytest.raises(InvalidInputError, match="at least one triple"):
        filtered_ranks(Table(zeros), triples[:0], known, 2)
    with pytest.raises(InvalidInputError, match="a side is one of"):
        filtered_ranks(Table(zeros), triples, known, 2, sides=("relation",))
    with pytest.raises(InvalidInputError, match="a tie rule is one of"):
        filtered_ranks(Table(zeros), triples, known, 2).ranks("average")
    nobody = CandidateLists("none", np.zeros(0, dtype=np.int64), np.array([0]), np.array([-1]))
    with pytest.raises(InvalidInputError, match="asks about some"):
        filtered_ranks(Table(zeros), triples, known, 2, sides=("tail",), candidates={"tail": nobody})


def test_large_finite_scores_whose_sum_overflows_are_scores() -> None:
    scores = np.full((3, 1, 3), 3e38, dtype=np.float32)
    triples = np.array([[0, 0, 1]])
    found = filtered_ranks(Table(scores), triples, KnownAnswers(triples, 1), 3)
    assert found.equal.tolist() == [3, 3]
