"""Models of unseen relations: against slow references, on UMLS split by relation, and on NELL-ZS with its ontology."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from kgzsl.completion import TrainingFacts
from kgzsl.completion.closed_form import RelationLinks, directions, kernel_weights, shared_pairs
from kgzsl.completion.entities import EntityFeatures, Whitening, entity_words, role_vectors
from kgzsl.completion.familiarity import PairFamiliarity
from kgzsl.completion.models import COMPLETION_MODELS
from kgzsl.completion.ontozsl_kgc import Neighbourhoods, class_hinge, extractor_loss
from kgzsl.completion.pairs import PairEncoder, PairSampler, all_pairs, hinge
from kgzsl.completion.projection import ProjectedRelations, projection_loss
from kgzsl.completion.relations import RelationSemantics
from kgzsl.datasets import Triples, read_completion_set
from kgzsl.datasets.completion_set import UnseenRelations
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.metrics.filtered_ranking import Queries
from kgzsl.tasks.completion import completion_ranks
from kgzsl.tasks.completion_zero_shot import ZeroShotCompletion, chance_metrics, check_model

SMALL = {
    "closed_form": {"facts": 1.0},
    "projection": {"steps": 20, "pair_columns": 8, "batch_size": 32},
    "ontozsl_kgc": {"steps": 4, "extractor_steps": 5, "pair_columns": 8, "references": 3, "batch_size": 16, "hidden": 16},
}
FEATURES = {"text": "glove", "structure_dim": 8, "columns": 12}


@pytest.fixture(scope="module")
def umls() -> UnseenRelations:
    """UMLS, 36 relations for training, 5 for validation, 5 for test, of those with the most triples in the middle."""
    whole = read_completion_set("umls").facts
    size = np.bincount(whole.triples[:, 1], minlength=len(whole.relations))
    middle = np.argsort(size, kind="stable")[-20:-10]
    of = np.zeros(len(whole.relations), dtype=np.int8)
    of[middle[::2]], of[middle[1::2]] = 1, 2
    texts = tuple(r.replace("_", " ") for r in whole.relations)
    facts = Triples(whole.entities, whole.relations, whole.triples, whole.entity_texts, texts)
    return UnseenRelations("umls-by-relation", "test", facts, of[whole.triples[:, 1]])


@pytest.fixture(scope="module")
def vectors(umls) -> np.ndarray:
    return RelationSemantics(text_encoder="glove")(TrainingFacts.of(umls))


def fitted(name, umls, vectors, seed=0):
    return COMPLETION_MODELS.make(name, {**SMALL[name], **FEATURES}).fit(TrainingFacts.of(umls), vectors, seed=seed)


# ---- against slow references


def test_directions_are_means_of_outer_products():
    rng = np.random.default_rng(0)
    entities = torch.from_numpy(rng.normal(size=(7, 4)).astype(np.float32))
    triples = np.stack([rng.integers(7, size=30), rng.choice([0, 2, 5], size=30), rng.integers(7, size=30)], axis=1)
    seen = np.array([0, 2, 5])
    found = directions(entities, triples, seen, 3.0)
    for k, relation in enumerate(seen):
        own = [np.outer(entities[h], entities[t]) for h, r, t in triples.tolist() if r == relation]
        np.testing.assert_allclose(found[k].numpy(), sum(own) / (len(own) + 3.0), rtol=1e-5, atol=1e-6)


def test_kernel_weights_solve_the_centred_ridge():
    rng = np.random.default_rng(1)
    vectors, seen, values = rng.normal(size=(6, 3)), np.array([0, 2, 3]), rng.normal(size=(3, 2))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    kernel = np.array([[np.exp((a @ b - 1) / 0.49) for b in unit] for a in unit])
    mean = values.mean(axis=0)
    slow = mean + kernel[:, seen] @ np.linalg.inv(kernel[np.ix_(seen, seen)] + 0.2 * np.eye(3)) @ (values - mean)
    np.testing.assert_allclose(kernel_weights(vectors, seen, 0.2, 0.7) @ values, slow, rtol=1e-9)


def test_whitening_gives_covariance_one_over_the_entities_given():
    rng = np.random.default_rng(2)
    features, ends = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)), rng.integers(40, size=500)
    white = Whitening.of(features, ends, 5)(features)[ends]
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(5), atol=1e-3)


@pytest.mark.parametrize("cosine", [False, True])
def test_all_pairs_are_pairs_one_by_one(cosine):
    rng = torch.Generator().manual_seed(0)
    heads, tails, relation = (torch.randn(*s, generator=rng) for s in ((3, 4), (5, 4), (12,)))
    found = all_pairs(heads, tails, relation, cosine=cosine)
    for i, head in enumerate(heads):
        for j, tail in enumerate(tails):
            pair = torch.cat([head, tail, head * tail])
            want = relation @ pair / (pair.norm() if cosine else 1)
            torch.testing.assert_close(found[i, j], want, rtol=1e-5, atol=1e-5)


def test_hinges_by_hand():
    right, wrong = torch.tensor([[1.0], [0.0]]), torch.tensor([[0.5, 3.0], [-2.0, 0.0]])
    assert float(hinge(right, wrong, 1.0)) == pytest.approx((0.5 + 3.0 + 0.0 + 1.0) / 4)
    assert float(hinge(right, wrong, 1.0, torch.tensor([[True, False], [True, True]]))) == pytest.approx(1.5 / 3)
    centres = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])  # relation 1 is unseen
    drawn, chosen = torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 2])
    assert float(class_hinge(drawn, chosen, centres, np.array([0, 2]), 0.2)) == pytest.approx((0.0 + 0.2) / 2)


def test_a_neighbourhood_leaves_the_triple_in_question_out():
    features = np.arange(8, dtype=np.float32).reshape(4, 2)
    triples = np.array([[0, 0, 1], [0, 1, 2], [3, 0, 0]])
    near = Neighbourhoods(features, triples, torch.device("cpu"))
    own = near.without(torch.tensor([0, 1]), torch.tensor([1, 0]))
    np.testing.assert_allclose(own[0], [*features[0], *((features[2] + features[3]) / 2)])
    np.testing.assert_allclose(own[1], [*features[1], 0, 0])  # its only triple
    np.testing.assert_allclose(near.all()[0], [*features[0], *features[1:].mean(axis=0)])


def test_the_sampler_draws_triples_of_the_relation_and_knows_true_ones():
    triples = np.array([[0, 1, 1], [1, 1, 2], [2, 3, 0], [3, 3, 1]])
    sampler = PairSampler(triples, 5, 4, torch.Generator().manual_seed(0))
    drawn = sampler.some_relations(200)
    assert set(drawn.tolist()) == {1, 3}
    rows = sampler.of(drawn)
    assert (rows[:, 1] == drawn).all() and {tuple(r) for r in rows.tolist()} == {tuple(r) for r in triples.tolist()}
    wrong = sampler.wrong(rows, 2)
    assert (wrong[:, :2] == rows[:, :2]).all() and len(set(wrong[:, 2].tolist())) == 5
    known = {tuple(r) for r in triples.tolist()}
    assert sampler.is_true(wrong).tolist() == [tuple(r) in known for r in wrong.tolist()]


def test_role_vectors_keep_the_inner_products_of_roles():
    triples = np.array([[0, 0, 1], [0, 1, 2], [3, 1, 1], [2, 0, 3], [1, 1, 0]])
    facts = Triples(("a", "b", "c", "d"), ("p", "q"), triples)
    counts = np.zeros((4, 4))
    for h, r, t in triples:
        counts[h, r] += 1
        counts[t, 2 + r] += 1
    rows = np.log1p(counts) * np.log(4 / (counts > 0).sum(axis=0))
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    found = role_vectors(facts, 4)
    np.testing.assert_allclose(found @ found.T, rows @ rows.T, atol=1e-6)


def test_familiarity_counts_links_and_common_neighbours():
    triples = np.array([[0, 0, 1], [1, 1, 0], [1, 0, 2], [3, 0, 2], [0, 1, 3]])
    facts = Triples(("a", "b", "c", "d"), ("p", "q"), triples)
    counts = np.zeros((4, 4))
    for h, _, t in triples:
        counts[h, t] += 1
        counts[t, h] += 1
    degree, met = counts.sum(axis=1), counts > 0
    slow = np.zeros((4, 4))
    for h in range(4):
        for t in range(4):
            paths = sum(met[h, x] * met[x, t] / np.log(2 + degree[x]) for x in range(4))
            slow[h, t] = 0.1 * np.log1p(degree[t]) + 2 * np.log1p(counts[h, t]) + 3 * np.log1p(paths)
    familiar = PairFamiliarity(facts, 0.1, 2, 3)
    queries = Queries("tail", np.arange(4), np.zeros(4, dtype=np.int64))
    np.testing.assert_allclose(familiar.score(queries, None), slow, rtol=1e-5)
    np.testing.assert_allclose(familiar.score(queries, np.array([0, 3])), slow[:, [0, 3]], rtol=1e-5)


def test_shared_pairs_and_weighted_links_by_hand():
    triples = np.array([[0, 0, 1], [0, 1, 1], [2, 0, 3], [3, 1, 2], [1, 0, 2]])
    facts = Triples(("a", "b", "c", "d"), ("p", "q"), triples)
    found = shared_pairs(facts)  # p has q along on (a, b), and reversed on (c, d), of 3 pairs; q has p on 1 of 2 and reversed on 1
    np.testing.assert_allclose(found, [[0, 1 / 3, 0, 1 / 3], [1 / 2, 0, 1 / 2, 0]])
    links = RelationLinks(facts, np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    frequency = np.array([0.3, 0.2, 0.3, 0.2])
    weights = found[0] / (found[0] @ frequency)
    tails = links.score(0, np.array([0]), "tail", None)
    np.testing.assert_allclose(tails, [[0, np.log1p(weights[1]), 0, 0]], rtol=1e-5)  # (a, q, b); p itself says nothing
    heads = links.score(0, np.array([3]), "head", np.array([1, 2]))
    np.testing.assert_allclose(heads, [[0, np.log1p(weights[3])]], rtol=1e-5)  # (d, q, c), read from c to d


def test_words_of_names_without_texts():
    facts = Triples(("concept:city:new_york", "0.1,2.5"), ("p",), np.array([[0, 0, 1]]))
    assert entity_words(facts) == ("new york, city", "")


# ---- what every model does


@pytest.mark.data
@pytest.mark.parametrize("name", SMALL)
def test_same_seed_same_bits_and_no_test_triple_is_read(name, umls, vectors):
    queries = Queries("tail", umls.triples("test")[:20, 0], umls.triples("test")[:20, 1])
    one = np.asarray(fitted(name, umls, vectors).score(queries, None))
    rows = umls.facts.triples.copy()
    test = umls.rows("test")
    rows[test, 0], rows[test, 2] = rows[test, 2], rows[test, 0]  # another test part, of the same relations
    other = dataclasses.replace(umls, facts=dataclasses.replace(umls.facts, triples=rows))
    np.testing.assert_array_equal(np.asarray(fitted(name, other, vectors).score(queries, None)), one)
    assert np.isfinite(one).all() and one.shape == (20, len(umls.facts.entities))
    assert name == "closed_form" or not np.array_equal(np.asarray(fitted(name, umls, vectors, seed=1).score(queries, None)), one)


@pytest.mark.data
@pytest.mark.parametrize("name", SMALL)
def test_both_sides_and_columns_agree(name, umls, vectors):
    """The score of a triple is the same asked from either end, and among any candidates."""
    model, rows = fitted(name, umls, vectors), umls.triples("test")[:6]
    tails = np.asarray(model.score(Queries("tail", rows[:, 0], rows[:, 1]), None))
    heads = np.asarray(model.score(Queries("head", rows[:, 2], rows[:, 1]), None))
    np.testing.assert_allclose(tails[np.arange(6), rows[:, 2]], heads[np.arange(6), rows[:, 0]], rtol=1e-4, atol=1e-5)
    columns = np.array([3, 50, 134])
    few = np.asarray(model.score(Queries("tail", rows[:, 0], rows[:, 1]), columns))
    np.testing.assert_allclose(few, tails[:, columns], rtol=1e-4, atol=1e-5)


@pytest.mark.data
def test_the_closed_form_is_a_weighted_sum_of_seen_relations(umls, vectors):
    model, row = COMPLETION_MODELS.make("closed_form", FEATURES), umls.triples("test")[0]
    model.fit(TrainingFacts.of(umls), vectors)
    weights = kernel_weights(vectors, model.seen, model.ridge, model.length)[row[1]]
    slow = sum(w * (model._entities[row[0]] @ d @ model._entities[row[2]]) for w, d in zip(weights, model._directions, strict=True))
    found = model.score(Queries("tail", row[:1], row[1:2]), row[2:])
    assert float(found[0, 0]) == pytest.approx(float(slow), rel=1e-4)


@pytest.mark.data
def test_a_task_chooses_on_validation_and_beats_chance(umls):
    task = ZeroShotCompletion(
        umls, "closed_form", FEATURES, {"interaction": [0.0, 0.5]}, RelationSemantics(text_encoder="glove"), protocol="tails"
    )
    found = task.run(0)
    by_hand = [
        completion_ranks(umls, fitted_with.score, part="valid", protocol="tails")
        for fitted_with in (
            COMPLETION_MODELS.make("closed_form", {**FEATURES, "interaction": i}).fit(
                TrainingFacts.of(umls), RelationSemantics(text_encoder="glove")(TrainingFacts.of(umls))
            )
            for i in (0.0, 0.5)
        )
    ]
    assert found["validation"]["mrr"] == max(float((1 / ranks.ranks()).mean()) for ranks in by_hand)
    assert found["test"]["mrr"] > 2 * found["chance"]["mrr"]
    assert found["coverage"]["test triples"] == len(umls.rows("test"))


@pytest.mark.data
def test_chance_is_the_mean_of_random_scores(umls):
    training, mrr = TrainingFacts.of(umls), []
    for seed in range(8):
        model = COMPLETION_MODELS.make("chance").fit(training, seed=seed)
        ranks = completion_ranks(umls, model.score, protocol="tails")
        mrr.append(float((1 / ranks.ranks()).mean()))
    assert chance_metrics(ranks)["mrr"] == pytest.approx(np.mean(mrr), rel=0.1)


# ---- semantics


@pytest.mark.data
def test_relations_without_a_text_are_listed_and_refused(umls):
    bare = dataclasses.replace(umls.facts, relation_texts=("", *umls.facts.relation_texts[1:]))
    training = TrainingFacts.of(dataclasses.replace(umls, facts=bare))
    with pytest.raises(InvalidInputError, match=f"1 have none: {umls.facts.relations[0]}"):
        RelationSemantics(text_encoder="glove")(training)
    named = RelationSemantics(text_encoder="glove", without_text="names")(training)
    np.testing.assert_allclose(named, RelationSemantics(text_encoder="glove")(TrainingFacts.of(umls)), rtol=1e-5)
    with pytest.raises(InvalidInputError, match="a schema of the relations"):
        RelationSemantics("rdfs")(training)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InvalidInputError, match="semantics of relations"):
        RelationSemantics("owl")
    with pytest.raises(UnknownNameError):
        RelationSemantics("rdfs", "no-encoder")
    with pytest.raises(InvalidInputError, match="no graph"):
        RelationSemantics("text", "transe")
    with pytest.raises(InvalidInputError, match="semantics"):
        check_model("closed_form", {}, None)
    with pytest.raises(InvalidInputError, match="takes no semantics"):
        check_model("degree", {}, RelationSemantics())
    with pytest.raises(InvalidInputError, match="structure"):
        EntityFeatures("none", text="none")
    with pytest.raises(InvalidInputError, match="finite vector for each"):
        facts = Triples(("a", "b"), ("p", "q"), np.array([[0, 0, 1]]))
        training = TrainingFacts(facts, np.zeros((0, 3), dtype=np.int64), np.zeros((0, 3), dtype=np.int64))
        COMPLETION_MODELS.make("closed_form").fit(training, np.zeros((1, 3), dtype=np.float32))
    for name, settings in (("closed_form", {"ridge": 0}), ("projection", {"dropout": 1}), ("ontozsl_kgc", {"samples": 0})):
        with pytest.raises(InvalidInputError):
            COMPLETION_MODELS.make(name, settings)


# ---- devices


def test_losses_stay_on_their_device():
    """A tensor left on the CPU fails on torch's fake `meta`."""
    networks = ProjectedRelations(6, 5, 4, torch.Generator()), PairEncoder(12, 4, torch.Generator())
    with FakeTensorMode(allow_non_fake_inputs=False):
        device = torch.device("meta")
        for network in networks:
            network._apply(lambda t: torch.empty(t.shape, dtype=t.dtype, device=device))
        sampler = PairSampler.__new__(PairSampler)
        sampler.generator, sampler.entities, sampler.relations = None, 9, 3
        sampler.wrong = lambda rows, side: rows.clone()
        sampler.is_true = lambda rows: rows[..., 0] > 0
        rows, entities, relations = (
            torch.zeros(7, 3, dtype=torch.int64, device=device),
            torch.empty(9, 6, device=device),
            torch.empty(3, 5, device=device),
        )
        loss = projection_loss(networks[0], sampler, rows, entities, relations, 1.0, 2, 0.1)
        loss.backward()
        near = Neighbourhoods.__new__(Neighbourhoods)
        near.features, near.sums, near.counts = entities, entities.clone(), torch.ones(9, device=device)
        other = extractor_loss(networks[1], near, sampler, rows[:6].view(1, 6, 3).expand(2, -1, -1), 10.0)
        other.backward()
        assert loss.device.type == other.device.type == "meta"
        with pytest.raises((RuntimeError, AssertionError), match="device"):
            projection_loss(networks[0], sampler, rows, torch.empty(9, 6, device="cpu"), relations, 1.0, 2, 0.1)


# ---- NELL-ZS


@pytest.mark.data
@pytest.mark.slow
def test_nell_zs_beats_chance_and_degree_with_its_ontology():
    from kgzsl.workspace import Workspace

    data = read_completion_set("nell-zs", without_text="drop")
    graph = Workspace().graph(data.schema)
    settings = {"text": "glove", "facts": 3.0, "familiarity": 3.0}
    semantics = RelationSemantics("rdfs+literals")
    found = ZeroShotCompletion(data, "closed_form", settings, {}, semantics, graph, "candidates").run(0)
    degree = ZeroShotCompletion(data, "degree", protocol="candidates").run(0)
    assert found["test"]["mrr"] > 1.5 * degree["test"]["mrr"] > 3 * found["chance"]["mrr"]
