"""The vocabulary read from the ontologies: what it maps, and that nothing in it is left half said."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kgzsl.errors import SourceError, UnknownNameError
from kgzsl.graphs import compile_graph
from kgzsl.graphs.attach import KIND
from kgzsl.ids import PREFIXES
from kgzsl.sources import Relation, SourceInfo, Statements, readers
from kgzsl.sources.vocabulary import FILES, FOLDER, Stated, vocabulary

rdflib = pytest.importorskip("rdflib")
RDFS, OWL, SKOS = rdflib.RDFS, rdflib.OWL, rdflib.SKOS

#: wninput(5WN): the symbols of a pointer and of its reflection, or one symbol of a pointer that reflects itself.
WNINPUT = {"@": "~", "@i": "~i", "%p": "#p", "%m": "#m", "%s": "#s", ";c": "-c", ";r": "-r", ";u": "-u"}
REFLECTED = set("=&!+^$")
ONE_WAY = {"*", ">", "\\", "<"}

#: The relations of ConceptNet 5.7's documentation but for `dbpedia/…`, and those of CN-100K, that read the same either way.
SYMMETRIC = {"RelatedTo", "Synonym", "Antonym", "DistinctFrom", "LocatedNear", "SimilarTo", "EtymologicallyRelatedTo"}
DIRECTED = """FormOf IsA PartOf HasA UsedFor CapableOf AtLocation Causes HasSubevent HasFirstSubevent HasLastSubevent HasPrerequisite
HasProperty MotivatedByGoal ObstructedBy Desires CreatedBy DerivedFrom SymbolOf DefinedAs MannerOf HasContext MadeOf ReceivesAction
EtymologicallyDerivedFrom CausesDesire ExternalURL InstanceOf Entails NotDesires NotUsedFor NotCapableOf NotHasProperty"""
CONCEPTNET = SYMMETRIC | set(DIRECTED.split())


def graph() -> Any:
    both = rdflib.Graph()
    for file in FILES:
        both.parse(file, format="turtle")
    return both


def statements(kind: str) -> Statements:
    nothing = np.zeros(0, dtype=np.int32)
    column = pa.array(["x:a"])
    info = SourceInfo("hand", "1", "none", {})
    return Statements(column, pa.array([kind]), column, column, (), nothing, nothing, nothing, nothing.astype(np.float32), info)


def test_pointers_are_those_of_wordnets_manual() -> None:
    known = vocabulary()
    assert set(known.wordnet) == {*WNINPUT, *REFLECTED, *ONE_WAY}
    assert {symbol: known.wordnet_inverses[other].inverse for symbol, other in WNINPUT.items()} == {
        symbol: known.wordnet[symbol].id for symbol in WNINPUT
    }
    assert {symbol for symbol, relation in known.wordnet.items() if relation.symmetric} == REFLECTED
    assert set(known.wordnet_inverses) == set(WNINPUT.values())
    assert known.wordnet["@"] == Relation("hypernym", "is a kind of", inverse="hyponym")


def test_conceptnet_is_complete_and_has_the_right_direction() -> None:
    stated = vocabulary().conceptnet
    assert set(stated) >= CONCEPTNET
    assert {name for name in CONCEPTNET if stated[name].relation.symmetric} == SYMMETRIC
    assert {name for name, how in stated.items() if how.reversed} == {"PartOf"}
    assert stated["HasA"].relation == stated["PartOf"].relation == vocabulary()["part_meronym"]


@pytest.mark.data
def test_every_relation_of_cn100k_is_mapped() -> None:
    folder = Path(os.environ["KGZSL_DATA"]) / "conceptnet" / "cn100k"
    found = {line.split("\t")[1] for file in folder.glob("*.gz") for line in gzip.decompress(file.read_bytes()).decode().splitlines()}
    assert len(found) == 34
    assert found <= set(vocabulary().conceptnet)


@pytest.mark.data
def test_obo_properties_exist_and_agree_on_their_inverses() -> None:
    folder = Path(os.environ["KGZSL_DATA"]) / "ontologies"
    theirs = rdflib.Graph().parse(folder / "ro-base.owl").parse(folder / "uberon_fragment.owl")
    ours = {rdflib.URIRef(iri): how for iri, how in vocabulary().iris.items() if "/obo/" in iri}
    labels = {iri: str(theirs.value(iri, RDFS.label)).replace("_", " ") for iri in ours}
    assert {label: ("-" if ours[iri].reversed else "") + ours[iri].relation.id for iri, label in labels.items() if label != "None"} == {
        "has part": "part_meronym",
        "part of": "-part_meronym",
        "has member": "member_meronym",
        "member of": "-member_meronym",
        "composed primarily of": "substance_meronym",
        "adjacent to": "near",
        "capable of": "capable_of",
        "located in": "at_location",
        "location of": "-at_location",
    }
    pairs = [(a, b) for a, b in theirs.subject_objects(OWL.inverseOf) if a in ours and b in ours]
    assert len(pairs) == 2
    assert all(ours[a] == Stated(ours[b].relation, not ours[b].reversed) for a, b in pairs)


def test_rdfs_owl_and_skos_are_mapped() -> None:
    stated = {iri: ("-" if how.reversed else "") + how.relation.id for iri, how in vocabulary().iris.items()}
    assert stated[str(RDFS.subClassOf)] == stated[str(SKOS.broader)] == "hypernym"
    assert stated[str(SKOS.narrower)] == "-hypernym"
    assert stated[str(rdflib.RDF.type)] == "instance_hypernym"
    assert stated[str(OWL.equivalentClass)] == stated[str(OWL.sameAs)] == stated[str(SKOS.exactMatch)] == "equivalent"
    assert stated[str(OWL.disjointWith)] == "disjoint"
    assert [stated[str(RDFS[name])] for name in ("subPropertyOf", "domain", "range")] == ["sub_relation", "domain", "range"]
    inferred = [iri for iri, how in vocabulary().iris.items() if how.relation.id == "inferred_hypernym"]
    assert {iri.removeprefix(PREFIXES["kgzsl"]) for iri in inferred} == {"inferred_hypernym", "inferred_hyponym"}  # no source's


def test_own_iris_are_read_back() -> None:
    known, own = vocabulary(), PREFIXES["kgzsl"]
    assert known.iris[own + "has_state"] == Stated(known["has_state"])
    assert known.iris[own + "hyponym"] == Stated(known["hypernym"], reversed=True)
    settings = {"profile": "full", "catalogue": "."}
    read = readers.make("owl", settings).read(FOLDER / "composition.ttl")
    relations = {r.id for r in read.relations}
    assert {"has_state", "has_object", "instance_hypernym"} <= relations
    assert not {r for r in relations if r.startswith("kgzsl:")}


def test_nothing_is_half_said() -> None:
    known, stated = vocabulary(), graph()
    own = rdflib.Namespace(PREFIXES["kgzsl"])
    assert {r.inverse for r in known.relations.values() if not r.symmetric} == set(known.inverses)
    assert all(known.relations[r.inverse].inverse == r.id for r in known.inverses.values())
    assert not {r.id for r in known.relations.values() if r.symmetric and r.inverse}
    labels = [r.label for r in known.relations.values()] + [r.label for r in known.inverses.values()]
    assert len({*known.relations} & {*known.inverses}) == 0 and all(labels)
    assert len({r.label for r in known.relations.values()}) == len(known.relations)
    assert all(text.endswith(".") for text in known.definitions.values())
    used = {term for triple in stated for term in triple if str(term).startswith(str(own))}
    assert {term for term in used if stated.value(term, rdflib.RDF.type) is None} == set()
    for said in (RDFS.label, SKOS.definition, RDFS.domain, RDFS.range, OWL.inverseOf):
        assert not {term for term in used if len(list(stated.objects(term, said))) > 1}, f"a term has two values of {said}"
    for property_ in (own.wordnetPointer, own.conceptnetRelation, own.conceptnetRelationInverseOf, own.statedBy, own.statedByInverseOf):
        values = list(stated.objects(None, property_))
        assert values and len(values) == len(set(values)), f"{property_} gives one name to two relations"


def test_kinds_form_a_tree_and_others_are_refused() -> None:
    kinds = vocabulary().kinds
    assert {"concept", "individual", "attribute", "state", "object", "pair", "relation", "literal", "text", "external"} < set(kinds)
    assert kinds["pair"].parents == ("concept",) and kinds["concept"].parents == ("node",)
    assert kinds["attribute"].iri == PREFIXES["kgzsl"] + "Attribute" and kinds["attribute"].definition
    assert KIND in kinds  # of classes that are attached
    assert [kind for kind, what in kinds.items() if not what.parents] == ["node"]
    assert len(statements("pair").kinds) == 1
    with pytest.raises(SourceError, match=r"ontologies/kgzsl\.ttl(.|\n)*'thing'(.|\n)*choose from: .*concept"):
        statements("thing")


def test_an_unknown_relation_names_the_choices() -> None:
    with pytest.raises(UnknownNameError, match=r"hyperonym(.|\n)*choose from: .*hypernym"):
        vocabulary()["hyperonym"]


@pytest.mark.data
@pytest.mark.parametrize("recipe", ["nell-zs-schema", "kzsl-imnet-o", "compositions-fashion"])
def test_edges_of_real_graphs_have_the_kinds_of_nodes_that_relations_are_for(recipe: str) -> None:
    known, graph = vocabulary(), compile_graph(recipe)
    kinds, relations = np.asarray(graph.kinds, dtype=object), np.asarray([r.id for r in graph.relations], dtype=object)
    used = set(zip(kinds[graph.subject], relations[graph.relation], kinds[graph.object], strict=True))
    fitting = {(s, relation, o) for s, relation, o in used if relation in known.relations}
    assert fitting
    assert not [edge for edge in fitting if known.domains[edge[1]] not in lineage(edge[0]) or known.ranges[edge[1]] not in lineage(edge[2])]


def lineage(kind: str) -> set[str]:
    """A kind and all that are more general."""
    return {kind}.union(*(lineage(parent) for parent in vocabulary().kinds[kind].parents))
