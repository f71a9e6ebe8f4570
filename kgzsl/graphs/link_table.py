"""Tables of links: written for a person to edit, and read back."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgzsl.artifacts import atomic_file, sha256_file
from kgzsl.errors import InvalidInputError, SourceError, UnknownNameError, first_five
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.link import Link
from kgzsl.ids import check_unique, curie

#: Columns that are written; `id` before them when the names have ids.
COLUMNS = ("name", "node", "status", "score", "label", "gloss", "candidates")
#: Other names of two columns, as tables of alignments have them.
_ALIASES = {"from": "name", "to": "node"}
_KNOWN = {"id", *COLUMNS, "note"}
#: `hand` is a row that a person changed or confirmed.
STATUSES = ("exact", "ambiguous", "none", "hand")
#: Candidates that are written out; the first is the linker's choice.
_SHOWN = 12

RowStatus = Literal["exact", "ambiguous", "none", "hand"]


@dataclass(frozen=True)
class LinkRow:
    """One row of a table of links.

    Attributes
    ----------
    key : what is linked: the `id` where the table has one, else the name (`from`).
    name : as it stands in the table; the key in a table of alignments.
    node : the node's id (`to`); None when it is linked to none.
    status : `exact`, `ambiguous` or `none` as the linker left it, `hand` when the node is another one than the linker's, or said so.
    score : 0…1; 1 for a node that a person chose.
    """

    key: str
    name: str
    node: str | None
    status: RowStatus
    score: float


@dataclass(frozen=True)
class LinkTable:
    """Links read from a file; `path` and `sha256` say which."""

    rows: tuple[LinkRow, ...]
    path: str
    sha256: str

    def mapping(self) -> dict[str, str]:
        """Return key → node of the rows that are linked, in the table's order."""
        return {row.key: row.node for row in self.rows if row.node is not None}

    def counts(self) -> dict[str, int]:
        """Return the number of rows of every status."""
        return {status: sum(row.status == status for row in self.rows) for status in STATUSES}


