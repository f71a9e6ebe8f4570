"""Tables from result files; nothing in them is typed by hand."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from kgzsl.errors import InvalidInputError, MissingDataError, first_five
from kgzsl.experiments.cell import IMAGE_TASKS, method_of
from kgzsl.experiments.results import read_result


class Column(NamedTuple):
    """A column of a table: its heading, the protocol and metric it shows, and what the value is multiplied with."""

    heading: str
    protocol: str
    metric: str
    scale: float = 100.0


#: Columns of each kind of table; the first one orders the rows.
COLUMNS: dict[str, tuple[Column, ...]] = {
    "image-holdout": (
        Column("hit@1", "unseen-only", "hit@1"),
        Column("hit@5", "unseen-only", "hit@5"),
        Column("S", "gzsl", "S"),
        Column("U", "gzsl", "U"),
        Column("H", "gzsl", "H"),
        Column("AUSUC", "gzsl", "AUSUC"),
        Column("weight hit@1", "weights", "hit@1"),
    ),
    "image-hops": tuple(
        Column(f"{name}{plus} @{k}", f"{name}{plus}", f"hit@{k}")
        for name in ("2-hops", "3-hops", "All")
        for plus in ("", "+1K")
        for k in (1, 5)
    ),
    "weight-retrieval": (
        Column("hit@1 hidden", "hidden", "hit@1"),
        Column("hit@5 hidden", "hidden", "hit@5"),
        Column("hit@1 all", "all", "hit@1"),
        Column("hit@5 all", "all", "hit@5"),
        Column("cosine", "all", "mean_cosine"),
    ),
    "feature-zsl": (
        Column("T1", "zsl", "T1"),
        Column("hit@1", "zsl", "hit@1"),
        Column("S", "gzsl", "S"),
        Column("U", "gzsl", "U"),
        Column("H", "gzsl", "H"),
        Column("AUSUC", "gzsl", "AUSUC"),
        Column("H argmax", "gzsl argmax", "H"),
        Column("H oracle γ", "gzsl oracle", "H"),
    ),
    "composition-zsl": (
        Column("AUC", "closed", "AUC"),
        Column("HM", "closed", "HM"),
        Column("S", "closed", "S"),
        Column("U", "closed", "U"),
        Column("state", "closed", "state"),
        Column("object", "closed", "object"),
        Column("AUC@3", "closed", "AUC@3"),
        Column("HM, bias of validation", "closed chosen", "HM"),
        Column("AUC, 20 biases", "closed czsl-20", "AUC"),
        Column("validation AUC", "validation", "AUC"),
    ),
    "composition-open": (
        Column("AUC", "open", "AUC"),
        Column("HM", "open", "HM"),
        Column("S", "open", "S"),
        Column("U", "open", "U"),
        Column("state", "open", "state"),
        Column("object", "open", "object"),
        Column("feasible AUC", "open feasible", "AUC"),
        Column("feasible HM", "open feasible", "HM"),
    ),
    "completion": (
        Column("MRR", "test", "mrr"),
        Column("hit@10", "test", "hit@10"),
        Column("hit@5", "test", "hit@5"),
        Column("hit@1", "test", "hit@1"),
        Column("macro MRR", "test", "macro mrr"),
        Column("MRR + axioms", "test + axioms", "mrr"),
        Column("MRR of axioms alone", "axioms", "mrr"),
        Column("MRR of chance", "chance", "mrr"),
        Column("validation MRR", "validation", "mrr"),
    ),
    "decisions": (
        Column("stacking", "gzsl", "H"),
        Column("no calibration", "gzsl argmax", "H"),
        Column("temperature_bias", "gzsl temperature_bias", "H"),
        Column("cosmo", "gzsl cosmo", "H"),
        Column("boundary", "gzsl boundary", "H"),
        Column("oracle γ", "gzsl oracle", "H"),
        Column("AUSUC", "gzsl", "AUSUC"),
    ),
    "hierarchy": (
        *(
            Column(f"{name} {heading}", f"unseen-only {name}", heading, scale)
            for name in ("argmax", "loki", "chils", "backoff")
            for heading, scale in (("hit@1", 100.0), ("distance", 1.0))
        ),
        Column("backoff error", "unseen-only backoff", "error"),
    ),
}
#: The backbone of image tables whose name says none, and the graph of their rows whose name says none.
USUAL_BACKBONE, USUAL_GRAPH = "efficientnet-lite0", "imagenet"
#: Tables that show more of results that have a table already; only results with calibrations, or an open world, are in them.
FURTHER = {
    "decisions": ("image-holdout", "feature-zsl"),
    "hierarchy": ("image-holdout",),
    "composition-open": ("composition-zsl",),
}
#: Tables named after what their results share, and with a column that says what the classes are known by.
_SHARING = ("feature-zsl", "composition-zsl", "completion")


@dataclass(frozen=True)
class Row:
    """One line of a table: the result's name, what it was made with, and `(mean, std)` per column, accuracies in per cent.

    A value is None where the method has no such number.

    Attributes
    ----------
    between_seeds : standard deviation, over seeds, of the first column's mean over splits; None for fewer than two seeds or splits.
    cpu_seconds : processor time per run; None in results that did not take it.
    peak_mib : the largest resident memory of the process.
    """

    name: str
    method: str
    backbone: str
    semantics: str
    runs: int
    values: tuple[tuple[float, float] | None, ...]
    between_seeds: float | None = None
    cpu_seconds: float | None = None
    peak_mib: float | None = None


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


def tables(results: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the results of every table, by its name: a kind of `COLUMNS`, and for feature and composition sets what they share.

    Image results are in one table only where the backbone is the same; the table's name says which, unless it is the usual one.
    Feature results are in one table only where features and split are the same; it is named after the shortest dataset name.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for kind in COLUMNS:
        for result in results:
            if result["task"] in FURTHER.get(kind, (kind,)) and (kind not in FURTHER or _has(result, kind)):
                group = _group(result, results)
                name = f"{kind} {group}" if kind in FURTHER or kind in _SHARING else group
                found.setdefault(name, []).append(result)
    return found


def _has(result: Mapping[str, Any], kind: str) -> bool:
    """Whether the result has calibrations, or an open world, to show in a further table."""
    names = {column.protocol for column in COLUMNS[kind][2:]} - {"gzsl", "gzsl argmax", "gzsl oracle"}
    return bool(names & set(result["summary"]))


def _group(result: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> str:
    """An image result's task, with its backbone unless that is the usual one; of others a dataset's name, of like ones the shortest."""
    if result["task"] in ("composition-zsl", "completion"):
        return str(result["dataset"]["name"])
    if result["task"] != "feature-zsl":
        own = str(result["cell"].get("backbone", USUAL_BACKBONE))
        return str(result["task"]) if own == USUAL_BACKBONE else f"{result['task']} {own}"

    def same(r: Mapping[str, Any]) -> tuple[str, str]:
        return r["digests"]["features"], r["runs"][0]["split_digest"]

    alike = [r["dataset"]["name"] for r in results if r["task"] == "feature-zsl" and same(r) == same(result)]
    return str(min(alike, key=lambda name: (len(name), name)))


def rows_of(results: Sequence[Mapping[str, Any]], table: str) -> list[Row]:
    """Return the rows of one table (see `tables`), best first by its first column.

    Raises
    ------
    InvalidInputError : the results make no such table.
    """
    kind = table.split(" ")[0]
    if kind not in COLUMNS:
        raise InvalidInputError("a known table is needed", received=repr(table), remedy=f"choose from: {', '.join(COLUMNS)}")
    rows = []
    for result in tables(results).get(table, []):
        summary, cell = result["summary"], result["cell"]
        cells = [summary.get(column.protocol, {}).get(column.metric) for column in COLUMNS[kind]]
        scales = [column.scale for column in COLUMNS[kind]]
        rows.append(
            Row(
                name=cell["name"],
                method=_label(cell),
                backbone=cell.get("backbone", ""),
                semantics=semantics_of(result),
                runs=len(result["runs"]),
                values=tuple((k * c["mean"], k * c["std"]) if c else None for k, c in zip(scales, cells, strict=True)),
                between_seeds=_between_seeds(result["runs"], COLUMNS[kind][0]),
                cpu_seconds=result["cpu_seconds"] / len(result["runs"]) if "cpu_seconds" in result else None,
                peak_mib=result["peak_mib"],
            )
        )
    return sorted(rows, key=lambda row: -(row.values[0] or (0.0, 0.0))[0])


def _between_seeds(runs: Sequence[Mapping[str, Any]], column: Column) -> float | None:
    """Return how far the seeds' means over splits lie apart; the spread of all runs is mostly that of the splits."""
    values: dict[int, list[float]] = {}
    for run in runs:
        value = run["protocols"].get(column.protocol, {}).get(column.metric)
        if value is not None:
            values.setdefault(run["seed"], []).append(column.scale * value)
    if len(values) < 2 or min(map(len, values.values())) < 2:
        return None
    return stdev(fmean(found) for found in values.values())


