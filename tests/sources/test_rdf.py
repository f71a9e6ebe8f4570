"""RDF into columns: every syntax, against rdflib, and what is refused."""

from __future__ import annotations

import gzip
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources.owl_cases import ONTOLOGIES

from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError
from kgzsl.sources.rdf import TripleColumns, concatenate, from_rdflib, read_triples
from kgzsl.sources.rdf_files import MAX_DEPTH, MAX_TRIPLE_TERMS, detect

rdflib = pytest.importorskip("rdflib")
pytest.importorskip("pyoxigraph")
pytestmark = pytest.mark.filterwarnings("ignore:Dataset:DeprecationWarning")

TURTLE = """@prefix x: <http://example.org/x#> .
x:a x:p x:b , "a \\"quoted\\" text . with dots\\n"@en , "1"^^<http://www.w3.org/2001/XMLSchema#integer> , _:n .
_:n x:q <http://example.org/ü> , "<x> <y> ." .
"""
SYNTAXES = {"turtle": "ttl", "xml": "rdf", "nt": "nt", "nquads": "nq", "n3": "n3", "json-ld": "jsonld", "trig": "trig"}


def terms(columns: TripleColumns) -> list[tuple[str, str, str]]:
    """Return triples as words; blank nodes lose their names."""
    words = ["_:" if t.startswith("_:") else t for t in columns.terms.to_pylist()]
    rows = zip(columns.subject.tolist(), columns.predicate.tolist(), columns.object.tolist(), strict=True)
    return sorted(tuple(words[i] for i in row) for row in rows)


def through_rdflib(graph: rdflib.Graph) -> list[tuple[str, str, str]]:
    """The same, through rdflib; its way of writing a literal is N-Triples' own."""
    from rdflib.plugins.serializers.nt import _nt_row

    rows = []
    for triple in graph:
        line = _nt_row(triple).strip().removesuffix(" .")
        s, p, o = line.split(" ", 2)
        rows.append(tuple("_:" if t.startswith("_:") else t for t in (s, p, o)))
    return sorted(rows)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("packed", [False, True])
def test_every_syntax_gives_the_same_triples(tmp_path: Path, syntax: str, packed: bool) -> None:
    graph = rdflib.Dataset() if syntax in ("nquads", "trig") else rdflib.Graph()
    graph.parse(data=TURTLE, format="turtle")
    file = tmp_path / f"a.{SYNTAXES[syntax]}{'.gz' if packed else ''}"
    document = graph.serialize(format=syntax, encoding="utf-8")
    file.write_bytes(gzip.compress(document) if packed else document)
    made = read_triples(file)
    plain = read_triples_of(tmp_path, TURTLE)
    assert terms(made) == terms(plain)
    assert len(made) == 6
    assert made.subject.dtype == made.predicate.dtype == made.object.dtype == np.int32


def read_triples_of(folder: Path, document: str, name: str = "plain.ttl") -> TripleColumns:
    (folder / name).write_text(document)
    return read_triples(folder / name)


def test_literals_come_through_as_they_are(tmp_path: Path) -> None:
    made = set(read_triples_of(tmp_path, TURTLE).terms.to_pylist())
    assert {'"a \\"quoted\\" text . with dots\\n"@en', '"<x> <y> ."', "<http://example.org/ü>"} <= made


def test_formulas_of_n3_are_not_asserted(tmp_path: Path) -> None:
    made = read_triples_of(tmp_path, "@prefix x: <a:> . x:a x:p x:b . { x:b x:q x:c } x:because x:d .", "a.n3")
    assert set(made.terms.to_pylist()) - {t for t in made.terms.to_pylist() if t.startswith("_:")} == {
        f"<a:{n}>" for n in ("a", "p", "b", "because", "d")
    }
    with pytest.raises(SourceError, match=r"by line 1: variables are not allowed(.|\n)*leave them out"):
        read_triples_of(tmp_path, "@prefix x: <a:> . { ?x x:p x:b } => { ?x x:q x:c } .", "a.n3")


