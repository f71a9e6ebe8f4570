"""Kernels between nodes: text, neighbours' and ancestors' text, descriptions, shared ancestors, the graph's Laplacian.

No kernel is ever formed between all nodes: rows are made for the nodes asked for, columns for the seen classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import splu

#: Kernel name → the base similarities whose product it is.
KERNELS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "neighbour_text": ("neighbour_text",),
    "ancestor_text": ("ancestor_text",),
    "shared_ancestors": ("shared_ancestors",),
    "text_and_ancestors": ("text", "shared_ancestors"),
    "laplacian": ("laplacian",),
    "descriptions": ("descriptions",),
}
#: Weight of an ancestor's text falls by this factor per hypernym step.
ANCESTOR_DECAY = 0.7
#: ε of the regularised Laplacian (L + εI)⁻¹.
LAPLACIAN_EPSILON = 0.1
#: Columns of the Laplacian kernel that are solved for at once.
SOLVE_BLOCK = 64


class NodeKernels:
    """Base similarities of nodes with the seen classes.

    Parameters
    ----------
    parents : hypernym edges, row = child, column = parent, 0/1, `[nodes, nodes]`.
    blocks : semantic vectors by kind of text, each `[nodes, dim]` (see `kgzsl.vectors.blocks`): `text`, and `descriptions`
        for the kernel of that name. A row of zeros says nothing: it is equally far from every class.
    seen : positions of the seen classes, `[seen]`.
    names : the kernels that will be asked for; only what they need is computed.
    """

    def __init__(self, parents: sp.csr_matrix, blocks: Mapping[str, np.ndarray], seen: np.ndarray, names: Sequence[str]) -> None:
        needed = {base for name in names for base in KERNELS[name]}
        self.seen = seen
        self.steps = _steps_up(parents)
        closure = _sum(self.steps)
        #: Number of descendants, the node itself included, `[nodes]`.
        self.size = np.asarray(closure.sum(axis=0)).ravel()
        self._dense = {name: _centred(matrix, seen) for name, matrix in self._texts(parents, blocks, needed).items()}
        self._ancestors = _information(closure, self.size) if "shared_ancestors" in needed else None
        self._laplacian = _laplacian_columns(parents, seen) if "laplacian" in needed else None

    def _texts(self, parents: sp.csr_matrix, blocks: Mapping[str, np.ndarray], needed: set[str]) -> dict[str, np.ndarray]:
        unit = _unit(blocks["text"])
        texts = {"text": unit} if "text" in needed else {}
        if "descriptions" in needed:
            texts["descriptions"] = _inherit(_unit(blocks["descriptions"]), self.steps)
        if "neighbour_text" in needed:
            nearby = parents + parents.T + sp.identity(parents.shape[0], dtype=np.float32, format="csr")
            texts["neighbour_text"] = _unit(_row_mean(nearby) @ unit)
        if "ancestor_text" in needed:
            decayed = _sum([step * ANCESTOR_DECAY**k for k, step in enumerate(self.steps)])
            texts["ancestor_text"] = _unit(_row_mean(decayed) @ unit)
        return texts

    def similarities(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return each base similarity of the nodes at `rows` with the seen classes, `[rows, seen]`.

        Cosines of centred texts in −1…1, shared ancestors in 0…1, the Laplacian kernel at mean 1 on the seen diagonal.
        """
        found = {name: torch.from_numpy(matrix[rows] @ matrix[self.seen].T) for name, matrix in self._dense.items()}
        if self._ancestors is not None:
            found["shared_ancestors"] = torch.from_numpy((self._ancestors[rows] @ self._ancestors[self.seen].T).toarray())
        if self._laplacian is not None:
            found["laplacian"] = torch.from_numpy(self._laplacian[rows])
        return found


def combine(
    similarities: dict[str, torch.Tensor], names: Sequence[str], log_weights: torch.Tensor, log_scales: torch.Tensor
) -> torch.Tensor:
    """Return `Σₘ wₘ kₘ`, `[rows, seen]`: `k = Πⱼ exp(−gₘⱼ (1 − sⱼ))`, and the Laplacian as it is.

    Parameters
    ----------
    log_weights : log w, `[kernels]`.
    log_scales : log g, `[kernels, 2]`; a kernel of one base similarity uses the first.
    """
    total = torch.zeros(())
    for m, name in enumerate(names):
        if name == "laplacian":
            kernel = similarities["laplacian"]
        else:
            exponent = torch.zeros(())
            for j, base in enumerate(KERNELS[name]):
                exponent = exponent - log_scales[m, j].exp() * (1 - similarities[base])
            kernel = exponent.exp()
        total = total + log_weights[m].exp() * kernel
    return total


