"""WordNet's data files (`man wndb`), parsed on the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.sources.wnlines import DECIMAL, HEXADECIMAL, LETTERS, NONE, PARTS, Fields, Lines, cut, eight_digits, spaced, synset_ids, windows

_SPACE, _BAR, _QUOTE, _SEMICOLON = b' |";'


@dataclass(frozen=True)
class Synsets:
    """What one data file says.

    Attributes
    ----------
    keys : `key` of each synset, int64 `[synsets]`, ascending.
    ids, labels, texts : `[synsets]`; ids are CURIEs.
    individual : whether a synset points to a class that it is an instance of, bool `[synsets]`.
    owner, symbol, target : position of the synset, number of the pointer's symbol, and `key` of what it points to, `[pointers]`.
    sha256 : of the file.
    """

    keys: np.ndarray
    ids: pa.StringArray
    labels: pa.StringArray
    texts: pa.StringArray
    individual: np.ndarray
    owner: np.ndarray
    symbol: np.ndarray
    target: np.ndarray
    sha256: str


def key(part: np.ndarray | int, offset: np.ndarray) -> np.ndarray:
    """Return one number per synset of all files, int64: the part of speech's place in `LETTERS` above the offset's 32 bits."""
    return offset | np.asarray(part, dtype=np.int64) << 32


def read_synsets(file: Path, part: str, version: str, symbols: Mapping[str, int], *, examples: bool = False) -> Synsets:
    """Read a data file.

    A line is `offset lexfile type count word lex_id … pointers pointer … [frames] | gloss`.

    Parameters
    ----------
    part : noun, verb, adj or adv.
    symbols : every pointer symbol that may stand in the file → its number; pointers of a negative one are not returned.
    examples : whether texts keep the quoted examples of the gloss.

    Raises
    ------
    MissingDataError : the file is not there.
    SourceError : another version, a truncated, foreign or wrongly encoded file, a malformed line; the line is named.
    """
    lines = Lines.read(file, version)
    lines.check_offsets()
    bars = _first_bars(lines)
    fields = Fields.of(lines, bars)
    words, pointers = _counts(fields, part)
    owner, symbol, target, individual = _pointers(fields, 5 + 2 * words, pointers, symbols)
    return Synsets(
        keys=key([*LETTERS].index(part), lines.offset),
        ids=synset_ids(windows(lines.data, "<u8")[lines.begin], LETTERS[part]),
        labels=_labels(fields, words, adjectives=part == "adj"),
        texts=_glosses(lines, bars, examples=examples),
        individual=individual,
        owner=owner,
        symbol=symbol,
        target=target,
        sha256=lines.sha256,
    )


def _first_bars(lines: Lines) -> np.ndarray:
    """Return where each line's first ` | ` has its bar, int64 `[lines]`."""
    data = lines.data
    bars = np.flatnonzero(data[1:-1] == _BAR) + 1
    bars = np.append(bars[(data[bars - 1] == _SPACE) & (data[bars + 1] == _SPACE)], len(data))
    first = bars[np.searchsorted(bars, lines.begin)]
    lines.refuse(first >= lines.end, "no gloss")
    return first


