"""`kgzsl report`: result files → one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli.output import emit_json


def report(
    results: Annotated[list[Path], typer.Argument(help="Result files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: .html, .md or .pdf (printed by Chromium or Chrome).")] = Path(
        "report.html"
    ),
    title: Annotated[str, typer.Option("--title", help="Heading of the page.")] = "kgzsl report",
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder of the evaluated images, for pictures of wrong answers.", exists=True, file_okay=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write one self-contained page: tables, seen–unseen curves, accuracy of each class, confusions, neighbours of the worst classes.

    Examples:

    `kgzsl report runs -o report.html`

    `kgzsl report runs/romera2015_eszsl_cub.json -o eszsl.pdf --title "ESZSL on CUB"`
    """
    from kgzsl.experiments.leaderboard import collect
    from kgzsl.experiments.report import write_report

    found = collect(list(results))
    path = write_report(found, out, title=title, images=images)
    if as_json:
        emit_json({"path": str(path), "results": len(found), "bytes": path.stat().st_size})
        return
    typer.echo(f"{len(found)} results → {path} ({path.stat().st_size / 1024:,.0f} KiB)")
