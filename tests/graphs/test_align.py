"""Alignment of nodes from different sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgzsl.errors import InvalidInputError
from tests.graphs.tables import compiled, edges, statements, triples

WORDNET = statements(
    "wordnet",
    [("wn30:n1", "hypernym", "wn30:n9"), ("wn30:n2", "hypernym", "wn30:n9")],
    {"wn30:n1": "dog, domestic dog", "wn30:n2": "frank, hot dog, dog", "wn30:n9": "animal, beast"},
)
CONCEPTNET = statements(
    "conceptnet",
    [("cn:dog", "capable_of", "cn:bark", 2.0), ("cn:hot_dog", "related", "cn:dog"), ("cn:dog", "hypernym", "cn:animal")],
    {"cn:dog": "dog", "cn:hot_dog": "hot-dog", "cn:bark": "bark", "cn:animal": "Animal"},
)
LABELS = {"labels": {"from": "cn", "to": "wn30"}}


def test_labels_match_the_first_sense() -> None:
    graph = compiled(WORDNET, CONCEPTNET, align=[LABELS])
    assert set(graph.ids) == {"wn30:n1", "wn30:n2", "wn30:n9", "cn:bark"}
    assert triples(graph) == {
        ("wn30:n1", "hypernym", "wn30:n9"),
        ("wn30:n2", "hypernym", "wn30:n9"),
        ("wn30:n1", "capable_of", "cn:bark"),
        ("wn30:n2", "related", "wn30:n1"),
    }
    assert graph.labels[graph.ids.index("wn30:n1")] == "dog, domestic dog"
    assert graph.manifest["alignment"] == [{"step": LABELS, "matched": 3, "status": {"ambiguous": 1, "exact": 2}}]


def test_a_node_keeps_its_own_texts_whatever_the_order_of_sources() -> None:
    graph = compiled(CONCEPTNET, WORDNET, align=[LABELS])
    assert graph.labels[graph.ids.index("wn30:n1")] == "dog, domestic dog"
    assert graph.node_sources[graph.ids.index("wn30:n1")] == "wordnet"


def test_ambiguous_labels_may_be_skipped_or_refused() -> None:
    graph = compiled(WORDNET, CONCEPTNET, align=[{**LABELS, "ambiguous": "skip"}])
    assert "cn:dog" in graph and "cn:hot_dog" not in graph
    with pytest.raises(InvalidInputError, match=r"1 name several: cn:dog"):
        compiled(WORDNET, CONCEPTNET, align=[{**LABELS, "ambiguous": "error"}])


def test_an_edge_instead_of_a_merge_weighs_its_score() -> None:
    graph = compiled(WORDNET, CONCEPTNET, align=[{**LABELS, "as": "edge"}])
    assert {"cn:dog", "wn30:n1"} <= set(graph.ids)
    assert ("cn:dog", "equivalent", "wn30:n1", 0.5) in edges(graph)
    assert ("cn:animal", "equivalent", "wn30:n9", 1.0) in edges(graph)
    assert graph.labels[graph.ids.index("cn:dog")] == "dog"
    assert [s["name"] for s in graph.manifest["sources"]] == ["wordnet", "conceptnet", "alignment 1"]


def test_exact_local_names() -> None:
    other = statements("awa", [("AwA:n1", "has_attribute", "AwA:a1")])
    graph = compiled(WORDNET, other, align=[{"prefix": {"from": "AwA", "to": "wn30"}}])
    assert ("wn30:n1", "has_attribute", "AwA:a1") in triples(graph)


def test_nodes_joined_by_a_relation_become_the_first_source_s() -> None:
    source = statements("two", [("t:b", "equivalent", "wn30:n1"), ("t:a", "equivalent", "t:b"), ("t:a", "related", "t:z")])
    graph = compiled(WORDNET, source, align=[{"relations": ["equivalent"]}])
    assert triples(graph) >= {("wn30:n1", "related", "t:z")}
    assert not {"t:a", "t:b"} & set(graph.ids)
    again = compiled(source, align=[{"relations": ["equivalent"]}])
    assert set(again.ids) == {"t:a", "t:z"}


def test_steps_follow_each_other() -> None:
    steps = [LABELS, {"relations": ["related"]}]
    graph = compiled(WORDNET, CONCEPTNET, align=steps)  # hot dog → n2, which is related to dog → n1: one node
    assert set(graph.ids) == {"wn30:n1", "wn30:n9", "cn:bark"}


def test_a_link_table(tmp_path: Path) -> None:
    table = "name\tnode\tstatus\tscore\ncn:dog\twn30:n2\thand\t1\n"
    (tmp_path / "links.tsv").write_text(table, encoding="utf-8")
    graph = compiled(WORDNET, CONCEPTNET, align=[{"links": "links.tsv"}], folder=tmp_path)
    assert ("wn30:n2", "capable_of", "cn:bark") in triples(graph)
    (tmp_path / "links.tsv").write_text(table.replace("wn30:n2", "wn30:n7"), encoding="utf-8")
    with pytest.raises(InvalidInputError, match="1 ids are not: wn30:n7"):
        compiled(WORDNET, CONCEPTNET, align=[{"links": "links.tsv"}], folder=tmp_path)


def test_a_step_that_matches_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"step 1 \(prefix"):
        compiled(WORDNET, CONCEPTNET, align=[{"prefix": {"from": "x", "to": "wn30"}}])
