"""The table axiom → edge: every row of it, what each profile leaves out, and files of all kinds counted by other means."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources.owl_cases import DATA, EXAMPLE, ONTOLOGIES, counts, edge_list, edges, functional, read

from kgzsl.errors import InvalidInputError, SourceError, UnknownNameError
from kgzsl.sources import readers
from kgzsl.sources._axioms_to_rdf import from_owl
from kgzsl.sources.owl import Owl
from kgzsl.sources.owl_rules import NEVER, PROFILES, RULES, table
from kgzsl.sources.rdf import from_rdflib, parse_document

rdflib = pytest.importorskip("rdflib")
pytest.importorskip("pyhornedowl")
pytestmark = pytest.mark.filterwarnings("ignore:Dataset:DeprecationWarning")
OWL, RDF, RDFS, SKOS = rdflib.OWL, rdflib.RDF, rdflib.RDFS, rdflib.SKOS

#: An axiom whose edge every profile has, so that a file whose other axioms make none is no error.
ANCHOR = ("SubClassOf(:C :D)", "C hypernym D")


@pytest.fixture(scope="module")
def projected() -> dict[tuple[str, str], tuple[set[str], dict[str, int]]]:
    """Every axiom of the table in every profile: its edges, and what was dropped."""
    found = {}
    for axiom in [*(r.axiom for r in RULES), *NEVER]:
        document = "Prefix(owl:=<http://www.w3.org/2002/07/owl#>) Prefix(xsd:=<http://www.w3.org/2001/XMLSchema#>) "
        triples = parse_document(from_owl(document + functional(axiom, ANCHOR[0]), "ofn"), "rdfxml", Path("axiom"))
        for profile in PROFILES:
            statements = Owl(profile=profile, prefixes={"x": EXAMPLE}).project(triples, {}, "axiom")
            found[axiom, profile] = (edges(statements) - {ANCHOR[1]}, dict(statements.dropped))
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.axiom)
def test_every_row_of_the_table(rule, projected) -> None:
    for profile in PROFILES:
        made, dropped = projected[rule.axiom, profile]
        known = {e for r in RULES if r.axiom == rule.axiom for e in r.edges if PROFILES.index(r.profile) <= PROFILES.index(profile)}
        if rule.axiom.startswith("DisjointUnion"):
            known |= {"A hypernym D", "B hypernym D"}
        assert made == known
        if not made:
            assert any(f"(in the profile `{rule.profile}`)" in reason for reason in dropped), dropped


@pytest.mark.parametrize("axiom", NEVER)
def test_axioms_without_edges_are_counted(axiom: str, projected) -> None:
    for profile in PROFILES:
        made, dropped = projected[axiom, profile]
        assert made == set()
        parts = axiom.count("ObjectSomeValuesFrom") if "union" in NEVER[axiom] else 1
        assert dropped[NEVER[axiom]] == parts, dropped


def test_profiles_only_ever_add(projected) -> None:
    for less, more in combinations(PROFILES, 2):
        assert all(projected[r.axiom, less][0] <= projected[r.axiom, more][0] for r in RULES)


def test_the_page_about_ontologies_holds_the_table() -> None:
    assert table() in (Path(__file__).parents[2] / "graphs" / "ontologies.md").read_text()


def test_pairs_of_long_lists_are_counted_not_made(tmp_path: Path) -> None:
    members = " ".join(f"x:C{i}" for i in range(3_500))
    turtle = f"""@prefix x: <{EXAMPLE}> . @prefix owl: <{OWL}> . @prefix rdfs: <{RDFS}> .
    [a owl:AllDisjointClasses ; owl:members ({members})] . x:C1 rdfs:subClassOf x:C2 ."""
    assert read(tmp_path, "a.ttl", turtle).dropped["disjointness (in the profile `full`)"] == 3_500 * 3_499 // 2
    with pytest.raises(SourceError, match=r"5,000,000 pairs(.|\n)*6,123,250"):
        read(tmp_path, "a.ttl", turtle, profile="full")


def test_rdflib_graphs_are_projected_like_files(tmp_path: Path) -> None:
    axioms = functional(*(r.axiom for r in RULES))
    graph = rdflib.Graph().parse(data=from_owl(axioms, "ofn"), format="xml")
    made = Owl(profile="full", prefixes={"x": EXAMPLE}).project(from_rdflib(graph), {}, "graph")
    assert edges(made) == edges(read(tmp_path, "a.ofn", axioms, profile="full"))


def test_table_names_every_rule_once() -> None:
    lines = table().splitlines()
    assert len(lines) == 2 + len(RULES) + len(NEVER)
    assert len({(r.axiom) for r in RULES} | set(NEVER)) == len(RULES) + len(NEVER)


def test_definitions_state_both_directions_of_a_union(tmp_path: Path) -> None:
    axioms = ("EquivalentClasses(:A ObjectUnionOf(:B ObjectIntersectionOf(:C :D)))",)
    made = read(tmp_path, "a.ofn", functional(*axioms), profile="full")
    assert edges(made) == {"B hypernym A"}
    assert made.dropped["general axiom on an anonymous class"] == 1


def test_first_generation_definitions_on_the_class_itself(tmp_path: Path) -> None:
    turtle = f"""@prefix x: <{EXAMPLE}> . @prefix owl: <{OWL}> .
    x:A a owl:Class ; owl:intersectionOf (x:B [a owl:Restriction ; owl:onProperty x:r ; owl:someValuesFrom x:C]) .
    x:D a owl:Class ; owl:unionOf (x:A x:C) ."""
    made = read(tmp_path, "a.ttl", turtle, profile="existential")
    assert edges(made) == {"A hypernym B", "A r C", "A hypernym D", "C hypernym D"}


def test_anonymous_classes_are_no_nodes(tmp_path: Path) -> None:
    made = read(tmp_path, "a.ofn", functional(*(r.axiom for r in RULES)), profile="full")
    assert set(made.ids.to_pylist()) == {f"x:{n}" for n in (*"ABCD", *"rst", *"abc", "d")}
    kinds = dict(zip(made.ids.to_pylist(), made.kinds.to_pylist(), strict=True))
    assert (kinds["x:A"], kinds["x:a"], kinds["x:r"], kinds["x:d"]) == ("concept", "individual", "relation", "relation")


def test_no_edges_from_axioms_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"2 axioms and no edge(.|\n)*1 × domain(.|\n)*choose another profile"):
        read(tmp_path, "a.ofn", functional("ObjectPropertyDomain(:r :A)", "SubClassOf(:A owl:Thing)"))
    assert edges(read(tmp_path, "b.ofn", functional())) == set()  # declarations alone are fine


def test_words_prefer_the_language_then_are_made_of_the_name(tmp_path: Path) -> None:
    turtle = f"""@prefix x: <{EXAMPLE}> . @prefix rdfs: <{RDFS}> . @prefix skos: <{SKOS}> . @prefix owl: <{OWL}> .
    x:A a owl:Class ; rdfs:label "Hund"@de , "dog"@en-GB , "chien"@fr ; skos:altLabel "hound"@en , "cane"@it ;
        skos:definition "An  animal\\n that \\"barks\\"."@en ; rdfs:comment "other"@en ; rdfs:subClassOf x:DomesticAnimal_of_x .
    x:r a owl:ObjectProperty , owl:SymmetricProperty ; rdfs:label "next to"@en . x:i a owl:NamedIndividual ; x:r x:j ."""
    english = read(tmp_path, "a.ttl", turtle, profile="existential")
    words = dict(zip(english.ids.to_pylist(), zip(english.labels.to_pylist(), english.texts.to_pylist(), strict=True), strict=True))
    assert words["x:A"] == ("dog, hound", 'An animal that "barks".')
    assert words["x:DomesticAnimal_of_x"] == ("Domestic Animal of x", "")
    relation = next(r for r in english.relations if r.id == "x:r")
    assert (relation.label, relation.symmetric) == ("next to", True)
    italian = f'@prefix x: <{EXAMPLE}> . @prefix skos: <{SKOS}> . x:A a skos:Concept ; skos:prefLabel "cane"@it ; <{RDFS}label> "Hund"@de .'
    assert read(tmp_path, "b.ttl", italian, languages=["it"]).labels.to_pylist() == ["cane"]
    german = read(tmp_path, "a.ttl", turtle, languages=["de"], synonyms=False)
    assert german.labels[german.ids.to_pylist().index("x:A")].as_py() == "Hund"


def test_ids_are_curies_of_known_prefixes_or_full(tmp_path: Path) -> None:
    turtle = f"""@prefix : <{EXAMPLE}> . @prefix cn: <http://example.org/not-conceptnet/> . @prefix y: <http://example.org/y/> .
    @prefix rdfs: <{RDFS}> . @prefix obo: <http://purl.obolibrary.org/obo/> .
    :A rdfs:subClassOf cn:b , <http://example.org/y/c/d> , obo:GO_0008150 , obo:thing ,
        <http://wordnet-rdf.princeton.edu/wn30/n02084071> ."""
    made = read(tmp_path, "a.ttl", turtle, prefixes={})
    full = {EXAMPLE + "A", "http://example.org/not-conceptnet/b"}
    assert set(made.ids.to_pylist()) == full | {"y:c/d", "GO:0008150", "obo:thing", "wn30:n02084071"}
    assert made.prefixes == {
        "y": "http://example.org/y/",
        "GO": "http://purl.obolibrary.org/obo/GO_",
        "obo": "http://purl.obolibrary.org/obo/",
    }
    with pytest.raises(InvalidInputError, match=r"cn: http://example\.org/"):
        Owl(prefixes={"cn": "http://example.org/"})


