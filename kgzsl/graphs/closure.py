"""Ancestors by distance: what a relation leads to in several steps, and DGP's dense graph of it.

A pair at distance k ≥ 2 is an edge of the relation `hypernym_k`; at distance 1 it is one of `hypernym`, as it always was. So
weights stay weights, no pair is stored twice, and every export keeps the distance.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.sources.base import Relation

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.join import Joined

#: Most cells of the table of pairs already seen, one byte each; starts are walked in blocks that keep within it, if they hold
#: at least `_LEAST` nodes.
_CELLS, _LEAST = 2**26, 64
#: Most pairs, unless asked for more; they take 24 bytes each.
MOST_PAIRS = 50_000_000

_STEPS = re.compile(r"(?P<of>.+)_(?P<steps>[2-9]|[1-9][0-9]+)")


def close(joined: Joined, relation: str, at_most: int | None = None) -> Joined:
    """Add an edge of weight 1 from each node to each of its ancestors along a relation that is not its parent.

    DGP (Kampffmeyer et al., CVPR 2019, section 3.2) counts each node with itself besides: of ImageNet's 200,082 pairs 32,324 are
    nodes and 167,758 are edges, 32,544 of them `hypernym` and 29 `hypernym_13`.

    Parameters
    ----------
    at_most : farthest distance; None = all.

    Raises
    ------
    UnknownNameError : there is no such relation; the choices are listed.
    InvalidInputError : a symmetric relation, one whose steps are there already, or too many pairs (see `ancestor_pairs`).
    """
    names = [r.id for r in joined.relations]
    if relation not in names:
        raise UnknownNameError(
            "a closure is of a relation of the graph", received=repr(relation), remedy=f"choose from: {', '.join(names)}"
        )
    base = joined.relations[names.index(relation)]
    there = [r for r in names if steps(r)[0] == relation and r != relation]
    if base.symmetric or there:
        raise InvalidInputError(
            "a closure is of a relation that has a direction and is not closed yet",
            received=f"{relation}, {'which is symmetric' if base.symmetric else f'with {there[0]}'}",
        )
    chosen = joined.relation == names.index(relation)
    descendant, ancestor, distance = ancestor_pairs(joined.subject[chosen], joined.object[chosen], len(joined.ids), at_most=at_most)
    far = distance > 1
    new = [_in_steps(base, k) for k in range(2, int(distance.max(initial=1)) + 1)]
    relations = sorted([*joined.relations, *new])
    place = {r.id: i for i, r in enumerate(relations)}
    old = np.asarray([place[r] for r in names], dtype=np.int64)
    code = np.asarray([0, 0, *(place[r.id] for r in new)], dtype=np.int64)
    count = int(far.sum())
    columns: dict[str, Any] = {
        "subject": np.concatenate([joined.subject, descendant[far]]),
        "relation": np.concatenate([old[joined.relation], code[distance[far]]]),
        "object": np.concatenate([joined.object, ancestor[far]]),
        "weight": np.concatenate([joined.weight, np.ones(count, dtype=np.float32)]),
        # of the first source that states the relation
        "source": np.concatenate([joined.source, np.full(count, joined.source[chosen].min(initial=np.iinfo(np.int64).max))]),
    }
    order = np.lexsort((columns["object"], columns["relation"], columns["subject"]))
    return replace(joined, relations=tuple(relations), **{name: column[order] for name, column in columns.items()})


def steps(relation: str) -> tuple[str, int]:
    """Return the relation that an id is the closure of, and the distance: (`hypernym`, 3) of `hypernym_3`, 1 of any other."""
    found = _STEPS.fullmatch(relation)
    return (found["of"], int(found["steps"])) if found else (relation, 1)


def closed_pairs(graph: KnowledgeGraph, relation: str = "hypernym") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return descendant, ancestor and distance of the edges that a closure has put into a graph, as `ancestor_pairs` does.

    Raises
    ------
    UnknownNameError : the graph has no such relation.
    """
    graph.edges_of(relation)
    distances = np.asarray([k if of == relation else 0 for of, k in (steps(r.id) for r in graph.relations)], dtype=np.int64)
    distance = distances[graph.relation]
    chosen = np.flatnonzero(distance)
    chosen = chosen[np.lexsort((graph.object[chosen], graph.subject[chosen]))]
    return graph.subject[chosen], graph.object[chosen], distance[chosen]


