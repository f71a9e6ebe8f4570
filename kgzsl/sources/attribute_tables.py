"""Published class–attribute tables in their layouts, as one matrix with ids on both axes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, first_five
from kgzsl.ids import curie
from kgzsl.sources.class_names import awa_ids, cub_ids
from kgzsl.sources.tables import cell_names, listed_names, matlab_arrays, number_table, numbered_names

#: `cub:has_bill_shape.dagger`, `cub:has_size.large_16-32_in`: what is neither letter, digit nor . - becomes one underscore.
_UNFIT = re.compile(r"(?:[^\w.-]|_)+")
_ENDS = re.compile(r"_*([-.])_*")


@dataclass(frozen=True)
class AttributeTable:
    """A class–attribute table.

    Attributes
    ----------
    classes, class_labels : `[classes]`, ids and readable names.
    attributes, attribute_labels : `[attributes]`.
    groups : `[attributes]`, name of the group of every attribute, or empty.
    values : float64 `[classes, attributes]` as published.
    files : file name → SHA-256.
    """

    classes: Sequence[str]
    class_labels: Sequence[str]
    attributes: Sequence[str]
    attribute_labels: Sequence[str]
    groups: Sequence[str]
    values: np.ndarray
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.classes), len(self.attributes)):
            raise SourceError(
                "an attribute table has one row per class and one column per attribute",
                received=f"{self.values.shape[0]:,} rows for {len(self.classes):,} classes, {self.values.shape[1]:,} columns for "
                f"{len(self.attributes):,} attributes ({', '.join(self.files)})",
            )
        for what, ids in (("classes", self.classes), ("attributes", self.attributes)):
            if twice := repeated(ids):
                raise SourceError(
                    f"the {what} of an attribute table are different", received=f"{', '.join(self.files)}: {first_five(twice)}"
                )


def repeated(ids: Sequence[str]) -> list[str]:
    """Return every id that stands twice or more, with its places from 1: `awa:ox (1, 7)`."""
    places: dict[str, list[int]] = {}
    for number, identifier in enumerate(ids, start=1):
        places.setdefault(identifier, []).append(number)
    return [f"{i} ({first_five(found)})" for i, found in places.items() if len(found) > 1]


def attribute_id(prefix: str, name: str) -> str:
    """Return the CURIE of an attribute: `has_bill_shape::curved_(up_or_down)` → `cub:has_bill_shape.curved_up_or_down`.

    A name that is a CURIE or a wnid already stays what it is. Raises SourceError where nothing is left of the name.
    """
    if re.fullmatch(r"[A-Za-z][\w.-]*:[^:\s]\S*|[nvars]\d{8}", name):
        return curie(name)
    parts = [_ENDS.sub(r"\1", _UNFIT.sub("_", part)).strip("_") for part in name.split("::")]
    if not all(parts):
        raise SourceError("the name of an attribute has letters or digits", received=repr(name[:80]))
    return f"{prefix}:{'.'.join(parts)}"


def attribute_label(name: str) -> str:
    """Return a readable name: `has_bill_shape::curved_(up_or_down)` → `bill shape: curved (up or down)`."""
    return ": ".join(words(part.removeprefix("has_")) for part in name.split("::"))


def words(name: str) -> str:
    """Return a name's words: `polar+bear`, `polar_bear` → `polar bear`."""
    return " ".join(re.split(r"[\s_+]+", name)).strip()


def read_awa(folder: Path, *, table: str = "continuous", **_: Any) -> AttributeTable:
    """AwA (Lampert et al., 2009): classes.txt, predicates.txt, predicate-matrix-{continuous,binary}.txt."""
    _folder(folder, "predicates.txt")
    names = numbered_names(folder / "classes.txt")
    attributes = numbered_names(folder / "predicates.txt")
    matrix = folder / f"predicate-matrix-{table}.txt"
    return AttributeTable(
        classes=_class_ids(names, "awa", folder / "classes.txt"),
        class_labels=[words(n) for n in names],
        attributes=[attribute_id("awa", n) for n in attributes],
        attribute_labels=[attribute_label(n) for n in attributes],
        groups=[""] * len(attributes),
        values=number_table(matrix),
        files=_digests(folder / "classes.txt", folder / "predicates.txt", matrix),
    )


