"""Unsupervised encoders against slow code written from their equations, on tiny graphs and on the carnivores."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from kgzsl.encoders import ENCODERS, UnsupervisedEncoder
from kgzsl.encoders.heads import RIDGES, WIDTHS, KernelRidgeHead, _kernel
from kgzsl.encoders.kggan import NodePairs, VariationalEncoder, variational_loss
from kgzsl.encoders.link_models import corrupt, link_loss
from kgzsl.encoders.ontozsl import Structure, TextAware, energy, rarity
from kgzsl.encoders.random_walk import BLOCK, log_cooccurrence
from kgzsl.encoders.sparse import SparseOperator
from kgzsl.encoders.triples import HEAD, TAIL, Triples, stated_view
from kgzsl.errors import IncompatibleError, InvalidInputError, MissingDependencyError, UnknownNameError
from kgzsl.graphs.views import View, undirected
from kgzsl.matrices import Vectors
from kgzsl.sources import Relation
from kgzsl.testing.graphs import graph_of

CPU = torch.device("cpu")
#: A tree with a second path, and node 7 alone.
EDGES = [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (5, 1), (6, 5)]
NAMES = ["kggan", "ontozsl", "random_walk"] + (["transe", "rotate", "complex"] if find_spec("pykeen") else [])
TINY = {
    "kggan": {"views": [["hypernym"]], "hidden": 6, "latent": 3, "epochs": 4},
    "ontozsl": {"dim": 6, "projection": 4, "structure_steps": 5, "structure_batch": 4, "negatives": 3, "epochs": 2},
    "random_walk": {"dim": 4, "window": 3},
    "transe": {"dim": 4, "epochs": 2},
    "rotate": {"dim": 4, "epochs": 2, "negatives": 3},
    "complex": {"dim": 4, "epochs": 2, "negatives": 3},
}


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def graph():
    return graph_of(8, EDGES)


@pytest.fixture
def two_relations():
    """The tree, and who has which part: 3 and 6 have 4."""
    base = graph_of(8, [*EDGES, (3, 4), (6, 4)])
    relation = np.array([0] * len(EDGES) + [1, 1])
    relations = (Relation("hypernym", "is a kind of"), Relation("part_meronym", "has part"))
    return replace(base, relations=relations, relation=relation, relation_sources=("test", "test"))


def _vectors(graph, dim: int = 5) -> Vectors:
    return Vectors(graph.ids, np.random.default_rng(0).normal(size=(len(graph.ids), dim)).astype(np.float32))


# What all of them share


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_need_no_weights_and_no_others_decide_them(name, graph):
    encoder = ENCODERS.make(name, {**TINY[name], "device": "cpu"})
    assert isinstance(encoder, UnsupervisedEncoder)
    view, vectors = encoder.view(graph), _vectors(graph)
    with pytest.raises(InvalidInputError, match="fit"):
        encoder.embed(view, graph.ids)
    encoder.learn(view, vectors)
    found = encoder.embed(view, graph.ids[::-1])
    assert found.ids == graph.ids[::-1] and np.isfinite(found.matrix).all()  # the node without edges too
    with pytest.raises(InvalidInputError, match="fit"):  # there is no head yet
        encoder.encode(view, vectors, graph.ids)
    again = ENCODERS.make(name, {**TINY[name], "device": "cpu"}).learn(view, vectors)
    np.testing.assert_array_equal(again.embed(view, graph.ids[::-1]).matrix, found.matrix)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "random_walk"])
def test_another_seed_gives_other_embeddings(name, graph):
    view, rows = None, []
    for seed in (0, 1):
        encoder = ENCODERS.make(name, {**TINY[name], "device": "cpu", "seed": seed})
        view = encoder.view(graph)
        rows.append(encoder.learn(view, _vectors(graph)).embed(view, graph.ids).matrix)
    assert not np.allclose(rows[0], rows[1])


def test_a_second_fit_learns_only_the_head(world, halves, monkeypatch):
    encoder = ENCODERS.make("random_walk", {"dim": 8})
    view = encoder.view(world.graph)
    first = encoder.fit(view, world.vectors, world.weights.select(halves[0])).encode(view, world.vectors, halves[1]).matrix
    runs = []
    train = type(encoder)._train
    monkeypatch.setattr(type(encoder), "_train", lambda *a: runs.append(1) or train(*a))
    encoder.fit(encoder.view(world.graph), world.vectors, world.weights.select(halves[0][:60]))
    assert not runs and not np.allclose(encoder.encode(view, world.vectors, halves[1]).matrix, first)
    bare = View(view.ids, (view.adjacency[0] * 2,), view.name, view.graph_digest)  # other weights are another view
    encoder.fit(bare, world.vectors, world.weights.select(halves[0]))
    assert runs == [1]


def test_nodes_of_another_graph_are_refused(graph):
    encoder = ENCODERS.make("random_walk", TINY["random_walk"])
    encoder.learn(encoder.view(graph), _vectors(graph))
    other = graph_of(9, EDGES)
    with pytest.raises(IncompatibleError, match="1 other nodes"):
        encoder.embed(encoder.view(other), other.ids)
    with pytest.raises(UnknownNameError, match="t:099"):
        encoder.embed(encoder.view(graph), ["t:099"])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("kggan", {"latent": 0}),
        ("kggan", {"views": ["hypernym"]}),
        ("kggan", {"views": []}),
        ("ontozsl", {"gamma": 0.0}),
        ("ontozsl", {"negatives": 0}),
        ("random_walk", {"window": 0}),
        ("transe", {"dim": 0}),
        ("complex", {"learning_rate": 0.0}),
        ("rotate", {"optimiser": "lion"}),
    ],
)
def test_settings_out_of_range_are_refused(name, settings):
    with pytest.raises(InvalidInputError, match=r"at least|list of lists|known optimiser"):
        ENCODERS.make(name, settings)


@pytest.mark.parametrize("name", ["kggan", "ontozsl", "transe"])
def test_a_graph_without_edges_is_refused(name):
    encoder = ENCODERS.make(name, {**TINY[name], "device": "cpu"})
    empty = graph_of(4, [])
    with pytest.raises(InvalidInputError, match="edge"):
        encoder.learn(encoder.view(empty), _vectors(empty))


# The head


def test_leave_one_out_is_that_of_fitting_without_each_class(world, halves):
    rng = np.random.default_rng(0)
    rows, weights = rng.normal(size=(20, 6)), world.weights.rows(halves[0][:20]).astype(np.float64)
    goal = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    head = KernelRidgeHead().fit(rows, weights)
    centred = rows - rows.mean(axis=0)
    scaled = centred / np.sqrt((centred**2).sum(axis=1).mean())
    assert set(head.tried) == {(w, r) for w in WIDTHS for r in RIDGES}
    for (width, ridge), score in list(head.tried.items())[::5]:
        kernel = _kernel(scaled, scaled, width)
        cosines = []
        for i in range(20):
            rest = [j for j in range(20) if j != i]
            system = kernel[np.ix_(rest, rest)] + ridge * np.mean(np.diag(kernel)) * np.eye(19)
            left_out = kernel[i, rest] @ np.linalg.solve(system, goal[rest])
            cosines.append(left_out @ goal[i] / np.linalg.norm(left_out))
        assert score == pytest.approx(np.mean(cosines), abs=1e-5)
    chosen = max(head.tried, key=head.tried.__getitem__)
    assert head.state()["width"][0] == chosen[0]


def test_kernel_equals_its_definition():
    a, b = np.random.default_rng(1).normal(size=(4, 3)), np.random.default_rng(2).normal(size=(5, 3))
    squared = [[sum((x - y) ** 2 for x, y in zip(p, q, strict=True)) for q in b] for p in a]
    np.testing.assert_allclose(_kernel(a, b, 0.3), 1 + np.exp(-np.array(squared) / 1.2))
    np.testing.assert_allclose(_kernel(a, b, 0.0), 1 + np.array([[sum(p * q) for q in b] for p in a]))


def test_equal_embeddings_predict_the_mean_weight():
    weights = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    head = KernelRidgeHead().fit(np.ones((3, 4)), weights)
    np.testing.assert_allclose(head.predict(np.ones((2, 4))), np.full((2, 2), math.sqrt(0.5)), atol=1e-6)


def test_a_damaged_head_is_refused():
    head = KernelRidgeHead().fit(np.eye(3), np.eye(3))
    with pytest.raises(InvalidInputError, match="dual"):
        KernelRidgeHead().load_state({k: v for k, v in head.state().items() if k != "dual"})
    with pytest.raises(InvalidInputError, match="fit together"):
        KernelRidgeHead().load_state({**head.state(), "dual": np.zeros((2, 3))})
    with pytest.raises(InvalidInputError, match="at least 2"):
        KernelRidgeHead().fit(np.eye(1), np.eye(1))


# random_walk


def test_cooccurrence_equals_dense_matrix_powers(graph):
    adjacency = undirected(graph, self_loops=False, norm=None).adjacency[0].toarray().astype(np.float64)
    window, negatives = 3, 1
    degree = adjacency.sum(axis=1)
    inverse = np.diag([1 / d if d else 0.0 for d in degree])
    total = sum(np.linalg.matrix_power(inverse @ adjacency, r) for r in range(1, window + 1))
    expected = np.log(np.maximum(1.0, degree.sum() / (negatives * window) * total @ inverse))
    found = log_cooccurrence(sp.csr_matrix(adjacency), window, negatives)
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-5)
    assert expected.any() and not found[7].nnz


def test_blocks_join_without_a_seam():
    """A ring longer than a block: every node has the same co-occurrences around it."""
    n = BLOCK + 40
    step = sp.csr_matrix((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))
    matrix = log_cooccurrence(step + step.T, window=3).tocoo()
    offsets = (matrix.col - matrix.row) % n
    for offset in (0, 1, 2, 3, n - 1):
        values = matrix.data[offsets == offset]
        assert len(values) == n
        np.testing.assert_allclose(values, values[0], rtol=1e-5)


def test_random_walk_embeddings_are_the_largest_eigenpairs(graph):
    encoder = ENCODERS.make("random_walk", {"dim": 5, "window": 3})
    view = encoder.view(graph)
    rows = encoder.learn(view, _vectors(graph)).embed(view, graph.ids).matrix
    values, basis = np.linalg.eigh(log_cooccurrence(view.adjacency[0], 3).toarray())
    largest = np.argsort(-np.abs(values))[:5]
    expected = (basis[:, largest] * np.abs(values[largest])) @ basis[:, largest].T
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-4)
    np.testing.assert_allclose(rows[7], 0, atol=1e-6)
    with pytest.raises(InvalidInputError, match="lower `dim`"):
        ENCODERS.make("random_walk", {"dim": 8}).learn(view, _vectors(graph))


# kggan


def test_variational_encoder_equals_geometrics_convolutions(graph):
    from torch_geometric.nn import GCNConv

    matrix = undirected(graph, self_loops=True, norm="symmetric").adjacency[0]
    rows = torch.from_numpy(_vectors(graph).matrix)
    network = VariationalEncoder(5, 6, 3)
    network.reset(_generator())
    mean, deviation = network(torch.from_numpy(matrix @ rows.numpy()), SparseOperator.from_scipy([matrix], CPU))
    both = torch.tensor(EDGES + [(b, a) for a, b in EDGES]).T
    first, second, third = GCNConv(5, 6, bias=False), GCNConv(6, 3, bias=False), GCNConv(6, 3, bias=False)
    for layer, weight in ((first, network.first), (second, network.mean), (third, network.deviation)):
        layer.lin.weight.data = weight.data.T.contiguous()
    hidden = torch.relu(first(rows, both))
    torch.testing.assert_close(mean, second(hidden, both))
    torch.testing.assert_close(deviation, third(hidden, both))


def test_variational_loss_equals_its_terms_added_up(graph):
    from torch_geometric.nn import VGAE

    matrix = undirected(graph, self_loops=True, norm="symmetric").adjacency[0]
    pairs = NodePairs(matrix, CPU)
    assert {tuple(sorted(p)) for p in pairs.edges.T.tolist()} == {tuple(sorted(e)) for e in EDGES}
    rng = np.random.default_rng(0)
    mean, deviation = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
    loss = variational_loss(VGAE(torch.nn.Identity()), torch.tensor(mean), torch.tensor(deviation), pairs, _generator(4))
    twin = _generator(4)
    noise = torch.empty(8, 3, dtype=torch.float64).normal_(generator=twin).numpy()
    codes = mean + noise * np.exp(deviation)
    without = pairs.without_edge(twin).T.tolist()

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    expected = -np.mean([math.log(sigmoid(codes[i] @ codes[j]) + 1e-15) for i, j in pairs.edges.T.tolist()])
    expected -= np.mean([math.log(1 - sigmoid(codes[i] @ codes[j]) + 1e-15) for i, j in without])
    for m, s in zip(mean, deviation, strict=True):
        expected -= 0.5 * sum(1 + 2 * s[k] - m[k] ** 2 - math.exp(s[k]) ** 2 for k in range(3)) / 8 / 8
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_pairs_without_an_edge_have_none(graph):
    pairs, generator = NodePairs(undirected(graph).adjacency[0], CPU), _generator()
    edges, seen = {frozenset(e) for e in EDGES}, set()
    for _ in range(200):
        drawn = {frozenset(p) for p in pairs.without_edge(generator).T.tolist()}
        assert not drawn & edges and all(len(p) == 2 for p in drawn)
        seen |= drawn
    assert len(seen) == 8 * 7 // 2 - len(EDGES)  # and every other pair comes up


def test_training_lowers_the_loss_and_brings_neighbours_together(world):
    encoder = ENCODERS.make("kggan", {"views": [["hypernym"]], "hidden": 16, "latent": 8, "epochs": 80, "device": "cpu"})
    view = encoder.view(world.graph)
    rows = encoder.learn(view, world.vectors).embed(view, world.graph.ids).matrix
    inner = rows @ rows.T
    edges = inner[world.graph.subject, world.graph.object]
    assert edges.mean() > inner.mean() + inner.std()


def test_two_views_lie_side_by_side(two_relations):
    settings = {"hidden": 6, "latent": 3, "epochs": 4, "device": "cpu"}
    encoder, vectors = ENCODERS.make("kggan", settings), _vectors(two_relations)
    view = encoder.view(two_relations)
    rows = encoder.learn(view, vectors).embed(view, two_relations.ids).matrix
    assert len(view.adjacency) == 2 and rows.shape == (8, 6)
    alone = ENCODERS.make("kggan", {**settings, "views": [["hypernym"]]})
    np.testing.assert_array_equal(alone.learn(alone.view(two_relations), vectors).embed(view, two_relations.ids).matrix, rows[:, :3])


def test_one_kind_of_relation_is_no_two_views(graph):
    with pytest.raises(InvalidInputError, match=r"views: \[\[hypernym\]\]"):
        ENCODERS.make("kggan").view(graph)
    with pytest.raises(UnknownNameError, match="part_meronym"):
        ENCODERS.make("kggan", {"views": [["hypernym"], ["part_meronym"]]}).view(graph)


def test_published_settings_are_the_defaults():
    settings = {name: ENCODERS.make(name).settings() for name in ("kggan", "ontozsl")}
    kggan, onto = settings["kggan"], settings["ontozsl"]
    assert (kggan["hidden"], kggan["latent"], kggan["learning_rate"], kggan["epochs"]) == (150, 50, 0.01, 1500)
    assert (onto["margin"], onto["projection"], onto["epochs"], onto["gamma"], onto["negatives"]) == (10, 100, 1000, 12, 1024)


# ontozsl


def test_energy_is_the_sum_of_five_distances():
    rng = np.random.default_rng(0)
    head, tail, link = rng.normal(size=(3, 8)), rng.normal(size=(3, 8)), rng.normal(size=(3, 4))
    expected = []
    for h, r, t in zip(head, link, tail, strict=True):
        hs, hi, ts, ti = h[:4], h[4:], t[:4], t[4:]
        pairs = [(hs, ts), (hi, ts), (hs, ti), (hi, ti), (hs + hi, ts + ti)]
        expected.append(sum(abs(a[k] + r[k] - b[k]) for a, b in pairs for k in range(4)))
    np.testing.assert_allclose(energy(*(torch.tensor(x) for x in (head, link, tail))), expected)


def test_text_loss_equals_hinges_one_by_one(two_relations):
    view = stated_view(two_relations)
    triples, generator = Triples.of(view, CPU), _generator(2)
    structure = Structure(8, 2, 6, 12.0)
    structure.reset(generator)
    texts = torch.from_numpy(_vectors(two_relations).matrix)
    network = TextAware(6, 5, 4)
    network.reset(generator)
    wrong_tail, wrong_head = (triples.corrupted(triples.all, side, generator) for side in (TAIL, HEAD))
    loss = network.loss(structure, texts, triples.all, wrong_tail, wrong_head, 3.0)
    w, b, v, c = (p.detach().numpy().astype(np.float64) for p in network.parameters())
    nodes, links = (p.detach().numpy().astype(np.float64) for p in structure.parameters())

    def cost(h: int, r: int, t: int) -> float:
        (hs, hi), (ts, ti) = ((np.tanh(w @ nodes[x] + b), np.tanh(v @ texts[x].numpy() + c)) for x in (h, t))
        link = np.tanh(w @ links[r] + b)
        return sum(np.abs(d).sum() for d in (hs + link - ts, hi + link - ts, hs + link - ti, hi + link - ti, hs + hi + link - ts - ti))

    expected = 0.0
    for right, tail, head in zip(triples.all.tolist(), wrong_tail.tolist(), wrong_head.tolist(), strict=True):
        expected += max(0.0, 3.0 + cost(*right) - cost(*tail)) + max(0.0, 3.0 + cost(*right) - cost(*head))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("side", [HEAD, TAIL])
def test_structure_loss_equals_one_triple_at_a_time(two_relations, side):
    triples, temperature = Triples.of(stated_view(two_relations), CPU), 0.7
    structure = Structure(8, 2, 6, 12.0)
    structure.reset(_generator(1))
    torch.nn.init.normal_(structure.nodes, generator=_generator(2))
    batch, others, weights = triples.all, torch.tensor([0, 1, 4, 7]), rarity(triples)
    known = {tuple(t) for t in triples.all.tolist()}
    true = torch.tensor([[(*t[:side], o, *t[side + 1 :]) in known for o in others.tolist()] for t in batch.tolist()])
    assert true.any() and torch.equal(
        true, triples.known(*(others[None] if place == side else batch[:, place, None] for place in (0, 1, 2)))
    )
    loss = structure.loss(batch, others, side, true, weights, temperature)
    nodes, links = (p.detach().numpy().astype(np.float64) for p in structure.parameters())

    def score(h: int, r: int, t: int) -> float:
        return 12.0 - np.abs(nodes[h] + links[r] - nodes[t]).sum()

    def log_sigmoid(x: float) -> float:
        return -math.log1p(math.exp(-x))

    total = 0.0
    for triple, weight in zip(batch.tolist(), weights.tolist(), strict=True):
        wrong = [s for s in ((*triple[:side], o, *triple[side + 1 :]) for o in others.tolist()) if s not in known]
        shares = [math.exp(temperature * score(*s)) for s in wrong]
        against = sum(p / sum(shares) * log_sigmoid(-score(*s)) for p, s in zip(shares, wrong, strict=True))
        total -= weight * (log_sigmoid(score(*triple)) + against)
    assert float(loss.detach()) == pytest.approx(total / (2 * float(weights.sum())), rel=1e-5)


def test_rare_triples_weigh_more(two_relations):
    triples = Triples.of(stated_view(two_relations), CPU)
    listed = triples.all.tolist()
    for (h, r, t), weight in zip(listed, rarity(triples).tolist(), strict=True):
        beside = sum(x[:2] == [h, r] for x in listed) + sum(x[1:] == [r, t] for x in listed)
        assert weight == pytest.approx((6 + beside) ** -0.5)


def test_where_every_node_makes_a_true_triple_the_loss_is_finite():
    structure = Structure(2, 1, 3, 12.0)
    structure.reset(_generator())
    batch, others = torch.tensor([[0, 0, 1]]), torch.tensor([1])
    loss = structure.loss(batch, others, TAIL, torch.tensor([[True]]), torch.ones(1), 1.0)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(structure.nodes.grad).all()


# Triples


def test_triples_are_those_of_the_graph_whatever_the_layout(two_relations):
    view = stated_view(two_relations)
    triples = Triples.of(view, CPU)
    stated = zip(two_relations.subject, two_relations.relation, two_relations.object, strict=True)
    assert sorted(map(tuple, triples.all.tolist())) == sorted((int(a), int(b), int(c)) for a, b, c in stated)
    turned = tuple(
        sp.csr_matrix(sp.coo_matrix((m.data[::-1], (m.tocoo().row[::-1], m.tocoo().col[::-1])), m.shape)) for m in view.adjacency
    )
    assert torch.equal(Triples.of(View(view.ids, turned, view.name, view.graph_digest), CPU).all, triples.all)


def test_corrupted_triples_are_false_and_differ_at_one_place(two_relations):
    triples, generator = Triples.of(stated_view(two_relations), CPU), _generator()
    known = {tuple(t) for t in triples.all.tolist()}
    for side, kept in ((HEAD, (1, 2)), (TAIL, (0, 1))):
        batch = triples.all.repeat(50, 1)
        wrong = triples.corrupted(batch, side, generator)
        assert torch.equal(wrong[:, kept], batch[:, kept])
        true = sum(tuple(t) in known for t in wrong.tolist())
        assert true / len(wrong) < 0.02  # at most two of eight nodes fit, four times in a row: 0.4 %
    assert len(set(wrong[:, TAIL].tolist())) == 8


def test_batches_hold_every_triple_once(two_relations):
    triples = Triples.of(stated_view(two_relations), CPU)
    batches = triples.batches(4, _generator())
    assert [len(b) for b in batches] == [4, 4, 1]
    assert sorted(torch.cat(batches).tolist()) == sorted(triples.all.tolist())


def test_relations_are_chosen_by_name(two_relations):
    assert len(Triples.of(stated_view(two_relations, ["part_meronym"]), CPU)) == 2
    with pytest.raises(UnknownNameError, match="hypernym"):
        stated_view(two_relations, ["hyponym"])
    with pytest.raises(InvalidInputError, match="at least one relation"):
        stated_view(two_relations, [])


# Link models


@pytest.mark.skipif(find_spec("pykeen") is not None, reason="PyKEEN is installed")
def test_without_pykeen_the_extra_is_named(graph):
    encoder = ENCODERS.make("transe", {"device": "cpu"})
    with pytest.raises(MissingDependencyError, match=r"kgzsl\[kge\]"):
        encoder.learn(encoder.view(graph), _vectors(graph))


def test_corruption_takes_either_end(two_relations):
    triples = Triples.of(stated_view(two_relations), CPU)
    wrong = corrupt(triples, triples.all, 40, _generator())
    same = (wrong == triples.all[:, None]).float().mean(dim=(0, 1))
    assert same[1] == 1.0 and 0.4 < same[0] < 0.7 and 0.4 < same[2] < 0.7
    assert not torch.equal(wrong[:, 0], wrong[:, 1])


needs_pykeen = pytest.mark.skipif(find_spec("pykeen") is None, reason="PyKEEN (the extra `kge`) is not installed")


@needs_pykeen
@pytest.mark.parametrize("name", ["transe", "rotate", "complex"])
def test_link_loss_equals_the_papers_equations(two_relations, name):
    encoder = ENCODERS.make(name, {**TINY[name], **({"regularisation": 0.0} if name == "complex" else {}), "device": "cpu"})
    triples = Triples.of(stated_view(two_relations), CPU)
    before = torch.random.get_rng_state()
    model = encoder._untrained(triples)
    assert torch.equal(torch.random.get_rng_state(), before)  # the global generator stays as it was
    batch, wrong = triples.all, corrupt(triples, triples.all, encoder.negatives, _generator())
    loss = float(link_loss(model, batch, wrong).detach())
    nodes = model.entity_representations[0](indices=None).detach().numpy()
    links = model.relation_representations[0](indices=None).detach().numpy()

    def score(h: int, r: int, t: int) -> float:
        if name == "transe":
            return -np.abs(nodes[h] + links[r] - nodes[t]).sum()
        if name == "rotate":
            return -np.sqrt((np.abs(nodes[h] * links[r] - nodes[t]) ** 2).sum())
        return float((nodes[h] * links[r] * nodes[t].conj()).sum().real)

    pairs = list(zip(batch.tolist(), wrong.tolist(), strict=True))
    if name == "transe":
        expected = sum(max(0.0, 1.0 - score(*right) + score(*s)) for right, others in pairs for s in others)
    elif name == "rotate":
        expected = 0.0
        for right, others in pairs:
            scores = [score(*s) for s in others]
            shares = [math.exp(encoder.temperature * x) for x in scores]
            against = sum(p / sum(shares) * math.log1p(math.exp(6.0 + x)) for p, x in zip(shares, scores, strict=True))
            expected += (math.log1p(math.exp(-6.0 - score(*right))) + against) / 2 / len(pairs)
    else:
        terms = [math.log1p(math.exp(-score(*right))) for right, _ in pairs]
        terms += [math.log1p(math.exp(score(*s))) for _, others in pairs for s in others]
        expected = np.mean(terms)
    assert loss == pytest.approx(expected, rel=1e-5)


@needs_pykeen
def test_regularisation_is_part_of_the_loss(two_relations):
    triples, losses = Triples.of(stated_view(two_relations), CPU), []
    for weight in (0.0, 0.1, 0.2):
        model = ENCODERS.make("complex", {**TINY["complex"], "regularisation": weight})._untrained(triples)
        losses.append(float(link_loss(model, triples.all, corrupt(triples, triples.all, 2, _generator())).detach()))
    assert losses[1] > losses[0] and losses[2] - losses[0] == pytest.approx(2 * (losses[1] - losses[0]), rel=1e-4)


@needs_pykeen
def test_complex_vectors_become_real_and_imaginary_columns(graph):
    encoder = ENCODERS.make("complex", {**TINY["complex"], "device": "cpu"})
    view = encoder.view(graph)
    assert encoder.learn(view, _vectors(graph)).embed(view, graph.ids).dim == 8
