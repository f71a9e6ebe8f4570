"""Imports come from a local catalogue, each once, and never from the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from sources.owl_cases import EXAMPLE, edges, read

from kgzsl.errors import InvalidInputError, MissingDataError, SourceError
from kgzsl.sources.owl import Owl
from kgzsl.sources.owl_imports import Catalogue

pytest.importorskip("pyoxigraph")

HEAD = f"""@prefix x: <{EXAMPLE}> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""


def document(iri: str, body: str, *imports: str) -> str:
    return HEAD + f"<{iri}> a owl:Ontology {''.join(f'; owl:imports <{i}> ' for i in imports)}.\n{body}\n"


MAIN = document("http://example.org/main", "x:A rdfs:subClassOf x:B .", "http://example.org/other.owl")
OTHER = document("http://example.org/other.owl", "x:B rdfs:subClassOf x:C .", "http://example.org/main", "http://example.org/third")
THIRD = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#"
 xmlns:owl="http://www.w3.org/2002/07/owl#"><owl:Class rdf:about="http://example.org/x#C">
 <rdfs:subClassOf rdf:resource="http://example.org/x#D"/></owl:Class></rdf:RDF>"""
ALL = {"A hypernym B", "B hypernym C", "C hypernym D"}
CATALOGUE = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<catalog prefer="public" xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog">
  <group id="local"><uri id="x" name="http://example.org/other.owl" uri="local/second%20file.ttl"/></group>
  <rewriteURI uriStartString="http://example.org/" rewritePrefix="local/"/>
</catalog>"""


def test_catalogue_beside_the_file_is_found_and_cycles_end(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "second file.ttl").write_text(OTHER)
    (tmp_path / "local" / "third").write_text(THIRD)
    (tmp_path / "catalog-v001.xml").write_text(CATALOGUE)
    made = read(tmp_path, "main.ttl", MAIN)
    assert edges(made) == ALL
    assert set(made.info.files) == {"main.ttl", "second file.ttl", "third"}
    assert made.dropped == {}


def test_folder_is_a_catalogue_by_the_end_of_the_iri(tmp_path: Path) -> None:
    (tmp_path / "imports").mkdir()
    (tmp_path / "imports" / "other.ttl").write_text(OTHER)
    (tmp_path / "imports" / "third.rdf").write_text(THIRD)
    assert edges(read(tmp_path, "main.ttl", MAIN, catalogue="imports")) == ALL
    assert edges(read(tmp_path, "main.ttl", MAIN, catalogue=str(tmp_path / "imports"))) == ALL
    assert edges(read(tmp_path, "main.ttl", MAIN, catalogue="imports", format="turtle")) == ALL  # of the file itself, not of those


def test_functional_and_obo_files_import_too(tmp_path: Path) -> None:
    pytest.importorskip("pyhornedowl")
    (tmp_path / "imports").mkdir()
    (tmp_path / "imports" / "third.rdf").write_text(THIRD)
    functional = f"Prefix(:=<{EXAMPLE}>)\nOntology(<http://example.org/main>\nImport(<http://example.org/third>)\nSubClassOf(:A :C))"
    assert edges(read(tmp_path, "main.ofn", functional, catalogue="imports")) == {"A hypernym C", "C hypernym D"}
    obo = "format-version: 1.4\nontology: x\nimport: http://example.org/third\n\n[Term]\nid: GO:1\nname: one\nis_a: GO:2\n"
    assert edges(read(tmp_path, "main.obo", obo, catalogue="imports")) == {"GO:1 hypernym GO:2", "C hypernym D"}


def test_missing_import_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"imports <http://example\.org/other\.owl>: no catalogue(.|\n)*set `catalogue`(.|\n)*ignore"):
        read(tmp_path, "main.ttl", MAIN)
    (tmp_path / "imports").mkdir()
    with pytest.raises(SourceError, match=r"other\.owl>: .*imports has no entry for it"):
        read(tmp_path, "main.ttl", MAIN, catalogue="imports")
    (tmp_path / "imports" / "other.ttl").write_text(OTHER)
    with pytest.raises(SourceError, match=r"imports <http://example\.org/third>"):
        read(tmp_path, "main.ttl", MAIN, catalogue="imports")
    with pytest.raises(MissingDataError, match="nowhere"):
        read(tmp_path, "main.ttl", MAIN, catalogue="nowhere")


def test_ignored_imports_are_counted(tmp_path: Path) -> None:
    made = read(tmp_path, "main.ttl", MAIN, imports="ignore")
    assert edges(made) == {"A hypernym B"}
    assert made.dropped == {"import not followed": 1}
    with pytest.raises(InvalidInputError, match="`follow` or `ignore`"):
        Owl(imports="fetch")


def test_blank_nodes_of_two_files_stay_apart(tmp_path: Path) -> None:
    restriction = "x:{0} rdfs:subClassOf _:r . _:r owl:onProperty x:p{0} ; owl:someValuesFrom x:E ."
    main = document("http://example.org/main", restriction.format("A"), "http://example.org/other.owl")
    (tmp_path / "imports").mkdir()
    (tmp_path / "imports" / "other.ttl").write_text(document("http://example.org/other.owl", restriction.format("B")))
    made = read(tmp_path, "main.ttl", main, catalogue="imports", profile="existential")
    assert edges(made) == {"A pA E", "B pB E"}


@pytest.mark.parametrize("uri", ["http://example.org/other.owl", "ftp://x/y", "//server/share/other.owl"])
def test_catalogues_never_lead_to_the_network(tmp_path: Path, uri: str) -> None:
    (tmp_path / "catalog-v001.xml").write_text(CATALOGUE.replace("local/second%20file.ttl", uri))
    with pytest.raises(SourceError, match="a catalogue names local files"):
        read(tmp_path, "main.ttl", MAIN)


def test_rewritten_iris_stay_inside_their_folder(tmp_path: Path) -> None:
    (tmp_path / "catalog-v001.xml").write_text(CATALOGUE)
    found = Catalogue(tmp_path / "catalog-v001.xml").find("http://example.org/../../etc/passwd")
    assert found == tmp_path / "local" / "etc" / "passwd"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CATALOGUE[:200], r"catalog-v001\.xml, line 3"),
        ('<!DOCTYPE catalog [<!ENTITY a "x"><!ENTITY z "&a;&a;">]><catalog/>', "plain text"),
        ('<!DOCTYPE catalog SYSTEM "http://www.oasis-open.org/x.dtd"><catalog/>', "inside its file"),
    ],
)
def test_malformed_catalogues_are_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "catalog-v001.xml").write_text(text)
    with pytest.raises(SourceError, match=message):
        read(tmp_path, "main.ttl", MAIN)
