"""`kgzsl graph audit` and `kgzsl graph bound`: what a split gives away, and what its attributes cannot tell apart."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgzsl.cli.inputs import BACKBONE_HELP, CLASSES_HELP, GRAPH_HELP
from kgzsl.cli.output import emit_json, emit_table

if TYPE_CHECKING:
    from kgzsl.graphs.audit import ClassRow, SplitAudit
    from kgzsl.graphs.bound import AttributeTable
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.link import SenseOrder

ATTRIBUTES_HELP = (
    "A feature set with attributes (`kgzsl list feature-sets`), or a TSV file: a line of attribute names, then an id and values."
)
PER_CENT_HELP = "The attributes' values are in 0…100."
GREEDY_HELP = "How many attributes to choose greedily for the bound (at most 12)."
REPORT_HELP = "Write a row per unseen class to this TSV file."
FREQUENCY_HELP = "Words by frequency: `glove` (the packaged table's order), `none`, or a TSV file of words and counts."
#: Columns of the report, and what of a row is joined with spaces.
_JOINED = ("nested_in", "nearest", "namesakes")


def audit(
    graph: Annotated[str, typer.Option("--graph", help=GRAPH_HELP)] = "imagenet",
    seen: Annotated[str, typer.Option("--seen", help=f"Seen classes. {CLASSES_HELP}")] = "imagenet-1k",
    unseen: Annotated[str, typer.Option("--unseen", help=f"Unseen classes. {CLASSES_HELP}")] = ...,  # type: ignore[assignment]
    images: Annotated[
        Path | None, typer.Option("--images", help="Images per class, TSV: id and count.", exists=True, dir_okay=False)
    ] = None,
    frequency: Annotated[str, typer.Option("--frequency", help=FREQUENCY_HELP)] = "glove",
    relation: Annotated[str, typer.Option("--relation", help="The taxonomy of the graph.")] = "hypernym",
    rare_rank: Annotated[int, typer.Option("--rare-rank", min=1, help="Words from this place by frequency on are rare.")] = 100_000,
    few_images: Annotated[int, typer.Option("--few-images", min=1, help="Fewer images than these are few.")] = 100,
    features: Annotated[
        Path | None, typer.Option("--features", help="Features with labels of unseen classes' images: score the trivial solution on them.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option("--scores", help="The same, of rows that are scores of the seen classes in the order of --seen.")
    ] = None,
    weights: Annotated[Path | None, typer.Option("--weights", help="For --features: classifier weights of the seen classes.")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help=f"For --features. {BACKBONE_HELP}")] = None,
    attributes: Annotated[str | None, typer.Option("--attributes", help=f"Bound what they tell apart. {ATTRIBUTES_HELP}")] = None,
    per_cent: Annotated[bool, typer.Option("--per-cent", help=PER_CENT_HELP)] = False,
    greedy: Annotated[int, typer.Option("--greedy", min=1, max=12, help=GREEDY_HELP)] = 8,
    report: Annotated[Path | None, typer.Option("--report", "-o", help=REPORT_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Audit a split: classes nested in seen ones, other meanings, rare words, distances, and the trivial solution.

    The trivial solution gives each unseen class the probabilities of the seen classes nearest to it in the graph; what a method
    scores above it is its own (Hascoet et al., CVPR 2019).

    Examples:

    `kgzsl graph audit --graph imagenet --seen imagenet-1k --unseen imagenet-2-hops -o audit.tsv`

    `kgzsl graph audit --unseen imagenet-2-hops --features caltech.features --backbone efficientnet-lite0`
    """
    from kgzsl.cli.inputs import open_classes, open_graph, open_targets
    from kgzsl.errors import InvalidInputError
    from kgzsl.graphs.audit import audit_split

    if features and scores:
        raise InvalidInputError("images come as --features or as --scores", received="both")
    if (weights or backbone) and not features:
        raise InvalidInputError("--weights and --backbone score --features", received="no --features")
    seen_ids, unseen_ids = open_classes(seen), open_classes(unseen)
    table = None if attributes is None else _attribute_table(attributes, per_cent, unseen_ids)
    counts = None if images is None else _counts(images, "images per class")
    opened = open_graph(graph)
    senses = _senses(opened)
    ranks, source = _ranks(frequency)
    found = audit_split(
        opened,
        seen_ids,
        unseen_ids,
        relation=relation,
        senses=senses,
        ranks=ranks,
        images=counts,
        sources={"senses": "WordNet 3.0", "frequency": source, "images": str(images)},
        rare_rank=rare_rank,
        few_images=few_images,
    )
    record = found.summary()
    if features or scores:
        from kgzsl.matrices import Features
        from kgzsl.tasks.trivial import trivial_metrics

        targets = open_targets(weights, backbone, None, None) if features else None
        record["trivial_solution"]["measured"] = trivial_metrics(
            found.nearest, [r.id for r in found.rows], Features.load(features or scores or ""), targets
        )
    if table is not None:
        record["attributes"] = _bound(*table, greedy)
    if report is not None:
        _write_rows(found, report)
    if as_json:
        emit_json(record)
        return
    emit_table(["what", "unseen classes", "of them"], _lines(record, found), title=f"{opened.name}: {seen} → {unseen}")
    if table is not None:
        _emit_bound(record["attributes"])


