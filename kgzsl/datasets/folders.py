"""A benchmark's folder on disk: a missing file is named with its place, a malformed one with its rule."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kgzsl.errors import MissingDataError, SourceError
from kgzsl.sources.tables import check_numeric, matlab_arrays, number_table, numbered_names, text_lines


@dataclass(frozen=True)
class BenchmarkFolder:
    """Files of one benchmark.

    Attributes
    ----------
    home : the folder's place below `KGZSL_DATA`, for example `cub`.
    path : the folder itself; None looks below `KGZSL_DATA`.
    """

    home: str
    path: str | os.PathLike[str] | None = None

    @property
    def root(self) -> Path | None:
        """The folder, or None when neither a path nor `KGZSL_DATA` is given."""
        if self.path is not None:
            return Path(self.path)
        data = os.environ.get("KGZSL_DATA")
        return Path(data).expanduser() / self.home if data else None

    def has(self, name: str) -> bool:
        """Return whether the file is there."""
        return self.root is not None and (self.root / name).is_file()

    def file(self, *names: str) -> Path:
        """Return the path of the first of `names` that is there.

        Raises
        ------
        MissingDataError : none is; the message says which file goes where.
        """
        for name in names:
            if self.root is not None and self.has(name):
                return self.root / name
        looked = "the variable KGZSL_DATA is not set" if self.root is None else f"not in {self.root}"
        places = " or ".join(f"$KGZSL_DATA/{self.home}/{name}" for name in names)
        raise MissingDataError(
            f"{self.home} is read from {' or '.join(names)}",
            received=looked,
            remedy=f"put the published file at {places}, or pass the path of the folder that holds it",
        )

    def lines(self, name: str) -> list[str]:
        """Return the lines of a UTF-8 file (`.gz` is unpacked), stripped, without empty ones."""
        return text_lines(self.file(name))

    def numbered(self, name: str) -> list[str]:
        """Return the names of a list `1 first`, `2 second`, … by their numbers (see `kgzsl.sources.tables.numbered_names`)."""
        return numbered_names(self.file(name))

    def table(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Return a table of finite numbers, float64 `[rows, columns]`; another shape is a SourceError."""
        values = number_table(self.file(name))
        if values.shape != (rows, columns):
            raise SourceError(f"{name} has {rows} lines of {columns} numbers", received=f"shape {values.shape}")
        return values

    def arrays(self, name: str, *keys: str) -> tuple[np.ndarray, ...]:
        """Return arrays of numbers from an `.npz` file; pickled objects are refused, because unpickling runs code."""
        file = self.file(name)
        try:
            with np.load(file, allow_pickle=False) as content:
                found = tuple(content[key] for key in keys)
        except (OSError, EOFError, KeyError, ValueError, TypeError, zlib.error, zipfile.BadZipFile) as error:
            raise SourceError(f"{name} holds the arrays {', '.join(keys)}, without pickles", received=f"{file}: {error}") from error
        for key, array in zip(keys, found, strict=True):
            check_numeric(f"`{key}` of {name}", array)
        return found

    def json(self, name: str) -> dict[str, Any]:
        """Return the object in a JSON file."""
        file = self.file(name)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SourceError(f"{name} is a JSON object", received=f"{file}: {error}") from error
        if not isinstance(content, dict):
            raise SourceError(f"{name} is a JSON object", received=f"{file} holds a {type(content).__name__}")
        return content

    def matlab(self, file: Path, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """Return variables of a MATLAB file (see `kgzsl.sources.tables.matlab_arrays`)."""
        return matlab_arrays(file, needed, optional)
