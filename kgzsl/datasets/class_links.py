"""Where the classes of a benchmark stand in WordNet: tables that ship with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, UnknownNameError, first_five
from kgzsl.sources.class_links import read_link_rows

if TYPE_CHECKING:
    from kgzsl.graphs.attach import NewClass
    from kgzsl.sources.base import SourceInfo

TABLES = Path(__file__).with_name("links")


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
    from kgzsl.sources.base import SourceInfo

    rows = read_link_rows(path)
    source = SourceInfo(path.stem, "1", "Apache-2.0", {path.name: sha256_file(path)})
    return ClassLinks(tuple(NewClass(r.id, r.label, r.text, r.parents) for r in rows), {r.id: r.by for r in rows}, source)
