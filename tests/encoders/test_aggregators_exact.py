"""The aggregator encoders equal one-node-at-a-time Python over the graph's edges, written from the papers' equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kgzsl.encoders import ENCODERS
from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.ids import positions
from kgzsl.matrices import Vectors
from kgzsl.testing.aggregators import rows_of

TOP = [5, 3]
CASES = {
    "gcn": {},
    "gat": {},
    "lstm": {"seed": 7},
    "trgcn": {},
    "trgcn-max": {"pool": "max", "projection": 5, "feedforward": 9},
    "rgcn": {"bases": 2},
    "compgcn-corr": {"composition": "corr"},
    "compgcn-sub": {"composition": "sub", "bases": 3},
    "compgcn-mult": {"composition": "mult"},
}
MODES = {"sampled": TOP, "full": None}


@pytest.fixture(scope="module")
def small(world):
    """The carnivores' graph with the first 24 columns of their vectors: plain Python is slow."""
    return world.graph, Vectors(world.vectors.ids, world.vectors.matrix[:, :24].copy(), world.vectors.meta)


def _network(encoder, view, inputs: int = 24, outputs: int = 17):
    """An untrained network in which no parameter is zero or shared, for these would hide mistakes."""
    network = encoder.build(inputs, outputs, len(view.adjacency))
    network.reset(torch.Generator().manual_seed(3))
    noise = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=noise) * 0.2)
    encoder.network = network
    return network


def _edges(graph) -> list[list[tuple[int, int]]]:
    """For every node its `(neighbour, edge type)`: 0 what it is a kind of, 1 what is a kind of it; sorted."""
    assert [r.id for r in graph.relations] == ["hypernym"]
    near: list[set[tuple[int, int]]] = [set() for _ in graph.ids]
    for child, parent in zip(graph.subject.tolist(), graph.object.tolist(), strict=True):
        near[child].add((parent, 0))
        near[parent].add((child, 1))
    return [sorted(n) for n in near]


def _neighbours(graph, view, encoder):
    near, typed = _edges(graph), encoder.by_type
    met = sum(matrix.toarray() for matrix in view.adjacency)

    def neighbours(layer: int, v: int) -> list[tuple[int, int]]:
        pairs = near[v] if typed else sorted({(u, 0) for u, _ in near[v]})
        if encoder.neighbours is None:
            return pairs
        return sorted(pairs, key=lambda pair: (-met[v, pair[0]], pair[0]))[: encoder.neighbours[layer]]

    return neighbours


def _mixed(seed: int, v: int, u: int) -> int:
    """SplitMix64 of seed, node and neighbour, in Python's whole numbers."""
    x = seed
    for part in (v, u):
        x = ((x ^ part) + 0x9E3779B97F4A7C15) % 2**64
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
        x ^= x >> 31
    return x >> 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_equals_plain_python(case, mode, small, halves):
    graph, vectors = small
    name = case.split("-")[0]
    encoder = ENCODERS.make(name, {"hidden": [12], "neighbours": MODES[mode], "device": "cpu", **CASES[case]})
    view = encoder.view(graph)
    network = _network(encoder, view)
    options = {
        "composition": getattr(encoder, "composition", None),
        "pool": getattr(encoder, "pool", None),
        "order": lambda v, places: sorted(places, key=lambda u: _mixed(encoder.seed, v, u)),
    }
    slow = rows_of(name, encoder.state(), vectors.matrix, _neighbours(graph, view, encoder), **options)
    nodes = halves[1]
    wanted = np.stack([slow(int(v)) for v in positions(nodes, view.ids, "graph")])
    np.testing.assert_allclose(encoder.encode(view, vectors, nodes).matrix, wanted, atol=1e-5)
    assert np.std(wanted, axis=0).min() > 1e-3  # rows differ, so that equality says something
    assert not network.training


@pytest.mark.parametrize("depth", [1, 5])
def test_gcnii_equals_plain_python(depth, small, halves):
    graph, vectors = small
    encoder = ENCODERS.make("gcnii", {"hidden": [12], "depth": depth, "alpha": 0.2, "lam": 0.7, "device": "cpu"})
    view = encoder.view(graph)
    _network(encoder, view)
    near = [sorted({(u, 0) for u, _ in pairs}) for pairs in _edges(graph)]
    degree = [len(pairs) + 1 for pairs in near]
    slow = rows_of(
        "gcnii",
        encoder.state(),
        vectors.matrix,
        lambda layer, v: near[v],
        alpha=0.2,
        lam=0.7,
        weight=lambda v, u: 1 / math.sqrt(degree[v] * degree[u]),
    )
    wanted = np.stack([slow(int(v)) for v in positions(halves[1], view.ids, "graph")])
    np.testing.assert_allclose(encoder.encode(view, vectors, halves[1]).matrix, wanted, atol=1e-5)


