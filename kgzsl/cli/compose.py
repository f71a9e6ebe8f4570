"""`kgzsl compose`: a composition → the images that show it, also one that was never seen in training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli.output import emit_json, emit_table


def compose(
    composition: Annotated[
        str, typer.Argument(help='A state and an object, such as "red dress"; STATE/OBJECT parts the words as it stands.')
    ],
    inputs: Annotated[list[Path], typer.Argument(help="Image files, a folder of images, or a feature artifact.")],
    model: Annotated[Path, typer.Option("--model", help="A bundle that `kgzsl fit --compositions` wrote.")],
    top: Annotated[int, typer.Option("--top", help="How many images.")] = 20,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page with the pictures (.html).")] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", help="Folder of the bundle's backbone, where that is a transformers model.")
    ] = None,
    on_error: Annotated[str, typer.Option("--on-error", help="raise, or skip images that cannot be read (they are listed).")] = "raise",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank images by how well a composition of a state and an object fits them; it may be one that no training image showed.

    Examples:

    `kgzsl compose "red dress" photos/ --model runs/fashion.bundle --top 20 -o page.html`

    `kgzsl compose "navy blue casual shoes" a.jpg b.jpg --model runs/fashion.bundle --json`
    """
    from kgzsl.cli.inputs import is_artifact
    from kgzsl.composition_bundle import CompositionBundle
    from kgzsl.datasets.composition_names import find_composition
    from kgzsl.errors import InvalidInputError
    from kgzsl.experiments.report.retrieval import check_page, write_page
    from kgzsl.matrices import Features

    bundle = CompositionBundle.load(model)
    find_composition(composition, bundle.space)  # like what follows: before the work, not after it
    if top < 1:
        raise InvalidInputError("top is at least 1", received=top)
    if out is not None:
        check_page(out)
    artifacts = [p for p in inputs if is_artifact(p)]
    if artifacts and (len(inputs) > 1 or backbone):
        raise InvalidInputError(
            "the input is images, or one feature artifact without --backbone", received=f"{len(inputs)} paths, {artifacts[0]} among them"
        )
    if artifacts:
        features = Features.load(artifacts[0])
    else:
        features = bundle.features_of(inputs[0] if len(inputs) == 1 else list(inputs), backbone=backbone, on_error=on_error)
    ranking = bundle.rank(composition, features, top=top)
    written = write_page(ranking, out, [] if artifacts else inputs) if out is not None else None
    if as_json:
        emit_json({**dataclasses.asdict(ranking), "page": str(written) if written else None})
        return
    kind = "seen in training" if ranking.seen else "never seen in training"
    rows = [(n, match.image, f"{100 * match.share:.1f}", match.answer) for n, match in enumerate(ranking.matches, start=1)]
    title = f"{ranking.state} {ranking.object} ({kind}), best {len(rows)} of {ranking.images:,} images"
    emit_table(["rank", "image", "share (%)", "best answer"], rows, title)
    for path, reason in ranking.skipped.items():
        typer.secho(f"skipped {path}: {reason}", fg="yellow", err=True)
    if written is not None:
        typer.echo(f"→ {written} ({written.stat().st_size / 1024:,.0f} KiB)")
