"""Reports: self-contained, escaped, whole; of real results."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kgzsl.cli.main import app
from kgzsl.errors import InvalidInputError, MissingDataError
from kgzsl.experiments.leaderboard import collect, rows_of, tables
from kgzsl.experiments.report import BROWSERS, as_html, as_markdown, write_report

RESULTS = Path(str(files("kgzsl.experiments") / "results"))


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    return [r for r in collect([RESULTS]) if r["cell"]["name"] in ("romera2015_eszsl_cub", "norouzi2014_conse_imagenet-folds")]


@pytest.fixture(scope="module")
def page(results: list[dict[str, Any]]) -> str:
    return as_html(results, "A title")


def test_the_page_loads_nothing(page: str) -> None:
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", page) and "<script" not in page and "url(" not in page and "@import" not in page


def test_every_tag_is_closed(page: str) -> None:
    class Check(HTMLParser):
        stack: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br", "img", "circle", "path", "polyline"):
                self.stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("circle", "path", "polyline"):
                assert self.stack.pop() == tag

    check = Check()
    check.feed(page.replace("/>", ">"))
    assert check.stack == []


def test_tables_curves_classes_and_neighbours_are_on_it(page: str, results: list[dict[str, Any]]) -> None:
    for name in tables(results):
        for row in rows_of(results, name):
            assert f"{row.values[0][0]:.1f}" in page if row.values[0] else True
    for result in results:
        assert result["cell"]["name"] in page and result["selected_on"] in page
        labels = [label for _, label in result["evidence"]["classes"]]
        worst = min(result["evidence"]["protocols"]["gzsl"]["per_class"], key=lambda c: (c[1], c[3] / c[2], labels[c[0]]))
        assert labels[worst[0]] in page
    assert page.count("<polyline") == len(results) and "Where the worst classes stand" in page


def test_text_of_results_is_escaped(results: list[dict[str, Any]]) -> None:
    bad = json.loads(json.dumps(results[0]).replace(results[0]["evidence"]["classes"][0][1], "<script>alert(1)</script>"))
    bad["cell"]["source"] = "<img src=x onerror=alert(1)>"
    made = as_html([bad], "</title><script>")
    assert "<script" not in made and "<img src=x" not in made and "&lt;script&gt;" in made


def test_results_without_evidence_have_a_page_too(results: list[dict[str, Any]]) -> None:
    bare = {k: v for k, v in results[0].items() if k != "evidence"}
    assert "<polyline" not in as_html([bare], "t")


def test_markdown_has_the_tables_and_all_metrics(results: list[dict[str, Any]]) -> None:
    text = as_markdown(results, "A title")
    for result in results:
        for protocol, metrics in result["summary"].items():
            assert all(f"| {protocol} | {metric} |" in text for metric in metrics)


def test_the_command_writes_by_suffix(tmp_path: Path) -> None:
    given = [str(RESULTS / "norouzi2014_conse_imagenet-folds.json"), "--json", "-o"]
    for suffix in ("html", "md"):
        done = CliRunner().invoke(app, ["report", *given, str(tmp_path / f"r.{suffix}")])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["bytes"] == (tmp_path / f"r.{suffix}").stat().st_size


def test_what_is_refused_leaves_nothing(tmp_path: Path, results: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match=r"\.html, \.md, \.pdf"):
        write_report(results, tmp_path / "r.docx")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KGZSL_BROWSER", raising=False)
    with pytest.raises(MissingDataError, match=BROWSERS[0]):
        write_report(results, tmp_path / "r.pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.data
def test_wrong_answers_are_shown_where_the_images_are(results: list[dict[str, Any]]) -> None:
    made = as_html([r for r in results if r["task"] == "image-holdout"], "t")
    assert made.count("data:image/jpeg;base64,") > 10