def test_deprecated_classes_are_left_out_unless_wanted(tmp_path: Path) -> None:
    axioms = ('AnnotationAssertion(owl:deprecated :A "true"^^xsd:boolean)', "SubClassOf(:A :B)", "SubClassOf(:C :B)")
    made = read(tmp_path, "a.ofn", functional(*axioms))
    assert edges(made) == {"C hypernym B"}
    assert (made.dropped["node that is deprecated"], made.dropped["end that is deprecated"]) == (1, 1)
    assert edges(read(tmp_path, "a.ofn", functional(*axioms), deprecated="keep")) == {"A hypernym B", "C hypernym B"}


def test_annotations_become_edges_when_asked_for(tmp_path: Path) -> None:
    document = functional(f"Declaration(AnnotationProperty(<{EXAMPLE}n>))", "AnnotationAssertion(:n :A :B)", ANCHOR[0])
    assert read(tmp_path, "a.ofn", document).dropped["annotation to an IRI"] == 1
    assert edges(read(tmp_path, "a.ofn", document, annotation_edges=[EXAMPLE + "n"])) == {ANCHOR[1], "A n B"}


def test_relations_of_the_vocabulary_read_the_right_way_round(tmp_path: Path) -> None:
    turtle = f"""@prefix x: <{EXAMPLE}> . @prefix skos: <{SKOS}> . @prefix obo: <http://purl.obolibrary.org/obo/> .
    x:A skos:narrower x:B . x:C skos:broader x:A . x:C obo:BFO_0000050 x:D ."""
    assert edges(read(tmp_path, "a.ttl", turtle, profile="existential")) == {"B hypernym A", "C hypernym A", "D part_meronym C"}


