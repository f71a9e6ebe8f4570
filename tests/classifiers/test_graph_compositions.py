"""CGE, Co-CGE and graph_gp on real photographs: equal to the whole graph's equations, repeatable, and strict about their input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS, Knowledge, PairFeatures
from kgzsl.classifiers.compositions.cge import CGE
from kgzsl.classifiers.compositions.cocge import CoCGE
from kgzsl.classifiers.compositions.graph_gp import CompositionGP
from kgzsl.classifiers.compositions.pair_graph import PairGraph, all_pairs, graph_network
from kgzsl.errors import IncompatibleError, InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.matrices import Vectors
from kgzsl.testing.compositions import few_photographs

pytestmark = pytest.mark.data

TINY = {"embedding": 16, "image_hidden": [], "epochs": 4, "batch_size": 16, "patience": 0, "device": "cpu"}
#: Networks that may take the convolutions' place.
NETWORKS = ("sgcn", "gcnz", "gcn", "gat", "rgcn", "compgcn", "lstm", "trgcn", "gcnii")


def cge(name: str = "sgcn", cls: type[CGE] = CGE, hidden: int = 24, **settings) -> CGE:
    layers = [hidden] * (5 if name == "gcnz" else 1)
    depth = {"depth": 3} if name == "gcnii" else {}
    return cls(encoder={"name": name, "hidden": layers, **depth}, **{**TINY, **settings})


@pytest.fixture(scope="module")
def few():
    return few_photographs(2)


@pytest.fixture(scope="module")
def parts(few) -> dict[str, PairFeatures]:
    from kgzsl.features import extract, make_backbone

    try:
        matrix = extract(list(few.paths), make_backbone("efficientnet-lite0", device="cpu")).matrix
    except MissingDataError as error:
        pytest.skip(str(error))
    return {part: PairFeatures(matrix[few.rows(part)], few.labels[few.rows(part)]) for part in ("train", "val", "test")}


def known(recipe: str) -> Knowledge:
    from kgzsl.workspace import Workspace

    work = Workspace()
    graph = work.graph(recipe)
    return Knowledge(graph, work.vectors(graph))


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    return known("compositions-fashion")


@pytest.fixture(scope="module")
def outside() -> Knowledge:
    try:
        return known("compositions-fashion-wordnet")
    except MissingDataError as error:
        pytest.skip(str(error))


def whole_graph(network: torch.nn.Module, few, knowledge: Knowledge, pairs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Equation 4 of CGE over every node, dense, in double precision: rows of `pairs` `[pairs, 2]` with their edges' weights."""
    graph = knowledge.graph
    hubs = [i for i, kind in enumerate(graph.kinds) if kind != "pair"]
    place = {graph.ids[i]: n for n, i in enumerate(hubs)}
    x = knowledge.vectors.rows([graph.ids[i] for i in hubs]).astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    state = [place[f"fashion:state/{few.space.states[s]}"] for s, _ in pairs]
    obj = [place[f"fashion:object/{few.space.objects[o]}"] for _, o in pairs]
    x = np.concatenate([x, (x[state] + x[obj]) / 2])
    a = np.eye(len(x))
    for s, r, o in zip(graph.subject, graph.relation, graph.object, strict=True):
        if graph.relations[r].id == "hypernym":
            a[place[graph.ids[s]], place[graph.ids[o]]] = a[place[graph.ids[o]], place[graph.ids[s]]] = 1
    for n, (s, o, w) in enumerate(zip(state, obj, weights, strict=True), start=len(hubs)):
        for i, j in ((n, s), (n, o), (s, o)):
            a[i, j] = a[j, i] = w
    a /= a.sum(axis=1, keepdims=True)
    p = {name: value.double().numpy() for name, value in network.state_dict().items()}
    hidden = a @ x @ p["layers.0.weight"] + p["layers.0.bias"]
    out = a @ np.where(hidden > 0, hidden, 0.2 * hidden) @ p["layers.1.weight"] + p["layers.1.bias"]
    return (out / np.linalg.norm(out, axis=1, keepdims=True))[len(hubs) :]