def read_cub(folder: Path, **_: Any) -> AttributeTable:
    """CUB-200-2011 (Wah et al., 2011): classes.txt, attributes.txt, class_attribute_labels_continuous.txt, in per cent."""
    _folder(folder, "attributes.txt")
    names = numbered_names(folder / "classes.txt")
    attributes = numbered_names(folder / "attributes.txt")
    matrix = folder / "class_attribute_labels_continuous.txt"
    classes = _class_ids(names, "cub", folder / "classes.txt")
    return AttributeTable(
        classes=classes,
        class_labels=[words(c.partition(":")[2]) for c in classes],
        attributes=[attribute_id("cub", n) for n in attributes],
        attribute_labels=[attribute_label(n) for n in attributes],
        groups=[n.partition("::")[0] if "::" in n else "" for n in attributes],
        values=number_table(matrix),
        files=_digests(folder / "classes.txt", folder / "attributes.txt", matrix),
    )


def read_mat(file: Path, *, prefix: str, table: str = "att", names: str | None = None, **_: Any) -> AttributeTable:
    """`att_splits.mat` of xlsa17 (Xian et al., 2018): `att` or `original_att` `[attributes, classes]`, `allclasses_names`."""
    _file(file)
    content = matlab_arrays(file, (table,), ("allclasses_names",))
    if "allclasses_names" not in content:
        raise SourceError("the classes of a .mat table are in `allclasses_names`", received=f"{file} has none")
    classes = cell_names(content["allclasses_names"], f"`allclasses_names` of {file.name}")
    values = content[table].T.astype(np.float64)
    if values.ndim != 2:
        raise SourceError(f"`{table}` of {file.name} is [attributes, classes]", received=f"{values.ndim} axes")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = (int(n) for n in bad[0])
        raise SourceError(
            f"`{table}` of {file.name} holds finite numbers", received=f"row {column + 1:,}, column {row + 1:,}: {values[row, column]}"
        )
    listed = listed_names(file.parent / names) if names else [f"attribute {n:03}" for n in range(1, values.shape[1] + 1)]
    return AttributeTable(
        classes=_class_ids(classes, prefix, file),
        class_labels=[words(c.partition(".")[2] if prefix == "cub" else c) for c in classes],
        attributes=[attribute_id(prefix, n) for n in listed],
        attribute_labels=[attribute_label(n) for n in listed],
        groups=[n.partition("::")[0] if "::" in n else "" for n in listed],
        values=values,
        files=_digests(file, *([file.parent / names] if names else [])),
    )


def read_csv(file: Path, *, prefix: str, separator: str = ",", **_: Any) -> AttributeTable:
    """A CSV file: a header, the class in the first column (a name, a CURIE or a wnid), one attribute in each of the others."""
    _file(file)
    columns = _header(file, separator)
    table = _numbers(file, columns, separator)
    names = table.column(0).to_pylist()
    empty = next((i for i, n in enumerate(names) if not (n or "").strip()), None)
    if empty is not None:
        raise SourceError("every row of an attribute table names its class", received=f"{file}, row {empty + 2:,}")
    values = np.empty((table.num_rows, table.num_columns - 1))
    for k in range(1, table.num_columns):
        column = table.column(k).combine_chunks()
        values[:, k - 1] = column.to_numpy(zero_copy_only=False)
        bad = np.flatnonzero(~np.isfinite(values[:, k - 1]))
        if len(bad):
            found = "NaN or infinite" if column[int(bad[0])].is_valid else "nothing"
            raise SourceError(
                "an attribute's value is a finite number",
                received=f"{file}, row {int(bad[0]) + 2:,}, column {columns[k]!r}: {found}",
                remedy="write a number; where nothing is known, the one that the setting `missing` names",
            )
    return AttributeTable(
        classes=_class_ids(names, prefix, file),
        class_labels=[words(n.partition(":")[2] if ":" in n else n) for n in names],
        attributes=[attribute_id(prefix, n) for n in columns[1:]],
        attribute_labels=[attribute_label(n.partition(":")[2] if re.match(r"\w+:[^:]", n) else n) for n in columns[1:]],
        groups=[n.partition("::")[0] if "::" in n else "" for n in columns[1:]],
        values=values,
        files=_digests(file),
    )


#: Layout → how it is read.
LAYOUTS: dict[str, Callable[..., AttributeTable]] = {"awa": read_awa, "cub": read_cub, "mat": read_mat, "csv": read_csv}
_PUBLISHED: dict[str, Callable[..., Sequence[str]]] = {"awa": awa_ids, "cub": cub_ids}


