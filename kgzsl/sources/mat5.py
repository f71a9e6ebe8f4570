"""A check of MATLAB files (level 5: versions 5 to 7) before SciPy reads them.

SciPy's compiled reader trusts the types and lengths that a file states, and a damaged byte can end the process. So every tag of
what is to be read is followed here first: MathWorks, "MAT-File Format", chapter 1.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from kgzsl.errors import SourceError

_HEADER = 128
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
#: Type of stored numbers → bytes of one.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
#: Types of stored characters.
_TEXTS = {1, 2, 3, 4, 16, 17, 18}
_CELL, _CHAR = 1, 4
_NUMERIC = range(6, 16)
_OTHERS = {2: "a structure", 3: "an object", 5: "a sparse array", 16: "a function", 17: "an object"}
_COMPLEX = 0x0800
_DEEPEST = 4
#: Of a compressed variable so much is unpacked at once; one that is not an array of numbers may be no larger than the last.
_CHUNK, _LARGEST = 1 << 20, 1 << 28


def check_matlab(file: Path, wanted: Collection[str]) -> None:
    """Raise SourceError unless the file is whole and its variables `wanted` are arrays of numbers, or cells of texts or numbers.

    A file of version 7.3 (HDF5) passes, because SciPy says what it is.
    """
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as raw:
            mark = bytes(raw[126:_HEADER])
            if mark not in (b"IM", b"MI"):
                raise ValueError("its header has no mark of the byte order")
            order = "<" if mark == b"IM" else ">"
            if struct.unpack_from(f"{order}H", raw, 124)[0] >> 8 != 2:
                _walk(_Tags(raw, order), wanted)
    except SourceError:
        raise
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise SourceError(f"{file.name} is a MATLAB file", received=f"{file}: {error}", remedy="get it again") from error


def _walk(tags: _Tags, wanted: Collection[str]) -> None:
    """Check the variables one after the other."""
    position = _HEADER
    while position < len(tags.raw):
        kind, start, size, _ = tags.at(position, len(tags.raw))
        if kind == _COMPRESSED:
            with tags.raw[start : start + size] as packed:
                _compressed(packed, tags.order, wanted)
        elif kind == _MATRIX:
            _matrix(tags, start, start + size, wanted)
        else:
            raise ValueError(f"byte {position:,} begins a variable of the unknown type {kind}")
        position = start + size


def _compressed(raw: memoryview, order: str, wanted: Collection[str]) -> None:
    """Check one compressed variable; of an array of numbers only its beginning is kept in memory."""
    stream = zlib.decompressobj()
    head = stream.decompress(raw, _CHUNK)
    total = len(head)
    tags = _Tags(memoryview(head), order)
    kind, start, size, _ = tags.at(0, None)
    if kind != _MATRIX:
        raise ValueError(f"a compressed variable is an array, not of the type {kind}")
    if size > len(head) - start and _name_and_class(tags, start, start + size)[1] not in _NUMERIC:
        head += stream.decompress(stream.unconsumed_tail, _LARGEST)
        total, tags = len(head), _Tags(memoryview(head), order)
    while stream.unconsumed_tail and not stream.eof:
        total += len(stream.decompress(stream.unconsumed_tail, _CHUNK))
    if total != start + size or not stream.eof:
        raise ValueError(f"a compressed variable states {size:,} bytes and has {total - start:,}")
    _matrix(tags, start, start + size, wanted)


def _name_and_class(tags: _Tags, start: int, end: int) -> tuple[str, int, int, int, int]:
    """Return name, class, flags, number of entries and where the data begin; check the three parts that say so."""
    kind, data, size, position = tags.at(start, end)
    if kind != _UINT32 or size != 8:
        raise ValueError("an array begins with its flags")
    flags = tags.number(data)
    kind, data, size, position = tags.at(position, end)
    if kind != _INT32 or size % 4 or not 8 <= size <= 128:
        raise ValueError("an array has two dimensions or more")
    dims = struct.unpack_from(f"{tags.order}{size // 4}i", tags.raw, data)
    if min(dims) < 0:
        raise ValueError(f"an array has the dimensions {dims}")
    kind, data, size, position = tags.at(position, end)
    if kind != _INT8 or size > 256:
        raise ValueError("an array has a name")
    return bytes(tags.raw[data : data + size]).decode("latin-1"), flags & 0xFF, flags, math.prod(dims), position


def _matrix(tags: _Tags, start: int, end: int, wanted: Collection[str] | None, depth: int = 0) -> None:
    """Check one array; `wanted` is None for one in a cell. Of variables that are not wanted SciPy reads the beginning alone."""
    name, kind, flags, count, position = _name_and_class(tags, start, end)
    if wanted is not None and name not in wanted:
        return
    if kind == _CELL and depth < _DEEPEST:
        for _ in range(count):
            inner, data, size, position = tags.at(position, end)
            if inner != _MATRIX:
                raise ValueError(f"a cell of `{name}` holds no array")
            if size:
                _matrix(tags, data, data + size, None, depth + 1)
    elif kind == _CHAR:
        inner, _, size, _ = tags.at(position, end)
        if inner not in _TEXTS or size > 4 * count or size < count:
            raise ValueError(f"a text of {count} characters has {size} bytes of the type {inner}")
    elif kind in _NUMERIC:
        for _ in range(2 if flags & _COMPLEX else 1):
            inner, _, size, position = tags.at(position, end)
            if inner not in _SIZES or size != count * _SIZES[inner]:
                raise ValueError(f"`{name}` has {count:,} entries, and {size:,} bytes of the type {inner}")
    else:
        raise SourceError(f"`{name}` is a dense array of real numbers, or cells of names", received=_OTHERS.get(kind, f"the class {kind}"))


@dataclass(frozen=True)
class _Tags:
    """Reads tags: a type, a length, and where the data are; `order` is `<` or `>`."""

    raw: memoryview
    order: str

    def at(self, position: int, end: int | None) -> tuple[int, int, int, int]:
        """Return type, start and length of the data, and where the next tag is; raises ValueError where they pass `end`.

        Parameters
        ----------
        end : where the enclosing element ends; None where that is what the tag says.
        """
        kind, size = struct.unpack_from(f"{self.order}II", self.raw, position)
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, start, after = kind & 0xFFFF, kind >> 16, position + 4, position + 8
            if size > 4:
                raise ValueError(f"byte {position:,}: a short element has {size} bytes")
        else:
            start = position + 8
            after = start + -(-size // 8) * 8
        if end is not None and start + size > end:
            raise ValueError(f"byte {position:,}: {size:,} bytes are promised, {max(end - start, 0):,} are left")
        return kind, start, size, after

    def number(self, position: int) -> int:
        """Return four bytes as a whole number."""
        return int(struct.unpack_from(f"{self.order}I", self.raw, position)[0])
