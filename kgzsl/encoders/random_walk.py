"""Random-walk embeddings in closed form: NetMF, the matrix that DeepWalk factorises (Qiu et al., 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import eigsh

from kgzsl.encoders.unsupervised import UnsupervisedEncoder
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import Vectors
from kgzsl.progress import track

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View

#: Nodes whose walks are followed at once: few enough for the processor's cache.
BLOCK = 64


class RandomWalk(UnsupervisedEncoder):
    """DeepWalk's embeddings without walks: the truncated logarithm of its co-occurrences, factorised.

    With walks of any length over a graph `A` of volume `vol`, DeepWalk with window `T` and `b` negatives factorises
    `log(vol/(bT) · (Σ_{r=1..T} (D⁻¹A)^r) D⁻¹)`. Its values below 1 are truncated to 1 (logarithm 0), so what is left is sparse and
    symmetric; of its `dim` eigenpairs largest in size, `U √|Λ|` are the embeddings. Nodes without edges are at the origin. Leaves
    below the same parent have the same walks and so the same embedding: no text is read.

    Parameters
    ----------
    dim : columns of the embeddings.
    window : T, the farthest node that counts as context.
    negatives : b of the skip-gram objective.
    relations : whose edges are walked, both ways; None takes all of the graph.
    seed : draws the first vector of the Lanczos iteration; nothing else is random.
    device : accepted as elsewhere; the factorisation runs on the processor.
    """

    name = "random_walk"
    source = "Qiu et al., Network Embedding as Matrix Factorization: Unifying DeepWalk, LINE, PTE, and node2vec, WSDM 2018, eq. 8"

    def __init__(
        self,
        *,
        dim: int = 128,
        window: int = 10,
        negatives: int = 1,
        relations: Sequence[str] | None = None,
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        super().__init__(seed=seed, device=device)
        if dim < 1 or window < 1 or negatives < 1:
            raise InvalidInputError("dim, window and negatives are at least 1", received=f"{dim}, {window}, {negatives}")
        self.dim, self.window, self.negatives = dim, window, negatives
        self.relations = None if relations is None else list(relations)

    def settings(self) -> dict[str, Any]:
        own = {"dim": self.dim, "window": self.window, "negatives": self.negatives, "relations": self.relations}
        return {**own, **super().settings()}

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import undirected

        names = self.relations if self.relations is not None else [r.id for r in graph.relations]
        return undirected(graph, names, self_loops=False, norm=None)

    def _train(self, view: View, vectors: Vectors) -> np.ndarray:
        n = len(view.ids)
        if self.dim >= n:
            raise InvalidInputError("dim is less than the number of nodes", received=f"{self.dim} of {n:,}", remedy="lower `dim`")
        matrix = log_cooccurrence(view.adjacency[0], self.window, self.negatives)
        start = np.random.default_rng(self.seed).standard_normal(n)
        values, basis = eigsh(matrix, k=self.dim, which="LM", v0=start)
        return np.asarray(basis * np.sqrt(np.abs(values)), dtype=np.float32)


def log_cooccurrence(adjacency: sp.csr_matrix, window: int = 10, negatives: int = 1) -> sp.csr_matrix:
    """Return `log max(1, vol/(bT) (Σ_r (D⁻¹A)^r) D⁻¹)`, float64 `[nodes, nodes]`, symmetric and sparse.

    Exact: walks start from a block of nodes at a time and are followed with dense rows.

    Parameters
    ----------
    adjacency : symmetric weights of edges, `[nodes, nodes]`.
    """
    adjacency = sp.csr_matrix(adjacency, dtype=np.float64)
    adjacency.sum_duplicates()
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    inverse = np.divide(1.0, degree, out=np.zeros_like(degree), where=degree > 0)
    step = sp.csr_matrix(sp.diags(inverse) @ adjacency, dtype=np.float32)
    back = sp.csr_matrix(step.T)
    factor = (degree.sum() / (negatives * window) * inverse).astype(np.float32)
    blocks = []
    for start in track(range(0, len(degree), BLOCK), "random_walk: co-occurrence"):
        here = np.ascontiguousarray(step[start : start + BLOCK].T.toarray())
        total = here.copy()
        for _ in range(window - 1):
            here = back @ here
            total += here
        total *= factor[:, None]
        total[total <= 1.0] = 1.0
        blocks.append(sp.csr_matrix(np.log(total.T)))
    matrix = sp.vstack(blocks, format="csr", dtype=np.float64)
    return sp.csr_matrix((matrix + matrix.T) / 2)  # rounding alone makes it unsymmetric
