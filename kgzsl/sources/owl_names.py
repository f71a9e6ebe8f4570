"""Ids, labels and texts of what an ontology names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.errors import InvalidInputError
from kgzsl.ids import PREFIXES
from kgzsl.sources.owl_index import LITERAL, OWL, RDF, RDFS, SKOS, XSD, TripleIndex

OBO = "http://purl.obolibrary.org/obo/"
_OBO_IN_OWL = "http://www.geneontology.org/formats/oboInOwl#"
#: Prefixes that need no declaration.
WELL_KNOWN = {
    "owl": OWL,
    "rdf": RDF,
    "rdfs": RDFS,
    "skos": SKOS,
    "xsd": XSD,
    "obo": OBO,
    "oboInOwl": _OBO_IN_OWL,
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "schema": "http://schema.org/",
    "dbr": "http://dbpedia.org/resource/",
    "dbo": "http://dbpedia.org/ontology/",
    "wd": "http://www.wikidata.org/entity/",
    "wdt": "http://www.wikidata.org/prop/direct/",
}
#: Properties in the order in which they are asked for a label, further names and a text.
LABELS = (RDFS + "label", SKOS + "prefLabel", "http://purl.org/dc/elements/1.1/title", "http://purl.org/dc/terms/title")
SYNONYMS = (SKOS + "altLabel", _OBO_IN_OWL + "hasExactSynonym", OBO + "IAO_0000118")
TEXTS = (
    OBO + "IAO_0000115",
    SKOS + "definition",
    RDFS + "comment",
    "http://purl.org/dc/elements/1.1/description",
    "http://purl.org/dc/terms/description",
    "http://schema.org/description",
)
_OBO_ID = r"^<http://purl\.obolibrary\.org/obo/(?P<space>[A-Za-z][A-Za-z0-9]*)_(?P<local>[A-Za-z0-9]+)>$"
_PREFIX = re.compile(r"[A-Za-z][\w.-]*")
_LITERAL = r'^"(?P<value>(?s:.*))"(?:@(?P<language>[A-Za-z0-9-]+)|\^\^<[^>]*>)?$'
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t", "\\b": "\b", "\\f": "\f", '\\"': '"', "\\'": "'", "\\\\": "\\"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|.)")


def prefix_map(document: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return prefix → IRI: kgzsl's own, then those given, then the document's, then well-known ones.

    A document's prefix is left out where it has no name, or a name that stands for another IRI already; its ids stay full IRIs
    unless `given` names that IRI.

    Raises
    ------
    InvalidInputError : a given prefix is no prefix, or one of kgzsl's own with another IRI.
    """
    wrong = {p: i for p, i in given.items() if not _PREFIX.fullmatch(p) or not re.match(r"\w+:", i) or PREFIXES.get(p, i) != i}
    if wrong:
        raise InvalidInputError(
            "`prefixes` maps names of its own to IRIs",
            received=", ".join(f"{p}: {i}" for p, i in wrong.items()),
            remedy=f"names begin with a letter; taken are: {', '.join(PREFIXES)}",
        )
    found: dict[str, str] = {}
    taken: set[str] = set()
    for prefixes in (PREFIXES, given, document, WELL_KNOWN):
        for prefix, iri in sorted(prefixes.items()):
            if prefix not in found and iri not in taken and _PREFIX.fullmatch(prefix) and re.match(r"\w+:.", iri):
                found[prefix] = iri
                taken.add(iri)
    return found


def curies(iris: pa.StringArray, prefixes: Mapping[str, str]) -> tuple[pa.StringArray, dict[str, str]]:
    """Return the CURIE of every IRI (given as `<iri>`), and the prefixes that were used.

    IRIs of the OBO library become the ids that its files use: `obo/GO_0008150` → `GO:0008150`. The longest prefix wins; an IRI
    that none fits stays as it is.
    """
    ids = pc.utf8_slice_codeunits(iris, 1, -1)
    used: dict[str, str] = {}
    parts = pc.extract_regex(iris, _OBO_ID)
    done = np.asarray(pc.is_valid(parts))
    for space in pc.unique(pc.struct_field(parts.filter(pa.array(done)), "space")).to_pylist():
        used[space] = f"{OBO}{space}_"
    joined = pc.binary_join_element_wise(pc.struct_field(parts, "space"), pc.struct_field(parts, "local"), ":")
    ids = pc.if_else(pa.array(done), joined, ids)
    for prefix, iri in sorted(prefixes.items(), key=lambda item: (-len(item[1]), item[0])):
        if used.get(prefix, iri) != iri:
            continue
        mine = ~done & np.asarray(pc.starts_with(iris, f"<{iri}")) & (np.asarray(pc.binary_length(iris)) > len(iri.encode()) + 2)
        if mine.any():
            shortened = pc.replace_substring(iris, f"<{iri}", f"{prefix}:", max_replacements=1)
            ids = pc.if_else(pa.array(mine), pc.utf8_slice_codeunits(shortened, 0, -1), ids)
            done |= mine
            used[prefix] = iri
    return ids, {p: i for p, i in used.items() if PREFIXES.get(p) != i}


class Words:
    """Literals of chosen properties, the preferred language first.

    Parameters
    ----------
    languages : tags in order of preference, `""` for literals without one; `en` covers `en-GB`. Others come last.
    """

    def __init__(self, index: TripleIndex, languages: Sequence[str]) -> None:
        self.index, self.languages = index, [tag.lower() for tag in languages]

    def first(self, properties: Sequence[str]) -> dict[int, str]:
        """Return, per term that has one, a value in a preferred language, of the earliest property, then language, then letter."""
        best: dict[int, tuple[bool, int, int, str, str]] = {}
        for rank, iri in enumerate(properties):
            for code, tag, value in self._values(iri):
                language = self._rank(tag)
                key = (language == len(self.languages), rank, language, tag, value)
                if value and (code not in best or key < best[code]):
                    best[code] = key
        return {code: key[-1] for code, key in best.items()}

    def every(self, properties: Sequence[str]) -> dict[int, list[str]]:
        """Return, per term, the values in preferred languages, sorted."""
        found: dict[int, set[str]] = {}
        for iri in properties:
            for code, tag, value in self._values(iri):
                if value and self._rank(tag) < len(self.languages):
                    found.setdefault(code, set()).add(value)
        return {code: sorted(values) for code, values in found.items()}

    def _rank(self, tag: str) -> int:
        for rank, language in enumerate(self.languages):
            if tag == language or (language and tag.startswith(language + "-")):
                return rank
        return len(self.languages)

    def _values(self, iri: str) -> list[tuple[int, str, str]]:
        subject, obj = self.index.rows(iri)
        keep = self.index.form[obj] == LITERAL
        parts = pc.extract_regex(self.index.texts(obj[keep]), _LITERAL)
        values = pc.struct_field(parts, "value").to_pylist()
        tags = pc.utf8_lower(pc.struct_field(parts, "language")).to_pylist()
        return [(s, t or "", _plain(v)) for s, t, v in zip(subject[keep].tolist(), tags, values, strict=True) if v is not None]


def _plain(value: str) -> str:
    if "\\" in value:
        value = _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else _ESCAPES.get(m[0], m[0]), value)
    return " ".join(value.split())


def from_name(iri: str) -> str:
    """Return a label made from the end of an IRI or CURIE: `…#AmericanHot_Pizza` → `American Hot Pizza`."""
    local = re.split(r"[#/:]", iri.rstrip("#/:"))[-1] or iri
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", local.replace("_", " "))
    return " ".join(words.split()) or local
