"""What a report says in words and numbers; and the whole of it as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kgzsl.experiments.cell import method_of
from kgzsl.experiments.leaderboard import markdown, published_markdown, rows_of, semantics_of
from kgzsl.experiments.report.groups import groups_of, told_apart

#: Metrics that count something, and those that are shares in 0…1 and shown in per cent (hit@k are, too).
COUNTS = {"candidates", "classes_with_images", "images", "queries", "rows"}
SHARES = {"AUSUC", "ECE", "H", "S", "T1", "U", "error", "exact", "per_class_top1"}
READING = (
    "Accuracies in per cent, distances in edges; ± is the standard deviation over runs. "
    "Compare numbers within a table only, and there only where the semantics are the same."
)


class Metric(NamedTuple):
    """A line of a result's table of metrics: name, value with its unit, and the ends of its bootstrap interval."""

    name: str
    value: str
    unit: str
    interval: str


def metrics_of(values: Mapping[str, Mapping[str, float]]) -> list[Metric]:
    """Return the metrics of one protocol; `NAME_low` and `NAME_high` become the interval of `NAME`."""
    lines = []
    for name, value in values.items():
        ends = [values.get(f"{name}{end}") for end in ("_low", "_high")]
        if name.rpartition("_")[2] in ("low", "high") and name.rpartition("_")[0] in values:
            continue
        share = _is_share(name)
        interval = " to ".join(number(end["mean"], share) for end in ends if end) if all(ends) else ""
        text = f"{value['mean']:,.0f}" if name in COUNTS and value["std"] == 0 else number(value["mean"], share)
        if value["runs"] > 1 and name not in COUNTS:
            text += f" ± {number(value['std'], share, digits=2)}"
        lines.append(Metric(name, text, "%" if share else "", interval))
    return lines


def _is_share(name: str) -> bool:
    return name in SHARES or name.startswith("hit@")


def number(value: float, share: bool, digits: int = 4) -> str:
    """Return a share in per cent with one decimal, another number with so many significant digits."""
    return f"{100 * value:.1f}" if share else f"{value:.{digits}g}"


def facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a result was made with, as `(name, value)` lines."""
    cell, dataset, env = result["cell"], result["dataset"], result["environment"]
    semantics = cell.get("semantics", {})
    method = method_of(cell)
    settings = {**method.get("settings", {}), **method.get("grid", {})}
    further = [c if isinstance(c, str) else f"{c['name']} ({_settings(c.get('settings', {}))})" for c in cell.get("calibrations", ())]
    # the versions last, the machine after them
    order = sorted(env.items(), key=lambda item: (item[0] in ("platform", "machine", "cpus"), item[0] != "kgzsl"))
    lines = [
        ("task", result["task"]),
        ("dataset", f"{dataset['name']}, version {dataset['version']}" + _short(" digest", dataset.get("digest"))),
        ("method", method["name"] + (f" ({_settings(settings)})" if settings else "")),
        ("head", _head(cell["generator"]) if "generator" in cell else ""),
        ("features", cell.get("backbone") or f"those of {dataset['name']}"),
        ("semantics", semantics_of(result) + (f" ({_settings(semantics['settings'])})" if semantics.get("settings") else "")),
        ("graph", cell.get("graph", "")),
        ("text vectors", cell.get("vectors", "")),
        ("calibrations", ", ".join(further)),
        ("runs", f"{len(result['runs'])}; seeds {', '.join(map(str, cell['seeds']))}; splits {_splits(result)}"),
        ("selected on", result["selected_on"]),
        ("source", str(cell.get("source", ""))),
        ("time", f"{result['seconds']:,.0f} s, peak memory {result['peak_mib']:,.0f} MiB"),
        ("environment", ", ".join(f"{name} {value}" for name, value in order)),
        ("digests", ", ".join(f"{name} {value[:12]}" for name, value in result["digests"].items())),
    ]
    return [(name, value) for name, value in lines if value]


def _settings(settings: Mapping[str, Any]) -> str:
    """Settings as `key=value`; several values are those that were chosen from."""
    return ", ".join(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in settings.items())


def _head(generator: Mapping[str, Any]) -> str:
    """What learns from a generator's rows, and how many there are of a class where that is said."""
    head = generator.get("head", "softmax")
    text = head if isinstance(head, str) else f"{head['name']} ({_settings(head.get('settings', {}))})"
    return text + (f", {generator['per_class']:,} synthetic rows of each unseen class" if "per_class" in generator else "")


def _splits(result: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(run["split"] for run in result["runs"]))
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)})"


def _short(name: str, digest: str | None) -> str:
    return f",{name} {digest[:12]}" if digest else ""


def as_markdown(results: Sequence[Mapping[str, Any]], title: str) -> str:
    """Return the tables and every result's metrics as Markdown; no charts. What results say is text, never markup."""
    plain = [_plain({key: value for key, value in result.items() if key != "evidence"}) for result in told_apart(results)]
    parts = [f"# {_plain(title)}", READING]
    for group in groups_of(plain):
        published = published_markdown(group.results, group.table)
        parts += [f"## {group.table}", group.data, markdown(rows_of(group.results, group.table), group.table), published]
    for result in plain:
        lines = [f"* {key}: {value}" for key, value in facts(result)]
        metrics = ["| protocol | metric | value | unit | interval |", "| --- | --- | --- | --- | --- |"]
        for protocol, values in result["summary"].items():
            metrics += [f"| {protocol} | {m.name} | {m.value} | {m.unit} | {m.interval} |" for m in metrics_of(values)]
        parts += [f"## {result['cell']['name']}", "\n".join(lines), "\n".join(metrics)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(value: Any) -> Any:
    """The same JSON value with its texts, keys too, on one line and without Markdown's and HTML's signs of structure."""
    if isinstance(value, str):
        return " ".join(value.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").split())
    if isinstance(value, Mapping):
        return {_plain(key): _plain(content) for key, content in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
