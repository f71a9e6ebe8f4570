"""JSON schemas of recipes and rule files; an unknown key is an error."""

from __future__ import annotations

from typing import Any


def _object(properties: dict[str, Any], **rules: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, **rules}


_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_SOME = {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True}
_COUNT = {"type": "integer", "minimum": 1}

_ITEM = _object(
    {
        "rules": {"type": "string"},
        "data": {"type": "string"},
        "file": {"type": "string"},
        "benchmark": _TEXT,
        "ids": _TEXTS,
        "prefix": _TEXT,
    },
    oneOf=[
        {"required": ["prefix"], "maxProperties": 1},
        {"required": ["rules"], "maxProperties": 1},
        {"required": ["ids"], "maxProperties": 1},
        {"required": ["benchmark"], "maxProperties": 1},
        {"required": ["file"], "maxProperties": 2, "not": {"anyOf": [{"required": ["rules"]}, {"required": ["ids"]}]}},
    ],
)
_ITEMS = {"type": "array", "items": _ITEM, "minItems": 1}
_PAIR = _object({"from": _TEXT, "to": _TEXT}, required=["from", "to"])

_SOURCE = _object(
    {
        "reader": {"type": "string"},
        "name": _TEXT,
        "data": {"type": "string"},
        "path": {"type": "string"},
        "benchmark": {"type": "string"},
        "settings": {"type": "object"},
        "relations": _object(
            {"keep": _SOME, "drop": _SOME, "rename": {"type": "object", "additionalProperties": _TEXT, "minProperties": 1}},
            minProperties=1,
        ),
    },
    required=["reader"],
    oneOf=[{"required": ["data"]}, {"required": ["path"]}, {"required": ["benchmark"]}],
)
_STEP = _object(
    {
        "links": _TEXT,
        "prefix": _PAIR,
        "labels": _PAIR,
        "relations": _SOME,
        "as": {"enum": ["merge", "edge"]},
        "ambiguous": {"enum": ["first", "skip", "error"]},
    },
    oneOf=[{"required": ["links"]}, {"required": ["prefix"]}, {"required": ["labels"]}, {"required": ["relations"]}],
    dependentRequired={"ambiguous": ["labels"]},
)
_EDGES = _object(
    {
        "relations": _SOME,
        "direction": {"type": "object", "additionalProperties": {"enum": ["forward", "reverse", "both"]}},
        "inverses": {"enum": ["keep", "merge"]},
        "symmetric": {"enum": ["as_stated", "once", "both"]},
        "disjointness": {"enum": ["keep", "drop"]},
        "cycles": {"enum": ["error", "keep"]},
        "self_loops": {"enum": ["drop", "keep"]},
        "duplicates": {"enum": ["max", "min", "sum", "mean"]},
        "weights": {"enum": ["keep", "one"]},
        "minimum_weight": {"type": "number", "minimum": 0},
    },
    minProperties=1,
)
_SELECT = _object(
    {
        "members": _ITEMS,
        "classes": _ITEMS,
        "climb": {"type": "string"},
        "hops": _COUNT,
        "along": _SOME,
        "neighbours": _object(
            {
                "top": _COUNT,
                "steps": _COUNT,
                "restarts": _COUNT,
                "smoothing": {"type": "number", "minimum": 0},
                "seed": {"type": "integer", "minimum": 0},
            },
            required=["top"],
        ),
        "degree_cap": _COUNT,
        "orphans": {"enum": ["keep", "drop"]},
    },
    minProperties=1,
    dependentRequired={"hops": ["classes"], "along": ["hops"]},
)
_CLOSURE = _object({"relation": _TEXT, "at_most": _COUNT}, required=["relation"])

RECIPE_SCHEMA: dict[str, Any] = _object(
    {
        "format": {"const": 1},
        "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
        "description": {"type": "string"},
        "sources": {"type": "array", "items": _SOURCE, "minItems": 1},
        "align": {"type": "array", "items": _STEP, "minItems": 1},
        "edges": _EDGES,
        "select": _SELECT,
        "closure": _CLOSURE,
    },
    required=["format", "name", "sources"],
)
#: Of a rule file: whole subtrees and single ids.
RULES_SCHEMA: dict[str, Any] = _object(
    {"relation": {"type": "string"}, "expands_to": _COUNT, "subtrees": _TEXTS, "singles": _TEXTS},
    required=["relation", "subtrees", "singles"],
)
