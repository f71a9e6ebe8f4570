"""Statements written by hand, compiled without files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kgzsl.engines import open_engine
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.compile import compile_statements
from kgzsl.graphs.recipe import Recipe
from kgzsl.sources import Relation, SourceInfo, Statements
from kgzsl.sources.vocabulary import vocabulary

Triple = tuple[str, str, str] | tuple[str, str, str, float]


def statements(name: str, triples: Sequence[Triple], labels: Mapping[str, str] | None = None, **other: Relation) -> Statements:
    """A source of these triples; relations are the vocabulary's, or given by name."""
    labels = labels or {}
    ids = list(dict.fromkeys([*labels, *(t[k] for t in triples for k in (0, 2))]))
    relations = tuple(other.get(r) or vocabulary()[r] for r in dict.fromkeys(t[1] for t in triples))
    place = {i: n for n, i in enumerate(ids)}
    code = {r.id: n for n, r in enumerate(relations)}
    return Statements(
        ids=pa.array(ids, type=pa.string()),
        kinds=pa.array(["concept"] * len(ids), type=pa.string()),
        labels=pa.array([labels.get(i, i.split(":")[1]) for i in ids], type=pa.string()),
        texts=pa.array([f"{i} in {name}" for i in ids], type=pa.string()),
        relations=relations,
        subject=np.asarray([place[t[0]] for t in triples], dtype=np.int32),
        relation=np.asarray([code[t[1]] for t in triples], dtype=np.int32),
        object=np.asarray([place[t[2]] for t in triples], dtype=np.int32),
        weight=np.asarray([t[3] if len(t) > 3 else 1.0 for t in triples], dtype=np.float32),
        info=SourceInfo(name, "1", "CC0", {}),
    )


def compiled(*sources: Statements, engine: str = "duckdb", folder: Path | None = None, **content: Any) -> KnowledgeGraph:
    """The graph of these sources by the recipe keys in `content`."""
    with open_engine(engine) as opened:
        return compile_statements(sources, Recipe("hand", {"name": "hand", **content}, folder or Path()), opened)[0]


def edges(graph: KnowledgeGraph) -> set[tuple[str, str, str, float]]:
    """Edges as (subject, relation, object, weight)."""
    return {
        (graph.ids[s], graph.relations[r].id, graph.ids[o], round(float(w), 5))
        for s, r, o, w in zip(graph.subject, graph.relation, graph.object, graph.weight, strict=True)
    }


def triples(graph: KnowledgeGraph) -> set[tuple[str, str, str]]:
    """Edges as (subject, relation, object)."""
    return {e[:3] for e in edges(graph)}
