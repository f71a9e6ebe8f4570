"""A benchmark's folder on disk: a missing file is named with its place, a malformed one with its rule."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kgzsl.errors import MissingDataError, SourceError


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
        file = self.file(name)
        try:
            raw = file.read_bytes()
            text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise SourceError(f"{name} is UTF-8 text", received=f"{file}: {error}") from error
        found = [line.strip() for line in text.splitlines() if line.strip()]
        if not found:
            raise SourceError(f"{name} is not empty", received=str(file))
        return found

    def numbered(self, name: str) -> list[str]:
        """Return the names of a list `1 first`, `2 second`, … by their numbers, which the lines need not follow.

        Raises
        ------
        SourceError : the numbers are not 1 … n, each once, or a name is missing.
        """
        names: dict[int, str] = {}
        lines = self.lines(name)
        for line in lines:
            number, *rest = line.split(maxsplit=1)
            if not number.isdecimal() or not rest or int(number) in names or not 1 <= int(number) <= len(lines):
                raise SourceError(f"{name} numbers its {len(lines):,} lines from 1, each number once", received=repr(line[:80]))
            names[int(number)] = rest[0]
        return [names[number] for number in sorted(names)]

    def table(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Return a table of numbers, float64 `[rows, columns]`; another shape is a SourceError."""
        lines = self.lines(name)
        try:
            values = np.array([[float(v) for v in line.split()] for line in lines])
        except ValueError as error:
            raise SourceError(f"{name} is a table of numbers", received=str(error)) from error
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
            _check_numeric(f"`{key}` of {name}", array)
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
        """Return variables of a MATLAB file (version 5 holds data only, no code).

        Raises
        ------
        SourceError : not such a file, or a needed variable is missing or no dense array of numbers.
        """
        from scipy.io import loadmat

        try:
            content = loadmat(file, variable_names=[*needed, *optional])
        except NotImplementedError as error:  # scipy's word for version 7.3, which is HDF5
            raise SourceError(
                f"{file.name} is a MATLAB file of version 5 to 7", received=f"{file}: {error}", remedy="use the published file"
            ) from error
        except Exception as error:  # scipy's reader raises whatever the damaged bytes lead to
            raise SourceError(f"{file.name} is a MATLAB file", received=f"{file}: {error}", remedy="get it again") from error
        absent = [name for name in needed if name not in content]
        if absent:
            raise SourceError(f"{file.name} has the variables {', '.join(needed)}", received=f"{file} without {', '.join(absent)}")
        for name in needed:
            _check_numeric(f"`{name}` of {file.name}", content[name])
        return {name: content[name] for name in (*needed, *optional) if name in content}


def _check_numeric(what: str, value: object) -> None:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        kind = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
        raise SourceError(f"{what} is a dense array of real numbers", received=kind)
