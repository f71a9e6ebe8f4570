"""`kgzsl predict`: images or features → names, with reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli.output import emit_json


def predict(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder.")],
    inputs: Annotated[list[Path], typer.Argument(help="Image files, a folder of images, or a feature artifact.")],
    top: Annotated[int, typer.Option("--top", help="How many answers per image.")] = 5,
    candidates: Annotated[str, typer.Option("--candidates", help="all, unseen or seen classes.")] = "all",
    explain: Annotated[bool, typer.Option("--explain", help="Say which neighbours and seen classes carried the best answer.")] = False,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="The bundle's backbone: its name, or its folder (needed for a transformers model).")
    ] = None,
    on_error: Annotated[str, typer.Option("--on-error", help="raise, or skip images that cannot be read (they are listed).")] = "raise",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Classify images into classes the model had examples of, and into classes it never saw.

    Examples:

    `kgzsl predict runs/imagenet21k.bundle photo.jpg --top 5 --explain`

    `kgzsl predict runs/imagenet21k.bundle holiday/ --candidates unseen --json`
    """
    from kgzsl.bundle import Bundle
    from kgzsl.cli.inputs import open_features

    opened = Bundle.load(bundle)
    features = open_features(inputs, opened, backbone, on_error)
    answers = opened.predict(features, top=top, candidates=candidates)
    records = []
    for i, (row, best) in enumerate(zip(features.ids, answers, strict=True)):
        record: dict[str, object] = {"input": row, "answers": [vars(a) for a in best]}
        if explain:
            why = opened.explain(features.matrix[i], best[0].id)
            record["explanation"] = {
                "parents": why.parents,
                "children": why.children,
                "carriers": [{"name": name, "contribution": value} for name, value in why.carriers],
            }
        records.append(record)
    if as_json:
        emit_json({"records": records, "skipped": features.meta.get("skipped", {})})
        return
    _print(records)
    for path, reason in features.meta.get("skipped", {}).items():
        typer.secho(f"skipped {path}: {reason}", fg="yellow", err=True)


def _print(records: list[dict[str, object]]) -> None:
    from typing import Any, cast

    for record in cast(list[dict[str, Any]], records):
        typer.secho(record["input"], bold=True)
        for answer in record["answers"]:
            kind = "seen" if answer["seen"] else "never seen"
            typer.echo(f"  {answer['score']:+.4f}  {answer['name']}  [{answer['id']}, {kind}]")
        why = record.get("explanation")
        if why:
            typer.echo(f"  why {record['answers'][0]['name']}:")
            typer.echo(f"    is a kind of: {'; '.join(why['parents']) or 'nothing above it in the graph'}")
            if why["children"]:
                shown = "; ".join(why["children"][:5])
                more = f" (+{len(why['children']) - 5} more)" if len(why["children"]) > 5 else ""
                typer.echo(f"    kinds of it: {shown}{more}")
            carriers = [c for c in why["carriers"] if c["contribution"] > 0][:5]
            typer.echo("    carried by seen classes: " + "; ".join(f"{c['name']} ({c['contribution']:.3f})" for c in carriers))
