"""Sense ranks: which synsets a lemma means, most used first (WordNet's `index.noun` …)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.errors import InvalidInputError
from kgzsl.sources.wnlines import DECIMAL, LETTERS, Fields, Lines, cut, eight_digits, spaced, synset_ids, windows


@dataclass(frozen=True, eq=False)
class Senses(Mapping[str, tuple[str, ...]]):
    """Lemma → ids of its synsets in sense order; a lemma is looked up in any case, with spaces or underscores.

    Attributes
    ----------
    lemmas : lower-case, with spaces, `[lemmas]`.
    starts : the senses of lemma i are `synsets[starts[i] : starts[i + 1]]`, int64 `[lemmas + 1]`.
    synsets : CURIEs, `[senses]`.
    tagged : how many of a lemma's first senses were met in WordNet's sense-tagged texts, int64 `[lemmas]`; only these are ranked
        by use, the order of the others means nothing.
    sha256 : of the file.
    """

    lemmas: pa.StringArray
    starts: np.ndarray
    synsets: pa.StringArray
    tagged: np.ndarray
    sha256: str

    @cached_property
    def _place(self) -> dict[str, int]:
        return {lemma: i for i, lemma in enumerate(self.lemmas.to_pylist())}

    def __getitem__(self, lemma: str) -> tuple[str, ...]:
        """Return the ids of a lemma's synsets, first sense first; an unknown lemma raises KeyError."""
        i = self._place[_normal(lemma)]
        return tuple(self.synsets[int(self.starts[i]) : int(self.starts[i + 1])].to_pylist())

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        """Return the number of lemmas."""
        return len(self.lemmas)

    def first(self, lemmas: Sequence[str]) -> list[str | None]:
        """Return the first sense of each lemma; None where it is unknown."""
        places = pc.index_in(pa.array([_normal(lemma) for lemma in lemmas], type=pa.string()), value_set=self.lemmas)
        return self.synsets.take(pa.array(self.starts[:-1]).take(places)).to_pylist()

    def table(self) -> pa.Table:
        """Return one row per sense: lemma, synset, rank from 1, and whether the rank is one of use (see `tagged`)."""
        counts = np.diff(self.starts)
        rank = np.arange(len(self.synsets)) - np.repeat(self.starts[:-1], counts)
        return pa.table(
            {
                "lemma": self.lemmas.take(pa.array(np.repeat(np.arange(len(self)), counts))),
                "synset": self.synsets,
                "rank": pa.array(rank + 1, type=pa.int32()),
                "ranked_by_use": pa.array(rank < np.repeat(self.tagged, counts)),
            }
        )


def sense_ranks(path: Path, part: str = "noun", version: str = "3.0") -> Senses:
    """Read the sense order of one part of speech from a dictionary folder.

    A line is `lemma type synsets pointers symbol … senses tagged offset …`.

    Raises
    ------
    InvalidInputError : an unknown part of speech.
    MissingDataError : the folder has no index file of that part of speech.
    SourceError : another version, a truncated, foreign or wrongly encoded file, a malformed line; the line is named.
    """
    if part not in LETTERS:
        raise InvalidInputError("WordNet has these parts of speech", received=repr(part), remedy=f"choose from: {', '.join(LETTERS)}")
    lines = Lines.read(path / f"index.{part}", version)
    lines.refuse(np.asarray(lines.data[lines.end - 1] != ord(" ")), "no space at the end")
    fields = Fields.of(lines, lines.end)
    first, parting = fields.first, fields.parting
    lines.refuse(fields.count < 7, "too few fields")
    begin, end, letter = parting[first] + 1, parting[first + 1], parting[first + 2] - 1
    lines.refuse(end <= begin, "no lemma")
    lines.refuse((letter != end + 1) | (fields.data[letter] != ord(LETTERS[part])), "another part of speech")
    synsets, symbols = _decimal(fields, first + 2), _decimal(fields, first + 3)
    needed = 6 + symbols + synsets
    lines.refuse(fields.count < needed, "fewer pointer symbols or synsets than promised")
    senses, tagged = _decimal(fields, first + 4 + symbols), _decimal(fields, first + 5 + symbols)
    lines.refuse((senses != synsets) | (tagged > synsets) | (synsets == 0), "numbers of senses that contradict each other")
    # Lines are padded with spaces.
    lines.refuse(parting[first + fields.count] - parting[first + needed] != fields.count - needed, "more fields than promised")
    line, place = fields.each(6 + symbols, synsets, 1)
    at = parting[place] + 1
    lines.refuse(parting[place + 1] != at + 8, "a malformed offset", line)
    lines.refuse(~eight_digits(fields.data, at)[1], "a malformed offset", line)
    lemmas = spaced(cut(fields.data, begin, end))
    _check_unique(lines, lemmas)
    return Senses(lemmas, np.cumsum([0, *synsets]), synset_ids(windows(fields.data, "<u8")[at], LETTERS[part]), tagged, lines.sha256)


def sense_order(path: Path, parts: Sequence[str] = ("noun",)) -> dict[str, tuple[str, ...]]:
    """Return lemma (lower case, spaces) → ids in sense order, of several parts of speech the earlier part's first (see `sense_ranks`)."""
    order: dict[str, tuple[str, ...]] = {}
    for part in parts:
        read = sense_ranks(path, part)
        ids, starts = read.synsets.to_pylist(), read.starts.tolist()
        for lemma, begin, end in zip(read.lemmas.to_pylist(), starts, starts[1:], strict=False):
            order[lemma] = order.get(lemma, ()) + tuple(ids[begin:end])
    return order


def _normal(lemma: str) -> str:
    return lemma.replace("_", " ").lower()


def _decimal(fields: Fields, place: np.ndarray) -> np.ndarray:
    """Return the numbers of one to four decimal digits after some places of `parting`, one per line."""
    begin, end = fields.parting[place] + 1, fields.parting[place + 1]
    value, good = np.zeros(len(begin), dtype=np.int64), (end > begin) & (end - begin <= 4)
    for k in range(4):
        digit = DECIMAL[fields.data[np.minimum(begin + k, end)]]
        good &= (begin + k >= end) | (digit < 10)
        value = np.where(begin + k < end, value * 10 + digit, value)
    fields.lines.refuse(~good, "a number that is none")
    return value


def _check_unique(lines: Lines, lemmas: pa.StringArray) -> None:
    codes = lemmas.dictionary_encode().indices.to_numpy()
    again = np.ones(len(codes), dtype=bool)
    again[np.unique(codes, return_index=True)[1]] = False
    lines.refuse(again, "a lemma for the second time")
