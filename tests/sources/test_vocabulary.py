"""The Turtle vocabulary and the readers say the same about every relation."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgzsl.ids import PREFIXES
from kgzsl.sources.wordnet import POINTERS

rdflib = pytest.importorskip("rdflib")
VOCABULARY = Path(__file__).parents[2] / "ontologies" / "kgzsl.ttl"


def test_relations_agree() -> None:
    graph = rdflib.Graph().parse(VOCABULARY, format="turtle")
    kgzsl = rdflib.Namespace(PREFIXES["kgzsl"])
    stated = {}
    for relation, symbol in graph.subject_objects(kgzsl.wordnetPointer):
        inverse = graph.value(relation, rdflib.OWL.inverseOf)
        stated[str(symbol)] = (
            str(relation).removeprefix(str(kgzsl)),
            str(graph.value(relation, rdflib.RDFS.label)),
            (relation, rdflib.RDF.type, rdflib.OWL.SymmetricProperty) in graph,
            str(inverse).removeprefix(str(kgzsl)) if inverse is not None else "",
        )
    assert stated == {symbol: (r.id, r.label, r.symmetric, r.inverse) for symbol, r in POINTERS.items()}


def test_every_term_is_declared() -> None:
    graph = rdflib.Graph().parse(VOCABULARY, format="turtle")
    used = {term for triple in graph for term in triple if str(term).startswith(PREFIXES["kgzsl"])}
    assert {term for term in used if graph.value(term, rdflib.RDF.type) is None} == set()
    assert {PREFIXES["kgzsl"] + kind for kind in ("concept", "individual")} <= {str(term) for term in used}
