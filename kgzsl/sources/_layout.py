"""Tables of names in text files: read by Arrow into numbers, and nodes numbered across columns."""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kgzsl.errors import SourceError
from kgzsl.sources._lines import check_head, cut, first_bad, is_gzip
from kgzsl.sources._terms import words

_REMEDY = "correct the line, or the settings columns, separator, header and quotes"


@dataclass(frozen=True)
class Layout:
    """How a table is written.

    Attributes
    ----------
    columns : what the columns are, in order; `weight` is a number, `-` is not read, others are names.
    header : whether the first line names the columns.
    quotes : whether fields may stand in double quotes.
    literals : relations whose object may be empty.
    """

    columns: tuple[str, ...]
    separator: str = "\t"
    header: bool = False
    quotes: bool = False
    literals: frozenset[str] = field(default_factory=frozenset)

    def read(self, path: Path) -> pa.Table:
        """Read a table, gzipped or not; names are dictionary columns.

        Raises
        ------
        MissingDataError : no such file.
        SourceError : not a table of this layout; the line is named.
        """
        check_head(path, "a table of triples", "get the file again")
        names = [c if c != "-" else f"- {i}" for i, c in enumerate(self.columns)]
        try:
            with pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None) as stream:
                table = pa.csv.read_csv(
                    stream,
                    read_options=pa.csv.ReadOptions(column_names=names, skip_rows=int(self.header)),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=self.separator, quote_char='"' if self.quotes else False, newlines_in_values=self.quotes
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        include_columns=[n for n in names if not n.startswith("- ")],
                        column_types={n: pa.float64() if n == "weight" else pa.dictionary(pa.int32(), pa.string()) for n in names},
                        null_values=[],
                    ),
                )
        except pa.ArrowInvalid as error:
            self.explain(path, str(error))
        except OSError as error:
            raise cut(path, None, error) from error
        if not len(table):
            raise SourceError("a table of triples holds at least one line", received=f"{path} holds none", remedy="get the file again")
        return table

    def explain(self, path: Path, problem: str) -> NoReturn:
        """Raise SourceError for the first line that is wrong, or with `problem` where no single line is."""
        first_bad(path, self._problem, _REMEDY, int(self.header))
        raise SourceError("a table of triples can be read", received=f"{path}: {problem}", remedy=_REMEDY)

    def fields(self, line: str) -> list[str]:
        """Return the fields of one line; none where its quotes cannot be read."""
        if not self.quotes:
            return line.split(self.separator)
        with contextlib.suppress(csv.Error):
            return next(csv.reader([line], delimiter=self.separator), [])
        return []

    def _problem(self, line: str) -> str | None:
        fields = self.fields(line)
        if len(fields) != len(self.columns):
            return f"has {len(self.columns)} fields, not {len(fields)}"
        named = {c: f.strip() for c, f in zip(self.columns, fields, strict=True) if c != "-"}
        if not all(f or (c == "object" and named.get("relation") in self.literals) for c, f in named.items()):
            return "has an empty field"
        return _weight_problem(named["weight"]) if "weight" in named else None


def _weight_problem(text: str) -> str | None:
    try:
        with np.errstate(over="ignore"):
            value = float(np.float32(text))
    except ValueError:
        return "has a number as its weight"
    return None if math.isfinite(value) and value > 0 else "has a positive weight"


def encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return one array over one dictionary without duplicates."""
    return column.unify_dictionaries().combine_chunks()


def plain(column: pa.ChunkedArray) -> pa.StringArray:
    """Return a dictionary column as strings."""
    return encoded(column).dictionary_decode()


def codes_of(column: pa.DictionaryArray) -> np.ndarray:
    """Return where every row's value stands in the dictionary."""
    return np.asarray(column.indices)


class Nodes:
    """The node axis: names are added column by column, then joined; equal ids are one node."""

    def __init__(self) -> None:
        self._ids: list[pa.StringArray] = []
        self._words: list[pa.StringArray] = []
        self._text: list[np.ndarray] = []
        self._rank = np.zeros(0, dtype=np.int64)
        self._first = np.zeros(0, dtype=np.int64)
        self.text = np.zeros(0, dtype=bool)

    def add(
        self, column: pa.DictionaryArray, rows: np.ndarray, ids: Callable[[pa.StringArray], pa.StringArray], is_text: bool = False
    ) -> np.ndarray:
        """Add the names in the chosen rows; return the number of each row's name, -1 in the rows not chosen."""
        codes = codes_of(column)
        used = np.zeros(len(column.dictionary), dtype=bool)
        used[codes[rows]] = True
        names = column.dictionary.filter(pa.array(used))
        number = np.cumsum(used) - 1 + sum(map(len, self._ids))
        self._ids.append(ids(names))
        self._words.append(names if is_text else words(self._ids[-1]))
        self._text.append(np.full(len(names), is_text))
        return np.where(rows, number[codes], -1)

    def join(self) -> pa.StringArray:
        """Return the sorted ids, `[nodes]`."""
        encoded = pa.concat_arrays(self._ids).dictionary_encode()
        codes = codes_of(encoded)
        order = np.asarray(pc.array_sort_indices(encoded.dictionary), dtype=np.int64)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        self._rank = place[codes]
        self._first = np.empty(len(order), dtype=np.int64)
        self._first[self._rank[::-1]] = np.arange(len(codes))[::-1]
        self.text = np.concatenate(self._text)[self._first]
        return encoded.dictionary.take(pa.array(order))

    def rank(self, numbers: np.ndarray) -> np.ndarray:
        """Return the positions of what `add` returned; rows that were not chosen have no meaning."""
        return self._rank[numbers] if len(self._rank) else numbers

    def labels(self) -> pa.StringArray:
        """Return the words of every id, or the text where a node is one, `[nodes]`."""
        return pa.concat_arrays(self._words).take(pa.array(self._first))
