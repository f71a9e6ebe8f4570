"""Conversions to other libraries' graphs. Each needs the `graphs` extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.errors import require
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.ids import PREFIXES

if TYPE_CHECKING:
    import networkx as nx
    import rdflib
    from torch_geometric.data import Data


def to_networkx(graph: KnowledgeGraph) -> nx.MultiDiGraph:
    """Return a `networkx.MultiDiGraph`: nodes by id with kind, label, text; edges keyed by relation, with weight."""
    networkx: Any = require("networkx", "graphs")
    result = networkx.MultiDiGraph(name=graph.name, digest=graph.digest)
    for identifier, kind, label, text in zip(graph.ids, graph.kinds, graph.labels, graph.texts, strict=True):
        result.add_node(identifier, kind=kind, label=label, text=text)
    for s, r, o, w in _rows(graph):
        result.add_edge(graph.ids[s], graph.ids[o], key=graph.relations[r].id, weight=w)
    return result


def to_pyg(graph: KnowledgeGraph) -> Data:
    """Return a `torch_geometric.data.Data`.

    `edge_index` int64 `[2, edges]` (subject, object), `edge_type` int64 `[edges]`, `edge_weight` float32 `[edges]`, `num_nodes`;
    `node_ids` and `relation_ids` say what the integers mean.
    """
    import torch

    geometric: Any = require("torch_geometric.data", "graphs")
    return geometric.Data(
        edge_index=torch.from_numpy(np.stack([graph.subject, graph.object])),
        edge_type=torch.from_numpy(graph.relation.copy()),
        edge_weight=torch.from_numpy(graph.weight.copy()),
        num_nodes=len(graph),
        node_ids=list(graph.ids),
        relation_ids=[r.id for r in graph.relations],
    )


def to_rdflib(graph: KnowledgeGraph) -> rdflib.Graph:
    """Return an `rdflib.Graph`: every edge as a triple, labels as `skos:prefLabel`, texts as `skos:definition`.

    A hypernym edge is also `skos:broader`, so that SKOS tools see the hierarchy. Weights are not part of it.
    """
    rdf: Any = require("rdflib", "graphs")
    skos = rdf.namespace.SKOS
    result = rdf.Graph()
    for prefix, base in PREFIXES.items():
        result.bind(prefix, base)
    result.bind("skos", skos)
    nodes = [rdf.URIRef(_iri(i)) for i in graph.ids]
    relations = [rdf.URIRef(PREFIXES["kgzsl"] + r.id) for r in graph.relations]
    broader = {i for i, r in enumerate(graph.relations) if r.id == "hypernym"}
    for node, label, text in zip(nodes, graph.labels, graph.texts, strict=True):
        result.add((node, skos.prefLabel, rdf.Literal(label, lang="en")))
        if text:
            result.add((node, skos.definition, rdf.Literal(text, lang="en")))
    for s, r, o, _ in _rows(graph):
        result.add((nodes[s], relations[r], nodes[o]))
        if r in broader:
            result.add((nodes[s], skos.broader, nodes[o]))
    return result


def _iri(identifier: str) -> str:
    prefix, _, local = identifier.partition(":")
    return PREFIXES[prefix] + local if prefix in PREFIXES else identifier


def _rows(graph: KnowledgeGraph) -> zip[tuple[int, int, int, float]]:
    columns = (graph.subject, graph.relation, graph.object, graph.weight)
    return zip(*(c.tolist() for c in columns), strict=True)
