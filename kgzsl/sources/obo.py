"""What the OBO format means beyond what fastobo's conversion to OWL says."""

from __future__ import annotations

import re

import numpy as np

from kgzsl.sources.owl_index import OWL, TripleIndex
from kgzsl.sources.rdf import TripleColumns

_SHORTHAND = re.compile(r"<http://purl\.obolibrary\.org/obo/[^#]*#[^#>]+>")
_STANDARD = re.compile(r"<http://purl\.obolibrary\.org/obo/[A-Za-z]+_\d+>")


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
