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
from kgzsl.graphs.validate import validate_graph
from kgzsl.testing.graphs import graph_of

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
    assert len(converted) == 5 + 5 + 2 * 4
    assert len(rdflib.Graph().parse(data=converted.serialize(format="turtle"), format="turtle")) == len(converted)
