"""Word vectors: GloVe as an installable package carries it, or any GloVe/word2vec text file."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgzsl.artifacts import digest, sha256_file
from kgzsl.errors import MissingDataError, SourceError
from kgzsl.vectors.base import TextEncoder
from kgzsl.vectors.text import LEMMAS

Lookup = Callable[[str], int | None]


class GloVe(TextEncoder):
    """Mean of word vectors over a node's lemmas, as GCNZ made them (packaged: GloVe 6B, 50-d).

    Per lemma (the text is split at commas): the vector of the whole lemma where the table has it, else the mean over
    its words (split at spaces, hyphens and underscores) that the table has. A text's vector is the mean over its
    lemmas with a vector, scaled to unit length (zero-shot-gcn, `obtain_word_embedding.py`).
    """

    name = "glove"
    source = "Pennington et al. 2014 (aclanthology.org/D14-1162); averaging: Wang et al. 2018, arXiv:1803.08035"
    template = LEMMAS

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """`path` is a text file, one word and its values per line (a word2vec header line is accepted); None takes the packaged table.

        Raises
        ------
        MissingDataError : no such file.
        SourceError : the file is not such a table.
        """
        self._path = Path(path) if path is not None else None
        if self._path is not None and not self._path.is_file():
            raise MissingDataError("word vectors are read from a text file", received=str(self._path), remedy="check the path")

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the table's files."""
        if self._path is not None:
            return sha256_file(self._path)
        return digest([sha256_file(p) for p in _packaged()])

    def meta(self) -> dict[str, Any]:
        """Return the model and how words are averaged."""
        return {
            "encoder": self.name,
            "model": "packaged glove-6b-50d" if self._path is None else self._path.name,
            "model_digest": self.digest,
            "lemmas": "whole or mean of words",
            "pooling": "mean of lemmas",
            "normalised": True,
        }

    def _encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        parsed = [list(_lemmas(text)) for text in texts]
        table, lookup = self._table({w for lemmas in parsed for whole, words in lemmas for w in (whole, *words)})
        matrix = np.zeros((len(texts), table.shape[1]), dtype=np.float64)
        found = np.zeros(len(texts), dtype=bool)
        for row, lemmas in enumerate(parsed):
            vectors = [v for v in (_lemma_vector(table, lookup, *lemma) for lemma in lemmas) if v is not None]
            if vectors:
                mean = np.mean(vectors, axis=0)
                norm = float(np.linalg.norm(mean))
                found[row] = norm > 0
                matrix[row] = mean / norm if norm > 0 else 0.0
        return matrix.astype(np.float32), found

    def _table(self, wanted: set[str]) -> tuple[np.ndarray, Lookup]:
        if self._path is None:
            return _packaged_table()
        return _text_table(self._path, wanted)


def _lemmas(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each lemma of `text`, lower case, with its words."""
    for lemma in text.lower().split(","):
        lemma = lemma.strip()
        if lemma:
            yield lemma, [part for part in re.split(r"[\s\-_]+", lemma) if part]


def _lemma_vector(table: np.ndarray, lookup: Lookup, whole: str, words: list[str]) -> np.ndarray | None:
    at = lookup(whole)
    if at is not None:
        return np.asarray(table[at], dtype=np.float64)
    # a word of a gloss may carry punctuation that the table has no entry for
    places = [i if (i := lookup(w)) is not None else lookup(w.strip("\"'`()[];:.!?")) for w in words]
    rows = [i for i in places if i is not None]
    return np.asarray(table[rows], dtype=np.float64).mean(axis=0) if rows else None


def _packaged() -> list[Path]:
    from kgzsl.data import locate

    folder = Path(locate("glove-6b-50d"))
    return [folder / "glove_6B_50d_emb.npy", folder / "glove_6B_index.parquet"]


@functools.lru_cache(maxsize=1)
def _packaged_table() -> tuple[np.ndarray, Lookup]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    matrix_file, index_file = _packaged()
    try:
        matrix = np.load(matrix_file, mmap_mode="r", allow_pickle=False)
        index = pq.read_table(index_file)
        words, places = _index_columns(index)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise SourceError(
            "the packaged GloVe table is an .npy matrix and a parquet index", received=str(error), remedy="kgzsl data fetch glove-6b-50d"
        ) from error
    if len(words) != len(matrix) or sorted(places) != list(range(len(matrix))):
        raise SourceError("the GloVe index names every row once", received=f"{len(words):,} words, {len(matrix):,} rows")
    return matrix, dict(zip(words, places, strict=True)).get


def _index_columns(index: Any) -> tuple[list[str], list[int]]:
    """The word and the row of every entry of the index, whatever its two columns are called."""
    import pyarrow as pa

    text = [
        c
        for c in index.column_names
        if pa.types.is_string(index.schema.field(c).type) or pa.types.is_large_string(index.schema.field(c).type)
    ]
    numbers = [c for c in index.column_names if pa.types.is_integer(index.schema.field(c).type)]
    if len(text) != 1 or len(numbers) > 1:
        raise ValueError(f"columns {index.schema}")
    words = index.column(text[0]).to_pylist()
    return words, index.column(numbers[0]).to_pylist() if numbers else list(range(len(words)))


def frequency_ranks() -> dict[str, int]:
    """Return the words of the packaged GloVe table with their places, 0 for the most frequent one (`the`).

    GloVe's vocabulary is in the order of how often its corpus (Wikipedia 2014 and Gigaword 5, six billion words) has a word.

    Raises
    ------
    MissingDataError : the table is not on this machine.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    index_file = _packaged()[1]
    try:
        words, places = _index_columns(pq.read_table(index_file))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError("the packaged GloVe index is a parquet table", received=f"{index_file}: {error}") from error
    return dict(zip(words, places, strict=True))


def _text_table(path: Path, wanted: set[str]) -> tuple[np.ndarray, Lookup]:
    """Read the wanted words only, so that a table of gigabytes takes the memory of its wanted rows."""
    places: dict[str, int] = {}
    rows: list[np.ndarray] = []
    dim = 0
    try:
        with open(path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                fields = line.rstrip("\n").rstrip(" ").split(" ")
                if number == 1 and len(fields) == 2 and all(f.isdigit() for f in fields):
                    dim = int(fields[1])
                    continue
                dim = dim or len(fields) - 1
                # a few words of the Common Crawl tables hold spaces: the values are the last `dim` fields
                word = " ".join(fields[: len(fields) - dim])
                if len(fields) <= dim or dim < 2:
                    raise SourceError(f"line {number} has a word and {dim} values", received=f"{path}: {line[:80]!r}")
                if word in wanted and word not in places:
                    places[word] = len(rows)
                    rows.append(np.array([float(f) for f in fields[-dim:]], dtype=np.float32))
    except (UnicodeDecodeError, ValueError, OSError) as error:
        raise SourceError("word vectors are UTF-8 text: a word and its values per line", received=f"{path}: {error}") from error
    if dim < 2:
        raise SourceError("word vectors are UTF-8 text: a word and its values per line", received=f"{path} is empty")
    table = np.stack(rows) if rows else np.zeros((0, dim), np.float32)
    if not np.isfinite(table).all():
        raise SourceError("word vectors are finite", received=f"{path} has NaN or infinity")
    return table, places.get
