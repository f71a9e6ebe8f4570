"""`kgzsl fit`: graph + seen classes → bundle, or images of compositions → composition bundle."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli.fit_compositions import COMPOSITIONS_HELP, FINETUNE_HELP, FOREIGN, METHOD_HELP, TUNE_HELP, fit_compositions
from kgzsl.cli.inputs import BACKBONE_HELP, CLASSES_HELP, DESCRIPTIONS_HELP, GRAPH_HELP, HIDE_HELP, SEEN_HELP, SETTING_HELP, WEIGHTS_HELP
from kgzsl.cli.output import emit_json, emit_table
from kgzsl.errors import InvalidInputError


def fit(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the bundle.")],
    classes: Annotated[str, typer.Option("--classes", help=CLASSES_HELP)] = "imagenet-21k",
    graph: Annotated[str, typer.Option("--graph", help=GRAPH_HELP)] = "imagenet",
    encoder: Annotated[str, typer.Option("--encoder", help="See `kgzsl list encoders`.")] = "graph_gp",
    classifier: Annotated[
        str, typer.Option("--classifier", help="How predicted weights score images: weight_regression or refined_regression.")
    ] = "weight_regression",
    weights: Annotated[Path | None, typer.Option("--weights", help=WEIGHTS_HELP)] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help=BACKBONE_HELP)] = None,
    seen: Annotated[str | None, typer.Option("--seen", help=SEEN_HELP)] = None,
    hide: Annotated[str | None, typer.Option("--hide", help=HIDE_HELP)] = None,
    calibrate: Annotated[
        Path | None, typer.Option("--calibrate", help="Features of seen classes' images, to choose γ; not images you evaluate on.")
    ] = None,
    text_encoder: Annotated[str, typer.Option("--text-encoder", help="See `kgzsl list text-encoders`.")] = "minilm-l6-v2",
    descriptions: Annotated[Path | None, typer.Option("--descriptions", help=DESCRIPTIONS_HELP, exists=True, dir_okay=False)] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help=SETTING_HELP)] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint", help="Folder that keeps a trained encoder's state; the same command goes on from it.", file_okay=False
        ),
    ] = None,
    compositions: Annotated[str | None, typer.Option("--compositions", help=COMPOSITIONS_HELP)] = None,
    method: Annotated[str, typer.Option("--method", help=METHOD_HELP)] = "joint_heads",
    finetune: Annotated[str | None, typer.Option("--finetune", help=FINETUNE_HELP)] = None,
    tune: Annotated[list[str] | None, typer.Option("--tune", help=TUNE_HELP)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much memory training takes, and stop.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an artifact at the target.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a bundle that predicts seen and never-seen classes.

    Examples:

    `kgzsl fit --backbone efficientnet-lite0 -o runs/imagenet21k.bundle`

    `kgzsl fit --backbone efficientnet-lite0 --hide hidden.txt --calibrate seen.features -o runs/hidden.bundle`

    `kgzsl fit --backbone efficientnet-lite0 --classifier refined_regression -o runs/imagenet21k.bundle`

    `kgzsl fit --backbone efficientnet-lite0 --encoder trgcn --dry-run -o runs/trgcn.bundle`

    `kgzsl fit --compositions fashion --method cge -o runs/cge.bundle`

    `kgzsl fit --compositions fashion --backbone efficientnet-lite0-parts --set state_columns=[1280,2264] -o runs/fashion.bundle`

    `kgzsl fit --compositions fashion --finetune small --checkpoint runs/fashion.training -o runs/fashion.bundle`

    `torchrun --nproc-per-node 4 -m kgzsl fit --backbone efficientnet-lite0 --encoder trgcn --set precision=bfloat16 -o runs/trgcn.bundle`
    """
    from kgzsl import front
    from kgzsl.artifacts import check_target
    from kgzsl.classifiers import regression_classifier
    from kgzsl.cli.inputs import open_classes, open_graph, open_targets, open_vectors, read_settings
    from kgzsl.encoders import ENCODERS
    from kgzsl.encoders.parallel import rank
    from kgzsl.matrices import Features

    check_target(out, overwrite=overwrite)  # like all below: before the work, not after it
    given = {name for name in context.params if getattr(context.get_parameter_source(name), "name", "") != "DEFAULT"}
    foreign = sorted(given & set(FOREIGN if compositions is not None else ("method", "finetune", "tune")))
    if foreign:
        of, how = ("classes", "without") if compositions is not None else ("compositions", "with")
        raise InvalidInputError(
            f"options of {of} go {how} --compositions",
            received=", ".join(f"--{name.replace('_', '-')}" for name in foreign),
        )
    if compositions is not None:
        fit_compositions(
            compositions,
            out,
            method=method,
            backbone=backbone,
            graph=graph if "graph" in given else None,
            text_encoder=text_encoder,
            settings=read_settings(setting),
            finetune=finetune,
            tune=tune,
            checkpoint=checkpoint,
            overwrite=overwrite,
            as_json=as_json,
        )
        return
    wanted, settings = open_classes(classes), read_settings(setting)
    ENCODERS.make(encoder, settings)
    regression_classifier(classifier)
    targets = open_targets(weights, backbone, seen, hide)
    images = Features.load(calibrate) if calibrate else None
    opened = open_graph(graph)
    vectors = open_vectors(opened, text_encoder, descriptions)
    if dry_run:
        found = front.memory(opened, weights=targets, encoder=encoder, vectors=vectors, settings=settings)
        rows = {**dataclasses.asdict(found), "total": found.total}
        if as_json:
            emit_json(rows)
        else:
            emit_table(["part", "MiB"], [(part, f"{size / 2**20:,.1f}") for part, size in rows.items()])
        return
    bundle = front.fit(
        opened,
        weights=targets,
        classes=wanted,
        encoder=encoder,
        vectors=vectors,
        settings=settings,
        calibrate=images,
        checkpoint=checkpoint,
        classifier=classifier,
    )
    if rank():
        return  # the first of the processes that torchrun started writes for all
    path = bundle.save(out, overwrite=overwrite)
    if as_json:
        content = {"path": str(path), "classes": len(bundle.names), "seen": int(bundle.seen.sum()), "gamma": bundle.gamma}
        emit_json({**content, "encoder": encoder, "recipe": dict(bundle.recipe)})
        return
    typer.echo(f"{len(bundle.names):,} classes, {int(bundle.seen.sum()):,} of them seen, γ {bundle.gamma:.4f} → {path}")
