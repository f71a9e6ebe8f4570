"""`kgzsl features …` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgzsl.cli.features import app
from kgzsl.datasets import packaged_photos
from kgzsl.errors import InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.matrices import ClassifierWeights, Features

run = CliRunner().invoke


@pytest.fixture
def photo() -> Path:
    from kgzsl.data import locate

    try:
        locate("efficientnet-lite0")
        return packaged_photos()[0].path
    except MissingDataError as error:
        pytest.skip(str(error))


def test_extract_and_weights_belong_together(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.features"
    result = run(app, ["extract", str(photo), "-o", str(out), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["images"] == 1 and report["dim"] == 1280 and report["skipped"] == {}
    result = run(app, ["weights", "-o", str(tmp_path / "lite0.weights")])
    assert result.exit_code == 0 and "1,000 classes" in result.stdout
    features, weights = Features.load(out), ClassifierWeights.load(tmp_path / "lite0.weights")
    assert features.ids == (photo.name,) and features.meta["recipe"] == weights.meta["recipe"] == report["recipe"]


def test_a_broken_file_fails_and_is_skipped_only_on_request(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / photo.name).write_bytes(photo.read_bytes())
    (folder / "broken.jpg").write_bytes(b"")
    out = tmp_path / "x.features"
    result = run(app, ["extract", str(folder), "-o", str(out)])
    assert isinstance(result.exception, InvalidInputError) and "broken.jpg" in str(result.exception) and not out.exists()
    result = run(app, ["extract", str(folder), "-o", str(out), "--on-error", "skip"])
    assert result.exit_code == 0 and "skipped broken.jpg: the file has zero bytes" in result.stderr
    assert len(Features.load(out)) == 1


def test_an_unknown_backbone_lists_the_choices(photo: Path, tmp_path: Path) -> None:
    result = run(app, ["extract", str(photo), "-o", str(tmp_path / "x"), "--backbone", "resnet-9000"])
    assert isinstance(result.exception, UnknownNameError) and "efficientnet-lite0" in str(result.exception)


@pytest.mark.parametrize("verb", ["extract", "weights"])
def test_help_shows_an_example(verb: str) -> None:
    assert "kgzsl features" in run(app, [verb, "--help"]).output
