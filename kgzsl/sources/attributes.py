"""Class–attribute tables: which class has, and lacks, which attribute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from kgzsl.errors import InvalidInputError, SourceError, first_five
from kgzsl.ids import PREFIXES
from kgzsl.sources.attribute_tables import LAYOUTS, AttributeTable, attribute_id, attribute_label, repeated, with_groups
from kgzsl.sources.base import Reader, SourceInfo, Statements
from kgzsl.sources.prefixes import benchmark_iri, check_prefix
from kgzsl.sources.vocabulary import vocabulary

#: Layout → its tables, the first by default, each with the value of a full yes and the mark of a missing answer.
TABLES: Mapping[str, Mapping[str, tuple[float, float | None]]] = {
    "awa": {"continuous": (100.0, -1.0), "binary": (1.0, None)},
    "cub": {"continuous": (100.0, None)},
    "mat": {"att": (1.0, None), "original_att": (1.0, None)},
    "csv": {"values": (1.0, None)},
}
_INFO = {
    "awa": ("awa", "2009", "Animals with Attributes: the authors' terms for research"),
    "cub": ("cub", "2011", "CUB-200-2011: the authors' terms for non-commercial research"),
    "mat": ("", "xlsa17", "the terms of the dataset that the table is of"),
    "csv": ("", "", "not stated"),
}
MEANS = ("mean", "overall_mean")


class Attributes(Reader):
    """A class–attribute table: edges `has_attribute`, on request `lacks_attribute`, weighted between 0 and 1.

    Parameters
    ----------
    layout : `awa` (the folder of classes.txt, predicates.txt and the matrices), `cub` (the folder of classes.txt, attributes.txt
        and class_attribute_labels_continuous.txt), `mat` (an xlsa17 att_splits.mat) or `csv` (header, class in the first column).
    threshold : an attribute with this value or more, and more than 0, is an edge; what is below is dropped and counted. A number
        in the table's own unit; `mean`: the mean of that attribute over the classes; `overall_mean`: that of all entries as
        published, which is how AwA's binary matrix was made (Lampert et al., 2014).
    table : `continuous` or `binary` for `awa`, `att` or `original_att` for `mat`.
    lacks_below : a value below this one, and no edge `has_attribute`, is an edge `lacks_attribute`; None makes none.
    scale : the value of a full yes, by which weights are divided: 100 for `awa` and `cub`, where values are per cent, else 1.
        An edge `lacks_attribute` weighs 1 − value/scale.
    missing : the value that says that nothing is known, or `negative` for all below 0; such entries are counted and give no edge.
        −1 in AwA's continuous table.
    prefix : prefix of the ids of classes and attributes, for `mat` and `csv` (`awa` and `cub` have their own).
    names : for `mat`, whose file has none: a file with the attributes' names, one a line, relative to its folder.
    groups : a JSON file `{group: [attribute, …]}` relative to the folder of the table (or the folder itself); each group becomes
        the hypernym of its attributes. Attributes named `group::value`, as CUB's are, have theirs without.
    spelling : name of an attribute in `groups` → in the table, where they differ in more than case and punctuation.
    separator : of a `csv`.
    name, version, licence : for the manifest; by default those of the layout.

    Raises
    ------
    InvalidInputError : an unknown layout, table or threshold, a scale that is not positive, or no prefix where one is needed.
    """

    name: ClassVar[str] = "attributes"
    source: ClassVar[str] = "Lampert et al. (2009), Wah et al. (2011), Xian et al. (2018)"

    def __init__(
        self,
        layout: str,
        threshold: float | str,
        table: str | None = None,
        lacks_below: float | None = None,
        scale: float | None = None,
        missing: float | str | None = None,
        prefix: str | None = None,
        names: str | None = None,
        groups: str | None = None,
        spelling: Mapping[str, str] | None = None,
        separator: str = ",",
        name: str | None = None,
        version: str | None = None,
        licence: str | None = None,
    ) -> None:
        if layout not in LAYOUTS:
            raise InvalidInputError(
                "an attribute table has a known layout", received=repr(layout), remedy=f"choose from: {', '.join(LAYOUTS)}"
            )
        tables = TABLES[layout]
        table = table or next(iter(tables))
        if table not in tables:
            raise InvalidInputError(
                f"the layout {layout} has known tables", received=repr(table), remedy=f"choose from: {', '.join(tables)}"
            )
        own, published, terms = _INFO[layout]
        if bool(own) == bool(prefix):
            raise InvalidInputError(
                f"the layout {layout} {'has its own prefix' if own else 'needs the prefix of its ids'}", received=f"prefix {prefix!r}"
            )
        if len(separator) != 1 or separator in '"\n\r':
            raise InvalidInputError("a separator is one character", received=repr(separator))
        self.layout, self.table, self.prefix = layout, table, own or check_prefix(str(prefix))
        self.scale = _number("scale", tables[table][0] if scale is None else scale)
        if self.scale <= 0:
            raise InvalidInputError("scale is the value of a full yes, above 0", received=f"{self.scale:g}")
        self.threshold = threshold if threshold in MEANS else _number(f"threshold ({', '.join(MEANS)} or)", threshold)
        self.lacks_below = None if lacks_below is None else _number("lacks_below", lacks_below)
        if self.lacks_below is not None and self.lacks_below > (self.threshold if isinstance(self.threshold, float) else self.scale):
            raise InvalidInputError(
                "lacks_below is not above threshold, nor above scale", received=f"{self.lacks_below:g}, threshold {self.threshold}"
            )
        chosen = tables[table][1] if missing is None else missing
        self.missing = chosen if chosen in (None, "negative") else _number("missing (negative or)", chosen)
        self.names, self.groups, self.spelling, self.separator = names, groups, dict(spelling or {}), separator
        self.info = name or f"{self.prefix}-attributes", published if version is None else version, licence or terms

    def read(self, path: Path, engine: object = None) -> Statements:
        """Read the table at `path`, a folder or a file as the layout says.

        Kinds are `concept` for classes, `attribute` for attributes and their groups; a class of a published layout has the id that
        `kgzsl.datasets` gives it.

        Raises
        ------
        MissingDataError : a file is not there.
        SourceError : another shape than the lists of names, a class or attribute twice, a value that is NaN, infinite, negative or
            above `scale` (its place is named), or a table without a single edge.
        """
        table = LAYOUTS[self.layout](path, prefix=self.prefix, table=self.table, names=self.names, separator=self.separator)
        if self.groups:
            folder = path if path.is_dir() else path.parent
            table = with_groups(table, folder / self.groups, self.spelling)
        has, lacks, dropped = self._edges(table)
        return self._statements(table, has, lacks, dropped)

    def _edges(self, table: AttributeTable) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
        """Return which entries say that a class has, and that it lacks, an attribute (bool `[classes, attributes]`), and counts."""
        values = table.values
        unknown = np.zeros(values.shape, dtype=bool) if self.missing is None else _unknown(values, self.missing)
        self._check(table, unknown)
        if self.threshold == "overall_mean":
            least: float | np.ndarray = float(values.mean())
        elif self.threshold == "mean":
            answers = np.maximum((~unknown).sum(axis=0), 1)
            least = np.where(unknown, 0.0, values).sum(axis=0) / answers
        else:
            least = float(self.threshold)
        has = ~unknown & (values > 0) & (values >= least)
        lacks = ~unknown & ~has & (values < (-np.inf if self.lacks_below is None else self.lacks_below))
        if not has.any() and not lacks.any():
            raise SourceError(
                "an attribute table gives at least one edge",
                received=f"{', '.join(table.files)}: the largest value is {values.max(initial=-np.inf):g}",
                remedy="lower the threshold",
            )
        dropped = {"no answer in the table": int(unknown.sum()), "below the threshold": int((~unknown & ~has & ~lacks).sum())}
        return has, lacks, {reason: n for reason, n in dropped.items() if n}

    def _check(self, table: AttributeTable, unknown: np.ndarray) -> None:
        for wrong, rule, remedy in (
            (table.values < 0, "an attribute's value is not negative", "set `missing` when it marks a missing answer"),
            (table.values > self.scale, f"an attribute's value is at most scale, {self.scale:g}", "set `scale` to the value of a full yes"),
        ):
            bad = np.argwhere(wrong & ~unknown)
            if len(bad):
                row, column = (int(n) for n in bad[0])
                raise SourceError(
                    rule,
                    received=f"{', '.join(table.files)}: class {row + 1:,} ({table.classes[row]}), attribute {column + 1:,} "
                    f"({table.attributes[column]}): {table.values[row, column]:g}, {len(bad):,} such",
                    remedy=remedy,
                )

    def _statements(self, table: AttributeTable, has: np.ndarray, lacks: np.ndarray, dropped: Mapping[str, int]) -> Statements:
        names = sorted({g for g in table.groups if g})
        groups = [attribute_id(self.prefix, g) for g in names]
        ids = [*table.classes, *table.attributes, *groups]
        if twice := repeated(ids):
            raise SourceError(
                "classes, attributes and groups of a table have different ids",
                received=f"{', '.join(table.files)}: {first_five(t.partition(' ')[0] for t in twice)}",
                remedy="rename the attribute or the group",
            )
        classes, attributes = len(table.classes), len(table.attributes)
        place = {g: classes + attributes + n for n, g in enumerate(names)}
        member = np.flatnonzero([bool(g) for g in table.groups])
        parents = np.array([place[g] for g in table.groups if g], dtype=np.int64)
        subjects, objects, weights = [], [], []
        for chosen, weight in ((has, table.values / self.scale), (lacks, 1 - table.values / self.scale)):
            rows, columns = np.nonzero(chosen)
            subjects.append(rows)
            objects.append(columns + classes)
            weights.append(weight[rows, columns])
        counts = [len(s) for s in subjects] + [len(member)]
        known = vocabulary()
        used = [k for k, n in enumerate(counts) if n]
        return Statements(
            ids=pa.array(ids),
            kinds=pa.array(["concept"] * classes + ["attribute"] * (len(ids) - classes)),
            labels=pa.array([*table.class_labels, *table.attribute_labels, *(attribute_label(g) for g in names)]),
            texts=pa.array([""] * len(ids)),
            relations=tuple(known[("has_attribute", "lacks_attribute", "hypernym")[k]] for k in used),
            subject=np.concatenate([*subjects, member + classes]).astype(np.int32),
            relation=np.repeat(np.arange(len(used)), [counts[k] for k in used]).astype(np.int32),
            object=np.concatenate([*objects, parents]).astype(np.int32),
            weight=np.concatenate([*weights, np.ones(len(member))]).astype(np.float32),
            info=SourceInfo(*self.info, table.files),
            dropped=dropped,
            prefixes=_prefixes(ids),
        )


def _unknown(values: np.ndarray, missing: float | str) -> np.ndarray:
    return values < 0 if missing == "negative" else values == missing


def _number(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"{what} is a finite number", received=repr(value))
    return float(value)


def _prefixes(ids: list[str]) -> dict[str, str]:
    found = sorted({i.partition(":")[0] for i in ids} - set(PREFIXES))
    return {prefix: benchmark_iri(prefix) for prefix in found}
