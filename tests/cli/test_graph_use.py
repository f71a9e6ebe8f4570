"""`kgzsl graph diff|export|query|show` and what describe and validate print, from the outside."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgzsl.cli.graph import app
from kgzsl.errors import ArtifactError, InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.convert import to_networkx
from kgzsl.testing.mixed import mixed

runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    mixed().save(tmp_path / "mixed.kg")
    return str(tmp_path / "mixed.kg")


@pytest.fixture
def other(tmp_path: Path) -> str:
    graph = mixed()
    replace(graph, labels=("other", *graph.labels[1:])).save(tmp_path / "other.kg")
    return str(tmp_path / "other.kg")


def test_diff(folder: str, other: str) -> None:
    same = runner.invoke(app, ["diff", folder, folder])
    assert (same.exit_code, "equal: the same nodes" in same.output) == (0, True)
    told = runner.invoke(app, ["diff", folder, other])
    assert told.exit_code == 1
    assert "nodes: 0 added, 0 removed, 1 changed, 8 the same" in told.output and "~ ex:a b  label: space in the id → other" in told.output
    as_json = runner.invoke(app, ["diff", folder, other, "--json", "-n", "0"])
    record = json.loads(as_json.stdout)
    assert (as_json.exit_code, record["nodes"]["changed"], record["nodes"]["examples"]["changed"]) == (1, 1, [])


def test_diff_ends_with_two_on_an_error(folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    failed = runner.invoke(app, ["diff", folder, str(tmp_path / "empty")])
    assert isinstance(failed.exception, ArtifactError) and failed.exception.exit_status == 2
    done = subprocess.run([sys.executable, "-m", "kgzsl", "graph", "diff", folder, str(tmp_path / "empty")], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: a graph artifact is a folder")


@pytest.mark.parametrize(
    ("out", "format"), [("g.ttl", None), ("g.graphml", None), ("tables", "tsv"), ("tensors", "pyg"), ("g.txt", "ntriples")]
)
def test_export(folder: str, tmp_path: Path, out: str, format: str | None) -> None:
    given = ["export", folder, "-o", str(tmp_path / out), *(["-f", format] if format else [])]
    done = runner.invoke(app, [*given, "--json"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / out).exists() and json.loads(done.stdout)["path"] == str(tmp_path / out)
    assert isinstance(runner.invoke(app, given).exception, InvalidInputError)
    assert f"{tmp_path / out}: " in runner.invoke(app, [*given, "--overwrite"]).output.replace("\n", "")


def test_export_says_what_is_left_out(folder: str, tmp_path: Path) -> None:
    said = runner.invoke(app, ["export", folder, "-o", str(tmp_path / "g.nt")]).output
    assert "the weights of 3 edges" in said
    assert isinstance(runner.invoke(app, ["export", folder, "-o", str(tmp_path / "g")]).exception, UnknownNameError)


def test_query_prints_tables_json_and_csv(folder: str, tmp_path: Path) -> None:
    text = "SELECT ?s ?label { ?s kgzsl:hypernym ex:mammal ; rdfs:label ?label } ORDER BY ?s"
    table = runner.invoke(app, ["query", folder, text])
    assert table.exit_code == 0 and "lion, king of beasts" in table.stdout and "3 rows" in table.stderr
    as_json = json.loads(runner.invoke(app, ["query", folder, text, "--json"]).stdout)
    assert as_json["rows"][0] == {"s": "ex:cat", "label": "cat, domestic cat"} and not as_json["truncated"]
    lines = list(csv.reader(io.StringIO(runner.invoke(app, ["query", folder, text, "--csv"]).stdout)))
    assert lines[:2] == [["s", "label"], ["ex:cat", "cat, domestic cat"]]
    (tmp_path / "q.rq").write_text(text, encoding="utf-8")
    assert json.loads(runner.invoke(app, ["query", folder, "--file", str(tmp_path / "q.rq"), "--json"]).stdout) == as_json
    assert json.loads(runner.invoke(app, ["query", folder, "--file", "-", "--json"], input=text).stdout) == as_json


def test_query_asks_and_limits(folder: str) -> None:
    assert runner.invoke(app, ["query", folder, "ASK { ex:cat kgzsl:hypernym ex:mammal }"]).stdout == "yes\n"
    assert json.loads(runner.invoke(app, ["query", folder, "ASK { ex:mammal kgzsl:hypernym ex:cat }", "--json"]).stdout)["rows"] is False
    few = runner.invoke(app, ["query", folder, "SELECT * { ?s ?p ?o }", "--limit", "2", "--csv"])
    assert len(few.stdout.splitlines()) == 3 and "more than 2 rows" in few.stderr
    everything = runner.invoke(app, ["query", folder, "SELECT * { ?s ?p ?o }", "--limit", "0", "--csv"])
    assert len(everything.stdout.splitlines()) > 50 and not everything.stderr


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["SELECT * { ?s ?p }"],
        ["ASK {}", "--file", "q.rq"],
        ["--file", "absent.rq"],
        ["ASK {}", "--json", "--csv"],
        ["DROP ALL"],
        ["ASK { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }"],
    ],
)
def test_query_refuses(folder: str, given: list[str]) -> None:
    assert isinstance(runner.invoke(app, ["query", folder, *given]).exception, InvalidInputError)


def test_show(folder: str, tmp_path: Path) -> None:
    done = runner.invoke(app, ["show", "king of beasts", "--graph", folder, "-o", str(tmp_path / "lion.svg")])
    assert done.exit_code == 0, done.output
    assert "lion (ex:lion), " in done.output
    assert (tmp_path / "lion.svg").read_text(encoding="utf-8").startswith("<svg ")
    as_json = json.loads(
        runner.invoke(app, ["show", "ex:lion", "-g", folder, "-o", str(tmp_path / "lion.html"), "--hops", "1", "--json"]).stdout
    )
    assert ["ex:lion", "hypernym", "ex:mammal"] in as_json["edges"]
    page = (tmp_path / "lion.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and f"The {len(as_json['edges'])} edges" in page


def test_show_refuses_and_leaves_nothing(folder: str, tmp_path: Path) -> None:
    before = sorted(p.name for p in tmp_path.iterdir())
    for given, error in (
        (["zebra", "-o", str(tmp_path / "z.svg")], UnknownNameError),
        (["ex:lion", "-o", str(tmp_path / "z.gif")], InvalidInputError),
        (["ex:lion", "-o", str(tmp_path / "z.svg"), "--hops", "9"], InvalidInputError),
    ):
        assert isinstance(runner.invoke(app, ["show", "-g", folder, *given]).exception, error)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_describe_and_validate(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = runner.invoke(app, ["describe", folder]).output
    assert "relation   hypernym: 4 (animals 2, words 2)" in said
    assert json.loads(runner.invoke(app, ["describe", folder, "--json"]).stdout)["kinds_per_source"]["individual"] == {"animals": 1}
    checked = json.loads(runner.invoke(app, ["validate", folder, "--json"]).stdout)
    assert (checked["problems"], checked["notes"]) == ([], [])


def test_describe_prints_tables_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from kgzsl.cli.graph_use import print_description
    from kgzsl.graphs.describe import describe_graph

    print_description(describe_graph(mixed(), ["ex:lion", "ex:zebra"]))
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert ["hypernym", "4", "2", "2"] in rows and ["ex:eats", "2", "0", "2"] in rows
    assert any(r[:1] == ["missing"] for r in rows)


@pytest.mark.parametrize("verb", ["diff", "export", "query", "show"])
def test_help_has_examples(verb: str) -> None:
    said = runner.invoke(app, [verb, "--help"]).output
    assert "Examples" in said and f"kgzsl graph {verb} " in said


def test_conversions_count_what_the_graph_counts(folder: str) -> None:
    graph = KnowledgeGraph.load(folder)
    converted = to_networkx(graph)
    assert (len(converted), converted.number_of_edges()) == (len(graph), len(graph.subject))
    assert converted.edges["ex:lion", "ex:tail", "has_attribute"]["origin"] == "words"


def test_depth_along_another_relation(folder: str) -> None:
    said = json.loads(runner.invoke(app, ["describe", folder, "--along", "ex:eats", "--json"]).stdout)
    assert said["depth"] == {"relation": "ex:eats", "max": 1, "mean": pytest.approx(1 / 3), "roots": 8, "in_or_below_cycles": 0}
    assert isinstance(runner.invoke(app, ["describe", folder, "--along", "part"]).exception, UnknownNameError)
