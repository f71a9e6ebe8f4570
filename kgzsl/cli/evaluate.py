"""`kgzsl eval`: a bundle on labelled features, by protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli.inputs import CLASSES_HELP
from kgzsl.cli.output import emit_json, emit_table
from kgzsl.errors import InvalidInputError


def evaluate(
    task: Annotated[str, typer.Argument(help="image")],
    bundle: Annotated[Path, typer.Argument(help="A bundle folder.")],
    features: Annotated[Path, typer.Argument(help="A feature artifact with labels (`kgzsl features extract --labels …`).")],
    protocol: Annotated[str, typer.Option("--protocol", help="unseen-only, +1K or gzsl.")] = "unseen-only",
    classes: Annotated[
        str | None, typer.Option("--classes", help=f"Unseen candidates (default: all of the bundle). {CLASSES_HELP}")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a bundle on labelled features.

    Example: `kgzsl eval image runs/imagenet21k.bundle caltech.features --protocol +1K`
    """
    from kgzsl.bundle import Bundle
    from kgzsl.cli.inputs import open_classes
    from kgzsl.matrices import Features
    from kgzsl.tasks.image import bundle_metrics

    if task != "image":
        raise InvalidInputError("a known task is needed", received=repr(task), remedy="choose from: image")
    metrics = bundle_metrics(Bundle.load(bundle), Features.load(features), protocol, open_classes(classes) if classes else None)
    if as_json:
        emit_json({"task": task, "protocol": protocol, "metrics": metrics})
    else:
        emit_table(
            ["metric", "value"], [(k, f"{v:.4f}" if isinstance(v, float) else v) for k, v in metrics.items()], title=f"{task}, {protocol}"
        )
