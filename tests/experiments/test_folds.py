"""`folds` in a cell: which folds run, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kgzsl.datasets import Split
from kgzsl.errors import InvalidInputError
from kgzsl.experiments.cell import Cell, load_cell
from kgzsl.experiments.runner import _chosen, make_plan

SPLITS = tuple(Split(f"fold-{k}", "1", (f"t:seen{k}",), (f"t:unseen{k}",)) for k in range(3))


def cell(folder: Path, **changes: Any) -> Cell:
    content: dict[str, Any] = {
        "name": "test2026_oracle_folds",
        "source": "written for this test",
        "task": "weight-retrieval",
        "dataset": "imagenet-1k",
        "graph": "imagenet",
        "vectors": "minilm-l6-v2",
        "backbone": "efficientnet-lite0",
        "method": {"name": "oracle"},
        "seeds": [0],
        **changes,
    }
    file = folder / "cell.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_cell(str(file))


def test_without_folds_all_run(tmp_path: Path) -> None:
    assert cell(tmp_path).folds is None
    assert _chosen(cell(tmp_path), SPLITS) == SPLITS


def test_folds_run_in_the_order_given(tmp_path: Path) -> None:
    assert _chosen(cell(tmp_path, folds=[2, 0]), SPLITS) == (SPLITS[2], SPLITS[0])


def test_a_fold_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="between 0 and 2"):
        _chosen(cell(tmp_path, folds=[3]), SPLITS)


@pytest.mark.parametrize("folds", [[], [0, 0], [-1], ["first"]])
def test_malformed_folds_are_refused(tmp_path: Path, folds: list[Any]) -> None:
    with pytest.raises(InvalidInputError, match="folds"):
        cell(tmp_path, folds=folds)


def test_hop_sets_have_no_folds(tmp_path: Path) -> None:
    nothing = cast(Any, None)
    with pytest.raises(InvalidInputError, match="only tasks with folds"):
        make_plan(cell(tmp_path, task="image-hops", dataset="caltech101-unseen", folds=[0]), nothing)


def test_other_images_are_for_holdout_cells(tmp_path: Path) -> None:
    nothing = cast(Any, None)
    with pytest.raises(InvalidInputError, match="only image-holdout cells"):
        make_plan(cell(tmp_path), nothing, cast(Any, object()))
