"""`kgzsl generate`: features of seen classes + class embeddings → synthetic features of unseen ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgzsl.cli.output import emit_json

if TYPE_CHECKING:
    from kgzsl.matrices import ClassEmbeddings, Features


def generate(
    features: Annotated[
        str, typer.Argument(help="A feature artifact with labels, rows of seen classes only; or a feature set: its training rows.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the synthetic features, a feature artifact.")],
    generator: Annotated[str, typer.Option("--generator", help="See `kgzsl list generators`.")] = "fclswgan",
    embeddings: Annotated[
        Path | None, typer.Option("--embeddings", help="A class embeddings artifact of seen and unseen classes; a feature set has its own.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option("--classes", help="A file with one class id per line (default: all classes with an embedding and without features)."),
    ] = None,
    per_class: Annotated[int, typer.Option("--per-class", min=1, help="Features of each class.")] = 300,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A setting of the generator as KEY=VALUE; repeatable.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of training and of the noise.")] = 0,
    data: Annotated[list[str] | None, typer.Option("--data", help="A setting of the feature set's reader; repeatable.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Folder that keeps the state of training; where it is there, training goes on.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an artifact at the target.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit a generator on features of seen classes and write synthetic features of unseen ones.

    It trains the `epochs` of its settings; `kgzsl eval features` chooses a number of them on held-out seen classes and tells it.

    Examples:

    `kgzsl generate cub --generator fclswgan --set epochs=30 --per-class 100 -o cub.synthetic`

    `kgzsl generate mine.features --embeddings mine.embeddings --classes unseen.txt --checkpoint state -o unseen.features`
    """
    from kgzsl import front_generators
    from kgzsl.artifacts import check_target
    from kgzsl.cli.inputs import read_settings
    from kgzsl.generators import GENERATORS
    from kgzsl.ids import check_unique, positions, read_ids

    check_target(out, overwrite=overwrite)  # like all below: before the work, not after it
    made = GENERATORS.make(generator, {"seed": seed, **read_settings(setting)})
    rows, known = _opened(features, embeddings, data)
    have = set(rows.labels)
    wanted = read_ids(classes) if classes else tuple(i for i in known.ids if i not in have)
    check_unique(wanted, "the classes to draw features of")
    positions(wanted, known.ids, "the class embeddings")
    front_generators.fit_generator(rows, embeddings=known, generator=made, checkpoint=checkpoint)
    path = front_generators.generate(
        made, classes=wanted, per_class=per_class, out=out, recipe=rows.meta.get("recipe"), seed=seed, overwrite=overwrite
    )
    count = len(wanted) * per_class
    if as_json:
        said = {"notice": made.notice} if made.notice else {}
        emit_json({"path": str(path), "rows": count, "classes": len(wanted), "dim": rows.dim, "generator": made.name, **said})
        return
    if made.notice:
        typer.echo(made.notice)
    typer.echo(f"{count:,} features × {rows.dim:,} of {len(wanted):,} classes → {path}")


def _opened(features: str, embeddings: Path | None, data: list[str] | None) -> tuple[Features, ClassEmbeddings]:
    """Training rows and class embeddings, of an artifact or of a feature set."""
    from kgzsl.cli.inputs import is_artifact, read_settings
    from kgzsl.datasets import read_feature_set
    from kgzsl.errors import InvalidInputError
    from kgzsl.matrices import ClassEmbeddings, Features

    given = ClassEmbeddings.load(embeddings) if embeddings else None
    if is_artifact(Path(features)):
        if given is None:
            raise InvalidInputError(
                "features from an artifact need the classes' embeddings", received="no --embeddings", remedy="`kgzsl embed` makes some"
            )
        if data:
            raise InvalidInputError("--data is for feature sets", received=f"{features}, an artifact")
        return Features.load(features), given
    own = Path(features).is_dir()
    found = read_feature_set("folder" if own else features, **({"path": features} if own else {}), **read_settings(data))
    return found.train, given or found.embeddings
