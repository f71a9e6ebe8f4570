"""Ancestors by distance: what a relation leads to in several steps, and DGP's dense graph of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kgzsl.errors import InvalidInputError
from kgzsl.sources.base import Relation
from kgzsl.sources.vocabulary import vocabulary

#: Most cells of the table of pairs already seen, in bytes; starts are walked in blocks that keep within it.
_CELLS = 2**26
#: Most pairs, unless asked for more; they take 24 bytes each.
MOST_PAIRS = 50_000_000


@dataclass(frozen=True)
class Closure:
    """Edges to ancestors, ready to stand beside those of a source.

    Attributes
    ----------
    relations : `ancestor`, or `ancestor_1`, `ancestor_2` … by distance; `[relations]`.
    subject, relation, object : descendant, position in `relations`, ancestor; int32 `[edges]`.
    """

    relations: tuple[Relation, ...]
    subject: np.ndarray
    relation: np.ndarray
    object: np.ndarray


def closure(
    subject: np.ndarray, obj: np.ndarray, n: int, *, name: str = "ancestor", by_distance: bool = True, at_most: int | None = None
) -> Closure:
    """Return an edge from each node to each of its ancestors, the distance told by the relation.

    A distance is a relation of its own (`ancestor_3`), so that weights stay weights and every export keeps it. DGP (Kampffmeyer
    et al., CVPR 2019) counts each node with itself besides: its 200,082 pairs are 32,324 nodes and 167,758 edges of these.

    Parameters
    ----------
    subject, obj, n, at_most : see `ancestor_pairs`.
    name : of the relation; its label and inverse are the vocabulary's where it is there.
    by_distance : false gives one relation for all distances.
    """
    descendant, ancestor, distance = ancestor_pairs(subject, obj, n, at_most=at_most)
    base = vocabulary().relations.get(name, Relation(name, f"has the {name.replace('_', ' ')}"))
    if not by_distance:
        return Closure((base,), descendant.astype(np.int32), np.zeros(len(distance), dtype=np.int32), ancestor.astype(np.int32))
    relations = [
        Relation(f"{name}_{k}", f"{base.label} ({k} {'step' if k == 1 else 'steps'})", False, f"{base.inverse}_{k}" if base.inverse else "")
        for k in range(1, int(distance.max(initial=0)) + 1)
    ]
    # Relations of a graph are sorted by id: `ancestor_10` comes before `ancestor_2`.
    order = sorted(range(len(relations)), key=relations.__getitem__)
    place = np.argsort(order).astype(np.int32)
    return Closure(tuple(relations[i] for i in order), descendant.astype(np.int32), place[distance - 1], ancestor.astype(np.int32))


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
    edges = np.unique(subject[subject != obj] * n + obj[subject != obj])
    tail, head = np.divmod(edges, max(n, 1))
    first = np.searchsorted(tail, np.arange(n + 1))
    starts = np.arange(n) if starts is None else np.sort(np.asarray(starts, dtype=np.int64))
    starts = starts[first[starts + 1] > first[starts]]
    # Only nodes that edges lead to can be ancestors; they are the columns of the table.
    columns = np.full(n, -1, dtype=np.int64)
    ancestors = np.unique(head)
    columns[ancestors] = np.arange(len(ancestors))
    block = max(_CELLS // max(len(ancestors), 1), 64)
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
    own = np.flatnonzero(columns[starts] >= 0)
    own = own * width + columns[starts[own]]
    seen[own] = True
    steps: list[np.ndarray] = []
    while len(row) and enough >= 0 and (at_most is None or len(steps) < at_most):
        degree = first[node + 1] - first[node]
        last = np.cumsum(degree)
        node = head[np.repeat(first[node] - last + degree, degree) + np.arange(int(last[-1]))]
        cell = np.repeat(row, degree) * width + columns[node]
        cell = np.unique(cell[~seen[cell]])
        seen[cell] = True
        row, node = cell // width, ancestors[cell % width]
        steps.append(cell)
        enough -= len(cell)
    cell = np.concatenate([*steps, np.empty(0, dtype=np.int64)])
    distance = np.repeat(np.arange(1, len(steps) + 1), [len(s) for s in steps])
    seen[own], seen[cell] = False, False
    order = np.argsort(cell, kind="stable")
    return np.stack([starts[cell[order] // width], ancestors[cell[order] % width], distance[order]])
