"""The vocabulary of `ontologies/`: kinds of nodes, relations between them, and how other vocabularies state those."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kgzsl.errors import UnknownNameError, require
from kgzsl.ids import PREFIXES
from kgzsl.registry import Entry
from kgzsl.sources.base import Relation

FOLDER = Path(__file__).parents[1] / "ontologies"
FILES = (FOLDER / "kgzsl.ttl", FOLDER / "composition.ttl")

_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
_RDFS, _OWL = "http://www.w3.org/2000/01/rdf-schema#", "http://www.w3.org/2002/07/owl#"
_DEFINITION = "http://www.w3.org/2004/02/skos/core#definition"


@dataclass(frozen=True)
class Kind:
    """A kind of nodes: the word in the column `kind`, the class that it stands for, and the kinds that are more general."""

    id: str
    label: str
    iri: str
    definition: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stated:
    """A relation of the vocabulary as another vocabulary states it; `reversed` when that one reads from object to subject."""

    relation: Relation
    reversed: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """What the Turtle files say.

    Attributes
    ----------
    relations : id → relation that readers make edges of.
    inverses : id → relation that is another one read from object to subject; no reader states it.
    kinds : word of the column `kind` → kind.
    definitions : id of a relation → what it means, a sentence.
    domains, ranges : id of a relation → the kind of its subjects, of its objects.
    wordnet : pointer symbol (`@`) → relation.
    wordnet_inverses : pointer symbol of an inverse (`~`) → inverse.
    conceptnet : relation name (`IsA`) → relation and direction.
    iris : IRI of a property (`rdfs:subClassOf` in full) → relation and direction; so too its own IRI and that of its inverse.
    """

    relations: Mapping[str, Relation]
    inverses: Mapping[str, Relation]
    kinds: Mapping[str, Kind]
    definitions: Mapping[str, str]
    domains: Mapping[str, str]
    ranges: Mapping[str, str]
    wordnet: Mapping[str, Relation]
    wordnet_inverses: Mapping[str, Relation]
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
    """Read the vocabulary, once per process (some milliseconds)."""
    own = PREFIXES["kgzsl"]
    terms = {name: said for name, said in _terms(own).items() if _RDFS + "label" in said}
    kinds = _kinds(terms)
    words = {kind.iri.removeprefix(own): kind.id for kind in kinds.values()}
    stated, inverses = _relations(terms)
    conceptnet: dict[str, Stated] = {}
    iris = {own + r.id: Stated(r) for r in stated.values()} | {own + r.id: Stated(stated[r.inverse], True) for r in inverses.values()}
    for relation in stated.values():
        for flipped, word in ((False, ""), (True, "InverseOf")):
            said = terms[relation.id]
            conceptnet.update(dict.fromkeys(said.get(f"conceptnetRelation{word}", ()), Stated(relation, flipped)))
            iris.update(dict.fromkeys(said.get(f"statedBy{word}", ()), Stated(relation, flipped)))
    return Vocabulary(
        relations=stated,
        inverses=inverses,
        kinds=kinds,
        definitions={name: terms[name][_DEFINITION][0] for name in stated},
        domains={name: words[terms[name][_RDFS + "domain"][0]] for name in stated},
        ranges={name: words[terms[name][_RDFS + "range"][0]] for name in stated},
        wordnet={symbol: r for r in stated.values() for symbol in terms[r.id].get("wordnetPointer", ())},
        wordnet_inverses={symbol: r for r in inverses.values() for symbol in terms[r.id].get("wordnetPointer", ())},
        conceptnet=conceptnet,
        iris=iris,
    )


def entries() -> list[Entry]:
    """Return the relations of the vocabulary: id, definition, and by what names others state them."""
    known = vocabulary()
    stated: dict[str, list[str]] = {r: [] for r in known.relations}
    for symbol, relation in known.wordnet.items():
        stated[relation.id].append(f"WordNet {symbol}")
    for name, by in known.conceptnet.items():
        stated[by.relation.id].append(f"ConceptNet {'inverse of ' * by.reversed}{name}")
    for iri, by in known.iris.items():
        if not iri.startswith(PREFIXES["kgzsl"]):
            stated[by.relation.id].append(f"{'inverse of ' * by.reversed}{re.split('[/#]', iri)[-1]}")
    return [Entry(r, known.definitions[r], ", ".join(said) or "kgzsl") for r, said in sorted(stated.items())]


def _terms(own: str) -> dict[str, dict[str, list[str]]]:
    """Return name → property → values of every term of the vocabulary; its own IRIs are cut to the names."""
    oxigraph: Any = require("pyoxigraph", "graphs")
    terms: dict[str, dict[str, list[str]]] = {}
    for file in FILES:
        for triple in oxigraph.parse(file.read_bytes(), oxigraph.RdfFormat.TURTLE):
            if isinstance(triple.subject, oxigraph.NamedNode) and triple.subject.value.startswith(own):
                said = terms.setdefault(triple.subject.value.removeprefix(own), {})
                said.setdefault(triple.predicate.value.removeprefix(own), []).append(triple.object.value.removeprefix(own))
    return terms


def _relations(terms: Mapping[str, Mapping[str, list[str]]]) -> tuple[dict[str, Relation], dict[str, Relation]]:
    """Return the relations that are read from sources, and the inverses that are not, by id."""
    properties = {name: said for name, said in terms.items() if _OWL + "ObjectProperty" in said[_TYPE]}
    inverse_of = {said[_OWL + "inverseOf"][0]: name for name, said in properties.items() if _OWL + "inverseOf" in said}
    stated, inverses = {}, {}
    for name, said in properties.items():
        label = said[_RDFS + "label"][0]
        if name in inverse_of:
            inverses[name] = Relation(name, label, inverse=inverse_of[name])
        else:
            inverse = said.get(_OWL + "inverseOf", [""])[0]
            stated[name] = Relation(name, label, _OWL + "SymmetricProperty" in said[_TYPE], inverse)
    return stated, inverses


def _kinds(terms: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Kind]:
    classes = {name: said for name, said in terms.items() if "kind" in said}
    return {
        said["kind"][0]: Kind(
            id=said["kind"][0],
            label=said[_RDFS + "label"][0],
            iri=PREFIXES["kgzsl"] + name,
            definition=said[_DEFINITION][0],
            parents=tuple(classes[parent]["kind"][0] for parent in said.get(_RDFS + "subClassOf", ()) if parent in classes),
        )
        for name, said in classes.items()
    }
