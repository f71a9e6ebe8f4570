"""Views by edge type and by random walks against slow loops, on a graph of several relations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.views import top_neighbours_view, typed, undirected
from kgzsl.graphs.walks import top_neighbours
from kgzsl.sources import Relation
from tests.graphs.tables import compiled, statements

TRIPLES = [
    ("t:cat", "hypernym", "t:animal"),
    ("t:dog", "hypernym", "t:animal"),
    ("t:animal", "hyponym", "t:cow"),
    ("t:animal", "hyponym", "t:dog"),  # the same as dog hypernym animal
    ("t:cat", "related", "t:dog"),
    ("t:cow", "part_of", "t:herd"),
    ("t:herd", "part_of", "t:herd"),
]
HAND_MADE = {
    "hypernym": Relation("hypernym", "is a", symmetric=False, inverse="hyponym"),
    "hyponym": Relation("hyponym", "has kind", symmetric=False, inverse="hypernym"),
    "related": Relation("related", "related to", symmetric=True, inverse=None),
    "part_of": Relation("part_of", "part of", symmetric=False, inverse=None),
}


@pytest.fixture(scope="module")
def graph() -> KnowledgeGraph:
    source = statements("hand", TRIPLES, **HAND_MADE)
    return compiled(source)


def slow(graph: KnowledgeGraph, forward: set[tuple[str, str]]) -> np.ndarray:
    matrix = np.zeros((len(graph.ids), len(graph.ids)), dtype=np.float32)
    for a, b in forward:
        if a != b:
            matrix[graph.ids.index(a), graph.ids.index(b)] = 1
    return matrix


def test_every_relation_and_its_inverse(graph: KnowledgeGraph) -> None:
    expected = {
        "hypernym": {("t:cat", "t:animal"), ("t:dog", "t:animal"), ("t:cow", "t:animal")},
        "part_of": {("t:cow", "t:herd")},
        "related": {("t:cat", "t:dog"), ("t:dog", "t:cat")},
    }
    view = typed(graph, ["hypernym", "part_of", "related"])
    assert len(view.adjacency) == 6
    for place, (name, pairs) in enumerate(expected.items()):
        forward = slow(graph, pairs)
        np.testing.assert_array_equal(view.adjacency[2 * place].toarray(), forward)
        np.testing.assert_array_equal(view.adjacency[2 * place + 1].toarray(), 0 * forward if name == "related" else forward.T)
    everything = typed(graph)
    assert [r.id for r in graph.relations] == ["hypernym", "hyponym", "part_of", "related"]
    assert len(everything.adjacency) == 6  # hyponym is hypernym's inverse
    for ours, theirs in zip(everything.adjacency, view.adjacency, strict=True):
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())
    with pytest.raises(UnknownNameError, match="barks_at"):
        typed(graph, ["barks_at"])
    with pytest.raises(InvalidInputError):
        typed(graph, [])


def test_top_neighbours_are_weighted_by_hitting_probability(graph: KnowledgeGraph) -> None:
    every = [r.id for r in graph.relations]
    plain = undirected(graph, every, self_loops=False, norm=None).adjacency[0].toarray()
    np.fill_diagonal(plain, 0)
    walked = top_neighbours((plain > 0).astype(int), steps=9, restarts=4, seed=5).toarray()
    view = top_neighbours_view(graph, None, steps=9, restarts=4, seed=5)
    np.testing.assert_array_equal(view.adjacency[0].toarray(), walked)
    np.testing.assert_allclose(view.adjacency[0].sum(axis=1), 1, rtol=1e-6)
    best = top_neighbours_view(graph, 1, steps=9, restarts=4, seed=5).adjacency[0].toarray()
    assert (np.count_nonzero(best, axis=1) == 1).all()
    np.testing.assert_array_equal(best.max(axis=1), walked.max(axis=1))
    assert (top_neighbours_view(graph, None, seed=6).adjacency[0] != view.adjacency[0]).nnz


def test_top_neighbours_by_type_have_the_same_weights(graph: KnowledgeGraph) -> None:
    one = top_neighbours_view(graph, 2, seed=1).adjacency[0].toarray()
    kinds = top_neighbours_view(graph, 2, seed=1, by_type=True)
    for matrix, kind in zip(kinds.adjacency, typed(graph).adjacency, strict=True):
        np.testing.assert_array_equal(matrix.toarray(), one * kind.toarray())
    assert kinds.name != top_neighbours_view(graph, 2, seed=1).name


def test_a_graph_without_edges_has_empty_views(graph: KnowledgeGraph) -> None:
    none = np.zeros(0, dtype=np.int64)
    bare = dataclasses.replace(graph, subject=none, object=none, relation=none, weight=none.astype(np.float32), edge_source=none)
    assert [m.nnz for m in typed(bare).adjacency] == [0] * 6
    assert top_neighbours_view(bare).adjacency[0].nnz == 0
