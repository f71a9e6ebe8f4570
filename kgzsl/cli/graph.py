"""`kgzsl graph`: build, describe, validate; what is done with a graph after that is in `graph_use`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from kgzsl.cli import graph_use
from kgzsl.cli.graph_use import JsonFlag

app = typer.Typer(no_args_is_help=True, help="Knowledge graphs: build, describe, validate, compare, export, ask and draw them.")

GraphFolder = Annotated[Path, typer.Argument(help="Folder of a graph artifact, NAME.kg.")]


@app.command("build")
def build(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name (`imagenet`, `birds`, …) or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, by custom NAME.kg.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a graph that is there.")] = False,
    engine: Annotated[str, typer.Option("--engine", help="What runs the relational work: duckdb (here) or pyspark.")] = "duckdb",
    as_json: JsonFlag = False,
) -> None:
    """Compile a recipe into a graph artifact.

    Example: kgzsl graph build imagenet -o graphs/imagenet.kg

    A recipe says which sources are read, how their nodes are aligned, which relations are kept and which nodes selected;
    graphs/README.md in the repository describes every key.
    """
    from kgzsl.graphs import compile_graph

    graph = compile_graph(recipe, out=out, overwrite=overwrite, engine=engine)
    if as_json:
        typer.echo(json.dumps({"path": str(out), "digest": graph.digest, **graph.counts(), "dropped": graph.manifest["dropped"]}, indent=1))
        return
    typer.echo(f"{out}: {len(graph.ids):,} nodes, {len(graph.subject):,} edges, digest {graph.digest[:12]}")
    for who, reasons in graph.manifest["dropped"].items():
        for why, n in reasons.items():
            typer.echo(f"  left out {n:,} ({who}: {why})")
    for step in graph.manifest.get("alignment", ()):
        typer.echo(
            f"  aligned {step['matched']:,} by {next(iter(step['step']))}: {', '.join(f'{n:,} {s}' for s, n in step['status'].items())}"
        )


@app.command("describe")
def describe(
    folder: GraphFolder,
    classes: Annotated[Path | None, typer.Option("--classes", help="Class list, one id per line: how many are in the graph?")] = None,
    along: Annotated[
        str, typer.Option("--along", help="Relation whose depth is measured, from parts to wholes or kinds to classes.")
    ] = "hypernym",
    as_json: JsonFlag = False,
) -> None:
    """Say what a graph holds: sources, counts per relation and source, components, depth, degrees, texts, cover of a class list.

    Example: kgzsl graph describe graphs/imagenet.kg --classes unseen.txt
    """
    from kgzsl.graphs import KnowledgeGraph
    from kgzsl.graphs.describe import describe_graph, format_description
    from kgzsl.ids import read_ids

    wanted = read_ids(str(classes)) if classes else None
    graph = KnowledgeGraph.load(folder)
    if along != "hypernym":
        graph.edges_of(along)  # asked for, so it must be there
    record = describe_graph(graph, wanted, relation=along)
    if not as_json and sys.stdout.isatty():
        graph_use.print_description(record)
        return
    typer.echo(json.dumps(record, indent=1, ensure_ascii=False) if as_json else format_description(record))


@app.command("validate")
def validate(folder: GraphFolder, as_json: JsonFlag = False) -> None:
    """Check digests, weights, names, structure and cycles; ends with status 1 when there is a problem.

    Example: kgzsl graph validate graphs/imagenet.kg
    """
    from kgzsl.graphs import KnowledgeGraph
    from kgzsl.graphs.validate import check_graph

    found = check_graph(KnowledgeGraph.load(folder))
    graph_use.emit_findings(folder, found.problems, found.notes, as_json=as_json)
    if found.problems:
        raise typer.Exit(1)


app.command("diff")(graph_use.diff)
app.command("export")(graph_use.export)
app.command("query")(graph_use.query)
app.command("show")(graph_use.show)
