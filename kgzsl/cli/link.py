"""`kgzsl link`: names → nodes of a graph, in a table for a person to edit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgzsl.cli.inputs import GRAPH_HELP
from kgzsl.cli.output import emit_json, emit_table

if TYPE_CHECKING:
    from kgzsl.graphs import KnowledgeGraph, Link
    from kgzsl.graphs.link import SenseOrder, Similarity


class Sense(StrEnum):
    """How one of several meanings is chosen."""

    label = "label"
    first = "first"
    gloss = "gloss"


SENSE_HELP = (
    "Of several meanings: `label` the node whose label names it earliest; `first` WordNet's most frequent meaning; "
    "`gloss` the one whose gloss fits the name's description and the other names."
)


def link_(
    names: Annotated[Path, typer.Argument(help="A file with one name per line, or an id, a tab and a name.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write, tab-separated.")],
    graph: Annotated[str, typer.Option("--graph", help=GRAPH_HELP)] = "wordnet-nouns",
    sense: Annotated[Sense, typer.Option("--sense", help=SENSE_HELP)] = Sense.label,
    below: Annotated[str | None, typer.Option("--below", help="Only this node and what is below it by hypernym.")] = None,
    descriptions: Annotated[
        Path | None,
        typer.Option("--descriptions", help="What names mean, JSON {name: [text, …]}, for `--sense gloss`.", exists=True, dir_okay=False),
    ] = None,
    text_encoder: Annotated[
        str, typer.Option("--text-encoder", help="For `--sense gloss`; see `kgzsl list text-encoders`.")
    ] = "minilm-l6-v2",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a table that is there, edited or not.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Link names to nodes: a table with candidates, score and status, to be looked through and edited.

    A row is `exact` (the whole name, one meaning), `ambiguous` (several meanings, or only the end of the name is known) or
    `none`. Write another id into the column `node`, or empty it; recipes and `kgzsl` read the table back (`align: [{links: FILE}]`).

    Examples:

    `kgzsl link names.txt -o links.tsv`

    `kgzsl link birds.txt --graph birds --below n01503061 -o birds.tsv`

    `kgzsl link names.txt --sense gloss --descriptions said.json -o links.tsv`
    """
    from kgzsl.cli.inputs import open_graph
    from kgzsl.errors import InvalidInputError
    from kgzsl.graphs import link
    from kgzsl.graphs.link_table import read_names, write_links
    from kgzsl.ids import curie

    if descriptions and sense is not Sense.gloss:
        raise InvalidInputError("descriptions choose between meanings", received=f"--sense {sense}", remedy="add --sense gloss")
    if out.exists() and not overwrite:  # before the work; write_links asks again
        raise InvalidInputError(
            "a table of links is not overwritten unasked: it may have been edited", received=str(out), remedy="pass --overwrite"
        )
    ids, wanted = read_names(names)
    opened = open_graph(graph)
    root = curie(below) if below else None
    order = _senses(opened) if sense is Sense.first else None
    found = link(wanted, opened, root, senses=order)
    if sense is Sense.gloss:
        found = link(wanted, opened, root, similarity=_similarity(opened, wanted, found, descriptions, text_encoder))
    write_links(found, opened, out, ids, overwrite=overwrite)
    _report(found, opened, out, as_json)


def _senses(graph: KnowledgeGraph) -> SenseOrder:
    """WordNet's sense order, for a graph that holds WordNet 3.0."""
    from kgzsl import data
    from kgzsl.errors import InvalidInputError
    from kgzsl.sources import sense_order

    if not any(i.startswith("wn30:") for i in graph.ids):
        raise InvalidInputError(
            "the first sense is WordNet 3.0's", received=f"{graph.name} has no node of it", remedy="--sense label or --sense gloss"
        )
    return sense_order(data.locate("wordnet-3.0"), ("noun", "verb", "adj", "adv"))


def _similarity(graph: KnowledgeGraph, names: Sequence[str], found: Sequence[Link], descriptions: Path | None, encoder: str) -> Similarity:
    from kgzsl.errors import InvalidInputError
    from kgzsl.vectors.meaning import GlossSimilarity

    said = None
    if descriptions:
        try:
            said = json.loads(descriptions.read_text(encoding="utf-8"))
            if not all(isinstance(v, list) and v and all(isinstance(t, str) for t in v) for v in said.values()):
                raise ValueError("every name has a list of texts")
        except (OSError, ValueError, AttributeError) as error:
            raise InvalidInputError("descriptions are a JSON object {name: [text, …]}", received=f"{descriptions}: {error}") from error
    sure = graph.positions([one.node for one in found if one.status == "exact" and one.node]).tolist()
    return GlossSimilarity(graph, names, said, sure, encoder)


def _report(found: Sequence[Link], graph: KnowledgeGraph, out: Path, as_json: bool) -> None:
    counts = {status: sum(one.status == status for one in found) for status in ("exact", "ambiguous", "none")}
    if as_json:
        emit_json({"path": str(out), "names": len(found), "graph": graph.digest, **counts})
        return
    emit_table(["status", "names", "for example"], [(s, n, _example(found, graph, s)) for s, n in counts.items()], title=f"links → {out}")


def _example(found: Sequence[Link], graph: KnowledgeGraph, status: str) -> str:
    some = next((one for one in found if one.status == status), None)
    if some is None:
        return ""
    if some.node is None:
        return some.name
    others = f", one of {len(some.candidates)}" if some.ambiguous else ""
    return f"{some.name} → {some.node} ({graph.labels[int(graph.positions([some.node])[0])]}{others})"