def test_lists_and_expressions_that_run_in_circles_are_dropped(tmp_path: Path) -> None:
    turtle = f"""@prefix x: <{EXAMPLE}> . @prefix owl: <{OWL}> . @prefix rdf: <{RDF}> . @prefix rdfs: <{RDFS}> .
    x:A rdfs:subClassOf x:B , [owl:intersectionOf _:l] . _:l rdf:first x:C ; rdf:rest _:l .
    x:B rdfs:subClassOf _:m . _:m owl:intersectionOf (x:C _:m) ."""
    made = read(tmp_path, "a.ttl", turtle, profile="full")
    assert edges(made) >= {"A hypernym B", "B hypernym C"}


def test_expressions_that_unfold_without_bound_are_refused(tmp_path: Path) -> None:
    lines = [f"_:n{i} owl:intersectionOf (_:n{i + 1} _:n{i + 1}) ." for i in range(60)]
    head = f"@prefix x: <{EXAMPLE}> . @prefix owl: <{OWL}> . @prefix rdfs: <{RDFS}> .\n"
    body = "\n".join(["x:A rdfs:subClassOf _:n0 .", *lines, "_:n60 owl:complementOf x:B ."])
    with pytest.raises(SourceError, match="unfold without bound"):
        read(tmp_path, "a.ttl", head + body, profile="full")


