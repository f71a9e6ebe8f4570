"""The lines of ConceptNet's assertions dump as Ibis expressions: which are kept, which are left out for what reason.

A line is `uri TAB relation TAB start TAB end TAB JSON`, where a concept is `/c/LANGUAGE/WORDS[/PART OF SPEECH[/SENSE …]]`.
The expressions run alike on every engine and hold one batch of lines in memory at a time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.engines import Engine
from kgzsl.errors import require

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

COLUMNS = {"uri": "string", "relation": "string", "start": "string", "end": "string", "about": "string"}
#: Why lines are left out, in the order in which they are asked; a line counts for the first reason that holds.
REASONS = ("relation", "external URL", "language", "weight", "dataset", "part of speech", "self loop")
#: Positions of a line's fate beyond those of `REASONS`.
KEPT, WRONG = len(REASONS), len(REASONS) + 1
UNSTATED = "unstated"
REMEDY = "the file must be the assertions dump as published; get it again"
#: The function that takes a value out of JSON text, by engine: the one thing that Ibis has no common fast word for.
_FROM_JSON = {"duckdb": "json_extract_string", "pyspark": "get_json_object"}
_CONCEPT = re.compile(r"/c/[A-Za-z][\w.-]*/[^/\s\x00-\x1f\x7f-\x9f]+(/[^\s\x00-\x1f\x7f-\x9f]*)?", re.ASCII)
_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s\x00-\x1f\x7f-\x9f]+", re.ASCII)
#: What the ids that come of such concepts and URLs look like, for Arrow.
IDS = r"^(cn(-[A-Za-z][\w.-]*)?:|[A-Za-z][\w+.-]*://)[^\s\p{Cc}]+$"


@dataclass(frozen=True)
class Filter:
    """What to keep; an empty tuple keeps all.

    Attributes
    ----------
    languages : of both ends.
    relations, without : names of relations to keep, and to leave out.
    minimum_weight : the least weight.
    datasets : `wordnet` keeps `/d/wordnet/3.1`.
    parts_of_speech : of both ends; `unstated` for an end that has none.
    senses : whether an id has the part of speech and the sense.
    external : whether links to URLs are kept.
    texts : whether the surface texts are wanted.
    """

    languages: tuple[str, ...]
    relations: tuple[str, ...]
    without: tuple[str, ...]
    minimum_weight: float
    datasets: tuple[str, ...]
    parts_of_speech: tuple[str, ...]
    senses: bool
    external: bool
    texts: bool


def assertions(engine: Engine, path: Path, wanted: Filter) -> ibis.Table:
    """Return the lines of a dump as `fate` and, where that is `KEPT`, `start`, `relation`, `end`, `weight`, `licence`, `text`."""
    ibis: Any = require("ibis", "graphs")
    value = _reader_of_json(engine)
    lines = engine.lines(path, COLUMNS)
    lines = lines.mutate(weight=value(lines.about, "$.weight").try_cast("float64"))
    ids = {end: _identifier(ibis, lines[end], wanted) for end in ("start", "end")}
    drop = [
        _outside(lines.relation, [f"/r/{r}" for r in wanted.relations]) | lines.relation.isin([f"/r/{r}" for r in wanted.without]),
        ~lines.end.startswith("/c/") & (not wanted.external),
        _foreign(lines.start, wanted.languages) | (lines.end.startswith("/c/") & _foreign(lines.end, wanted.languages)),
        lines.weight < wanted.minimum_weight,
        _other_dataset(value(lines.about, "$.dataset"), wanted.datasets) if wanted.datasets else ibis.literal(False),
        _other_part(lines.start, wanted.parts_of_speech) | (lines.end.startswith("/c/") & _other_part(lines.end, wanted.parts_of_speech)),
        ids["start"] == ids["end"],
    ]
    fate = ibis.cases((_wrong(lines).fill_null(True), WRONG), *((d, i) for i, d in enumerate(drop)), else_=KEPT)
    judged = lines.mutate(fate=fate.cast("int8"))
    kept = judged.fate == KEPT
    columns = {
        "start": _identifier(ibis, judged.start, wanted),
        "relation": judged.relation.substr(3),
        "end": _identifier(ibis, judged.end, wanted),
        "weight": judged.weight,
        "licence": value(judged.about, "$.license"),
        "text": value(judged.about, "$.surfaceText") if wanted.texts else ibis.null("string"),
    }
    return judged.select("fate", **{name: ibis.cases((kept, column), else_=None) for name, column in columns.items()})


def batches(engine: Engine, expression: ibis.Table, rows: int = 200_000) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an expression; on DuckDB as they are computed."""
    if engine.name == "duckdb":
        yield from engine.connection.con.sql(engine.connection.compile(expression)).to_arrow_reader(rows)
    else:
        yield from engine.collect(expression).to_batches(rows)


