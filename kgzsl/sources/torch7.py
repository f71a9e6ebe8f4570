"""Lua Torch7's binary serialisation of plain data: tables, strings, numbers and booleans. Objects and functions are refused unread."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgzsl.errors import SourceError

LARGEST_FILE = 2**30
#: Tables within tables.
DEEPEST = 64

_NIL, _NUMBER, _STRING, _TABLE, _OBJECT, _BOOLEAN, _FUNCTION, _FUNCTION_7, _FUNCTION_8 = range(9)
_REFUSED = {
    _OBJECT: "an object of a class of its own",
    _FUNCTION: "a function",
    _FUNCTION_7: "a function",
    _FUNCTION_8: "a function",
}


def read_torch7(file: Path) -> Any:
    """Return the value in a file that Lua wrote with `torch.save` in binary form, 32-bit lengths, little-endian.

    Tables with the keys 1 … n are lists, others dictionaries; numbers are floats; text is UTF-8.

    Raises
    ------
    SourceError : truncated, another form, text in another encoding, a table in itself, or a foreign object (a tensor, a function):
        what it is and where it stands are named.
    """
    size = file.stat().st_size
    if size > LARGEST_FILE:
        raise SourceError(f"a .t7 file has at most {LARGEST_FILE:,} bytes", received=f"{file}: {size:,}")
    reader = _Reader(file, file.read_bytes())
    value = reader.value(0)
    if reader.at != size:
        raise SourceError(f"{file.name} holds one value", received=f"{file}: {size - reader.at:,} bytes after it")
    return value


_OPEN = object()


@dataclass
class _Reader:
    """Where reading stands in the bytes of a file, and the tables read so far by their numbers."""

    file: Path
    content: bytes
    at: int = 0
    tables: dict[int, Any] = field(default_factory=dict)

    def value(self, depth: int) -> Any:
        """Read one value."""
        start, kind = self.at, self.whole()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return float(struct.unpack("<d", self.take(8))[0])
        if kind == _STRING:
            return self.text()
        if kind == _BOOLEAN:
            return self.whole() == 1
        if kind == _TABLE:
            return self.table(depth)
        if kind in _REFUSED:
            raise self.error(
                f"{self.file.name} holds tables, strings, numbers and booleans only", f"{_REFUSED[kind]}{self.named(kind)}", start
            )
        raise self.error(f"{self.file.name} is Torch7's binary serialisation", f"a value of type {kind}", start)

    def table(self, depth: int) -> Any:
        """Read a table, or return the one that was read under this number."""
        start, number = self.at, self.whole()
        if number in self.tables:
            if self.tables[number] is _OPEN:
                raise self.error("a table is not within itself", f"table {number}", start)
            return self.tables[number]
        if depth == DEEPEST:
            raise self.error(f"tables are within one another at most {DEEPEST} deep", f"table {number}", start)
        self.tables[number] = _OPEN
        size = self.whole()
        if not 0 <= size <= (len(self.content) - self.at) // 8:  # a key and a value have four bytes each at least
            raise self.error(f"{self.file.name} is whole", f"a table of {size:,} entries", start)
        found: dict[Any, Any] = {}
        for _ in range(size):
            key_at, key = self.at, self.value(depth + 1)
            if not isinstance(key, float | str | bool):
                raise self.error("a table's key is a number, a string or a boolean", type(key).__name__, key_at)
            found[key] = self.value(depth + 1)
        listed = all(isinstance(key, float) for key in found) and set(found) == set(range(1, len(found) + 1))
        self.tables[number] = [found[k] for k in range(1, len(found) + 1)] if listed else found
        return self.tables[number]

    def named(self, kind: int) -> str:
        """Return the class of an object in words, where its name can be read."""
        if kind != _OBJECT:
            return ""
        self.whole()
        version = self.text()
        return f", {(self.text() if version.startswith('V ') else version)[:80]!r}"

    def text(self) -> str:
        """Read a string: its length in bytes, then UTF-8."""
        start, length = self.at, self.whole()
        raw = self.take(length)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"text in {self.file.name} is UTF-8", str(error), start) from error

    def whole(self) -> int:
        """Read a whole number of 32 bits."""
        return int(struct.unpack("<i", self.take(4))[0])

    def take(self, count: int) -> bytes:
        """Read `count` bytes."""
        if not 0 <= count <= len(self.content) - self.at:
            raise self.error(f"{self.file.name} is whole", f"{count:,} bytes wanted of {len(self.content) - self.at:,}", self.at)
        self.at += count
        return self.content[self.at - count : self.at]

    def error(self, rule: str, received: str, at: int) -> SourceError:
        """Return the error for what stands at byte `at`."""
        return SourceError(rule, received=f"{self.file}, byte {at:,}: {received}", remedy="get the published file again")
