"""`kgzsl generate`, `eval features` with generators, and the functions behind them, as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from small_cub import QUICK, small_cub
from typer.testing import CliRunner

import kgzsl
import kgzsl.generators.base as base
from kgzsl.cli.main import app
from kgzsl.errors import IncompatibleError, InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.experiments.results import read_result
from kgzsl.generators import GENERATORS
from kgzsl.matrices import Features

pytestmark = pytest.mark.data

SETTINGS = {**QUICK, "epochs": 2}
SET = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={json.dumps(value)}")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feature set of one's own, with which the same rows can be had as artifacts."""
    data, root = small_cub(), tmp_path_factory.mktemp("sets") / "small"
    root.mkdir()
    data.features.save(root / "features")
    data.embeddings.save(root / "embeddings")
    (root / "split.json").write_text(json.dumps({"name": "small", "seen": data.split.seen, "unseen": data.split.unseen}))
    data.train.save(root / "seen.features")
    return root


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def rows(result: Result, path: Path) -> Features:
    assert result.exit_code == 0, (result.output, result.exception)
    return Features.load(path)


def test_synthetic_features_of_a_set_are_an_artifact(folder: Path, tmp_path: Path) -> None:
    data = small_cub()
    done = run("generate", folder, *SET, "--per-class", 5, "-o", tmp_path / "a", "--json")
    found = rows(done, tmp_path / "a")
    assert found.matrix.shape == (5 * len(data.split.unseen), data.features.dim)
    assert found.labels == tuple(c for c in data.split.unseen for _ in range(5))
    assert found.meta["generator"] == "fclswgan" and found.meta["settings"]["hidden"] == QUICK["hidden"] and found.meta["synthetic"]
    assert found.meta["recipe"] == data.features.meta["recipe"]  # they live in the space of the features learned from
    assert json.loads(done.stdout)["rows"] == len(found)
    assert ("scaled back" in json.loads(done.stdout).get("notice", "")) == (SETTINGS.get("feature_scaling", "minmax") == "minmax")
    # real rows of a class are nearer to its synthetic ones than to those of all classes together
    centre = found.matrix.mean(axis=0)
    assert np.linalg.norm(centre - data.train.matrix.mean(axis=0)) < np.linalg.norm(centre)


def test_the_verb_is_the_function_and_blocks_change_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_cub()
    whole = rows(run("generate", folder, *SET, "--per-class", 4, "-o", tmp_path / "a"), tmp_path / "a")
    generator = kgzsl.fit_generator(data.train, embeddings=data.embeddings, settings=SETTINGS)
    monkeypatch.setattr(base, "BLOCK_VALUES", 1)  # one class at a time
    path = kgzsl.generate(generator, classes=data.split.unseen, per_class=4, out=tmp_path / "b", recipe=data.features.meta["recipe"])
    parts = Features.load(path)
    assert parts.ids == whole.ids and parts.labels == whole.labels and parts.meta == whole.meta
    np.testing.assert_allclose(parts.matrix, whole.matrix, rtol=1e-5, atol=1e-4)


def test_features_embeddings_and_a_class_list_of_ones_own(folder: Path, tmp_path: Path) -> None:
    wanted = small_cub().split.unseen[1:3]
    (tmp_path / "classes.txt").write_text("".join(f"{c}\n" for c in wanted))
    named = ["generate", folder / "seen.features", *SET, "--per-class", 3, "--classes", tmp_path / "classes.txt"]
    found = rows(run(*named, "--embeddings", folder / "embeddings", "-o", tmp_path / "a"), tmp_path / "a")
    assert tuple(dict.fromkeys(found.labels)) == wanted
    other = rows(run(*named, "--embeddings", folder / "embeddings", "--seed", 1, "-o", tmp_path / "b"), tmp_path / "b")
    assert not np.allclose(found.matrix, other.matrix)


def test_training_goes_on_from_its_checkpoint(folder: Path, tmp_path: Path) -> None:
    named = ["generate", folder, "--per-class", 3, "--checkpoint", tmp_path / "state"]
    one, two = (rows(run(*named, *SET, "-o", tmp_path / name), tmp_path / name) for name in ("one", "two"))
    np.testing.assert_array_equal(one.matrix, two.matrix)
    assert (tmp_path / "state" / "manifest.json").is_file()
    refused = run(*named, *SET, "--set", "hidden=32", "-o", tmp_path / "three")
    assert isinstance(refused.exception, IncompatibleError) and not (tmp_path / "three").exists()


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        (["--generator", "gan"], UnknownNameError, "fclswgan"),
        (["--set", "hiden=3"], InvalidInputError, "hiden"),
        (["--set", "epochs"], InvalidInputError, "KEY=VALUE"),
        (["--classes", "strange.txt"], UnknownNameError, "phoenix"),
        (["--classes", "twice.txt"], InvalidInputError, "wn30:n02084071"),
        (["--classes", "none.txt"], InvalidInputError, "none.txt"),
        (["--checkpoint", "file.txt"], InvalidInputError, "file.txt"),
    ],
)
def test_what_is_refused_before_the_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: list[str], error: type[Exception], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange.txt").write_text("cub:phoenix\n")
    (tmp_path / "twice.txt").write_text("n02084071\nwn30:n02084071\n")
    (tmp_path / "file.txt").write_text("no folder")
    refused = run("generate", folder, *SET, "-o", "out", *changes)
    assert isinstance(refused.exception, error) and named in str(refused.exception)
    assert not (tmp_path / "out").exists()


