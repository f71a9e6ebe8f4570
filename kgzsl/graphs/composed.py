"""Compositions as nodes: a graph of states, objects and outside knowledge with any list of pairs on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.sources.compositions import concept_ids, pair_ids

#: What a pair is joined to, and what it joins: figure 2 of CGE (Naeem et al., CVPR 2021).
PAIR_RELATIONS = ("has_state", "has_object", "composes")
KIND = "pair"


def composed(
    graph: KnowledgeGraph,
    prefix: str,
    states: Sequence[str],
    objects: Sequence[str],
    pairs: np.ndarray,
    weights: np.ndarray | None = None,
) -> KnowledgeGraph:
    """Return `graph` with exactly these pairs: its own pairs leave, every other node and edge stays.

    The order of `pairs` decides nothing. Nothing is written; the manifest says nothing of the new pairs, the digest does.

    Parameters
    ----------
    pairs : positions of state and object, int64 `[pairs, 2]`, unique.
    weights : of the three edges that a pair brings, in 0…1, float32 `[pairs]`; a pair of weight 0 is a node without edges.
        None is 1 for all.

    Raises
    ------
    UnknownNameError : a state or an object is not a node, or the graph lacks one of the relations of pairs.
    InvalidInputError : a pair twice, positions out of range, or weights outside 0…1.
    """
    _check(len(states), len(objects), pairs, weights)
    for name in PAIR_RELATIONS:
        graph.edges_of(name)  # they must be there
    hubs = np.flatnonzero(np.array([kind != KIND for kind in graph.kinds]))
    place = np.full(len(graph), -1, dtype=np.int64)
    place[hubs] = np.arange(len(hubs))
    state, obj = (place[graph.positions(concept_ids(prefix, kind, names))] for kind, names in (("state", states), ("object", objects)))
    new_ids, new_labels = pair_ids(prefix, states, objects, pairs)
    known = np.array([r.id in PAIR_RELATIONS for r in graph.relations])
    kept = ~known[graph.relation] & (place[graph.subject] >= 0) & (place[graph.object] >= 0)
    pair, s, o = np.arange(len(pairs)) + len(hubs), state[pairs[:, 0]], obj[pairs[:, 1]]
    given = np.ones(len(pairs), dtype=np.float32) if weights is None else weights.astype(np.float32)
    relation = {r.id: n for n, r in enumerate(graph.relations)}
    some = given > 0
    ends = ((pair, s), (pair, o), (s, o))
    subject = np.concatenate([place[graph.subject[kept]], *(a[some] for a, _ in ends)])
    target = np.concatenate([place[graph.object[kept]], *(b[some] for _, b in ends)])
    kind = np.concatenate([graph.relation[kept], *(np.full(int(some.sum()), relation[r]) for r in PAIR_RELATIONS)])
    weight = np.concatenate([graph.weight[kept], *([given[some]] * 3)])
    # the edges that pairs bring come from where the graph's own pairs came from
    own = graph.edge_source[known[graph.relation]]
    source = np.concatenate([graph.edge_source[kept], np.full(3 * int(some.sum()), own[0] if len(own) else 0)])
    return _sorted(graph, hubs, new_ids, new_labels, (subject, kind.astype(np.int64), target, weight, source.astype(np.int64)))


def _sorted(
    graph: KnowledgeGraph, hubs: np.ndarray, new_ids: Sequence[str], new_labels: Sequence[str], edges: tuple[np.ndarray, ...]
) -> KnowledgeGraph:
    """Put nodes and edges into the order of an artifact."""
    kept = hubs.tolist()
    ids = [*(graph.ids[i] for i in kept), *new_ids]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    place = np.empty(len(ids), dtype=np.int64)
    place[np.array(order, dtype=np.int64)] = np.arange(len(ids))
    subject, relation, target, weight, source = edges
    subject, target = place[subject], place[target]
    by = np.lexsort((target, relation, subject))

    def column(have: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
        both = [*(have[i] for i in kept), *more]
        return tuple(both[i] for i in order)

    blank = [""] * len(new_ids)
    pairs_from = next((s for s, kind in zip(graph.node_sources, graph.kinds, strict=True) if kind == KIND), graph.node_sources[kept[0]])
    return replace(
        graph,
        ids=tuple(ids[i] for i in order),
        kinds=column(graph.kinds, [KIND] * len(new_ids)),
        labels=column(graph.labels, new_labels),
        texts=column(graph.texts, blank),
        node_sources=column(graph.node_sources, [pairs_from] * len(new_ids)),
        subject=subject[by],
        relation=relation[by],
        object=target[by],
        weight=weight[by].astype(np.float32),
        edge_source=source[by],
    )


def _check(states: int, objects: int, pairs: np.ndarray, weights: np.ndarray | None) -> None:
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise InvalidInputError("pairs are positions of a state and an object, [pairs, 2], at least one", received=pairs.shape)
    if pairs.min() < 0 or pairs[:, 0].max() >= states or pairs[:, 1].max() >= objects:
        raise InvalidInputError(
            "pairs name states and objects by position", received=f"up to {pairs.max(axis=0).tolist()} of {states} and {objects}"
        )
    flat = pairs[:, 0] * objects + pairs[:, 1]
    if len(np.unique(flat)) != len(flat):
        raise InvalidInputError("a pair is one node", received="a pair twice", remedy="drop the duplicates")
    if weights is not None and (weights.shape != (len(pairs),) or not (np.all(weights >= 0) and np.all(weights <= 1))):
        raise InvalidInputError("every pair has one weight in 0…1", received=f"{weights.shape} for {len(pairs):,} pairs")
