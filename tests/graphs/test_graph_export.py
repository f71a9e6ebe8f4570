"""Every format read back by its own library, all nodes and all edges."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgzsl.errors import ArtifactError, InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.convert import edge_source_names, to_networkx, to_rdflib
from kgzsl.graphs.export import FORMATS, export_graph, read_pyg
from kgzsl.graphs.rdf import compact, iri, prefixes_of, triples
from kgzsl.testing.graphs import graph_of
from kgzsl.testing.mixed import mixed

nx = pytest.importorskip("networkx")
ox = pytest.importorskip("pyoxigraph")

Nodes = dict[str, tuple[str, str, str]]
Edges = dict[tuple[str, str, str], float]


def clean(text: str) -> str:
    """What XML makes of a text with control characters."""
    return "".join("\ufffd" if c in "\x00\x07\x0b" else c for c in text)


def content(graph: KnowledgeGraph, tidy: Callable[[str], str] = str) -> tuple[Nodes, Edges]:
    nodes = {i: (k, tidy(lb), tidy(t)) for i, k, lb, t in zip(graph.ids, graph.kinds, graph.labels, graph.texts, strict=True)}
    columns = zip(graph.subject.tolist(), graph.relation.tolist(), graph.object.tolist(), graph.weight.tolist(), strict=True)
    return nodes, {(graph.ids[s], graph.relations[r].id, graph.ids[o]): w for s, r, o, w in columns}


def of_networkx(graph: Any) -> tuple[Nodes, Edges]:
    nodes = {i: tuple(v.get(k, "") for k in ("kind", "label", "text")) for i, v in graph.nodes(data=True)}
    return nodes, {(s, v.get("relation", k), o): v["weight"] for s, o, k, v in graph.edges(keys=True, data=True)}


def check_graphml(path: Path, graph: KnowledgeGraph) -> None:
    back = nx.read_graphml(path, force_multigraph=True)
    assert of_networkx(back) == content(graph, clean)
    assert back.graph["digest"] == graph.digest


def check_gexf(path: Path, graph: KnowledgeGraph) -> None:
    back = nx.read_gexf(path)  # a plain DiGraph where no two edges join the same nodes
    assert of_networkx(nx.MultiDiGraph(back)) == content(graph, clean)


def check_node_link(path: Path, graph: KnowledgeGraph) -> None:
    back = nx.node_link_graph(json.loads(path.read_text(encoding="utf-8")), edges="edges")
    assert nx.utils.graphs_equal(back, to_networkx(graph))
    assert of_networkx(back) == content(graph)


def check_rdf(path: Path, graph: KnowledgeGraph) -> None:
    names = prefixes_of(graph)
    ids = {iri(i, names): i for i in graph.ids}
    relations = {iri(r.id if ":" in r.id else f"kgzsl:{r.id}", names): r.id for r in graph.relations}
    skos, rdfs = names["skos"], names["rdfs"]
    labels, texts, edges, broader, alternative = {}, {}, set(), set(), {}
    for t in ox.parse(path=str(path)):
        s, p, o = t.subject.value, t.predicate.value, t.object.value
        if p == rdfs + "label" and s in ids:
            labels[ids[s]] = o
        elif p == skos + "definition":
            texts[ids[s]] = o
        elif p == skos + "broader":
            broader.add((ids[s], ids[o]))
        elif p in (skos + "prefLabel", skos + "altLabel"):
            alternative.setdefault(ids[s], []).append(o)
        elif p in relations and s in ids:
            edges.add((ids[s], relations[p], ids[o]))
    nodes, stated = content(graph)
    assert labels == {i: lb for i, (_, lb, _) in nodes.items()}
    assert texts == {i: t for i, (_, _, t) in nodes.items() if t}
    assert edges == stated.keys()
    assert broader == {(s, o) for s, r, o in stated if r == "hypernym"}
    assert alternative == {i: lb.split(", ") for i, (_, lb, _) in nodes.items()}


def check_tsv(path: Path, graph: KnowledgeGraph) -> None:
    def rows(name: str) -> list[list[str]]:
        with open(path / f"{name}.tsv", encoding="utf-8", newline="") as stream:
            return list(csv.reader(stream, delimiter="\t"))[1:]

    nul = {i: tuple(t.replace("\x00", "\ufffd") for t in v) for i, v in content(graph)[0].items()}
    assert {i: (k, lb, t) for i, k, lb, t, _ in rows("nodes")} == nul
    assert {(s, r, o): np.float32(w) for s, r, o, w, _ in rows("edges")} == {k: np.float32(w) for k, w in content(graph)[1].items()}
    assert [source for *_, source in rows("edges")] == [edge_source_names(graph)[i] for i in graph.edge_source.tolist()]
    assert [r[0] for r in rows("relations")] == [r.id for r in graph.relations]


def check_pyg(path: Path, graph: KnowledgeGraph) -> None:
    pytest.importorskip("torch_geometric")
    back = read_pyg(path)
    assert back.validate() and back.num_nodes == len(graph)
    np.testing.assert_array_equal(back.edge_index.numpy(), np.stack([graph.subject, graph.object]))
    np.testing.assert_array_equal(back.edge_type.numpy(), graph.relation)
    np.testing.assert_array_equal(back.edge_weight.numpy(), graph.weight)
    assert (back.node_ids, back.node_labels, back.relation_ids) == (list(graph.ids), list(graph.labels), [r.id for r in graph.relations])


CHECKS: dict[str, Callable[[Path, KnowledgeGraph], None]] = {
    "graphml": check_graphml,
    "gexf": check_gexf,
    "ntriples": check_rdf,
    "turtle": check_rdf,
    "tsv": check_tsv,
    "pyg": check_pyg,
    "networkx-json": check_node_link,
}


def test_every_format_has_a_check() -> None:
    assert CHECKS.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_a_round_trip_keeps_all_nodes_and_edges(name: str, tmp_path: Path) -> None:
    graph = mixed()
    written = export_graph(graph, tmp_path / f"out{FORMATS[name].suffix}", name)
    CHECKS[name](written.path, graph)
    assert [p.name for p in tmp_path.iterdir()] == [written.path.name], "nothing else is left"


@pytest.mark.data
@pytest.mark.parametrize("name", FORMATS)
def test_a_real_graph(name: str, tmp_path: Path, birds: KnowledgeGraph) -> None:
    written = export_graph(birds, tmp_path / f"birds{FORMATS[name].suffix or '.d'}", None if FORMATS[name].suffix else name)
    assert written.format == name
    CHECKS[name](written.path, birds)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_graph_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    def written(number: int) -> dict[str, bytes]:
        path = export_graph(mixed(), tmp_path / f"{number}{FORMATS[name].suffix}", name).path
        return {p.name if path.is_dir() else "": p.read_bytes() for p in (path.iterdir() if path.is_dir() else [path])}

    first = written(0)
    assert all(written(i) == first for i in range(1, 5))


def test_what_a_format_leaves_out_is_said(tmp_path: Path) -> None:
    graph = mixed()
    assert any("U+FFFD" in s and s.startswith("2 texts") for s in export_graph(graph, tmp_path / "a.graphml").left_out)
    said = export_graph(graph, tmp_path / "a.nt").left_out
    assert any("the weights of 3 edges" in s for s in said)
    assert not any("weights" in s for s in export_graph(graph, tmp_path / "b.nt", weights=True).left_out)
    assert export_graph(graph, tmp_path / "a.json").left_out == ()


def test_weights_in_rdf_are_statements(tmp_path: Path) -> None:
    graph = mixed()
    rdflib = pytest.importorskip("rdflib")
    export_graph(graph, tmp_path / "w.ttl", weights=True)
    back = rdflib.Graph().parse(tmp_path / "w.ttl")
    weight = rdflib.URIRef(graph.prefixes["kgzsl"] + "weight")
    found = {
        tuple(str(back.value(s, p)) for p in (rdflib.RDF.subject, rdflib.RDF.predicate, rdflib.RDF.object)): float(w)
        for s, w in back.subject_objects(weight)
    }
    names = prefixes_of(graph)
    wanted = {
        (iri(s, names), iri(r if ":" in r else f"kgzsl:{r}", names), iri(o, names)): w
        for (s, r, o), w in content(graph)[1].items()
        if w != 1
    }
    assert {k: np.float32(v) for k, v in found.items()} == {k: np.float32(v) for k, v in wanted.items()}
    assert len(back) == len(to_rdflib(graph, weights=True)) == len(set(triples(graph, weights=True)))


def test_turtle_is_read_by_rdflib_as_the_conversion_is(tmp_path: Path) -> None:
    rdflib = pytest.importorskip("rdflib")
    export_graph(mixed(), tmp_path / "m.ttl")
    text = (tmp_path / "m.ttl").read_text(encoding="utf-8")
    heads = [line for line in text.splitlines() if line.startswith("@prefix")]
    assert heads == sorted(heads) and "@prefix ex: <http://example.org/> ." in heads
    assert set(rdflib.Graph().parse(data=text, format="turtle")) == set(to_rdflib(mixed()))


def test_prefixes_are_those_of_the_manifest() -> None:
    names = prefixes_of(mixed())
    assert iri("ex:cat", names) == "http://example.org/cat"
    assert compact("http://example.org/cat", names) == "ex:cat"
    assert iri("http://example.org/whole", names) == "http://example.org/whole"
    assert iri("wn30:n02084071", names) == "http://wordnet-rdf.princeton.edu/wn30/n02084071"


@given(st.text(min_size=1, max_size=30))
def test_every_id_becomes_an_iri(text: str) -> None:
    address = iri(f"ex:{text}", {"ex": "http://example.org/"})
    ox.parse(f"<{address}> <x:p> <x:o> .".encode(), ox.RdfFormat.N_TRIPLES).__next__()


@given(labels=st.lists(st.text(max_size=20), min_size=3, max_size=3), texts=st.lists(st.text(max_size=20), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_can_be_written_and_read(tmp_path_factory: pytest.TempPathFactory, labels: list[str], texts: list[str]) -> None:
    graph = replace(graph_of(3, [(1, 0), (2, 0)]), labels=tuple(labels), texts=tuple(texts))
    folder = tmp_path_factory.mktemp("any")
    assert len(nx.read_graphml(export_graph(graph, folder / "g.graphml").path)) == 3
    assert len(nx.read_gexf(export_graph(graph, folder / "g.gexf").path)) == 3
    assert {t.object.value for t in ox.parse(path=str(export_graph(graph, folder / "g.nt").path))} >= set(filter(None, texts))
    check_node_link(export_graph(graph, folder / "g.json").path, graph)
    check_tsv(export_graph(graph, folder / "tsv", "tsv").path, graph)


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    graph = graph_of(5, [(1, 0)])
    for name, out in (("turtle", tmp_path / "g.ttl"), ("tsv", tmp_path / "g")):
        export_graph(graph, out, name)
        with pytest.raises(InvalidInputError, match="--overwrite"):
            export_graph(graph, out, name)
        assert export_graph(graph_of(2, [(1, 0)]), out, name, overwrite=True).path == out
    with pytest.raises(InvalidInputError):
        export_graph(graph, tmp_path / "g", "turtle", overwrite=True)
    assert (tmp_path / "g" / "nodes.tsv").is_file(), "a folder is never replaced by a file"


def test_unknown_formats_and_failures_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(5, [(1, 0)])
    with pytest.raises(UnknownNameError, match=r"\.graphml"):
        export_graph(graph, tmp_path / "g.xyz")
    with pytest.raises(UnknownNameError, match="choose from: graphml"):
        export_graph(graph, tmp_path / "g.ttl", "rdfxml")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ox, "serialize", full)
    with pytest.raises(OSError, match="No space"):
        export_graph(graph, tmp_path / "g.ttl")
    assert not list(tmp_path.iterdir())


def test_ids_that_xml_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    graph = replace(graph_of(2, [(1, 0)]), ids=("t:\x01", "t:\x02"))
    with pytest.raises(InvalidInputError, match="export to ntriples"):
        export_graph(graph, tmp_path / "g.graphml")
    check_pyg(export_graph(graph, tmp_path / "g", "pyg").path, graph)


def test_read_pyg_refuses_other_folders(tmp_path: Path) -> None:
    graph_of(2, [(1, 0)]).save(tmp_path / "g.kg")
    with pytest.raises(ArtifactError):
        read_pyg(tmp_path / "g.kg")


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    graph = graph_of(3, [(1, 0), (2, 0)], weights=[float("nan"), float("inf")])
    with pytest.raises(InvalidInputError, match="finite"):
        export_graph(graph, tmp_path / "g.json")
    stated = [
        t.object.value
        for t in ox.parse(path=str(export_graph(graph, tmp_path / "g.nt", weights=True).path))
        if "weight" in str(t.predicate)
    ]
    assert stated == ["NaN", "INF"]
    np.testing.assert_array_equal(read_pyg(export_graph(graph, tmp_path / "g", "pyg").path).edge_weight.numpy(), graph.weight)
    assert len(nx.read_graphml(export_graph(graph, tmp_path / "G.GRAPHML").path).edges) == 2
