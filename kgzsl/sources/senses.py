"""WordNet's sense order: which meaning of a word is its first, second … (the files `index.noun` and its siblings)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kgzsl.errors import InvalidInputError, MissingDataError, SourceError
from kgzsl.sources.base import SourceInfo

_LETTER = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}


@dataclass(frozen=True, eq=False)
class SenseIndex:
    """The synsets of every lemma, the most frequent meaning first.

    Attributes
    ----------
    senses : lemma (lower case, words separated by spaces) → ids. The order is WordNet's own: by how often a meaning was tagged in
        its corpus, then as its editors arranged them.
    info : where it was read from.
    """

    senses: Mapping[str, tuple[str, ...]] = field(repr=False)
    info: SourceInfo

    def of(self, lemma: str) -> tuple[str, ...]:
        """Return the synsets of a lemma, first meaning first; none for an unknown one."""
        return self.senses.get(lemma.lower().replace("_", " "), ())

    def rank(self, lemma: str, identifier: str) -> int | None:
        """Return the place of a synset among its lemma's meanings, 0 for the first; None when it is not one of them."""
        found = self.of(lemma)
        return found.index(identifier) if identifier in found else None


def read_senses(path: Path, parts_of_speech: Sequence[str] = ("noun",), prefix: str = "wn30") -> SenseIndex:
    """Read the sense order from a WordNet dictionary folder.

    Parameters
    ----------
    parts_of_speech : of noun, verb, adj, adv; of a lemma in several, the earlier part's meanings come first.
    prefix : of the ids; it must be that of the version of the files, as ids are offsets.

    Raises
    ------
    InvalidInputError : no or an unknown part of speech.
    MissingDataError : an index file is not in the folder.
    SourceError : a line that is not of an index; it is named.
    """
    if not parts_of_speech or not {*parts_of_speech} <= {*_LETTER}:
        raise InvalidInputError("WordNet has the parts of speech noun, verb, adj and adv", received=", ".join(parts_of_speech) or "none")
    senses: dict[str, tuple[str, ...]] = {}
    files = {}
    for part in parts_of_speech:
        file = path / f"index.{part}"
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise MissingDataError(
                "a WordNet folder holds index.noun and its siblings",
                received=f"{file}: {error.strerror}",
                remedy="`kgzsl data fetch wordnet-3.0`",
            ) from error
        files[file.name] = hashlib.sha256(raw).hexdigest()
        _read(file, raw, f"{prefix}:{_LETTER[part]}", senses)
    return SenseIndex(senses, SourceInfo("wordnet-senses", prefix, "WordNet 3.0 licence, Princeton University", files))


def _read(file: Path, raw: bytes, head: str, senses: dict[str, tuple[str, ...]]) -> None:
    """Add one index: `lemma pos count pointers pointer … senses tagged offset …`, and as many offsets as senses."""
    try:
        lines = raw.decode("utf-8").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise _error(file, raw.count(b"\n", 0, error.start) + 1, str(error)) from error
    for number, line in enumerate(lines, start=1):
        try:
            if line.startswith("  "):  # the licence
                continue
            fields = line.split()
            count = int(fields[2])
            offsets = fields[-count:]
            if count < 1 or len(fields) != 6 + int(fields[3]) + count or not all(len(o) == 8 and o.isdigit() for o in offsets):
                raise ValueError("not as many offsets as senses")
        except (ValueError, IndexError) as error:
            raise _error(file, number, line[:80]) from error
        lemma = fields[0].replace("_", " ")
        senses[lemma] = senses.get(lemma, ()) + tuple(head + o for o in offsets)
    if not senses:
        raise SourceError("an index names at least one lemma", received=f"{file} names none", remedy="`kgzsl data fetch wordnet-3.0`")


def _error(file: Path, line: int, received: str) -> SourceError:
    return SourceError(
        f"{file}, line {line:,}: a line of an index is a lemma, its counts and an offset for each of its senses",
        received=repr(received),
        remedy="get the file again: `kgzsl data fetch wordnet-3.0`",
    )
