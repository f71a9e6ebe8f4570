"""The regularised Laplacian kernel (L + εI)⁻¹ (Smola and Kondor, 2003): columns and diagonal, never the whole matrix.

L is the symmetric normalised Laplacian of a graph read both ways. A sparse factorisation of a forest-like graph (a
hierarchy) has hardly more entries than the graph. Of a small world (ConceptNet) it fills up; there Chebyshev's iteration
solves to `TOLERANCE` with nothing but sparse products, since the spectrum of L + εI is known: it lies in ε … 2 + ε.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

#: ε of the regularised Laplacian (L + εI)⁻¹.
LAPLACIAN_EPSILON = 0.1
#: Columns that are solved for at once.
SOLVE_BLOCK = 64
#: Edges per node, read both ways, above which the system is iterated rather than factorised.
DENSE_DEGREE = 3.0
#: Error of the iteration, relative to the right-hand side.
TOLERANCE = 1e-6


class Laplacian:
    """Solves with L + εI over the nodes that have an edge; the kernel of a node without edges is 1 / (1 + ε) with itself.

    Parameters
    ----------
    edges : any nonzero entry is an edge, whatever its direction and weight, `[nodes, nodes]`.
    factorise : None decides by the number of edges per node.
    """

    def __init__(self, edges: sp.csr_matrix, *, factorise: bool | None = None) -> None:
        both = sp.csr_matrix(edges + edges.T, dtype=np.float64)
        both.data[:] = 1.0
        self.nodes = both.shape[0]
        self._members = np.flatnonzero(np.diff(both.indptr))
        #: Where a node stands among those with an edge, −1 for the others.
        self._place = np.full(self.nodes, -1)
        self._place[self._members] = np.arange(len(self._members))
        among = both[self._members][:, self._members]
        self._degrees = np.maximum(np.asarray(among.sum(axis=1)).ravel(), 1.0)
        roots = sp.diags(1.0 / np.sqrt(self._degrees))
        system = (1.0 + LAPLACIAN_EPSILON) * sp.identity(len(self._members)) - roots @ among @ roots
        self.factorised = among.nnz <= DENSE_DEGREE * len(self._members) if factorise is None else factorise
        self._system = sp.csr_matrix(system)
        options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        self._factors = splu(sp.csc_matrix(system), **options) if self.factorised and len(self._members) else None

    def columns(self, of: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the kernel of the nodes at `rows` with those at `of`, float32 `[rows, of]`."""
        found = np.zeros((len(rows), len(of)), dtype=np.float32)
        inside = np.flatnonzero(self._place[rows] >= 0)
        with_edges = np.flatnonzero(self._place[of] >= 0)
        for start in range(0, len(with_edges), SOLVE_BLOCK):
            block = with_edges[start : start + SOLVE_BLOCK]
            found[inside[:, None], block] = self._solve(self._place[of[block]])[self._place[rows[inside]]]
        lone = np.flatnonzero(self._place[of] < 0)
        at, which = np.nonzero(rows[:, None] == of[lone])
        found[at, lone[which]] = 1.0 / (1.0 + LAPLACIAN_EPSILON)
        return found

    def leaf(self, parent: int, of: np.ndarray) -> np.ndarray:
        """Return the kernel of one node more, joined to `parent` alone, with the nodes at `of`, float32 `[of]`.

        With B = (1 + ε)D − A and c = (1 + ε) − 1 / (1 + ε), the new edge adds c to B at the parent once the new node is eliminated, so
        by Sherman and Morrison one solve at the parent is enough: exact, the parent's greater degree included.
        """
        one = 1.0 + LAPLACIAN_EPSILON
        place = int(self._place[parent])
        if place < 0:  # two nodes by themselves
            return np.where(of == parent, 1.0 / (one * one - 1.0), 0.0).astype(np.float32)
        column = self._solve(np.array([place]))[:, 0]
        degree = float(self._degrees[place])
        found = np.where(self._place[of] >= 0, column[self._place[of]], 0.0)
        found = found / (one * math.sqrt(degree) * (1.0 + (one - 1.0 / one) * column[place] / degree))
        return np.where(of == parent, found * math.sqrt((degree + 1.0) / degree), found).astype(np.float32)

    def diagonal(self, rows: np.ndarray) -> np.ndarray:
        """Return the kernel of each node at `rows` with itself, float32 `[rows]`; one solve per node."""
        found = np.full(len(rows), 1.0 / (1.0 + LAPLACIAN_EPSILON), dtype=np.float32)
        inside = np.flatnonzero(self._place[rows] >= 0)
        for start in range(0, len(inside), SOLVE_BLOCK):
            block = inside[start : start + SOLVE_BLOCK]
            place = self._place[rows[block]]
            found[block] = self._solve(place)[place, np.arange(len(place))]
        return found

    def _solve(self, place: np.ndarray) -> np.ndarray:
        """Columns of the inverse, float64 `[nodes with an edge, place]`."""
        right = np.zeros((len(self._members), len(place)))
        right[place, np.arange(len(place))] = 1.0
        return self._factors.solve(right) if self._factors is not None else _chebyshev(self._system, right)


def _chebyshev(system: sp.csr_matrix, right: np.ndarray) -> np.ndarray:
    """Solve with a symmetric matrix whose eigenvalues lie in ε … 2 + ε (Golub and Varga, 1961)."""
    centre = 1.0 + LAPLACIAN_EPSILON  # of the spectrum, whose half width is 1
    steps = math.ceil(math.log(2.0 / (TOLERANCE * LAPLACIAN_EPSILON)) / math.acosh(centre))
    solution, residual, rho = np.zeros_like(right), right.copy(), 1.0 / centre
    step = residual / centre
    for _ in range(steps):
        solution += step
        residual -= system @ step
        following = 1.0 / (2.0 * centre - rho)
        step = following * rho * step + 2.0 * following * residual
        rho = following
    return solution