@pytest.mark.parametrize("world", ["closed", "open"])
@pytest.mark.parametrize("where", ["knowledge", "outside"])
def test_both_ways_of_embedding_equal_the_whole_graph(few, world, where, request):
    source = request.getfixturevalue(where)
    table = np.random.default_rng(0).uniform(size=(len(few.space.states), len(few.space.objects))).astype(np.float32)
    table[0, 0] = 0
    encoder = graph_network({"name": "sgcn", "hidden": [24], "device": "cpu"})
    for weights in (None, table):
        graph = PairGraph(encoder, few.space, source, world=world, weights=weights)
        network = graph.build(16)
        network.reset(torch.Generator().manual_seed(0))
        own = np.ones(len(graph.pairs)) if weights is None else table[tuple(graph.pairs.T)]
        expected = whole_graph(network, few, source, graph.pairs, own)
        some = np.random.default_rng(1).permutation(len(graph.pairs))[:7]
        with torch.no_grad():
            np.testing.assert_allclose(network(*graph.encoding(graph.pairs)), expected, atol=1e-6)
            np.testing.assert_allclose(network(*graph.training(graph.pairs)), expected, atol=1e-6)
            np.testing.assert_allclose(network(*graph.encoding(graph.pairs[some])), expected[some], atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_learns_and_embeds_some_pairs_as_it_embeds_all(few, parts, knowledge, name):
    pytest.importorskip("torch_geometric")
    fitted = cge(name, epochs=8, learning_rate=1e-3).fit(parts["train"], few.space, knowledge)
    assert min(fitted.history["loss"]) < fitted.history["loss"][0]
    every = all_pairs(len(few.space.states), len(few.space.objects))
    whole = fitted.embed(every)
    assert torch.isfinite(whole).all() and len(whole) == 16
    torch.testing.assert_close(fitted.embed(every[[9, 2]]), whole[[9, 2]], atol=2e-6, rtol=0)
    # what is not listed changes nothing: listed pairs asked for alone have the rows that they have among all
    where = np.ravel_multi_index(tuple(few.space.pairs.T), (4, 4))
    torch.testing.assert_close(fitted.embed(few.space.pairs), whole[where], atol=2e-6, rtol=0)


def test_a_pair_of_no_list_is_embedded_alike_both_ways(few, knowledge, parts):
    space = dataclasses.replace(few.space, pairs=few.space.pairs[1:], seen=few.space.seen[1:])
    graph = PairGraph(graph_network({"name": "sgcn", "hidden": [24], "device": "cpu"}), space, knowledge)
    network = graph.build(16)
    network.reset(torch.Generator().manual_seed(0))
    every = all_pairs(4, 4)
    with torch.no_grad():
        torch.testing.assert_close(network(*graph.encoding(every)), network(*graph.training(every)), atol=1e-6, rtol=0)
        before = network(*graph.encoding(space.pairs))
        torch.testing.assert_close(before, network(*graph.training(space.pairs)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("cls", [CGE, CoCGE])
def test_one_seed_one_result(few, parts, knowledge, cls):
    one, again, other = (cge(cls=cls, seed=seed).fit(parts["train"], few.space, knowledge, parts["val"]) for seed in (0, 0, 1))
    scores = [c.scores(parts["test"].matrix, few.space.pairs) for c in (one, again, other)]
    assert np.array_equal(scores[0], scores[1]) and one.history == again.history
    assert not np.allclose(scores[0], scores[2])


def test_the_epoch_of_the_best_validation_auc_is_kept(few, parts, knowledge):
    from kgzsl.classifiers.compositions.pair_training import validation_auc

    for cls in (CGE, CoCGE):
        fitted = cge(cls=cls, epochs=6, learning_rate=3e-2).fit(parts["train"], few.space, knowledge, parts["val"])
        assert len(fitted.history["auc"]) == 6
        assert validation_auc(fitted, parts["val"], few.space) == pytest.approx(max(fitted.history["auc"]), abs=1e-9)


def test_training_photographs_are_learned(few, parts, knowledge):
    fitted = cge(hidden=128, epochs=60, learning_rate=3e-3).fit(parts["train"], few.space, knowledge)
    seen = np.flatnonzero(few.space.seen)
    best = seen[fitted.scores(parts["train"].matrix, few.space.pairs[seen]).argmax(axis=1)]
    assert (best == parts["train"].labels).mean() > 0.9


def test_features_as_they_are_without_an_embedding(few, parts, knowledge):
    fitted = cge(embedding=None).fit(parts["train"], few.space, knowledge)
    assert fitted.embed(few.space.pairs).shape == (len(few.space), parts["train"].matrix.shape[1])


def test_outside_edges_change_what_is_learned(few, parts, knowledge, outside):
    plain, more = (cge().fit(parts["train"], few.space, k).embed(few.space.pairs) for k in (knowledge, outside))
    assert not torch.allclose(plain, more, atol=1e-3)


def test_cocge_weighs_pairs_by_feasibility(few, parts, knowledge):
    fitted = cge(cls=CoCGE, epochs=3).fit(parts["train"], few.space, knowledge)
    table = fitted.feasibility
    seen = np.zeros((4, 4), dtype=bool)
    seen[tuple(few.space.pairs[few.space.seen].T)] = True
    assert np.all(table[seen] == 1) and np.all(np.abs(table) <= 1 + 1e-6) and not np.all(table[~seen] == 1)
    assert np.all(np.abs(fitted.scores(parts["test"].matrix, all_pairs(4, 4))) <= 1 + 1e-5)
    unweighted = cge(cls=CoCGE, epochs=3, weighted=False).fit(parts["train"], few.space, knowledge)
    assert not torch.allclose(fitted.embed(few.space.pairs), unweighted.embed(few.space.pairs), atol=1e-4)
    assert cge(cls=CoCGE, world="closed").fit(parts["train"], few.space, knowledge).feasibility is None


def test_a_margin_lets_feasible_unseen_pairs_off(few, parts, knowledge):
    fitted = cge(cls=CoCGE, epochs=3).fit(parts["train"], few.space, knowledge)
    fitted._set_feasibility(np.ones((4, 4), dtype=np.float32))
    rows, labels = fitted.prepared(parts["train"].matrix), torch.from_numpy(parts["train"].labels)
    losses = []
    for margin in (0.0, 0.4):
        fitted.margin = margin
        with torch.no_grad():
            losses.append(float(fitted.loss(rows, labels, torch.Generator().manual_seed(0))))
    assert losses[1] < losses[0]


def test_means_of_pairs_by_the_equations(few, parts, outside):
    fitted = CompositionGP(steps=3).fit(parts["train"], few.space, outside)
    labels = parts["train"].labels
    present, counts = np.unique(labels, return_counts=True)
    white = parts["train"].matrix.astype(np.float64) @ fitted._whiten
    means = np.stack([white[labels == p].mean(axis=0) for p in present])
    centre = (means * counts[:, None]).sum(axis=0) / counts.sum()
    kernel = {k: dict(zip(fitted._chosen, map(np.asarray, side), strict=True)) for k, side in zip("so", fitted._primitives, strict=True)}

    def k(p, q):
        one = sum(fitted.mixture[f"state.{n}"] * kernel["s"][n][p[0], q[0]] for n in fitted._chosen)
        two = sum(fitted.mixture[f"object.{n}"] * kernel["o"][n][p[1], q[1]] for n in fitted._chosen)
        both = sum(
            fitted.mixture[f"state.{a} object.{b}"] * kernel["s"][a][p[0], q[0]] * kernel["o"][b][p[1], q[1]]
            for a in fitted._chosen
            for b in fitted._chosen
        )
        return one + two + both

    seen, every = few.space.pairs[present], all_pairs(4, 4)
    gram = np.array([[k(p, q) for q in seen] for p in seen]) + np.diag(fitted.mixture["noise"] / counts)
    expected = np.array([[k(p, q) for q in seen] for p in every]) @ np.linalg.solve(gram, means - centre)
    np.testing.assert_allclose(fitted.means(every), expected, atol=1e-6 * np.abs(expected).max())
    assert fitted._chosen == ("same", "text", "graph")
    rows = parts["test"].matrix.astype(np.float64) @ fitted._whiten - centre
    density = -0.5 * np.square(rows[:, None] - expected).sum(axis=2) + 0.5 * np.square(rows).sum(axis=1)[:, None]
    np.testing.assert_allclose(fitted.scores(parts["test"].matrix, every), density, rtol=1e-4, atol=1e-3 * np.abs(density).max())


def test_the_likelihood_rises_and_kernels_need_what_they_are_of(few, parts, knowledge):
    assert CompositionGP().fit(parts["train"], few.space, None)._chosen == ("same",)
    assert CompositionGP().fit(parts["train"], few.space, knowledge)._chosen == ("same", "text")
    with pytest.raises(InvalidInputError, match="beside their pairs"):
        CompositionGP(kernels=["graph"]).fit(parts["train"], few.space, knowledge)
    with pytest.raises(InvalidInputError, match="each once"):
        CompositionGP(kernels=["hypernym"])


@pytest.mark.parametrize("classifier", [cge(), cge(cls=CoCGE, embedding=None), CompositionGP(steps=2)], ids=["cge", "cocge", "graph_gp"])
def test_state_there_and_back(few, parts, knowledge, classifier):
    fitted = classifier.fit(parts["train"], few.space, knowledge)
    again = COMPOSITION_CLASSIFIERS.make(fitted.name, fitted.settings())
    again.load_state(fitted.state(), few.space)
    pairs = all_pairs(4, 4)[::-1].copy()
    np.testing.assert_allclose(again.scores(parts["test"].matrix, pairs), fitted.scores(parts["test"].matrix, pairs), rtol=1e-4, atol=1e-4)
    broken = {k: v[:-1] for k, v in fitted.state().items()}
    with pytest.raises(InvalidInputError, match="arrays of these shapes"):
        again.load_state(broken, few.space)


@pytest.mark.parametrize("classifier", [cge(), cge(cls=CoCGE), CompositionGP()], ids=["cge", "cocge", "graph_gp"])
def test_wrong_rows_and_pairs_are_refused(few, parts, knowledge, classifier):
    train, space = parts["train"], few.space
    unseen = np.flatnonzero(~space.seen)[0]
    bad = {
        "rows of 1 unseen ones": PairFeatures(train.matrix, np.where(np.arange(len(train.labels)) == 0, unseen, train.labels)),
        "NaN": PairFeatures(np.where(np.arange(len(train.matrix))[:, None] == 0, np.nan, train.matrix), train.labels),
        "positions of pairs": PairFeatures(train.matrix, train.labels + len(space)),
        "a row of features per label": PairFeatures(train.matrix[1:], train.labels),
    }
    with pytest.raises(InvalidInputError, match="after fit"):
        classifier.scores(train.matrix, space.pairs)
    for message, rows in bad.items():
        with pytest.raises(InvalidInputError, match=message):
            classifier.fit(rows, space, knowledge)
    fitted = classifier.fit(train, space, knowledge)
    with pytest.raises(InvalidInputError, match="positions up to"):
        fitted.scores(train.matrix, np.array([[0, 99]]))
    with pytest.raises(InvalidInputError, match=r"\[pairs, 2\]"):
        fitted.scores(train.matrix, np.array([0, 1]))
    with pytest.raises(IncompatibleError, match="columns"):
        fitted.scores(train.matrix[:, 1:], space.pairs)


def test_knowledge_that_does_not_fit_is_refused(few, parts, knowledge):
    with pytest.raises(InvalidInputError, match="no knowledge"):
        cge().fit(parts["train"], few.space, None)
    strange = dataclasses.replace(few.space, states=("Black", "Blue", "Red", "Ultraviolet"))
    for classifier in (cge(), CompositionGP()):
        with pytest.raises(UnknownNameError, match="Ultraviolet"):
            classifier.fit(parts["train"], strange, knowledge)
    some = Knowledge(knowledge.graph, Vectors(knowledge.vectors.ids[:5], knowledge.vectors.matrix[:5]))
    with pytest.raises(IncompatibleError, match="has a vector"):
        cge().fit(parts["train"], few.space, some)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"world": "half"}, "closed or open"),
        ({"encoder": {"name": "dgp"}}, "graph network"),
        ({"encoder": {"name": "graph_gp"}}, "graph network"),
        ({"encoder": {"hidden": [8]}}, "name"),
        ({"encoder": {"name": "sgcn", "pooling": 1}}, "pooling"),
    ],
)
def test_settings_that_fit_refuses(few, parts, knowledge, settings, message):
    with pytest.raises((InvalidInputError, UnknownNameError), match=message):
        CGE(**{**TINY, **settings}).fit(parts["train"], few.space, knowledge)


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (CGE, {"embedding": None, "image_hidden": [8]}),
        (CGE, {"image_dropout": 1.0}),
        (CGE, {"epochs": 0}),
        (CGE, {"learning_rate": -1.0}),
        (CGE, {"precision": "float16"}),
        (CoCGE, {"scale": 0.0}),
        (CoCGE, {"update_every": 0}),
        (CompositionGP, {"shrinkage": 0.0}),
        (CompositionGP, {"learn_on": 1}),
    ],
)
def test_settings_that_the_constructor_refuses(cls, settings):
    with pytest.raises(InvalidInputError):
        cls(**settings)
