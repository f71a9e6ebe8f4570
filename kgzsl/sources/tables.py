"""Small published tables: lists of names, matrices of numbers, MATLAB files. A malformed one is refused with its place."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kgzsl.errors import MissingDataError, SourceError
from kgzsl.sources.mat5 import check_matlab


def text_lines(file: Path) -> list[str]:
    """Return the lines of a UTF-8 file (`.gz` is unpacked), stripped, without empty ones.

    Raises
    ------
    MissingDataError : no such file.
    SourceError : not UTF-8 text, a damaged gzip file, or nothing in it.
    """
    return [line for _, line in numbered_lines(file)]


def numbered_lines(file: Path) -> list[tuple[int, str]]:
    """Return the lines of a file as `text_lines` does, each with its number in the file, from 1."""
    try:
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise MissingDataError(
            "a source's file is on this machine", received=f"{file} does not exist", remedy="correct the path"
        ) from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SourceError(f"{file.name} is UTF-8 text", received=f"{file}: {error}") from error
    # Not splitlines(): a name may hold what Unicode calls a line's end, a file's lines end with \n.
    found = [(n, line.strip()) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not found:
        raise SourceError(f"{file.name} is not empty", received=str(file))
    return found


def numbered_names(file: Path) -> list[str]:
    """Return the names of a list `1 first`, `2 second`, … by their numbers, which the lines need not follow.

    Raises
    ------
    SourceError : the numbers are not 1 … n, each once, or a name is missing.
    """
    names: dict[int, str] = {}
    lines = numbered_lines(file)
    for place, line in lines:
        number, *rest = line.split(maxsplit=1)
        if not _is_number(number) or not rest or int(number) in names or not 1 <= int(number) <= len(lines):
            raise SourceError(
                f"{file.name} numbers its {len(lines):,} lines from 1, each number once", received=f"line {place:,}: {line[:80]!r}"
            )
        names[int(number)] = rest[0]
    return [names[number] for number in sorted(names)]


def listed_names(file: Path) -> list[str]:
    """Return the names of a list, one a line, numbered (`1 first`) or not."""
    lines = text_lines(file)
    numbered = [line.split(maxsplit=1)[0] for line in lines]
    return numbered_names(file) if all(_is_number(n) for n in numbered) else lines


def number_table(file: Path) -> np.ndarray:
    """Return a table of numbers separated by white space, float64 `[rows, columns]`.

    Raises
    ------
    SourceError : lines of different lengths, or something that is no finite number; the line and the column are named.
    """
    lines = numbered_lines(file)
    rows = [line.split() for _, line in lines]
    wrong = next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if wrong is not None:
        raise SourceError(
            f"every line of {file.name} has {len(rows[0])} numbers like the first", received=f"line {lines[wrong][0]:,}: {len(rows[wrong])}"
        )
    try:
        values = np.array([[float(v) for v in row] for row in rows])
    except ValueError as error:
        raise SourceError(f"{file.name} is a table of numbers", received=_bad_number(lines, rows) or str(error)) from error
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = (int(n) for n in bad[0])
        raise SourceError(
            f"{file.name} is a table of finite numbers", received=f"line {lines[row][0]:,}, column {column + 1:,}: {rows[row][column]!r}"
        )
    return values


def matlab_arrays(file: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Return variables of a MATLAB file (version 5 holds data only, no code).

    Raises
    ------
    SourceError : not such a file, or a needed variable is missing or no dense array of numbers.
    """
    from scipy.io import loadmat

    if not file.is_file():
        raise MissingDataError("a source's file is on this machine", received=f"{file} does not exist", remedy="correct the path")
    check_matlab(file, {*needed, *optional})
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
        check_numeric(f"`{name}` of {file.name}", content[name])
    return {name: content[name] for name in (*needed, *optional) if name in content}


def cell_names(cells: np.ndarray, what: str) -> list[str]:
    """Return the names in a MATLAB cell array, one per cell; anything else raises SourceError."""
    try:
        return [str(np.asarray(cell).item()) for cell in cells.reshape(-1)]
    except (ValueError, TypeError, AttributeError) as error:  # a number of values in a cell, a sparse matrix
        raise SourceError(f"{what} holds one name per cell", received=str(error)) from error


def check_numeric(what: str, value: object) -> None:
    """Raise SourceError unless `value` is a dense array of real numbers."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        kind = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
        raise SourceError(f"{what} is a dense array of real numbers", received=kind)


def _is_number(text: str) -> bool:
    """Whether `text` is a number that `int` reads; `isdecimal` alone would pass a number of a million digits."""
    return text.isdecimal() and len(text) < 10


def _bad_number(lines: Sequence[tuple[int, str]], rows: Sequence[Sequence[str]]) -> str:
    for (place, _), row in zip(lines, rows, strict=True):
        for column, value in enumerate(row, start=1):
            try:
                float(value)
            except ValueError:
                return f"line {place:,}, column {column:,}: {value[:40]!r}"
    return ""
