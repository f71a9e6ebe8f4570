"""Nodes under other ids: nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import rename_nodes
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.tasks.methods import Knowledge


def test_edges_labels_and_texts_follow_the_node(world: Knowledge, tmp_path: Path) -> None:
    graph = world.graph
    old = [graph.ids[0], graph.ids[len(graph) // 2], graph.ids[-1]]
    names = {i: f"zoo:{k}" for k, i in enumerate(old)}
    found = rename_nodes(graph, names)
    back = {new: i for i, new in names.items()}
    assert list(found.ids) == sorted(names.get(i, i) for i in graph.ids) and found.counts() == graph.counts()
    for identifier in found.ids:
        was = back.get(identifier, identifier)
        assert sorted((d, r, back.get(o, o)) for d, r, o in found.neighbours(identifier)) == sorted(graph.neighbours(was))
        at, before = int(found.positions([identifier])[0]), int(graph.positions([was])[0])
        assert [c[at] for c in (found.labels, found.texts, found.kinds)] == [c[before] for c in (graph.labels, graph.texts, graph.kinds)]
    assert found.digest != graph.digest and found.manifest["renamed_from"] == graph.digest and found.prefixes["zoo"] == "urn:kgzsl:zoo:"
    found.save(tmp_path / "zoo.kg")
    assert KnowledgeGraph.load(tmp_path / "zoo.kg").ids == found.ids
    assert rename_nodes(found, back).digest == graph.digest


def test_what_is_no_node_or_taken_is_refused(world: Knowledge) -> None:
    one, other = world.graph.ids[:2]
    with pytest.raises(UnknownNameError, match="zoo:dodo"):
        rename_nodes(world.graph, {"zoo:dodo": "zoo:1"})
    with pytest.raises(InvalidInputError, match="not nodes"):
        rename_nodes(world.graph, {one: other})
    with pytest.raises(InvalidInputError, match="new ids of nodes"):
        rename_nodes(world.graph, {one: "zoo:1", other: "zoo:1"})
    with pytest.raises(InvalidInputError, match="CURIE"):
        rename_nodes(world.graph, {one: "zoo"})
    assert rename_nodes(world.graph, {one: other, other: one}).ids == world.graph.ids  # two may change places
