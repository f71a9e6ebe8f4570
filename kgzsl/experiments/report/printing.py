"""A report → PDF, by a browser that is on this machine."""

from __future__ import annotations

from pathlib import Path

from kgzsl import browser
from kgzsl.browser import BROWSERS

__all__ = ["BROWSERS", "print_page"]


def print_page(page: str, out: Path) -> None:
    """Print an HTML page to the PDF file `out` (see `kgzsl.browser.print_page`)."""
    browser.print_page(page, out, what="PDF", options=["--no-pdf-header-footer"])