def _steps_up(parents: sp.csr_matrix) -> list[sp.csr_matrix]:
    """0/1 matrices of the ancestors at shortest distance 0, 1, 2, …; ends on cycles too."""
    one = sp.csr_matrix((np.ones_like(parents.data, dtype=np.float32), parents.indices, parents.indptr), shape=parents.shape)
    steps = [sp.identity(parents.shape[0], dtype=np.float32, format="csr")]
    reached = steps[0]
    while True:
        step = sp.csr_matrix(steps[-1] @ one)
        step.data[:] = 1.0
        step = sp.csr_matrix(step - step.multiply(reached))
        step.eliminate_zeros()
        if step.nnz == 0:
            return steps
        steps.append(step)
        reached = reached + step


def _sum(matrices: Sequence[sp.csr_matrix]) -> sp.csr_matrix:
    total = matrices[0]
    for matrix in matrices[1:]:
        total = total + matrix
    return sp.csr_matrix(total)


def _row_mean(matrix: sp.csr_matrix) -> sp.csr_matrix:
    return sp.csr_matrix(sp.diags(1.0 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix, dtype=np.float32)


def _unit(matrix: np.ndarray) -> np.ndarray:
    """Rows at L2 norm 1; a row of zeros (a node without a vector, by its policy's choice) stays zero."""
    return (matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _centred(matrix: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Take the seen classes' mean text away, which says nothing about which class a text means; no text stays no text."""
    known = np.asarray(matrix.any(axis=1))
    those = matrix[seen[known[seen]]]
    return _unit((matrix - those.mean(axis=0)) * known[:, None]) if len(those) else matrix


def _inherit(descriptions: np.ndarray, steps: Sequence[sp.csr_matrix]) -> np.ndarray:
    """What is said of a class holds for its kinds: a node without a description takes those above it, near ones counting more.

    A node with none above it takes the mean of those below it; one with neither keeps its zeros.
    """
    filled = descriptions.copy()
    decayed = _sum([step * ANCESTOR_DECAY**k for k, step in enumerate(steps)])
    for reach in (decayed, sp.csr_matrix(decayed.T)):
        empty = ~filled.any(axis=1)
        filled[empty] = _unit(reach[empty] @ descriptions)
    return filled


def _information(closure: sp.csr_matrix, size: np.ndarray) -> sp.csr_matrix:
    """Ancestors weighted so that a shared one counts size^−½: rare ancestors say more (in the spirit of Resnik, 1995)."""
    weighted = sp.csr_matrix(closure @ sp.diags(size**-0.25), dtype=np.float32)
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags(1.0 / norms) @ weighted, dtype=np.float32)


def _laplacian_columns(parents: sp.csr_matrix, seen: np.ndarray) -> np.ndarray:
    """Columns of (L + εI)⁻¹ for the seen classes, `[nodes, seen]`, L the symmetric normalised Laplacian.

    Regularised Laplacian kernel (Smola and Kondor, 2003) through one sparse factorisation.
    """
    adjacency = sp.csr_matrix(parents + parents.T, dtype=np.float64)
    adjacency.data[:] = 1.0
    roots = sp.diags(1.0 / np.sqrt(np.maximum(np.asarray(adjacency.sum(axis=1)).ravel(), 1.0)))
    nodes = adjacency.shape[0]
    system = (1.0 + LAPLACIAN_EPSILON) * sp.identity(nodes) - roots @ adjacency @ roots
    factors = splu(sp.csc_matrix(system), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    columns = np.empty((nodes, len(seen)), dtype=np.float32)
    for start in range(0, len(seen), SOLVE_BLOCK):
        block = seen[start : start + SOLVE_BLOCK]
        right = np.zeros((nodes, len(block)))
        right[block, np.arange(len(block))] = 1.0
        columns[:, start : start + SOLVE_BLOCK] = factors.solve(right)
    return columns / columns[seen, np.arange(len(seen))].mean()
