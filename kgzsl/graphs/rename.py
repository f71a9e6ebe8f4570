"""The same graph under other ids of nodes: those that a dataset gives to its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kgzsl.errors import InvalidInputError, UnknownNameError, first_five
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.ids import check_unique, curie

#: What of a manifest describes files on disk, which a renamed graph has none of.
_OF_FILES = ("kind", "format_version", "files", "digest")


def rename_nodes(graph: KnowledgeGraph, names: Mapping[str, str]) -> KnowledgeGraph:
    """Return `graph` with the nodes `{id: new id}` under their new ids; labels, texts and edges stay.

    For classes that *are* nodes of a graph under another name; those that stand below nodes are attached (`kgzsl.graphs.attach`).
    The new graph has its own digest, and its manifest names the digest of the one it was made from.

    Raises
    ------
    InvalidInputError : a new id that is no CURIE, is given twice or is a node already.
    UnknownNameError : an id that is not a node.
    """
    strange = sorted(set(names) - set(graph.ids))
    if strange:
        raise UnknownNameError(f"only nodes of {graph.name} can be renamed", received=f"{len(strange):,} are not: {first_five(strange)}")
    check_unique(list(names.values()), "the new ids of nodes")
    wrong = [i for i in names.values() if curie(i) != i]
    taken = sorted(set(names.values()) & (set(graph.ids) - set(names)))
    if wrong or taken:
        raise InvalidInputError(
            f"new ids are CURIEs, and not nodes of {graph.name} yet", received=first_five(wrong or taken), remedy="give them other ids"
        )
    ids = [names.get(i, i) for i in graph.ids]
    order = np.asarray(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids))
    edges = (place[graph.subject], graph.relation, place[graph.object], graph.weight, graph.edge_source)
    subject, relation, obj, weight, edge_source = (column[np.lexsort(edges[2::-1])] for column in edges)
    kinds, labels, texts, sources = (
        tuple(column[i] for i in order.tolist()) for column in (graph.kinds, graph.labels, graph.texts, graph.node_sources)
    )
    renamed = replace(
        graph,
        ids=tuple(ids[i] for i in order.tolist()),
        kinds=kinds,
        labels=labels,
        texts=texts,
        node_sources=sources,
        subject=subject,
        relation=relation,
        object=obj,
        weight=weight,
        edge_source=edge_source,
    )
    own = {p: f"urn:kgzsl:{p}:" for p in {i.partition(":")[0] for i in names.values()} if p not in graph.prefixes}
    kept = {k: v for k, v in graph.manifest.items() if k not in _OF_FILES}
    manifest = {**kept, "prefixes": graph.prefixes | own, "renamed_from": graph.digest, "content_digest": renamed.digest}
    return replace(renamed, manifest=manifest)
