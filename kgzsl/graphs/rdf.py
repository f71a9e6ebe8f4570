"""A graph as RDF: which triples say what its tables say. Needs the `graphs` extra.

| of the graph | in RDF |
|---|---|
| node | the IRI of its id by the graph's prefixes; its kind's class as `rdf:type` (`kgzsl:Concept`) |
| label `dog, domestic dog` | `rdfs:label` as it is, `skos:prefLabel "dog"`, `skos:altLabel "domestic dog"` |
| text | `skos:definition` |
| relation | an `owl:ObjectProperty`, `kgzsl:ID` or the IRI of its own prefix, with label, symmetry and inverse |
| edge | one triple; a hypernym, stated or inferred, is `skos:broader` too |
| weight, where it is not 1 | on request, an `rdf:Statement` of RDF 1.1 with `kgzsl:weight`, which every tool reads |

Literals have no language tag, as graphs do not say which language a label is in. Which source an edge came from is not part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from kgzsl.errors import require
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.sources.vocabulary import vocabulary

#: Prefixes of the vocabularies that the triples use, beside the graph's own.
STANDARD = {
    "owl": "http://www.w3.org/2002/07/owl#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
#: Relations whose edges are `skos:broader` too, so that SKOS tools see the hierarchy.
BROADER = ("hypernym", "inferred_hypernym")
#: What no IRI may hold (RFC 3987, `iunreserved` and its neighbours); it is percent-encoded.
_FORBIDDEN = re.compile(
    "[^A-Za-z0-9!#$%&'()*+,./:;=?@_~\\-\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef"
    + "".join(f"{chr(plane << 16)}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 14))
    + "\U000e1000-\U000efffd]"
)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PREFIX = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)


def prefixes_of(graph: KnowledgeGraph) -> dict[str, str]:
    """Return the prefixes that a graph's RDF uses: its own, then those of the standard vocabularies."""
    return {**STANDARD, **graph.prefixes}


def iri(identifier: str, prefixes: Mapping[str, str]) -> str:
    """Return the IRI of a CURIE; characters that no IRI may hold are percent-encoded, and an id without a mapped prefix stays itself."""
    prefix, colon, local = identifier.partition(":")
    whole = prefixes[prefix] + local if colon and prefix in prefixes else identifier
    whole = _FORBIDDEN.sub(lambda m: quote(m.group()), _STRAY_PERCENT.sub("%25", whole))
    return whole if ":" in whole else f"urn:kgzsl:{whole}"


def relation_iri(identifier: str, prefixes: Mapping[str, str]) -> str:
    """Return the IRI of a relation or kind: of its CURIE, or in the vocabulary."""
    return iri(identifier if ":" in identifier else f"kgzsl:{identifier}", prefixes)


def count_triples(graph: KnowledgeGraph) -> int:
    """Return about how many triples a graph has, for progress bars."""
    return 3 * len(graph) + len(graph.subject) * (2 if any(r.id in BROADER for r in graph.relations) else 1)


