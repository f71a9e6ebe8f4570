"""Unseen entities: paths against a walk, the loss against a loop, nothing of the test in a model, GraIL's splits for real."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.completion import TrainingFacts
from kgzsl.completion.neighbourhood import Neighbourhood
from kgzsl.completion.paths import PathTable, spelled
from kgzsl.completion.text_entities import TextEntities
from kgzsl.datasets import Triples, read_completion_set
from kgzsl.datasets.completion_set import UnseenEntities
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import Queries, ranking_metrics
from kgzsl.tasks.completion import completion_ranks
from kgzsl.tasks.completion_sampled import sampled_ranks

ENTITIES, RELATIONS = 6, 2
NOTHING = np.zeros((0, 3), dtype=np.int64)
some_triples = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=12, unique=True)


def walked(triples: list[tuple[int, int, int]], length: int) -> dict[tuple[int, int, tuple[int, ...]], int]:
    """Return how many paths there are of each kind, by trying every sequence of entities."""
    steps = {(h, t, r) for h, r, t in triples if h != t} | {(t, h, r + RELATIONS) for h, r, t in triples if h != t}
    found: dict[tuple[int, int, tuple[int, ...]], int] = {}
    for size in range(1, length + 1):
        for walk in itertools.permutations(range(ENTITIES), size + 1):
            for literals in itertools.product(range(2 * RELATIONS), repeat=size):
                if all((a, b, x) in steps for a, b, x in zip(walk, walk[1:], literals, strict=False)):
                    key = walk[0], walk[-1], literals
                    found[key] = found.get(key, 0) + 1
    return found


@settings(max_examples=25, deadline=None)
@given(some_triples, st.integers(1, 3))
def test_paths_are_those_of_a_walk(triples: list[tuple[int, int, int]], length: int) -> None:
    table = PathTable.of(np.array(triples), ENTITIES, RELATIONS, length)
    base, found = 2 * RELATIONS + 1, {}
    for pair, code, count in zip(table.pairs.tolist(), table.codes.tolist(), table.counts.tolist(), strict=True):
        literals = []
        while code:
            code, digit = divmod(code, base)
            literals.append(digit - 1)
        found[pair // ENTITIES, pair % ENTITIES, tuple(literals[::-1])] = int(count)
    assert found == walked(triples, length)


def test_paths_are_spelled_in_their_order() -> None:
    assert spelled(((0 + 1) * 5 + 3 + 1) * 5 + 1 + 1, ("p", "q")) == ("p", "q⁻", "q")


def test_too_many_paths_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="64 bits"):
        PathTable.of(np.array([[0, 0, 1]]), 10_000_000, 5_000, 3)


def small(rows: list[tuple[int, int, int]], support: list[tuple[int, int, int]] | None = None) -> TrainingFacts:
    facts = Triples(tuple("abcdef"), ("p", "q"), np.array(rows))
    return TrainingFacts(facts, NOTHING, np.array(support) if support else NOTHING)


ROWS = [(0, 0, 1), (1, 0, 2), (0, 1, 2), (2, 0, 3), (1, 1, 3), (3, 0, 4), (2, 1, 4), (0, 1, 4)]


def test_loss_and_scores_against_a_loop() -> None:
    training = small(ROWS)
    model = Neighbourhood(length=3, penalties=(1.0,), support=1).fit(training)
    seen, paths = training.seen_entities(), walked(ROWS, 3)
    for literal, problem in model._problems(PathTable.of(np.array(ROWS), 6, 2, 3), model._roles(np.array(ROWS)), seen).items():
        weights = torch.from_numpy(np.random.default_rng(literal).normal(size=len(problem.codes) + 4).astype(np.float32))
        own = [(h, t) if literal < 2 else (t, h) for h, r, t in ROWS if r == literal % 2]
        inverse = literal + 2 if literal < 2 else literal - 2

        def scored(x: int, y: int, true: bool, weights=weights, problem=problem, inverse=inverse) -> float:
            total = 0.0
            for place, code in enumerate(problem.codes.tolist()):
                count = next((n for (a, b, literals), n in paths.items() if (a, b) == (x, y) and digits(code) == literals), 0)
                total += float(weights[place]) * np.log1p(count)
            for role in range(4):
                count = sum(role == (r if h == y else r + 2) for h, r, t in ROWS for end in (0, 1) if (h, t)[end] == y and role // 2 == end)
                total += float(weights[len(problem.codes) + role]) * np.log1p(count - (true and role == inverse))
            return total

        loss = 0.0
        for x, y in own:
            others = [np.exp(scored(x, e, False)) for e in seen.tolist() if (x, e) not in own]
            top = np.exp(scored(x, y, True))
            loss -= np.log(top / (top + sum(others)))
        assert float(problem.loss(weights)) == pytest.approx(loss, rel=1e-4)
        assert literal + 1 not in problem.codes.tolist()  # the fact itself is no path


def digits(code: int) -> tuple[int, ...]:
    found = []
    while code:
        code, digit = divmod(code, 2 * RELATIONS + 1)
        found.append(digit - 1)
    return tuple(found[::-1])


def test_a_composition_is_found_and_answers_about_unseen_entities() -> None:
    """`q` is `p` after `p`; the second graph has the two steps alone."""
    rows = (
        [(3 * k, 0, 3 * k + 1) for k in range(8)]
        + [(3 * k + 1, 0, 3 * k + 2) for k in range(8)]
        + [(3 * k, 1, 3 * k + 2) for k in range(8)]
    )
    names = tuple(f"e{i:02d}" for i in range(30))
    support = np.array([(24, 0, 25), (25, 0, 26), (27, 0, 28), (28, 0, 29)])
    training = TrainingFacts(Triples(names, ("p", "q"), np.array(rows)), NOTHING, support)
    model = Neighbourhood(length=2, roles=False).fit(training)
    for side, stated, answer in (("tail", 24, 26), ("head", 29, 27)):
        scores = model.score(Queries(side, np.array([stated]), np.array([1])), None)[0]
        assert scores.argmax() == answer
        assert np.count_nonzero(scores == scores.max()) == 1
    assert model.rules(1)[0][0] == ("p", "p")
    columns = np.array([2, 26, 29])
    np.testing.assert_array_equal(
        model.score(Queries("tail", np.array([24]), np.array([1])), columns)[0],
        model.score(Queries("tail", np.array([24]), np.array([1])), None)[0, columns],
    )


def test_settings_and_states_that_make_no_sense() -> None:
    for bad in ({"length": 4}, {"paths": -1}, {"support": 0}, {"penalties": ()}, {"penalties": (0.0,)}):
        with pytest.raises(InvalidInputError):
            Neighbourhood(**bad)
    with pytest.raises(InvalidInputError, match="after fit"):
        Neighbourhood().score(Queries("tail", np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)), None)
    with pytest.raises(InvalidInputError, match="have none"):
        TextEntities().fit(small(ROWS))
    for bad in ({"dim": 0}, {"dropout": 1.0}, {"precision": "half"}):
        with pytest.raises(InvalidInputError):
            TextEntities(**bad)


@pytest.fixture(scope="module")
def grail() -> UnseenEntities:
    found = read_completion_set("grail-wn18rr")
    assert isinstance(found, UnseenEntities)
    return found


@pytest.mark.data
def test_neighbourhood_answers_about_unseen_synsets(grail: UnseenEntities) -> None:
    model = Neighbourhood(length=2, paths=30, penalties=(1.0,)).fit(TrainingFacts.of(grail))
    ranks = completion_ranks(grail, model.score)
    assert ranking_metrics(ranks)["mrr"] > 0.55
    assert (
        ranking_metrics(completion_ranks(grail, Neighbourhood(length=1, paths=0, penalties=(1.0,)).fit(TrainingFacts.of(grail)).score))[
            "mrr"
        ]
        < 0.3
    )
    sampled = sampled_ranks(grail, model.score)
    assert (sampled.options == 51).all()
    assert not sampled.missed.any()
    assert ranking_metrics(sampled)["hit@10"] > 0.7
    assert np.array_equal(sampled.greater, sampled_ranks(grail, model.score).greater)
    assert not np.array_equal(sampled.greater, sampled_ranks(grail, model.score, seed=1).greater)


@pytest.mark.data
def test_another_test_part_changes_nothing(grail: UnseenEntities) -> None:
    cheap = {"length": 1, "paths": 5, "penalties": (1.0,)}
    model = Neighbourhood(**cheap).fit(TrainingFacts.of(grail))
    rows = grail.facts.triples.copy()
    test = grail.rows("test")
    rows[test, 0] = np.roll(rows[test, 0], 1)
    kept = np.unique(rows, axis=0, return_index=True)[1]
    other = UnseenEntities(grail.name, "other", dataclasses.replace(grail.facts, triples=rows[np.sort(kept)]), grail.parts[np.sort(kept)])
    again = Neighbourhood(**cheap).fit(TrainingFacts.of(other))
    queries = Queries("tail", grail.triples("test")[:9, 0], grail.triples("test")[:9, 1])
    np.testing.assert_array_equal(model.score(queries, None), again.score(queries, None))


def test_drawn_answers_are_wrong_ones() -> None:
    facts = Triples(tuple("abcdefgh"), ("p",), np.array([[0, 0, 1], [1, 0, 2], [2, 0, 3], [4, 0, 5], [4, 0, 6], [5, 0, 7], [7, 0, 6]]))
    data = UnseenEntities("own", "1", facts, np.array([0, 1, 2, 3, 3, 4, 5], dtype=np.int8))

    def score(queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        assert columns is not None
        assert set(columns.tolist()) <= {4, 5, 6, 7}
        return np.zeros((len(queries), len(columns)), dtype=np.float32)

    ranks = sampled_ranks(data, score, negatives=2)
    assert ranks.options.tolist() == [3, 3]
    with pytest.raises(InvalidInputError, match="wrong answers"):
        sampled_ranks(data, score, negatives=4)
    with pytest.raises(InvalidInputError, match="at least one"):
        sampled_ranks(data, score, negatives=0)


def texts(rows: list[tuple[int, int, int]], support: list[tuple[int, int, int]]) -> TrainingFacts:
    """Forty animals and their classes, by text; the support speaks of others."""
    kinds = ("dog", "cat", "bird", "fish")
    named = [f"{kind} number {i}" for kind in kinds for i in range(10)] + [f"the class of every {kind}" for kind in kinds]
    facts = Triples(tuple(f"e{i:02d}" for i in range(len(named))), ("is a", "like"), np.array(rows), tuple(named), ())
    return TrainingFacts(facts, NOTHING, np.array(support))


def test_text_tells_an_unseen_entity_and_the_others_are_no_wrong_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = 4
    unit = np.random.default_rng(0).normal(size=(kinds, 16)).astype(np.float32)
    noise = 0.3 * np.random.default_rng(1).normal(size=(44, 16)).astype(np.float32)
    features = np.concatenate([np.repeat(unit, 10, axis=0), -unit]) + noise
    monkeypatch.setattr(TextEntities, "features", lambda self, facts: features)
    rows = [(10 * k + i, 0, 40 + k) for k in range(kinds) for i in range(8)] + [
        (10 * k + i, 1, 10 * k + i + 1) for k in range(kinds) for i in range(7)
    ]
    training = texts(rows, [(8, 1, 9)])
    model = TextEntities(dim=8, epochs=60, batch_size=20, learning_rate=0.02, dropout=0.0).fit(training)
    unseen = np.array([8, 9, 18, 19, 28, 29, 38, 39])
    scores = model.score(Queries("tail", unseen, np.zeros(8, dtype=np.int64)), np.arange(40, 44))
    assert (scores.argmax(dim=1).numpy() == unseen // 10).mean() >= 7 / 8
    assert np.array_equal(model.entity_vectors(), TextEntities(**vars_of(model)).fit(training).entity_vectors())
    features[unseen] += 1  # what unseen ones say decides nothing of what is learned
    moved = TextEntities(**vars_of(model)).fit(training)
    seen = training.seen_entities()
    np.testing.assert_allclose(moved.entity_vectors()[seen], model.entity_vectors()[seen], rtol=1e-5, atol=1e-6)
    assert not np.allclose(moved.entity_vectors()[unseen], model.entity_vectors()[unseen])


def vars_of(model: TextEntities) -> dict:
    return {
        "dim": model.dim,
        "epochs": model.epochs,
        "batch_size": model.batch_size,
        "learning_rate": model.learning_rate,
        "dropout": model.dropout,
    }


def test_an_entity_is_no_answer_about_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(44, 16)).astype(np.float32)
    monkeypatch.setattr(TextEntities, "features", lambda self, facts: features)
    rows = [(i, 0, i + 1) for i in range(38)] + [(i, 1, i) for i in range(30)]
    model = TextEntities(dim=4, epochs=2, dropout=0.0).fit(texts(rows, [(40, 0, 41)]))
    every = np.arange(44)
    for columns in (None, np.arange(20, 44)):
        steps, loops = (model.score(Queries("tail", every, np.full(44, r)), columns).numpy() for r in (0, 1))
        plain = [model.link.score(Queries("tail", every, np.full(44, r)), columns).numpy() for r in (0, 1)]
        own = every if columns is None else columns
        place = np.arange(len(own))
        others = np.ones_like(steps, dtype=bool)
        others[own, place] = False
        assert (steps[own, place] < steps[others].min()).all()
        np.testing.assert_array_equal(steps[others], plain[0][others])
        np.testing.assert_array_equal(loops, plain[1])  # training has such facts
