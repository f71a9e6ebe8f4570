"""Tables from result files; nothing in them is typed by hand."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgzsl.errors import InvalidInputError, MissingDataError, first_five
from kgzsl.experiments.results import read_result

#: Columns `(heading, protocol, metric)` of each task's table; the first one orders the rows.
COLUMNS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "image-holdout": (
        ("hit@1", "unseen-only", "hit@1"),
        ("hit@5", "unseen-only", "hit@5"),
        ("S", "gzsl", "S"),
        ("U", "gzsl", "U"),
        ("H", "gzsl", "H"),
        ("AUSUC", "gzsl", "AUSUC"),
        ("weight hit@1", "weights", "hit@1"),
    ),
    "image-hops": tuple(
        (f"{name}{plus} @{k}", f"{name}{plus}", f"hit@{k}") for name in ("2-hops", "3-hops", "All") for plus in ("", "+1K") for k in (1, 5)
    ),
    "weight-retrieval": (
        ("hit@1 hidden", "hidden", "hit@1"),
        ("hit@5 hidden", "hidden", "hit@5"),
        ("hit@1 all", "all", "hit@1"),
        ("hit@5 all", "all", "hit@5"),
        ("cosine", "all", "mean_cosine"),
    ),
}


@dataclass(frozen=True)
class Row:
    """One line of a table: the result's name, what it was made with, and `(mean, std)` per column in per cent.

    A value is None where the method has no such number.
    """

    name: str
    method: str
    backbone: str
    vectors: str
    runs: int
    values: tuple[tuple[float, float] | None, ...]


def collect(paths: Sequence[str | os.PathLike[str]]) -> list[dict[str, Any]]:
    """Read the result files, given as files or folders; raises MissingDataError when there is none."""
    listed = [Path(p) for p in paths]
    found = [f for p in listed for f in (sorted(p.glob("*.json")) if p.is_dir() else [p])]
    absent = [p for p in listed if not p.exists()]
    if not found or absent:
        raise MissingDataError(
            "a leaderboard needs result files",
            received=f"no such file or folder: {first_five(absent)}" if absent else f"no .json file in {first_five(listed)}",
            remedy="`kgzsl experiment run NAME -o FOLDER` makes them",
        )
    return [read_result(f) for f in found]


def rows_of(results: Sequence[Mapping[str, Any]], task: str) -> list[Row]:
    """Return the rows of one task's table, best first by its first column."""
    if task not in COLUMNS:
        raise InvalidInputError("a known task is needed", received=repr(task), remedy=f"choose from: {', '.join(COLUMNS)}")
    rows = []
    for result in results:
        if result["task"] != task:
            continue
        summary = result["summary"]
        cells = [summary.get(protocol, {}).get(metric) for _, protocol, metric in COLUMNS[task]]
        cell = result["cell"]
        rows.append(
            Row(
                name=cell["name"],
                method=_label(cell),
                backbone=cell["backbone"],
                vectors=cell["vectors"],
                runs=len(result["runs"]),
                values=tuple((100 * c["mean"], 100 * c["std"]) if c else None for c in cells),
            )
        )
    return sorted(rows, key=lambda row: -(row.values[0] or (0.0, 0.0))[0])


def _label(cell: Mapping[str, Any]) -> str:
    """The method's name, with its kernels when only some are used, and with descriptions where it had them."""
    kernels = cell["method"].get("settings", {}).get("kernels")
    name: str = cell["method"]["name"]
    name = f"{name} ({', '.join(kernels)} only)" if kernels else name
    return f"{name} + descriptions" if cell.get("descriptions") else name


def markdown(rows: Sequence[Row], task: str) -> str:
    """Return a Markdown table; values in per cent, mean ± standard deviation where there are several runs."""
    head = ["method", *(heading for heading, _, _ in COLUMNS[task]), "runs"]
    table = [head]
    for row in rows:
        cells = ["–" if v is None else f"{v[0]:.1f} ± {v[1]:.1f}" if row.runs > 1 else f"{v[0]:.1f}" for v in row.values]
        table.append([f"`{row.method}`" if " " not in row.method else row.method, *cells, str(row.runs)])
    widths = [max(len(line[k]) for line in table) for k in range(len(head))]  # aligned, so that it reads well in a terminal too
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in table]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def published_markdown(results: Sequence[Mapping[str, Any]], task: str) -> str:
    """Return the published numbers that the cells of a task carry, comparable or not and why, without repeats."""
    seen: dict[tuple[Any, ...], str] = {}
    for result in results:
        if result["task"] != task:
            continue
        for entry in result["cell"].get("published", ()):
            note = "comparable" if entry["comparable"] else f"not comparable: {entry['why']}"
            key = (result["cell"]["method"]["name"], entry["metric"], entry["source"])
            seen[key] = f"| {key[0]} | {key[1]} | {entry['value']} | {entry['source']} | {note} |"
    return "\n".join(["| method | metric | published | source | here |", "| --- | --- | --- | --- | --- |", *seen.values()]) if seen else ""


def update_document(path: str | os.PathLike[str], tables: Mapping[str, str]) -> None:
    """Replace what stands between `<!-- table: NAME -->` and `<!-- end -->` in a Markdown file.

    Raises
    ------
    InvalidInputError : a table's markers are missing.
    """
    from kgzsl.artifacts import atomic_file

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError("the document to update is a UTF-8 text file", received=f"{path}: {error}") from error
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise InvalidInputError(
                "the document holds markers for the table", received=f"no <!-- table: {name} --> … <!-- end --> in {path}"
            )
        text = pattern.sub(lambda match: f"{match[1]}{table}\n{match[2]}", text)  # noqa: B023  (used within the iteration)
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
