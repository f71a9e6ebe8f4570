"""The graph artifact: round trip, damage, foreign folders, validation, conversions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgzsl.artifacts import digest, sha256_file
from kgzsl.errors import ArtifactError, DigestMismatchError, InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.convert import to_networkx, to_pyg, to_rdflib
from kgzsl.graphs.describe import describe_graph, format_description
from kgzsl.graphs.validate import check_graph, validate_graph
from kgzsl.sources import Relation
from kgzsl.testing.graphs import graph_of
from kgzsl.testing.mixed import mixed

EDGES = [(1, 0), (2, 0), (3, 1), (3, 2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graph_of(5, EDGES).save(tmp_path / "g.kg")
    return tmp_path / "g.kg"


def reseal(folder: Path) -> None:
    """Make a changed artifact's digests agree again, as a foreign program would."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"] = {name: sha256_file(folder / name) for name in manifest["files"]}
    manifest.pop("digest")
    manifest["digest"] = digest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_round_trip(folder: Path) -> None:
    graph, again = graph_of(5, EDGES), KnowledgeGraph.load(folder)
    assert again.digest == graph.digest
    for name in ("ids", "kinds", "labels", "texts", "node_sources", "relations", "relation_sources"):
        assert getattr(again, name) == getattr(graph, name)
    for name in ("subject", "relation", "object", "weight", "edge_source"):
        np.testing.assert_array_equal(getattr(again, name), getattr(graph, name))
    assert again.manifest["content_digest"] == graph.digest


def test_digest_depends_on_every_column() -> None:
    graph = graph_of(5, EDGES)
    changed = [
        replace(graph, labels=("other", *graph.labels[1:])),
        replace(graph, texts=("other", *graph.texts[1:])),
        replace(graph, weight=graph.weight * 2),
        replace(graph, object=np.array([0, 0, 1, 1])),
        # The same characters, cut elsewhere.
        replace(graph, labels=("node 0\x00node 1", "", *graph.labels[2:])),
    ]
    assert len({g.digest for g in [graph, *changed]}) == 6


def test_a_changed_file_is_noticed(folder: Path) -> None:
    raw = bytearray((folder / "edges.parquet").read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / "edges.parquet").write_bytes(raw)
    with pytest.raises(DigestMismatchError, match=r"edges\.parquet"):
        KnowledgeGraph.load(folder)


def test_a_truncated_or_foreign_table_is_noticed(folder: Path) -> None:
    (folder / "nodes.parquet").write_bytes((folder / "nodes.parquet").read_bytes()[:100])
    reseal(folder)
    with pytest.raises(ArtifactError, match=r"nodes\.parquet"):
        KnowledgeGraph.load(folder)
    pq.write_table(pa.table({"id": ["t:000"]}), folder / "nodes.parquet")
    reseal(folder)
    with pytest.raises(ArtifactError, match="has the columns"):
        KnowledgeGraph.load(folder)


def test_content_that_was_edited_and_sealed_is_noticed(folder: Path) -> None:
    table = pq.read_table(folder / "edges.parquet")
    pq.write_table(table.slice(0, 3), folder / "edges.parquet")
    reseal(folder)
    with pytest.raises(DigestMismatchError, match="content"):
        KnowledgeGraph.load(folder)
    assert len(KnowledgeGraph.load(folder, verify=False).subject) == 3


def test_edges_out_of_range_are_no_artifact(folder: Path) -> None:
    table = pq.read_table(folder / "edges.parquet")
    wrong = table.set_column(0, table.schema.field(0), pa.array([7, 7, 7, 7], type=pa.int32()))
    pq.write_table(wrong, folder / "edges.parquet")
    reseal(folder)
    with pytest.raises(ArtifactError, match="below 5"):
        KnowledgeGraph.load(folder)


