"""`att_splits.mat` of the xlsa17 folders: classes, attributes and the rows of the proposed split."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kgzsl.datasets.base import Split
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.datasets.numbering import row_positions
from kgzsl.datasets.readers import one_of
from kgzsl.errors import InvalidInputError, SourceError, UnknownNameError, first_five
from kgzsl.ids import check_unique
from kgzsl.matrices import ClassEmbeddings
from kgzsl.sources.class_names import AWA_PROPOSED_UNSEEN, awa_ids, cub_ids
from kgzsl.sources.tables import cell_names

#: Width of the published sentence vectors of CUB (Reed et al., 2016).
SENTENCE_DIM = 1_024


@dataclass(frozen=True)
class Published:
    """Counts of one dataset as published, proposed split version 2."""

    rows: int
    seen: int
    unseen: int
    attributes: int
    train: int
    test_seen: int
    test_unseen: int

    @property
    def classes(self) -> int:
        """All classes."""
        return self.seen + self.unseen


#: Dataset → counts. The three row lists divide the rows; `train_loc` and `val_loc` of the files overlap `test_seen_loc` and are not used.
PUBLISHED: Mapping[str, Published] = {
    "AWA1": Published(30_475, 40, 10, 85, 19_832, 4_958, 5_685),
    "AWA2": Published(37_322, 40, 10, 85, 23_527, 5_882, 7_913),
    "CUB": Published(11_788, 150, 50, 312, 7_057, 1_764, 2_967),
    "SUN": Published(14_340, 645, 72, 102, 10_320, 2_580, 1_440),
    "APY": Published(15_339, 20, 12, 64, 5_932, 1_483, 7_924),
    "FLO": Published(8_189, 82, 20, 1_024, 5_631, 1_403, 1_155),
}
ROW_LISTS = {"train": "trainval_loc", "test_seen": "test_seen_loc", "test_unseen": "test_unseen_loc"}


@dataclass(frozen=True)
class MatSplits:
    """What `att_splits.mat` holds: everything but the features and labels.

    Attributes
    ----------
    name : `AWA1`, `AWA2`, `CUB`, `SUN`, `APY` or `FLO`.
    classes : class ids in the order that the published labels count (from 1).
    embeddings : `[classes, attributes]`.
    numbers : `train`, `test_seen`, `test_unseen` → row numbers from 1 as published, int64; they divide 1 … rows.
    unseen : the unseen classes where they are known without labels (AwA, or `testclasses.txt` lies beside the file), else
        empty: the `.mat` file itself does not say them, its rows and the labels do (`split`).
    """

    name: str
    classes: tuple[str, ...]
    embeddings: ClassEmbeddings
    numbers: Mapping[str, np.ndarray]
    unseen: tuple[str, ...]

    def split(self, labels: Sequence[str]) -> Split:
        """Return seen and unseen classes from the label of every row (`[rows]` class ids, in the published row order).

        Raises
        ------
        InvalidInputError : another number of rows, a class with training and unseen test rows (labels in another order, or
            counting from another base), other counts of classes than published, or others than testclasses.txt says.
        """
        stated = PUBLISHED[self.name]
        if len(labels) != stated.rows:
            raise InvalidInputError(f"{self.name} has {stated.rows:,} rows", received=f"{len(labels):,} labels")
        names = np.array(labels, dtype=object)
        of = {what: set(names[numbers - 1]) for what, numbers in self.numbers.items()}
        leaked = sorted((of["train"] | of["test_seen"]) & of["test_unseen"])
        if leaked:
            raise InvalidInputError(
                f"{self.name}: no class has training rows and unseen test rows",
                received=f"{len(leaked):,} have both: {first_five(leaked)}",
                remedy="labels and rows must be in the published order and count from 1",
            )
        if (len(of["train"]), len(of["test_unseen"])) != (stated.seen, stated.unseen) or of["train"] != of["test_seen"]:
            raise InvalidInputError(
                f"{self.name} has {stated.seen} seen classes, all tested, and {stated.unseen} unseen ones",
                received=f"{len(of['train'])} trained on, {len(of['test_seen'])} seen tested, {len(of['test_unseen'])} unseen tested",
            )
        if self.unseen and set(self.unseen) != of["test_unseen"]:
            other = sorted(set(self.unseen) ^ of["test_unseen"])
            raise InvalidInputError(
                f"{self.name}: the list of unseen classes and the unseen test rows name the same classes", received=first_five(other)
            )
        seen, unseen = (tuple(c for c in self.classes if c in of[what]) for what in ("train", "test_unseen"))
        return Split(f"{self.name.lower()}-proposed", "xian2018-v2", seen, unseen)


def read_splits(name: str, path: str | os.PathLike[str] | None = None, *, semantics: str = "att") -> MatSplits:
    """Read `att_splits.mat` alone.

    Parameters
    ----------
    name : `AWA1`, `AWA2`, `CUB`, `SUN`, `APY` or `FLO`.
    path : the `xlsa17` folder; None looks below `KGZSL_DATA`. Files are `NAME/att_splits.mat` or `NAME_att_splits.mat`.
    semantics : `att` (what published numbers use; attributes of unit length), `original_att` (raw), or `sentences` for CUB
        (`sent_splits.mat`: the vectors of Reed et al., 2016, 1024 wide).

    Raises
    ------
    MissingDataError : the file is not there.
    SourceError : not the published layout.
    InvalidInputError : counts other than published, or row numbers that do not count from 1.
    """
    stated = _published(name)
    one_of("the semantics of a .mat split", semantics, ("att", "original_att", "sentences"))
    if semantics == "sentences" and name != "CUB":
        raise InvalidInputError("sentence vectors are published for CUB (FLO's `att` holds FLO's)", received=name)
    folder = BenchmarkFolder("xlsa17", path)
    stem = "sent_splits" if semantics == "sentences" else "att_splits"
    found = folder.file(f"{name}/{stem}.mat", f"{name}_{stem}.mat")
    variable = "original_att" if semantics == "original_att" else "att"
    content = folder.matlab(found, (variable, *ROW_LISTS.values()), ("allclasses_names",))
    classes = _class_ids(name, content.get("allclasses_names"), folder)
    width = SENTENCE_DIM if semantics == "sentences" else stated.attributes
    if content[variable].shape != (width, stated.classes):
        raise InvalidInputError(
            f"`{variable}` of {found.name} is [{width} attributes, {stated.classes} classes], one column per class",
            received=f"shape {content[variable].shape}",
        )
    unseen = listed_classes(name, f"{name}/testclasses.txt", folder, classes)
    if not unseen and name.startswith("AWA"):
        unseen = awa_ids(AWA_PROPOSED_UNSEEN)
    return MatSplits(
        name=name,
        classes=classes,
        embeddings=ClassEmbeddings(
            ids=classes, matrix=content[variable].T, meta={"semantics": semantics, "variable": variable, "file": found.name}
        ),
        numbers=_numbers(name, content),
        unseen=unseen,
    )


def _published(name: str) -> Published:
    if name not in PUBLISHED:
        raise UnknownNameError("an xlsa17 dataset has a known name", received=repr(name), remedy=f"choose from: {', '.join(PUBLISHED)}")
    return PUBLISHED[name]


def _ids(name: str, names: Sequence[str]) -> tuple[str, ...]:
    if name.startswith("AWA"):
        return awa_ids(names)
    if name == "CUB":
        return cub_ids(names)
    ids = tuple(f"{name.lower()}:{n.strip()}" for n in names)
    check_unique(ids, f"the classes of {name}")
    return ids


def _class_ids(name: str, cells: np.ndarray | None, folder: BenchmarkFolder) -> tuple[str, ...]:
    """Class ids in label order; FLO's file carries no names, so its ids are the published numbers."""
    stated = PUBLISHED[name]
    if cells is not None:
        names = cell_names(cells, "`allclasses_names`")
    elif folder.has(f"{name}/allclasses.txt"):
        names = folder.lines(f"{name}/allclasses.txt")
    elif name == "FLO":
        names = [str(n) for n in range(1, stated.classes + 1)]
    else:
        raise SourceError(f"{name}'s split file has `allclasses_names`", received="none, and no allclasses.txt beside it")
    if len(names) != stated.classes:
        raise InvalidInputError(f"{name} has {stated.classes} classes", received=f"{len(names)} names")
    return _ids(name, names)