def test_other_input_that_does_not_fit(folder: Path, tmp_path: Path) -> None:
    small = small_cub()
    small.features.save(tmp_path / "all.features")
    narrow = small.embeddings.select(small.split.unseen)
    narrow.save(tmp_path / "unseen.embeddings")
    Features(small.train.ids, small.train.matrix).save(tmp_path / "bare.features")
    own = ["--embeddings", folder / "embeddings"]
    for source, options, error in [
        (folder / "seen.features", [], InvalidInputError),  # no embeddings
        (folder / "seen.features", ["--embeddings", tmp_path / "unseen.embeddings"], UnknownNameError),
        (tmp_path / "all.features", own, InvalidInputError),  # every class has real rows: none is left to draw
        (tmp_path / "bare.features", own, InvalidInputError),
        (folder / "seen.features", [*own, "--data", "split=proposed"], InvalidInputError),
        ("nowhere", [], UnknownNameError),
        ("xlsa17-sun", [], MissingDataError),
    ]:
        refused = run("generate", source, *SET, *options, "-o", tmp_path / "out")
        assert isinstance(refused.exception, error), refused.exception
        assert not (tmp_path / "out").exists()
    narrow.save(tmp_path / "taken")
    assert isinstance(run("generate", folder, *SET, "-o", tmp_path / "taken").exception, InvalidInputError)


def test_an_interruption_leaves_nothing_half_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_cub()
    generator = kgzsl.fit_generator(data.train, embeddings=data.embeddings, settings=SETTINGS)
    path = kgzsl.generate(generator, classes=data.split.unseen, per_class=2, out=tmp_path / "a")
    before = Features.load(path)
    monkeypatch.setattr(base, "BLOCK_VALUES", 1)
    draw, drawn = type(generator).draw, []

    def interrupted(self: Any, *arguments: Any) -> Any:
        drawn.append(1)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return draw(self, *arguments)

    monkeypatch.setattr(type(generator), "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kgzsl.generate(generator, classes=data.split.unseen, per_class=3, out=path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    np.testing.assert_array_equal(Features.load(path).matrix, before.matrix)


def test_blocks_that_are_not_what_was_said(tmp_path: Path) -> None:
    part = small_cub().train
    for blocks, count in [([part], len(part) + 1), ([], 0), ([part, Features(("x",), part.matrix[:1, 1:], {}, ("y",))], len(part) + 1)]:
        with pytest.raises(InvalidInputError):
            Features.save_blocks(blocks, tmp_path / "f", rows=count, meta={})
    assert list(tmp_path.iterdir()) == []
    Features.save_blocks([part], tmp_path / "f", rows=len(part), meta=part.meta)
    part.save(tmp_path / "g")
    one, two = (Features.load(tmp_path / name) for name in "fg")
    np.testing.assert_array_equal(one.matrix, two.matrix)
    assert (one.ids, one.labels, one.meta) == (two.ids, two.labels, two.meta)


def test_generators_and_classifiers_stand_in_one_table(folder: Path, tmp_path: Path) -> None:
    out = ["--seeds", 1, "-o", tmp_path]
    drawn = run("eval", "features", folder, "fclswgan", *SET, "--head", "prototype", "--per-class", 10, *out)
    assert drawn.exit_code == 0, drawn.exception
    assert run("eval", "features", folder, "eszsl", "oracle", "seen_only", *out).exit_code == 0
    result = read_result(tmp_path / "local_fclswgan_folder.json")
    assert result["cell"]["generator"] == {"name": "fclswgan", "settings": SETTINGS, "head": "prototype", "per_class": 10}
    assert "no row of an unseen class" in result["selected_on"]
    shown = run("experiment", "leaderboard", tmp_path).stdout
    table = [line for line in shown.split("\n") if line.startswith("| ")]
    assert len({line.count("|") for line in table}) == 1  # one table
    assert {line.split("|")[1].strip() for line in table[2:]} == {"fclswgan (prototype head)", "`eszsl`", "`oracle`", "`seen_only`"}
    report = run("report", tmp_path, "-o", tmp_path / "report.html")
    assert report.exit_code == 0, report.exception
    assert "10 synthetic rows of each unseen class" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_eval_refuses(folder: Path, tmp_path: Path) -> None:
    for arguments, error, named in [
        (["svm"], UnknownNameError, "fclswgan"),
        (["eszsl", "--head", "nearest"], InvalidInputError, "generators"),
        (["fclswgan", "--head", "svm"], UnknownNameError, "softmax"),
        (["fclswgan", "eszsl", "--set", "epochs=2"], InvalidInputError, "one method"),
        (["fclswgan", "--set", "gamma=2"], InvalidInputError, "gamma"),
    ]:
        refused = run("eval", "features", folder, *arguments, "-o", tmp_path / "runs")
        assert isinstance(refused.exception, error) and named in str(refused.exception)
    assert not (tmp_path / "runs").exists()


def test_lists_name_generators_and_heads() -> None:
    shown = json.loads(run("list", "generators", "--json").stdout)
    assert [e["name"] for e in shown] == [e.name for e in GENERATORS] and all(e["summary"] and e["source"] for e in shown)
    assert {e["name"] for e in json.loads(run("list", "heads", "--json").stdout)} == {"cascade", "nearest", "prototype", "softmax"}
