"""Link models: losses by hand, scores against PyKEEN's interactions, ranks against PyKEEN's evaluator, saving, early stopping."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kgzsl.completion import TrainingFacts
from kgzsl.completion.answers import Questions, answers_loss, log_sum_exp
from kgzsl.completion.link_base import LinkModel, stopping_triples
from kgzsl.completion.links import LINK_MODELS, ComplExLinks, RotatELinks
from kgzsl.completion.saved import load_link_model, save_link_model
from kgzsl.datasets import Triples, read_completion_set
from kgzsl.datasets.completion_set import CompletionSet
from kgzsl.errors import ArtifactError, DivergedError, IncompatibleError, InvalidInputError
from kgzsl.metrics.filtered_ranking import KnownAnswers, Queries, filtered_ranks, ranking_metrics
from kgzsl.tasks.completion import completion_ranks

ROWS = np.array([[0, 0, 1], [0, 0, 2], [1, 0, 2], [1, 1, 3], [2, 1, 3], [3, 1, 0], [4, 0, 1], [0, 1, 4]])
NAMES = [entry.name for entry in LINK_MODELS]
SMALL: dict[str, Any] = {"dim": 6, "epochs": 4, "batch_size": 3, "evaluate_every": 2}


def training(valid: np.ndarray | None = None, rows: np.ndarray = ROWS) -> TrainingFacts:
    """Return five entities, two relations."""
    facts = Triples(tuple("abcde"), ("p", "q"), rows)
    return TrainingFacts(facts, np.array([[2, 0, 4]]) if valid is None else valid, np.zeros((0, 3), dtype=np.int64))


@pytest.fixture(scope="module")
def umls() -> CompletionSet:
    return read_completion_set("umls")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["tail", "head"])
def test_scores_are_those_of_pykeens_interaction(name: str, side: str) -> None:
    from pykeen.nn import modules

    model = LINK_MODELS.lookup(name)(**SMALL).fit(training())
    kinds = {
        "transe": modules.TransEInteraction(p=1),
        "rotate": modules.RotatEInteraction(),
        "complex": modules.ComplExInteraction(),
        "distmult": modules.DistMultInteraction(),
    }
    entities, relations = (
        model._unflat(torch.from_numpy(v)) if model.is_complex else torch.from_numpy(v)
        for v in (model.entity_vectors(), model.relation_vectors())
    )
    given, relation = np.array([0, 3, 4]), np.array([1, 0, 1])
    expected = torch.empty(3, 5)
    for row in range(3):
        for other in range(5):
            head, tail = (given[row], other) if side == "tail" else (other, given[row])
            expected[row, other] = kinds[name](entities[head], relations[relation[row]], entities[tail])
    found = model.score(Queries(side, given, relation), None)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    some = np.array([1, 4])
    torch.testing.assert_close(model.score(Queries(side, given, relation), some), expected[:, some], rtol=1e-4, atol=1e-5)


def slow_loss(model: LinkModel, weight: float) -> torch.Tensor:
    """Return the loss of all questions of `ROWS`, one triple and one side at a time, from PyKEEN's own scores."""
    total = torch.zeros(())
    for h, r, t in ROWS.tolist():
        row = torch.tensor([[h, r, t]])
        total = total - model.network.score_t(row[:, :2])[0].log_softmax(0)[t] - model.network.score_h(row[:, 1:])[0].log_softmax(0)[h]
        entities, relations = (x[0](indices=None) for x in (model.network.entity_representations, model.network.relation_representations))
        total = total + 2 * weight * sum((v.abs() ** 3).sum() for v in (entities[h], relations[r], entities[t]))
    return total / (2 * len(ROWS))


