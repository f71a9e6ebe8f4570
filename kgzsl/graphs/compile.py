"""Compile a recipe into a `KnowledgeGraph`: read, join by id, select, sort, remove duplicates, count what was dropped."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kgzsl import data
from kgzsl.artifacts import atomic_directory
from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.recipe import Recipe, load_recipe
from kgzsl.graphs.select import Selector
from kgzsl.sources import Relation, Statements, readers


def compile_graph(
    recipe: str | os.PathLike[str] | Recipe, out: str | os.PathLike[str] | None = None, *, overwrite: bool = False
) -> KnowledgeGraph:
    """Build the graph of a recipe and, with `out`, write its artifact.

    The same recipe over the same files gives byte-identical tables, on every machine and in every order of reading.

    Parameters
    ----------
    recipe : a shipped name such as `imagenet`, or the path of a YAML file.
    out : folder of the artifact, by custom `NAME.kg`.
    overwrite : replace an artifact that is there.

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
    if out is None:
        return _compile(checked)
    with atomic_directory(out, overwrite=overwrite) as folder:
        graph = _compile(checked)
        return replace(graph, manifest=graph.write(folder))


def _compile(recipe: Recipe) -> KnowledgeGraph:
    sources = [_read(source, recipe.folder) for source in recipe.content["sources"]]
    joined = _Joined(sources)
    selector = Selector(joined.ids, joined.edges_by_relation())
    keep = selector.select(recipe)
    if not keep.any():
        raise InvalidInputError("a graph has at least one node", received=f"the recipe {recipe.name} selects none")
    graph, dropped = joined.build(keep)
    manifest: dict[str, Any] = {
        "name": recipe.name,
        "recipe": dict(recipe.content),
        "lists": selector.lists,
        "sources": [asdict(s.info) for s in sources],
        "dropped": {s.info.name: dict(s.dropped) for s in sources if s.dropped} | {"compile": dropped},
        "builder": f"kgzsl {_version()}",
        "counts": graph.counts(),
        "content_digest": graph.digest,
    }
    return replace(graph, manifest=manifest)


def _read(source: dict[str, Any], folder: Path) -> Statements:
    reader = readers.make(source["reader"], source.get("settings"))
    return reader.read(data.locate(source["data"]) if "data" in source else folder / source["path"])


def _version() -> str:
    with contextlib.suppress(Exception):
        return version("kgzsl")
    return "unknown"


class _Joined:
    """Statements of all sources over one sorted node axis; of a node named twice, the first source's texts stand."""

    def __init__(self, sources: Sequence[Statements]) -> None:
        self.sources = sources
        encoded = pa.chunked_array([s.ids for s in sources]).combine_chunks().dictionary_encode()
        codes = np.asarray(encoded.indices)
        names = encoded.dictionary.to_pylist()
        order = np.asarray(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
        rank = np.empty(len(names), dtype=np.int64)
        rank[order] = np.arange(len(names))
        self.ids: list[str] = [names[i] for i in order]
        #: sorted node → its first row in the sources' tables laid end to end
        self.first = np.unique(codes, return_index=True)[1][order]
        self.relations = sorted(_agree({r.id: r for s in sources for r in s.relations}, sources))
        self.columns = [self._edges(i, rank[codes]) for i in range(len(sources))]

    def _edges(self, number: int, node: np.ndarray) -> tuple[np.ndarray, ...]:
        s = self.sources[number]
        start = sum(len(t.ids) for t in self.sources[:number])
        place = {r.id: i for i, r in enumerate(self.relations)}
        relation = np.asarray([place[r.id] for r in s.relations], dtype=np.int64)
        source = np.full(len(s.subject), number, dtype=np.int64)
        return node[start + s.subject], relation[s.relation], node[start + s.object], s.weight.astype(np.float32), source

    def edges_by_relation(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return subject and object per relation, on the joined axis."""
        subject, relation, obj = (np.concatenate([c[k] for c in self.columns]) for k in range(3))
        return {r.id: (subject[relation == i], obj[relation == i]) for i, r in enumerate(self.relations)}

    def build(self, keep: np.ndarray) -> tuple[KnowledgeGraph, dict[str, int]]:
        """Return the graph of the kept nodes and what was dropped for which reason."""
        subject, relation, obj, weight, source = (np.concatenate([c[k] for c in self.columns]) for k in range(5))
        inside = keep[subject] & keep[obj]
        loop = inside & (subject == obj)
        dropped = Counter({"node not selected": int((~keep).sum()), "edge to a node not selected": int((~inside).sum())})
        dropped["edge from a node to itself"] = int(loop.sum())
        chosen = np.flatnonzero(inside & ~loop)
        # Of equal edges the heaviest stands, then that of the earliest source.
        chosen = chosen[np.lexsort((source[chosen], -weight[chosen], obj[chosen], relation[chosen], subject[chosen]))]
        same = np.zeros(len(chosen), dtype=bool)
        same[1:] = np.logical_and.reduce([c[chosen][1:] == c[chosen][:-1] for c in (subject, relation, obj)])
        dropped["edge stated twice"] = int(same.sum())
        chosen = chosen[~same]
        new = np.cumsum(keep) - 1
        rows = self.first[keep]
        kinds, labels, texts = (
            pa.chunked_array([getattr(s, c) for s in self.sources]).combine_chunks().take(pa.array(rows)).to_pylist()
            for c in ("kinds", "labels", "texts")
        )
        starts = np.cumsum([0, *(len(s.ids) for s in self.sources)])
        owner = np.searchsorted(starts, rows, side="right") - 1
        graph = KnowledgeGraph(
            ids=tuple(i for i, k in zip(self.ids, keep.tolist(), strict=True) if k),
            kinds=tuple(kinds),
            labels=tuple(labels),
            texts=tuple(texts),
            node_sources=tuple(self.sources[i].info.name for i in owner.tolist()),
            relations=tuple(self.relations),
            relation_sources=tuple(next(s.info.name for s in self.sources if r in s.relations) for r in self.relations),
            subject=new[subject[chosen]],
            relation=relation[chosen],
            object=new[obj[chosen]],
            weight=weight[chosen],
            edge_source=source[chosen],
        )
        return graph, {reason: n for reason, n in sorted(dropped.items()) if n}


def _agree(relations: dict[str, Relation], sources: Sequence[Statements]) -> list[Relation]:
    for s in sources:
        for r in s.relations:
            if relations[r.id] != r:
                raise SourceError(
                    "sources that share a relation agree on its label, symmetry and inverse", received=f"{r} and {relations[r.id]}"
                )
    return list(relations.values())
