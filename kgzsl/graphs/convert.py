"""Conversions to other libraries' graphs. Each needs the `graphs` extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.errors import require
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.rdf import prefixes_of, serializable, triples

if TYPE_CHECKING:
    import networkx as nx
    import rdflib
    from torch_geometric.data import Data


def to_networkx(graph: KnowledgeGraph) -> nx.MultiDiGraph:
    """Return a `networkx.MultiDiGraph`: nodes by id with kind, label, text, origin; edges keyed by relation, with weight, origin.

    `origin` is the name of the source: `source` is what node-link JSON calls the subject of an edge.
    """
    networkx: Any = require("networkx", "graphs")
    result = networkx.MultiDiGraph(name=graph.name, digest=graph.digest)
    rows = zip(graph.ids, graph.kinds, graph.labels, graph.texts, graph.node_sources, strict=True)
    result.add_nodes_from((i, {"kind": kind, "label": label, "text": text, "origin": source}) for i, kind, label, text, source in rows)
    names = [r.id for r in graph.relations]
    sources = edge_source_names(graph)
    columns = (graph.subject, graph.relation, graph.object, graph.weight, graph.edge_source)
    result.add_edges_from(
        (graph.ids[s], graph.ids[o], names[r], {"weight": w, "origin": sources[k]})
        for s, r, o, w, k in zip(*(c.tolist() for c in columns), strict=True)
    )
    return result


def edge_source_names(graph: KnowledgeGraph) -> list[str]:
    """Return the name of every source that `edge_source` may point to; empty where the manifest does not say."""
    wanted = int(graph.edge_source.max()) + 1 if len(graph.edge_source) else 0
    return [*graph.source_names, *[""] * max(0, wanted - len(graph.source_names))]


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


def to_rdflib(graph: KnowledgeGraph, *, weights: bool = False) -> rdflib.Graph:
    """Return an `rdflib.Graph` of the triples that `kgzsl.graphs.rdf` lists; for big graphs `kgzsl graph query` is faster.

    Parameters
    ----------
    weights : also an `rdf:Statement` for each edge whose weight is not 1.
    """
    rdf: Any = require("rdflib", "graphs")
    ox: Any = require("pyoxigraph", "graphs")
    result = rdf.Graph(bind_namespaces="none")
    for prefix, base in serializable(prefixes_of(graph)).items():
        result.bind(prefix, base, override=True, replace=True)

    def term(value: Any) -> Any:
        if isinstance(value, ox.NamedNode):
            return rdf.URIRef(value.value)
        if isinstance(value, ox.BlankNode):
            return rdf.BNode(value.value)
        plain = value.datatype.value == "http://www.w3.org/2001/XMLSchema#string"
        return rdf.Literal(value.value, datatype=None if plain else rdf.URIRef(value.datatype.value))

    for t in triples(graph, weights=weights):
        result.add((term(t.subject), term(t.predicate), term(t.object)))
    return result
