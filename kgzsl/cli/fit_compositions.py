"""`kgzsl fit --compositions`: labelled images of compositions → composition bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kgzsl.cli.output import emit_json
from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    from kgzsl.classifiers.compositions.finetuning import FineTuning

#: Options of `kgzsl fit` that speak of classes, not of compositions.
FOREIGN = ("classes", "encoder", "classifier", "weights", "seen", "hide", "calibrate", "descriptions", "dry_run")
COMPOSITIONS_HELP = "Fit a composition model: a known set, or a folder in the field's layout (see `kgzsl list composition-sets`)."
METHOD_HELP = "With --compositions: see `kgzsl list composition-classifiers`."
FINETUNE_HELP = "With --compositions: train the backbone too, `small` (a laptop's processor) or `large` (a GPU); --tune changes it."
TUNE_HELP = "A setting of fine-tuning as KEY=VALUE, such as epochs=4 or height=128; repeatable."


def fit_compositions(
    name: str,
    out: Path,
    *,
    method: str,
    backbone: str | None,
    graph: str | None,
    text_encoder: str,
    settings: dict[str, Any],
    finetune: str | None,
    tune: Sequence[str] | None,
    checkpoint: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Fit and write the bundle; `graph` None takes the shipped recipe `compositions-NAME`."""
    from kgzsl import front_compositions
    from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS, Knowledge
    from kgzsl.cli.inputs import DEFAULT_BACKBONE, open_graph
    from kgzsl.datasets.compositions import read_composition_set
    from kgzsl.tasks.composition_features import frozen_features
    from kgzsl.workspace import Workspace

    tuning = read_tuning(finetune, tune, backbone)
    COMPOSITION_CLASSIFIERS.make(method, settings).settings()
    images, work = read_composition_set(name), Workspace()
    opened = open_graph(graph or f"compositions-{images.name}")
    knowledge = Knowledge(opened, work.vectors(opened, text_encoder))
    features = None
    if tuning is None:
        features = frozen_features(images, backbone or DEFAULT_BACKBONE, work)
    bundle = front_compositions.fit_compositions(
        images,
        method=method,
        knowledge=knowledge,
        settings=settings,
        features=features,
        finetune=tuning,
        checkpoint=checkpoint,
        keep=work.root,
    )
    path = bundle.save(out, overwrite=overwrite)
    space = bundle.space
    if as_json:
        counts = {"states": len(space.states), "objects": len(space.objects), "pairs": len(space), "seen": int(space.seen.sum())}
        emit_json({"path": str(path), **counts, "method": method, "recipe": dict(bundle.recipe), "meta": dict(bundle.meta)})
        return
    auc = bundle.meta.get("fine_tuning", {}).get("auc")
    said = f", validation AUC {100 * max(auc):.1f}" if auc else ""
    typer.echo(f"{len(space.states)} states, {len(space.objects)} objects, {int(space.seen.sum())} seen pairs{said} → {path}")


def read_tuning(finetune: str | None, tune: Sequence[str] | None, backbone: str | None) -> FineTuning | None:
    """Return the configuration called `finetune` with the changes of `tune`; None where there is none."""
    from kgzsl.cli.inputs import read_settings
    from kgzsl.tasks.composition_features import tuning_of

    if finetune is None:
        if tune:
            raise InvalidInputError("--tune changes a configuration of fine-tuning", received=" ".join(tune), remedy="add --finetune small")
        return None
    return tuning_of({"configuration": finetune, **read_settings(tune), **({} if backbone is None else {"backbone": backbone})})
