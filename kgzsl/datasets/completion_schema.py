"""The ontology of the relations of NELL-ZS and Wiki-ZS, as their files Schema-*.csv state it: texts, RDFS axioms, OWL axioms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kgzsl.errors import SourceError
from kgzsl.sources._layout import Layout, plain

_STATEMENTS = Layout(("subject", "relation", "object"), header=True, quotes=True, literals=frozenset({"rdfs:comment", "rdfs:label"}))
_PAIRS = ("rdfs:subPropertyOf", "rdfs:subClassOf", "rdfs:domain", "rdfs:range", "owl:inverseOf")
_CHAIN, _FIRST, _REST, _NIL = "owl:propertyChainAxiom", "rdf:first", "rdf:rest", "rdf:nil"

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RelationSchema:
    """What an ontology says of relations and classes; names are without their prefix (`NELL:teamcoach` is `teamcoach`).

    Attributes
    ----------
    texts : label and comment of a relation or class, those that are not empty, one after the other.
    sub_properties, sub_classes : (what, of what).
    domains, ranges : (relation, class); a relation may have several.
    inverses : (relation, its inverse), as stated.
    symmetric : relations that read both ways.
    chains : (relations of a path in its order, the relation that the path's ends have).
    """

    texts: Mapping[str, str]
    sub_properties: Pairs
    sub_classes: Pairs
    domains: Pairs
    ranges: Pairs
    inverses: Pairs
    symmetric: frozenset[str]
    chains: tuple[tuple[tuple[str, ...], str], ...]

    def below(self, classes: frozenset[str]) -> frozenset[str]:
        """Return classes with all that lies below them."""
        kinds: dict[str, list[str]] = defaultdict(list)
        for what, of in self.sub_classes:
            kinds[of].append(what)
        found, waiting = set(classes), list(classes)
        while waiting:
            for kind in kinds[waiting.pop()]:
                if kind not in found:
                    found.add(kind)
                    waiting.append(kind)
        return frozenset(found)


def read_schema(file: Path) -> RelationSchema:
    """Read a schema: a header, then `subject TAB meta-relation TAB object`.

    Lists of property chains are written as RDF lists whose `rdf:first` and `rdf:rest` read from object to subject, and the axiom
    itself from list to relation (`_:y1 owl:propertyChainAxiom NELL:teamhomestadium`); they come out in the order of the path.

    Raises
    ------
    MissingDataError : no such file.
    SourceError : not such a table, or a chain whose list is broken.
    """
    table = _STATEMENTS.read(file)
    stated: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for subject, relation, target in zip(*(plain(table[c]).to_pylist() for c in _STATEMENTS.columns), strict=True):
        said = relation.strip()
        if said in _STATEMENTS.literals:
            stated[said].append((_local(subject), target.strip()))
        else:
            stated[said].append((_local(subject), _local(target)))
    texts: dict[str, list[str]] = defaultdict(list)
    for said in ("rdfs:label", "rdfs:comment"):
        for subject, text in stated[said]:
            if text and text not in texts[subject]:
                texts[subject].append(text)
    sub, kinds, domains, ranges, inverses = (tuple(sorted(set(stated[said]))) for said in _PAIRS)
    return RelationSchema(
        {name: ": ".join(found) for name, found in texts.items()},
        sub,
        kinds,
        domains,
        ranges,
        inverses,
        frozenset(name for name, kind in stated["rdf:type"] if kind == "SymmetricProperty"),
        _chains(stated, file),
    )


def _local(name: str) -> str:
    """Return a name without its prefix; blank nodes and `rdf:nil` keep theirs."""
    name = name.strip()
    return name if name.startswith(("_:", "rdf:")) else name.rpartition(":")[2]


def _chains(stated: Mapping[str, list[tuple[str, str]]], file: Path) -> tuple[tuple[tuple[str, ...], str], ...]:
    first = {node: name for name, node in stated.get(_FIRST, [])}
    rest = {node: following for following, node in stated.get(_REST, [])}
    found = set()
    for node, relation in stated.get(_CHAIN, []):
        path: list[str] = []
        at = node
        while at != _NIL:
            if at not in first or at not in rest or len(path) > len(first):
                raise SourceError("a property chain is a list that ends", received=f"{file}: the list of {relation} breaks at {at}")
            path.append(first[at])
            at = rest[at]
        found.add((tuple(path), relation))
    return tuple(sorted(found))
