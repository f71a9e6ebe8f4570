"""Where published integers end and ids begin: labels and row numbers, converted at the border and asserted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kgzsl.errors import InvalidInputError, first_five


def class_labels(numbers: np.ndarray, classes: Sequence[str], *, first: int, what: str) -> tuple[str, ...]:
    """Return the class id of each numbered label: where numbers end and ids begin.

    Parameters
    ----------
    numbers : `[rows]` (or `[rows, 1]`), whole numbers.
    classes : class ids in the order that the numbers count.
    first : the number of the first class, 0 or 1, as published.

    Raises
    ------
    InvalidInputError : not whole numbers, or numbers outside `first` … `first + classes − 1` (labels that count from the
        other base, for one).
    """
    whole = whole_numbers(numbers, f"the labels of {what}")
    last = first + len(classes) - 1
    out = sorted({int(n) for n in whole if not first <= n <= last})
    if out:
        raise InvalidInputError(
            f"the labels of {what} are published as {first} … {last}, counting from {first}",
            received=f"{len(out):,} others: {first_five(out)}",
            remedy="use the file as published; labels may have been shifted by a conversion",
        )
    return tuple(classes[n - first] for n in whole.tolist())


def row_positions(numbers: np.ndarray, rows: int, what: str) -> np.ndarray:
    """Return 1-based row numbers as int64 positions from 0, `[numbers]`, in their order.

    Raises
    ------
    InvalidInputError : not whole numbers, outside 1 … rows, or a number twice.
    """
    whole = whole_numbers(numbers, what)
    out = sorted({int(n) for n in whole if not 1 <= n <= rows})
    if out or len(np.unique(whole)) != len(whole):
        raise InvalidInputError(
            f"{what} are published as row numbers 1 … {rows:,}, counting from 1, each once",
            received=f"{len(out):,} others: {first_five(out)}" if out else "numbers twice",
            remedy="use the file as published; row numbers may have been shifted by a conversion",
        )
    return whole - 1


def whole_numbers(numbers: np.ndarray, what: str) -> np.ndarray:
    """Return `numbers` as int64 `[n]`; MATLAB writes whole numbers as doubles, so those are taken too."""
    flat = np.asarray(numbers).reshape(-1)
    if flat.size == 0 or flat.dtype.kind not in "iuf" or not np.isfinite(flat).all() or not np.array_equal(flat, np.floor(flat)):
        raise InvalidInputError(f"{what} are whole numbers, at least one", received=f"{flat.dtype} {flat[:5].tolist()}")
    return flat.astype(np.int64)
