"""Nodes that are one: connected components of synonym edges, and who stands for each."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def representatives(nodes: int, one: np.ndarray, two: np.ndarray, degree: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return who stands for every node, int64 `[nodes]`; a node without synonyms stands for itself.

    A component is one node: that of the highest degree, of equal ones the first. Where a component holds classes they stay
    apart, since synonyms of synonyms soon mean something else: a node goes to the class nearest along synonyms, of two
    equally near ones to the first.

    Parameters
    ----------
    nodes : how many there are, in the order of their ids.
    one, two : the synonym edges, `[edges]`.
    degree : how many edges of any kind a node has, `[nodes]`.
    classes : which nodes may not be merged with each other, bool `[nodes]`.
    """
    stands = np.full(nodes, nodes, dtype=np.int64)
    stands[classes] = np.flatnonzero(classes)
    origin, target = np.concatenate([one, two]), np.concatenate([two, one])
    frontier = classes
    while frontier.any():
        step = frontier[origin] & (stands[target] == nodes)
        found, owner = target[step], stands[origin[step]]
        np.minimum.at(stands, found, owner)
        frontier = np.zeros(nodes, dtype=bool)
        frontier[found] = True
    edges = coo_array((np.ones(len(one), dtype=np.int8), (one, two)), shape=(nodes, nodes))
    component = connected_components(edges, directed=False)[1]
    order = np.lexsort((np.arange(nodes), -degree, component))
    first = order[np.unique(component[order], return_index=True)[1]]
    return np.where(stands < nodes, stands, first[component])
