"""Where the classes of a benchmark stand in WordNet, as edges: tables of links, and K-ZSL's class.json."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, first_five
from kgzsl.ids import PREFIXES, curie
from kgzsl.sources.attribute_tables import words
from kgzsl.sources.base import Reader, SourceInfo, Statements
from kgzsl.sources.prefixes import benchmark_iri, check_prefix
from kgzsl.sources.vocabulary import vocabulary

COLUMNS = ("id", "parents", "by", "label", "text")
#: Who found a row's parents: the linker, by the whole name or by its end, or a person.
BY = ("exact", "suffix", "hand")


@dataclass(frozen=True)
class LinkRow:
    """One class: its id, its names, what is said of it, and the ids of its parents."""

    id: str
    label: str
    text: str
    parents: tuple[str, ...]
    by: str


class ClassLinks(Reader):
    """Classes of a benchmark and what they are a kind of.

    Read are tables with the tab-separated columns `id parents by label text`, parents separated by spaces, and K-ZSL's class.json,
    `{"seen": {wnid: name}, "unseen": {wnid: name}}`, where the class `PREFIX:name` has the synset as its parent. A parent's own
    label and text are those of the source that has it: name that one first.

    Parameters
    ----------
    prefix : prefix of the classes of a class.json.
    relation : relation of the vocabulary from class to parent.
    name, version, licence : for the manifest.

    Raises
    ------
    InvalidInputError : a prefix that is none.
    UnknownNameError : a relation that the vocabulary does not have.
    """

    name: ClassVar[str] = "class_links"
    source: ClassVar[str] = "this project; Geng et al. (2021)"

    def __init__(
        self,
        prefix: str | None = None,
        relation: str = "hypernym",
        name: str | None = None,
        version: str = "1",
        licence: str = "Apache-2.0",
    ) -> None:
        self.prefix = None if prefix is None else check_prefix(prefix)
        self.relation = vocabulary()[relation]
        self.info = name, version, licence

    def read(self, path: Path, engine: object = None) -> Statements:
        """Read the table at `path`; the node of a parent is labelled by its id.

        Raises
        ------
        MissingDataError : no such file.
        SourceError : see `read_link_rows`; or not K-ZSL's form, or two classes of one name.
        InvalidInputError : a class.json without the setting `prefix`.
        """
        rows = self._kzsl(path) if path.suffix == ".json" else read_link_rows(path)
        classes = [r.id for r in rows]
        parents = sorted({p for r in rows for p in r.parents} - set(classes))
        ids = [*classes, *parents]
        place = {i: n for n, i in enumerate(ids)}
        targets = [place[p] for r in rows for p in r.parents]
        # what a parent's prefix means is for the source to say that has the parent
        prefixes = sorted({i.partition(":")[0] for i in classes} - set(PREFIXES))
        title, version, licence = self.info
        return Statements(
            ids=pa.array(ids),
            kinds=pa.array(["concept"] * len(ids)),
            labels=pa.array([*(r.label for r in rows), *parents]),
            texts=pa.array([*(r.text for r in rows), *([""] * len(parents))]),
            relations=(self.relation,),
            subject=np.repeat(np.arange(len(rows)), [len(r.parents) for r in rows]).astype(np.int32),
            relation=np.zeros(len(targets), dtype=np.int32),
            object=np.array(targets, dtype=np.int32),
            weight=np.ones(len(targets), dtype=np.float32),
            info=SourceInfo(title or f"{path.stem}-links", version, licence, {path.name: sha256_file(path)}),
            prefixes={p: benchmark_iri(p) for p in prefixes},
        )

    def _kzsl(self, path: Path) -> list[LinkRow]:
        if self.prefix is None:
            raise InvalidInputError("the classes of a class.json need a prefix", received=str(path), remedy="set `prefix: awa`, for one")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = {**content["seen"], **content["unseen"]}
        except FileNotFoundError as error:
            raise _missing(path) from error
        except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
            raise SourceError("a class.json has the objects seen and unseen, name by wnid", received=f"{path}: {error!r}") from error
        wrong = [w for w, name in found.items() if not re.fullmatch(r"[nvars]\d{8}", w) or not isinstance(name, str) or not name.strip()]
        if wrong or not found:
            raise SourceError("a class.json names classes by wnid", received=f"{path}: {first_five(map(repr, wrong)) or 'no class'}")
        rows = [LinkRow(f"{self.prefix}:{'_'.join(n.split())}", words(n), "", (curie(w),), "hand") for w, n in sorted(found.items())]
        if len({r.id for r in rows}) != len(rows):
            raise SourceError("the classes of a class.json have different names", received=str(path))
        return rows


def read_link_rows(path: Path) -> list[LinkRow]:
    """Read a table of tab-separated columns `id parents by label text`, parents separated by spaces; sorted by id.

    Raises
    ------
    MissingDataError : no such file.
    SourceError : other columns, a row without id, parents or label, an unknown `by`, or an id twice; the line is named.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError("a table of links is UTF-8 text", received=f"{path}: {error}") from error
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise SourceError(f"a table of links has the columns {', '.join(COLUMNS)}", received=f"{path}: {lines[:1]}")
    rows: dict[str, LinkRow] = {}
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        parents = tuple(fields[1].split()) if len(fields) == len(COLUMNS) else ()
        if not parents or not all(fields[:4]) or fields[2] not in BY or fields[0] in rows or not all(map(_is_curie, (fields[0], *parents))):
            raise SourceError(
                f"a row of links has an id of its own, parents, one of {', '.join(BY)}, a label and perhaps a text",
                received=f"{path}, line {number}: {line[:80]!r}",
            )
        rows[fields[0]] = LinkRow(fields[0], fields[3], fields[4], parents, fields[2])
    return [rows[i] for i in sorted(rows)]


def _is_curie(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z][\w.-]*:\S+", text) is not None


def _missing(path: Path) -> MissingDataError:
    return MissingDataError("a source's file is on this machine", received=f"{path} does not exist", remedy="correct the path")
