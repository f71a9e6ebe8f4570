"""Recipes: an unknown key is an error that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import load_recipe, shipped_recipes

GOOD: dict[str, Any] = {"format": 1, "name": "mine", "sources": [{"reader": "wordnet", "data": "wordnet-3.0"}]}


def written(folder: Path, content: object) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_shipped_recipes_load() -> None:
    assert "imagenet" in shipped_recipes()
    for name in shipped_recipes():
        assert load_recipe(name).name == name


def test_inputs_are_part_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("n00001740\n", encoding="utf-8")
    path = written(tmp_path, {**GOOD, "select": {"members": [{"file": "ids.txt"}]}})
    before = load_recipe(path).content
    (tmp_path / "ids.txt").write_text("n00001930\n", encoding="utf-8")
    assert load_recipe(path).content != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "'colour' was unexpected"),
        ({"format": 2}, "1 was expected"),
        ({"sources": []}, "sources"),
        ({"sources": [{"reader": "wordnet"}]}, "sources/0"),
        ({"sources": [{"reader": "wordnet", "data": "a", "path": "b"}]}, "sources/0"),
        ({"sources": [{"reader": "wordnet", "data": "a", "pat": "b"}]}, "'pat' was unexpected"),
        ({"select": {"member": []}}, "'member' was unexpected"),
        ({"select": {"members": [{"rules": "a", "ids": ["b"]}]}}, "select/members/0"),
        ({"select": {"members": [{"data": "a"}]}}, "select/members/0"),
        ({"select": {"members": [{"file": "absent.txt"}]}}, "absent.txt"),
        ({"name": "../mine"}, "name"),
    ],
)
def test_wrong_recipes_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_recipe(written(tmp_path, {**GOOD, **change}))


def test_code_in_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text(f"format: !!python/object/apply:os.system ['touch {tmp_path}/made']\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"evil\.yaml"):
        load_recipe(path)
    assert not (tmp_path / "made").exists()


def test_neither_name_nor_file() -> None:
    with pytest.raises(UnknownNameError, match=r"shipped: .*birds, .*imagenet"):
        load_recipe("imagenett")