def semantics_of(result: Mapping[str, Any]) -> str:
    """Return what the classes of a result are known by: a text encoder, an encoder on a graph, or the dataset's own table."""
    cell = result["cell"]
    if result.get("task") == "composition-zsl":
        return ", ".join([_features_of(cell), *([f"{cell['vectors']} on {cell['graph']}"] if "graph" in cell else [])])
    if result.get("task") == "completion":
        told = cell.get("semantics", {})
        graph = told.get("encoder", "random_walk") if told.get("kind", "text") != "text" else ""
        return " by ".join(part for part in (told.get("kind", "none"), graph) if part)
    if "semantics" in cell:
        told, vectors = cell["semantics"], "" if cell["vectors"] == "minilm-l6-v2" else f" ({cell['vectors']})"
        return f"{told['encoder']}{vectors}{' nodes' if told.get('space') == 'nodes' else ''} on {cell['graph']}"
    if "vectors" in cell:
        return f"{cell['vectors']}{' + descriptions' if cell.get('descriptions') else ''}"
    return str(result["dataset"].get("semantics", "own"))


def _features_of(cell: Mapping[str, Any]) -> str:
    """What the images of a composition set are known by: a frozen backbone, or how one was trained on."""
    if "finetune" not in cell:
        return str(cell["backbone"])
    tuning = cell["finetune"]
    if tuning.get("epochs") == 0:
        return "the backbone's " + ("parts" if tuning.get("early", True) or tuning.get("colours", True) else "last map")
    return f"{tuning.get('configuration', 'small')} network fine-tuned"


