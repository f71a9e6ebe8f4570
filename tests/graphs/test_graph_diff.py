"""What two graphs differ in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.diff import diff_graphs, format_diff
from kgzsl.sources import Relation
from kgzsl.testing.graphs import graph_of
from kgzsl.testing.mixed import mixed

EDGES = [(1, 0), (2, 0), (3, 1), (3, 2)]


def triples(graph: KnowledgeGraph) -> dict[tuple[str, str, str], float]:
    columns = zip(graph.subject.tolist(), graph.relation.tolist(), graph.object.tolist(), graph.weight.tolist(), strict=True)
    return {(graph.ids[s], graph.relations[r].id, graph.ids[o]): w for s, r, o, w in columns}


def test_a_graph_equals_itself() -> None:
    graph = mixed()
    record = diff_graphs(graph, mixed())
    assert record["equal"] and record["same_manifest"]
    assert (record["nodes"]["same"], record["edges"]["same"], record["relations"]["same"]) == (9, 10, 5)
    assert "equal: the same nodes" in format_diff(record)
    json.dumps(record, allow_nan=False)


def test_a_manifest_alone_may_differ() -> None:
    graph = mixed()
    other = replace(graph, manifest={**graph.manifest, "builder": "kgzsl 9", "recipe": {"name": "x", "sources": [{"reader": "a"}]}})
    record = diff_graphs(graph, other)
    assert record["equal"] and not record["same_manifest"]
    assert record["manifest"] == {"builder": [None, "kgzsl 9"], "recipe.name": [None, "x"], "recipe.sources.0.reader": [None, "a"]}
    assert "the manifests differ" in format_diff(record)


def test_one_more_source_moves_none_of_the_others() -> None:
    graph = mixed()
    first = {"name": "aaa", "version": "2", "licence": "CC0", "files": {}}
    other = replace(graph, manifest={**graph.manifest, "sources": [*graph.manifest["sources"], first]})
    assert set(diff_graphs(graph, other)["manifest"]) == {f"sources.aaa.{k}" for k in first}


@pytest.mark.parametrize(
    ("change", "part", "counts"),
    [
        ({"labels": ("x", *graph_of(5, EDGES).labels[1:])}, "nodes", (0, 0, 1)),
        ({"kinds": ("individual",) * 5}, "nodes", (0, 0, 5)),
        ({"texts": ("", *graph_of(5, EDGES).texts[1:])}, "nodes", (0, 0, 1)),
        ({"node_sources": ("other", *["test"] * 4)}, "nodes", (0, 0, 1)),
        ({"ids": ("s:0", "t:001", "t:002", "t:003", "t:004")}, "nodes", (1, 1, 0)),
        ({"weight": np.array([1, 2, 1, 1], dtype=np.float32)}, "edges", (0, 0, 1)),
        ({"object": np.array([0, 0, 0, 2])}, "edges", (1, 1, 0)),
        ({"relations": (Relation("hypernym", "is under"),)}, "relations", (0, 0, 1)),
        ({"relations": (Relation("part", "is a kind of"),)}, "relations", (1, 1, 0)),
    ],
)
def test_every_kind_of_change_is_seen(change: dict[str, object], part: str, counts: tuple[int, int, int]) -> None:
    before = graph_of(5, EDGES)
    after = replace(before, **change)  # type: ignore[arg-type]
    record = diff_graphs(before, after)
    assert tuple(record[part][k] for k in ("added", "removed", "changed")) == counts
    assert not record["equal"]
    back = diff_graphs(after, before)
    assert tuple(back[part][k] for k in ("removed", "added", "changed")) == counts
    assert f"{part}: {counts[0]} added, {counts[1]} removed, {counts[2]} changed" in format_diff(record)


def test_examples_say_what_was_and_is() -> None:
    before = graph_of(5, EDGES)
    after = replace(before, labels=("x", *before.labels[1:]), weight=np.array([1, np.nan, 0.1, 1], dtype=np.float32))
    record = diff_graphs(before, after)
    assert record["nodes"]["examples"]["changed"] == [{"id": "t:000", "label": ["node 0", "x"]}]
    assert record["edges"]["examples"]["changed"] == [
        {"edge": ["t:002", "hypernym", "t:000"], "weight": [1.0, "nan"]},
        {"edge": ["t:003", "hypernym", "t:001"], "weight": [1.0, 0.1]},
    ]
    assert record["edges"]["changed_columns"] == {"weight": 2}
    json.dumps(record, allow_nan=False)
    assert diff_graphs(after, after)["equal"], "NaN is what it was"


def test_sources_of_edges_are_compared_by_name() -> None:
    graph = mixed()
    swapped = replace(
        graph, edge_source=1 - graph.edge_source, manifest={**graph.manifest, "sources": list(reversed(graph.manifest["sources"]))}
    )
    assert diff_graphs(graph, swapped)["equal"]
    moved = diff_graphs(graph, replace(graph, edge_source=np.zeros_like(graph.edge_source)))
    assert moved["edges"]["changed_columns"] == {"source": 7}
    assert moved["edges"]["by_source"] == {"words": {"added": 0, "removed": 0, "changed": 7}}


def test_counts_go_on_beyond_the_examples() -> None:
    record = diff_graphs(graph_of(3, [(1, 0)]), graph_of(900, [(i, 0) for i in range(1, 900)]), examples=2)
    assert (record["nodes"]["added"], record["edges"]["added"], record["edges"]["same"]) == (897, 898, 1)
    assert record["edges"]["examples"]["added"] == [["t:002", "hypernym", "t:000"], ["t:003", "hypernym", "t:000"]]
    assert "+ … 896 more" in format_diff(record, 2)
    with pytest.raises(InvalidInputError):
        diff_graphs(graph_of(3, []), graph_of(3, []), examples=-1)


def test_keys_of_very_many_nodes_do_not_overflow(monkeypatch: pytest.MonkeyPatch) -> None:
    from kgzsl.graphs import diff

    graphs = graph_of(5, EDGES), graph_of(5, [*EDGES[1:], (4, 0)])
    narrow = diff_graphs(*graphs)
    monkeypatch.setattr(diff, "KEY_LIMIT", 10)
    assert diff_graphs(*graphs) == narrow
    assert narrow["edges"]["examples"]["added"] == [["t:004", "hypernym", "t:000"]]


@pytest.mark.data
def test_birds_against_imagenet(imagenet: KnowledgeGraph, birds: KnowledgeGraph) -> None:
    record = diff_graphs(imagenet, birds, examples=10**6)
    old, new = triples(imagenet), triples(birds)
    assert (record["edges"]["added"], record["edges"]["removed"]) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
    assert {tuple(e) for e in record["edges"]["examples"]["added"]} == new.keys() - old.keys()
    assert {n["id"] for n in record["nodes"]["examples"]["removed"]} == set(imagenet.ids) - set(birds.ids)
    assert (
        record["nodes"]["by_kind"]["concept"]["removed"] + record["nodes"]["by_kind"]["individual"]["removed"] == record["nodes"]["removed"]
    )
    assert record["nodes"]["same"] == len(set(imagenet.ids) & set(birds.ids))
