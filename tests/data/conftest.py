"""A tiny catalogue, its archive, and a package index on this machine."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kgzsl.data import Catalogue, load_catalogue

CONTENT = {"tiny_data/words.txt": b"dog\ncat\n", "tiny_data/sub/vectors.bin": bytes(range(256))}
ARCHIVE = "kgzsl_tiny_data-1.0-py3-none-any.whl"
_INFO = "kgzsl_tiny_data-1.0.dist-info"


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / ARCHIVE
    with zipfile.ZipFile(path, "w") as wheel:
        for name, raw in CONTENT.items():
            wheel.writestr(name, raw)
        wheel.writestr("../escaped.txt", b"out of the folder")
        wheel.writestr(f"{_INFO}/METADATA", "Metadata-Version: 2.1\nName: kgzsl-tiny-data\nVersion: 1.0\n")
        wheel.writestr(f"{_INFO}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{_INFO}/RECORD", "")
    return path


def catalogue_text(archive: Path, files: str | None = None, archive_format: str = "wheel") -> str:
    raw = archive.read_bytes()
    listed = files or ", ".join(
        f'{{ member = "{m}", name = "{m.removeprefix("tiny_data/")}", bytes = {len(c)}, sha256 = "{sha(c)}" }}' for m, c in CONTENT.items()
    )
    return (
        f'[tiny]\nversion = "1.0"\nuse = "a test"\nlicence = "CC0"\npackage = "kgzsl-tiny-data"\npackage_version = "1.0"\n'
        f'archive = "{archive.name}"\nformat = "{archive_format}"\nsha256 = "{sha(raw)}"\nbytes = {len(raw)}\nfiles = [{listed}]\n'
    )


@pytest.fixture
def make_catalogue(tmp_path: Path) -> Callable[..., Catalogue]:
    def make(archive: Path, files: str | None = None, archive_format: str = "wheel") -> Catalogue:
        path = tmp_path / "sources.toml"
        path.write_text(catalogue_text(archive, files, archive_format), encoding="utf-8")
        return load_catalogue(path)

    return make


@pytest.fixture
def catalogue(archive: Path, make_catalogue: Callable[..., Catalogue]) -> Catalogue:
    return make_catalogue(archive)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KGZSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KGZSL_WORDNET", raising=False)
    return tmp_path / "cache" / "data"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def index(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a simple index with the archive, point pip to it, and yield the served file."""
    folder = tmp_path / "index" / "simple" / "kgzsl-tiny-data"
    folder.mkdir(parents=True)
    served = folder / ARCHIVE
    served.write_bytes(archive.read_bytes())
    (folder / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{ARCHIVE}">{ARCHIVE}</a></body></html>', encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "index")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield served
    server.shutdown()
    server.server_close()
    thread.join()
