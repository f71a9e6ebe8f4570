"""Reports: self-contained, escaped, whole; of real results."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
import shutil
import stat
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kgzsl.cli.main import app
from kgzsl.errors import ArtifactError, InvalidInputError, KgzslError, MissingDataError
from kgzsl.experiments.leaderboard import collect, rows_of, tables
from kgzsl.experiments.report import BROWSERS, as_html, as_markdown, write_report
from kgzsl.experiments.report.charts import Curve, drawing
from kgzsl.experiments.report.groups import groups_of, told_apart
from kgzsl.experiments.report.page import _table
from kgzsl.experiments.report.words import metrics_of
from kgzsl.experiments.results import check

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
    assert page.count("<polyline") == 2 * len(results) and "Where the worst classes stand" in page


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
            shown = [metric for metric in metrics if not re.search("_(low|high)$", metric)]
            assert all(f"| {protocol} | {metric} |" in text for metric in shown)


def test_the_command_writes_by_suffix(tmp_path: Path) -> None:
    given = [str(RESULTS / "norouzi2014_conse_imagenet-folds.json"), "--json", "-o"]
    for suffix in ("html", "md"):
        done = CliRunner().invoke(app, ["report", *given, str(tmp_path / f"r.{suffix}")])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["bytes"] == (tmp_path / f"r.{suffix}").stat().st_size
    upper = CliRunner().invoke(app, ["report", *given, str(tmp_path / "R.HTML"), "--title", "Mine"])
    assert upper.exit_code == 0 and "<h1>Mine</h1>" in (tmp_path / "R.HTML").read_text(encoding="utf-8")


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


#: Two seen and two unseen classes of CUB, as a result tells them.
EVIDENCE: dict[str, Any] = {
    "classes": [["cub:Least_Tern", "Least Tern"], ["cub:Sayornis", "Sayornis"], ["cub:Mallard", "Mallard"], ["cub:Ovenbird", "Ovenbird"]],
    "protocols": {
        "gzsl": {
            "per_class": [[0, False, 4, 3], [1, False, 4, 0], [2, True, 2, 2], [3, True, 2, 1]],
            "confusions": [[1, 3, 4, "beside it"], [0, 2, 1, ""]],
            "errors": [["a/1.jpg", 1, 3], ["b/1.jpg", 0, 2]],
            "curve": [[0.0, 0.16], [0.1, 0.08], [0.12, 0.0]],
            "chosen": [0.1, 0.08],
        }
    },
    "neighbours": [[1, [["Ovenbird", "beside it", True]]]],
}


def with_evidence(result: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(result), "evidence": copy.deepcopy(EVIDENCE), **changes}


def image_result(results: list[dict[str, Any]]) -> dict[str, Any]:
    return next(r for r in results if r["task"] == "image-holdout")


def test_classes_confusions_and_neighbours_in_words(results: list[dict[str, Any]]) -> None:
    made = re.sub(r"<[^>]+>", "|", as_html([with_evidence(image_result(results))], "t"))
    words = re.sub(r"[|\s]+", " ", made)
    assert words.index("Sayornis 0 (0/4)") < words.index("Least Tern 75 (3/4)") < words.index("Ovenbird 50 (1/2)")
    assert "2 unseen classes, 1 never right; worst first" in words and "2 seen classes; worst first" in words
    assert "Sayornis Ovenbird beside it 4" in words and "Least Tern Mallard no neighbour 1" in words
    assert "Sayornis beside it: Ovenbird (seen)" in words and "chosen: S 10.0, U 8.0" in words


def test_many_classes_are_cut_and_it_says_so(results: list[dict[str, Any]]) -> None:
    evidence = copy.deepcopy(EVIDENCE)
    evidence["classes"] = [[f"cub:{n}", f"bird {n}"] for n in range(100)]
    evidence["protocols"]["gzsl"]["per_class"] = [[n, False, 100, n] for n in range(100)]
    made = as_html([with_evidence(image_result(results), evidence=evidence)], "t")
    assert "100 unseen classes, 1 never right; the worst 25" in made and "the best 10 of the 100" in made
    bars = re.findall(r'class="label" title="bird (\d+)"', made)
    assert [int(n) for n in bars] == [*range(25), *range(90, 100)]


def test_small_curves_fill_the_drawing() -> None:
    curve = Curve("a", [(0, 16), (12, 0)], (12, 0), "")
    made = drawing([curve])
    assert made is not None and [text for text, _ in made["ticks"]] == ["0", "5", "10", "15", "20"]
    assert made["lines"][0]["points"] == "0.0,20.0 60.0,100.0" and made["lines"][0]["at"] == (60.0, 100.0)
    for largest, end in ((0.0, "2.5"), (10.0, "10"), (25.0, "30"), (40.0, "40"), (41.0, "50"), (75.0, "75"), (100.0, "100")):
        full = drawing([Curve("a", [(0, largest)], None, "")])
        assert full is not None and full["ticks"][-1] == (end, 100.0) and full["lines"][0]["at"] is None
    assert drawing([]) is None


def test_metrics_are_in_per_cent_where_they_are_shares() -> None:
    def value(mean: float, std: float = 0.0, runs: int = 1) -> dict[str, float]:
        return {"mean": mean, "std": std, "runs": runs}

    found = metrics_of({"H": value(0.5, 0.01, 3), "H_low": value(0.4), "H_high": value(0.6), "gamma": value(0.0348, 0.00386, 3)})
    assert [tuple(m) for m in found] == [("H", "50.0 ± 1.0", "%", "40.0 to 60.0"), ("gamma", "0.0348 ± 0.0039", "", "")]
    assert [tuple(m) for m in metrics_of({"rows": value(2933.0, 0.0, 3)})] == [("rows", "2,933", "", "")]


def test_results_on_other_images_or_features_are_in_a_table_of_their_own(results: list[dict[str, Any]]) -> None:
    one = image_result(results)
    other = copy.deepcopy(one)
    other["dataset"]["digest"] = "of other images"
    third = copy.deepcopy(one)
    third["cell"]["backbone"] = "efficientnet-lite2"
    fourth = copy.deepcopy(one)
    fourth["runs"] = fourth["runs"][:1]
    groups = [g for g in groups_of(told_apart([one, other, third, fourth, one])) if g.table.startswith("image-holdout")]
    assert [[m["cell"]["name"][-4:] for m in g.members] for g in groups] == [["olds", " (5)"], [" (2)"], [" (4)"], [" (3)"]]
    assert "efficientnet-lite2" in groups[3].data
    made = as_html([one, other, third, fourth, one], "t")
    anchors = re.findall(r' id="([^"]+)"', made)
    assert len(set(anchors)) == len(anchors) and set(re.findall('href="#([^"]+)"', made)) <= set(anchors)


def test_the_chart_says_what_it_leaves_out(results: list[dict[str, Any]]) -> None:
    one = with_evidence(image_result(results))
    bare = {k: v for k, v in one.items() if k != "evidence"}
    made = as_html([one] * 7 + [bare], "t")
    assert "2 more curves: see the results one by one." in made and "1 result of the table came without a curve." in made
    assert made.count("<polyline") == 5 + 7


def test_a_task_without_a_table_is_shown_one_by_one(results: list[dict[str, Any]]) -> None:
    made = as_html([with_evidence(image_result(results), task="other")], "t")
    assert "<section" not in made and made.count("<polyline") == 1 and "Sayornis" in made


def test_the_ceiling_is_never_the_best() -> None:
    found = told_apart([r for r in collect([RESULTS]) if r["task"] == "image-holdout"])
    group = next(g for g in groups_of(found) if g.table == "image-holdout")
    made = _table(group, {r["cell"]["name"]: "x" for r in found}, 1)
    assert made["ceiling"] == "oracle" and made["rows"][0]["row"].method == "oracle"
    assert not any(best for _, best in made["rows"][0]["cells"])
    hits = [row["row"].values[0][0] for row in made["rows"][1:]]
    assert [row["cells"][0][1] for row in made["rows"][1:]] == [hit == max(hits) for hit in hits]


def test_markdown_of_a_result_is_text(results: list[dict[str, Any]]) -> None:
    bad = json.loads(json.dumps(results[0]))
    bad["cell"]["method"]["name"] = "a|b<script>\n# heading"
    text = as_markdown([bad], "A <b>title</b>")
    assert "<" not in text and "\n# heading" not in text and "a\\|b&lt;script>" in text


@pytest.mark.parametrize(
    "damage",
    [
        lambda e: e["protocols"]["gzsl"]["per_class"].append([4, True, 1, 1]),
        lambda e: e["protocols"]["gzsl"]["confusions"].append([0, 9, 1, ""]),
        lambda e: e["protocols"]["gzsl"]["errors"].append(["row", 9, 0]),
        lambda e: e["neighbours"].append([4, []]),
        lambda e: e["protocols"]["gzsl"]["per_class"].append([0, True, 1, 2]),
    ],
)
def test_evidence_that_contradicts_itself_is_refused(results: list[dict[str, Any]], damage: Any) -> None:
    good = with_evidence(results[0])
    assert check(good, "here") == good
    damage(good["evidence"])
    with pytest.raises(ArtifactError, match="here"):
        check(good, "here")


def picture(path: Path, colour: tuple[int, int, int]) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (400, 300), colour).save(path)


def test_pictures_by_row_id(results: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.delenv("KGZSL_DATA", raising=False)
    result = with_evidence(image_result(results))
    twice = as_html([result, result], "t")
    assert twice.count("left out for imagenet-samples") == 1 and "data:image" not in twice
    picture(tmp_path / "a" / "1.jpg", (200, 0, 0))
    picture(tmp_path / "b" / "1.jpg", (0, 200, 0))
    (tmp_path / "b" / "1.txt").write_text("no image")
    made = as_html([result], "t", tmp_path)
    uris = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)"', made)
    assert [alt for _, alt in uris] == ["Sayornis", "Least Tern"] and "answered: Ovenbird" in made and "left out" not in made
    for (uri, _), colour in zip(uris, ((200, 0, 0), (0, 200, 0)), strict=True):
        small = Image.open(io.BytesIO(base64.b64decode(uri)))
        assert max(small.size) == 160 and max(abs(a - b) for a, b in zip(small.getpixel((5, 5)), colour, strict=True)) < 8
    (tmp_path / "a" / "1.jpg").write_bytes(b"damaged")
    assert as_html([result], "t", tmp_path).count("data:image") == 1
    # a bare name that two files have is neither's
    result["evidence"]["protocols"]["gzsl"]["errors"] = [["1.jpg", 1, 3], ["../b/1.jpg", 1, 3]]
    assert "data:image" not in as_html([result], "t", tmp_path)


def program(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_browser_that_does_not_print_is_told(results: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGZSL_BROWSER", program(tmp_path / "broken", "echo out of order >&2; exit 3"))
    with pytest.raises(KgzslError, match="out of order"):
        write_report(results, tmp_path / "r.pdf")
    monkeypatch.setenv("KGZSL_BROWSER", str(tmp_path / "none"))
    with pytest.raises(MissingDataError, match="KGZSL_BROWSER"):
        write_report(results, tmp_path / "r.pdf")
    assert [p.name for p in tmp_path.iterdir()] == ["broken"]


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser that prints is on the PATH")
def test_a_browser_prints(results: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KGZSL_BROWSER", raising=False)
    assert write_report([with_evidence(results[0])], tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
    assert [p.name for p in tmp_path.iterdir()] == ["r.pdf"]