def test_terms_are_numbered_by_first_use(tmp_path: Path) -> None:
    made = read_triples_of(tmp_path, "<a:b> <a:p> <a:c> .\n<a:a> <a:p> <a:b> .\n")
    assert made.terms.to_pylist() == ["<a:b>", "<a:p>", "<a:c>", "<a:a>"]
    assert np.stack([made.subject, made.predicate, made.object]).tolist() == [[0, 3], [1, 1], [2, 0]]


def test_blocks_join_over_one_list_of_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = "".join(f"<a:{i % 7}> <a:p{i % 3}> <a:{i % 5}> .\n" for i in range(500))
    whole = read_triples_of(tmp_path, document)
    monkeypatch.setattr("kgzsl.sources.rdf._BLOCK", 64)
    pieces = read_triples_of(tmp_path, document)
    assert terms(pieces) == terms(whole)
    assert len(pieces.terms) == len(set(pieces.terms.to_pylist())) == 10


@pytest.mark.data
@pytest.mark.parametrize("name", ["koala.owl", "pizza.owl", "bfo-core.owl", "foaf.nq", "wine.rdf", "bfo-core.ttl", "ro-base.owl"])
def test_real_files_are_those_of_rdflib_to_the_triple(name: str) -> None:
    kinds = {"nq": "nquads", "ttl": "turtle"}
    graph = rdflib.Dataset(default_union=True)
    graph.parse(ONTOLOGIES / name, format=kinds.get(name.partition(".")[2], "xml"))
    flat = rdflib.Graph()
    for triple in graph.triples((None, None, None)):
        flat.add(triple[:3])
    ours, theirs = Counter(_no_types(terms(read_triples(ONTOLOGIES / name)))), Counter(_no_types(through_rdflib(flat)))
    assert set(ours) == set(theirs)
    assert sum(theirs.values()) == len(flat)


