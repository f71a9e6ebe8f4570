"""Kernels beyond the default mixture, each against its definition written out, on real graphs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from kgzsl.encoders.graph_gp import GraphGP
from kgzsl.encoders.kernels import ANCESTOR_DECAY, FURTHER, KERNELS, NodeKernels, combine
from kgzsl.encoders.laplacian import LAPLACIAN_EPSILON, Laplacian
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.graphs.views import View, stated
from kgzsl.ids import positions


@pytest.fixture(scope="module")
def animals():
    """K-ZSL's ImNet-A: 28 ImageNet classes with attributes; hypernyms and seventeen relations more."""
    from kgzsl.features import make_backbone
    from kgzsl.graphs.compile import compile_graph
    from kgzsl.tasks.methods import Knowledge
    from kgzsl.vectors import embed_texts

    graph, weights = compile_graph("kzsl-imnet-a-literals"), make_backbone("efficientnet-lite0").classifier()
    return Knowledge(graph, embed_texts(graph, "minilm-l6-v2"), weights.select([i for i in weights.ids if i in graph]))


def _parents(graph) -> sp.csr_matrix:
    return GraphGP().view(graph).adjacency[0]


def _above(parents: sp.csr_matrix) -> np.ndarray:
    """Distance to every ancestor by repeated dense products; −1 where there is no path."""
    edges = parents.toarray() > 0
    distance = np.where(np.eye(len(edges)) > 0, 0, -1)
    reached, step = np.eye(len(edges)) > 0, 0
    while True:
        step += 1
        new = ((reached & (distance == step - 1)).astype(float) @ edges > 0) & (distance < 0)
        if not new.any():
            return distance
        distance[new] = step
        reached |= new


def test_lin_is_the_content_of_the_lowest_common_ancestor_on_a_tree(world):
    """The carnivores are a tree: gains of common ancestors add up to IC of the lowest one (Resnik), here over the geometric mean."""
    parents = _parents(world.graph)
    assert parents.sum(axis=1).max() == 1
    distance = _above(parents)
    content = np.log(len(distance) / (distance >= 0).sum(axis=0))
    nodes = np.arange(0, len(distance), 5)
    features = NodeKernels(parents, {"text": world.vectors.matrix}, nodes, ("lin",))
    found = features.similarities(nodes)["lin"].numpy()
    for i, u in enumerate(nodes):
        for j, v in enumerate(nodes):
            common = np.flatnonzero((distance[u] >= 0) & (distance[v] >= 0))
            lowest = common[np.argmin(distance[u][common])] if len(common) else None
            norm = np.sqrt(content[u] * content[v])
            expected = content[lowest] / norm if lowest is not None and norm > 0 else 0.0
            assert found[i, j] == pytest.approx(expected, abs=1e-5)


def test_descendants_are_shared_by_a_node_and_those_above_it(world):
    parents = _parents(world.graph)
    below = (_above(parents) >= 0).T.astype(float)
    nodes = np.arange(0, len(below), 3)
    features = NodeKernels(parents, {"text": world.vectors.matrix}, nodes, ("shared_descendants",))
    unit = below / np.linalg.norm(below, axis=1, keepdims=True)
    np.testing.assert_allclose(features.similarities(nodes)["shared_descendants"].numpy(), unit[nodes] @ unit[nodes].T, atol=1e-5)


@pytest.mark.data
def test_profiles_are_neighbours_in_common_inherited_and_rare_ones_first():
    from kgzsl.graphs.compile import compile_graph

    graph = compile_graph("awa")
    parents, edges = _parents(graph), stated(graph, ["has_attribute"])
    distance = _above(parents)
    decay = np.where(distance >= 0, ANCESTOR_DECAY ** np.maximum(distance, 0), 0.0)
    joined = np.hstack([edges.toarray(), edges.toarray().T])
    rows = decay @ joined / np.sqrt(np.maximum((joined != 0).sum(axis=0), 1))
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    some = np.arange(0, len(graph.ids), 4)
    features = NodeKernels(parents, {"text": np.eye(len(graph.ids))}, some, ("profile:has_attribute",), {"has_attribute": edges})
    np.testing.assert_allclose(features.similarities(some)["profile:has_attribute"].numpy(), rows[some] @ rows[some].T, atol=1e-5)
    antelope, bat, deer = graph.positions(["awa:antelope", "awa:blue+whale", "awa:deer"])
    near, far = rows[antelope] @ rows[deer], rows[antelope] @ rows[bat]
    assert near > far + 0.2


@pytest.mark.parametrize("factorise", [True, False])
def test_laplacian_solvers_equal_the_dense_inverse(world, factorise):
    """Also with nodes that have no edge."""
    edges = _parents(world.graph).tolil()
    edges[:7], edges[:, :7] = 0, 0
    edges = sp.csr_matrix(edges)
    dense = (edges + edges.T).toarray() > 0
    roots = 1 / np.sqrt(np.maximum(dense.sum(axis=1), 1))
    inverse = np.linalg.inv((1 + LAPLACIAN_EPSILON) * np.eye(len(dense)) - roots[:, None] * dense * roots)
    rows, of = np.array([3, 1, 40, 200, 12]), np.array([200, 3, 12, 5])
    laplacian = Laplacian(edges, factorise=factorise)
    assert laplacian.factorised is factorise
    np.testing.assert_allclose(laplacian.columns(of, rows), inverse[np.ix_(rows, of)], atol=2e-6)
    np.testing.assert_allclose(laplacian.diagonal(rows), np.diag(inverse)[rows], atol=2e-6)