def problem(line: str) -> str | None:
    """Return what is wrong with a line of the dump, as the rest of a sentence, or None."""
    fields = line.split("\t")
    if len(fields) != len(COLUMNS):
        return f"has {len(COLUMNS)} fields, not {len(fields)}"
    uri, relation, start, end, about = fields
    if not uri.startswith("/a/"):
        return "begins with /a/, the URI of an assertion"
    if not re.fullmatch(r"/r/\S+", relation):
        return "has a relation such as /r/IsA in its second field"
    if not _CONCEPT.fullmatch(start) or not (_CONCEPT.fullmatch(end) or _URL.fullmatch(end)):
        return "has concepts such as /c/en/dog, or a URL at the end, in its third and fourth field"
    try:
        said = json.loads(about)
    except (ValueError, RecursionError) as error:
        return f"has JSON in its fifth field ({str(error)[:80]})"
    return _weight_problem(said.get("weight")) if isinstance(said, dict) else "has a JSON object in its fifth field"


def _weight_problem(weight: object) -> str | None:
    try:
        with np.errstate(over="ignore"):
            value = math.nan if isinstance(weight, bool) else float(np.float32(weight))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    return None if math.isfinite(value) and value > 0 else "has a positive number as `weight` in its JSON"


def _reader_of_json(engine: Engine) -> Any:
    ibis: Any = require("ibis", "graphs")

    @ibis.udf.scalar.builtin(name=_FROM_JSON[engine.name])
    def value(text: str, path: str) -> str: ...  # type: ignore[empty-body]

    return value


def _wrong(lines: ibis.Table) -> ibis.BooleanValue:
    """Whether a line cannot be what it should be. What is right here and wrong for `problem` is found by the engine."""
    concept = lines.start.startswith("/c/") & (lines.end.startswith("/c/") | lines.end.contains("://"))
    said = lines.about.startswith("{") & lines.about.endswith("}") & ~lines.weight.isnan() & (lines.weight > 0)
    # The URI is looked at so that Spark reads all columns: of a line with too many it would pass over those that nobody wants.
    return ~(lines.uri.startswith("/a/") & lines.relation.startswith("/r/") & concept & said)


def _outside(column: ibis.StringColumn, allowed: Sequence[str]) -> Any:
    return ~column.isin(allowed) if allowed else column.isnull()


def _foreign(concept: ibis.StringColumn, languages: Sequence[str]) -> Any:
    if not languages:
        return concept.isnull()
    known = concept.startswith(f"/c/{languages[0]}/")
    for language in languages[1:]:
        known |= concept.startswith(f"/c/{language}/")
    return ~known


def _other_dataset(dataset: ibis.StringColumn, wanted: Sequence[str]) -> Any:
    named = (dataset + "/").fill_null("")
    known = named.startswith(f"/d/{wanted[0]}/")
    for name in wanted[1:]:
        known |= named.startswith(f"/d/{name}/")
    return ~known


def _other_part(concept: ibis.StringColumn, wanted: Sequence[str]) -> Any:
    if not wanted:
        return concept.isnull()
    part = concept.re_extract("^/c/[^/]+/[^/]+/([^/]+)", 1).fill_null("")
    return ~part.isin([w if w != UNSTATED else "" for w in wanted])


def _identifier(ibis: Any, concept: ibis.StringColumn, wanted: Filter) -> Any:
    """The CURIE: `cn:mountain_lion`, `cn:mountain_lion/n/wn/animal`, `cn-fr:puma`; of a URL the URL."""
    path = concept.re_extract("^/c/[^/]+/([^/]+.*?)/*$" if wanted.senses else "^/c/[^/]+/([^/]+)", 1).fill_null("")
    if wanted.languages == ("en",):
        named = ibis.literal("cn:") + path
    else:
        language = concept.re_extract("^/c/([^/]+)/", 1).fill_null("")
        named = ibis.cases((language == "en", ibis.literal("cn:")), else_=ibis.literal("cn-") + language + ":") + path
    return ibis.cases((concept.startswith("/c/"), named), else_=concept) if wanted.external else named
