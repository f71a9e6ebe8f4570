"""Files of triples, of texts and of candidates: read by Arrow into numbers, names stripped, the vocabulary joined over all parts."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.datasets.completion_set import Triples
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, first_five
from kgzsl.sources._layout import Layout, codes_of, encoded, plain

_TRIPLES = Layout(("subject", "relation", "object"))
_TEXTS = Layout(("subject", "object"))
#: The text of a name, empty where there is none.
Text = Callable[[str], str]

_CUTS = re.compile(r"[_/.\s]+")


@dataclass(frozen=True)
class NamedTriples:
    """Triples of one part as its file names them.

    Attributes
    ----------
    columns : names of heads, relations and tails, each `[triples]`, none of them empty.
    """

    columns: tuple[pa.DictionaryArray, pa.DictionaryArray, pa.DictionaryArray]

    def __len__(self) -> int:
        return len(self.columns[0])

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]], source: str) -> NamedTriples:
        """Return the triples of a list of lists.

        Raises
        ------
        SourceError : a row that is no list of three names; the first one is shown.
        """
        flat = _flat(rows)
        if flat is None:
            i = next(i for i, row in enumerate(rows) if _flat([row]) is None)
            raise SourceError(
                "a triple is a head, a relation and a tail, none of them empty",
                received=f"{source}: number {i + 1:,} of {len(rows):,} is not: {str(rows[i])[:120]}",
            )
        return cls(tuple(pa.array(flat[k::3], pa.string()).dictionary_encode() for k in range(3)))

    def with_entities(self, names: Mapping[str, str]) -> NamedTriples:
        """Return the triples with some entities named anew."""

        def renamed(column: pa.DictionaryArray) -> pa.DictionaryArray:
            return pa.array([names.get(n, n) for n in column.dictionary.to_pylist()], pa.string()).take(column.indices).dictionary_encode()

        return NamedTriples((renamed(self.columns[0]), self.columns[1], renamed(self.columns[2])))


def _flat(rows: Sequence[object]) -> list[str] | None:
    """Return the names of all rows one after the other; None where a row is no list of three names that are not empty."""
    if not set(map(type, rows)) <= {list, tuple} or not set(map(len, rows)) <= {3}:  # type: ignore[arg-type]
        return None
    flat: list[str] = list(chain.from_iterable(rows))  # type: ignore[arg-type]
    return flat if set(map(type, flat)) <= {str} and all(map(str.strip, flat)) else None


def stripped(names: pa.StringArray, what: str) -> pa.StringArray:
    """Return names without white space around them, or raise SourceError where two different names become one, naming both."""
    short = pc.utf8_trim_whitespace(names)
    if pc.count_distinct(short).as_py() != len(names):
        first: dict[str, str] = {}
        for name, less in zip(names.to_pylist(), short.to_pylist(), strict=True):
            if first.setdefault(less, name) != name:
                raise SourceError(
                    "names that differ stay different when they are stripped",
                    received=f"{what}: {first[less]!r} and {name!r} both become {less!r}",
                    remedy="write each entity and each relation in one way",
                )
    return short


def read_triples(file: Path) -> NamedTriples:
    """Read `head TAB relation TAB tail` lines, UTF-8, gzipped or not.

    Raises
    ------
    MissingDataError : no such file.
    SourceError : an empty or damaged file, a line without three columns, an empty name; the line is named.
    """
    table = _TRIPLES.read(file)
    columns = tuple(encoded(table[c]) for c in _TRIPLES.columns)
    if any(not name.strip() for column in columns for name in column.dictionary.to_pylist()):
        _TRIPLES.explain(file, "a field is empty")
    return NamedTriples(columns)


def read_texts(file: Path) -> dict[str, str]:
    """Read `name TAB text` lines; a text may be empty.

    Raises
    ------
    MissingDataError, SourceError : as of `read_triples`; a name twice.
    """
    table = _TEXTS.read(file)
    names, texts = (pc.utf8_trim_whitespace(plain(table[c])).to_pylist() for c in _TEXTS.columns)
    found = dict(zip(names, texts, strict=True))
    if len(found) != len(names):
        raise SourceError("a name has one text", received=f"{file}: {len(names) - len(found):,} names are there again")
    return found


def texts_by(found: Mapping[str, str]) -> Text:
    """Return the function that looks a name's text up."""
    return lambda name: found.get(name, "")


