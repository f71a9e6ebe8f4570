"""IRIs of the prefixes of benchmarks' ids, one place for all readers, so that their sources agree in one graph."""

from __future__ import annotations

import re

from kgzsl.errors import InvalidInputError

_PREFIX = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_OWN = "https://w3id.org/kgzsl/"
#: Prefix → IRI as the benchmark's own files state it.
_STATED = {
    "awa": "http://www.semanticweb.org/ontologies/AwA#",
    "imnet-a": "http://www.semanticweb.org/ontologies/ImNet-A#",
    "imnet-o": "http://www.semanticweb.org/ontologies/ImNet-O#",
    "nell": "http://www.semanticweb.org/ontologies/NELL#",
    "wikidata": "http://www.semanticweb.org/ontologies/Wikidata#",
}


def benchmark_iri(prefix: str) -> str:
    """Return the IRI of a benchmark's prefix: that of its own files, else `https://w3id.org/kgzsl/PREFIX#`."""
    return _STATED.get(prefix, f"{_OWN}{prefix}#")


def check_prefix(prefix: str) -> str:
    """Return `prefix`; raises InvalidInputError unless it is a letter and then letters, digits, `_`, `.` or `-`."""
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise InvalidInputError(
            "a prefix is a letter and then letters, digits, _ . -", received=repr(prefix)[:80], remedy="set `prefix: cub`, for one"
        )
    return prefix
