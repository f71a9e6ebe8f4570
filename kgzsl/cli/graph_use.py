"""`kgzsl graph`: what one does with a graph: diff, export, query, show."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kgzsl.cli.inputs import GRAPH_HELP, open_graph
from kgzsl.cli.output import emit_json, emit_table
from kgzsl.errors import InvalidInputError, KgzslError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Graph = Annotated[str, typer.Argument(help=GRAPH_HELP)]


def diff(
    before: Graph,
    after: Graph,
    examples: Annotated[int, typer.Option("--examples", "-n", help="Differences of each kind that are shown.", min=0)] = 10,
    as_json: JsonFlag = False,
) -> None:
    """Compare two graphs: nodes, relations and edges by id, per source; then their recipes, sources and versions.

    Ends with status 0 when the tables are equal (their manifests may differ, which is said), 1 when not, 2 on an error.

    Examples:

    `kgzsl graph diff old.kg new.kg`

    `kgzsl graph diff birds graphs/my-birds.kg --examples 50 --json`
    """
    from kgzsl.graphs.diff import diff_graphs, format_diff

    try:
        record = diff_graphs(open_graph(before), open_graph(after), examples=examples)
    except KgzslError as error:
        error.exit_status = 2  # 1 says that they differ
        raise
    if as_json:
        emit_json(record)
    else:
        typer.echo(format_diff(record, examples))
    if not record["equal"]:
        raise typer.Exit(1)


def export(
    graph: Graph,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write; a folder for tsv and pyg.")],
    format: Annotated[
        str | None,
        typer.Option("--format", "-f", help="graphml, gexf, ntriples, turtle, tsv, pyg or networkx-json; by default the suffix says it."),
    ] = None,
    weights: Annotated[bool, typer.Option("--weights", help="In RDF, state each weight that is not 1 as an rdf:Statement.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a graph for another tool.

    graphml (.graphml: Gephi, yEd, Cytoscape, networkx) · gexf (.gexf: Gephi) · ntriples (.nt) and turtle (.ttl: RDF tools) ·
    tsv (a folder of tables) · pyg (a folder of tensors and names; `kgzsl.graphs.export.read_pyg` opens it) ·
    networkx-json (.json: node-link data, d3).

    Examples:

    `kgzsl graph export imagenet -o imagenet.ttl`

    `kgzsl graph export graphs/cn.kg -f ntriples --weights -o cn.nt`

    `kgzsl graph export birds -f tsv -o birds-tables`
    """
    from kgzsl.graphs.export import export_graph

    written = export_graph(open_graph(graph), out, format, weights=weights, overwrite=overwrite)
    if as_json:
        emit_json({"path": str(written.path), "format": written.format, "left_out": list(written.left_out)})
        return
    typer.echo(f"{written.path}: {written.format}, {_size(written.path):,.0f} KiB")
    for sentence in written.left_out:
        typer.echo(f"  {sentence}")


def _size(path: Path) -> float:
    return sum(p.stat().st_size for p in ([path] if path.is_file() else path.iterdir())) / 1024


