"""Triples of an ontology by predicate: rows, values and lists, as arrays over the terms."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.sources.rdf import TripleColumns

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
SWRL = "http://www.w3.org/2003/11/swrl#"

BLANK, IRI, LITERAL, QUOTED = 0, 1, 2, 3


class TripleIndex:
    """Where each predicate's triples stand.

    Attributes
    ----------
    triples : what is indexed.
    form : `BLANK`, `IRI`, `LITERAL` or `QUOTED` per term, uint8 `[terms]`.
    """

    def __init__(self, triples: TripleColumns) -> None:
        self.triples = triples
        key = (triples.subject.astype(np.int64) * len(triples.terms) + triples.object) if len(triples) else np.empty(0, np.int64)
        order = np.lexsort((key, triples.predicate))
        s, p, o = triples.subject[order], triples.predicate[order], triples.object[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (s[1:] != s[:-1]) | (p[1:] != p[:-1]) | (o[1:] != o[:-1])
        self.subject, self.predicate, self.object = s[new], p[new], o[new]
        self.form = _forms(triples.terms)

    def code(self, iri: str) -> int:
        """Return the position of an IRI among the terms, -1 where it is not used."""
        return self.codes([iri])[0]

    def codes(self, iris: list[str]) -> list[int]:
        """Return the positions of IRIs among the terms, -1 for those not used."""
        wanted = pa.array([f"<{iri}>" for iri in iris], pa.string())
        found = np.full(len(iris), -1, dtype=np.int64)
        where = pc.index_in(self.triples.terms, value_set=wanted)
        hits = np.flatnonzero(np.asarray(where.is_valid()))
        found[np.asarray(where.take(pa.array(hits)))] = hits
        return found.tolist()

    @cached_property
    def _known(self) -> dict[str, int]:
        used = np.unique(self.predicate)
        texts = self.triples.terms.take(pa.array(used)).to_pylist()
        return {text[1:-1]: int(code) for text, code in zip(texts, used.tolist(), strict=True)}

    @property
    def predicates(self) -> dict[str, int]:
        """IRI → code of every predicate that is used."""
        return self._known

    def rows(self, iri: str) -> tuple[np.ndarray, np.ndarray]:
        """Return subjects and objects of a predicate's distinct triples."""
        code = self._known.get(iri, -1)
        low, high = np.searchsorted(self.predicate, [code, code + 1])
        return (self.subject[low:high], self.object[low:high]) if code >= 0 else (np.empty(0, np.int32), np.empty(0, np.int32))

    def value(self, iri: str) -> np.ndarray:
        """Return the predicate's object per term, -1 where it has none, int32 `[terms]`; of several, the first stands."""
        subject, obj = self.rows(iri)
        found = np.full(len(self.form), -1, dtype=np.int32)
        found[subject[::-1]] = obj[::-1]
        return found

    def instances(self, *iris: str) -> np.ndarray:
        """Return whether each term has one of the types, bool `[terms]`."""
        subject, obj = self.rows(RDF + "type")
        found = np.zeros(len(self.form), dtype=bool)
        found[subject[np.isin(obj, [c for c in self.codes(list(iris)) if c >= 0])]] = True
        return found

    def among(self, *namespaces: str) -> np.ndarray:
        """Return whether each term is an IRI of one of the namespaces, bool `[terms]`."""
        found = np.zeros(len(self.form), dtype=bool)
        for namespace in namespaces:
            found |= np.asarray(pc.starts_with(self.triples.terms, f"<{namespace}"))
        return found

    def texts(self, codes: np.ndarray) -> pa.StringArray:
        """Return terms in N-Triples syntax."""
        return self.triples.terms.take(pa.array(codes))

    @cached_property
    def _lists(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every sound list's head and members in order: heads sorted, where each starts, members laid end to end."""
        rest, first = self.value(RDF + "rest"), self.value(RDF + "first")
        cells = np.flatnonzero((rest >= 0) & (first >= 0))
        nil = self.code(RDF + "nil")
        size = len(self.form)
        before = np.arange(size)  # cell → the one before it, itself at a head
        inner = cells[rest[cells] != nil]
        before[rest[inner]] = inner
        distance = (before != np.arange(size)).astype(np.int64)
        for _ in range(int(size).bit_length()):  # pointer jumping: twice as far each time
            distance += distance[before]
            before = before[before]
        head = before[cells]
        # A head has no cell before it; a cycle or a tail shared by two lists has cells that lead back to no head.
        sound = (distance[head] == 0) & (distance[cells] < size)
        cells, head = cells[sound], head[sound]
        order = np.lexsort((distance[cells], head))
        heads, starts = np.unique(head[order], return_index=True)
        return heads, np.append(starts, len(order)), first[cells[order]]

    def members(self, heads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return, for lists by their first cells, the position in `heads` and the member, over all lists end to end."""
        known, starts, flat = self._lists
        place = np.searchsorted(known, heads)
        found = np.flatnonzero((place < len(known)) & (known[np.minimum(place, max(len(known) - 1, 0))] == heads if len(known) else False))
        low, length = starts[place[found]], starts[place[found] + 1] - starts[place[found]]
        owner = np.repeat(found, length)
        return owner, flat[ranges(low, length)]


def ranges(low: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return `low[i], low[i] + 1, …` of each length, end to end."""
    total = int(length.sum())
    return np.arange(total) - np.repeat(np.cumsum(length) - length, length) + np.repeat(low, length)


def _forms(terms: pa.StringArray) -> np.ndarray:
    if not len(terms):
        return np.empty(0, dtype=np.uint8)
    offsets = np.frombuffer(terms.buffers()[1], np.int32)[terms.offset : terms.offset + len(terms)]
    letters = np.frombuffer(terms.buffers()[2], np.uint8)
    first, second = letters[offsets], letters[np.minimum(offsets + 1, len(letters) - 1)]
    form = np.full(len(terms), BLANK, dtype=np.uint8)
    form[first == ord('"')] = LITERAL
    form[first == ord("<")] = IRI
    form[(first == ord("<")) & (second == ord("<"))] = QUOTED
    return form