def test_gcnii_layer_equals_that_of_pyg(small):
    geometric = pytest.importorskip("torch_geometric.nn")
    graph, vectors = small
    encoder = ENCODERS.make("gcnii", {"hidden": [24], "depth": 3, "device": "cpu"})
    view = encoder.view(graph)
    network = _network(encoder, view)
    field = encoder.field(view, view.ids)
    theirs = geometric.GCN2Conv(24, alpha=0.1, theta=0.5, layer=2)
    with torch.no_grad():
        theirs.weight1.copy_(network.layers[1].weight)
    h, initial = torch.from_numpy(vectors.matrix), torch.from_numpy(vectors.matrix).flip(0)
    edges = torch.from_numpy(np.stack([np.concatenate([graph.subject, graph.object]), np.concatenate([graph.object, graph.subject])]))
    torch.testing.assert_close(network.layers[1](h, initial, field.layers[1]), theirs(h, initial, edges), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["gcn", "gat", "lstm", "trgcn", "rgcn", "compgcn"])
def test_gradient_reaches_the_inputs(name, small, halves):
    graph, vectors = small
    encoder = ENCODERS.make(name, {"hidden": [12], "neighbours": TOP, "device": "cpu"})
    view = encoder.view(graph)
    network = _network(encoder, view)
    field = encoder.field(view, halves[1])
    inputs = encoder.inputs(vectors, field).requires_grad_()
    weight = torch.randn(len(halves[1]), 17, generator=torch.Generator().manual_seed(0))
    (network(inputs, field) * weight).sum().backward()
    assert (inputs.grad.abs().sum(dim=1) > 0).float().mean() > 0.99
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("name", ["gat", "lstm", "trgcn", "gcnii"])
def test_one_generator_decides_dropout_and_shuffles(name, small, halves):
    graph, vectors = small
    settings = {"gcnii": {"depth": 2}, "gat": {"attention_dropout": 0.5, "dropout": 0.0}, "lstm": {"dropout": 0.0}}.get(name, {})
    encoder = ENCODERS.make(name, {"hidden": [12], "device": "cpu", **settings})
    view = encoder.view(graph)
    network, field = _network(encoder, view), encoder.field(view, halves[1])
    inputs = encoder.inputs(vectors, field)
    before = torch.get_rng_state()
    first, again = (network(inputs, field, torch.Generator().manual_seed(1)) for _ in range(2))
    other = network(inputs, field, torch.Generator().manual_seed(2))
    assert torch.equal(first, again) and not torch.allclose(first, other)
    assert torch.equal(before, torch.get_rng_state())  # torch's global random numbers are left as they were


def test_fit_leaves_the_global_random_numbers_alone(small, world, halves):
    graph, vectors = small
    encoder = ENCODERS.make("gat", {"hidden": [12], "epochs": 1, "attention_dropout": 0.5, "device": "cpu"})
    before = torch.get_rng_state()
    encoder.fit(encoder.view(graph), vectors, world.weights.select(halves[0]))
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_not_among_the_top_neighbours_decides_nothing(small, halves):
    graph, vectors = small
    encoder = ENCODERS.make("gcn", {"hidden": [12], "neighbours": [2, 1], "device": "cpu"})
    view = encoder.view(graph)
    _network(encoder, view)
    node = halves[1][0]
    before = encoder.encode(view, vectors, [node]).matrix
    inside = encoder.field(view, [node]).inputs
    assert len(inside) <= 6  # 1 node + 1 neighbour, each with 2 more
    other = vectors.matrix.copy()
    other[np.setdiff1d(np.arange(len(view.ids)), inside)] = 9.0
    np.testing.assert_array_equal(encoder.encode(view, Vectors(vectors.ids, other, vectors.meta), [node]).matrix, before)
    other[inside[-1]] = -other[inside[-1]]
    assert not np.allclose(encoder.encode(view, Vectors(vectors.ids, other, vectors.meta), [node]).matrix, before)


def test_settings_are_checked(small, world, halves):
    for name, settings in {
        "trgcn": {"pool": "median"},
        "compgcn": {"composition": "add"},
        "rgcn": {"bases": 0},
        "gcnii": {"alpha": 1.5},
        "gcn": {"neighbours": [3]},
        "gat": {"neighbours": [3, 0]},
    }.items():
        with pytest.raises(InvalidInputError):
            ENCODERS.make(name, settings)
    encoder = ENCODERS.make("rgcn", {"hidden": [12], "epochs": 1, "device": "cpu"})
    view = encoder.view(small[0])
    encoder.fit(view, small[1], world.weights.select(halves[0]))
    with pytest.raises(IncompatibleError, match="edge types"):
        encoder.encode(type(view)(view.ids, view.adjacency[:1], view.name, view.graph_digest), small[1], halves[1])
