"""A ranking of images → one self-contained page that shows them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kgzsl.errors import InvalidInputError
from kgzsl.experiments.report.pictures import thumbnail

if TYPE_CHECKING:
    from kgzsl.composition_bundle import Ranking


def check_page(out: str | os.PathLike[str]) -> Path:
    """Return `out` as a path; raises InvalidInputError unless it ends in .html and is no folder."""
    path = Path(out)
    if path.suffix.lower() != ".html" or path.is_dir():
        raise InvalidInputError("the page is an .html file", received=str(path), remedy="end its name in .html")
    return path


def write_page(ranking: Ranking, out: str | os.PathLike[str], images: Sequence[str | os.PathLike[str]] = ()) -> Path:
    """Write the page and return its path.

    Parameters
    ----------
    images : the files and folders that were ranked; images that are not there any more, or none, leave their place to the name.
    """
    from kgzsl.artifacts import atomic_file

    path = check_page(out)
    with atomic_file(path) as temporary:
        temporary.write_text(as_page(ranking, images), encoding="utf-8")
    return path


def as_page(ranking: Ranking, images: Sequence[str | os.PathLike[str]] = ()) -> str:
    """Return the page; everything it shows stands in it, and every text is escaped."""
    import jinja2

    import kgzsl

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kgzsl.experiments.report", "."), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    files = _files(images)
    name = f"{ranking.state} {ranking.object}"
    cards = [
        {"rank": n, "match": match, "data": thumbnail(files[match.image]) if match.image in files else None, "own": match.answer == name}
        for n, match in enumerate(ranking.matches, start=1)
    ]
    return environment.get_template("retrieval.html.j2").render(
        name=name, ranking=ranking, cards=cards, without=sum(card["data"] is None for card in cards), version=kgzsl.__version__
    )


def _files(images: Sequence[str | os.PathLike[str]]) -> dict[str, Path]:
    """Row id → file, as `extract` names them."""
    from kgzsl.features.images import list_images

    if not images:
        return {}
    paths, ids = list_images(images[0] if len(images) == 1 else images)
    return dict(zip(ids, paths, strict=True))
