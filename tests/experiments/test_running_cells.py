"""Running cells, on the carnivores where there is no benchmark data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import kgzsl.experiments.runner as runner
from kgzsl.cli.main import app, main
from kgzsl.datasets import make_folds
from kgzsl.errors import ArtifactError, InvalidInputError, UnknownNameError
from kgzsl.experiments.cell import load_cell
from kgzsl.experiments.results import check, read_result


@pytest.fixture
def small(world, tmp_path, monkeypatch) -> Path:
    """A weight-retrieval cell, and a runner whose world is the carnivores."""

    class Small(runner.Workspace):
        def graph(self, recipe: str = "") -> Any:
            return world.graph

        def vectors(self, graph: Any, encoder: str = "", descriptions: Any = None) -> Any:
            return world.vectors

        def weights(self, backbone: Any) -> Any:
            return world.weights

    monkeypatch.setattr(runner, "Workspace", Small)
    monkeypatch.setattr(runner, "_folds", lambda: make_folds(world.weights.ids, name="carnivores"))
    content = dict(load_cell("kgzsl2026_nearest-text_imagenet-weights").content) | {"name": "kgzsl2026_nearest-text_carnivores"}
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["experiment", *map(str, arguments)])


def test_a_run_is_a_result_and_repeats(small, world):
    first, second = (runner.run_cell(load_cell(str(small))) for _ in range(2))
    check(first, "here")
    assert len(first["runs"]) == 5 and first["digests"]["graph"] == world.graph.digest
    assert len({r["split_digest"] for r in first["runs"]}) == 5
    assert 0 < first["summary"]["hidden"]["hit@5"]["mean"] < 1
    assert [r["protocols"] for r in first["runs"]] == [r["protocols"] for r in second["runs"]]
    assert "no row of an unseen class" in first["selected_on"]


def test_results_are_kept_unless_again(small, tmp_path):
    out = tmp_path / "runs"
    assert run("run", small, "-o", out).exit_code == 0
    path = out / "kgzsl2026_nearest-text_carnivores.json"
    before = path.read_bytes()
    kept = run("run", small, "-o", out, "--json")
    assert "skipped (--again runs it)" in kept.stderr and path.read_bytes() == before
    assert json.loads(kept.stdout)["kgzsl2026_nearest-text_carnivores"] == read_result(path)["summary"]
    written = path.stat().st_mtime_ns  # not the bytes: even the seconds may be the same
    assert run("run", small, "-o", out, "--again").exit_code == 0 and path.stat().st_mtime_ns > written
    shown = run("leaderboard", out).stdout
    assert "weight-retrieval (per cent; distances in edges)" in shown and "`nearest_text`" in shown and "±" in shown
    assert json.loads(run("leaderboard", out, "--json").stdout)["weight-retrieval"][0]["runs"] == 5
    document = tmp_path / "doc.md"
    document.write_text("<!-- table: weight-retrieval -->\n<!-- end -->\n")
    assert run("leaderboard", out, "--update", document).exit_code == 0 and "`nearest_text`" in document.read_text()
    document.write_text("no markers\n")
    assert isinstance(run("leaderboard", out, "--update", document).exception, InvalidInputError)
    path.write_text(path.read_text()[:100])
    assert isinstance(run("run", small, "-o", out).exception, ArtifactError)  # a damaged result is not passed over in silence


def test_an_interruption_leaves_the_old_result_and_nothing_half_written(small, tmp_path, monkeypatch, capsys):
    out = tmp_path / "runs"
    run("run", small, "-o", out)
    (path,) = out.iterdir()
    before, original = path.read_bytes(), Path.write_text

    def interrupt(self: Path, *arguments: Any, **options: Any) -> int:
        original(self, "{", **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupt)
    monkeypatch.setattr(sys, "argv", ["kgzsl", "experiment", "run", str(small), "-o", str(out), "--again"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 130 and "nothing half-written" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == [path.name] and path.read_bytes() == before


def test_all_cells_are_checked_before_the_first_runs(small, tmp_path):
    content = yaml.safe_load(small.read_text())
    for change, kind in [
        ({"method": {"name": "nearest_txt"}}, UnknownNameError),
        ({"method": {"name": "nearest_text", "settings": {"k": 3}}}, InvalidInputError),
        ({"method": {"name": "oracle", "settings": {"k": 3}}}, InvalidInputError),
    ]:
        (tmp_path / "bad.yaml").write_text(yaml.safe_dump(content | change))
        assert isinstance(run("run", small, tmp_path / "bad.yaml", "-o", tmp_path / "runs").exception, kind)
    assert isinstance(run("run", small, "nobody*", "-o", tmp_path / "runs").exception, UnknownNameError)
    assert isinstance(run("run", small, "-o", small).exception, InvalidInputError)
    assert not (tmp_path / "runs").exists()


def test_a_method_without_weights_cannot_be_retrieved(small, tmp_path):
    small.write_text(yaml.safe_dump(yaml.safe_load(small.read_text()) | {"method": {"name": "conse"}}))
    assert isinstance(run("run", small, "-o", tmp_path / "runs").exception, InvalidInputError)
    assert not (tmp_path / "runs").exists()


def test_list_shows_the_shipped_cells():
    cells = json.loads(run("list", "--json").stdout)
    shown = run("list").stdout
    assert len(cells) > 10 and all(c["name"] in shown for c in cells)


@pytest.mark.data
def test_a_shipped_cell_runs_on_the_sample_images(tmp_path):
    done = run("run", "norouzi2014_conse_imagenet-folds", "-o", tmp_path, "--json")
    assert done.exit_code == 0, done.exception
    summary = json.loads(done.stdout)["norouzi2014_conse_imagenet-folds"]
    assert 0.25 < summary["unseen-only"]["hit@1"]["mean"] < 0.40 and summary["gzsl"]["H"]["runs"] == 5
    assert read_result(tmp_path / "norouzi2014_conse_imagenet-folds.json")["dataset"]["name"] == "imagenet-samples"
