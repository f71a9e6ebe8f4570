"""The vocabulary of `ontologies/kgzsl.ttl`: relations, kinds of nodes, and how other vocabularies state them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kgzsl.errors import UnknownNameError, require
from kgzsl.ids import PREFIXES
from kgzsl.sources.base import Relation

FILE = Path(__file__).parents[1] / "ontologies" / "kgzsl.ttl"

_RDFS, _OWL = "http://www.w3.org/2000/01/rdf-schema#", "http://www.w3.org/2002/07/owl#"


@dataclass(frozen=True)
class Stated:
    """A relation of the vocabulary as another vocabulary states it; `reversed` when that one reads from object to subject."""

    relation: Relation
    reversed: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """What the Turtle file says.

    Attributes
    ----------
    relations : id → relation.
    wordnet : pointer symbol (`@`) → relation.
    conceptnet : relation name (`IsA`) → relation and direction.
    iris : IRI of a property (`rdfs:subClassOf` in full) → relation and direction.
    """

    relations: Mapping[str, Relation]
    wordnet: Mapping[str, Relation]
    conceptnet: Mapping[str, Stated]
    iris: Mapping[str, Stated]

    def __getitem__(self, identifier: str) -> Relation:
        """Return a relation by id; an unknown one raises UnknownNameError."""
        if identifier not in self.relations:
            raise UnknownNameError(
                "a relation of the vocabulary is needed",
                received=repr(identifier),
                remedy=f"choose from: {', '.join(sorted(self.relations))}",
            )
        return self.relations[identifier]


@cache
def vocabulary() -> Vocabulary:
    """Read the vocabulary, once per process."""
    oxigraph: Any = require("pyoxigraph", "graphs")
    statements: dict[str, dict[str, list[str]]] = {}
    for triple in oxigraph.parse(FILE.read_bytes(), oxigraph.RdfFormat.TURTLE):
        if isinstance(triple.subject, oxigraph.NamedNode):
            statements.setdefault(triple.subject.value, {}).setdefault(triple.predicate.value, []).append(triple.object.value)
    own = PREFIXES["kgzsl"]
    relations, wordnet, conceptnet, iris = {}, {}, {}, {}
    for iri, said in statements.items():
        if not iri.startswith(own) or _RDFS + "label" not in said or _OWL + "ObjectProperty" not in said[_type()]:
            continue
        inverse = said.get(_OWL + "inverseOf", [""])[0].removeprefix(own)
        relation = Relation(iri.removeprefix(own), said[_RDFS + "label"][0], _OWL + "SymmetricProperty" in said[_type()], inverse)
        relations[relation.id] = relation
        wordnet.update(dict.fromkeys(said.get(own + "wordnetPointer", ()), relation))
        for flipped in (False, True):
            word = "InverseOf" if flipped else ""
            conceptnet.update(dict.fromkeys(said.get(f"{own}conceptnetRelation{word}", ()), Stated(relation, flipped)))
            iris.update(dict.fromkeys(said.get(f"{own}statedBy{word}", ()), Stated(relation, flipped)))
    return Vocabulary(relations, wordnet, conceptnet, iris)


def _type() -> str:
    return "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
