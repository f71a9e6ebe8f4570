"""Pruning of a joined graph: top neighbours by random walks, a cap on degrees, nodes without an edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from kgzsl.graphs.join import Joined


def inside(joined: Joined, keep: np.ndarray) -> np.ndarray:
    """Return which edges have both ends among the kept nodes, bool `[edges]`."""
    return keep[joined.subject] & keep[joined.object]


def take(joined: Joined, edges: np.ndarray, reason: str) -> Joined:
    """Return the graph with the edges of a mask only; those that go are counted under `reason`."""
    gone = int((~edges).sum())
    dropped = {**joined.dropped, reason: joined.dropped.get(reason, 0) + gone} if gone else joined.dropped
    columns = {c: getattr(joined, c)[edges] for c in ("subject", "relation", "object", "weight", "source")}
    return replace(joined, dropped=dropped, **columns)


def top_by_walks(joined: Joined, keep: np.ndarray, settings: Mapping[str, Any]) -> Joined:
    """Keep an edge when one of its ends is among the other's top neighbours by random-walk hitting probability.

    The walks run over the kept nodes, along edges of every relation in both directions, as in ZSL-KG (Nayak and Bach, 2022).

    Parameters
    ----------
    settings : `top`, and of the walks `steps`, `restarts`, `smoothing`, `seed`.
    """
    from kgzsl.graphs.walks import top_neighbours

    n = len(joined.ids)
    there = inside(joined, keep)
    subject, obj = joined.subject[there], joined.object[there]
    ends = np.concatenate([subject, obj]), np.concatenate([obj, subject])
    # parallel edges are as many ways to go
    adjacency = sparse.csr_array((np.ones(len(ends[0]), dtype=np.int64), ends), shape=(n, n))
    nearest = top_neighbours(adjacency, **settings).tocoo()
    pairs = np.concatenate([nearest.row * np.int64(n) + nearest.col, nearest.col * np.int64(n) + nearest.row])
    among = np.isin(joined.subject * n + joined.object, pairs)
    return take(joined, among | ~there, f"edge not to one of the top {settings['top']} neighbours")


def cap_degrees(joined: Joined, keep: np.ndarray, at_most: int) -> Joined:
    """Keep an edge when it is among the `at_most` heaviest at both of its ends, so that no node has a higher degree.

    Of equally heavy edges those to nodes of smaller ids stay.
    """
    there = np.flatnonzero(inside(joined, keep))
    subject, obj, weight = joined.subject[there], joined.object[there], joined.weight[there]
    node = np.concatenate([subject, obj])
    other = np.concatenate([obj, subject])
    relation = np.tile(joined.relation[there], 2)
    outgoing = np.repeat([0, 1], len(there))
    order = np.lexsort((outgoing, relation, other, -np.tile(weight, 2), node))
    start = np.searchsorted(node[order], node[order], side="left")
    rank = np.empty(len(node), dtype=np.int64)
    rank[order] = np.arange(len(node)) - start
    heavy = (rank < at_most).reshape(2, -1).all(axis=0)
    kept = np.ones(len(joined.subject), dtype=bool)
    kept[there[~heavy]] = False
    return take(joined, kept, f"edge beyond the {at_most} heaviest of a node")


def connected(joined: Joined, keep: np.ndarray) -> np.ndarray:
    """Return the kept nodes that have an edge to another kept node, bool `[nodes]`."""
    there = inside(joined, keep) & (joined.subject != joined.object)
    some = np.zeros(len(keep), dtype=bool)
    some[joined.subject[there]] = True
    some[joined.object[there]] = True
    return keep & some
