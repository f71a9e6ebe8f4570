"""One self-contained page from result files: tables, curves, classes, confusions; as HTML, Markdown or PDF."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kgzsl.errors import InvalidInputError
from kgzsl.experiments.report.page import as_html
from kgzsl.experiments.report.printing import BROWSERS, print_page
from kgzsl.experiments.report.words import as_markdown

SUFFIXES = (".html", ".md", ".pdf")

__all__ = ["BROWSERS", "SUFFIXES", "as_html", "as_markdown", "write_report"]


def write_report(
    results: Sequence[Mapping[str, Any]], out: str | os.PathLike[str], *, title: str = "kgzsl report", images: Path | None = None
) -> Path:
    """Write a report of `results` to a `.html`, `.md` or `.pdf` file and return its path.

    Parameters
    ----------
    results : checked results (see `experiments.results`).
    images : folder that the row ids of image features are relative to; None finds those of the known benchmarks.

    Raises
    ------
    InvalidInputError : another suffix.
    MissingDataError : a PDF is asked for and there is no browser that prints it.
    """
    from kgzsl.artifacts import atomic_file

    path = Path(out)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInputError(
            "a report is written as a known kind of file", received=path.name, remedy=f"end it in {', '.join(SUFFIXES)}"
        )
    text = as_markdown(results, title) if suffix == ".md" else as_html(results, title, images, opened=suffix == ".pdf")
    with atomic_file(path) as temporary:
        if suffix == ".pdf":
            print_page(text, temporary)
        else:
            temporary.write_text(text, encoding="utf-8")
    return path
