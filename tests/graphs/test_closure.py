"""Ancestors by distance: against networkx, in compiled graphs, and DGP's dense graph of ImageNet."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, ancestors, closure, compile_graph
from kgzsl.graphs.closure import ancestor_pairs, closed_pairs, steps
from kgzsl.graphs.validate import validate_graph
from kgzsl.sources import Relation
from tests.graphs.tables import compiled, statements, triples

NODES = 9
edge_lists = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=26)


def columns(edges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    array = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


@settings(max_examples=200, deadline=None)
@given(
    edge_lists,
    st.one_of(st.none(), st.integers(1, 4)),
    st.one_of(st.none(), st.sets(st.integers(0, NODES - 1))),
    st.sampled_from([1, 2**26]),
)
def test_pairs_equal_networkx(edges: list[tuple[int, int]], at_most: int | None, starts: set[int] | None, cells: int) -> None:
    other = nx.DiGraph(edges)
    other.add_nodes_from(range(NODES))
    expected = [
        (a, b, d)
        for a in range(NODES)
        if starts is None or a in starts
        for b, d in sorted(nx.single_source_shortest_path_length(other, a, cutoff=at_most).items())
        if a != b
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closure, "_CELLS", cells)
        patch.setattr(closure, "_LEAST", 1 if cells == 1 else 64)  # blocks of one node, and one block
        chosen = None if starts is None else np.asarray(sorted(starts, reverse=True), dtype=np.int64)
        found = ancestor_pairs(*columns(edges), NODES, starts=chosen, at_most=at_most)
    assert list(zip(*(c.tolist() for c in found), strict=True)) == expected
    assert all(c.dtype == np.int64 for c in found)


def test_long_chains_and_rings_end() -> None:
    n = 800
    down = np.arange(n)
    descendant, ancestor, distance = ancestor_pairs(down[1:], down[:-1], n)
    assert len(distance) == n * (n - 1) // 2
    np.testing.assert_array_equal(distance, descendant - ancestor)
    descendant, ancestor, distance = ancestor_pairs(down, np.roll(down, 1), n)
    assert len(distance) == n * (n - 1)
    np.testing.assert_array_equal(distance, (descendant - ancestor) % n)


def test_nothing_has_no_ancestors() -> None:
    for n in (0, 3):
        assert [len(c) for c in ancestor_pairs(*columns([]), n)] == [0, 0, 0]
    assert [len(c) for c in ancestor_pairs(*columns([(1, 1)]), 3)] == [0, 0, 0]


def test_too_many_pairs_are_refused_before_they_fill_the_memory() -> None:
    down = np.arange(400)
    with pytest.raises(InvalidInputError, match=r"at most 1,000 pairs(.|\n)*at_most"):
        ancestor_pairs(down[1:], down[:-1], 400, most_pairs=1_000)
    assert len(ancestor_pairs(down[1:], down[:-1], 400, most_pairs=1_000, at_most=2)[0]) == 797
    with pytest.raises(InvalidInputError, match="at least 1"):
        ancestor_pairs(down[1:], down[:-1], 400, at_most=0)


DIAMOND = [
    ("cn:a", "hypernym", "cn:b"),
    ("cn:a", "hypernym", "cn:c"),
    ("cn:b", "hypernym", "cn:d"),
    ("cn:d", "hypernym", "cn:e"),
    ("cn:c", "hypernym", "cn:e"),
]


def test_a_recipe_closes_by_shortest_distance() -> None:
    graph = compiled(statements("s", [*DIAMOND, ("cn:e", "part_meronym", "cn:a")]), closure={"relation": "hypernym"})
    own = {(s, r, o) for s, r, o in DIAMOND} | {("cn:e", "part_meronym", "cn:a")}
    assert triples(graph) == own | {("cn:a", "hypernym_2", "cn:d"), ("cn:a", "hypernym_2", "cn:e"), ("cn:b", "hypernym_2", "cn:e")}
    two = next(r for r in graph.relations if r.id == "hypernym_2")
    assert (two.label, two.inverse, two.symmetric) == ("is a kind of (2 steps)", "hyponym_2", False)
    assert set(graph.weight.tolist()) == {1.0}
    assert validate_graph(graph) == []
    order = np.lexsort((graph.object, graph.relation, graph.subject))
    np.testing.assert_array_equal(order, np.arange(len(order)))


def test_the_farthest_distance_is_kept() -> None:
    chain = [(f"x:{k:02d}", "hypernym", f"x:{k + 1:02d}") for k in range(14)]
    full, cut = (compiled(statements("s", chain), closure={"relation": "hypernym", **more}) for more in ({}, {"at_most": 3}))
    assert full.counts()["relations"] == {"hypernym": 14, **{f"hypernym_{k}": 15 - k for k in range(2, 15)}}
    assert cut.counts()["relations"] == {"hypernym": 14, "hypernym_2": 13, "hypernym_3": 12}
    descendant, ancestor, distance = closed_pairs(full)
    assert len(distance) == 15 * 14 // 2
    np.testing.assert_array_equal(distance, ancestor - descendant)
    assert [r.id for r in full.relations] == sorted(r.id for r in full.relations)


def test_what_cannot_be_closed_is_refused() -> None:
    both = statements("s", [("cn:a", "hypernym", "cn:b"), ("cn:a", "similar", "cn:b")])
    with pytest.raises(UnknownNameError, match=r"hyperonym(.|\n)*choose from: hypernym, similar"):
        compiled(both, closure={"relation": "hyperonym"})
    with pytest.raises(InvalidInputError, match="symmetric"):
        compiled(both, closure={"relation": "similar"})
    twice = Relation("hypernym_2", "is a kind of (2 steps)", inverse="hyponym_2")
    with pytest.raises(InvalidInputError, match="with hypernym_2"):
        compiled(statements("s", [*DIAMOND, ("cn:a", "hypernym_2", "cn:d")], hypernym_2=twice), closure={"relation": "hypernym"})


def test_ids_of_closed_relations() -> None:
    assert steps("hypernym_3") == ("hypernym", 3)
    assert steps("hypernym_12") == ("hypernym", 12)
    assert steps("hypernym") == ("hypernym", 1)
    assert steps("part_meronym") == ("part_meronym", 1)
    assert steps("hypernym_1") == ("hypernym_1", 1)


@pytest.fixture(scope="module")
def dense() -> KnowledgeGraph:
    return compile_graph("imagenet-dense")


def test_dgps_graph_has_the_published_number_of_pairs(dense: KnowledgeGraph, imagenet: KnowledgeGraph) -> None:
    assert dense.ids == imagenet.ids
    assert len(dense) + len(dense.subject) == 200_082  # every node with itself and all its ancestors
    assert dense.counts()["relations"]["hypernym"] == 32_544
    assert {k: n for k, n in dense.counts()["relations"].items() if k in ("hypernym_2", "hypernym_13")} == {
        "hypernym_2": 32_629,
        "hypernym_13": 29,
    }
    assert validate_graph(dense) == []


def test_dgps_matrices_come_back_from_the_artifact(dense: KnowledgeGraph, imagenet: KnowledgeGraph, tmp_path: Path) -> None:
    dense.save(tmp_path / "dense.kg")
    loaded = KnowledgeGraph.load(tmp_path / "dense.kg")
    assert loaded.digest == dense.digest
    descendant, ancestor, distance = closed_pairs(loaded)
    matrices = ancestors(imagenet, 20, norm=None).adjacency
    assert len(distance) == sum(m.nnz for m in matrices[1:]) and distance.max() == 13
    for k in range(1, 21):
        found = np.flatnonzero(distance == k)
        coo = matrices[k].tocoo()
        order = np.lexsort((coo.col, coo.row))
        np.testing.assert_array_equal(descendant[found], coo.row[order])
        np.testing.assert_array_equal(ancestor[found], coo.col[order])


def test_a_closed_graph_gives_the_views_of_the_open_one(dense: KnowledgeGraph, imagenet: KnowledgeGraph) -> None:
    for one, other in zip(ancestors(dense).adjacency, ancestors(imagenet).adjacency, strict=True):
        assert (one != other).nnz == 0
    subject, obj, _ = imagenet.edges_of("hypernym")
    np.testing.assert_array_equal(dense.edges_of("hypernym")[0], subject)
    np.testing.assert_array_equal(dense.edges_of("hypernym")[1], obj)