def _label(cell: Mapping[str, Any]) -> str:
    """The method's name, with its kernels when only some are used, those beside the usual ones, and descriptions where it had them.

    A generator's name, with its head unless that is the usual softmax.
    """
    if "generator" in cell:
        head = cell["generator"].get("head", "softmax")
        kind = head if isinstance(head, str) else head["name"]
        return str(cell["generator"]["name"]) + ("" if kind == "softmax" else f" ({kind} head)")
    settings = cell["method"].get("settings", {})
    kernels = settings.get("kernels")
    name: str = cell["method"]["name"]
    name = f"{name} ({', '.join(kernels)} only)" if kernels else name
    more = [*settings.get("also", ()), *(["descriptions"] if cell.get("descriptions") else [])]
    if cell.get("task") in IMAGE_TASKS and cell["graph"] != USUAL_GRAPH:
        name = f"{name} on {cell['graph']}"
    if cell["method"].get("classifier", {}).get("name") == "refined_regression":
        more.append("refined")
    if cell.get("task") == "composition-zsl":
        return _variant(cell)
    return " + ".join([name, *more])


def _variant(cell: Mapping[str, Any]) -> str:
    """The method's name, and what its cell's name adds to it: `naeem2021_cge-colours_fashion` is `cge` (colours)."""
    method = str(cell["method"]["name"])
    _, told, _ = cell["name"].split("_", 2) if cell["name"].count("_") >= 2 else ("", "", "")
    more = told.removeprefix(method.replace("_", "-")).strip("-")
    return f"{method} ({more.replace('-', ' ')})" if more and more != told else method


def markdown(rows: Sequence[Row], table: str) -> str:
    """Return a Markdown table; mean ± standard deviation where there are several runs. Columns without a value are left out."""
    columns = COLUMNS[table.split(" ")[0]]
    shown = [k for k in range(len(columns)) if any(row.values[k] for row in rows)]
    kind = table.split(" ")[0]
    varied = kind in _SHARING or kind == "composition-open"
    seeds, timed = (any(getattr(row, name) is not None for row in rows) for name in ("between_seeds", "cpu_seconds"))
    further = [*(["± seeds"] if seeds else []), "runs", *(["CPU s/run", "MiB"] if timed else [])]
    lines_of = [
        [
            "method",
            *(["features and knowledge" if "composition" in kind else "semantics"] if varied else []),
            *(columns[k].heading for k in shown),
            *further,
        ]
    ]
    for row in rows:
        cells = [value_text(row.values[k], row.runs, columns[k].scale) for k in shown]
        method = f"`{row.method}`" if " " not in row.method else row.method
        cost = [_number(row.cpu_seconds), _number(row.peak_mib)] if timed else []
        cells += [*([_number(row.between_seeds, 1)] if seeds else []), str(row.runs), *cost]
        lines_of.append([method, *([row.semantics] if varied else []), *cells])
    widths = [max(len(line[k]) for line in lines_of) for k in range(len(lines_of[0]))]  # aligned, to read well in a terminal too
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines_of]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def value_text(value: tuple[float, float] | None, runs: int, scale: float) -> str:
    """Return mean ± standard deviation, or the value of a single run; a dash where there is none."""
    digits = 1 if scale == 100 else 2
    if value is None:
        return "–"
    return f"{value[0]:.{digits}f} ± {value[1]:.{digits}f}" if runs > 1 else f"{value[0]:.{digits}f}"


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def published_markdown(results: Sequence[Mapping[str, Any]], table: str) -> str:
    """Return the published numbers that the cells of a table carry, comparable or not and why, without repeats."""
    seen: dict[tuple[Any, ...], str] = {}
    for result in tables(results).get(table, []) if table.split(" ")[0] not in FURTHER else []:
        for entry in result["cell"].get("published", ()):
            note = ("comparable" if entry["comparable"] else "not comparable") + (f": {entry['why']}" if "why" in entry else "")
            key = (method_of(result["cell"])["name"], entry["metric"], entry["source"])
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
