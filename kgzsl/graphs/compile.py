"""Compile a recipe into a `KnowledgeGraph`: read, align, join by id, select, prune, sort; count what was dropped."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv

from kgzsl import data
from kgzsl.artifacts import atomic_directory
from kgzsl.engines import Engine, open_engine
from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.graphs import prune
from kgzsl.graphs.align import Alignment, align_sources
from kgzsl.graphs.cycles import in_cycles, shortest_cycle
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.join import Joined, check_sources, join_sources
from kgzsl.graphs.recipe import Recipe, load_recipe
from kgzsl.graphs.relations import relation_policy
from kgzsl.graphs.select import Selector
from kgzsl.ids import PREFIXES
from kgzsl.progress import stage
from kgzsl.sources import Relation, Statements, readers
from kgzsl.sources.vocabulary import vocabulary


def compile_graph(
    recipe: str | os.PathLike[str] | Recipe,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    engine: str = "duckdb",
) -> KnowledgeGraph:
    """Build the graph of a recipe and, with `out`, write its artifact.

    The same recipe over the same files gives byte-identical tables, on every machine, engine and in every order of reading.

    Parameters
    ----------
    recipe : a shipped name such as `imagenet`, or the path of a YAML file.
    out : folder of the artifact, by custom `NAME.kg`.
    overwrite : replace an artifact that is there.
    engine : what runs the relational work: `duckdb`, in this process, or `pyspark`.

    Raises
    ------
    InvalidInputError, UnknownNameError : the recipe is wrong, or `out` exists.
    MissingDataError : a source is not on this machine; the message says how to get it.
    SourceError : a source is malformed or of another version.

    Examples
    --------
    >>> graph = compile_graph("imagenet")  # doctest: +SKIP
    >>> len(graph), len(graph.subject)  # doctest: +SKIP
    (32324, 32544)
    """
    checked = load_recipe(recipe)
    with open_engine(engine) as opened:
        if out is None:
            return _compile(checked, opened)[0]
        with atomic_directory(out, overwrite=overwrite) as folder:
            graph, alignment = _compile(checked, opened)
            if alignment is not None:
                # for a person to look through; the manifest holds its counts
                pcsv.write_csv(alignment.report, folder / "alignment.tsv", pcsv.WriteOptions(delimiter="\t", quoting_style="needed"))
            return replace(graph, manifest=graph.write(folder))


def _compile(recipe: Recipe, engine: Engine) -> tuple[KnowledgeGraph, Alignment | None]:
    with stage("reading the sources"):
        sources = [_read(source, recipe.folder, engine) for source in recipe.content["sources"]]
    return compile_statements(sources, recipe, engine)


def compile_statements(sources: Sequence[Statements], recipe: Recipe, engine: Engine) -> tuple[KnowledgeGraph, Alignment | None]:
    """Compile statements that were read already by the other keys of a recipe.

    Returns
    -------
    The graph, and the alignment when the recipe has one.

    Raises
    ------
    InvalidInputError, UnknownNameError, SourceError : as `compile_graph`.
    """
    content, alignment = recipe.content, None
    check_sources(sources)
    if steps := content.get("align"):
        with stage("aligning"):
            alignment = align_sources(steps, sources, recipe.folder, engine)
            sources = [*sources, *alignment.added]
    edges = content.get("edges", {})
    with stage("joining"):
        joined = join_sources(
            sources,
            relation_policy(sources, edges),
            engine,
            renamed=alignment.renamed if alignment else None,
            duplicates=edges.get("duplicates", "max"),
            self_loops=edges.get("self_loops") == "keep",
            minimum_weight=edges.get("minimum_weight", 0.0),
            unit_weights=edges.get("weights") == "one",
        )
    with stage("selecting"):
        selector = Selector(joined.ids, joined.edges_by_relation())
        keep = selector.select(recipe)
        joined, keep = _prune(joined, keep, content.get("select", {}))
        if not keep.any():
            raise InvalidInputError("a graph has at least one node", received=f"the recipe {recipe.name} selects none")
        joined = _cut(joined, keep)
        if edges.get("cycles") != "keep":
            _check_acyclic(joined)
    if "closure" in content:
        joined = _closed(joined, content["closure"])
    manifest: dict[str, Any] = {
        "name": recipe.name,
        "recipe": dict(content),
        "lists": selector.lists,
        "sources": [asdict(s.info) for s in sources],
        "prefixes": _prefixes(sources),
        "dropped": {s.info.name: dict(s.dropped) for s in sources if s.dropped} | {"compile": dict(sorted(joined.dropped.items()))},
        "builder": builder(),
    }
    if alignment is not None:
        manifest["alignment"] = list(alignment.counts)
    graph = _graph(joined, sources, manifest)
    return replace(graph, manifest={**manifest, "counts": graph.counts(), "content_digest": graph.digest}), alignment


def _read(source: Mapping[str, Any], folder: Path, engine: Engine) -> Statements:
    reader = readers.make(source["reader"], source.get("settings"))
    if "data" in source:
        path = data.locate(source["data"])
    elif "benchmark" in source:
        path = data.benchmark_path(source["benchmark"])
    else:
        path = folder / source["path"]
    read = reader.read(path, engine)
    if "name" in source:
        read = replace(read, info=replace(read.info, name=source["name"]))
    return _only(read, source["relations"]) if "relations" in source else read


def _only(read: Statements, rules: Mapping[str, Any]) -> Statements:
    """Keep, drop and rename the relations of one source."""
    names = [r.id for r in read.relations]
    asked = [*rules.get("keep", ()), *rules.get("drop", ()), *rules.get("rename", {})]
    if unknown := [r for r in asked if r not in names]:
        raise InvalidInputError(
            "a recipe keeps, drops and renames relations that the source brings",
            received=f"{read.info.name}: {', '.join(unknown)}",
            remedy=f"choose from: {', '.join(names)}",
        )
    wanted = [r not in rules.get("drop", ()) and (r in rules["keep"] if "keep" in rules else True) for r in names]
    renamed = [_renamed(r, rules.get("rename", {})) for r, w in zip(read.relations, wanted, strict=True) if w]
    relations = tuple(dict.fromkeys(renamed))
    code = np.full(len(names), -1, dtype=np.int32)
    code[np.flatnonzero(wanted)] = [relations.index(r) for r in renamed]
    kept = code[read.relation] >= 0 if len(read.relation) else np.zeros(0, dtype=bool)
    dropped = Counter(read.dropped)
    dropped["edge of a relation not kept"] += int((~kept).sum())
    return replace(
        read,
        relations=relations,
        subject=read.subject[kept],
        relation=code[read.relation[kept]],
        object=read.object[kept],
        weight=read.weight[kept],
        dropped={reason: n for reason, n in dropped.items() if n},
    )


def _renamed(relation: Relation, rename: Mapping[str, str]) -> Relation:
    if relation.id not in rename:
        return relation
    other = rename[relation.id]
    return vocabulary().relations.get(other) or replace(relation, id=other)


def _prune(joined: Joined, keep: np.ndarray, settings: Mapping[str, Any]) -> tuple[Joined, np.ndarray]:
    if "neighbours" in settings:
        joined = prune.top_by_walks(joined, keep, settings["neighbours"])
    if "degree_cap" in settings:
        joined = prune.cap_degrees(joined, keep, settings["degree_cap"])
    if settings.get("orphans") == "drop":
        keep = prune.connected(joined, keep)
    return joined, keep


def _cut(joined: Joined, keep: np.ndarray) -> Joined:
    """The graph of the kept nodes, over an axis of its own."""
    joined = prune.take(joined, prune.inside(joined, keep), "edge to a node not selected")
    new = np.cumsum(keep) - 1
    gone = int((~keep).sum())
    return replace(
        joined,
        ids=tuple(np.asarray(joined.ids, dtype=object)[keep]) if gone else joined.ids,
        row=joined.row[keep],
        subject=new[joined.subject],
        object=new[joined.object],
        dropped={**joined.dropped, "node not selected": gone} if gone else joined.dropped,
    )


def _check_acyclic(joined: Joined) -> None:
    """Raise SourceError when a node is its own ancestor by hypernym."""
    subject, obj = joined.edges_by_relation().get("hypernym", (np.zeros(0, dtype=np.int64),) * 2)
    inside = in_cycles(subject, obj, len(joined.ids))
    if len(inside):
        path = shortest_cycle(subject, obj, len(joined.ids), int(inside[0]))
        raise SourceError(
            "no node is its own ancestor by hypernym",
            received=f"{len(inside):,} are; a cycle: {' → '.join(joined.ids[i] for i in path)}",
            remedy="correct the source, merge what is equivalent (`align: [{relations: [equivalent]}]`), "
            "or accept them: `edges: {cycles: keep}`",
        )


def _closed(joined: Joined, settings: Mapping[str, Any]) -> Joined:
    """Add an edge from every node to each of its ancestors, one relation per distance: see `kgzsl.graphs.closure`."""
    from kgzsl.graphs.closure import close

    return close(joined, settings["relation"], settings.get("at_most"))


def _graph(joined: Joined, sources: Sequence[Statements], manifest: dict[str, Any]) -> KnowledgeGraph:
    starts = np.cumsum([0, *(len(s.ids) for s in sources)])
    row = joined.row % starts[-1]
    owner = np.searchsorted(starts, row, side="right") - 1
    names = [s.info.name for s in sources]
    kinds, labels, texts = (
        pa.chunked_array([getattr(s, c) for s in sources]).take(pa.array(row)).to_pylist() for c in ("kinds", "labels", "texts")
    )
    first = {r.id: s.info.name for s in reversed(sources) for r in s.relations}
    return KnowledgeGraph(
        ids=joined.ids,
        kinds=tuple(kinds),
        labels=tuple(labels),
        texts=tuple(texts),
        node_sources=tuple(names[i] for i in owner.tolist()),
        relations=joined.relations,
        relation_sources=tuple(first.get(r.id) or first.get(r.inverse) or names[0] for r in joined.relations),
        subject=joined.subject,
        relation=joined.relation,
        object=joined.object,
        weight=joined.weight,
        edge_source=joined.source,
        manifest=manifest,
    )


def _prefixes(sources: Sequence[Statements]) -> dict[str, str]:
    found = dict(PREFIXES)
    for s in sources:
        for prefix, iri in s.prefixes.items():
            if found.setdefault(prefix, iri) != iri:
                raise SourceError(
                    "a prefix means one IRI",
                    received=f"{prefix}: is {found[prefix]} and, in {s.info.name}, {iri}",
                    remedy="give one of them another prefix in the reader's settings",
                )
    return dict(sorted(found.items()))


def builder() -> str:
    """Return what a graph built now names as its builder."""
    with contextlib.suppress(Exception):
        return f"kgzsl {version('kgzsl')}"
    return "kgzsl, unknown version"
