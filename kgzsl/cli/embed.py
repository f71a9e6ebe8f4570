"""`kgzsl embed`: graph → class embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli.inputs import BACKBONE_HELP, CLASSES_HELP, DESCRIPTIONS_HELP, GRAPH_HELP, HIDE_HELP, SEEN_HELP, SETTING_HELP, WEIGHTS_HELP
from kgzsl.cli.output import emit_json


def embed(
    classes: Annotated[str, typer.Option("--classes", help=CLASSES_HELP)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the embeddings artifact.")],
    graph: Annotated[str, typer.Option("--graph", help=GRAPH_HELP)] = "imagenet",
    encoder: Annotated[str, typer.Option("--encoder", help="See `kgzsl list encoders`.")] = "graph_gp",
    weights: Annotated[Path | None, typer.Option("--weights", help=WEIGHTS_HELP)] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help=BACKBONE_HELP)] = None,
    seen: Annotated[str | None, typer.Option("--seen", help=SEEN_HELP)] = None,
    hide: Annotated[str | None, typer.Option("--hide", help=HIDE_HELP)] = None,
    text_encoder: Annotated[str, typer.Option("--text-encoder", help="See `kgzsl list text-encoders`.")] = "minilm-l6-v2",
    descriptions: Annotated[Path | None, typer.Option("--descriptions", help=DESCRIPTIONS_HELP, exists=True, dir_okay=False)] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help=SETTING_HELP)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an artifact at the target.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the class embeddings of CLASSES from an encoder fitted on seen classes' weights.

    Example: `kgzsl embed --backbone efficientnet-lite0 --encoder sgcn --set epochs=300 --classes my_classes.txt -o my.embeddings`
    """
    from kgzsl import front
    from kgzsl.artifacts import check_target
    from kgzsl.cli.inputs import open_classes, open_graph, open_targets, open_vectors, read_settings
    from kgzsl.encoders import ENCODERS

    check_target(out, overwrite=overwrite)  # like all below: before the work, not after it
    wanted, settings = open_classes(classes), read_settings(setting)
    ENCODERS.make(encoder, settings)
    targets = open_targets(weights, backbone, seen, hide)
    opened = open_graph(graph)
    vectors = open_vectors(opened, text_encoder, descriptions)
    embeddings = front.embed(opened, classes=wanted, targets=targets, encoder=encoder, vectors=vectors, settings=settings)
    path = embeddings.save(out, overwrite=overwrite)
    if as_json:
        emit_json({"path": str(path), "classes": len(embeddings), "dim": embeddings.dim, **embeddings.meta})
        return
    typer.echo(f"{len(embeddings):,} classes × {embeddings.dim} → {path}")