def test_missing_or_other_folders(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        KnowledgeGraph.load(tmp_path / "absent.kg")
    (folder / "relations.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"relations\.parquet is missing"):
        KnowledgeGraph.load(folder)


def test_unsorted_or_repeated_ids_are_refused() -> None:
    graph = graph_of(3, [(1, 0)])
    for ids in (("t:b", "t:a", "t:c"), ("t:a", "t:a", "t:c")):
        with pytest.raises(InvalidInputError, match="sorted and unique"):
            replace(graph, ids=ids)
    with pytest.raises(InvalidInputError, match="one length"):
        replace(graph, labels=("a",))


def test_look_ups() -> None:
    graph = graph_of(5, EDGES)
    assert graph.positions(["t:003", "t:001"]).tolist() == [3, 1]
    with pytest.raises(UnknownNameError, match="1 unknown: t:009"):
        graph.positions(["t:001", "t:009"])
    assert graph.neighbours("t:001") == [("out", "hypernym", "t:000"), ("in", "hypernym", "t:003")]
    with pytest.raises(UnknownNameError, match="choose from: hypernym"):
        graph.edges_of("part")
    assert "t:004" in graph
    assert "t:005" not in graph


def test_describe() -> None:
    record = describe_graph(graph_of(5, EDGES), ["t:001", "t:004", "t:zzz"])
    assert record["components"] == {"count": 2, "largest": 4}
    assert record["depth"] == {"relation": "hypernym", "max": 2, "mean": 1.0, "roots": 2, "in_or_below_cycles": 0}
    assert (record["orphans"], record["degree"]["max"]) == (1, 2)
    assert record["classes"] == {"asked": 3, "present": 2, "connected": 1, "missing": ["t:zzz"]}
    assert "2 of 3 are nodes, 1 have an edge" in format_description(record)
    json.dumps(record)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subject": np.array([1, 1, 3, 3]), "object": np.array([0, 0, 1, 2])}, "1 edges are stated more than once"),
        ({"subject": np.array([1, 2, 3, 3]), "object": np.array([0, 0, 1, 3])}, "1 edges from a node to itself: t:003"),
        ({"subject": np.array([0, 1, 2, 3]), "object": np.array([1, 2, 0, 0])}, "3 nodes are their own ancestor: t:000, t:001, t:002"),
        ({"weight": np.array([1, np.nan, -1, 1], dtype=np.float32)}, "2 weights are not finite and positive"),
        ({"labels": ("a", " ", "c", "d", "e")}, "1 nodes have no label: t:001"),
        ({"manifest": {"counts": {"nodes": 4}}}, "counts in the manifest"),
    ],
)
def test_validate_names_the_problem(change: dict[str, object], message: str) -> None:
    graph = graph_of(5, EDGES)
    assert validate_graph(graph) == []
    assert any(message in problem for problem in validate_graph(replace(graph, **change)))  # type: ignore[arg-type]


def test_describe_counts_per_relation_and_source() -> None:
    record = describe_graph(mixed())
    assert record["relations_per_source"]["hypernym"] == {"animals": 2, "words": 2}
    assert record["relations_per_source"]["ex:eats"] == {"words": 2}
    assert record["kinds_per_source"] == {"attribute": {"words": 1}, "concept": {"animals": 5, "words": 2}, "individual": {"animals": 1}}
    assert record["edges_per_source"] == {"animals": 3, "words": 7}
    assert sum(n for cells in record["relations_per_source"].values() for n in cells.values()) == record["edges"]
    assert record["weight"] == {"min": pytest.approx(0.1), "mean": pytest.approx(1.035), "max": 2.5, "other_than_one": 3}
    assert (record["texts"]["with_text"], record["texts"]["words_max"], record["orphans"]) == (5, 8, 1)
    assert record["degree"]["max"] == 7 and record["largest_degree"][0] == "ex:lion lion, king of beasts (7)"
    assert "relation   hypernym: 4 (animals 2, words 2)" in format_description(record)
    json.dumps(record, allow_nan=False)


def test_describe_depth_on_other_relations_chains_and_cycles() -> None:
    deep = describe_graph(graph_of(900, [(i + 1, i) for i in range(899)], relation="part"), relation="part")
    assert (deep["depth"]["max"], deep["depth"]["mean"], deep["depth"]["roots"]) == (899, 449.5, 1)
    assert "depth" not in describe_graph(graph_of(3, [(1, 0)], relation="part"))
    cyclic = describe_graph(graph_of(6, [(0, 1), (1, 0), (2, 1), (4, 3)]))["depth"]
    assert (cyclic["max"], cyclic["roots"], cyclic["in_or_below_cycles"]) == (1, 2, 3)
    assert "3 in or below cycles" in format_description(describe_graph(graph_of(6, [(0, 1), (1, 0), (2, 1), (4, 3)])))


def test_describe_a_graph_without_edges_or_with_very_many_relations() -> None:
    bare = describe_graph(graph_of(2, []))
    assert (bare["orphans"], bare["degree"]["max"], bare["weight"]) == (2, 0, {"other_than_one": 0})
    format_description(bare)
    base = graph_of(200, [(i, 0) for i in range(1, 200)])
    many = replace(
        base,
        relations=tuple(Relation(f"t:{i:03d}", "") for i in range(199)),
        relation_sources=("test",) * 199,
        relation=np.arange(199),
    )
    assert "relation   … 149 more" in format_description(describe_graph(many))


