"""Classes attached below nodes: the graph's contracts hold, and what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError, KgzslError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, NewClass, attach
from kgzsl.graphs.validate import validate_graph
from kgzsl.sources.base import SourceInfo
from kgzsl.testing.graphs import graph_of

EDGES = [(1, 0), (2, 0), (3, 1), (3, 2)]
SOURCE = SourceInfo("mine", "1", "CC0", {})
#: Sorted before, between and after the graph's nodes.
CLASSES = [
    NewClass("z:last", "last", "comes last", ("t:003", "t:001")),
    NewClass("a:first", "first", "", ("t:000",)),
    NewClass("t:0015", "between", "is between", ("t:002",)),
]


def triples(graph: KnowledgeGraph) -> set[tuple[str, str, str, float, str]]:
    rows = zip(graph.subject, graph.relation, graph.object, graph.weight, graph.edge_source, strict=True)
    return {(graph.ids[s], graph.relations[r].id, graph.ids[o], float(w), graph.source_names[e]) for s, r, o, w, e in rows}


def test_nodes_and_edges_are_the_old_ones_and_the_new_ones() -> None:
    graph = graph_of(5, EDGES, weights=[1, 2, 3, 4])
    grown = attach(graph, CLASSES, SOURCE)
    assert grown.ids == ("a:first", "t:000", "t:001", "t:0015", "t:002", "t:003", "t:004", "z:last")
    new = {("a:first", "t:000"), ("t:0015", "t:002"), ("z:last", "t:001"), ("z:last", "t:003")}
    assert triples(grown) == triples(graph) | {(s, "hypernym", o, 1.0, "mine") for s, o in new}
    at = {i: k for k, i in enumerate(grown.ids)}
    for k, i in enumerate(graph.ids):
        assert (grown.labels[at[i]], grown.texts[at[i]], grown.kinds[at[i]], grown.node_sources[at[i]]) == (
            graph.labels[k],
            graph.texts[k],
            "concept",
            "test",
        )
    last = at["z:last"]
    assert (grown.labels[last], grown.texts[last], grown.kinds[last], grown.node_sources[last]) == ("last", "comes last", "class", "mine")
    order = np.stack([grown.subject, grown.relation, grown.object], axis=1).tolist()
    assert order == sorted(order)
    assert validate_graph(grown) == []


def test_the_order_of_classes_and_parents_decides_nothing_and_every_content_changes_the_digest() -> None:
    graph = graph_of(5, EDGES)
    before = graph.digest
    grown = attach(graph, CLASSES, SOURCE)
    turned = [replace(c, parents=c.parents[::-1]) for c in CLASSES[::-1]]
    again = attach(graph, turned, SOURCE)
    assert again.digest == grown.digest and dict(again.manifest) == dict(grown.manifest)
    others = [replace(CLASSES[0], **change) for change in ({"label": "x"}, {"text": "x"}, {"parents": ("t:003",)}, {"id": "z:other"})]
    digests = {attach(graph, [other, *CLASSES[1:]], SOURCE).digest for other in others}
    assert len(digests | {grown.digest, before}) == 6 and graph.digest == before


def test_the_manifest_is_that_of_the_new_graph_and_it_is_saved_and_loaded(tmp_path: Path) -> None:
    graph_of(5, EDGES).save(tmp_path / "old.kg")
    old = KnowledgeGraph.load(tmp_path / "old.kg")
    grown = attach(old, CLASSES, SOURCE)
    assert grown.name == "test+mine" and grown.source_names == ("test", "mine")
    assert grown.manifest["content_digest"] == grown.digest and grown.manifest["attached_to"] == old.digest
    assert grown.manifest["counts"] == grown.counts() and "files" not in grown.manifest
    grown.save(tmp_path / "new.kg")
    loaded = KnowledgeGraph.load(tmp_path / "new.kg")
    assert loaded.digest == grown.digest and triples(loaded) == triples(grown)
    assert attach(loaded, [NewClass("b:more", "more", "", ("z:last",))], replace(SOURCE, name="more")).source_names[-1] == "more"


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ([], InvalidInputError, "at least one id"),
        ([CLASSES[0], CLASSES[0]], InvalidInputError, "must not name an id twice"),
        ([replace(CLASSES[0], id="t:003")], InvalidInputError, r"not a node of test yet\n  received: 1 are: t:003"),
        ([replace(CLASSES[0], id="last")], InvalidInputError, "an id is a CURIE"),
        ([replace(CLASSES[0], id="n02084071")], InvalidInputError, "CURIE of its dataset"),
        ([replace(CLASSES[0], label=" ")], InvalidInputError, "has a label"),
        ([replace(CLASSES[0], parents=())], InvalidInputError, "at least one parent\n  received: 1 break this: z:last"),
        ([replace(CLASSES[0], parents=("t:001", "t:001"))], InvalidInputError, "named once"),
        ([replace(CLASSES[0], parents=("t:009",))], UnknownNameError, r"among the 5 nodes of test\n  received: 1 are not: t:009"),
        ([CLASSES[0], replace(CLASSES[1], parents=("z:last",))], UnknownNameError, "z:last"),
    ],
)
def test_what_does_not_fit_is_refused(classes: list[NewClass], error: type[KgzslError], message: str) -> None:
    with pytest.raises(error, match=message):
        attach(graph_of(5, EDGES), classes, SOURCE)


def test_a_source_that_is_there_and_a_graph_without_hypernyms_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="'test', which is a source"):
        attach(graph_of(5, EDGES), CLASSES, replace(SOURCE, name="test"))
    with pytest.raises(UnknownNameError, match="choose from: part"):
        attach(graph_of(5, EDGES, relation="part"), CLASSES, SOURCE)
