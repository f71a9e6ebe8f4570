"""One self-contained page from result files: tables, curves, classes, confusions; as HTML, Markdown or PDF."""

from __future__ import annotations

import base64
import io
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError
from kgzsl.experiments.leaderboard import COLUMNS, FURTHER, markdown, published_markdown, rows_of, semantics_of, tables, value_text

SUFFIXES = (".html", ".md", ".pdf")
#: Bars per kind of class, confusions and thumbnails of one result.
WORST, BEST, CONFUSIONS, THUMBNAILS = 25, 10, 25, 24
#: Curves in one drawing, those of the first rows of its table.
CURVES = 5
#: Longer side of a thumbnail in pixels.
PIXELS = 160
#: Names under which a browser that prints is looked for.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


def write_report(
    results: Sequence[Mapping[str, Any]], out: str | os.PathLike[str], *, title: str = "kgzsl report", images: Path | None = None
) -> Path:
    """Write a report of `results` to a `.html`, `.md` or `.pdf` file and return its path.

    Parameters
    ----------
    results : checked results (see `experiments.results`).
    images : folder that the row ids of image features are relative to; None finds those of the known benchmarks.

    Raises
    ------
    InvalidInputError : another suffix.
    MissingDataError : a PDF is asked for and there is no browser that prints it.
    """
    from kgzsl.artifacts import atomic_file

    path = Path(out)
    if path.suffix not in SUFFIXES:
        raise InvalidInputError(
            "a report is written as a known kind of file", received=path.name, remedy=f"end it in {', '.join(SUFFIXES)}"
        )
    text = as_markdown(results, title) if path.suffix == ".md" else as_html(results, title, images, opened=path.suffix == ".pdf")
    with atomic_file(path) as temporary:
        if path.suffix == ".pdf":
            _print(text, temporary)
        else:
            temporary.write_text(text, encoding="utf-8")
    return path


def as_markdown(results: Sequence[Mapping[str, Any]], title: str) -> str:
    """Return the tables and every result's metrics as Markdown; no charts."""
    parts = [f"# {title}", "Accuracies in per cent, distances in edges; ± is the standard deviation over runs."]
    for name in tables(results):
        parts += [f"## {name}", markdown(rows_of(results, name), name), published_markdown(results, name)]
    for result in results:
        lines = [f"* {key}: {value}" for key, value in facts(result)]
        metrics = ["| protocol | metric | mean | std |", "| --- | --- | --- | --- |"]
        metrics += [f"| {p} | {m} | {v['mean']:.4g} | {v['std']:.2g} |" for p, ms in result["summary"].items() for m, v in ms.items()]
        parts += [f"## {result['cell']['name']}", "\n".join(lines), "\n".join(metrics)]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_html(results: Sequence[Mapping[str, Any]], title: str, images: Path | None = None, *, opened: bool = False) -> str:
    """Return the page; everything it shows stands in it, every text from a result is escaped, and `opened` folds nothing."""
    import jinja2

    import kgzsl

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kgzsl.experiments", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html.j2")
    named = [_table(results, name) for name in tables(results)]
    shown = [_shown(result, images) for result in results]
    return page.render(title=title, version=kgzsl.__version__, tables=named, results=shown, opened=opened)


def facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a result was made with, as `(name, value)` lines."""
    cell, dataset, env = result["cell"], result["dataset"], result["environment"]
    settings = {**cell["method"].get("settings", {}), **({"grid": cell["method"]["grid"]} if "grid" in cell["method"] else {})}
    lines = [
        ("dataset", f"{dataset['name']}, version {dataset['version']}"),
        ("method", cell["method"]["name"] + (f", {settings}" if settings else "")),
        ("features", cell.get("backbone") or f"those of {dataset['name']}"),
        ("semantics", semantics_of(result)),
        ("graph", cell.get("graph", "")),
        ("runs", f"{len(result['runs'])}, seeds {', '.join(map(str, cell['seeds']))}"),
        ("selected on", result["selected_on"]),
        ("source", str(cell.get("source", ""))),
        ("time", f"{result['seconds']:.0f} s, peak memory {result['peak_mib']:,.0f} MiB"),
        ("versions", f"kgzsl {env['kgzsl']} at {env['commit']}, Python {env['python']}, torch {env['torch']}"),
        ("digests", ", ".join(f"{name} {value[:12]}" for name, value in result["digests"].items())),
    ]
    return [(name, value) for name, value in lines if value]


def _table(results: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Headings, rows with the best value of each column marked, the curves of its results, and published numbers."""
    kind, rows = name.split(" ")[0], rows_of(results, name)
    columns = COLUMNS[kind]
    shown = [k for k in range(len(columns)) if any(row.values[k] for row in rows)]
    lines = []
    for row in rows:
        cells = []
        for k in shown:
            column, value = [r.values[k] for r in rows], row.values[k]
            means = [v[0] for v in column if v]
            small = columns[k].metric in ("distance", "error")
            best = value is not None and len(means) > 1 and value[0] == (min(means) if small else max(means))
            text = value_text(value, row.runs, columns[k].scale)
            cells.append((text, best))
        lines.append(
            {"name": row.name, "method": row.method, "semantics": row.semantics, "backbone": row.backbone, "cells": cells, "runs": row.runs}
        )
    grouped = [] if kind in FURTHER else tables(results)[name]
    published = {
        (r["cell"]["method"]["name"], e["metric"], e["source"]): {"method": r["cell"]["method"]["name"], **e}
        for r in grouped
        for e in r["cell"].get("published", ())
    }
    order = {row.name: k for k, row in enumerate(rows)}
    return {
        "name": name,
        "headings": [columns[k].heading for k in shown],
        "rows": lines,
        "published": list(published.values()),
        "curves": _drawn(sorted(grouped, key=lambda r: order[r["cell"]["name"]])),
    }