def _no_types(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """rdflib writes some values in their canonical form, and its escapes differ: only whether there is a literal counts."""
    return [(s, p, '"' if o.startswith('"') else o) for s, p, o in rows]


@pytest.mark.data
def test_every_literal_of_a_real_file_survives() -> None:
    graph = rdflib.Graph().parse(ONTOLOGIES / "uberon_fragment.owl", format="xml")
    wanted = {str(o) for o in graph.objects() if isinstance(o, rdflib.Literal)}
    columns = read_triples(ONTOLOGIES / "uberon_fragment.owl")
    again = rdflib.Graph().parse(data="".join(f"{s} {p} {o} .\n" for s, p, o in rows_of(columns)), format="nt")
    assert {str(o) for o in again.objects() if isinstance(o, rdflib.Literal)} == wanted
    assert len(again) == len(graph)


def rows_of(columns: TripleColumns) -> list[tuple[str, str, str]]:
    words = columns.terms.to_pylist()
    return [(words[s], words[p], words[o]) for s, p, o in zip(columns.subject, columns.predicate, columns.object, strict=True)]


def test_rdflib_graphs_come_in(tmp_path: Path) -> None:
    graph = rdflib.Graph().parse(data=TURTLE, format="turtle")
    made = from_rdflib(graph)
    assert terms(made) == terms(read_triples_of(tmp_path, TURTLE))
    assert made.prefixes["x"] == "http://example.org/x#"
    dataset = rdflib.Dataset()
    dataset.graph(rdflib.URIRef("http://example.org/g")).parse(data=TURTLE, format="turtle")
    assert terms(from_rdflib(dataset)) == terms(made)


def test_files_join_without_mixing_their_blank_nodes(tmp_path: Path) -> None:
    one = read_triples_of(tmp_path, "_:n <a:p> <a:a> .\n")
    (tmp_path / "b.ttl").write_text("_:n <a:p> <a:b> .\n")
    both = concatenate([one, read_triples(tmp_path / "b.ttl", rename_blank=True)])
    assert len(both) == 2
    assert len(set(both.subject.tolist())) == 2
    assert len(set(both.predicate.tolist())) == 1


# ---- which syntax

XML = '<?xml version="1.0"?>\n<!-- > -->\n<!DOCTYPE rdf:RDF [ <!ENTITY x "http://example.org/x#" > ]>\n'
RDF_XML = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="http://example.org/x#">
<rdf:Description rdf:about="http://example.org/x#a"><x:p rdf:resource="http://example.org/x#ü"/></rdf:Description></rdf:RDF>"""


@pytest.mark.parametrize(
    ("name", "document", "syntax"),
    [
        ("a.owl", XML + RDF_XML, "rdfxml"),
        ("a.owl", XML + '<Ontology xmlns="http://www.w3.org/2002/07/owl#"/>', "owx"),
        ("a.owl", "# made by hand\nPrefix(:=<a:b>)\nOntology(<a:a>)", "ofn"),
        ("a.owl", "Ontology: <a:a>\n", "omn"),
        ("a.owl", "@prefix x: <a:x> .\n", "turtle"),
        ("a.xml", "format-version: 1.2\n", "obo"),
        ("a.trig", "@prefix x: <a:x> .\n", "trig"),
        ("a.n3", "@prefix x: <a:x> .\n", "n3"),
        ("a.txt", '{"@id": "a:a"}', "jsonld"),
        ("a.NT.gz", "<a:a> <a:b> <a:c> .\n", "ntriples"),
        ("a.ttl", "\ufeff" + RDF_XML, "rdfxml"),
        ("a.nq", "<a:a> <a:b> <a:c> .\n", "nquads"),
    ],
)
def test_syntax_shows_in_the_first_bytes_then_in_the_extension(tmp_path: Path, name: str, document: str, syntax: str) -> None:
    (tmp_path / name).write_text(document, encoding="utf-8")
    assert detect(tmp_path / name) == syntax
    assert detect(tmp_path / name, "turtle") == "turtle"


def test_nothing_known_and_nothing_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"\x00\x01")
    with pytest.raises(SourceError, match=r"begins with b'.x00.x01'(.|\n)*set `format`"):
        detect(tmp_path / "a.dat")
    (tmp_path / "b.ttl").write_bytes(b" \n")
    with pytest.raises(SourceError, match="is empty"):
        detect(tmp_path / "b.ttl")
    with pytest.raises(MissingDataError, match="nowhere"):
        detect(tmp_path / "nowhere.ttl")
    with pytest.raises(InvalidInputError, match="turttle"):
        detect(tmp_path / "b.ttl", "turttle")


# ---- encodings


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le-bom", "latin-1"])
def test_other_encodings_that_say_so_are_read(tmp_path: Path, encoding: str) -> None:
    declared = {"utf-8-sig": "UTF-8", "latin-1": "ISO-8859-1"}.get(encoding, "UTF-16")
    document = f'<?xml version="1.0" encoding="{declared}"?>\n{RDF_XML}'
    raw = b"\xff\xfe" + document.encode("utf-16-le") if encoding == "utf-16-le-bom" else document.encode(encoding)
    (tmp_path / "a.rdf").write_bytes(raw)
    assert "<http://example.org/x#ü>" in read_triples(tmp_path / "a.rdf").terms.to_pylist()


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.rdf", RDF_XML.encode("latin-1"), "line 2, column 9"),
        ("a.rdf", f'<?xml version="1.0" encoding="UTF-16"?>{RDF_XML}'.encode(), "encoding"),
        ("a.rdf", f'<?xml version="1.0" encoding="klingon"?>{RDF_XML}'.encode(), "klingon"),
        ("a.ttl", "<a:a> <a:b> <a:c> .\n<a:a> <a:b> 'ü' .".encode("latin-1"), "line 2, column 1[0-9]: Invalid UTF-8"),
        ("a.nt", '<a:a> <a:b> "\udcff" .'.encode("utf-8", "surrogateescape"), "line 1"),
    ],
)
def test_wrong_encodings_are_refused_with_the_place(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(SourceError, match=message):
        read_triples(tmp_path / name)


# ---- malformed and hostile files


@pytest.mark.parametrize(
    ("name", "document", "message"),
    [
        ("a.ttl", "<a:a> <a:b> <a:c> .\n<a:a> <a:b>\n", "line 3, column 1"),
        ("a.nt", "<a:a> <a:b> <a:c> .\nhello\n", "line 2, column 1"),
        ("a.nq", "<a:a> <a:b> <a:c> <a:g>\n", "line 2, column 1: Quads must be followed by a dot"),
        ("a.jsonld", '{"@id": "a:a",\n]', "line 2, column 1"),
        ("a.jsonld", '{"@context": "http://example.org/c", "@id": "a:a"}', "remote contexts"),
        ("a.rdf", RDF_XML[:-20], r"line 2, column \d+: (no element|unclosed)"),
        ("a.rdf", RDF_XML.replace("</rdf:Description>", "</rdf:Descr>"), r"line 2, column \d+: mismatched tag"),
        ("a.rdf", RDF_XML.replace('rdf:about="', 'rdf:ID="a" rdf:about="'), "by line 2"),
        ("a.owl", "<!DOCTYPE html>\n<html><head><meta charset=utf-8></head></html>", "not an HTML page(.|\n)*raw"),
        ("a.owl", "<html>\n<body><p>404</p></body></html>", "not an HTML page"),
        ("a.ttl", "\n<!-- x --><!doctype HTML PUBLIC>\n<html/>", "not an HTML page"),
        ("a.ttl", "<a> <a:b> <a:c> .", "No scheme found(.|\n)*set `base`"),
        ("a.ttl", "<a:a b> <a:b> <a:c> .", "line 1"),
    ],
)
def test_malformed_files_are_refused_with_the_place(tmp_path: Path, name: str, document: str, message: str) -> None:
    (tmp_path / name).write_text(document)
    with pytest.raises(SourceError, match=message):
        read_triples(tmp_path / name)


def test_relative_iris_are_resolved_against_the_base_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.ttl").write_text("<a> <b> <c> .")
    assert read_triples(tmp_path / "a.ttl", base="http://example.org/").terms.to_pylist()[0] == "<http://example.org/a>"


def test_broken_iris_are_accepted_on_request(tmp_path: Path) -> None:
    (tmp_path / "a.nt").write_text("<http://example.org/{x}> <a:b> <a:c> .\n")
    with pytest.raises(SourceError, match="lenient: true"):
        read_triples(tmp_path / "a.nt")
    assert len(read_triples(tmp_path / "a.nt", lenient=True)) == 1


@pytest.mark.data
def test_the_malformed_primer_is_refused_with_its_line() -> None:
    with pytest.raises(SourceError, match=r"primer\.ttl, line 84, column 39: .*blank node"):
        read_triples(ONTOLOGIES / "primer.ttl")


@pytest.mark.parametrize("keep", [30, 100, 200])
def test_a_gzip_file_cut_in_the_middle_is_refused(tmp_path: Path, keep: int) -> None:
    whole = gzip.compress("".join(f"<a:{i * 7919 % 1000}> <a:b> <a:{i}> .\n" for i in range(100)).encode())
    (tmp_path / "a.nt.gz").write_bytes(whole[:keep])
    with pytest.raises(SourceError, match="a gzip file is whole"):
        read_triples(tmp_path / "a.nt.gz")
    (tmp_path / "b.nt.gz").write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(SourceError, match="a gzip file is whole"):
        read_triples(tmp_path / "b.nt.gz")


def bomb(*entities: str, text: str = "&z;") -> str:
    declared = "\n".join(entities)
    return f"<!DOCTYPE rdf:RDF [\n{declared}\n]>\n" + RDF_XML.replace("<x:p ", f"<x:q>{text}</x:q><x:p ")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            bomb('<!ENTITY a "lol">', *(f'<!ENTITY {c} "{f"&{p};" * 10}">' for p, c in zip("abcdefgh", "bcdefghz", strict=True))),
            "plain text",
        ),
        (bomb(f'<!ENTITY z "{"a" * 100_000}">', text="&z;" * 10_000), "plain text.*up to 256"),
        (bomb(*(f'<!ENTITY e{i} "x">' for i in range(300)), '<!ENTITY z "x">'), "256"),
        (bomb('<!ENTITY z SYSTEM "file:///etc/passwd">'), "XML entities are internal(.|\n)*file:///etc/passwd"),
        (bomb("<!ENTITY % z \"<!ENTITY y 'x'>\">"), "parameter entity"),
        (RDF_XML.replace("<rdf:RDF", '<!DOCTYPE rdf:RDF SYSTEM "http://example.org/x.dtd"><rdf:RDF', 1), "inside its file"),
        (bomb('<!ENTITY z "&z;">'), "plain text"),
    ],
)
def test_xml_bombs_are_refused_at_once(tmp_path: Path, document: str, message: str) -> None:
    (tmp_path / "a.owl").write_text(document)
    started = time.perf_counter()
    with pytest.raises(SourceError, match=message):
        read_triples(tmp_path / "a.owl")
    assert time.perf_counter() - started < 30


def test_entities_for_namespaces_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.owl").write_text(bomb('<!ENTITY z "http://example.org/x#z">'))
    assert '"http://example.org/x#z"' in read_triples(tmp_path / "a.owl").terms.to_pylist()


def test_deep_nesting_is_refused_or_read_and_never_crashes(tmp_path: Path) -> None:
    depth = MAX_DEPTH["rdfxml"]
    deep = RDF_XML.replace("<x:p ", "<x:q><x:X>" * depth + "</x:X></x:q>" * depth + "<x:p ")
    (tmp_path / "a.owl").write_text(deep)
    with pytest.raises(SourceError, match=f"nest at most {depth:,} deep"):
        read_triples(tmp_path / "a.owl")
    terms_ = "<<( <a:a> <a:b> " * 100_000 + "<a:c>" + ")>>" * 100_000
    (tmp_path / "a.ttl").write_text(f"<a:a> <a:b> {terms_} .")
    with pytest.raises(SourceError, match=f"at most {MAX_TRIPLE_TERMS:,} RDF 1.2 triple terms"):
        read_triples(tmp_path / "a.ttl")
    (tmp_path / "b.ttl").write_text("<a:a> <a:b> " + "[<a:b> " * 20_000 + "<a:c>" + "]" * 20_000 + " .")
    assert len(read_triples(tmp_path / "b.ttl")) == 20_001
    (tmp_path / "a.jsonld").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(SourceError, match="line 1, column"):
        read_triples(tmp_path / "a.jsonld")


# ---- fuzzing

_SMALL = {"ttl": TURTLE, "rdf": XML + RDF_XML, "nt": "<a:a> <a:b> 'x' .", "jsonld": '{"@id":"a:a","a:b":[{"@id":"a:c"}]}'}
_FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def survives(folder: Path, name: str, document: bytes) -> None:
    """A document is read, or refused by an error of the project's own."""
    (folder / name).write_bytes(document)
    try:
        made = read_triples(folder / name)
    except KgzslError as error:
        assert error.rule
    else:
        assert len(made) == 0 or max(made.subject.max(), made.object.max()) < len(made.terms)


@_FUZZ
@given(document=st.binary(max_size=200), extension=st.sampled_from([*SYNTAXES.values(), "owl", "gz"]))
def test_any_bytes_are_read_or_refused(tmp_path: Path, document: bytes, extension: str) -> None:
    survives(tmp_path, f"a.{extension}", document)


@_FUZZ
@given(data=st.data(), extension=st.sampled_from(sorted(_SMALL)))
def test_damaged_documents_are_read_or_refused(tmp_path: Path, data: st.DataObject, extension: str) -> None:
    raw = _SMALL[extension].encode()
    start, length = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, 30))
    survives(tmp_path, f"a.{extension}", raw[:start] + data.draw(st.binary(max_size=6)) + raw[start + length :])


@_FUZZ
@given(text=st.text(st.sampled_from("<>&;!-[]\"'/ABx ENTITYDOC#\n"), max_size=80))
def test_text_that_looks_like_xml_is_read_or_refused(tmp_path: Path, text: str) -> None:
    survives(tmp_path, "a.owl", f"<!DOCTYPE r [{text}]>{RDF_XML}".encode())


@pytest.mark.data
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["koala.owl", "primer.ttl"]))
def test_damaged_real_files_are_read_or_refused(tmp_path: Path, data: st.DataObject, name: str) -> None:
    raw = (ONTOLOGIES / name).read_bytes()
    start, length = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, 3000))
    survives(tmp_path, name, raw[:start] + data.draw(st.binary(max_size=3)) + raw[start + length :])
