"""The kept lines of one pass over ConceptNet's assertions dump, as numbers.

Lines come in batches and leave as positions in tables of distinct strings, so that memory grows with the distinct nodes and
with twenty bytes per kept line, not with the file.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.engines import Engine
from kgzsl.errors import SourceError
from kgzsl.sources._assertions import IDS, KEPT, REASONS, REMEDY, WRONG, Filter, assertions, batches, problem
from kgzsl.sources._lines import first_bad

#: Spaces beyond ASCII, which an id cannot have; ConceptNet itself writes `_` for the spaces it knows.
_SPACES = r"[\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
#: Lines that are numbered at once, and distinct strings that are held before the parts are joined: joining costs more time than memory.
_ROWS, _DISTINCT = 500_000, 12_000_000
_REMEDY = "the file must be the assertions dump as published; get it again"


@dataclass(frozen=True)
class Edges:
    """Kept assertions in ConceptNet's direction: positions of nodes and of relation names, weights, sentences; `[edges]`."""

    start: np.ndarray
    relation: np.ndarray
    end: np.ndarray
    weight: np.ndarray
    text: pa.Array

    def where(self, keep: np.ndarray) -> Edges:
        return Edges(self.start[keep], self.relation[keep], self.end[keep], self.weight[keep], self.text.filter(pa.array(keep)))

    def near(self, classes: np.ndarray, hops: int, dropped: Counter[str]) -> Edges:
        """Return the edges between nodes at most `hops` edges, in either direction, from `classes`."""
        reached = classes.copy()
        for _ in range(hops):
            new = reached.copy()
            new[self.end[reached[self.start]]] = True
            new[self.start[reached[self.end]]] = True
            if (new == reached).all():
                break
            reached = new
        inside = reached[self.start] & reached[self.end]
        dropped["beyond the neighbourhood"] = int((~inside).sum())
        return self.where(inside)


@dataclass(frozen=True)
class Found:
    """What one pass brings: sorted ids, names of relations, edges, counts of what was left out, licences with counts."""

    ids: pa.StringArray
    names: list[str]
    edges: Edges
    dropped: Counter[str]
    licence: str


class _Growing:
    """A column of strings that grows part by part; it holds every distinct string about once."""

    def __init__(self) -> None:
        self._parts: list[pa.DictionaryArray] = []
        self._held, self._limit = 0, _DISTINCT

    def add(self, strings: pa.StringArray) -> None:
        self._parts.append(strings.dictionary_encode())
        self._held += len(self._parts[-1].dictionary)
        if self._held > self._limit:
            self._join()
            self._limit = 2 * self._held + _DISTINCT

    def _join(self) -> None:
        # One array, not as many as there were parts, or every later part would be joined with each of their dictionaries.
        self._parts = [pa.chunked_array(self._parts).unify_dictionaries().combine_chunks()]
        self._held = len(self._parts[0].dictionary)

    def sorted(self) -> tuple[pa.StringArray, np.ndarray]:
        """Return the distinct strings in order, and the position of every string added among them, int32."""
        if not self._parts:
            return pa.array([], pa.string()), np.zeros(0, dtype=np.int32)
        self._join()
        whole = self._parts.pop()
        strings, codes = whole.dictionary, np.asarray(whole.indices)
        if pc.any(pc.match_substring_regex(strings, _SPACES)).as_py():
            again = pc.replace_substring_regex(strings, _SPACES, "_").dictionary_encode()
            strings, codes = again.dictionary, np.asarray(again.indices)[codes]
        order = pc.array_sort_indices(strings)
        rank = np.empty(len(order), dtype=np.int32)
        rank[np.asarray(order)] = np.arange(len(order), dtype=np.int32)
        return strings.take(order), rank[codes]


class _Columns:
    """The kept lines of one pass, numbered; what comes in small batches is held back until it is worth numbering."""

    def __init__(self, texts: bool) -> None:
        self.ends, self.names, self.licences = _Growing(), _Growing(), Counter[str]()
        self.weights: list[np.ndarray] = [np.zeros(0, dtype=np.float32)]
        self.texts: list[pa.Array] = [pa.nulls(0, pa.string() if texts else pa.null())]
        self._has_texts = texts
        self._held: list[pa.RecordBatch] = []
        #: How many lines went together into `ends`: first all their starts, then all their ends.
        self.sizes: list[int] = []

    def add(self, kept: pa.RecordBatch) -> None:
        self._held.append(kept)
        if sum(map(len, self._held)) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        if not sum(map(len, self._held)):
            return
        table = pa.Table.from_batches(self._held).combine_chunks()
        self._held = []
        start, end, name, text = (table[c].combine_chunks().cast(pa.string()) for c in ("start", "end", "relation", "text"))
        self.ends.add(pa.concat_arrays([start, end]))
        self.names.add(name)
        with np.errstate(over="ignore"):  # what is beyond float32 is refused later
            self.weights.append(table["weight"].to_numpy().astype(np.float32))
        self.texts.append(text if self._has_texts else pa.nulls(len(table)))
        for value in pc.value_counts(table["licence"].combine_chunks()).to_pylist():
            self.licences[value["values"] or "not stated"] += value["counts"]
        self.sizes.append(len(table))

    def halves(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the starts' and the ends' share of the positions in `ends`."""
        parts = np.split(places, np.cumsum([2 * n for n in self.sizes])[:-1]) if self.sizes else [places]
        return np.concatenate([p[: len(p) // 2] for p in parts]), np.concatenate([p[len(p) // 2 :] for p in parts])


def collect(engine: Engine, path: Path, wanted: Filter) -> Found:
    """Read the file in one pass on the engine; a line that is wrong raises SourceError, which names it."""
    fates = np.zeros(WRONG + 1, dtype=np.int64)
    columns = _Columns(wanted.texts)
    for batch in batches(engine, assertions(engine, path, wanted)):
        fates += np.bincount(batch["fate"].to_numpy(zero_copy_only=False), minlength=WRONG + 1)
        columns.add(batch.filter(pc.equal(batch["fate"], KEPT)))
    columns.flush()
    ids, places = columns.ends.sorted()
    names, codes = columns.names.sorted()
    weight = np.concatenate(columns.weights)
    sound = pc.all(pc.match_substring_regex(ids, IDS)).as_py() is not False and not any(" " in n or not n for n in names.to_pylist())
    if fates[WRONG] or not sound or not (np.isfinite(weight) & (weight > 0)).all():
        first_bad(path, problem, REMEDY)
        raise SourceError("every line of the assertions dump is as documented", received=f"{path}: one is not", remedy=REMEDY)
    start, end = columns.halves(places)
    edges = Edges(start, codes, end, weight, pa.concat_arrays(columns.texts))
    licence = ", ".join(f"{name} ({n:,})" for name, n in sorted(columns.licences.items()))
    return Found(ids, names.to_pylist(), edges, Counter(dict(zip(REASONS, fates.tolist(), strict=False))), licence)