def query(
    graph: Graph,
    text: Annotated[str | None, typer.Argument(metavar="[QUERY]", help="SPARQL 1.1: SELECT, ASK, CONSTRUCT or DESCRIBE.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Read the query from a file; - is standard input.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="Most rows that are printed; 0 for all.", min=0)] = 1000,
    seconds: Annotated[float, typer.Option("--seconds", help="Longest time the query may take.", min=0.001)] = 60.0,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask a graph in SPARQL. Nothing is changed and nothing fetched; its prefixes and rdf, rdfs, owl, skos, xsd are declared.

    A node is `a kgzsl:Concept` (its kind) with rdfs:label, skos:prefLabel, skos:altLabel and skos:definition; an edge is one
    triple, `?child kgzsl:hypernym ?parent`; a weight that is not 1 is an rdf:Statement with kgzsl:weight.

    Examples:

    `kgzsl graph query imagenet 'SELECT ?above ?name { wn30:n02129165 kgzsl:hypernym+ ?above . ?above skos:prefLabel ?name }'`

    `kgzsl graph query imagenet 'SELECT ?name (COUNT(*) AS ?kinds) { ?k kgzsl:hypernym ?c . ?c skos:prefLabel ?name }
    GROUP BY ?c ?name ORDER BY DESC(?kinds) LIMIT 10' --csv`

    `kgzsl graph query imagenet 'ASK { wn30:n02129165 kgzsl:hypernym* wn30:n00015388 }'`

    `kgzsl graph query imagenet 'SELECT ?c ?gloss { ?c skos:definition ?gloss FILTER CONTAINS(?gloss, "striped") }' --json`

    `kgzsl graph query cn.kg --file heaviest.rq` with
    `SELECT ?s ?p ?o ?w { ?e rdf:subject ?s ; rdf:predicate ?p ; rdf:object ?o ; kgzsl:weight ?w } ORDER BY DESC(?w) LIMIT 20`
    """
    from kgzsl.graphs.query import GraphStore, refuse

    wanted = _query_text(text, file)
    if as_csv and as_json:
        raise InvalidInputError("an answer is printed in one form", received="--csv and --json")
    refuse(wanted)  # before the graph is read
    answer = GraphStore(open_graph(graph)).query(wanted, limit=limit or None, seconds=seconds)
    if as_json:
        rows: Any = answer.rows[0][0] if answer.kind == "ask" else [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        emit_json({"kind": answer.kind, "columns": list(answer.columns), "rows": rows, "truncated": answer.truncated})
    elif as_csv:
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([answer.columns, *(["" if v is None else _plain(v) for v in row] for row in answer.rows)])
        typer.echo(stream.getvalue(), nl=False)
    elif answer.kind == "ask":
        typer.echo("yes" if answer.rows[0][0] else "no")
    else:
        emit_table(answer.columns, [["" if v is None else _plain(v) for v in row] for row in answer.rows])
        typer.echo(f"{len(answer.rows):,} row{'' if len(answer.rows) == 1 else 's'}", err=True)
    if answer.truncated and not as_json:
        typer.echo(f"there are more than {len(answer.rows):,} rows: --limit 0 prints all", err=True)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _query_text(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise InvalidInputError(
            "a query comes as an argument or with --file", received="both" if text else "neither", remedy="kgzsl graph query --help"
        )
    if text is not None:
        return text
    try:
        return sys.stdin.read() if str(file) == "-" else Path(str(file)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError("a query file is UTF-8 text", received=f"{file}: {error}") from error


def show(
    name: Annotated[str, typer.Argument(metavar="CLASS", help="A node: an id, a bare wnid, or a name that only one node has.")],
    graph: Annotated[str, typer.Option("--graph", "-g", help=GRAPH_HELP)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: .svg, .html or .png (drawn by Chromium or Chrome).")],
    hops: Annotated[int, typer.Option("--hops", help="How far to go, 1 to 6.")] = 2,
    top: Annotated[int, typer.Option("--top", help="Most neighbours of one relation that are drawn; the rest is counted.")] = 12,
    as_json: JsonFlag = False,
) -> None:
    """Draw a class and what is around it.

    Above it stands what it is a kind of, below it its own kinds, at the sides the other kinds of its parents and its neighbours by
    other relations, each in its colour. The picture follows the reader's light or dark theme; pointing at a name shows its gloss.

    Examples:

    `kgzsl graph show n02084071 --graph imagenet -o dog.svg`

    `kgzsl graph show "sports car" --graph imagenet --hops 3 -o sports-car.html`
    """
    from kgzsl.graphs.picture import check_suffix, draw, find_node, save_picture

    check_suffix(out)
    opened = open_graph(graph)
    picture = draw(opened, find_node(opened, name), hops=hops, top=top)
    save_picture(picture, out)
    if as_json:
        emit_json({"path": str(out), "node": picture.node, "edges": [list(e) for e in picture.edges], "hidden": picture.hidden})
        return
    more = f"; {picture.hidden:,} more neighbours are counted" if picture.hidden else ""
    typer.echo(f"{out}: {picture.title} ({picture.node}), {len(picture.edges):,} edge{'' if len(picture.edges) == 1 else 's'}{more}")


def print_description(record: Mapping[str, Any]) -> None:
    """Print a graph's description as tables for a terminal."""
    from kgzsl.graphs.describe import most, structure

    typer.secho(f"{record['name']}: {record['nodes']:,} nodes, {record['edges']:,} edges", bold=True)
    typer.secho(f"digest {record['digest']}\n", dim=True)
    sources = record["sources"]
    emit_table(
        ["source", "version", "licence", "edges", "files"],
        [
            (s["name"], s["version"], s["licence"], f"{record['edges_per_source'].get(s['name'], 0):,}", ", ".join(s["files"]))
            for s in sources
        ],
    )
    names = [s["name"] for s in sources]
    for word, what in (("relation", "relations"), ("kind", "kinds")):
        shown, rest = most(record[what])
        cells = record[f"{what}_per_source"]
        wide = names if 1 < len(names) <= 6 else []
        rows = [(word, "in all", *wide), *((name, f"{n:,}", *(f"{cells[name].get(s, 0):,}" for s in wide)) for name, n in shown)]
        columns = [[c.rjust(max(map(len, column))) for c in column] for column in list(zip(*rows, strict=True))[1:]]  # numbers to the right
        heading, *body = zip(next(zip(*rows, strict=True)), *columns, strict=True)
        emit_table(heading, [*body, *([(f"… {rest:,} more", *("" for _ in columns))] if rest else [])])
    if record["dropped"]:
        emit_table(
            ["left out", "by", "why"], [(f"{n:,}", who, why) for who, reasons in record["dropped"].items() for why, n in reasons.items()]
        )
    emit_table(["shape", ""], structure(record))


def emit_findings(folder: Path, problems: tuple[str, ...], notes: tuple[str, ...], *, as_json: bool) -> None:
    """Print what validation found: problems, then notes."""
    if as_json:
        typer.echo(json.dumps({"path": str(folder), "problems": problems, "notes": notes}, indent=1, ensure_ascii=False))
        return
    typer.echo("\n".join(problems) if problems else f"{folder}: sound")
    for note in notes:
        typer.echo(f"note: {note}")
