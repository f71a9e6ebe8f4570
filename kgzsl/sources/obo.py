"""What the OBO format means beyond what fastobo's conversion to OWL says."""

from __future__ import annotations

import re

import numpy as np

from kgzsl.sources.owl_index import OWL, RDF, RDFS, TripleIndex
from kgzsl.sources.rdf import TripleColumns

_SHORTHAND = re.compile(r"<http://purl\.obolibrary\.org/obo/[^#]*#[^#>]+>")
_STANDARD = re.compile(r"<http://purl\.obolibrary\.org/obo/[A-Za-z]+_\d+>")


def instance_frames(text: str) -> str:
    """Return the `[Instance]` frames of a document that fastobo found sound as N-Triples; fastobo's conversion leaves them out.

    Kept are name, class and those property values that name another thing.
    """
    ontology = re.search(r"^ontology:\s*(\S+)", text, re.MULTILINE)
    own = ontology[1] if ontology else "unnamed"
    lines = []
    for frame in re.split(r"^(?=\[\w+\])", text, flags=re.MULTILINE):
        if not frame.startswith("[Instance]"):
            continue
        parts = [line.partition(":") for line in frame.splitlines()]
        clauses = [(tag, value.partition(" !")[0].partition(" {")[0].strip()) for tag, _, value in parts]
        subject = next((_iri(value, own) for tag, value in clauses if tag == "id" and value), "")
        if not subject:
            continue
        lines.append(f"{subject} <{RDF}type> <{OWL}NamedIndividual> .")
        for tag, value in clauses:
            words = value.split()
            if tag == "name":
                lines.append(f"{subject} <{RDFS}label> {_literal(value)} .")
            elif tag == "instance_of" and words:
                lines.append(f"{subject} <{RDF}type> {_iri(words[0], own)} .")
            elif tag in ("property_value", "relationship") and len(words) == 2 and not words[1].startswith('"'):
                lines.append(f"{_iri(words[0], own)} <{RDF}type> <{OWL}ObjectProperty> .")
                lines.append(f"{subject} {_iri(words[0], own)} {_iri(words[1], own)} .")
    return "\n".join(lines)


def _iri(identifier: str, ontology: str) -> str:
    """Return the IRI of an OBO id (OBO 1.4, section 5.9.2)."""
    space, colon, local = identifier.partition(":")
    if re.match(r"(?:https?|urn|ftp):", identifier):
        iri = identifier
    elif colon:
        iri = f"http://purl.obolibrary.org/obo/{space}_{local}"
    else:
        iri = f"http://purl.obolibrary.org/obo/{ontology}#{identifier}"
    return "<" + re.sub(r'[\x00-\x20<>"{}|^`\\]', lambda m: f"%{ord(m[0]):02X}", iri) + ">"


def _literal(value: str) -> str:
    plain = re.sub(r"\\(.)", r"\1", value)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def with_standard_relations(triples: TripleColumns) -> TripleColumns:
    """Replace a document's own names of relations by the ids that they are cross-referenced to.

    `[Typedef] id: part_of, xref: BFO:0000050` makes `part_of` a shorthand for that id (OBO 1.4, section 5.9.3), so that edges of OBO
    files and of their OWL editions are the same. fastobo states the two as equivalent properties instead.
    """
    index = TripleIndex(triples)
    own, other = index.rows(OWL + "equivalentProperty")
    texts = zip(own.tolist(), index.texts(own).to_pylist(), other.tolist(), index.texts(other).to_pylist(), strict=True)
    pairs = {a: b for a, short, b, long in texts if _SHORTHAND.fullmatch(short) and _STANDARD.fullmatch(long)}
    renamed = np.arange(len(triples.terms), dtype=np.int32)
    renamed[list(pairs)] = list(pairs.values())
    same = np.isin(triples.subject, list(pairs)) & (triples.predicate == index.predicates.get(OWL + "equivalentProperty", -1))
    columns = [renamed[c[~same]] for c in (triples.subject, triples.predicate, triples.object)]
    return TripleColumns(columns[0], columns[1], columns[2], triples.terms, triples.prefixes)
