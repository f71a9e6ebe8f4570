"""`kgzsl graph` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from kgzsl.cli.graph import app
from kgzsl.errors import InvalidInputError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.testing.graphs import graph_of, write_wordnet

runner = CliRunner()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_wordnet(tmp_path / "dict")
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"format": 1, "name": "tiny", "sources": [{"reader": "wordnet", "path": "dict"}]}), encoding="utf-8")
    return path


def test_build_describe_validate(tmp_path: Path, recipe: Path) -> None:
    out = tmp_path / "tiny.kg"
    built = runner.invoke(app, ["build", str(recipe), "-o", str(out), "--json"])
    assert built.exit_code == 0, built.output
    assert json.loads(built.output)["digest"] == KnowledgeGraph.load(out).digest
    classes = tmp_path / "classes.txt"
    classes.write_text("n00000001\n" + KnowledgeGraph.load(out).ids[0] + "\n", encoding="utf-8")
    described = json.loads(runner.invoke(app, ["describe", str(out), "--classes", str(classes), "--json"]).output)
    assert (described["nodes"], described["classes"]["present"], described["classes"]["missing"]) == (8, 1, ["wn30:n00000001"])
    assert "8 nodes, 5 edges" in runner.invoke(app, ["describe", str(out)]).output
    sound = runner.invoke(app, ["validate", str(out), "--json"])
    assert (sound.exit_code, json.loads(sound.output)["problems"]) == (0, [])


def test_validate_fails_on_a_cycle(tmp_path: Path) -> None:
    graph_of(3, [(0, 1), (1, 0), (2, 1)]).save(tmp_path / "c.kg")
    result = runner.invoke(app, ["validate", str(tmp_path / "c.kg")])
    assert result.exit_code == 1
    assert "2 nodes are their own ancestor: t:000, t:001; a cycle: t:000 → t:001 → t:000" in result.output


def test_errors_reach_the_caller(tmp_path: Path, recipe: Path) -> None:
    runner.invoke(app, ["build", str(recipe), "-o", str(tmp_path / "tiny.kg")])
    again = runner.invoke(app, ["build", str(recipe), "-o", str(tmp_path / "tiny.kg")])
    assert isinstance(again.exception, InvalidInputError)
    assert runner.invoke(app, ["build", str(recipe), "-o", str(tmp_path / "tiny.kg"), "--overwrite"]).exit_code == 0


@pytest.mark.parametrize("verb", ["build", "describe", "validate"])
def test_help_has_an_example(verb: str) -> None:
    assert f"Example: kgzsl graph {verb}" in runner.invoke(app, [verb, "--help"]).output
