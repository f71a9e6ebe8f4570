"""`kgzsl features`: images → feature artifact; a backbone's own classifier weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from kgzsl.cli.output import emit_json

app = typer.Typer(help="Images → features of a backbone.", no_args_is_help=True)

BACKBONE_HELP = "A name (`kgzsl list backbones`), a transformers folder, or transformers:REPO with --allow-network."
DEVICE_HELP = "auto, cpu, cuda or mps."
NETWORK_HELP = "Permit fetching a transformers model from the hub."
OVERWRITE_HELP = "Replace an artifact at the target."


@app.command("extract")
def extract_(
    images: Annotated[list[Path], typer.Argument(help="A folder, or image files.", metavar="IMAGES...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the features artifact.")],
    backbone: Annotated[str, typer.Option("--backbone", help=BACKBONE_HELP)] = "efficientnet-lite0",
    labels: Annotated[
        str, typer.Option("--labels", help="from-folders (<wnid>/x.jpg), from-names (<wnid>.jpg, <wnid>_x.jpg) or none.")
    ] = "none",
    on_error: Annotated[
        str, typer.Option("--on-error", help="raise: name every unreadable file and write nothing; skip: leave them out and list them.")
    ] = "raise",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Images per batch.")] = 32,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    resume: Annotated[bool, typer.Option("--resume/--no-resume", help="Continue a run that was interrupted.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=OVERWRITE_HELP)] = False,
    allow_network: Annotated[bool, typer.Option("--allow-network", help=NETWORK_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Extract one feature row per image.

    Examples: `kgzsl features extract photos/ -o photos.features`

    `kgzsl features extract imagenet/val --backbone efficientnet-lite2 --labels from-folders --on-error skip -o val.features`
    """
    from kgzsl.features import extract, make_backbone

    network = make_backbone(backbone, device=device, allow_network=allow_network)
    options: dict[str, Any] = {"on_error": on_error, "labels": labels, "batch_size": batch_size, "resume": resume}
    source = images[0] if len(images) == 1 else images
    features = extract(source, network, out=out, overwrite=overwrite, **options)
    skipped = cast(dict[str, str], features.meta["skipped"])
    if as_json:
        emit_json(
            {
                "path": str(out),
                "images": len(features),
                "dim": features.dim,
                "classes": len(set(features.labels)),
                "skipped": skipped,
                "recipe": features.meta["recipe"],
            }
        )
        return
    typer.echo(f"{len(features):,} images × {features.dim} → {out}")
    for path, reason in skipped.items():
        typer.echo(f"skipped {path}: {reason}", err=True)


@app.command("weights")
def weights(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the classifier weights artifact.")],
    backbone: Annotated[str, typer.Option("--backbone", help=BACKBONE_HELP)] = "efficientnet-lite0",
    overwrite: Annotated[bool, typer.Option("--overwrite", help=OVERWRITE_HELP)] = False,
    allow_network: Annotated[bool, typer.Option("--allow-network", help=NETWORK_HELP)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a backbone's own ImageNet-1k classifier, one row per wnid, as an artifact.

    Example: `kgzsl features weights --backbone efficientnet-lite0 -o lite0.weights`
    """
    from kgzsl.features import make_backbone

    found = make_backbone(backbone, device="cpu", allow_network=allow_network).classifier()
    found.save(out, overwrite=overwrite)
    if as_json:
        emit_json({"path": str(out), "classes": len(found), "dim": found.dim, "recipe": found.meta["recipe"]})
        return
    typer.echo(f"{len(found):,} classes × {found.dim} (last column: bias) → {out}")
