"""K-ZSL (Geng et al., 2021): the classes and splits of KG-AwA, KG-ImNet-A and KG-ImNet-O."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kgzsl.datasets.base import Split
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.errors import InvalidInputError, SourceError, UnknownNameError, first_five
from kgzsl.ids import curies

#: Name → (folder, seen classes, unseen classes). Papers also use an ImNet-A of 25 + 55 classes: another benchmark.
KZSL_COUNTS: Mapping[str, tuple[str, int, int]] = {
    "AwA": ("AwA", 40, 10),
    "ImNet-A": ("ImNet_A", 28, 52),
    "ImNet-O": ("ImNet_O", 10, 25),
}


def kzsl_split(name: str, path: str | os.PathLike[str] | None = None) -> Split:
    """Return seen and unseen classes as WordNet ids (`wn30:…`).

    Parameters
    ----------
    name : `AwA` (40 + 10 classes), `ImNet-A` (28 + 52) or `ImNet-O` (10 + 25).
    path : the `kzsl` folder; None looks below `KGZSL_DATA`.

    Raises
    ------
    MissingDataError : `FOLDER/class.json` is not there.
    SourceError : malformed, or the list `FOLDER_split.json` beside it says otherwise.
    InvalidInputError : other counts; the 25 + 55 ImNet-A for one.
    """
    folder_name, seen, unseen = _known(name)
    names = _names(name, path)
    split = Split(f"kzsl-{name}", "geng2021", curies(names["seen"]), curies(names["unseen"]))
    if (len(split.seen), len(split.unseen)) != (seen, unseen):
        raise InvalidInputError(
            f"K-ZSL's {name} has {seen} seen and {unseen} unseen classes",
            received=f"{len(split.seen)} and {len(split.unseen)}",
            remedy="use the published resource; a variant with other counts is another benchmark",
        )
    folder = BenchmarkFolder("kzsl", path)
    if folder.has(f"{folder_name}_split.json"):
        beside = folder.json(f"{folder_name}_split.json")
        for part, ids in (("seen", split.seen), ("unseen", split.unseen)):
            other = set(curies(map(str, beside.get(part, ())))) ^ set(ids)
            if other:
                raise SourceError(
                    f"class.json and {folder_name}_split.json name the same {part} classes", received=f"{first_five(sorted(other))}"
                )
    return split


def kzsl_names(name: str, path: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Return the published name of every class by its WordNet id, sorted; AwA's are those of the `awa:` ids.

    For a class of AwA, `f"awa:{name}"` is its id in `Awa1` and `Xlsa17Awa2`: this is how their classes find nodes in WordNet.
    """
    names = _names(name, path)
    found = {**names["seen"], **names["unseen"]}
    return {identifier: found[key] for identifier, key in sorted(zip(curies(found), found, strict=True))}


def _known(name: str) -> tuple[str, int, int]:
    if name not in KZSL_COUNTS:
        raise UnknownNameError("a K-ZSL dataset has a known name", received=repr(name), remedy=f"choose from: {', '.join(KZSL_COUNTS)}")
    return KZSL_COUNTS[name]


def _names(name: str, path: str | os.PathLike[str] | None) -> dict[str, dict[str, str]]:
    file = f"{_known(name)[0]}/class.json"
    content = BenchmarkFolder("kzsl", path).json(file)
    parts = {part: content.get(part) for part in ("seen", "unseen")}
    for part, names in parts.items():
        if not isinstance(names, dict) or not all(isinstance(v, str) for v in names.values()):
            raise SourceError(f"{file} has the objects seen and unseen, name by WordNet id", received=f"{part} is not one")
    return {part: dict(names) for part, names in parts.items() if names is not None}
