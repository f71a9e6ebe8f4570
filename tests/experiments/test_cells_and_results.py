"""Shipped cells are sound; results follow their schema; tables are made from them."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kgzsl.datasets import COMPLETION_SETS, COMPOSITION_SETS, FEATURE_SETS
from kgzsl.errors import ArtifactError, InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.experiments.cell import CELLS, cell_of, load_cell, shipped_cells
from kgzsl.experiments.leaderboard import COLUMNS, collect, markdown, published_markdown, rows_of, tables, update_document
from kgzsl.experiments.results import check, read_result, summarise, write_result
from kgzsl.experiments.runner import check_cell
from kgzsl.features import BACKBONES
from kgzsl.graphs.recipe import load_recipe
from kgzsl.vectors import TEXT_ENCODERS


@pytest.mark.parametrize("name", shipped_cells())
def test_every_shipped_cell_is_sound(name):
    cell = load_cell(name)
    assert cell.name == name and cell.task in COLUMNS
    check_cell(cell)
    if cell.task == "feature-zsl":
        assert cell.dataset in {e.name for e in FEATURE_SETS}
    elif cell.task == "composition-zsl":
        assert cell.dataset in {e.name for e in COMPOSITION_SETS} and (
            cell.finetune is not None or cell.backbone in {e.name for e in BACKBONES}
        )
    elif cell.task == "completion":
        assert cell.dataset in {e.name for e in COMPLETION_SETS}
    else:
        assert cell.finetune is not None or cell.backbone in {e.name for e in BACKBONES}
    if cell.graph:
        assert cell.vectors in {e.name for e in TEXT_ENCODERS} and load_recipe(cell.graph).name
    for entry in cell.published:
        assert len(entry["source"]) > 10
        assert entry["comparable"] or len(entry["why"]) > 10


def test_a_cell_by_file_is_the_cell_by_name():
    name = shipped_cells()[0]
    assert load_cell(str(CELLS / f"{name}.yaml")) == load_cell(name)


def cell_file(tmp_path: Path, **changes: Any) -> str:
    content = yaml.safe_load((CELLS / "kgzsl2026_oracle_imagenet-folds.yaml").read_text(encoding="utf-8")) | changes
    (tmp_path / "cell.yaml").write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}), encoding="utf-8")
    return str(tmp_path / "cell.yaml")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epocs": 3}, "epocs"),
        ({"seeds": None}, "seeds"),
        ({"seeds": []}, r"\$\.seeds"),
        ({"seeds": [0, 0]}, r"\$\.seeds"),
        ({"task": "image"}, r"\$\.task"),
        ({"name": "Mine"}, r"\$\.name"),
        ({"method": {"name": "sgcn", "set": {}}}, "set"),
        ({"published": [{"metric": "H", "value": 1, "comparable": True}]}, "source"),
        ({"published": [{"metric": "H", "value": 1, "source": "paper", "comparable": False}]}, "why"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path, changes, named):
    with pytest.raises(InvalidInputError, match=named):
        load_cell(cell_file(tmp_path, **changes))


@pytest.mark.parametrize(
    ("shipped", "calibration", "named"),
    [
        ("norouzi2014_conse_imagenet-folds", "boundary", "training rows"),
        ("romera2015_eszsl_cub", "loki", "along a graph"),
        ("norouzi2014_conse_imagenet-folds", {"name": "cosmo", "settings": {"tops": 3}}, "tops"),
    ],
)
def test_a_calibration_that_cannot_run_is_refused_before_the_work(shipped, calibration, named):
    content = yaml.safe_load((CELLS / f"{shipped}.yaml").read_text(encoding="utf-8")) | {"calibrations": [calibration]}
    with pytest.raises(InvalidInputError, match=named):
        check_cell(cell_of(content, "here"))


def test_what_is_no_cell(tmp_path):
    with pytest.raises(UnknownNameError, match=r"did you mean .*norouzi2014_conse_imagenet-folds"):
        load_cell("norouzi2014_conse_imagenet-fold")
    with pytest.raises(UnknownNameError, match="experiment list"):
        load_cell(str(tmp_path / "none.yaml"))
    for content in (b"a: [", b"\xff\xfe", b"just text", b""):
        (tmp_path / "x.yaml").write_bytes(content)
        with pytest.raises(InvalidInputError):
            load_cell(str(tmp_path / "x.yaml"))


RUNS = [
    {
        "seed": seed,
        "split": f"fold-{fold}",
        "split_digest": "d",
        "seconds": 1.0,
        "protocols": {"unseen-only": {"hit@1": value, "hit@5": 0.5}, "gzsl": {"H": value / 2}},
    }
    for seed, fold, value in [(0, 0, 0.25), (0, 1, 0.5), (1, 0, 0.125), (1, 1, 0.3)]
]


def result(runs: list[dict[str, Any]] = RUNS, name: str = "norouzi2014_conse_imagenet-folds", **changes: Any) -> dict[str, Any]:
    return {
        "format_version": 1,
        "cell": dict(load_cell(name).content),
        "task": "image-holdout",
        "dataset": {"name": "d", "version": "1", "digest": "x"},
        "digests": {"graph": "g", "vectors": "v", "weights": "w"},
        "runs": runs,
        "summary": summarise(runs),
        "selected_on": "seen classes",
        "environment": {"kgzsl": "0", "python": "3", "torch": "2", "commit": "c", "cpus": 2},
        "seconds": 4.0,
        "peak_mib": 1.0,
        **changes,
    }


def test_summaries_are_numpys():
    for protocol, metric in (("unseen-only", "hit@1"), ("unseen-only", "hit@5"), ("gzsl", "H")):
        values = [r["protocols"][protocol][metric] for r in RUNS]
        found = summarise(RUNS)[protocol][metric]
        assert found["mean"] == pytest.approx(np.mean(values), abs=1e-15)
        assert found["std"] == pytest.approx(np.std(values, ddof=1), abs=1e-15) and found["runs"] == 4
    assert summarise(RUNS[:1])["gzsl"]["H"] == {"mean": 0.125, "std": 0.0, "runs": 1}


def test_results_come_back_as_written(tmp_path):
    path = write_result(result(), tmp_path / "deep" / "r.json")
    assert read_result(path) == result()
    assert write_result(read_result(path), tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: r.pop("runs"),
        lambda r: r.update(runs=[]),
        lambda r: r.update(format_version=2),
        lambda r: r.update(note="mine"),
        lambda r: r["runs"][0]["protocols"]["gzsl"].update(H="high"),
        lambda r: r["runs"][0].pop("split_digest"),
        lambda r: r["digests"].pop("graph"),
        lambda r: r["summary"]["gzsl"]["H"].pop("std"),
        lambda r: r["runs"][0]["protocols"]["gzsl"].update(H=float("nan")),
        lambda r: r.update(seconds=float("inf")),
    ],
)
def test_damaged_results_are_refused_on_write_and_on_read(tmp_path, damage):
    bad = copy.deepcopy(result())
    damage(bad)
    with pytest.raises(ArtifactError):
        write_result(bad, tmp_path / "r.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "r.json").write_text(json.dumps(bad))
    with pytest.raises(ArtifactError):
        read_result(tmp_path / "r.json")


def test_truncated_foreign_and_absent_results(tmp_path):
    path = write_result(result(), tmp_path / "r.json")
    path.write_text(path.read_text()[:300])
    for broken in (path, tmp_path / "none.json"):
        with pytest.raises(ArtifactError, match=broken.name):
            read_result(broken)
    with pytest.raises(ArtifactError, match="type 'object'"):
        check([], "here")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="nothing was changed"):
        write_result(result(), tmp_path / "file" / "r.json")


def test_a_table_in_markdown_best_first():
    better = copy.deepcopy(RUNS)
    for run in better:
        run["protocols"]["unseen-only"]["hit@1"] += 0.25
    second, first = result(), result(better, "kgzsl2026_nearest-text_imagenet-folds")
    lines = markdown(rows_of([second, first], "image-holdout"), "image-holdout").split("\n")
    assert [re.findall(r"`(\w+)`", line) for line in lines[2:]] == [["nearest_text"], ["conse"]]
    head, own = ([c.strip() for c in line.strip("|").split("|")] for line in (lines[0], lines[3]))
    cells = dict(zip(head, own, strict=True))
    values = [100 * r["protocols"]["unseen-only"]["hit@1"] for r in RUNS]
    assert cells["hit@1"] == f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"
    assert cells["hit@5"] == "50.0 ± 0.0" and "AUSUC" not in cells and cells["runs"] == "4"  # no result has it
    single = markdown(rows_of([result(RUNS[:1])], "image-holdout"), "image-holdout")
    assert "| 25.0" in single and "±" not in single
    with pytest.raises(InvalidInputError, match="image-hops"):
        rows_of([second], "image")


def test_spread_of_seeds_and_cost_stand_beside():
    row = rows_of([result()], "image-holdout")[0]
    means = [np.mean([100 * r["protocols"]["unseen-only"]["hit@1"] for r in RUNS if r["seed"] == s]) for s in {r["seed"] for r in RUNS}]
    assert row.between_seeds == pytest.approx(np.std(means, ddof=1)) and row.cpu_seconds is None
    timed = {**result(), "cpu_seconds": 10.0}
    check(timed, "here")
    head, _, line = markdown(rows_of([timed], "image-holdout"), "image-holdout").split("\n")
    cells = {h.strip(): c.strip() for h, c in zip(head.split("|"), line.split("|"), strict=True)}
    assert cells["CPU s/run"] == f"{10 / len(RUNS):,.0f}" and cells["MiB"] == "1" and cells["± seeds"] == f"{row.between_seeds:.1f}"


def test_another_backbone_has_a_table_of_its_own():
    other = copy.deepcopy(result())
    other["cell"]["backbone"] = "efficientnet-lite9"
    assert list(tables([other, result()])) == ["image-holdout efficientnet-lite9", "image-holdout"]
    assert list(tables([other])) == ["image-holdout efficientnet-lite9"]


def test_published_numbers_stand_beside_with_the_reason():
    name = next(n for n in shipped_cells() if load_cell(n).published and load_cell(n).task == "image-hops")
    cell = load_cell(name)
    text = published_markdown([result(name=name, task=cell.task)] * 2, cell.task)
    assert text.count("\n") == 1 + len(cell.published)
    for entry in cell.published:
        assert str(entry["value"]) in text and entry["source"] in text and entry.get("why", "comparable") in text
    assert published_markdown([], cell.task) == ""


def test_tables_are_put_between_their_markers(tmp_path):
    document = tmp_path / "README.md"
    document.write_text("before\n<!-- table: image-holdout -->\nold\n<!-- end -->\nafter\n")
    table = r"| a\1 | b |"
    for _ in range(2):
        update_document(document, {"image-holdout": table})
        assert document.read_text() == f"before\n<!-- table: image-holdout -->\n{table}\n<!-- end -->\nafter\n"
    with pytest.raises(InvalidInputError, match="table: image-hops"):
        update_document(document, {"image-holdout": "new", "image-hops": "x"})
    assert table in document.read_text()  # all or nothing
    with pytest.raises(InvalidInputError, match=r"none\.md"):
        update_document(tmp_path / "none.md", {})


def test_collect_names_what_is_not_there(tmp_path):
    with pytest.raises(MissingDataError, match="nowhere"):
        collect([tmp_path / "nowhere"])
    with pytest.raises(MissingDataError, match=r"no \.json"):
        collect([tmp_path])
    one = write_result(result(), tmp_path / "a.json")
    assert len(collect([tmp_path])) == len(collect([one])) == 1
