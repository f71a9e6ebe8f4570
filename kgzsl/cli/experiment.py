"""`kgzsl experiment`: run cells, list them, print tables from result files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli.output import emit_json, emit_table

app = typer.Typer(help="Run experiment cells and print tables from their results.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the cells that come with the package.

    Example: `kgzsl experiment list --json`
    """
    from kgzsl.experiments.cell import load_cell, shipped_cells

    cells = [load_cell(name) for name in shipped_cells()]
    if as_json:
        emit_json([dict(cell.content) for cell in cells])
    else:
        emit_table(["name", "task", "dataset", "method", "seeds"], [(c.name, c.task, c.dataset, c.method, len(c.seeds)) for c in cells])


@app.command("run")
def run(
    names: Annotated[list[str], typer.Argument(help="Shipped cells (a `*` pattern is allowed) or YAML files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result files.")] = Path("runs"),
    images: Annotated[
        Path | None, typer.Option("--images", help="An ImageNet-style folder in place of the samples, for image-holdout cells.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Run cells whose result file is there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON.")] = False,
) -> None:
    """Run experiment cells; each writes FOLDER/<name>.json. A cell with a result is skipped unless --again, or unless the cell has changed.

    Examples:

    `kgzsl experiment run kgzsl2026_graph-gp_imagenet-folds`

    `kgzsl experiment run '*_imagenet-folds' -o runs`
    """
    import fnmatch

    from kgzsl.datasets import image_folder, train_ids
    from kgzsl.errors import InvalidInputError, UnknownNameError
    from kgzsl.experiments.cell import load_cell, shipped_cells
    from kgzsl.experiments.results import read_result, write_result
    from kgzsl.experiments.runner import check_cell, run_cell

    chosen: dict[str, None] = {}
    for name in names:
        matched = fnmatch.filter(shipped_cells(), name) if "*" in name else [name]
        if not matched:
            raise UnknownNameError("the pattern must match a shipped cell", received=name, remedy="`kgzsl experiment list` shows the names")
        chosen.update(dict.fromkeys(matched))
    cells = [load_cell(name) for name in chosen]  # all are checked before the first one runs
    for cell in cells:
        check_cell(cell)
    if out.exists() and not out.is_dir():
        raise InvalidInputError("results go into a folder", received=f"{out}, which is a file", remedy="name a folder with -o")
    given = image_folder(images, known=train_ids()) if images else None
    summaries = {}
    for cell in cells:
        path = out / f"{cell.name}.json"
        result = read_result(path) if path.exists() and not again else None
        if result and given and result["dataset"].get("digest") != given.digest:
            raise InvalidInputError("a folder of results holds those of one image set", received=path, remedy="name another folder with -o")
        if result and result["cell"] == dict(cell.content):
            typer.echo(f"{cell.name}: has a result in {path}, skipped (--again runs it)", err=True)
        else:
            result = run_cell(cell, images=given)
            write_result(result, path)
            typer.echo(f"{cell.name}: {result['seconds']:.0f} s → {path}", err=True)
        summaries[cell.name] = result["summary"]
    if as_json:
        emit_json(summaries)


@app.command("leaderboard")
def leaderboard(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Result files or folders; default: those that come with the package.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Only this task's table.")] = None,
    update: Annotated[Path | None, typer.Option("--update", help="Replace the marked tables in this Markdown file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print tables made from result files, best first.

    Examples:

    `kgzsl experiment leaderboard runs`

    `kgzsl experiment leaderboard --task image-holdout --update README.md`
    """
    from importlib.resources import files

    from kgzsl.experiments.leaderboard import collect, markdown, published_markdown, rows_of, tables, update_document

    found = collect(list(results) if results else [Path(str(files("kgzsl.experiments") / "results"))])
    names = [name for name in tables(found) if not task or name.split(" ")[0] == task] or ([task] if task else [])
    rows = {name: rows_of(found, name) for name in names}
    if as_json:
        emit_json({name: [vars(row) for row in listed] for name, listed in rows.items()})
        return
    texts = {name: markdown(listed, name) for name, listed in rows.items()}
    if update:
        update_document(update, texts)
        return
    for name, text in texts.items():
        published = published_markdown(found, name)
        typer.echo(f"\n{name} (per cent; distances in edges)\n\n{text}\n" + (f"\n{published}\n" if published else ""))
