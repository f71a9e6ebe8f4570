"""Feature sets of one's own: a folder of artifacts, or of CSV tables, and a `split.json`."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kgzsl.datasets.base import Split
from kgzsl.datasets.feature_set import FeatureSet
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.datasets.readers import FeatureSetReader
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, first_five
from kgzsl.ids import curies
from kgzsl.matrices import ClassEmbeddings, Features

_ROWS = ("train_rows", "test_seen_rows", "test_unseen_rows")
_KEYS = ("name", "version", "seen", "unseen", *_ROWS)


class OwnFolder(FeatureSetReader):
    """A folder of one's own: features with labels, class embeddings, split.json.

    Parameters
    ----------
    path : holds `features/` and `embeddings/` (artifacts, see `Features.save` and `ClassEmbeddings.save`) or `features.csv`
        (`id,label,…` and one column per value) and `embeddings.csv` (`id,…`), and `split.json`:
        `{"seen": [ids], "unseen": [ids]}`, optionally `name`, `version`, and the row ids `train_rows`, `test_seen_rows` and
        `test_unseen_rows`. A bare wnid is a class id too.
    """

    name: ClassVar[str] = "folder"
    source: ClassVar[str] = "your own"

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        if path is None or not Path(path).is_dir():
            raise MissingDataError(
                "a feature set of your own is a folder with features, embeddings and split.json",
                received="no path" if path is None else f"{path} is no folder",
                remedy="pass its path",
            )
        self.path = Path(path)
        self.folder = BenchmarkFolder(self.path.name, self.path)

    def read(self) -> FeatureSet:
        """Return the set; see `FeatureSetReader.read`."""
        content = self.folder.json("split.json")
        unknown = sorted(set(content) - set(_KEYS))
        if unknown:
            raise SourceError(f"split.json has the keys {', '.join(_KEYS)}", received=f"also {first_five(unknown)}")
        name, version = (_text(content, key, default) for key, default in (("name", self.path.resolve().name), ("version", "unversioned")))
        split = Split(name, version, *(curies(_names(content, part)) for part in ("seen", "unseen")))
        train, test_seen, test_unseen = (_names(content, key) if key in content else () for key in _ROWS)
        return FeatureSet(
            name=name,
            version=version,
            features=self._features(),
            split=split,
            embeddings=self._embeddings(),
            train_rows=train,
            test_seen_rows=test_seen,
            test_unseen_rows=test_unseen,
        )

    def _features(self) -> Features:
        if not self.folder.has("features.csv"):
            found = Features.load(self.path / "features")
            return Features(ids=found.ids, matrix=found.matrix, meta=found.meta, labels=curies(found.labels))
        ids, texts, matrix = read_csv(self.path / "features.csv", ("id", "label"))
        return Features(ids=ids, matrix=matrix, meta={"recipe": {"backbone": "own", "file": "features.csv"}}, labels=curies(texts[0]))

    def _embeddings(self) -> ClassEmbeddings:
        if not self.folder.has("embeddings.csv"):
            return ClassEmbeddings.load(self.path / "embeddings")
        ids, _, matrix = read_csv(self.path / "embeddings.csv", ("id",))
        return ClassEmbeddings(ids=curies(ids), matrix=matrix, meta={"semantics": "own", "file": "embeddings.csv"})


def read_csv(file: Path, named: tuple[str, ...]) -> tuple[tuple[str, ...], list[tuple[str, ...]], np.ndarray]:
    """Read a table whose first columns are text and whose others are numbers.

    Parameters
    ----------
    named : the header's first columns, `id` before all.

    Returns
    -------
    The ids, the other named columns, and the numbers `[rows, columns]`.

    Raises
    ------
    SourceError : not UTF-8 text, another header, a short line, or a value that is no number; the line is named.
    """
    texts: list[list[str]] = []
    rows: list[np.ndarray] = []
    try:
        with open(file, encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            if tuple(header[: len(named)]) != named or len(header) == len(named):
                raise SourceError(f"{file.name} begins with the header {','.join(named)},… and value columns", received=header[:5])
            for line in reader:
                if len(line) != len(header):
                    raise SourceError(
                        f"every line of {file.name} has {len(header)} fields", received=f"{len(line)} in line {reader.line_num}"
                    )
                texts.append(line[: len(named)])
                try:
                    rows.append(np.array(line[len(named) :], dtype=np.float64))
                except ValueError as error:
                    raise SourceError(f"the values of {file.name} are numbers", received=f"{error} in line {reader.line_num}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{file.name} is a UTF-8 CSV table", received=f"{file}: {error}") from error
    if not rows:
        raise InvalidInputError(f"{file.name} has at least one line below its header", received="none")
    columns = [tuple(column) for column in zip(*texts, strict=True)]
    return columns[0], columns[1:], np.stack(rows)


def _text(content: dict[str, Any], key: str, default: str) -> str:
    value = content.get(key, default)
    if not isinstance(value, str) or not value:
        raise SourceError(f"`{key}` of split.json is text", received=repr(value))
    return value


def _names(content: dict[str, Any], key: str) -> tuple[str, ...]:
    value = content.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise SourceError(f"`{key}` of split.json is a list of ids, at least one", received=repr(value)[:80])
    return tuple(value)
