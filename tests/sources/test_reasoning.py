"""Reasoners: what they infer is marked, what contradicts itself is named, and they end in time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sources.owl_cases import ONTOLOGIES, edges, functional, read

from kgzsl.errors import KgzslError, MissingDependencyError, SourceError, UnknownNameError
from kgzsl.sources.owl import Owl
from kgzsl.sources.reasoning import REASONERS, find_java
from kgzsl.sources.vocabulary import vocabulary

pytest.importorskip("owlready2")
pytest.importorskip("pyhornedowl")
try:
    find_java()
except MissingDependencyError as error:
    pytest.skip(f"a reasoner needs Java: {error.remedy if hasattr(error, 'remedy') else error}", allow_module_level=True)

#: B is what has an r to C, and A has one to a D, which is a C.
AXIOMS = (
    "EquivalentClasses(:B ObjectSomeValuesFrom(:r :C))",
    "SubClassOf(:A ObjectSomeValuesFrom(:r :D))",
    "SubClassOf(:D :C)",
    'AnnotationAssertion(rdfs:comment :A "of no \\"logic\\""@en)',
)


def test_inferred_edges_have_a_relation_of_their_own(tmp_path: Path) -> None:
    stated = read(tmp_path, "a.ofn", functional(*AXIOMS), profile="existential")
    reasoned = read(tmp_path, "a.ofn", functional(*AXIOMS), profile="existential", reasoner="hermit")
    assert edges(stated) == {"B r C", "A r D", "D hypernym C"}
    assert edges(reasoned) == edges(stated) | {"A inferred_hypernym B"}
    relation = next(r for r in reasoned.relations if r.id == "inferred_hypernym")
    assert relation == vocabulary()["inferred_hypernym"]


def test_what_is_stated_is_not_inferred_again(tmp_path: Path) -> None:
    axioms = ("EquivalentClasses(:A ObjectIntersectionOf(:B ObjectSomeValuesFrom(:r :C)))", "EquivalentClasses(:C :D)")
    made = read(tmp_path, "a.ofn", functional(*axioms), reasoner="hermit")
    assert edges(made) == {"A hypernym B", "C equivalent D"}


def test_unsatisfiable_classes_are_named(tmp_path: Path) -> None:
    axioms = ("DisjointClasses(:A :B :C)", "SubClassOf(:D :B)", "SubClassOf(:D :C)")
    with pytest.raises(SourceError, match=r"HermiT finds 1 unsatisfiable: http://example\.org/x#D(.|\n)*reasoner: none"):
        read(tmp_path, "a.ofn", functional(*axioms), reasoner="hermit")


def test_individuals_that_contradict_sound_classes_are_named(tmp_path: Path) -> None:
    axioms = ("DisjointClasses(:A :B)", "ClassAssertion(:A :a)", "ClassAssertion(:B :a)", "SubClassOf(:C :A)")
    with pytest.raises(SourceError, match=r"individuals contradict them; <http://example\.org/x#a> is one of <http://example\.org/x#A>"):
        read(tmp_path, "a.ofn", functional(*axioms), reasoner="hermit")


@pytest.mark.data
def test_the_inconsistent_ontology_is_refused_and_its_twin_is_not() -> None:
    pattern = r"uvula_inconsistent\.ofn: HermiT finds it inconsistent; unsatisfiable classes: .*CL_0017514> is one of <.*UBERON_0010235>"
    with pytest.raises(SourceError, match=pattern):
        Owl(reasoner="hermit").read(ONTOLOGIES / "uvula_inconsistent.ofn")
    assert "inferred_hypernym" not in {r.id for r in Owl(reasoner="hermit").read(ONTOLOGIES / "uvula.ofn").relations}


@pytest.mark.data
@pytest.mark.slow
def test_known_mistakes_of_teaching_ontologies_are_found() -> None:
    with pytest.raises(SourceError, match=r"2 unsatisfiable: .*#CheeseyVegetableTopping, .*#IceCream"):
        Owl(reasoner="hermit").read(ONTOLOGIES / "pizza.owl")


def test_reasoners_end_in_time(tmp_path: Path) -> None:
    started = time.perf_counter()
    with pytest.raises(SourceError, match=r"ran longer than 0\.2 seconds"):
        file = tmp_path / "a.ttl"
        file.write_text("<a:a> <http://www.w3.org/2000/01/rdf-schema#subClassOf> <a:b> .")
        Owl(reasoner="hermit", time_limit=0.2).read(file)
    assert time.perf_counter() - started < 60


def test_both_reasoners_agree_or_say_which_java_they_need(tmp_path: Path) -> None:
    assert REASONERS == ("hermit", "pellet")
    try:
        made = read(tmp_path, "a.ofn", functional(*AXIOMS), reasoner="pellet")
    except KgzslError as error:
        assert isinstance(error, MissingDependencyError)
        assert "needs Java" in str(error)
        assert "hermit" in str(error)
    else:
        assert "A inferred_hypernym B" in edges(made)


def test_unknown_reasoners_name_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="none, hermit, pellet"):
        Owl(reasoner="elk")