def _counts(fields: Fields, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of words and of pointers of each line, checking all other fields but these words and pointers."""
    lines, first, parting = fields.lines, fields.first, fields.parting
    lines.refuse(fields.count < 7, "too few fields")
    start = parting[first] + 1
    good = fields.number(start + 9, 2, DECIMAL)[1]
    for k, width in enumerate((8, 11, 13, 16), start=1):
        good &= parting[first + k] == start + width
    lines.refuse(~good, "fields of other widths than an offset, a file's number, a part of speech and a number of words have")
    lines.refuse(PARTS[fields.data[start + 12]] != [*LETTERS].index(part), "another part of speech")
    words, good = fields.number(start + 14, 2, HEXADECIMAL)
    lines.refuse(~good | (words == 0), "no number of words")
    lines.refuse(fields.count < 5 + 2 * words, "fewer words than promised")
    at = parting[first + 4 + 2 * words] + 1
    pointers, good = fields.number(np.minimum(at, len(fields.data) - 3), 3, DECIMAL)
    lines.refuse(~good | (parting[first + 5 + 2 * words] != at + 3), "no number of pointers")
    rest = fields.count - (5 + 2 * words + 4 * pointers)
    if (rest < 0).any():
        lines.refuse(rest < 0, f"{pointers[(rest < 0).argmax()]} pointers are promised")
    _check_frames(fields, 5 + 2 * words + 4 * pointers, rest, verbs=part == "verb")
    return words, pointers


def _check_frames(fields: Fields, start: np.ndarray, count: np.ndarray, *, verbs: bool) -> None:
    """Raise SourceError unless what follows the pointers is nothing, or a verb's frames: their number, then `+ frame word` each."""
    lines, parting = fields.lines, fields.parting
    lines.refuse((count > 0) & (count % 3 != 1) if verbs else count > 0, "fields after the pointers")
    line = np.flatnonzero(count)
    at = parting[fields.first[line] + start[line]] + 1
    frames, good = fields.number(np.minimum(at, len(fields.data) - 2), 2, DECIMAL)
    good &= parting[fields.first[line] + start[line] + 1] == at + 2
    lines.refuse(~good | (1 + 3 * frames != count[line]), "another number of frames than promised", line)
    line, place = fields.each(start + 1, count // 3, 3)
    at = parting[place] + 1
    good = (fields.data[at] == ord("+")) & np.logical_and.reduce([parting[place + k] == at + 3 * k - 2 for k in (1, 2, 3)])
    lines.refuse(~good, "a malformed frame", line)
    good = fields.number(at + 2, 2, DECIMAL)[1] & fields.number(at + 5, 2, HEXADECIMAL)[1]
    lines.refuse(~good, "a malformed frame", line)


def _pointers(
    fields: Fields, start: np.ndarray, count: np.ndarray, symbols: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return owner, symbol and target of the wanted pointers, and which lines have an instance pointer.

    A pointer is `symbol offset type source/target`; all but the symbol are of fixed width.
    """
    lines, data = fields.lines, fields.data
    line, place = fields.each(start, count, 4)
    begin, end = fields.parting[place] + 1, fields.parting[place + 1]
    good = (end - begin >= 1) & (end - begin <= 2) & (fields.parting[place + 4] == end + 16)
    lines.refuse(~good, "a malformed pointer", line)
    unknown = np.iinfo(np.int16).min
    numbers = np.full(2**16, unknown, dtype=np.int16)
    for symbol, value in symbols.items():
        numbers[_code(symbol)] = value
    code = windows(data, "<u2")[begin]  # a symbol of one character comes with the space after it
    number = numbers[code]
    if (number == unknown).any():
        k = int((number == unknown).argmax())
        symbol = data[begin[k] : end[k]].tobytes().decode("utf-8", errors="replace")
        lines.refuse(number == unknown, f"unknown pointer symbol {symbol!r}", line)
    offset, good = eight_digits(data, end + 1)
    part = PARTS[data[end + 10]]
    # None of the 13 characters is a space, so that the spaces among these 17 must stand between the fields.
    lines.refuse(~good | (part == NONE) | ~_four_hexadecimal(data, end + 12), "a malformed pointer", line)
    individual = np.zeros(len(count), dtype=bool)
    individual[line[code == _code("@i")]] = True
    kept = np.flatnonzero(number >= 0)
    return line[kept], number[kept], key(part[kept], offset[kept]), individual


def _code(symbol: str) -> int:
    return int.from_bytes(symbol.ljust(2).encode(), "little")


def _four_hexadecimal(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    digits = HEXADECIMAL[windows(data, "<u4")[at].view(np.uint8)]
    return (digits.view("<u4") & np.uint32(0xF0F0F0F0)) == 0


def _labels(fields: Fields, words: np.ndarray, *, adjectives: bool) -> pa.StringArray:
    """Return the words of each synset, joined by `, `, without the adjectives' syntactic markers `(a)`, `(p)` and `(ip)`."""
    line, place = fields.each(4, words, 2)
    begin, end = fields.parting[place] + 1, fields.parting[place + 1]
    good = (end > begin) & (fields.parting[place + 2] == end + 2) & (HEXADECIMAL[fields.data[end + 1]] != NONE)
    fields.lines.refuse(~good, "a malformed word", line)
    if adjectives:
        end = end - _marker(fields.data, begin, end)
    starts = np.zeros(len(words) + 1, dtype=np.int32)
    np.cumsum(words, out=starts[1:])
    return spaced(pc.binary_join(pa.ListArray.from_arrays(pa.array(starts), cut(fields.data, begin, end)), ", "))


def _marker(data: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the lengths of the markers at the ends of words; 0 where there is none."""
    last, second, third, fourth = (data[end - k] for k in (1, 2, 3, 4))
    closed = last == ord(")")
    short = closed & (end - begin >= 3) & (third == ord("(")) & ((second == ord("a")) | (second == ord("p")))
    long = closed & (end - begin >= 4) & (fourth == ord("(")) & (third == ord("i")) & (second == ord("p"))
    return 3 * short + 4 * long


def _glosses(lines: Lines, bars: np.ndarray, *, examples: bool) -> pa.StringArray:
    """Return the texts after the bars, up to the first quoted example unless `examples`."""
    data, end = lines.data, lines.end
    if not examples:
        end = end.copy()
        quotes = np.flatnonzero(data[2:] == _QUOTE)
        quotes = quotes[(data[quotes + 1] == _SPACE) & (data[quotes] == _SEMICOLON)]
        line = np.searchsorted(lines.begin, quotes, side="right") - 1
        inside = np.flatnonzero(line >= 0)  # not the header; fields that passed the checks hold none
        # Written from the last to the first, so that the first of a line stands.
        end[line[inside[::-1]]] = quotes[inside[::-1]]
    return pc.ascii_trim(cut(data, bars + 2, end), characters=" ;")
