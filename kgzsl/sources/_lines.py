"""What the readers of line-based text files share: what is refused before a file is read, and the line that broke a reading.

The fast readers (Arrow, DuckDB, Spark) say that a file is wrong, seldom where. So on an error, and only then, the file is
read once more, slowly, for the first line that breaks a rule.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from kgzsl.errors import MissingDataError, SourceError

_MAGIC = b"\x1f\x8b"
_PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<rdf", b"<owl")


def is_gzip(path: Path) -> bool:
    """Return whether the file begins as a gzip file does."""
    with _open(path) as stream:
        return stream.read(2) == _MAGIC


def check_head(path: Path, what: str, remedy: str) -> None:
    """Refuse what cannot be a text table before it is read.

    Raises
    ------
    MissingDataError : no such file.
    SourceError : an empty file, a web page, binary data, or a name that does not say whether it is gzipped.
    """
    packed = is_gzip(path)
    if packed != (path.suffix == ".gz"):
        raise SourceError(
            f"{what} is gzipped if, and only if, its name ends with .gz",
            received=f"{path} is {'' if packed else 'not '}gzipped",
            remedy="rename it",
        )
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            head = stream.read(4096)
    except (EOFError, OSError, zlib.error) as error:
        raise SourceError(f"{what} is a complete gzip file", received=f"{path}: {error}", remedy=remedy) from error
    if not head.strip():
        raise SourceError(f"{what} holds at least one line", received=f"{path} is empty", remedy=remedy)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGE):
        raise SourceError(f"{what} is plain text", received=f"{path}, line 1: {head.splitlines()[0][:60]!r}, markup", remedy=remedy)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        raise SourceError(f"{what} is UTF-8 text", received=f"{path}, line 1: {head[:24]!r}", remedy=remedy)


def numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield line numbers, from 1, and lines without their ends; one line is in memory at a time.

    Raises
    ------
    SourceError : a gzip file that is cut or damaged; the last line that could be read is named.
    """
    number = 0
    with gzip.open(path) if is_gzip(path) else _open(path) as stream:
        try:
            for line in stream:
                number += 1
                yield number, line.rstrip(b"\r\n")
        except (EOFError, OSError, zlib.error) as error:
            raise cut(path, number + 1, error) from error


def cut(path: Path, line: int | None, error: Exception) -> SourceError:
    """Return the error of a gzip file that ends too early."""
    where = f"{path}, line {line:,}" if line else str(path)
    return SourceError(f"{where}: a gzip file is complete", received=str(error), remedy="get the file again: the copy is cut or damaged")


def check_body(path: Path, utf8: bool) -> None:
    """Read a file to its end for what an engine may pass over: the checksum of a gzip file and, on request, the encoding.

    Raises
    ------
    SourceError : a gzip file that is cut or damaged, or bytes that are not UTF-8; the line is named.
    """
    packed = is_gzip(path)
    if not (packed or utf8):
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with gzip.open(path) if packed else _open(path) as stream:
            while block := stream.read(1 << 20):
                if utf8:
                    decoder.decode(block)
        decoder.decode(b"", final=utf8)
    except UnicodeDecodeError:
        first_bad(path, lambda _: None, "save the file as UTF-8")
        raise
    except (EOFError, OSError, zlib.error):
        for _ in numbered(path):  # names the line
            pass
        raise


def first_bad(path: Path, check: Callable[[str], str | None], remedy: str, skip: int = 0) -> None:
    """Raise SourceError for the first line that is not UTF-8 or that `check` says what is wrong with; return if there is none.

    Parameters
    ----------
    check : what is wrong with a line, as the rest of the sentence "the line …", or None.
    skip : so many lines at the start are not checked.
    """
    for number, raw in numbered(path):
        if number <= skip or not raw.strip():
            continue
        try:
            problem = check(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            problem = f"is UTF-8 text ({error.reason} at its byte {error.start + 1})"
        if problem:
            raise SourceError(f"{path}, line {number:,}: the line {problem}", received=repr(raw[:120])[1:], remedy=remedy)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise MissingDataError(
            "a source's file is on this machine", received=f"{path}: {error.strerror}", remedy="correct the path"
        ) from error
