"""Scores with the faults that calibrations are for, and graphs to decide on."""

from __future__ import annotations

import numpy as np

from kgzsl.calibration import HeldOut
from kgzsl.graphs import View, directed, undirected
from kgzsl.testing.graphs import graph_of


def names(count: int) -> tuple[str, ...]:
    return tuple(f"t:{i:03d}" for i in range(count))


def biased_rows(seed: int, *, classes: int = 12, seen: int = 8, rows: int = 600, shift: float = 2.0, labelled: bool = True) -> HeldOut:
    """Rows of all classes: the true class scores higher, seen classes score `shift` too high; scores are negative throughout."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=rows)
    scores = rng.normal(size=(rows, classes)) + 2.5 * np.eye(classes)[truth] - 50.0
    scores[:, :seen] += shift
    ids = names(classes)
    return HeldOut(ids, ids[:seen], scores, labels=tuple(ids[i] for i in truth))


def random_tree(rng: np.random.Generator, nodes: int) -> list[tuple[int, int]]:
    """Edges child → parent; node 0 is the root."""
    return [(child, int(rng.integers(child))) for child in range(1, nodes)]


def tree_views(rng: np.random.Generator, nodes: int) -> tuple[View, View, list[tuple[int, int]]]:
    edges = random_tree(rng, nodes)
    graph = graph_of(nodes, edges)
    return directed(graph), undirected(graph, self_loops=False, norm=None), edges
