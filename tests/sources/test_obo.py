"""OBO, OWL/XML, functional and Manchester syntax: the same axioms, the same edges, and damaged files refused."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources.owl_cases import EXAMPLE, ONTOLOGIES, counts, edges, functional, read

from kgzsl.errors import KgzslError, SourceError
from kgzsl.sources import Statements
from kgzsl.sources.owl import Owl

pytest.importorskip("fastobo")
pytest.importorskip("pyhornedowl")

OBO = """format-version: 1.4
ontology: x

[Term]
id: X:1
name: dog
def: "A domestic \\"canid\\"." [a:b]
synonym: "hound" EXACT []
synonym: "cur" BROAD []
is_a: X:2 ! canid
relationship: part_of X:3
relationship: eats X:4
intersection_of: X:2
intersection_of: eats X:4
disjoint_from: X:5

[Term]
id: X:2
name: canid
union_of: X:1
union_of: X:6

[Term]
id: X:7
name: old
is_obsolete: true

[Instance]
id: X:8
name: Lassie
instance_of: X:1
property_value: eats X:4
property_value: height "3" xsd:int

[Typedef]
id: part_of
name: part of
xref: BFO:0000050
is_transitive: true

[Typedef]
id: eats
name: eats
"""


def test_obo_frames_become_the_edges_of_their_axioms(tmp_path: Path) -> None:
    made = read(tmp_path, "a.obo", OBO, profile="full")
    own = "obo:x#eats"
    expected = {"X:1 hypernym X:2", "X:3 part_meronym X:1", f"X:1 {own} X:4", "X:1 disjoint X:5", "X:6 hypernym X:2"}
    assert edges(made) == expected | {"X:8 instance_hypernym X:1", f"X:8 {own} X:4"}
    assert dict(zip(made.ids.to_pylist(), made.kinds.to_pylist(), strict=True))["X:8"] == "individual"
    words = dict(zip(made.ids.to_pylist(), zip(made.labels.to_pylist(), made.texts.to_pylist(), strict=True), strict=True))
    assert words["X:1"] == ("dog, hound", 'A domestic "canid".')
    assert "X:7" not in words
    assert made.dropped["node that is deprecated"] == 1
    assert next(r.label for r in made.relations if r.id == own) == "eats"


def test_a_header_without_ontology_and_namespace_is_enough(tmp_path: Path) -> None:
    made = read(tmp_path, "a.obo", "format-version: 1.2\n\n[Term]\nid: X:1\nname: a\nis_a: X:2\n")
    assert edges(made) == {"X:1 hypernym X:2"}


@pytest.mark.data
def test_a_real_obo_file_has_the_edges_that_its_lines_state() -> None:
    lines = (ONTOLOGIES / "goslim_generic.obo").read_text().split("[Term]")
    terms = "\n".join(lines[1:]).split("[Typedef]")[0]
    made = Owl(profile="existential").read(ONTOLOGIES / "goslim_generic.obo")
    stated = Counter(re.findall(r"^relationship: (\w+)", terms, re.MULTILINE))
    assert stated == {"part_of": 66, "has_part": 6, "occurs_in": 4, "regulates": 1}
    assert counts(made)["hypernym"] == len(re.findall(r"^is_a: ", terms, re.MULTILINE)) == 148
    assert counts(made) == {"hypernym": 148, "part_meronym": 66 + 6, "BFO:0000066": 4, "RO:0002211": 1}
    assert len(made.ids) == len(re.findall(r"^id: ", terms, re.MULTILINE)) == 149
    names = dict(re.findall(r"^id: (GO:\d+)\nname: (.*)$", terms, re.MULTILINE))
    labels = dict(zip(made.ids.to_pylist(), made.labels.to_pylist(), strict=True))
    assert all(labels[i] == name or labels[i].startswith(f"{name}, ") for i, name in names.items())


@pytest.mark.data
def test_obo_and_owl_give_one_id_to_one_thing() -> None:
    obo, owl = (Owl(profile="existential").read(ONTOLOGIES / f) for f in ("goslim_generic.obo", "uberon_fragment.owl"))
    assert {"part_meronym"} <= {r.id for r in obo.relations} & {r.id for r in owl.relations}
    assert all(re.fullmatch(r"GO:\d{7}", i) for i in obo.ids.to_pylist())
    assert sum(re.fullmatch(r"UBERON:\d{7}", i) is not None for i in owl.ids.to_pylist()) > 200


def unordered(statements: Statements) -> set[tuple[str, ...]]:
    """Return edges, those of symmetric relations without their order."""
    either = {r.id for r in statements.relations if r.symmetric}
    words = (edge.split() for edge in edges(statements))
    return {(r, *sorted((s, o))) if r in either else (r, s, o) for s, r, o in words}


@pytest.mark.data
def test_the_primer_is_one_ontology_in_every_syntax() -> None:
    families = {"x": "http://example.com/owl/families/"}
    ofn, owx, omn = (Owl(profile="full", prefixes=families).read(ONTOLOGIES / f"primer.{e}") for e in ("ofn", "owx", "omn"))
    assert unordered(ofn) == unordered(owx)
    assert set(owx.ids.to_pylist()) - set(ofn.ids.to_pylist()) == {"x:Meg"}  # declared there only
    # The Manchester file has a class X where the others have an axiom without a name, and writes Happy for HappyPerson once.
    more = {("hypernym", "X", "Parent"), ("hypernym", "X", "Female"), ("hasChild", "X", "Female"), ("hasChild", "HappyPerson", "Happy")}
    assert unordered(omn) - unordered(ofn) == more
    assert unordered(ofn) - unordered(omn) == {("hasChild", "HappyPerson", "HappyPerson")}


@pytest.mark.data
def test_functional_files_have_the_axioms_that_their_lines_state() -> None:
    text = (ONTOLOGIES / "uvula.ofn").read_text()
    named = r"<([^>]*)>"
    wanted = set(re.findall(rf"^SubClassOf\({named} {named}\)", text, re.MULTILINE))
    some = set(re.findall(rf"^SubClassOf\({named} ObjectSomeValuesFrom\({named} {named}\)\)", text, re.MULTILINE))
    annotated = set(re.findall(rf"^SubClassOf\((?:Annotation\(.*?\) )+{named} {named}\)", text, re.MULTILINE))
    made = Owl(profile="existential").read(ONTOLOGIES / "uvula.ofn")
    iri = {p + ":": i for p, i in made.prefixes.items()}
    full = [next(iri[p] + i[len(p) :] for p in iri if i.startswith(p)) for i in made.ids.to_pylist()]
    rows = list(zip(made.subject.tolist(), made.relation.tolist(), made.object.tolist(), strict=True))
    hypernym = {(full[s], full[o]) for s, r, o in rows if made.relations[r].id == "hypernym"}
    assert wanted | annotated <= hypernym
    assert len(wanted) + len(annotated) > 15
    either_way = {(full[s], full[o]) for s, r, o in rows} | {(full[o], full[s]) for s, r, o in rows}
    assert some
    assert {(a, b) for a, _, b in some} <= either_way


OWX = f"""<?xml version="1.0"?>
<!DOCTYPE Ontology [ <!ENTITY x "{EXAMPLE}" > ]>
<Ontology xmlns="http://www.w3.org/2002/07/owl#" xml:base="{EXAMPLE[:-1]}" ontologyIRI="http://example.org/x">
<Prefix name="y" IRI="http://example.org/y/"/>
<SubClassOf><Class IRI="#A"/><Class IRI="&x;B"/></SubClassOf>
<SubClassOf><Class IRI="#A"/><Class abbreviatedIRI="y:C"/></SubClassOf>
</Ontology>"""


def test_owl_xml_with_entities_relative_iris_and_prefixes(tmp_path: Path) -> None:
    assert edges(read(tmp_path, "a.owx", OWX)) == {"A hypernym B", "A hypernym y:C"}
    assert edges(read(tmp_path, "a.owl", OWX)) == {"A hypernym B", "A hypernym y:C"}


MANCHESTER = f"""Prefix: : <{EXAMPLE}>
Ontology: <http://example.org/x>
ObjectProperty: r
Class: A
    Annotations: rdfs:label "max 1 and more"
    SubClassOf: B and r max 1 and r some C
