"""SPARQL over a graph: answers, errors with their place, and what is refused."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, KgzslError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.query import EXAMPLES, GraphStore, refuse
from kgzsl.testing.graphs import graph_of
from kgzsl.testing.mixed import mixed

pytest.importorskip("pyoxigraph")


@pytest.fixture(scope="module")
def store() -> GraphStore:
    return GraphStore(mixed())


def test_select(store: GraphStore) -> None:
    answer = store.query("SELECT ?s ?label { ?s kgzsl:hypernym ex:mammal ; skos:prefLabel ?label } ORDER BY ?s")
    assert (answer.kind, answer.columns, answer.truncated) == ("select", ("s", "label"), False)
    assert answer.rows == (("ex:cat", "cat"), ("ex:lion", "lion"), ("ex:whole", "a whole IRI"))


def test_values_have_their_types(store: GraphStore) -> None:
    query = "SELECT (COUNT(*) AS ?n) (MAX(?w) AS ?most) (1 = 1 AS ?yes) (SAMPLE(?none) AS ?empty) { ?e kgzsl:weight ?w }"
    assert store.query(query).rows == ((3, 2.5, True, None),)


def test_weights_that_are_not_one_are_statements(store: GraphStore) -> None:
    query = "SELECT ?s ?p ?o ?w { ?e rdf:subject ?s ; rdf:predicate ?p ; rdf:object ?o ; kgzsl:weight ?w } ORDER BY ?w"
    assert store.query(query).rows == (
        ("ex:lion", "kgzsl:has_attribute", "ex:tail", 0.1),
        ("ex:cat", "kgzsl:has_attribute", "ex:tail", 0.75),
        ("ex:lion", "ex:eats", "ex:a%20b", 2.5),
    )


def test_ask_construct_describe(store: GraphStore) -> None:
    assert store.query("ASK { ex:simba kgzsl:instance_hypernym/kgzsl:hypernym ex:mammal }").rows == ((True,),)
    assert store.query("ASK { ex:mammal kgzsl:hypernym ?x }").rows == ((False,),)
    made = store.query("CONSTRUCT { ?b ex:has ?a } WHERE { ?a kgzsl:has_attribute ?b }")
    assert (made.kind, made.columns) == ("construct", ("subject", "predicate", "object"))
    assert set(made.rows) == {("ex:tail", "ex:has", "ex:cat"), ("ex:tail", "ex:has", "ex:lion")}
    assert ("ex:lion", "skos:altLabel", "king of beasts") in store.query("DESCRIBE ex:lion").rows


def test_limit(store: GraphStore) -> None:
    everything = store.query("SELECT * { ?s ?p ?o }", limit=None)
    some = store.query("SELECT * { ?s ?p ?o }", limit=5)
    assert (len(some.rows), some.truncated, everything.truncated) == (5, True, False)
    exact = store.query("SELECT * { ?s ?p ?o }", limit=len(everything.rows))
    assert not exact.truncated and exact.rows == everything.rows
    with pytest.raises(InvalidInputError):
        store.query("ASK {}", limit=0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("SELECT ?x { ?x kgzsl:hypernym }", "line 1, column 31"),
        ("SELECT ?x {\n  ?x kgzsl:hypernym ?y .\n  FILTER( }", "line 3, column 12"),
        ("SELECT ?x { ?x zz:y ?z }", "declare the prefix zz"),
        ("SELECT (?none AS ?x) (COUNT(*) AS ?n) { ?a ?b ?c }", "The SELECT contains an expression with a variable that is unbound"),
        ("SELEKT ?x { ?x ?y ?z }", "line 1, column 1"),
        ("SELECT ?x { ?x ?y <not an iri> }", "line 1, column 31"),
    ],
)
def test_a_wrong_query_is_told_where(store: GraphStore, text: str, place: str) -> None:
    with pytest.raises(InvalidInputError, match=r"SPARQL 1\.1") as caught:
        store.query(text)
    assert place in str(caught.value)


def test_the_mark_stands_below_the_place(store: GraphStore) -> None:
    with pytest.raises(InvalidInputError) as caught:
        store.query("SELECT ?x { " + "?x ?y ?z . " * 20 + "FILTER( }")
    shown, mark = str(caught.value).splitlines()[2:4]
    assert len(shown) < 120 and shown[: mark.index("^")].endswith("FILTER( }")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }",
        "SELECT * { service silent <http://127.0.0.1:1/> { ?s ?p ?o } }",
        "SELECT * { ?s ?p ?o .SERVICE<http://127.0.0.1:1/>{ ?s ?p ?o } }",
        "SELECT * { ?s ?p 1SERVICE <http://127.0.0.1:1/> { ?a ?b ?c } }",
        "SELECT * { ?s ?p 'x'SERVICE <http://127.0.0.1:1/> { ?a ?b ?c } }",
        "SELECT * { SERVICEex:a { ?s ?p ?o } }",
        "SELECT * { ?s ?p ex:.SERVICE ex:a { ?a ?b ?c } }",
        "SELECT * { SERVICE?g { ?s ?p ?o } }",
        "SELECT * { # comment\nSERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }",
        "SELECT * { ?s ?p <http://x/#a> . SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }",
        r"SELECT * { ?s ?p ex:a\' . SERVICE <http://127.0.0.1:1/> { ?a ?b ?c } . ?s ?p ex:b\' }",
        'SELECT * { ?s ?p """a""" . SERVICE <http://127.0.0.1:1/> { ?a ?b ?c } . ?s ?p """b""" }',
    ],
)
def test_no_query_leaves_the_machine(store: GraphStore, text: str) -> None:
    with pytest.raises(InvalidInputError, match="stays on this machine"):
        store.query(text)


PARTS = ["SERVICE", "<http://127.0.0.1:PORT/>", "ex:a", "ex:", ".", "'", '"', "'''", "\\", "\\'", "#", "\n", " ", "?x", "{ ?s ?p ?o }"]
PARTS += ["<", ">", "1", "?s ?p ?o", "SILENT", "FILTER(?a", ")", ":", "-", "%41"]


@given(st.lists(st.sampled_from(PARTS), max_size=12))
@settings(max_examples=300, deadline=None)
def test_what_passes_reaches_nobody(parts: list[str]) -> None:
    """Whatever `refuse` lets through makes no connection: a server that listens hears nothing."""
    text = "SELECT * { " + "".join(parts).replace("PORT", str(_listener().getsockname()[1])) + " }"
    with contextlib.suppress(KgzslError):
        _STORE.query(text, seconds=5)
    with pytest.raises(BlockingIOError):
        _listener().accept()


_STORE = GraphStore(mixed())
_SOCKETS: list[socket.socket] = []


def _listener() -> socket.socket:
    if not _SOCKETS:
        server = socket.create_server(("127.0.0.1", 0))
        server.setblocking(False)
        _SOCKETS.append(server)
    return _SOCKETS[0]


def test_words_that_look_like_it_are_allowed(store: GraphStore) -> None:
    for text in (
        "SELECT ?service { ?service ?p 'SERVICE' } # SERVICE",
        "SELECT * { ?s ?p <http://example.org/service> }",
        'SELECT * { ?s ?p """SERVICE "quoted" it\'s""", ex:service, ex:room_service, _:service }',
        "PREFIX add: <http://x/> SELECT * { ?s add:insert 'DELETE' }",
        "SELECT (?a < 3 AS ?less) (?a > 2 AS ?more) { BIND(2 AS ?a) }",
    ):
        store.query(text)