def _in_steps(relation: Relation, k: int) -> Relation:
    return Relation(f"{relation.id}_{k}", f"{relation.label} ({k} steps)", inverse=f"{relation.inverse}_{k}" if relation.inverse else "")


def ancestor_pairs(
    subject: np.ndarray,
    obj: np.ndarray,
    n: int,
    *,
    starts: np.ndarray | None = None,
    at_most: int | None = None,
    most_pairs: int = MOST_PAIRS,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each node with all that edges lead to from it, and the number of edges of the shortest way.

    A breadth-first walk of a block of nodes at a time, all ways of one length at once. It takes time in proportion to the edges
    walked, however long the ways are, and ends on cycles. No node is paired with itself.

    Parameters
    ----------
    subject, obj : edges as positions below `n`, `[edges]`; edges that repeat, and edges from a node to itself, count once and not
        at all.
    starts : which nodes to start from, each once; None = all.
    at_most : longest way; None = all.
    most_pairs : refuse to return more.

    Returns
    -------
    descendant, ancestor, distance ≥ 1 : int64 `[pairs]`, sorted by descendant, then ancestor.

    Raises
    ------
    InvalidInputError : `at_most` is below 1, or there are more than `most_pairs` pairs.
    """
    if at_most is not None and at_most < 1:
        raise InvalidInputError("the farthest distance is at least 1", received=at_most)
    subject, obj = np.asarray(subject, dtype=np.int64), np.asarray(obj, dtype=np.int64)
    edges = np.unique(subject * n + obj)
    tail, head = np.divmod(edges, max(n, 1))
    first = np.searchsorted(tail, np.arange(n + 1))
    starts = np.arange(n) if starts is None else np.sort(np.asarray(starts, dtype=np.int64))
    starts = starts[first[starts + 1] > first[starts]]
    # Only nodes that edges lead to can be ancestors; they are the columns of the table.
    columns = np.full(n, -1, dtype=np.int64)
    ancestors = np.unique(head)
    columns[ancestors] = np.arange(len(ancestors))
    block = max(_CELLS // max(len(ancestors), 1), _LEAST)
    seen = np.zeros(min(block, len(starts)) * len(ancestors), dtype=bool)
    pairs, total = [np.empty((3, 0), dtype=np.int64)], 0
    for begin in range(0, len(starts), block):
        pairs.append(_walk(starts[begin : begin + block], first, head, columns, ancestors, seen, at_most, most_pairs - total))
        total += pairs[-1].shape[1]
        if total > most_pairs:
            raise InvalidInputError(
                f"a closure has at most {most_pairs:,} pairs of node and ancestor",
                received=f"{total:,} before all nodes were walked",
                remedy="set `at_most`, the farthest distance",
            )
    descendant, ancestor, distance = np.concatenate(pairs, axis=1)
    return descendant, ancestor, distance


def _walk(
    starts: np.ndarray,
    first: np.ndarray,
    head: np.ndarray,
    columns: np.ndarray,
    ancestors: np.ndarray,
    seen: np.ndarray,
    at_most: int | None,
    enough: int,
) -> np.ndarray:
    """Return the pairs of a block of starts, int64 `[3, pairs]`; `seen` is all False before and after. End early after `enough`."""
    width = len(ancestors)
    row, node = np.arange(len(starts)), starts
    # A node counts as seen by itself, so that neither a cycle nor an edge to itself makes a pair of it.
    own = np.flatnonzero(columns[starts] >= 0)
    own = own * width + columns[starts[own]]
    seen[own] = True
    found: list[np.ndarray] = []
    while len(row) and enough >= 0 and (at_most is None or len(found) < at_most):
        degree = first[node + 1] - first[node]
        last = np.cumsum(degree)
        node = head[np.repeat(first[node] - last + degree, degree) + np.arange(int(last[-1]))]
        cell = np.repeat(row, degree) * width + columns[node]
        cell = np.unique(cell[~seen[cell]])
        seen[cell] = True
        row, node = cell // width, ancestors[cell % width]
        found.append(cell)
        enough -= len(cell)
    cell = np.concatenate([*found, np.empty(0, dtype=np.int64)])
    distance = np.repeat(np.arange(1, len(found) + 1), [len(f) for f in found])
    seen[own], seen[cell] = False, False
    order = np.argsort(cell, kind="stable")
    return np.stack([starts[cell[order] // width], ancestors[cell[order] % width], distance[order]])
