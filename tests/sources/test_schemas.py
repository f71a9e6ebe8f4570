"""Schemas of NELL-ZS and Wiki-ZS: texts of concepts and relations; the CSV and the OWL file compared to the triple."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError
from kgzsl.sources import Statements, readers

SCHEMAS = {
    "nell-zs": ("NELL", "Schema-NELL.csv", "Onto-NELL.owl", {"prefix": "nell", "strip": "concept:"}),
    "wiki-zs": ("Wikidata", "Schema-Wiki.csv", "Onto-Wiki.owl", {"prefix": "wikidata", "kinds": {r"wikidata:P\d+": "relation"}}),
}


def folder(name: str) -> Path:
    return Path(os.environ["KGZSL_DATA"]) / "kgc" / name


def texts(path: Path, **setting: Any) -> Statements:
    return readers.make("concept_texts", {"prefix": "t", **setting}).read(path)


@pytest.mark.data
@pytest.mark.parametrize(("name", "count", "empty"), [("nell-zs", 1_063, 0), ("wiki-zs", 3_491, 62)])
def test_every_block_is_a_node(name: str, count: int, empty: int) -> None:
    setting = SCHEMAS[name][3]
    found = texts(folder(name) / "onto_ENT.DESC.txt", **setting)
    blocks = (folder(name) / "onto_ENT.DESC.txt").read_text(encoding="utf-8").strip().split("\n\n")
    expected = {}
    for block in blocks:
        first, *rest = (line.split("###") for line in block.split("\n"))
        said = {field.strip(): text.strip() for field, text in rest}
        local = first[0].strip().removeprefix(str(setting.get("strip", "")))
        expected[f"{setting['prefix']}:{local}"] = (said.get("LABEL", local), said["DESCRIPTION"])
    assert dict(zip(found.ids.to_pylist(), zip(found.labels.to_pylist(), found.texts.to_pylist(), strict=True), strict=True)) == expected
    assert len(found.ids) == count and found.dropped == ({"empty description": empty} if empty else {}) and not found.relations
    if name == "wiki-zs":
        assert Counter(found.kinds.to_pylist())["relation"] == sum(i.startswith("wikidata:P") for i in expected)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "declared", "turned"),
    [
        ("nell-zs", {"ObjectProperty": 894, "Class": 292, "Ontology": 1}, 0),
        ("wiki-zs", {"ObjectProperty": 560, "Class": 1_344, "Ontology": 1}, 19),
    ],
)
def test_the_csv_and_the_owl_file_differ_in_declarations_and_nothing_unexplained(name: str, declared: dict, turned: int) -> None:
    rdflib = pytest.importorskip("rdflib")
    title, table, ontology, _ = SCHEMAS[name]
    base = f"http://www.semanticweb.org/ontologies/{title}#"
    graph = rdflib.Graph().parse(folder(name) / ontology, format="xml")
    rows = [line.split("\t") for line in (folder(name) / table).read_text(encoding="utf-8").splitlines()[1:]]
    assert len(graph) == len(rows) + sum(declared.values())
    short = {base: f"{title}:", str(rdflib.OWL): "owl:", str(rdflib.RDF): "rdf:", str(rdflib.RDFS): "rdfs:"}

    def name_of(term: Any) -> str:
        return next((p + str(term)[len(iri) :] for iri, p in short.items() if str(term).startswith(iri)), str(term))

    named = [t for t in graph if not any(isinstance(x, rdflib.BNode | rdflib.Literal) for x in t)]
    said = {tuple(map(name_of, t)) for t in named}
    types = Counter(name_of(o)[4:] for o in graph.objects(None, rdflib.RDF.type))
    assert {k: types[k] for k in declared} == declared
    said = {t for t in said if t[1] != "rdf:type" or t[2][4:] not in declared}
    stated = {tuple(r) for r in rows if not any(x.startswith("_:") for x in r) and r[1] not in ("rdfs:label", "rdfs:comment")}
    other = said ^ stated
    inverses = {t for t in other if t[1] == "owl:inverseOf"}
    assert len(inverses) == 2 * turned and {(o, p, s) for s, p, o in inverses} == inverses
    irreflexive = {("Wikidata:P129", "rdf:type", "owl:IrreflexiveProperty"), ("Wikidata:P1299", "rdf:type", "owl:IrreflexiveProperty")}
    assert other - inverses == (irreflexive if name == "wiki-zs" else set())
    # literals, without the quotes of the CSV; and the chains, whose triples the CSV writes from object to subject
    unquoted = lambda t: " ".join((t[1:-1].replace('""', '"') if t.startswith('"') else t).split())  # noqa: E731
    literal = Counter((r[0], r[1], unquoted(r[2])) for r in rows if r[1] in ("rdfs:label", "rdfs:comment"))
    assert literal == Counter((name_of(s), name_of(p), " ".join(o.split())) for s, p, o in graph if isinstance(o, rdflib.Literal))
    first, rest = ({o: s for s, p, o in rows if p == f"rdf:{which}"} for which in ("first", "rest"))
    chains = []
    for node, predicate, relation in rows:
        if predicate == "owl:propertyChainAxiom":
            chains.append([relation])
            while node != "rdf:nil":
                chains[-1].append(first[node])
                node = rest[node]
    listed = [
        [name_of(s), *map(name_of, rdflib.collection.Collection(graph, o))] for s, o in graph.subject_objects(rdflib.OWL.propertyChainAxiom)
    ]
    assert sorted(chains) == sorted(listed) and len(chains) == (20 if name == "nell-zs" else 7)


BLOCKS = "concept:zoo ###\nDESCRIPTION ### where animals ### live\n\nconcept:old_park ###\nLABEL ### park\nDESCRIPTION ### \n"


def test_blocks_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(BLOCKS)
    found = texts(tmp_path / "t.txt", strip="concept:", kind="relation", kinds={"t:z.*": "concept"})
    assert found.ids.to_pylist() == ["t:zoo", "t:old_park"] and found.labels.to_pylist() == ["zoo", "park"]
    assert found.texts.to_pylist() == ["where animals ### live", ""] and found.kinds.to_pylist() == ["concept", "relation"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not empty"),
        ("zoo\n", "line 1"),
        ("DESCRIPTION ### lost\n", "line 1: .*in a block"),
        ("zoo ###\nDESCRIPTION ### a\nDESCRIPTION ### b\n", "line 3: .*only DESCRIPTION of zoo"),
        ("zoo ###\n\nzoo ###\n", "line 3: .*only block of zoo"),
        ("zoo ###\nTITLE ### a\n", "line 2"),
        ("zoo ###\nnothing\n", "line 2"),
        ("two words ###\n", "line 1"),
        (" ###\n", "line 1"),
        ("<?xml version='1.0'?>\n<rdf:RDF/>\n", "line 1"),
    ],
)
def test_malformed_blocks_are_refused_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(SourceError, match=said):
        texts(tmp_path / "t.txt")


def test_wrong_settings_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError):
        texts(tmp_path / "t.txt")
    for wrong in ({"prefix": ":"}, {"kind": "thing"}, {"kinds": {"(": "concept"}}, {"kinds": {".*": "thing"}}):
        with pytest.raises(InvalidInputError):
            readers.make("concept_texts", {"prefix": "t", **wrong})


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.sampled_from(["a ###", "b ###", "LABEL ### x", "DESCRIPTION ### y", "DESCRIPTION ###", "", "#", "\x00 ###", "é ###\u2028"])
    )
)
def test_lines_in_any_order_are_read_or_refused(tmp_path: Path, lines: list[str]) -> None:
    (tmp_path / "t.txt").write_text("\n".join(lines), encoding="utf-8")
    try:
        found = texts(tmp_path / "t.txt")
    except KgzslError:
        return
    assert (
        len(found.ids)
        == len(set(found.ids.to_pylist()))
        == sum(line.endswith(" ###") and not line.startswith("D") for line in map(str.strip, lines))
    )
