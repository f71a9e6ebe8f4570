"""Artifacts on disk: a folder, a manifest, digests, atomic writes. Data, never code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from kgzsl.errors import ArtifactError, DigestMismatchError, InvalidInputError

MANIFEST = "manifest.json"
#: Raised when the layout of any artifact changes; older ones stay readable.
FORMAT_VERSION = 1


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: object) -> str:
    """Return `value` as JSON with sorted keys and no spaces, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """Return the hex SHA-256 of a JSON value (see `canonical_json`)."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def check_target(target: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Raise InvalidInputError when an artifact may not be written at `target`; ask before long work, not after it."""
    path = Path(target)
    if path.exists() and not overwrite:
        raise InvalidInputError(
            "an artifact is never overwritten unasked", received=str(path), remedy="choose another path or pass --overwrite"
        )
    if path.exists() and not (path / MANIFEST).is_file():
        raise InvalidInputError(
            "only an artifact (a folder with a manifest.json) may be overwritten",
            received=str(path),
            remedy="choose another path",
        )


@contextmanager
def atomic_directory(target: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary sibling folder that becomes `target` only when the block ends well.

    On any exception the sibling is removed and `target` is as it was.

    Raises
    ------
    InvalidInputError : `target` exists and `overwrite` is false, or its parent cannot be written.
    ArtifactError : writing failed, for example on a full disk, or another process put `target` there meanwhile.
    """
    check_target(target, overwrite=overwrite)
    path = Path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    except OSError as error:
        raise InvalidInputError("the target's folder must be writable", received=f"{path.parent}: {error}") from error
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp makes it private
        if overwrite and path.exists():
            retired = temporary.with_suffix(".retired")
            path.rename(retired)
            try:
                temporary.rename(path)
            except OSError:
                retired.rename(path)
                raise
            shutil.rmtree(retired, ignore_errors=True)
        else:
            temporary.rename(path)
    except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
        shutil.rmtree(temporary, ignore_errors=True)
        if path.exists() and not overwrite:
            raise ArtifactError(
                "an artifact is never overwritten unasked",
                received=f"{path}, which another process wrote meanwhile",
                remedy="use the one that is there, choose another path or pass --overwrite",
            ) from error
        raise ArtifactError(
            "an artifact is written whole or not at all",
            received=f"writing {path} failed: {error}",
            remedy="free disk space or choose another path; nothing was changed",
        ) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextmanager
def atomic_file(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary sibling file path that replaces `target` only when the block ends well."""
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_manifest(folder: Path, kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write `manifest.json` for the files already in `folder` and return it.

    The manifest's `digest` covers the kind, the content and every file's SHA-256.
    """
    files = {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    body = {"kind": kind, "format_version": FORMAT_VERSION, **content, "files": files}
    manifest = {**body, "digest": digest(body)}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: str | os.PathLike[str], kind: str, *, verify: bool = True) -> dict[str, Any]:
    """Read and check an artifact's manifest.

    Parameters
    ----------
    kind : the kind that is expected, for example `graph`.
    verify : also compare every file's SHA-256 with the manifest.

    Raises
    ------
    ArtifactError : not an artifact, of another kind or a newer format, or a listed file is missing.
    DigestMismatchError : the manifest or a file was changed.
    """
    path = Path(folder)
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
            raise ValueError("the manifest is not an object with `files`")
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"a {kind} artifact is a folder with a manifest.json", received=f"{path}: {error}", remedy="check the path, or build it again"
        ) from error
    if manifest.get("kind") != kind:
        raise ArtifactError(f"a {kind} artifact was expected", received=f"{path} is of kind {manifest.get('kind')!r}")
    if not isinstance(manifest.get("format_version"), int) or manifest["format_version"] > FORMAT_VERSION:
        raise ArtifactError(
            f"this version reads artifact formats up to {FORMAT_VERSION}",
            received=f"{path} has format {manifest.get('format_version')!r}",
            remedy="upgrade kgzsl",
        )
    body = {key: value for key, value in manifest.items() if key != "digest"}
    if digest(body) != manifest.get("digest"):
        raise DigestMismatchError("the manifest's digest must match its content", received=str(path / MANIFEST), remedy="build it again")
    for name, expected in manifest["files"].items():
        file = _inside(path, name)
        if not file.is_file():
            raise ArtifactError("every file in the manifest must be there", received=f"{file} is missing", remedy="build it again")
        if verify and sha256_file(file) != expected:
            raise DigestMismatchError("a file's SHA-256 must match the manifest", received=str(file), remedy="build it again")
    return manifest


def _inside(folder: Path, name: str) -> Path:
    """Return `folder / name`, refusing names that lead out of the folder."""
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise ArtifactError("a manifest names only files inside its folder", received=name)
    return file
