"""Node ids are CURIEs; class axes are joined by id, never by position."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from kgzsl.errors import InvalidInputError, UnknownNameError, first_five

#: Prefix map written into every graph artifact.
PREFIXES = {
    "wn30": "http://wordnet-rdf.princeton.edu/wn30/",
    "cn": "http://conceptnet.io/c/en/",
    "kgzsl": "https://w3id.org/kgzsl#",
}

_WNID = re.compile(r"[nvars]\d{8}")
_WNIDS = re.compile(r"(?:[nvars]\d{8}\n)*")
_CURIE = re.compile(r"[A-Za-z][\w.-]*:\S+")


def curie(text: str) -> str:
    """Return the CURIE for `text`; a bare ImageNet wnid (`n02084071`) becomes `wn30:n02084071`.

    Raises
    ------
    InvalidInputError : neither a wnid nor a CURIE.
    """
    text = text.strip()
    if _WNID.fullmatch(text):
        return f"wn30:{text}"
    if _CURIE.fullmatch(text):
        return text
    raise InvalidInputError(
        "an id is a CURIE such as wn30:n02084071 or a WordNet id such as n02084071",
        received=repr(text[:80]),
        remedy="`kgzsl link NAMES.txt --graph DIR` turns names into ids",
    )


def curies(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the CURIE of every text, in order (see `curie`)."""
    listed = list(texts)
    if _WNIDS.fullmatch("".join([f"{t}\n" for t in listed])):  # one search for the long lists of ImageNet's classes
        return tuple([f"wn30:{t}" for t in listed])
    return tuple(curie(t) for t in listed)


def wnid(identifier: str) -> str:
    """Return the bare ImageNet wnid of a WordNet 3.0 CURIE (`wn30:n02084071` → `n02084071`)."""
    return identifier.removeprefix("wn30:")


def check_unique(ids: Sequence[str], what: str) -> None:
    """Raise InvalidInputError when `ids` is empty or holds an id twice."""
    if len(ids) == 0:
        raise InvalidInputError(f"{what} must hold at least one id", received="none")
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = [i for i in ids if i in seen or seen.add(i)]  # type: ignore[func-returns-value]
        raise InvalidInputError(
            f"{what} must not name an id twice",
            received=first_five(dict.fromkeys(twice)),
            remedy="remove the duplicates",
        )


def positions(wanted: Sequence[str], have: Sequence[str], what: str) -> np.ndarray:
    """Return where each wanted id stands on the axis `have`.

    Returns
    -------
    int64 array `[wanted]`.

    Raises
    ------
    UnknownNameError : some wanted ids are not on the axis; the first five are named.
    """
    index = {identifier: i for i, identifier in enumerate(have)}
    missing = [w for w in wanted if w not in index]
    if missing:
        raise UnknownNameError(
            f"every id asked for must be among the {len(index):,} ids of {what}",
            received=f"{len(missing):,} unknown: {first_five(missing)}",
            remedy="check the ids' version and prefix; `kgzsl graph describe` lists what a graph holds",
        )
    return np.fromiter((index[w] for w in wanted), dtype=np.int64, count=len(wanted))


def read_ids(path: str) -> tuple[str, ...]:
    """Read a class list: one id per line, `#` comments and blank lines ignored.

    Raises
    ------
    InvalidInputError : the file cannot be read, names no class, a duplicate or a malformed id.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError("a class list is a UTF-8 text file, one id per line", received=f"{path}: {error}") from error
    lines = text.split("\n")
    if "#" in text or "\t" in text:
        lines = [line.split("#")[0].split("\t")[0] for line in lines]
    ids = curies(line for line in map(str.strip, lines) if line)
    check_unique(ids, f"the class list {path}")
    return ids
