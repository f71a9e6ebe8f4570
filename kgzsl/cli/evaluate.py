"""`kgzsl eval`: a bundle on labelled features, or classifiers on a feature set, by protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli.inputs import CLASSES_HELP, read_settings
from kgzsl.cli.output import emit_json, emit_table

app = typer.Typer(help="Evaluate bundles and classifiers by protocol.", no_args_is_help=True)


@app.command("image")
def image(
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

    metrics = bundle_metrics(Bundle.load(bundle), Features.load(features), protocol, open_classes(classes) if classes else None)
    if as_json:
        emit_json({"task": "image", "protocol": protocol, "metrics": metrics})
    else:
        emit_table(
            ["metric", "value"], [(k, f"{v:.4f}" if isinstance(v, float) else v) for k, v in metrics.items()], title=f"image, {protocol}"
        )


@app.command("features")
def features_(
    dataset: Annotated[str, typer.Argument(help="A feature set (`kgzsl list feature-sets`), or a folder of your own.")],
    methods: Annotated[
        list[str] | None,
        typer.Argument(help="Names of `kgzsl list classifiers` and `kgzsl list generators`, or seen_only, oracle; default: eszsl."),
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="A setting of the dataset's reader, such as split=proposed; repeatable.")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option("--embeddings", help="A class embeddings artifact in place of the dataset's own semantics.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A setting of one method as KEY=VALUE; repeatable.")] = None,
    head: Annotated[
        str | None, typer.Option("--head", help="What learns from a generator's features: `kgzsl list heads` (default: softmax).")
    ] = None,
    per_class: Annotated[
        int | None, typer.Option("--per-class", min=1, help="Synthetic features of each unseen class (default: 300).")
    ] = None,
    calibration: Annotated[
        list[str] | None, typer.Option("--calibration", help="Another one beside stacking (`kgzsl list calibrations`); repeatable.")
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="How many runs: held-out rows and classes, and training, are drawn anew.")
    ] = 3,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result files.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate classifiers and generators on a feature set: T1, S, U, H and AUSUC, epochs and γ chosen on seen classes.

    Each writes a result file, which `kgzsl experiment leaderboard` reads too.

    Examples:

    `kgzsl eval features cub eszsl sje gaussian --calibration cosmo`

    `kgzsl eval features my_folder ale --set epochs=50 --embeddings my.embeddings`

    `kgzsl eval features cub fclswgan --set epochs=40 --set hidden=1024 --head nearest --per-class 100`
    """
    from kgzsl.errors import InvalidInputError
    from kgzsl.experiments.cell import cell_of, method_of
    from kgzsl.experiments.leaderboard import markdown, rows_of, tables
    from kgzsl.experiments.results import write_result
    from kgzsl.experiments.runner import check_cell, run_cell
    from kgzsl.matrices import ClassEmbeddings

    names, settings, of_data = methods or ["eszsl"], read_settings(setting), read_settings(data)
    if settings and len(names) > 1:
        raise InvalidInputError("--set is for one method", received=", ".join(names), remedy="run them one by one")
    drawing = [name for name in names if _is_generator(name)]
    if (head or per_class) and not drawing:
        raise InvalidInputError("--head and --per-class are for generators", received=", ".join(names), remedy="`kgzsl list generators`")
    if Path(dataset).is_dir():
        dataset, of_data = "folder", {"path": dataset, **of_data}
    given = ClassEmbeddings.load(embeddings) if embeddings else None
    cells = []
    for name in names:
        content = {
            "name": f"local_{name}_{dataset}".replace(f"_{name}_", f"_{name.replace('_', '-')}_"),
            "source": "run by `kgzsl eval features`",
            "task": "feature-zsl",
            "dataset": {"name": dataset, "settings": of_data},
            "calibrations": calibration or [],
            "seeds": list(range(seeds)),
        }
        if name in drawing:
            use = {"head": head, "per_class": per_class}
            content["generator"] = {"name": name, "settings": settings, **{key: value for key, value in use.items() if value}}
        else:
            content["method"] = {"name": name, "settings": settings}
        cells.append(cell_of(content, name))
        check_cell(cells[-1])
    results = []
    for cell in cells:
        results.append(run_cell(cell, embeddings=given))
        typer.echo(f"{cell.method} → {write_result(results[-1], out / f'{cell.name}.json')}", err=True)
    if as_json:
        emit_json({method_of(result["cell"])["name"]: result["summary"] for result in results})
        return
    for table in tables(results):
        typer.echo(f"\n{table} (per cent)\n\n{markdown(rows_of(results, table), table)}")


