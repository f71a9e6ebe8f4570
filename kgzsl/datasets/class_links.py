"""Where the classes of a benchmark stand in WordNet: tables that ship with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, SourceError, UnknownNameError, first_five

if TYPE_CHECKING:
    from kgzsl.graphs.attach import NewClass
    from kgzsl.sources.base import SourceInfo

TABLES = Path(__file__).with_name("links")
_COLUMNS = ("id", "parents", "by", "label", "text")
#: Who found a row's parents: the linker, by the whole name or by its end, or a person.
BY = ("exact", "suffix", "hand")


@dataclass(frozen=True)
class ClassLinks:
    """The classes of one benchmark and their parents in WordNet 3.0.

    Attributes
    ----------
    classes : as `kgzsl.graphs.attach` takes them, in the order of their ids.
    by : class id → `exact` or `suffix` (as `kgzsl.graphs.link` finds it) or `hand`.
    source : the table with its SHA-256.
    """

    classes: tuple[NewClass, ...]
    by: dict[str, str]
    source: SourceInfo

    def select(self, ids: Sequence[str]) -> tuple[NewClass, ...]:
        """Return the classes with these ids; one without a row raises UnknownNameError."""
        rows = {c.id: c for c in self.classes}
        missing = [i for i in ids if i not in rows]
        if missing:
            raise UnknownNameError(
                f"every class has a row in {self.source.name}",
                received=f"{len(missing):,} have none: {first_five(missing)}",
                remedy="attach them with parents of your own (`kgzsl.graphs.attach`)",
            )
        return tuple(rows[i] for i in ids)


def linked() -> tuple[str, ...]:
    """Return the names of the shipped tables, which are the prefixes of their classes' ids."""
    return tuple(sorted(p.stem for p in TABLES.glob("*.tsv")))


def class_links(name: str) -> ClassLinks:
    """Return a shipped table: `cub` (200 birds) or `snips` (7 intents).

    Raises
    ------
    UnknownNameError : no such table; the choices are listed.
    SourceError : the table is damaged.
    """
    if name not in linked():
        raise UnknownNameError(
            "links to WordNet ship for some benchmarks", received=repr(name), remedy=f"choose from: {', '.join(linked())}"
        )
    return read_links(TABLES / f"{name}.tsv")


def links_of(classes: Sequence[str]) -> ClassLinks:
    """Return the shipped table of the classes' prefix (`cub:Bobolink` → `cub`); see `class_links` for what is refused.

    Raises
    ------
    InvalidInputError : no class, or classes of several prefixes.
    """
    prefixes = sorted({c.partition(":")[0] for c in classes})
    if len(prefixes) != 1:
        raise InvalidInputError("classes to link are of one benchmark", received=first_five(prefixes) or "none")
    return class_links(prefixes[0])


def read_links(path: Path) -> ClassLinks:
    """Read a table of tab-separated columns `id parents by label text`, parents separated by spaces.

    Raises
    ------
    SourceError : other columns, a row without id, parents or label, an unknown `by`, or an id twice; the line is named.
    """
    from kgzsl.graphs.attach import NewClass
    from kgzsl.graphs.link_table import read_table
    from kgzsl.sources.base import SourceInfo

    header, lines = read_table(path, "a table of links")
    if header != _COLUMNS:
        raise SourceError(f"a table of links has the columns {', '.join(_COLUMNS)}", received=f"{path}: {', '.join(header)}")
    rows: dict[str, NewClass] = {}
    by: dict[str, str] = {}
    for number, fields in lines:
        if len(fields) != len(_COLUMNS) or not all(fields[:4]) or fields[2] not in BY or fields[0] in rows:
            raise SourceError(
                f"a row of links has an id of its own, parents, one of {', '.join(BY)}, a label and perhaps a text",
                received=f"{path}, line {number}: {' '.join(fields)[:80]!r}",
            )
        rows[fields[0]] = NewClass(fields[0], fields[3], fields[4], tuple(fields[1].split()))
        by[fields[0]] = fields[2]
    source = SourceInfo(path.stem, "1", "Apache-2.0", {path.name: sha256_file(path)})
    return ClassLinks(tuple(rows[i] for i in sorted(rows)), by, source)