def _curve_of(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """The seen–unseen curve of a result, `[(S, U)]` and the chosen point in 0…1; None where there is none."""
    return next((p for p in result.get("evidence", {}).get("protocols", {}).values() if "curve" in p), None)


def _drawn(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The curves in a drawing of 100 × 100, in which up is down, and the accuracy in per cent at its far edges."""
    curves = [(r, found) for r in results if (found := _curve_of(r))][:CURVES]
    far = max((value for _, c in curves for point in c["curve"] for value in point), default=1.0)
    limit = 25 * max(1, math.ceil(4 * far))
    lines = []
    for k, (result, content) in enumerate(curves):
        placed = [(1e4 * s / limit, 100 - 1e4 * u / limit) for s, u in [*content["curve"], content["chosen"]]]
        s, u = content["chosen"]
        label = f"{result['cell']['method']['name']}, {semantics_of(result)} (S {100 * s:.1f}, U {100 * u:.1f})"
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed[:-1])
        lines.append({"label": label, "kind": k, "points": points, "x": placed[-1][0], "y": placed[-1][1]})
    return {"limit": limit, "lines": lines}


def _shown(result: Mapping[str, Any], images: Path | None) -> dict[str, Any]:
    evidence = result.get("evidence", {"classes": [], "protocols": {}})
    labels = [label for _, label in evidence["classes"]]
    metrics = [
        (protocol, [(name, f"{v['mean']:.4g}", f"{v['std']:.2g}" if v["runs"] > 1 else "") for name, v in values.items()])
        for protocol, values in result["summary"].items()
    ]
    protocols = [_protocol(name, content, labels) for name, content in evidence["protocols"].items()]
    near = [(labels[c], [tuple(n) for n in found]) for c, found in evidence.get("neighbours", [])]
    return {
        "name": result["cell"]["name"],
        "facts": facts(result),
        "metrics": metrics,
        "protocols": protocols,
        "neighbours": near,
        **_photos(result, images, labels),
    }


def _protocol(name: str, content: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Bars of unseen and of seen classes, worst first, and the confusions."""
    sides = []
    for what, wanted in (("unseen", False), ("seen", True)):
        bars = sorted(
            (
                {"label": labels[c], "share": 100 * right / rows, "right": right, "rows": rows}
                for c, s, rows, right in content["per_class"]
                if s == wanted
            ),
            key=lambda bar: (bar["share"], bar["label"]),
        )
        if bars:
            cut = len(bars) > WORST + BEST
            sides.append({"what": what, "count": len(bars), "worst": bars[:WORST] if cut else bars, "best": bars[-BEST:] if cut else []})
    confusions = [
        {"true": labels[c], "answer": labels[a], "rows": rows, "relation": relation}
        for c, a, rows, relation in content["confusions"][:CONFUSIONS]
    ]
    return {"name": name, "sides": sides, "confusions": confusions}


def _photos(result: Mapping[str, Any], images: Path | None, labels: Sequence[str]) -> dict[str, Any]:
    """Thumbnails of wrong answers where the images are on this machine, else why there are none."""
    errors: Sequence[Any] = next((p["errors"] for p in result.get("evidence", {}).get("protocols", {}).values() if p.get("errors")), [])
    if not errors or "backbone" not in result["cell"]:
        return {"photos": [], "no_photos": ""}
    files = _image_files(result["dataset"]["name"], images)
    found: list[dict[str, str]] = []
    for row, true, answer in errors:
        file = files.get(row)
        if file is not None and len(found) < THUMBNAILS:
            found.append({"data": _thumbnail(file), "true": labels[true], "answer": labels[answer]})
    return {"photos": found, "no_photos": "" if found else "The images are not on this machine (see --images)."}


def _image_files(dataset: str, images: Path | None) -> dict[str, Path]:
    """Row id → file, of a given folder or of a benchmark below `KGZSL_DATA`."""
    if images is not None:
        return {p.relative_to(images).as_posix(): p for p in images.rglob("*") if p.is_file()} | {
            p.name: p for p in images.rglob("*") if p.is_file()
        }
    from kgzsl import datasets

    known = {"imagenet-samples": datasets.samples, "caltech101-unseen": datasets.caltech101_unseen}
    if dataset not in known:
        return {}
    try:
        found = known[dataset]()
    except MissingDataError:
        return {}
    return {p.relative_to(found.root).as_posix(): p for p in found.paths} | {p.name: p for p in found.paths}


def _thumbnail(file: Path) -> str:
    """The image as a small JPEG in a data URI."""
    from PIL import Image

    with Image.open(file) as opened:
        small = opened.convert("RGB")
        small.thumbnail((PIXELS, PIXELS))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _print(page: str, out: Path) -> None:
    """Print a page to PDF with a headless browser."""
    given = os.environ.get("KGZSL_BROWSER")
    browser = given or next((found for found in map(shutil.which, BROWSERS) if found), None)
    if not browser:
        raise MissingDataError(
            "a PDF is printed by Chromium or Chrome",
            received=f"none of {', '.join(BROWSERS)} on the PATH",
            remedy="install one, name it in KGZSL_BROWSER, or write .html and print that",
        )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={folder}/profile"]
        try:
            done = subprocess.run(
                [browser, *options, f"--print-to-pdf={target}", source.as_uri()], capture_output=True, text=True, timeout=180, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KgzslError("the browser prints the page", received=str(error), remedy="check KGZSL_BROWSER") from error
        if not target.is_file():
            raise KgzslError("the browser prints the page", received=done.stderr.strip()[-300:] or f"exit status {done.returncode}")
        out.write_bytes(target.read_bytes())