def _is_generator(name: str) -> bool:
    """Whether a method on features draws them; a name that is neither a generator nor a classifier raises UnknownNameError."""
    from kgzsl.classifiers import CLASSIFIERS
    from kgzsl.errors import UnknownNameError
    from kgzsl.generators import GENERATORS
    from kgzsl.tasks.generation import BOUNDS

    generators, classifiers = {*BOUNDS, *(e.name for e in GENERATORS)}, {e.name for e in CLASSIFIERS}
    if name not in generators | classifiers:
        raise UnknownNameError(
            "a method on features is a classifier, a generator or a bound",
            received=repr(name),
            remedy=f"choose from: {', '.join(sorted(classifiers))}; {', '.join(sorted(generators))}",
        )
    return name in generators


@app.command("compositions")
def compositions(
    dataset: Annotated[str, typer.Argument(help="A composition set (`kgzsl list composition-sets`), or a folder of your own.")],
    classifiers: Annotated[list[str] | None, typer.Argument(help="`kgzsl list composition-classifiers`; default: visual_product.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", help="A setting of the dataset's reader, such as path=…; repeatable.")] = None,
    graph: Annotated[
        str | None, typer.Option("--graph", help="A recipe of states, objects and pairs; default: compositions-NAME. `none` for no graph.")
    ] = None,
    text_encoder: Annotated[str, typer.Option("--text-encoder", help="Vectors of the graph's nodes.")] = "minilm-l6-v2",
    backbone: Annotated[str | None, typer.Option("--backbone", help="Frozen (default: efficientnet-lite0).")] = None,
    finetune: Annotated[
        str | None, typer.Option("--finetune", help="In its place: train an image network on, `small` or `large`; --tune changes it.")
    ] = None,
    tune: Annotated[
        list[str] | None, typer.Option("--tune", help="A setting of fine-tuning as KEY=VALUE, such as epochs=4; repeatable.")
    ] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A setting of one classifier as KEY=VALUE; repeatable.")] = None,
    world: Annotated[list[str] | None, typer.Option("--world", help="closed or open; repeatable; default: both.")] = None,
    feasibility: Annotated[
        str | None, typer.Option("--feasibility", help="May rule pairs out of the open world: compcos or kg-sp.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many runs.")] = 3,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result files.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate composition classifiers: the exact bias sweep in the closed and in the open world, everything chosen on validation.

    Each writes a result file, which `kgzsl experiment leaderboard` reads too.

    Examples:

    `kgzsl eval compositions fashion visual_product compcos cge --feasibility compcos`

    `kgzsl eval compositions fashion joint_heads --finetune small --tune epochs=4 --seeds 1`

    `kgzsl eval compositions my_folder --graph none --world closed`
    """
    from kgzsl.datasets.compositions import read_composition_set
    from kgzsl.errors import InvalidInputError
    from kgzsl.experiments.cell import cell_of
    from kgzsl.experiments.leaderboard import markdown, rows_of, tables
    from kgzsl.experiments.results import write_result
    from kgzsl.experiments.runner import check_cell, run_cell

    names, settings, of_data = classifiers or ["visual_product"], read_settings(setting), read_settings(data)
    if settings and len(names) > 1:
        raise InvalidInputError("--set is for one classifier", received=", ".join(names), remedy="run them one by one")
    if backbone and finetune:
        raise InvalidInputError(
            "features come from a frozen backbone, or from one that is trained on", received="--backbone and --finetune"
        )
    if tune and not finetune:
        raise InvalidInputError("--tune changes a configuration of fine-tuning", received=" ".join(tune), remedy="add --finetune small")
    if Path(dataset).exists():
        dataset, of_data = "folder", {"path": dataset, **of_data}
    if graph is None and dataset == "folder":
        raise InvalidInputError(
            "a folder of your own says which graph its pairs are in", received="no --graph", remedy="--graph none, or a recipe"
        )
    read_composition_set(dataset, **of_data)  # before the work, not in it
    known = {} if graph == "none" else {"graph": graph or f"compositions-{dataset}", "vectors": text_encoder}
    features = (
        {"finetune": {"configuration": finetune, **read_settings(tune)}} if finetune else {"backbone": backbone or "efficientnet-lite0"}
    )
    cells = []
    for name in names:
        content = {
            "name": f"local_{name.replace('_', '-')}_{dataset}",
            "source": "run by `kgzsl eval compositions`",
            "task": "composition-zsl",
            "dataset": {"name": dataset, "settings": of_data},
            "method": {"name": name, "settings": settings},
            "worlds": world or ["closed", "open"],
            "seeds": list(range(seeds)),
            **known,
            **features,
            **({"feasibility": feasibility} if feasibility else {}),
        }
        cells.append(cell_of(content, name))
        check_cell(cells[-1])
    results = []
    for cell in cells:
        results.append(run_cell(cell))
        typer.echo(f"{cell.method} → {write_result(results[-1], out / f'{cell.name}.json')}", err=True)
    if as_json:
        emit_json({result["cell"]["method"]["name"]: result["summary"] for result in results})
        return
    for table in tables(results):
        typer.echo(f"\n{table} (per cent)\n\n{markdown(rows_of(results, table), table)}")


@app.command("completion")
def completion(
    dataset: Annotated[str, typer.Argument(help="A completion set (`kgzsl list completion-sets`).")],
    models: Annotated[list[str] | None, typer.Argument(help="`kgzsl list completion-models`; default: closed_form.")] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="A setting of the dataset's reader, such as without_text=drop; repeatable.")
    ] = None,
    semantics: Annotated[
        str, typer.Option("--semantics", help="What relations are known by: text, hierarchy, constraints, rdfs, rdfs+literals or axioms.")
    ] = "text",
    encoder: Annotated[str | None, typer.Option("--encoder", help="Of the schema's graph (`kgzsl list encoders`).")] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="all-entities, tails or candidates (default: the set's lists where it has some).")
    ] = None,
    axioms: Annotated[bool, typer.Option("--axioms", help="Answers that the schema's axioms derive, alone and added.")] = False,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A setting of one model as KEY=VALUE; repeatable.")] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many runs.")] = 3,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the result files.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate models of completion: filtered MRR and hit@k, everything chosen on the relations of validation.

    Each writes a result file, which `kgzsl experiment leaderboard` reads too.

    Examples:

    `kgzsl eval completion nell-zs closed_form degree --data without_text=drop --semantics rdfs+literals --axioms`

    `kgzsl eval completion fb15k-237-relations closed_form --set structure=none`
    """
    from kgzsl.completion.models import COMPLETION_MODELS
    from kgzsl.errors import InvalidInputError
    from kgzsl.experiments.cell import cell_of
    from kgzsl.experiments.leaderboard import markdown, rows_of, tables
    from kgzsl.experiments.results import write_result
    from kgzsl.experiments.runner import check_cell, run_cell

    names, settings = models or ["closed_form"], read_settings(setting)
    if settings and len(names) > 1:
        raise InvalidInputError("--set is for one model", received=", ".join(names), remedy="run them one by one")
    known = {"kind": semantics, **({"encoder": encoder} if encoder else {})}
    cells = []
    for name in names:
        content = {
            "name": f"local_{name.replace('_', '-')}_{dataset}",
            "source": "run by `kgzsl eval completion`",
            "task": "completion",
            "dataset": {"name": dataset, "settings": read_settings(data)},
            "method": {"name": name, "settings": settings},
            **({"semantics": known} if COMPLETION_MODELS.lookup(name).uses_relations else {}),
            **({"protocol": protocol} if protocol else {}),
            **({"axioms": True} if axioms else {}),
            "seeds": list(range(seeds)),
        }
        cells.append(cell_of(content, name))
        check_cell(cells[-1])
    results = []
    for cell in cells:
        results.append(run_cell(cell))
        typer.echo(f"{cell.method} → {write_result(results[-1], out / f'{cell.name}.json')}", err=True)
    if as_json:
        emit_json({result["cell"]["method"]["name"]: result["summary"] for result in results})
        return
    for table in tables(results):
        typer.echo(f"\n{table} (per cent)\n\n{markdown(rows_of(results, table), table)}")
