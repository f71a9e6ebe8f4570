"""`kgzsl vectors`: a graph's node texts → semantic vectors, as an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kgzsl.cli.inputs import GRAPH_HELP
from kgzsl.cli.output import emit_json

app = typer.Typer(help="Node texts → semantic vectors.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Node texts → semantic vectors."""


@app.command("encode")
def encode(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the vectors artifact.")],
    graph: Annotated[str, typer.Option("--graph", help=GRAPH_HELP)] = "imagenet",
    encoder: Annotated[
        str,
        typer.Option("--encoder", help="A name (`kgzsl list text-encoders`), a sentence-transformers folder or a file of word vectors."),
    ] = "minilm-l6-v2",
    template: Annotated[
        str | None, typer.Option("--template", help='Node text, such as "{lemmas}: {gloss}"; default: the encoder\'s.')
    ] = None,
    oov: Annotated[str, typer.Option("--oov", help="Nodes without a known word: error, zero or mean (of the others).")] = "error",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an artifact at the target.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Encode the text of every node of a graph.

    Example: `kgzsl vectors encode --graph imagenet --encoder glove --oov mean -o imagenet-glove.vectors`
    """
    from kgzsl.cli.inputs import open_graph
    from kgzsl.vectors import embed_texts

    options: dict[str, Any] = {"template": template, "oov": oov}
    vectors = embed_texts(open_graph(graph), encoder, **options)
    vectors.save(out, overwrite=overwrite)
    missing = vectors.meta["oov"]["out_of_vocabulary"]
    if as_json:
        emit_json({"path": str(out), "nodes": len(vectors), "dim": vectors.dim, **vectors.meta})
        return
    typer.echo(f"{len(vectors):,} nodes × {vectors.dim} → {out}" + (f" ({missing:,} out of vocabulary: {oov})" if missing else ""))
