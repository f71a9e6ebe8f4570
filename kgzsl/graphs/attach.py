"""Classes that are not nodes yet: added below nodes of a graph, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kgzsl.errors import InvalidInputError, UnknownNameError, first_five
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.ids import check_unique, curie
from kgzsl.sources.base import SourceInfo

#: Kind of the nodes that `attach` adds.
KIND = "class"
#: What of a manifest describes files on disk, which an attached graph has none of.
_OF_FILES = ("kind", "format_version", "files", "digest")


@dataclass(frozen=True)
class NewClass:
    """A class to add to a graph.

    Attributes
    ----------
    id : a CURIE, as the dataset names the class: `cub:Black_footed_Albatross`.
    label : its names, separated by commas, as the labels of nodes are.
    text : what is said of it, in place of a gloss; may be empty.
    parents : ids of nodes that it is a kind of, at least one.
    """

    id: str
    label: str
    text: str
    parents: tuple[str, ...]


def attach(graph: KnowledgeGraph, classes: Sequence[NewClass], source: SourceInfo) -> KnowledgeGraph:
    """Return `graph` with `classes` as nodes of the kind `class` and one hypernym edge of weight 1 to each of their parents.

    The order of `classes` and of their parents decides nothing. The graph that is given stays as it is; the new one has
    its own digest, and its manifest names `source` as the last of its sources.

    Parameters
    ----------
    source : where the classes and their links come from; its name is none of the graph's sources.

    Raises
    ------
    InvalidInputError : no class, an id that is no CURIE, is named twice or is a node already, an empty label, a class
        without a parent or with one named twice, or a source whose name is taken.
    UnknownNameError : a parent is not a node, or the graph has no hypernym relation.
    """
    _check(graph, classes, source)
    graph.edges_of("hypernym")  # the relation must be there
    new = sorted(classes, key=lambda c: c.id)
    before = len(graph)
    ids = [*graph.ids, *(c.id for c in new)]
    order = np.asarray(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    place = np.empty(len(ids), dtype=np.int64)
    place[order] = np.arange(len(ids))
    pairs = [(before + i, parent) for i, c in enumerate(new) for parent in c.parents]
    child = np.asarray([i for i, _ in pairs], dtype=np.int64)
    parent = graph.positions([p for _, p in pairs])
    hypernym = [r.id for r in graph.relations].index("hypernym")
    edges = (
        place[np.concatenate([graph.subject, child])],
        np.concatenate([graph.relation, np.full(len(child), hypernym, dtype=np.int64)]),
        place[np.concatenate([graph.object, parent])],
        np.concatenate([graph.weight, np.ones(len(child), dtype=np.float32)]),
        np.concatenate([graph.edge_source, np.full(len(child), len(graph.source_names), dtype=np.int64)]),
    )
    subject, relation, obj, weight, edge_source = (column[np.lexsort(edges[2::-1])] for column in edges)

    def column(have: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
        both = (*have, *more)
        return tuple(both[i] for i in order.tolist())

    grown = replace(
        graph,
        ids=column(graph.ids, [c.id for c in new]),
        kinds=column(graph.kinds, [KIND] * len(new)),
        labels=column(graph.labels, [c.label for c in new]),
        texts=column(graph.texts, [c.text for c in new]),
        node_sources=column(graph.node_sources, [source.name] * len(new)),
        subject=subject,
        relation=relation,
        object=obj,
        weight=weight,
        edge_source=edge_source,
    )
    return replace(grown, manifest=_manifest(graph, grown, source))


def _manifest(graph: KnowledgeGraph, grown: KnowledgeGraph, source: SourceInfo) -> dict[str, Any]:
    """The manifest of `graph` with one more source, the counts of `grown` and the digest of what was grown from."""
    kept = {k: v for k, v in graph.manifest.items() if k not in _OF_FILES}
    # a dataset's own prefix means nothing beyond it, and RDF wants an IRI
    own = {p: f"urn:kgzsl:{p}:" for p in {i.partition(":")[0] for i in set(grown.ids).difference(graph.ids)} if p not in graph.prefixes}
    return {
        **kept,
        "prefixes": graph.prefixes | dict(sorted(own.items())),
        "name": f"{graph.name}+{source.name}",
        "sources": [*graph.manifest.get("sources", ()), asdict(source)],
        "attached_to": graph.digest,
        "counts": grown.counts(),
        "content_digest": grown.digest,
    }


def _check(graph: KnowledgeGraph, classes: Sequence[NewClass], source: SourceInfo) -> None:
    check_unique([c.id for c in classes], "the classes to attach")
    if source.name in graph.source_names:
        raise InvalidInputError(
            "classes are attached from a source of their own",
            received=f"{source.name!r}, which is a source of {graph.name} already",
            remedy="give the source another name",
        )
    for c in classes:
        if curie(c.id) != c.id:
            raise InvalidInputError("a class to attach has a CURIE of its dataset", received=c.id, remedy="put the prefix before it")
    taken = [c.id for c in classes if c.id in graph]
    if taken:
        raise InvalidInputError(
            f"a class to attach is not a node of {graph.name} yet",
            received=f"{len(taken):,} are: {first_five(taken)}",
            remedy="leave those out: they can be predicted as they are",
        )
    for rule, wrong in (
        ("a class to attach has a label", [c.id for c in classes if not c.label.strip()]),
        ("a class to attach has at least one parent", [c.id for c in classes if not c.parents]),
        ("the parents of a class are named once", [c.id for c in classes if len(set(c.parents)) != len(c.parents)]),
    ):
        if wrong:
            raise InvalidInputError(rule, received=f"{len(wrong):,} break this: {first_five(wrong)}", remedy="complete their rows")
    strange = sorted({p for c in classes for p in c.parents if p not in graph})
    if strange:
        raise UnknownNameError(
            f"the parents of classes are among the {len(graph):,} nodes of {graph.name}",
            received=f"{len(strange):,} are not: {first_five(strange)}",
            remedy="link to nodes of this graph (`kgzsl.graphs.link`), or take a graph that holds them",
        )
