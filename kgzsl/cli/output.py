"""What every reporting verb shares: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import typer


def emit_json(value: object) -> None:
    """Print `value` as JSON on standard output."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def emit_table(headings: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table that fits the terminal; the first column, by which one looks things up, is never cut."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))  # text like [feature, 1] is no markup
    console = Console()
    # a pipe has no width of its own; 80 columns would cut the ids that the next program reads
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)
