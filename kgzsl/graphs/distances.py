"""Distances between classes along a graph's edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.sparse import csgraph

from kgzsl.errors import InvalidInputError, first_five
from kgzsl.graphs.hierarchy import single_adjacency
from kgzsl.graphs.views import View
from kgzsl.ids import check_unique, positions

#: Sources of one call to SciPy, so that the distances to all nodes of the graph never stand in memory at once.
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances from every candidate to every observed class.

    Attributes
    ----------
    candidates : ids of the rows, `[candidates]`; classes nobody has observed may be among them.
    observed : ids of the columns, `[observed]`.
    matrix : float32 `[candidates, observed]`, finite, ≥ 0.

    Raises
    ------
    InvalidInputError : shapes disagree, an id repeats, or a distance is negative, infinite or NaN.
    """

    candidates: tuple[str, ...]
    observed: tuple[str, ...]
    matrix: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", tuple(self.candidates))
        object.__setattr__(self, "observed", tuple(self.observed))
        object.__setattr__(self, "matrix", np.ascontiguousarray(self.matrix, dtype=np.float32))
        check_unique(self.candidates, "the candidates of distances")
        check_unique(self.observed, "the observed classes of distances")
        if self.matrix.shape != (len(self.candidates), len(self.observed)):
            raise InvalidInputError(
                "distances are [candidates, observed]",
                received=f"{self.matrix.shape} for {len(self.candidates):,} and {len(self.observed):,} ids",
            )
        bad = ~(np.isfinite(self.matrix) & (self.matrix >= 0)).all(axis=1)
        if bad.any():
            raise InvalidInputError(
                "a distance is a number ≥ 0 between every candidate and every observed class",
                received=f"none for {int(bad.sum()):,} candidates: {first_five(self.candidates[i] for i in np.flatnonzero(bad))}",
                remedy="leave out classes without a path, or connect them: graphs.rooted(directed(graph))",
            )

    @cached_property
    def diameter(self) -> float:
        """The largest distance."""
        return float(self.matrix.max())

    def between(self, candidates: Sequence[str], observed: Sequence[str]) -> np.ndarray:
        """Return the distance of each pair, float64 `[pairs]`; unknown ids raise UnknownNameError."""
        if len(candidates) != len(observed):
            raise InvalidInputError("pairs have two sides of one length", received=f"{len(candidates):,} and {len(observed):,}")
        rows, columns = positions(candidates, self.candidates, "the candidates"), positions(observed, self.observed, "the observed classes")
        return self.matrix[rows, columns].astype(np.float64)


def shortest_paths(
    view: View, observed: Sequence[str], candidates: Sequence[str] | None = None, *, lengths: Literal["hops", "weights"] = "hops"
) -> Distances:
    """Return the length of the shortest path, edges read both ways, from every candidate to every observed class.

    Parameters
    ----------
    view : of one adjacency matrix.
    candidates : None takes the observed classes; others may be any nodes of the view.
    lengths : an edge counts 1 (`hops`), or its weight as its length (`weights`).

    Raises
    ------
    UnknownNameError : an id is not a node of the view.
    InvalidInputError : the view has several matrices, or a pair has no path.
    """
    adjacency = single_adjacency(view)
    if lengths not in ("hops", "weights"):
        raise InvalidInputError("lengths are hops or weights", received=repr(lengths))
    wanted = observed if candidates is None else candidates
    sources, targets = positions(observed, view.ids, "the view"), positions(wanted, view.ids, "the view")
    matrix = np.empty((len(targets), len(sources)), dtype=np.float32)
    for start in range(0, len(sources), _BLOCK):
        block = slice(start, start + _BLOCK)
        found = csgraph.dijkstra(adjacency, directed=False, indices=sources[block], unweighted=lengths == "hops")
        matrix[:, block] = found[:, targets].T
    return Distances(tuple(wanted), tuple(observed), matrix)
