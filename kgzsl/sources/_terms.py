"""Names of a file → CURIEs, whole columns at once; and words from CURIEs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.errors import InvalidInputError
from kgzsl.ids import PREFIXES

#: Prefixes that no file has to declare.
STANDARD = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
#: Prefix of the ids of nodes that are a text.
TEXT = "text"
_LONGEST = 96
_SPACE = r"[\s\p{Z}\p{Cc}]+"
_PREFIX = re.compile(r"[A-Za-z][\w.-]*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Terms:
    """How the names of one file become CURIEs.

    Parameters
    ----------
    prefix : prefix of names without one, or empty where every name has one.
    prefixes : prefix → IRI, beyond `kgzsl.ids.PREFIXES` and `STANDARD`.

    Raises
    ------
    InvalidInputError : a prefix that is none, has no IRI, or stands for another IRI in every graph.
    """

    def __init__(self, prefix: str, prefixes: Mapping[str, str]) -> None:
        fixed = PREFIXES | STANDARD
        for name, iri in prefixes.items():
            if not _PREFIX.fullmatch(name) or not iri or fixed.get(name, iri) != iri:
                raise InvalidInputError(
                    "a prefix is a word and stands for one IRI in all graphs",
                    received=f"{name}: {iri}",
                    remedy=f"choose another word than {', '.join(fixed)}",
                )
        self.prefix, self.known = prefix, fixed | dict(prefixes)
        if prefix and prefix not in self.known:
            raise InvalidInputError("the prefix of names has an IRI", received=repr(prefix), remedy="add it to `prefixes`")
        self._curie = f"^(?:{'|'.join(map(re.escape, self.known))}):"

    def ids(self, names: pa.StringArray) -> pa.StringArray:
        """Return the CURIE of every name: null where a name has no prefix and none is set, or where nothing is left of it.

        IRIs below a known one are shortened, others stay; spaces within a name become `_`; `_:y2` becomes `PREFIX:_:y2`.
        """
        out = pc.replace_substring_regex(pc.utf8_trim_whitespace(names), _SPACE, "_")
        for prefix, iri in sorted(self.known.items(), key=lambda item: -len(item[1])):
            below = pc.and_(pc.starts_with(out, iri), pc.greater(pc.utf8_length(out), len(iri)))
            if pc.any(below).as_py():
                out = pc.if_else(below, pc.binary_join_element_wise(f"{prefix}:", pc.utf8_slice_codeunits(out, len(iri)), ""), out)
        whole = pc.or_(pc.match_substring_regex(out, self._curie + "."), pc.match_substring_regex(out, r"^[A-Za-z][A-Za-z0-9+.-]*://."))
        bare = pc.binary_join_element_wise(f"{self.prefix}:", out, "") if self.prefix else pa.nulls(len(out), pa.string())
        return pc.if_else(whole, out, pc.if_else(pc.equal(out, ""), pa.scalar(None, pa.string()), bare))

    def used(self, ids: pa.StringArray) -> dict[str, str]:
        """Return the prefixes that begin an id, with their IRIs, without those of `kgzsl.ids.PREFIXES`."""
        extra = {p: iri for p, iri in self.known.items() if p not in PREFIXES} | {TEXT: "urn:text:"}
        return {p: iri for p, iri in sorted(extra.items()) if pc.any(pc.starts_with(ids, f"{p}:")).as_py()}


def blank(names: pa.StringArray) -> np.ndarray:
    """Return which names are those of blank nodes, bool `[names]`."""
    return np.asarray(pc.starts_with(names, "_:"), dtype=bool)


def literal_ids(texts: Iterable[str]) -> list[str]:
    """Return an id for every text: its words, and a digest at the end where it is long. Equal texts have equal ids."""
    out = []
    for text in texts:
        name = quote(" ".join(text.split()).replace(" ", "_"), safe="()',;!*&@+=/")
        if len(name) > _LONGEST:
            name = f"{name[: _LONGEST - 17]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        out.append(f"{TEXT}:{name}")
    return out


def words(ids: pa.StringArray) -> pa.StringArray:
    """Return the words of ids: what follows the prefix, with spaces for `_`."""
    return pc.replace_substring(pc.replace_substring_regex(ids, r"^[^:]*:", ""), "_", " ")


def relation_label(name: str) -> str:
    """Return the words of a relation's name: `cn:hasColor` → "has color", `/music/artist/origin` → "music artist origin"."""
    local = name.rsplit("#", 1)[-1] if "://" in name else name.split(":", 1)[-1]
    return " ".join(re.split(r"[\W_]+", _HUMP.sub(" ", local))).strip().lower() or name


def joined(nodes: int, node: np.ndarray, texts: pa.StringArray, separator: str = ", ") -> pa.StringArray:
    """Return the distinct texts of every node in the order of `texts`, joined; null where there is none, `[nodes]`."""
    encoded = texts.dictionary_encode()
    pair = node.astype(np.int64) * max(len(encoded.dictionary), 1) + np.asarray(encoded.indices)
    first = np.sort(np.unique(pair, return_index=True)[1])
    node, texts = node[first], pc.utf8_trim_whitespace(texts.take(pa.array(first)))
    order = np.argsort(node, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(node, minlength=nodes))]).astype(np.int32)
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), texts.take(pa.array(order))), separator)
    return pc.if_else(pa.array(np.diff(ends) > 0), joined, pa.scalar(None, pa.string()))
