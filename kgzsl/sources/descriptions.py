"""Descriptions of classes, `{id: [text, …]}` in JSON: what a class looks like, written by people or a language model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from kgzsl.errors import MissingDataError, SourceError, first_five
from kgzsl.ids import check_unique, curies


def read_descriptions(path: str | os.PathLike[str]) -> dict[str, tuple[str, ...]]:
    """Read `{id: [text, …]}` from a JSON file; ids are CURIEs or bare wnids.

    Raises
    ------
    MissingDataError : no such file.
    SourceError : not JSON of that shape, an id twice, or a class without any text.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDataError("descriptions are read from a JSON file", received=f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise SourceError("descriptions are a JSON object {id: [text, …]}", received=f"{path}: {error}") from error
    if not isinstance(content, dict) or not content:
        raise SourceError("descriptions are a JSON object {id: [text, …]}", received=f"{path} holds {type(content).__name__}")
    return check_descriptions(content, str(path))


def check_descriptions(content: Mapping[str, object], where: str) -> dict[str, tuple[str, ...]]:
    """Return `content` with CURIEs as ids; raises SourceError for anything but non-empty lists of non-empty texts."""
    bad = [k for k, v in content.items() if not (isinstance(v, list | tuple) and v and all(isinstance(t, str) and t.strip() for t in v))]
    if bad:
        raise SourceError(
            "every described class has a list of texts", received=f"{where}: {len(bad):,} have none: {first_five(bad)}", remedy="drop them"
        )
    ids = curies(content)
    check_unique(ids, f"the classes of {where}")
    return {i: tuple(texts) for i, texts in zip(ids, content.values(), strict=True)}  # type: ignore[arg-type]
