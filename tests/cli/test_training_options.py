"""`kgzsl fit --dry-run` and `--checkpoint`, as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kgzsl.bundle import Bundle
from kgzsl.cli.main import app
from kgzsl.errors import IncompatibleError, InvalidInputError


@pytest.fixture(scope="module")
def given(world, halves, tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("shelf")
    world.graph.save(folder / "carnivores.kg")
    world.weights.save(folder / "lite0.weights")
    (folder / "hidden.txt").write_text("".join(f"{i}\n" for i in halves[1]))
    named = ["fit", "--graph", folder / "carnivores.kg", "--weights", folder / "lite0.weights", "--hide", folder / "hidden.txt"]
    return [str(a) for a in (*named, "--classes", folder / "hidden.txt", "--encoder", "sgcn", "--set", "hidden=[16]", "--set", "epochs=12")]


def test_dry_run_tells_and_writes_nothing(given: list[str], tmp_path: Path) -> None:
    out = tmp_path / "b"
    told = CliRunner().invoke(app, [*given, "--dry-run", "--json", "-o", str(out)])
    assert told.exit_code == 0, told.output
    parts = json.loads(told.stdout)
    assert parts["total"] == sum(v for k, v in parts.items() if k != "total") and parts["activations"] > 0
    wider = json.loads(CliRunner().invoke(app, [*given, "--set", "hidden=[64]", "--dry-run", "--json", "-o", str(out)]).stdout)
    assert wider["parameters"] > 3 * parts["parameters"]
    assert "activations" in CliRunner().invoke(app, [*given, "--dry-run", "-o", str(out)]).stdout
    assert not out.exists()


def test_checkpoint_goes_on_and_refuses_another_training(given: list[str], tmp_path: Path) -> None:
    kept = ["--checkpoint", str(tmp_path / "state")]
    for name in ("one", "two"):
        assert CliRunner().invoke(app, [*given, *kept, "-o", str(tmp_path / name)]).exit_code == 0
    one, two = (Bundle.load(tmp_path / name).weights.matrix for name in ("one", "two"))
    np.testing.assert_array_equal(one, two)
    refused = CliRunner().invoke(app, [*given, "--set", "seed=3", *kept, "-o", str(tmp_path / "three")])
    assert isinstance(refused.exception, IncompatibleError) and not (tmp_path / "three").exists()


@pytest.mark.parametrize("option", [["--dry-run"], ["--checkpoint", "state"]])
def test_encoders_that_do_not_train_are_refused(option: list[str], given: list[str], tmp_path: Path) -> None:
    other = ["nearest_text" if a == "sgcn" else a for a in given[: given.index("--set")]]
    refused = CliRunner().invoke(app, [*other, *option, "-o", str(tmp_path / "b")])
    assert isinstance(refused.exception, InvalidInputError) and "nearest_text" in str(refused.exception)
    assert not (tmp_path / "b").exists()
