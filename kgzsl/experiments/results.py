"""Result files: checked against a schema on write and on read."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema

from kgzsl.artifacts import atomic_file
from kgzsl.errors import ArtifactError

FORMAT_VERSION = 1

_METRICS = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {"type": "number"}}}
_STRING = {"type": "string"}
_METHOD = {"type": "object", "required": ["name"], "properties": {"name": _STRING}}
_INTEGER = {"type": "integer", "minimum": 0}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


def _tuples(*items: Mapping[str, Any]) -> dict[str, Any]:
    """A list of rows, each with these items."""
    return {"type": "array", "items": {"type": "array", "prefixItems": list(items), "minItems": len(items), "maxItems": len(items)}}


#: What a report draws, summed over runs; classes are named by their place in `classes`.
_EVIDENCE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["classes", "protocols"],
    "properties": {
        "classes": _tuples(_STRING, _STRING),  # id, label
        "protocols": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["per_class", "confusions"],
                "properties": {
                    "per_class": _tuples(_INTEGER, {"type": "boolean"}, _INTEGER, _INTEGER),  # class, seen, rows, right
                    # true class, answer, rows, how the answer stands to the class ("" for none); the most frequent ones
                    "confusions": _tuples(_INTEGER, _INTEGER, _INTEGER, _STRING),
                    "curve": _tuples(_SHARE, _SHARE),  # S, U as γ rises, in the first run
                    "chosen": {
                        "type": "array",
                        "items": _SHARE,
                        "minItems": 2,
                        "maxItems": 2,
                    },  # S, U of the first run at the γ that was chosen
                    "errors": _tuples(_STRING, _INTEGER, _INTEGER),  # row id, true class, answer: some rows of the worst classes
                },
            },
        },
        # class, neighbours of the worst classes: label, relation, seen
        "neighbours": _tuples(_INTEGER, _tuples(_STRING, _STRING, {"type": "boolean"})),
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        "format_version",
        "cell",
        "task",
        "dataset",
        "digests",
        "runs",
        "summary",
        "selected_on",
        "environment",
        "seconds",
        "peak_mib",
    ],
    "properties": {
        "format_version": {"const": FORMAT_VERSION},
        "cell": {
            "type": "object",
            "required": ["name", "seeds"],
            "anyOf": [{"required": ["method"]}, {"required": ["generator"]}],
            "properties": {
                "name": _STRING,
                "method": _METHOD,
                "generator": _METHOD,
                "seeds": {"type": "array"},
                "published": {"type": "array", "items": {"type": "object", "required": ["metric", "value", "source", "comparable"]}},
            },
        },
        "task": _STRING,
        "dataset": {"type": "object", "required": ["name", "version"], "additionalProperties": _STRING},
        "digests": {"type": "object", "additionalProperties": _STRING},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["seed", "split", "split_digest", "protocols", "seconds"],
                "properties": {
                    "seed": {"type": "integer"},
                    "split": _STRING,
                    "split_digest": _STRING,
                    "protocols": _METRICS,
                    "seconds": {"type": "number", "minimum": 0},
                },
            },
        },
        "summary": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {
                    "type": "object",
                    "required": ["mean", "std", "runs"],
                    "properties": {"mean": {"type": "number"}, "std": {"type": "number"}, "runs": {"type": "integer"}},
                },
            },
        },
        "selected_on": _STRING,
        "environment": {
            "type": "object",
            "required": ["kgzsl", "python", "torch", "commit"],
            "additionalProperties": {"type": ["string", "integer"]},
        },
        "seconds": {"type": "number", "minimum": 0},
        "cpu_seconds": {"type": "number", "minimum": 0},
        "peak_mib": {"type": "number", "minimum": 0},
        "evidence": _EVIDENCE,
    },
    "if": {"properties": {"task": {"enum": ["feature-zsl", "composition-zsl"]}}},
    "then": {"properties": {"digests": {"required": ["features"]}}},
    "else": {
        "if": {"properties": {"task": {"const": "completion"}}},
        "then": {"properties": {"digests": {"required": ["triples"]}}},
        "else": {"properties": {"digests": {"required": ["graph", "vectors", "weights"]}}},
    },
}


def summarise(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return mean and sample standard deviation over runs, per protocol and metric (std 0 for a single run)."""
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for protocol in runs[0]["protocols"]:
        summary[protocol] = {}
        for metric in runs[0]["protocols"][protocol]:
            values = [run["protocols"][protocol][metric] for run in runs]
            std = statistics.stdev(values) if len(values) > 1 else 0.0
            summary[protocol][metric] = {"mean": math.fsum(values) / len(values), "std": std, "runs": len(values)}
    return summary


def check(result: object, where: str) -> dict[str, Any]:
    """Return `result` when it follows the schema; else raise ArtifactError naming the place."""
    try:
        jsonschema.validate(result, SCHEMA)
    except jsonschema.ValidationError as error:
        raise ArtifactError(f"{where}: {error.json_path} must follow the schema of results", received=error.message[:300]) from error
    assert isinstance(result, dict)
    _check_evidence(result.get("evidence"), where)
    return result


def _check_evidence(evidence: Mapping[str, Any] | None, where: str) -> None:
    """Raise ArtifactError where evidence names a class that it does not list, or has more right answers than rows."""
    if evidence is None:
        return
    places = [place for place, _ in evidence.get("neighbours", ())]
    counts = []
    for protocol in evidence["protocols"].values():
        places += [row[0] for row in protocol["per_class"]]
        places += [place for row in protocol["confusions"] for place in row[:2]]
        places += [place for row in protocol.get("errors", ()) for place in row[1:]]
        counts += [(rows, right) for _, _, rows, right in protocol["per_class"]]
    if places and max(places) >= len(evidence["classes"]):
        raise ArtifactError(f"{where}: evidence names classes by their place among its {len(evidence['classes']):,}", received=max(places))
    wrong = [count for count in counts if count[1] > count[0]]
    if wrong:
        raise ArtifactError(f"{where}: no class has more right answers than rows", received=f"{wrong[0][1]} of {wrong[0][0]}")


def write_result(result: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Check and write a result file atomically; return its path."""
    checked = check(dict(result), str(path))
    try:
        text = json.dumps(checked, indent=1, sort_keys=True, allow_nan=False)
    except ValueError as error:
        raise ArtifactError("every number of a result must be finite", received=f"{path}: {error}") from error
    try:
        with atomic_file(path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ArtifactError(
            "a result is written whole or not at all",
            received=f"writing {path} failed: {error}",
            remedy="free disk space or choose another folder; nothing was changed",
        ) from error
    return Path(path)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def read_result(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and check a result file; raises ArtifactError when it is damaged or of another format."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError) as error:
        raise ArtifactError("a result is a JSON file", received=f"{path}: {error}") from error
    return check(content, str(path))
