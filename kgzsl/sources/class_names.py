"""Published class names → ids: one prefix per set of classes, so that graphs and splits join by id."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kgzsl.errors import SourceError, first_five
from kgzsl.ids import check_unique

#: The ten unseen classes of the proposed split, for AWA1 and AWA2 alike (Xian et al., 2018).
AWA_PROPOSED_UNSEEN = ("bat", "blue+whale", "bobcat", "dolphin", "giraffe", "horse", "rat", "seal", "sheep", "walrus")
_NUMBERED = re.compile(r"\d{3}\.(\S+)")


def cub_ids(names: Sequence[str]) -> tuple[str, ...]:
    """Return the class id of each published name: `001.Black_footed_Albatross` → `cub:Black_footed_Albatross`."""
    matches = [_NUMBERED.fullmatch(name.strip()) for name in names]
    strange = [name for name, match in zip(names, matches, strict=True) if match is None]
    if strange:
        raise SourceError("a CUB class is named like 001.Black_footed_Albatross", received=first_five(strange))
    ids = tuple(f"cub:{match.group(1)}" for match in matches if match is not None)
    check_unique(ids, "the classes of CUB")
    return ids


def awa_ids(names: Sequence[str]) -> tuple[str, ...]:
    """Return the class id of each published name: `polar+bear` → `awa:polar+bear` (AWA1 and AWA2 share them)."""
    torn = [name for name in names if not name or len(name.split()) != 1]
    if torn:
        raise SourceError("an AwA class is named in one word, like polar+bear", received=first_five(torn))
    ids = tuple(f"awa:{name}" for name in names)
    check_unique(ids, "the classes of AwA")
    return ids