def test_unknown_settings_name_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="taxonomy, existential, full"):
        readers.make("owl", {"profile": "el"})
    with pytest.raises(InvalidInputError, match="`drop` or `keep`"):
        readers.make("owl", {"deprecated": "hide"})
    with pytest.raises(InvalidInputError, match="are lists"):
        readers.make("owl", {"languages": "en"})
    with pytest.raises(InvalidInputError, match="above 0"):
        readers.make("owl", {"time_limit": 0})
    with pytest.raises(InvalidInputError, match="reasonner"):
        readers.make("owl", {"reasonner": "hermit"})


# ---- what no tool would write

_ENDS = ["x:A", "x:B", "x:r", "x:i", "_:a", "_:b", "_:c", "rdf:nil", "owl:Thing", "owl:Nothing", "xsd:string", "x:o"]
_PLACES = """rdf:type rdf:first rdf:rest rdfs:subClassOf rdfs:subPropertyOf rdfs:domain rdfs:range rdfs:label owl:equivalentClass
owl:intersectionOf owl:unionOf owl:complementOf owl:oneOf owl:onProperty owl:someValuesFrom owl:allValuesFrom owl:hasValue owl:hasSelf
owl:minCardinality owl:maxQualifiedCardinality owl:onClass owl:inverseOf owl:disjointWith owl:disjointUnionOf owl:members
owl:distinctMembers owl:propertyChainAxiom owl:sameAs owl:hasKey owl:deprecated owl:imports skos:broader x:r"""
_TYPES = """owl:Class owl:Restriction owl:ObjectProperty owl:DatatypeProperty owl:AnnotationProperty owl:AllDisjointClasses owl:Ontology
owl:AllDifferent owl:NamedIndividual rdfs:Datatype owl:Axiom"""
_TRIPLE = st.tuples(
    st.sampled_from(_ENDS), st.sampled_from(_PLACES.split()), st.sampled_from([*_ENDS, *_TYPES.split(), "0", "1", '"x"@en', "true"])
)
_PREFIXES = f"""@prefix x: <{EXAMPLE}> . @prefix owl: <{OWL}> . @prefix rdf: <{RDF}> . @prefix rdfs: <{RDFS}> . @prefix skos: <{SKOS}> .
@prefix xsd: <{rdflib.XSD}> .
"""


@settings(max_examples=80, deadline=None)
@given(triples=st.lists(_TRIPLE, min_size=1, max_size=25), profile=st.sampled_from(PROFILES))
def test_any_triples_are_projected_or_refused(triples: list[tuple[str, str, str]], profile: str) -> None:
    document = _PREFIXES + "".join(f"{s} {p} {o} .\n" for s, p, o in triples)
    columns = parse_document(document.encode(), "turtle", Path("fuzz"))
    try:
        made = Owl(profile=profile, prefixes={"x": EXAMPLE}).project(columns, {}, "fuzz")
    except SourceError as error:
        assert error.rule
    else:
        assert len(made.ids) == len(set(made.ids.to_pylist()))
        assert not any(i.startswith(("_:", "owl:", "rdf:")) for i in made.ids.to_pylist())


