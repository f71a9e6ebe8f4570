"""The page: what the template needs, from checked results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kgzsl.experiments.cell import method_of
from kgzsl.experiments.leaderboard import COLUMNS, FURTHER, Row, rows_of, semantics_of, value_text
from kgzsl.experiments.report.charts import CURVES, curve_of, drawing
from kgzsl.experiments.report.groups import Group, groups_of, told_apart
from kgzsl.experiments.report.pictures import Pictures
from kgzsl.experiments.report.words import READING, facts, metrics_of

#: Bars per kind of class (all of them up to `ALL`), confusions and thumbnails of one result.
ALL, WORST, BEST, CONFUSIONS, THUMBNAILS = 60, 25, 10, 25, 24
#: Columns where less is better, and the method that has the true classifiers and so is never the best.
SMALLER_IS_BETTER, CEILING = {"distance", "error"}, "oracle"


def as_html(results: Sequence[Mapping[str, Any]], title: str, images: Path | None = None, *, opened: bool = False) -> str:
    """Return the page; everything it shows stands in it, every text from a result is escaped, and `opened` folds nothing."""
    import jinja2

    import kgzsl

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kgzsl.experiments.report", "."), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    named = told_apart(results)
    anchors = {result["cell"]["name"]: f"result-{number}" for number, result in enumerate(named, start=1)}
    pictures = Pictures(images)
    shown = [_shown(result, anchors, pictures) for result in named]
    return environment.get_template("report.html.j2").render(
        title=title,
        reading=READING,
        version=kgzsl.__version__,
        tables=[_table(group, anchors, number) for number, group in enumerate(groups_of(named), start=1)],
        results=shown,
        missing=list(pictures.missing),
        opened=opened or len(named) == 1,
    )


def _table(group: Group, anchors: Mapping[str, str], number: int) -> dict[str, Any]:
    """Headings, rows with the best value of each column marked, the curves of its results, and published numbers."""
    kind = group.table.split(" ")[0]
    rows, columns, further = rows_of(group.results, group.table), COLUMNS[kind], kind in FURTHER
    shown = [k for k in range(len(columns)) if any(row.values[k] for row in rows)]
    best = {k: _best(rows, k, columns[k].metric in SMALLER_IS_BETTER) for k in shown}
    lines = []
    for row in rows:
        texts = [value_text(row.values[k], row.runs, columns[k].scale) for k in shown]
        marks = [row.method != CEILING and value is not None and value[0] == best[k] for k in shown for value in [row.values[k]]]
        lines.append({"anchor": anchors[row.name], "row": row, "cells": list(zip(texts, marks, strict=True))})
    order = {row.name: k for k, row in enumerate(rows)}
    curves = [] if further else [curve_of(r) for r in sorted(group.members, key=lambda r: order[r["cell"]["name"]])]
    drawn = [curve for curve in curves if curve]
    return {
        "anchor": f"table-{number}",
        "name": group.table,
        "data": group.data,
        "headings": [columns[k].heading for k in shown],
        "rows": lines,
        "marked": any(value is not None for value in best.values()),
        "ceiling": CEILING if any(row.method == CEILING for row in rows) else "",
        "semantics": len({row.semantics for row in rows}) > 1,
        "chart": drawing(drawn[:CURVES]),
        "left_out": len(drawn[CURVES:]),
        "without": len(curves) - len(drawn),
        "published": [] if further else _published(group.members),
    }


def _best(rows: Sequence[Row], column: int, smaller: bool) -> float | None:
    """The best mean of a column; None where there is nothing to compare."""
    means = [value[0] for row in rows if row.method != CEILING and (value := row.values[column])]
    return (min(means) if smaller else max(means)) if len(means) > 1 else None


def _published(members: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The published numbers of the members' cells, each once."""
    found = {}
    for result in members:
        for entry in result["cell"].get("published", ()):
            method = method_of(result["cell"])["name"]
            found[method, entry["metric"], entry["source"]] = {"method": method, "why": "", **entry}
    return list(found.values())


def _shown(result: Mapping[str, Any], anchors: Mapping[str, str], pictures: Pictures) -> dict[str, Any]:
    """Everything of one result."""
    evidence = result.get("evidence", {"classes": [], "protocols": {}})
    labels = [label for _, label in evidence["classes"]]
    curve = curve_of(result)
    metrics = [(protocol, metrics_of(values)) for protocol, values in result["summary"].items()]
    return {
        "anchor": anchors[result["cell"]["name"]],
        "name": result["cell"]["name"],
        "facts": facts(result),
        "summary": f"{result['task']}, {result['dataset']['name']}: {method_of(result['cell'])['name']}, {semantics_of(result)}",
        "metrics": metrics,
        "intervals": any(metric.interval for _, values in metrics for metric in values),
        "chart": drawing([curve] if curve else []),
        "protocols": [_protocol(name, content, labels) for name, content in evidence["protocols"].items()],
        "neighbours": [(labels[place], [tuple(n) for n in found]) for place, found in evidence.get("neighbours", [])],
        "photos": _photos(result, evidence["protocols"], labels, pictures),
    }


def _protocol(name: str, content: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Bars of unseen and of seen classes, worst first, and the confusions."""
    sides = []
    for what, wanted in (("unseen", False), ("seen", True)):
        bars = [
            {"label": labels[place], "share": 100 * right / rows, "right": right, "rows": rows}
            for place, seen, rows, right in content["per_class"]
            if seen == wanted and rows
        ]
        bars.sort(key=lambda bar: (bar["share"], -bar["rows"], bar["label"]))
        cut, never = len(bars) > ALL, sum(bar["right"] == 0 for bar in bars)
        if bars:
            worst, best = (bars[:WORST], bars[-BEST:]) if cut else (bars, [])
            sides.append({"what": what, "count": len(bars), "never": never, "worst": worst, "best": best})
    pairs = [
        {"true": labels[place], "answer": labels[answer], "rows": rows, "relation": relation}
        for place, answer, rows, relation in content["confusions"][:CONFUSIONS]
    ]
    return {"name": name, "sides": sides, "confusions": pairs}


def _photos(result: Mapping[str, Any], protocols: Mapping[str, Any], labels: Sequence[str], pictures: Pictures) -> list[dict[str, str]]:
    """Thumbnails of wrong answers, of each row once, with the protocol that answered so."""
    errors: dict[str, tuple[str, int, int]] = {}
    for name, content in protocols.items():
        for row, true, answer in content.get("errors", ()):
            errors.setdefault(row, (name, true, answer))
    found = pictures.find(result, errors)
    shown = [(uri, *errors[row]) for row, uri in found.items()][:THUMBNAILS]
    return [{"data": uri, "protocol": name, "true": labels[true], "answer": labels[answer]} for uri, name, true, answer in shown]