@pytest.mark.parametrize("text", ["INSERT DATA { ex:a ex:b ex:c }", "load <http://127.0.0.1:1/>", "DELETE WHERE { ?s ?p ?o }", "DROP ALL",
                                  "PREFIX ex: <http://x/>\nINSERT { ?s ?p 1 } WHERE { SELECT * { ?s ?p ?o } }"])  # fmt: skip
def test_updates_are_refused(store: GraphStore, text: str) -> None:
    before = len(store.query("SELECT * { ?s ?p ?o }", limit=None).rows)
    with pytest.raises(InvalidInputError, match="changes nothing"):
        store.query(text)
    assert len(store.query("SELECT * { ?s ?p ?o }", limit=None).rows) == before


@pytest.mark.parametrize("text", ["", "  \n ", "# only a comment"])
def test_an_empty_query_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="empty"):
        refuse(text)


@given(st.text(max_size=80))
def test_any_text_is_answered_or_refused(text: str) -> None:
    with contextlib.suppress(KgzslError):
        _STORE.query(text, seconds=5)


def test_a_query_that_takes_too_long_is_given_up() -> None:
    many = GraphStore(graph_of(300, [(i, j) for i in range(300) for j in range(0, i, 40)]))
    started = time.monotonic()
    with pytest.raises(KgzslError, match=r"at most 0\.3 seconds"):
        many.query("SELECT (COUNT(*) AS ?n) { ?a ?p ?b . ?c ?q ?d . ?e ?r ?f . FILTER(?a != ?f) }", seconds=0.3)
    assert time.monotonic() - started < 10


def test_a_file_that_from_names_is_not_read(store: GraphStore, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("rdf") / "a.nt"
    file.write_text("<x:a> <x:b> <x:c> .\n", encoding="utf-8")
    assert store.query("SELECT * FROM <FILE> { ?s ?p ?o }".replace("FILE", file.as_uri())).rows == ()


@pytest.mark.data
def test_the_examples_answer_as_the_graph_does(imagenet: KnowledgeGraph) -> None:
    big = GraphStore(imagenet)
    answers = {name: big.query(text) for name, text in EXAMPLES.items()}
    children = Counter(imagenet.object.tolist())
    assert [n for _, n in answers["the ten classes with most kinds"].rows] == sorted(children.values(), reverse=True)[:10]
    assert answers["is every lion an animal?"].rows == ((True,),)
    assert answers["edges per relation"].rows == (("is a kind of", len(imagenet.subject)),)
    above, frontier = set(), {"wn30:n02129165"}
    while frontier:
        frontier = {i for node in frontier for way, _, i in imagenet.neighbours(node) if way == "out"} - above
        above |= frontier
    assert {node for node, _ in answers["all that is above the lion"].rows} == above
    assert all("race" in str(gloss) for _, gloss in answers["nodes whose gloss speaks of a race"].rows)
    assert answers["the weightiest edges"].rows == ()