# ---- real files, counted by other means

#: file → nodes, edges and some relations in the profile `full`.
REAL = {
    "ontologies/bfo-core.owl": (76, 217, {"hypernym": 35, "inverse_relation": 17, "disjoint": 26}),
    "ontologies/bfo-core.ttl": (76, 217, {"hypernym": 35, "inverse_relation": 17, "disjoint": 26}),
    "ontologies/foaf.nq": (79, 107, {"hypernym": 10, "sub_relation": 12, "domain": 46, "range": 21}),
    "ontologies/koala.owl": (31, 40, {"hypernym": 14, "instance_hypernym": 6, "domain": 5}),
    "ontologies/not-galen.n3": (3510, 6779, {"hypernym": 3929, "sub_relation": 416}),
    "ontologies/pizza.owl": (112, 1105, {"disjoint": 796, "hypernym": 98, "distinct": 10}),
    "ontologies/ro-base.owl": (173, 305, {"sub_relation": 143, "inverse_relation": 23, "hypernym": 16}),
    "ontologies/schema.nq": (3034, 8220, {"hypernym": 951, "schema:domainIncludes": 2150, "schema:rangeIncludes": 1982}),
    "ontologies/uberon_fragment.owl": (285, 719, {"hypernym": 331}),
    "ontologies/wine.rdf": (360, 1800, {"hypernym": 241, "instance_hypernym": 194, "distinct": 832}),
    "kzsl/KG-AwA.ttl": (9198, 13910, {"hypernym": 7657, "disjoint": 1423, "equivalent": 182}),
    "kzsl/KG-ImNet-A.ttl": (8942, 10247, {"hypernym": 7778, "equivalent": 156}),
    "kzsl/KG-ImNet-O.ttl": (3157, 3879, {"hypernym": 2680, "equivalent": 93}),
    "kzsl/AwA/attribute_hierarchy.owl": (102, 95, {"hypernym": 95}),
    "kzsl/ImNet_A/attribute_hierarchy.owl": (103, 99, {"hypernym": 99}),
    "kzsl/ImNet_O/attribute_hierarchy.owl": (52, 50, {"hypernym": 50}),
    "kgc/nell-zs/Onto-NELL.owl": (1186, 3090, {"hypernym": 332, "sub_relation": 935, "domain": 894, "range": 894}),
    "kgc/wiki-zs/Onto-Wiki.owl": (1904, 4873, {"hypernym": 1392, "domain": 1843, "range": 1378, "inverse_relation": 39}),
}
_PARSERS = {"ttl": "turtle", "nq": "nquads", "n3": "n3"}
_BUILT_IN = tuple(map(str, (RDF, RDFS, OWL, rdflib.XSD)))


def rdflib_graph(path: Path):
    graph = rdflib.Dataset(default_union=True)
    graph.parse(path, format=_PARSERS.get(path.suffix[1:], "xml"))
    return graph


def pairs_of(graph, predicate) -> set:
    """Pairs of named ends outside RDF and OWL, through rdflib."""
    named = lambda t: isinstance(t, rdflib.URIRef) and not str(t).startswith(_BUILT_IN)  # noqa: E731
    return {(str(s), str(o)) for s, o in graph.subject_objects(predicate) if named(s) and named(o)}