@pytest.mark.parametrize("name", ["complex", "distmult"])
def test_loss_over_all_answers_against_a_loop(name: str) -> None:
    model = LINK_MODELS.lookup(name)(**SMALL)
    model.entities, model.relations = tuple("abcde"), ("p", "q")
    model.network = model._untrained(ROWS, seed=3)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.mul_(50)  # so that the shares differ
    questions = Questions(ROWS, torch.device("cpu"))
    assert len(questions) == 7 + 5
    (batch,) = questions.batches(100, torch.Generator().manual_seed(0))
    found, expected = answers_loss(model, questions, batch, 0.3, torch.float32), slow_loss(model, 0.3)
    torch.testing.assert_close(found, expected)
    parameters = list(model.network.parameters())
    for one, two in zip(torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_log_sum_exp_in_bfloat16_is_near() -> None:
    generator = torch.Generator().manual_seed(0)
    q, e = (torch.randn(n, 8, generator=generator, requires_grad=True) for n in (5, 300))
    exact = log_sum_exp(q, e)
    torch.testing.assert_close(exact, (q @ e.T).logsumexp(1))
    near = log_sum_exp(q, e, torch.bfloat16)
    torch.testing.assert_close(near, exact, rtol=0, atol=0.1)
    (one,), (two,) = (torch.autograd.grad(v.sum(), q) for v in (exact, near))
    assert float((one - two).norm() / one.norm()) < 0.02


def test_questions_of_a_batch_have_all_their_answers() -> None:
    questions = Questions(ROWS, torch.device("cpu"))
    triples = set()
    for batch in questions.batches(4, torch.Generator().manual_seed(1)):
        asks = questions.asks_head[batch].tolist()
        assert asks == sorted(asks)
        row, answer = questions.answers_of(batch)
        for i, other in zip(row.tolist(), answer.tolist(), strict=True):
            given, relation, head = int(questions.given[batch[i]]), int(questions.relation[batch[i]]), asks[i]
            triples.add((head, (other, relation, given) if head else (given, relation, other)))
    assert triples == {(asks, tuple(row)) for asks in (False, True) for row in ROWS.tolist()}


@pytest.mark.data
def test_umls_is_learned_and_ranked_as_pykeen_ranks(umls: CompletionSet) -> None:
    from pykeen.evaluation import RankBasedEvaluator
    from pykeen.evaluation.evaluator import create_sparse_positive_filter_, filter_scores_

    settings: dict[str, Any] = {"dim": 100, "batch_size": 100, "regularisation": 0.01, "evaluate_every": 10}
    untrained = ComplExLinks(**{**settings, "epochs": 1, "learning_rate": 1e-6}).fit(TrainingFacts.of(umls))
    assert ranking_metrics(completion_ranks(umls, untrained.score))["mrr"] < 0.15
    model = ComplExLinks(**settings, epochs=30).fit(TrainingFacts.of(umls))
    ranks = completion_ranks(umls, model.score)
    metrics = ranking_metrics(ranks)
    assert metrics["mrr"] > 0.9
    assert metrics["hit@10"] > 0.98
    evaluator, test, every = RankBasedEvaluator(), torch.from_numpy(umls.triples("test")), torch.from_numpy(umls.facts.triples)
    for side, column in (("head", 0), ("tail", 2)):
        scores = model.score(Queries(side, test[:, 2 - column].numpy(), test[:, 1].numpy()), None)
        true = scores[torch.arange(len(test)), test[:, column]]
        positive, _ = create_sparse_positive_filter_(hrt_batch=test, all_pos_triples=every, filter_col=column)
        scores = filter_scores_(scores=scores.clone(), filter_batch=positive)
        scores[torch.arange(len(test)), test[:, column]] = true
        evaluator.process_scores_(hrt_batch=test, target=side, scores=scores, true_scores=true[:, None])
        for rule in ("optimistic", "pessimistic"):
            np.testing.assert_array_equal(ranks.of_side(side).ranks(rule), np.concatenate(evaluator.ranks[side, rule]))


@pytest.mark.data
@pytest.mark.parametrize("name", ["transe", "rotate", "distmult"])
def test_other_models_learn_umls(umls: CompletionSet, name: str) -> None:
    settings: dict[str, Any] = {"batch_size": 100} if name == "distmult" else {"negatives": 8, "margin": 4.0, "learning_rate": 0.02}
    model = LINK_MODELS.lookup(name)(dim=40, epochs=12, evaluate_every=12, **settings).fit(TrainingFacts.of(umls))
    assert ranking_metrics(completion_ranks(umls, model.score))["mrr"] > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_fits_repeat_bit_for_bit_and_leave_the_global_generator(name: str) -> None:
    before = torch.random.get_rng_state()
    one, two, other = (LINK_MODELS.lookup(name)(**SMALL).fit(training(), seed=s).entity_vectors() for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["complex", "transe"])
def test_a_training_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    kind, long = LINK_MODELS.lookup(name), {**SMALL, "epochs": 6, "patience": 0}
    whole = kind(**long).fit(training())

    class Stopped(Exception):
        pass

    interrupted = kind(**long, checkpoint=tmp_path / "state")
    epoch = interrupted._epoch
    done: list[int] = []

    def stop_in_the_fifth(*args: Any) -> float:
        done.append(1)
        if len(done) == 5:
            raise Stopped
        return epoch(*args)

    interrupted._epoch = stop_in_the_fifth  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        interrupted.fit(training())
    resumed = kind(**long, checkpoint=tmp_path / "state").fit(training())
    np.testing.assert_array_equal(resumed.entity_vectors(), whole.entity_vectors())
    assert resumed.history.as_json() == whole.history.as_json()
    with pytest.raises(IncompatibleError, match="dim"):
        kind(**{**long, "dim": 4}, checkpoint=tmp_path / "state").fit(training())


def test_the_best_validation_is_kept() -> None:
    model = ComplExLinks(**{**SMALL, "epochs": 40, "evaluate_every": 1, "patience": 5, "learning_rate": 0.5}).fit(training())
    history = model.history
    assert len(history.train) == history.best_epoch + 5 < 40
    assert history.best == min(history.validation.values())
    data = training()
    known = KnownAnswers(np.concatenate([ROWS, data.valid]), 2)
    assert ranking_metrics(filtered_ranks(model.score, data.valid, known, 5))["mrr"] == pytest.approx(1 - history.best)


def test_held_out_triples_stand_in_where_validation_is_of_other_relations() -> None:
    rows = ROWS[ROWS[:, 1] == 0]
    facts, valid = stopping_triples(training(np.array([[0, 1, 1]]), rows), seed=0)
    assert len(facts) == len(rows) - 1
    assert len(valid) == 1
    assert {tuple(r) for r in [*facts.tolist(), *valid.tolist()]} == {tuple(r) for r in rows.tolist()}
    whole, own = stopping_triples(training(), seed=0)
    np.testing.assert_array_equal(whole, ROWS)
    assert own.tolist() == [[2, 0, 4]]


@pytest.mark.parametrize("name", NAMES)
def test_saved_models_score_the_same(name: str, tmp_path: Path) -> None:
    model = LINK_MODELS.lookup(name)(**SMALL).fit(training())
    save_link_model(model, tmp_path / "m", dataset="d")
    again = load_link_model(tmp_path / "m", training().facts)
    queries = Queries("head", np.arange(5), np.zeros(5, dtype=np.int64))
    assert torch.equal(model.score(queries, None), again.score(queries, None))
    assert again.settings() == model.settings()
    assert again.history.as_json() == model.history.as_json()
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["manifest.json", "names.json", "vectors.safetensors"]


def test_damaged_or_foreign_folders_are_refused(tmp_path: Path) -> None:
    save_link_model(ComplExLinks(**SMALL).fit(training()), tmp_path / "m")
    with pytest.raises(InvalidInputError, match="never overwritten"):
        save_link_model(ComplExLinks(**SMALL).fit(training()), tmp_path / "m")
    with pytest.raises(IncompatibleError, match="fitted on"):
        load_link_model(tmp_path / "m", Triples(tuple("vwxyz"), ("p", "q"), ROWS))
    vectors = tmp_path / "m" / "vectors.safetensors"
    vectors.write_bytes(vectors.read_bytes()[:-4])
    with pytest.raises(ArtifactError, match="SHA-256"):
        load_link_model(tmp_path / "m")
    from kgzsl.artifacts import write_manifest

    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    (tmp_path / "m" / "manifest.json").unlink()
    write_manifest(tmp_path / "m", "link-model", {k: manifest[k] for k in ("model", "settings", "history", "dataset")})
    with pytest.raises(ArtifactError, match="settings, names and vectors"):
        load_link_model(tmp_path / "m")
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        load_link_model(tmp_path)


def test_settings_and_states_that_make_no_sense() -> None:
    for bad in (
        {"dim": 0},
        {"learning_rate": float("nan")},
        {"patience": -1},
        {"optimiser": "lbfgs"},
        {"precision": "half"},
        {"regularisation": -1},
    ):
        with pytest.raises(InvalidInputError):
            ComplExLinks(**bad)
    for bad in ({"negatives": 0}, {"margin": 0.0}, {"temperature": float("inf")}):
        with pytest.raises(InvalidInputError):
            RotatELinks(**bad)
    with pytest.raises(InvalidInputError, match="after fit"):
        ComplExLinks().score(Queries("tail", np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)), None)
    with pytest.raises(InvalidInputError, match="after fit"):
        save_link_model(ComplExLinks(), "nowhere")
    with pytest.raises(InvalidInputError, match="two triples"):
        ComplExLinks(**SMALL).fit(training(rows=ROWS[:1]))
    with pytest.raises(DivergedError, match="finite"):
        ComplExLinks(**{**SMALL, "learning_rate": 1e30}).fit(training())