def bound(
    attributes: Annotated[str, typer.Argument(help=ATTRIBUTES_HELP)],
    classes: Annotated[str | None, typer.Option("--classes", help="Classes to tell apart; default: a feature set's unseen ones.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="The split of a feature set, such as proposed.")] = None,
    per_cent: Annotated[bool, typer.Option("--per-cent", help=PER_CENT_HELP)] = False,
    greedy: Annotated[int, typer.Option("--greedy", min=1, max=12, help=GREEDY_HELP)] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bound the error of telling classes apart by attributes, in the worst case and with perfect detectors.

    Attributes are chosen greedily, as the linear program has a variable for each of 2ⁿ attribute vectors; pairs of classes are
    bounded with all attributes (Mazzetto et al., NeurIPS 2022).

    Examples:

    `kgzsl graph bound awa1 --split proposed --per-cent`

    `kgzsl graph bound my_attributes.tsv --classes unseen.txt --greedy 6`
    """
    from kgzsl.cli.inputs import open_classes

    wanted = open_classes(classes) if classes is not None else None
    record = _bound(*_attribute_table(attributes, per_cent, wanted, split), greedy)
    if as_json:
        emit_json(record)
        return
    _emit_bound(record)


def _senses(graph: KnowledgeGraph) -> SenseOrder | None:
    """WordNet's sense order where the graph holds WordNet 3.0 and its files are here."""
    from kgzsl import data
    from kgzsl.errors import MissingDataError
    from kgzsl.sources import sense_order

    if not any(i.startswith("wn30:") for i in graph.ids):
        return None
    try:
        return sense_order(data.locate("wordnet-3.0"))
    except MissingDataError:
        return None  # the report names the graph as the source of meanings then


def _ranks(frequency: str) -> tuple[dict[str, int] | None, str]:
    if frequency == "none":
        return None, ""
    if frequency == "glove":
        from kgzsl.vectors.glove import frequency_ranks

        return frequency_ranks(), "GloVe 6B's order of words"
    counts = _counts(Path(frequency), "words and their counts", ids=False)
    order = sorted(counts, key=lambda w: (-counts[w], w))
    return {word: place for place, word in enumerate(order)}, frequency


def _counts(path: Path, what: str, *, ids: bool = True) -> dict[str, int]:
    """Read `key<tab>count` lines; keys are ids, or words in lower case."""
    from kgzsl.errors import InvalidInputError
    from kgzsl.ids import curie

    found: dict[str, int] = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            key, count = line.rstrip("\r").split("\t")
            key = curie(key) if ids else key.strip().lower().replace("_", " ")
            if key in found or int(count) < 0:
                raise ValueError(f"line {number}: {line[:80]!r}")
            found[key] = int(count)
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"{what} are UTF-8 lines of a key, a tab and a whole number, each key once", received=f"{path}: {error}"
        ) from error
    return found


def _attribute_table(
    name: str, per_cent: bool, classes: Sequence[str] | None, split: str | None = None
) -> tuple[AttributeTable, tuple[str, ...]]:
    """The attributes of `classes` (None: of a feature set's unseen classes, of all rows of a file), and those left out."""
    from kgzsl.graphs.bound import answered
    from kgzsl.ids import positions

    rows, columns, matrix, unseen = _file_table(Path(name)) if Path(name).is_file() else _set_table(name, split)
    wanted = tuple(classes) if classes is not None else unseen
    return answered(wanted, columns, matrix[positions(wanted, rows, f"the attributes {name}")], per_cent=per_cent)


def _set_table(name: str, split: str | None) -> tuple[Sequence[str], Sequence[str], Any, Sequence[str]]:
    from kgzsl.datasets import read_feature_set

    read = read_feature_set(name, **({} if split is None else {"split": split}))
    columns = read.embeddings.meta.get("columns") or [f"attribute {i + 1}" for i in range(read.embeddings.dim)]
    return read.embeddings.ids, columns, read.embeddings.matrix, read.split.unseen


def _file_table(path: Path) -> tuple[Sequence[str], Sequence[str], Any, Sequence[str]]:
    import numpy as np

    from kgzsl.errors import SourceError
    from kgzsl.graphs.link_table import read_table
    from kgzsl.ids import check_unique, curie

    header, lines = read_table(path, "an attribute table")
    try:
        rows = [curie(cells[0]) for _, cells in lines]
        matrix = np.asarray([[float(c) for c in cells[1:]] for _, cells in lines], dtype=np.float64)
    except ValueError as error:
        raise SourceError("a row of an attribute table is an id and numbers", received=f"{path}: {error}") from error
    if not rows or matrix.ndim != 2 or matrix.shape[1] != len(header) - 1 or not matrix.shape[1]:
        raise SourceError("an attribute table has a value of every attribute for every class", received=f"{path}: {matrix.shape}")
    check_unique(rows, f"the classes of {path}")
    return rows, header[1:], matrix, rows


def _bound(table: AttributeTable, left_out: Sequence[str], steps: int) -> dict[str, Any]:
    from kgzsl.graphs.bound import greedy, inseparable

    chosen = greedy(table, steps)
    few = table.of([s.attribute for s in chosen])
    return {
        "classes": len(table.classes),
        "attributes": len(table.attributes),
        "without_an_answer": list(left_out),
        "greedy": [asdict(s) for s in chosen],
        "pairs_all_attributes": [asdict(p) for p in inseparable(table, 0.0)[:5]],
        "pairs_chosen_attributes": [asdict(p) for p in inseparable(few, 0.0)[:5]],
    }


def _emit_bound(record: Mapping[str, Any]) -> None:
    guessing = (0, "none: guessing", f"{100 * (1 - 1 / record['classes']):.1f}")
    emit_table(
        ["attributes", "the next one", f"error of {record['classes']} classes, at least, %"],
        [guessing, *((k, s["attribute"], f"{100 * s['error']:.1f}") for k, s in enumerate(record["greedy"], start=1))],
    )
    for key, what in (("pairs_all_attributes", f"all {record['attributes']}"), ("pairs_chosen_attributes", "the chosen")):
        emit_table(
            ["hardest pair", "error %", "differ most in", "by"],
            [
                (f"{p['first']} · {p['second']}", f"{100 * p['error']:.1f}", p["attribute"], f"{100 * p['gap']:.0f} %")
                for p in record[key]
                if p["error"] > 0
            ],
            title=f"by {what} attributes",
        )
    if record["without_an_answer"]:
        typer.echo(f"left out, as some class has no answer: {', '.join(record['without_an_answer'])}")


def _lines(record: Mapping[str, Any], found: SplitAudit) -> list[tuple[str, str, str]]:
    total = len(found.rows)

    def line(what: str, count: int | None, remark: str = "") -> tuple[str, str, str]:
        if count is None:
            return what, "not measured", remark
        return what, f"{count:,}", remark or f"{100 * count / total:.1f} %"

    nested, trivial, poly, rare = (record[k] for k in ("nested", "trivial_solution", "polysemous", "rare"))
    lines = [
        line("audited", total, f"of {record['unseen']['classes']:,}; {record['seen']['classes']:,} seen"),
        line("not in the graph", len(found.missing_unseen), f"and {len(found.missing_seen):,} seen"),
        line("also seen", len(found.in_both), " "),
        line("share a lemma with a seen class", record["namesakes_of_seen"]),
        line("nested in seen classes", nested["classes"]),
        *(line(f"  {what}", nested[kind]) for kind, what in _NESTING.items()),
        *(
            line("no path to a seen class" if hops == "none" else f"edges to the nearest seen class: {hops}", count)
            for hops, count in record["hops"].items()
        ),
        line(f"every lemma has other meanings ({poly['source']})", poly["every_lemma_shared"]),
        line("  first meaning of no lemma", poly["first_sense_of_none"]),
        line(f"rare: from word {rare['rank']:,} on ({rare['source'] or '--frequency none'})", rare["rare"]),
        line("  unknown word", rare["unknown"]),
        line("no lemma both frequent and first meaning", record["without_usable_lemma"]),
        line(f"fewer than {record['few_images']['fewer_than']:,} images", record["few_images"]["classes"]),
        line("trivial solution: told apart at most", trivial["told_apart"], f"hit@1 at most {100 * trivial['ceiling_hit@1']:.1f} %"),
        line("  nearer to a seen class than to another unseen one", trivial["nearer_to_seen_than_to_unseen"]),
    ]
    if measured := trivial.get("measured"):
        shown = ", ".join(f"{k} {100 * v:.1f} %" for k, v in measured.items() if k.startswith("hit@"))
        lines.append(line(f"  measured on {measured['images']:,} images", measured["classes_with_images"], shown))
    return lines


_NESTING = {
    "child": "directly below a seen class",
    "parent": "directly above one",
    "descendant": "farther below",
    "ancestor": "farther above",
}


def _write_rows(found: SplitAudit, path: Path) -> None:
    from kgzsl.artifacts import atomic_file

    text = io.StringIO()
    writer = csv.writer(text, dialect="excel-tab", lineterminator="\n")
    writer.writerow(asdict(found.rows[0]).keys())
    writer.writerows([_cell(row, name) for name in asdict(row)] for row in found.rows)
    with atomic_file(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _cell(row: ClassRow, name: str) -> object:
    value = getattr(row, name)
    if name in _JOINED:
        return " ".join(value[:5]) + (f" +{len(value) - 5}" if len(value) > 5 else "")
    return "" if value is None else value