def listed_classes(name: str, file: str, folder: BenchmarkFolder, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that a list beside the `.mat` file names; empty without the file."""
    if not folder.has(file):
        return ()
    found = _ids(name, folder.lines(file))
    strange = sorted(set(found) - set(classes))
    if strange or len(found) != PUBLISHED[name].unseen:
        raise InvalidInputError(
            f"{file} names {PUBLISHED[name].unseen} of {name}'s classes",
            received=f"{len(found)}, of which unknown: {first_five(strange) or 'none'}",
        )
    return found


def _numbers(name: str, content: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The three row lists, checked: the published lengths, counting from 1, and every row in exactly one."""
    stated = PUBLISHED[name]
    numbers = {}
    for what, variable in ROW_LISTS.items():
        positions = row_positions(content[variable], stated.rows, f"`{variable}` of {name}")
        if len(positions) != getattr(stated, what):
            raise InvalidInputError(f"`{variable}` of {name} has {getattr(stated, what):,} rows", received=f"{len(positions):,}")
        numbers[what] = positions + 1
    together = np.unique(np.concatenate(list(numbers.values())))
    if len(together) != stated.rows:
        raise InvalidInputError(
            f"the training, seen test and unseen test rows of {name} divide its {stated.rows:,} rows",
            received=f"{len(together):,} rows in all",
            remedy="use the published file of the proposed split, version 2",
        )
    return numbers