def words_of(name: str) -> str:
    """Return the words of a name: `_member_of_domain_region` → `member of domain region`."""
    return " ".join(_CUTS.split(name)).strip()


def join_parts(
    parts: Mapping[str, NamedTriples],
    names: Sequence[str],
    entity_text: Text | None = None,
    relation_text: Text | None = None,
) -> tuple[Triples, np.ndarray, dict[str, int]]:
    """Return all triples over one vocabulary, the part of each, and how many were there twice within their part (kept once).

    Parameters
    ----------
    names : the parts in the order that the numbers count.
    entity_text, relation_text : the text of a name, empty where there is none; None has no texts.

    Raises
    ------
    SourceError : two different names become one when they are stripped.
    InvalidInputError : no triples at all.
    """
    if not any(len(parts[part]) for part in names):
        raise InvalidInputError("a benchmark of completion holds triples", received="none", remedy="give every part triples")
    columns = [pc_join([parts[part].columns[k] for part in names]) for k in range(3)]
    ends, entities = _vocabulary("entities", columns[0], columns[2])
    (relation,), relations = _vocabulary("relations", columns[1])
    rows = np.stack([ends[0], relation, ends[1]], axis=1)
    number = np.repeat(np.arange(len(names), dtype=np.int8), [len(parts[part]) for part in names])
    key = ((number.astype(np.int64) * len(entities) + rows[:, 0]) * len(relations) + rows[:, 1]) * len(entities) + rows[:, 2]
    first = np.sort(np.unique(key, return_index=True)[1])
    repeated = np.bincount(number, minlength=len(names)) - np.bincount(number[first], minlength=len(names))
    facts = Triples(
        entities,
        relations,
        rows[first],
        tuple(map(entity_text, entities)) if entity_text else (),
        tuple(map(relation_text, relations)) if relation_text else (),
    )
    return facts, number[first], {f"{part} triples that are there again": int(n) for part, n in zip(names, repeated, strict=True)}


def pc_join(columns: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Return dictionary columns one after the other, over one dictionary."""
    return encoded(pa.chunked_array(columns, pa.dictionary(pa.int32(), pa.string())))


def _vocabulary(what: str, *columns: pa.DictionaryArray) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Return the position of each row's name, stripped, among all names of the columns, sorted, and those names."""
    raw = pc.unique(pa.concat_arrays([c.dictionary.take(pc.unique(c.indices)) for c in columns]))
    short = stripped(raw, what)
    order = np.asarray(pc.array_sort_indices(short), dtype=np.int64)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    places = [rank[np.asarray(pc.index_in(c.dictionary, raw).fill_null(0), dtype=np.int64)] for c in columns]
    return [place[codes_of(c)] for place, c in zip(places, columns, strict=True)], tuple(short.take(pa.array(order)).to_pylist())


def read_json(file: Path) -> dict[str, Any]:
    """Return the object of a JSON file, gzipped or not.

    Raises
    ------
    MissingDataError : no such file.
    SourceError : damaged, not JSON, or no object.
    """
    try:
        raw = file.read_bytes()
        content = json.loads(gzip.decompress(raw) if file.suffix == ".gz" else raw)
    except FileNotFoundError as error:
        raise MissingDataError("a benchmark's file is on this machine", received=f"{file} does not exist") from error
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise SourceError(f"{file.name} is a JSON object", received=f"{file}: {str(error)[:160]}", remedy="get the file again") from error
    if not isinstance(content, dict) or not content:
        raise SourceError(f"{file.name} is a JSON object that is not empty", received=f"{file}: a {type(content).__name__}")
    return content


def positions_in(names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Return where each wanted name stands, −1 where it does not, int64 `[wanted]`."""
    found = pc.index_in(pa.array(wanted, pa.string()), pa.array(names, pa.string()))
    return np.asarray(pc.fill_null(found, -1), dtype=np.int64)


def check_texts(facts: Triples, unless: str, what: str) -> None:
    """Raise InvalidInputError that lists the relations without text, unless `unless` says to keep them."""
    if unless not in ("error", "keep"):
        raise InvalidInputError("without_text is one of error, keep", received=repr(unless))
    bare = facts.without_text()
    if bare and unless == "error":
        raise InvalidInputError(
            f"every relation of {what} has a text in its schema",
            received=f"{len(bare):,} have none: {first_five(bare)}",
            remedy="add their texts, or pass without_text='keep': they are then known by their names alone",
        )