def write_links(
    links: Sequence[Link], graph: KnowledgeGraph, path: str | os.PathLike[str], ids: Sequence[str] | None = None, *, overwrite: bool = False
) -> None:
    """Write one row per link: name, node, status, score, the node's label and gloss, and its candidates, best first.

    Parameters
    ----------
    ids : of the names, `[links]`; None leaves the column out, and then no name may repeat.

    Raises
    ------
    InvalidInputError : no link, a repeated key, or a file that is there: it may have been edited.
    """
    keys = [one.name for one in links] if ids is None else list(ids)
    check_unique(keys, "the names of a table of links" if ids is None else "the ids of a table of links")
    if Path(path).exists() and not overwrite:
        raise InvalidInputError(
            "a table of links is not overwritten unasked: it may have been edited",
            received=str(path),
            remedy="choose another path or pass --overwrite",
        )
    text = io.StringIO()
    writer = csv.writer(text, dialect="excel-tab", lineterminator="\n")
    writer.writerow(COLUMNS if ids is None else ("id", *COLUMNS))
    for key, one in zip(keys, links, strict=True):
        writer.writerow((*(() if ids is None else (key,)), *_cells(one, graph)))
    with atomic_file(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def _cells(one: Link, graph: KnowledgeGraph) -> tuple[str, ...]:
    places = graph.positions(one.candidates[:_SHOWN]).tolist()
    label, gloss = (graph.labels[places[0]], graph.texts[places[0]]) if places else ("", "")
    shown = [f"{graph.ids[i]} {graph.labels[i].split(', ')[0]}" for i in places]
    if one.similarities:
        shown = [f"{text} ({value:.2f})" for text, value in zip(shown, one.similarities, strict=False)]
    if len(one.candidates) > _SHOWN:
        shown.append(f"+{len(one.candidates) - _SHOWN} more")
    return tuple(_plain(c) for c in (one.name, one.node or "", one.status, f"{one.score:.2f}", label, gloss, " | ".join(shown)))


def _plain(cell: str) -> str:
    """One line without tabs: what editors of tables keep."""
    return " ".join(cell.split())


def read_table(path: str | os.PathLike[str], what: str) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]]:
    """Return the header of a tab-separated file and its rows with their line numbers; rows without any text are left out.

    Cells may be quoted and lines may end as any editor ends them.

    Raises
    ------
    SourceError : not UTF-8 text, an empty file, a quote without its end, or a row with more cells than the header.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), dialect="excel-tab", strict=True)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{what} is UTF-8 text, tab-separated", received=f"{path}: {error}", remedy="save it as TSV in UTF-8") from error
    if not rows:
        raise SourceError(f"{what} has a line of column names", received=f"{path} is empty")
    header = tuple(cell.strip() for cell in rows[0][1])
    long = [number for number, row in rows if len(row) > len(header)]
    if long:
        raise SourceError(f"{what} has {len(header)} columns", received=f"{path}, line {long[0]} has more", remedy="quote cells with tabs")
    return header, rows[1:]


def read_links(path: str | os.PathLike[str], graph: KnowledgeGraph | None = None) -> LinkTable:
    """Read a table that `write_links` wrote and a person may have edited, or one of the columns `from` and `to`.

    Columns are `name` (or `from`) and `node` (or `to`), and may be `id`, `status`, `score`, `label`, `gloss`, `candidates`,
    `note`. An empty node means none. A row whose node is not its first candidate was edited: its status is `hand`.

    Parameters
    ----------
    graph : checks that every node is one of it; None takes the ids as they are.

    Raises
    ------
    SourceError : not such a table, a key twice, a node that is no id, an unknown status or a score outside 0…1; the line is named.
    UnknownNameError : nodes that are not in the graph.
    """
    what = "a table of links"
    header, lines = read_table(path, what)
    columns = [_ALIASES.get(c, c) for c in header]
    unknown = [h for h, c in zip(header, columns, strict=True) if c not in _KNOWN]
    if unknown or not {"name", "node"} <= {*columns} or len({*columns}) != len(columns):
        raise SourceError(
            f"{what} has the columns name (or from) and node (or to), and no others than {', '.join(sorted(_KNOWN))}",
            received=f"{path}: {', '.join(header)}",
            remedy="`kgzsl link` writes such a table; remarks go into `note`",
        )
    rows: dict[str, LinkRow] = {}
    for number, cells in lines:
        # editors strip the tabs at the end of a row without a node
        full = [c.strip() for c in cells] + [""] * (len(header) - len(cells))
        row = _row(dict(zip(columns, full, strict=True)), f"{path}, line {number}")
        if row.key in rows:
            raise SourceError(f"{what} names each thing once", received=f"{path}, line {number}: {row.key!r} again")
        rows[row.key] = row
    if not rows:
        raise SourceError(f"{what} has at least one row", received=f"{path} has none")
    if graph is not None:
        absent = [f"{r.node} of {r.key!r}" for r in rows.values() if r.node is not None and r.node not in graph]
        if absent:
            raise UnknownNameError(
                f"every node of {path} is a node of the graph {graph.name}",
                received=f"{len(absent):,} are not: {first_five(absent)}",
                remedy="choose among the candidates, or leave the node empty",
            )
    return LinkTable(tuple(rows.values()), str(path), sha256_file(Path(path)))


def _row(cells: dict[str, str], where: str) -> LinkRow:
    key = cells.get("id") or cells["name"]
    status = cells.get("status") or ("hand" if "candidates" not in cells else "")
    if not key or status not in (*STATUSES, ""):
        raise SourceError(
            f"a row of links has a name (or id) and a status of {', '.join(STATUSES)}", received=f"{where}: {key!r}, status {status!r}"
        )
    try:
        node = curie(cells["node"]) if cells["node"] else None
        score = float(cells.get("score") or 1.0)
    except ValueError as error:
        raise SourceError("a row of links has one node, as an id, and a score", received=f"{where}: {error}") from error
    if not (math.isfinite(score) and 0 <= score <= 1):
        raise SourceError("a score of links is in 0…1", received=f"{where}: {score}")
    if "candidates" in cells:
        first = cells["candidates"].split(" ")[0] or None
        if node != first:
            return LinkRow(key, cells["name"] or key, node, "hand", 1.0 if node else 0.0)
    if status == "hand":
        score = (score if cells.get("score") else 1.0) if node else 0.0
    elif node is None or status in ("none", ""):  # the status contradicts the node, or is not told
        status, score = ("none", 0.0) if node is None else ("hand", score)
    return LinkRow(key, cells["name"] or key, node, status, score)  # type: ignore[arg-type]


def read_names(path: str | os.PathLike[str]) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Read names to link: one per line, or `id<tab>name`; `#` lines and blank lines are ignored.

    Returns
    -------
    The ids, or None in a file without, and the names.

    Raises
    ------
    InvalidInputError : not such a file, some lines with an id and some without, or a name (with ids: an id) twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError("names are a UTF-8 text file, one per line", received=f"{path}: {error}") from error
    cells = [[c.strip() for c in line.split("\t")] for line in lines if line.strip() and not line.startswith("#")]
    widths = {len(c) for c in cells}
    if not widths <= {1, 2} or len(widths) > 1 or not all(all(c) for c in cells):
        raise InvalidInputError(
            "every line is a name, or every line is an id, a tab and a name",
            received=f"{path}: {first_five(repr(chr(9).join(c)) for c in cells if len(c) != min(widths) or not all(c))}",
        )
    with_ids = widths == {2}
    keys = tuple(c[0] for c in cells)
    check_unique(keys, f"the {'ids' if with_ids else 'names'} of {path}")
    return (keys, tuple(c[1] for c in cells)) if with_ids else (None, keys)