@pytest.mark.data
def test_a_hierarchy_is_factorised_and_a_denser_graph_is_not():
    from kgzsl.graphs.compile import compile_graph

    pairs = compile_graph("compositions-fashion")
    assert Laplacian(_parents(compile_graph("birds"))).factorised
    assert not Laplacian(stated(pairs, [r.id for r in pairs.relations])).factorised


@pytest.mark.data
def test_every_kernel_is_positive_semidefinite_and_knows_its_diagonal(animals):
    graph = animals.graph
    names = (*(k for k in (*KERNELS, *FURTHER) if "descriptions" not in k), "profile:imnet-a:hasTail", "laplacian:imnet-a:hasColor")
    relations = {r: stated(graph, [r]) for r in ("imnet-a:hasTail", "imnet-a:hasColor")}
    rows = np.arange(len(graph.ids))
    features = NodeKernels(_parents(graph), {"text": animals.vectors.matrix}, rows, names, relations)
    between, own = features.similarities(rows), features.own(rows)
    for name in names:
        scales = torch.tensor([[2.0, 1.0]]).log()
        kernel = combine(between, [name], torch.zeros(1), scales).double().numpy()
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-5)
        assert np.linalg.eigvalsh((kernel + kernel.T) / 2).min() > -1e-4 * np.abs(kernel).max(), name
        np.testing.assert_allclose(combine(own, [name], torch.zeros(1), scales).numpy()[:, 0], np.diag(kernel), atol=1e-5, err_msg=name)


@pytest.mark.data
def test_rows_asked_for_equal_those_of_all_nodes(animals):
    graph, names = animals.graph, ("text", "ancestor_text", "laplacian", "laplacian:any", "profile:any")
    relations = {"any": stated(graph, [r.id for r in graph.relations])}
    seen, some = np.arange(3, 60, 4), np.array([7, 150, 3, 99])
    blocks = {"text": animals.vectors.matrix}
    everything = NodeKernels(_parents(graph), blocks, seen, names, relations).similarities(some)
    for name, value in NodeKernels(_parents(graph), blocks, seen, names, relations, some).similarities(some).items():
        torch.testing.assert_close(value, everything[name], atol=1e-6, rtol=1e-5)


@pytest.mark.data
@pytest.mark.parametrize("kernel", ["profile:any", "laplacian:any", "lin"])
def test_each_kernel_alone_finds_hidden_animals(animals, tmp_path, kernel):
    """Nineteen of 28 animals are seen; also through a saved encoder."""
    from kgzsl.encoders import load_encoder

    seen, unseen = [i for n, i in enumerate(animals.weights.ids) if n % 3], list(animals.weights.ids[::3])
    encoder = GraphGP(kernels=[kernel], steps=5)
    view, true = encoder.view(animals.graph), animals.weights.rows(unseen)
    rows = encoder.fit(view, animals.vectors, animals.weights.select(seen)).encode(view, animals.vectors, unseen).matrix
    again = load_encoder(encoder.save(tmp_path / "encoder"))
    np.testing.assert_array_equal(again.encode(again.view(animals.graph), animals.vectors, unseen).matrix, rows)
    cosines = (rows @ true.T) / np.linalg.norm(rows, axis=1)[:, None] / np.linalg.norm(true, axis=1)
    assert np.diag(cosines).mean() > cosines.mean() + 0.05


def test_kernels_of_a_relation_need_its_edges(world, halves):
    encoder = GraphGP(also=["laplacian:part_meronym"])
    with pytest.raises(UnknownNameError, match="part_meronym"):
        encoder.view(world.graph)
    with pytest.raises(IncompatibleError, match="relation"):
        encoder.fit(GraphGP().view(world.graph), world.vectors, world.weights.select(halves[0]))
    with pytest.raises(InvalidInputError, match="kernels"):
        GraphGP(also=["profile:"])
    with pytest.raises(InvalidInputError, match="kernels"):
        GraphGP(also=["text"])  # which is in the mixture already
    with pytest.raises(InvalidInputError, match="descriptions"):
        GraphGP(also=["descriptions_and_ancestors"], steps=0).fit(
            GraphGP().view(world.graph), world.vectors, world.weights.select(halves[0])
        )


def test_view_of_relations_keeps_the_hypernyms_first(world):
    view = GraphGP(also=["profile:any"]).view(world.graph)
    assert isinstance(view, View) and len(view.adjacency) == 2
    assert (view.adjacency[0] != _parents(world.graph)).nnz == 0
    assert positions(view.ids[:3], world.graph.ids, "graph").tolist() == [0, 1, 2]