def test_validate_knows_what_the_recipe_allows() -> None:
    def with_recipe(graph: KnowledgeGraph, **edges: str) -> KnowledgeGraph:
        return replace(graph, manifest={**graph.manifest, "recipe": {"edges": edges}})

    loop, cycle = graph_of(2, [(0, 0), (1, 0)]), graph_of(3, [(0, 1), (1, 2), (2, 0)])
    assert "a cycle: t:000 → t:001 → t:002 → t:000" in validate_graph(cycle)[0]
    for graph, allowed in ((loop, {"self_loops": "keep"}), (cycle, {"cycles": "keep"})):
        assert len(validate_graph(graph)) == 1
        found = check_graph(with_recipe(graph, **allowed))
        assert found.problems == () and len(found.notes) == 1


def test_validate_symmetric_relations_by_the_policy() -> None:
    base = replace(graph_of(4, [(0, 1), (1, 0), (2, 3)], relation="similar"), relations=(Relation("similar", "is similar to", True),))
    said = "symmetric relation similar: 1 pairs are stated in both directions, 1 in one"
    for policy, problems in (("as_stated", []), ("once", [f"{said}; the recipe says once"]), ("both", [f"{said}; the recipe says both"])):
        found = check_graph(replace(base, manifest={**base.manifest, "recipe": {"edges": {"symmetric": policy}}}))
        assert list(found.problems) == problems
        assert found.notes == (() if problems else (said,))


def test_validate_names_unknown_relations_prefixes_and_shared_labels() -> None:
    base = graph_of(5, EDGES)
    assert validate_graph(replace(base, relations=(Relation("hyponym", "has kind"),))) == [], "an inverse is in the vocabulary"
    assert validate_graph(replace(base, relations=(Relation("t:own", ""),))) == []
    assert "1 relations are not in the vocabulary" in validate_graph(replace(base, relations=(Relation("hypernim", ""),)))[0]
    assert (
        "1 ids have a prefix that the manifest does not map to an IRI: u (1)"
        in validate_graph(replace(base, relations=(Relation("u:x", ""),)))[0]
    )
    assert "5 ids have a prefix" in validate_graph(replace(base, manifest={}))[0]
    whole = replace(base, ids=("http://example.org/a", *base.ids[1:]))
    assert validate_graph(whole) == []
    found = check_graph(replace(base, labels=("a", "a", "b", "c", "c")))
    assert found.problems == () and found.notes == ("4 nodes share their label with another: 'a' (2), 'c' (2)",)


def test_the_manifest_keeps_the_prefixes_of_the_sources(tmp_path: Path) -> None:
    mixed().save(tmp_path / "m.kg")
    back = KnowledgeGraph.load(tmp_path / "m.kg")
    assert back.prefixes["ex"] == "http://example.org/" and back.prefixes["wn30"]
    assert back.digest == mixed().digest


def test_networkx() -> None:
    nx = pytest.importorskip("networkx")
    converted = to_networkx(graph_of(5, EDGES))
    assert sorted(converted.edges(keys=True)) == [(f"t:{a:03d}", f"t:{b:03d}", "hypernym") for a, b in EDGES]
    assert converted.nodes["t:001"]["text"] == "the node 1"
    assert nx.is_directed_acyclic_graph(converted)


def test_pyg() -> None:
    pytest.importorskip("torch_geometric")
    graph = graph_of(5, EDGES)
    converted = to_pyg(graph)
    assert converted.num_nodes == 5
    assert converted.edge_index.tolist() == [list(c) for c in zip(*EDGES, strict=True)]
    assert converted.validate()
    assert converted.node_ids[3] == "t:003"


def test_rdflib() -> None:
    rdflib = pytest.importorskip("rdflib")
    converted = to_rdflib(graph_of(5, EDGES))
    broader = set(converted.subject_objects(rdflib.SKOS.broader))
    assert {(str(s), str(o)) for s, o in broader} == {(f"urn:kgzsl:test:{a:03d}", f"urn:kgzsl:test:{b:03d}") for a, b in EDGES}
    assert len(converted) == 2 + 4 * 5 + 2 * 4, "a relation, five nodes, four edges twice"
    assert len(rdflib.Graph().parse(data=converted.serialize(format="turtle"), format="turtle")) == len(converted)
