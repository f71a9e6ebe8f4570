"""Where the label of an image comes from: its folder, its name, or the caller."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from kgzsl.errors import InvalidInputError, first_five
from kgzsl.ids import curies

LabelRule = Literal["from-folders", "from-names", "none"]
RULES: tuple[str, ...] = ("from-folders", "from-names", "none")

_WNID_NAME = re.compile(r"(n\d{8})(?:[_.].*)?")
_WNID = re.compile(r"n\d{8}")


def labels_of(ids: Sequence[str], paths: Sequence[Path], labels: LabelRule | Sequence[str] | None) -> tuple[str, ...]:
    """Return the class id (CURIE) of each image, or an empty tuple when there are none.

    Raises
    ------
    InvalidInputError : a rule that is not known, another number of labels than images, or files whose folder or name
        is not a wnid; the first five are named.
    """
    if labels is None or labels == "none":
        return ()
    if not isinstance(labels, str):
        given = tuple(labels)
        if len(given) != len(paths):
            raise InvalidInputError("there is one label per image", received=f"{len(given)} labels, {len(paths)} images")
        return curies(given)
    if labels not in RULES:
        raise InvalidInputError(f"labels are one of {', '.join(RULES)}", received=repr(labels))
    found = [_from_folder(p) if labels == "from-folders" else _from_name(p) for p in paths]
    unlabelled = [i for i, label in zip(ids, found, strict=True) if label is None]
    if unlabelled:
        where = "folder" if labels == "from-folders" else "name"
        raise InvalidInputError(
            f"with labels {labels}, every file's {where} gives its wnid, such as n02084071",
            received=f"{len(unlabelled):,} do not: {first_five(unlabelled)}",
            remedy="rename them, or pass `--labels none`",
        )
    return curies(cast(list[str], found))


def _from_folder(path: Path) -> str | None:
    return path.parent.name if _WNID.fullmatch(path.parent.name) else None


def _from_name(path: Path) -> str | None:
    match = _WNID_NAME.fullmatch(path.name)
    return match.group(1) if match else None