def with_groups(table: AttributeTable, file: Path, spelling: Mapping[str, str]) -> AttributeTable:
    """Return the table with the groups of a JSON file `{group: [attribute, …]}` (K-ZSL's attribute_group.json).

    Names are compared by their letters and digits alone (`tough_skin` is `toughskin`).

    Parameters
    ----------
    spelling : name in the file → name in the table, where they differ in more.

    Raises
    ------
    SourceError : not such a file, a member that is no attribute of the table, or one in two groups.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDataError("a file of attribute groups lies beside the table", received=f"{file} does not exist") from error
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError("attribute groups are a JSON object {group: [attribute, …]}", received=f"{file}: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(v, list) and all(isinstance(n, str) for n in v) for v in content.values()):
        raise SourceError("attribute groups are a JSON object {group: [attribute, …]}", received=str(file))
    place = {_squeezed(i.partition(":")[2]): n for n, i in enumerate(table.attributes)}
    groups = [""] * len(table.attributes)
    for group, members in content.items():
        for member in members:
            found = place.get(_squeezed(spelling.get(member, member)))
            if found is None or groups[found]:
                raise SourceError(
                    "every member of a group is an attribute of the table, in one group",
                    received=f"{file}: {member!r} of {group!r} is {'in two' if found is not None else 'no attribute'}",
                    remedy="correct the file, or set `spelling: {name in the file: name in the table}`",
                )
            groups[found] = group
    return replace(table, groups=groups, files={**table.files, **_digests(file)})


def _squeezed(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _class_ids(names: Sequence[str], prefix: str, file: Path) -> list[str]:
    """Return the ids of classes: for AwA and CUB those that their data sets have, else CURIEs, wnids, or `PREFIX:name`."""
    if twice := repeated(names):
        raise SourceError("the classes of an attribute table are different", received=f"{file}: {first_five(twice)}")
    if prefix in _PUBLISHED and not any(":" in name for name in names):
        try:
            return list(_PUBLISHED[prefix](names))
        except InvalidInputError as error:
            raise SourceError(error.rule, received=f"{file}: {error.received}", remedy=error.remedy) from error
    ids = []
    for number, name in enumerate(names, start=1):
        text = name.strip()
        known = re.fullmatch(r"[nvars]\d{8}|[A-Za-z][\w.-]*:\S+", text)
        if not text:
            raise SourceError("every class has a name", received=f"{file}, class {number:,}")
        ids.append(curie(text) if known else f"{prefix}:{'_'.join(text.split())}")
    return ids


def _header(file: Path, separator: str) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            first = stream.readline(1_000_000)
        columns = [
            c.strip()
            for c in pa.csv.read_csv(pa.BufferReader(first.encode()), parse_options=pa.csv.ParseOptions(delimiter=separator)).column_names
        ]
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise SourceError("an attribute table is UTF-8 text with a header line", received=f"{file}, line 1: {error}") from error
    if len(columns) < 2 or not all(columns[1:]):
        raise SourceError(
            "the header names the class column and every attribute",
            received=f"{file}, line 1: {first.strip()[:80]!r}",
            remedy="check the setting separator",
        )
    if twice := sorted({c for c in columns if columns.count(c) > 1}):
        raise SourceError("the columns of an attribute table are different", received=f"{file}, line 1: {first_five(twice)}")
    return columns


def _numbers(file: Path, columns: Sequence[str], separator: str) -> pa.Table:
    """Arrow's reader names the row and the column of what it cannot read."""
    types = {columns[0]: pa.string()} | dict.fromkeys(columns[1:], pa.float64())
    try:
        table = pa.csv.read_csv(
            file,
            read_options=pa.csv.ReadOptions(use_threads=False, column_names=list(columns), skip_rows=1),
            parse_options=pa.csv.ParseOptions(delimiter=separator),
            convert_options=pa.csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(
            "a row of an attribute table is a class and a number per attribute",
            received=f"{file}: {str(error)[:200]}",
            remedy="correct the row; check the setting separator",
        ) from error
    if not table.num_rows:
        raise SourceError("an attribute table has at least one class", received=f"{file} has a header and no row")
    return table


def _folder(path: Path, file: str) -> None:
    if not path.is_dir():
        raise MissingDataError(f"this layout is a folder with {file} and its siblings", received=f"{path} is no folder")


def _file(path: Path) -> None:
    if not path.is_file():
        raise MissingDataError("this layout is one file", received=f"{path} is no file", remedy="correct the path")


def _digests(*files: Path) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in files}