@pytest.mark.data
@pytest.mark.parametrize("file", REAL)
def test_real_files_have_the_counts_that_rdflib_finds(file: str) -> None:
    made = Owl(profile="full", deprecated="keep").read(DATA / file)
    nodes, number, some = REAL[file]
    if file != "ontologies/ro-base.owl":  # has deprecated relations, counted without them
        assert (len(made.ids), len(made.subject)) == (nodes, number)
        assert some.items() <= counts(made).items()
    assert len(set(edge_list(made))) == len(made.subject)
    graph = rdflib_graph(DATA / file)
    iris = [next((made.prefixes[p] + i[len(p) + 1 :] for p in made.prefixes if i.startswith(p + ":")), i) for i in made.ids.to_pylist()]
    stated = {r.id: {(iris[s], iris[o]) for s, k, o in _rows(made) if made.relations[k] == r} for r in made.relations}
    for predicate, relation in ((RDFS.subClassOf, "hypernym"), (RDFS.subPropertyOf, "sub_relation"), (OWL.disjointWith, "disjoint")):
        annotating = {
            (str(p), str(q)) for p, q in graph.subject_objects(RDFS.subPropertyOf) if (p, RDF.type, OWL.AnnotationProperty) in graph
        }
        assert pairs_of(graph, predicate) - annotating <= stated.get(relation, set())
    # What more there is comes of class expressions; files without any have exactly what is stated.
    if not set(graph.subjects(RDF.first, None)):
        assert stated.get("hypernym", set()) == pairs_of(graph, RDFS.subClassOf)
        assert stated.get("disjoint", set()) == pairs_of(graph, OWL.disjointWith)
    existential = """SELECT DISTINCT ?a ?r ?b WHERE { ?a rdfs:subClassOf ?x . ?x owl:onProperty ?r ; owl:someValuesFrom ?b
        FILTER(isIRI(?a) && isIRI(?b) && isIRI(?r) && ?b != owl:Thing && !STRSTARTS(STR(?b), STR(xsd:))) }"""
    expected = {tuple(map(str, row)) for row in graph.query(existential)}
    together = {pair for pairs in stated.values() for pair in pairs}
    assert {(a, b) for a, _, b in expected} <= together | {(b, a) for a, b in together}


def _rows(statements) -> list[tuple[int, int, int]]:
    return list(zip(statements.subject.tolist(), statements.relation.tolist(), statements.object.tolist(), strict=True))


_DIGEST = """
import hashlib, sys
from pathlib import Path
from kgzsl.sources.owl import Owl
for file in sys.argv[1:]:
    s = Owl(profile="full").read(Path(file))
    columns = [c.to_pylist() for c in (s.ids, s.kinds, s.labels, s.texts)] + [s.subject.tolist(), s.relation.tolist(), s.object.tolist()]
    print(hashlib.sha256(repr([*columns, s.relations, s.dropped, s.prefixes, s.info]).encode()).hexdigest())
"""


@pytest.mark.data
@pytest.mark.slow
def test_statements_are_the_same_whatever_the_hash_seed() -> None:
    files = [str(ONTOLOGIES / f) for f in ("pizza.owl", "primer.owx", "goslim_generic.obo", "foaf.nq")]
    found = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST, *files], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "012"
    }
    assert len(found) == 1
    assert len(found.pop().split()) == len(files)


@pytest.mark.data
def test_deprecated_relations_of_a_real_ontology() -> None:
    made = Owl(profile="full").read(ONTOLOGIES / "ro-base.owl")
    nodes, number, some = REAL["ontologies/ro-base.owl"]
    assert (len(made.ids), len(made.subject)) == (nodes, number)
    assert some.items() <= counts(made).items()
    deprecated = set(rdflib_graph(ONTOLOGIES / "ro-base.owl").subjects(OWL.deprecated, rdflib.Literal(True)))
    assert made.dropped["node that is deprecated"] == len(deprecated) == 12


@pytest.mark.data
def test_disjointness_of_pizza_is_pairwise() -> None:
    graph = rdflib_graph(ONTOLOGIES / "pizza.owl")
    wanted = {frozenset(p) for p in pairs_of(graph, OWL.disjointWith)}
    for axiom in graph.subjects(RDF.type, OWL.AllDisjointClasses):
        wanted |= {
            frozenset(map(str, pair)) for pair in combinations(rdflib.collection.Collection(graph, graph.value(axiom, OWL.members)), 2)
        }
    made = Owl(profile="full").read(ONTOLOGIES / "pizza.owl")
    ids = made.ids.to_pylist()
    assert {frozenset((ids[s], ids[o])) for s, r, o in _rows(made) if made.relations[r].id == "disjoint"} == wanted