def triples(graph: KnowledgeGraph, *, weights: bool = False, quads: bool = False) -> Iterator[Any]:
    """Yield the triples of a graph as `pyoxigraph.Triple`, those of one node together, always in the same order.

    Parameters
    ----------
    weights : also an `rdf:Statement` for each edge whose weight is not 1.
    quads : yield `pyoxigraph.Quad`, of the default graph, which stores take.
    """
    ox: Any = require("pyoxigraph", "graphs")
    triple, literal = ox.Quad if quads else ox.Triple, ox.Literal
    names = prefixes_of(graph)
    term = {f"{p}:{n}": ox.NamedNode(names[p] + n) for p, n in _TERMS}
    relations = [ox.NamedNode(relation_iri(r.id, names)) for r in graph.relations]
    yield from _relations(graph, relations, term, names, ox, triple)
    known = vocabulary().kinds
    kinds = {kind: ox.NamedNode(known[kind].iri if kind in known else relation_iri(kind, names)) for kind in set(graph.kinds)}
    nodes = [ox.NamedNode(iri(i, names)) for i in graph.ids]
    order = np.argsort(graph.subject, kind="stable")
    columns = [c[order].tolist() for c in (graph.relation, graph.object)]
    starts = np.searchsorted(graph.subject[order], np.arange(len(graph) + 1)).tolist()
    broader = {i for i, r in enumerate(graph.relations) if r.id in BROADER}
    for i, node in enumerate(nodes):
        yield triple(node, term["rdf:type"], kinds[graph.kinds[i]])
        label = graph.labels[i]
        if label:
            first, *others = label.split(", ")
            yield triple(node, term["rdfs:label"], literal(label))
            yield triple(node, term["skos:prefLabel"], literal(first))
            for other in others:
                yield triple(node, term["skos:altLabel"], literal(other))
        if graph.texts[i]:
            yield triple(node, term["skos:definition"], literal(graph.texts[i]))
        for e in range(starts[i], starts[i + 1]):
            yield triple(node, relations[columns[0][e]], nodes[columns[1][e]])
            if columns[0][e] in broader:
                yield triple(node, term["skos:broader"], nodes[columns[1][e]])
    if weights:
        for e in np.flatnonzero(graph.weight != 1).tolist():
            statement = ox.BlankNode(f"e{e}")
            yield triple(statement, term["rdf:type"], term["rdf:Statement"])
            yield triple(statement, term["rdf:subject"], nodes[graph.subject[e]])
            yield triple(statement, term["rdf:predicate"], relations[graph.relation[e]])
            yield triple(statement, term["rdf:object"], nodes[graph.object[e]])
            yield triple(statement, term["kgzsl:weight"], literal(_number(graph.weight[e]), datatype=term["xsd:float"]))


_TERMS = [
    *(("rdf", n) for n in ("type", "Statement", "subject", "predicate", "object")),
    *(("rdfs", n) for n in ("label",)),
    *(("skos", n) for n in ("prefLabel", "altLabel", "definition", "broader")),
    *(("owl", n) for n in ("ObjectProperty", "SymmetricProperty", "inverseOf")),
    ("xsd", "float"),
    ("kgzsl", "weight"),
]


def _relations(
    graph: KnowledgeGraph, relations: list[Any], term: Mapping[str, Any], names: Mapping[str, str], ox: Any, triple: Any
) -> Iterator[Any]:
    for relation, node in zip(graph.relations, relations, strict=True):
        yield triple(node, term["rdf:type"], term["owl:ObjectProperty"])
        if relation.symmetric:
            yield triple(node, term["rdf:type"], term["owl:SymmetricProperty"])
        if relation.label:
            yield triple(node, term["rdfs:label"], ox.Literal(relation.label))
        if relation.inverse:
            yield triple(node, term["owl:inverseOf"], ox.NamedNode(relation_iri(relation.inverse, names)))


def _number(weight: np.float32) -> str:
    """A float32 in the fewest digits that give it again, in XSD's words."""
    if np.isnan(weight):
        return "NaN"
    return str(weight) if np.isfinite(weight) else ("INF" if weight > 0 else "-INF")


def compact(address: str, prefixes: Mapping[str, str]) -> str:
    """Return the CURIE of an IRI by the longest prefix that fits, or the IRI itself."""
    fitting = [(len(base), prefix) for prefix, base in prefixes.items() if base and address.startswith(base) and len(address) > len(base)]
    if not fitting:
        return address
    length, prefix = max(fitting)
    return f"{prefix}:{address[length:]}"


def serializable(prefixes: Mapping[str, str]) -> dict[str, str]:
    """Return the prefixes that Turtle and SPARQL can declare."""
    return {p: base for p, base in prefixes.items() if _PREFIX.fullmatch(p) and not p.endswith(".")}
