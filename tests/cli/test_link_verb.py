"""`kgzsl link`, `kgzsl graph audit` and `kgzsl graph bound` as a person runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from kgzsl.cli.main import app
from kgzsl.errors import IncompatibleError, InvalidInputError, SourceError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, read_links
from kgzsl.matrices import Features

OTTER = "wn30:n02444819"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def good(*arguments: object) -> Any:
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def shelf(world, halves, rows, tmp_path_factory) -> Path:
    """The carnivores' graph, weights, features and class lists, and names to link."""
    folder = tmp_path_factory.mktemp("shelf")
    world.graph.save(folder / "carnivores.kg")
    world.weights.save(folder / "lite0.weights")
    rows.save(folder / "rows.features")
    (folder / "hidden.txt").write_text("".join(f"{i}\n" for i in halves[1]))
    (folder / "seen.txt").write_text("".join(f"{i}\n" for i in halves[0]))
    (folder / "names.txt").write_text("otter\nsea otter\nbig brown bear\ndodo\n")
    return folder


def report(path: Path) -> dict[str, dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return {row["id"]: row for row in csv.DictReader(stream, dialect="excel-tab")}


def test_a_table_of_links_and_its_summary(shelf: Path, tmp_path: Path) -> None:
    out = tmp_path / "links.tsv"
    given = ["link", shelf / "names.txt", "--graph", shelf / "carnivores.kg"]
    shown = good(*given, "-o", out).output
    assert "exact" in shown and OTTER in shown and "dodo" in shown
    links = {r.key: r for r in read_links(out, KnowledgeGraph.load(shelf / "carnivores.kg")).rows}
    assert {k: r.status for k, r in links.items()} == {
        "otter": "exact",
        "sea otter": "exact",
        "big brown bear": "ambiguous",
        "dodo": "none",
    }
    before = out.read_bytes()
    again = run(*given, "-o", out)
    assert isinstance(again.exception, InvalidInputError) and out.read_bytes() == before
    said = json.loads(good(*given, "-o", out, "--overwrite", "--json").output)
    assert (said["names"], said["exact"], said["ambiguous"], said["none"]) == (4, 2, 1, 1)


@pytest.mark.parametrize("sense", ["first", "gloss"])
def test_senses_are_chosen_on_request(shelf: Path, tmp_path: Path, sense: str) -> None:
    good("link", shelf / "names.txt", "--graph", shelf / "carnivores.kg", "--sense", sense, "-o", tmp_path / "links.tsv")
    assert read_links(tmp_path / "links.tsv").mapping()["otter"] == OTTER


def test_a_description_chooses_the_meaning(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("crane\n")
    (tmp_path / "machine.json").write_text(json.dumps({"crane": ["a machine that lifts heavy loads on a building site"]}))
    (tmp_path / "bird.json").write_text(json.dumps({"crane": ["a tall wading bird with long legs and a long neck"]}))
    found = {}
    for meaning in ("machine", "bird"):
        out = tmp_path / f"{meaning}.tsv"
        good("link", tmp_path / "names.txt", "--sense", "gloss", "--descriptions", tmp_path / f"{meaning}.json", "-o", out)
        found[meaning] = read_links(out).mapping()["crane"]
    assert found == {"machine": "wn30:n03126707", "bird": "wn30:n02012849"}
    within = tmp_path / "within.tsv"
    good("link", tmp_path / "names.txt", "--below", "n01503061", "-o", within)
    assert read_links(within).mapping()["crane"] == "wn30:n02012849"


def test_what_link_refuses(shelf: Path, tmp_path: Path) -> None:
    given = ["link", shelf / "names.txt", "--graph", shelf / "carnivores.kg", "-o", tmp_path / "x.tsv"]
    (tmp_path / "said.json").write_text('{"dog": "not a list"}')
    for more, expected, said in (
        (["--below", "n99999999"], UnknownNameError, "n99999999"),
        (["--below", "an animal"], InvalidInputError, "CURIE"),
        (["--descriptions", tmp_path / "said.json"], InvalidInputError, "--sense gloss"),
        (["--descriptions", tmp_path / "said.json", "--sense", "gloss"], InvalidInputError, "list of texts"),
    ):
        result = run(*given, *more)
        assert isinstance(result.exception, expected) and said in str(result.exception)
    assert run(*given, "--sense", "second").exit_code == 2
    assert not (tmp_path / "x.tsv").exists()


def test_a_split_is_audited_and_its_trivial_solution_scored(shelf: Path, tmp_path: Path, world, halves) -> None:
    given = ["graph", "audit", "--graph", shelf / "carnivores.kg", "--seen", shelf / "seen.txt", "--unseen", shelf / "hidden.txt"]
    (tmp_path / "counts.tsv").write_text("".join(f"{i}\t{50 * k}\n" for k, i in enumerate(halves[1])))
    out = tmp_path / "audit.tsv"
    more = ["--images", tmp_path / "counts.tsv", "--features", shelf / "rows.features", "--weights", shelf / "lite0.weights"]
    said = json.loads(good(*given, *more, "-o", out, "--json").output)
    assert said["unseen"]["audited"] == len(halves[1]) == sum(said["hops"].values())
    assert said["few_images"]["classes"] == 2 and said["few_images"]["source"].endswith("counts.tsv")
    measured = said["trivial_solution"]["measured"]
    assert measured["images"] == 2 * len(halves[1]) and 1 / len(halves[1]) < measured["hit@1"] < measured["hit@5"] <= 1
    # only classes that have their nearest seen classes to themselves can be first for certain
    assert measured["hit@1"] <= said["trivial_solution"]["ceiling_hit@1"] + 1e-9
    rows = report(out)
    assert list(rows) == list(halves[1]) and {r["images"] for r in rows.values()} >= {"0", "50"}
    table = good(*given, *more).output
    assert "nested in seen classes" in table and "trivial solution" in table and "measured on" in table


def test_scores_of_seen_classes_stand_in_for_features(shelf: Path, tmp_path: Path, world, halves, rows) -> None:
    seen = world.weights.select(halves[0])
    Features(rows.ids, rows.matrix @ seen.weight.T + seen.bias, {}, rows.labels).save(tmp_path / "seen.scores")
    given = ["graph", "audit", "--graph", shelf / "carnivores.kg", "--seen", shelf / "seen.txt", "--unseen", shelf / "hidden.txt", "--json"]
    given += ["--frequency", "none"]
    found = [
        json.loads(good(*given, *more).output)["trivial_solution"]["measured"]
        for more in (
            ["--scores", tmp_path / "seen.scores"],
            ["--features", shelf / "rows.features", "--weights", shelf / "lite0.weights"],
        )
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_what_audit_refuses(shelf: Path, tmp_path: Path) -> None:
    given = ["graph", "audit", "--graph", shelf / "carnivores.kg", "--seen", shelf / "seen.txt", "--unseen", shelf / "hidden.txt"]
    (tmp_path / "counts.tsv").write_text("wn30:n02084071\tmany\n")
    (tmp_path / "words.tsv").write_text("dog\t5\ndog\t6\n")
    for more, expected, said in (
        (["--images", tmp_path / "counts.tsv"], InvalidInputError, "whole number"),
        (["--frequency", tmp_path / "words.tsv"], InvalidInputError, "line 2"),
        (["--frequency", tmp_path / "no.tsv"], InvalidInputError, "no.tsv"),
        (["--features", shelf / "rows.features", "--scores", shelf / "rows.features"], InvalidInputError, "both"),
        (["--weights", shelf / "lite0.weights"], InvalidInputError, "no --features"),
        (["--scores", shelf / "rows.features"], InvalidInputError, "one column per seen class"),
        (["--features", shelf / "rows.features", "--backbone", "efficientnet-lite2"], IncompatibleError, "backbone"),
        (["--relation", "part_meronym"], UnknownNameError, "hypernym"),
        (["--attributes", "awa9"], UnknownNameError, "awa9"),
    ):
        result = run(*given, *more, "-o", tmp_path / "audit.tsv")
        assert isinstance(result.exception, expected) and said in str(result.exception), (more, result.exception)
    assert not (tmp_path / "audit.tsv").exists()


def test_attributes_of_a_file_are_bounded(tmp_path: Path) -> None:
    table = tmp_path / "attributes.tsv"
    table.write_text("class\tstripes\tpaws\twings\nx:tiger\t100\t100\t-1\nx:zebra\t100\t0\t0\nx:lion\t0\t100\t0\n")
    said = json.loads(good("graph", "bound", table, "--per-cent", "--json").output)
    assert said["without_an_answer"] == ["wings"] and said["attributes"] == 2
    assert [s["error"] for s in said["greedy"]] == pytest.approx([1 / 3, 0], abs=1e-6)
    shown = good("graph", "bound", table, "--per-cent").output
    assert "stripes" in shown and "33.3" in shown and "left out, as some class has no answer: wings" in shown
    (tmp_path / "two.txt").write_text("x:tiger\nx:zebra\n")
    two = json.loads(good("graph", "bound", table, "--per-cent", "--classes", tmp_path / "two.txt", "--json").output)
    assert two["classes"] == 2 and two["greedy"][0]["attribute"] == "paws"
    for text, expected, said_why in (
        ("class\ta\nx:tiger\t40\n", InvalidInputError, "40 for x:tiger, a"),
        ("class\ta\nx:tiger\tmuch\n", SourceError, "an id and numbers"),
        ("class\ta\tb\nx:tiger\t1\n", SourceError, "a value of every attribute"),
        ("class\nx:tiger\n", SourceError, "a value of every attribute"),
        ("class\ta\nx:tiger\t1\nx:tiger\t1\n", InvalidInputError, "twice"),
    ):
        table.write_text(text)
        result = run("graph", "bound", table)
        assert isinstance(result.exception, expected) and said_why in str(result.exception)


@pytest.mark.data
def test_awas_published_bound_is_shown() -> None:
    said = json.loads(good("graph", "bound", "awa1", "--split", "proposed", "--per-cent", "--greedy", "4", "--json").output)
    assert [round(s["error"], 2) for s in said["greedy"]] == [0.80, 0.69, 0.59, 0.50]
    assert np.isclose(said["pairs_all_attributes"][0]["error"], 0.1936, atol=1e-4)


@pytest.mark.data
def test_imagenets_two_hops_are_audited_by_name() -> None:
    said = json.loads(good("graph", "audit", "--unseen", "imagenet-2-hops", "--json").output)
    assert said["nested"]["direct"] == 1_548 and said["polysemous"]["source"] == "WordNet 3.0"


@pytest.mark.parametrize("verb", [["link"], ["graph", "audit"], ["graph", "bound"]])
def test_help_has_examples(verb: list[str]) -> None:
    shown = good(*verb, "--help").output
    assert "Examples:" in shown and f"kgzsl {' '.join(verb)}" in shown
