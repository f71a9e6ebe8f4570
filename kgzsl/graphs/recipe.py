"""Recipes: YAML files that say how a graph is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs.recipe_schema import RECIPE_SCHEMA
from kgzsl.registry import Entry

SHIPPED = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Attributes
    ----------
    content : the YAML as plain values, with `inputs`: file name → SHA-256 of every file beside the recipe that it uses.
    folder : where its relative paths start.
    """

    name: str
    content: Mapping[str, Any]
    folder: Path


def shipped_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that ship with kgzsl."""
    return tuple(sorted(p.stem for p in SHIPPED.glob("*.yaml")))


def entries() -> list[Entry]:
    """Return the shipped recipes: name, description, and the readers of their sources."""
    found = [read_yaml(SHIPPED / f"{name}.yaml", RECIPE_SCHEMA, "recipe") for name in shipped_recipes()]
    return [Entry(c["name"], c.get("description", ""), ", ".join(dict.fromkeys(s["reader"] for s in c["sources"]))) for c in found]


def load_recipe(recipe: str | os.PathLike[str] | Recipe) -> Recipe:
    """Read a recipe by shipped name (`imagenet`) or by path (`graphs/my-recipe.yaml`).

    Raises
    ------
    UnknownNameError : neither a shipped name nor a file.
    InvalidInputError : not YAML, an unknown or missing key (it is named), or a wrong value.
    """
    if isinstance(recipe, Recipe):
        return recipe
    text = os.fspath(recipe)
    path = SHIPPED / f"{text}.yaml" if text in shipped_recipes() else Path(text)
    if not path.is_file():
        raise UnknownNameError(
            "a recipe is the path of a YAML file or a shipped name", received=repr(text), remedy=f"shipped: {', '.join(shipped_recipes())}"
        )
    path = path.resolve()  # a link to a shipped recipe finds the files beside the original
    content = read_yaml(path, RECIPE_SCHEMA, "recipe")
    inputs = {}
    for name in _beside(content):
        file = path.parent / name
        if not file.is_file():
            raise InvalidInputError("files that a recipe names lie beside it", received=f"{path}: {name}", remedy="correct the path")
        inputs[name] = sha256_file(file)
    return Recipe(name=content["name"], content={**content, "inputs": inputs}, folder=path.parent)


def read_yaml(path: Path, schema: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return a YAML file's plain values, checked by `schema`.

    Raises
    ------
    InvalidInputError : it cannot be read, or breaks the schema; the key is named.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 a safe loader, in C where there is one
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInputError(f"a {what} is a UTF-8 YAML file", received=f"{path}: {error}") from error
    # Of several complaints the deepest is the one the reader can act on.
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(content), key=lambda e: -len(e.absolute_path))
    if errors:
        place = "/".join(str(p) for p in errors[0].absolute_path) or "top level"
        known = errors[0].schema.get("properties", {}) if isinstance(errors[0].schema, dict) else {}
        raise InvalidInputError(
            f"a {what} holds known keys with values of the right kind",
            received=f"{path}, {place}: {errors[0].message[:300]}",
            remedy=f"keys known there: {', '.join(known)}" if known else None,
        )
    return content


def _beside(content: Mapping[str, Any]) -> list[str]:
    select = content.get("select", {})
    items = [*select.get("members", ()), *select.get("classes", ())]
    named = {item.get("rules") or item["file"] for item in items if "rules" in item or ("file" in item and "data" not in item)}
    return sorted(named | {step["links"] for step in content.get("align", ()) if "links" in step})