"""


def test_manchester_with_unqualified_cardinalities_and_standard_prefixes(tmp_path: Path) -> None:
    made = read(tmp_path, "a.omn", MANCHESTER, profile="full")
    assert edges(made) == {"A hypernym B", "A r C"}
    assert made.labels[made.ids.to_pylist().index("x:A")].as_py() == "max 1 and more"


# ---- damaged and hostile files

_N = 100_000


@pytest.mark.parametrize(
    ("name", "document", "message"),
    [
        ("a.obo", OBO.replace("is_a: X:2 ! canid", "is_a: "), r"a\.obo, line 10, column \d+: expected"),
        ("a.obo", OBO.replace("X:1\nname", "X:1\nnam€"), "line 6, column 1: expected"),
        ("a.ofn", functional("SubClasOf(:A :B)"), "line 14, column 1: expected one of"),
        ("a.ofn", functional("SubClassOf(z:A :B)"), r"line 14, column \d+: .*undefined prefix"),
        ("a.ofn", functional("SubClassOf(:A :B)")[:-9], r"line 1\d, column"),
        ("a.omn", MANCHESTER.replace("SubClassOf:", "SubClasOf:"), "line 6"),
        ("a.owx", OWX.replace("SubClassOf>", "SubClasOf>"), "line 5, column .*Unexpected tag"),
        ("a.owx", OWX[:-30], r"line \d, column \d+: (no element|unclosed)"),
        ("a.owx", OWX.replace("&x;", "&nowhere;"), "line 5, column .*undefined entity"),
        ("a.owx", OWX.replace('"http://example.org/x#"', "SYSTEM 'file:///etc/passwd'"), "XML entities are internal"),
        ("a.ofn", f"Ontology(<a:a>\nSubClassOf(<a:a> {'ObjectComplementOf(' * _N}<a:b>{')' * _N}))", "nest too deep"),
        ("a.omn", f"Ontology: <a:a>\nObjectProperty: <a:p>\nClass: <a:a>\n  SubClassOf: {'<a:p> some ' * _N}<a:b>", "nest too deep"),
        ("a.owx", OWX.replace("<SubClassOf>", "<ObjectComplementOf>" * _N, 1), "nest at most 500 deep"),
    ],
)
def test_damaged_files_are_refused_with_the_place(tmp_path: Path, name: str, document: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(tmp_path, name, document)


def test_wrong_encoding_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.obo, line 6: invalid"):
        read(tmp_path, "a.obo", OBO.replace("name: dog", "name: döner").encode("latin-1"))


def test_a_parser_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"not read within 0\.001 seconds(.|\n)*time_limit"):
        read(tmp_path, "a.ofn", functional("SubClassOf(:A :B)"), time_limit=0.001)


_FUZZ = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_SMALL = {"obo": OBO, "ofn": functional("SubClassOf(:A ObjectSomeValuesFrom(:r :B))"), "omn": MANCHESTER, "owx": OWX}


@_FUZZ
@given(data=st.data(), extension=st.sampled_from(sorted(_SMALL)))
def test_damaged_documents_are_read_or_refused(tmp_path: Path, data: st.DataObject, extension: str) -> None:
    raw = _SMALL[extension].encode()
    start, length = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, 30))
    damaged = raw[:start] + data.draw(st.binary(max_size=6) | st.sampled_from([b"(", b")", b"<", b"\n", b'"'])) + raw[start + length :]
    try:
        made = read(tmp_path, f"a.{extension}", damaged, profile="full")
    except KgzslError as error:
        assert error.rule
    else:
        assert len(made.ids)
