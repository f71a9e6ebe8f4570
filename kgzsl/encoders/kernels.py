"""Kernels between nodes: texts, shared ancestors and descendants, information content, and the graph's Laplacian.

By name, besides those of `KERNELS`, kernels of one relation of the graph, `any` being all its relations together:

* `laplacian:RELATION` — the regularised Laplacian of its edges, read both ways (see `laplacian.py`); and
* `profile:RELATION` — what a node is joined to by it, in either direction and with its ancestors' edges, as a cosine:
  a rare neighbour in common says more. With `has_attribute` this is the kernel of attributes.

All are positive semidefinite. No kernel is ever formed between all nodes: rows are made for the nodes asked for, columns
for the seen classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.encoders.laplacian import Laplacian
from kgzsl.errors import IncompatibleError

#: Kernel name → the base similarities whose product it is: those taken unless others are named.
KERNELS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "neighbour_text": ("neighbour_text",),
    "ancestor_text": ("ancestor_text",),
    "shared_ancestors": ("shared_ancestors",),
    "text_and_ancestors": ("text", "shared_ancestors"),
    "laplacian": ("laplacian",),
    "descriptions": ("descriptions",),
}
#: Taken by name only.
FURTHER: dict[str, tuple[str, ...]] = {
    "lin": ("lin",),
    "shared_descendants": ("shared_descendants",),
    "descriptions_and_ancestors": ("descriptions", "shared_ancestors"),
}
#: Kernels of one relation, named `KIND:RELATION`; the relation `any` is all of them together.
OF_RELATION = ("laplacian", "profile")
#: Weight of an ancestor's text falls by this factor per hypernym step.
ANCESTOR_DECAY = 0.7


def bases(kernel: str) -> tuple[str, ...]:
    """Return the base similarities of a kernel; KeyError where no kernel has this name."""
    kind, _, relation = kernel.partition(":")
    return (kernel,) if relation and kind in OF_RELATION else {**KERNELS, **FURTHER}[kernel]


def relation_of(kernel: str) -> str | None:
    """Return the relation that a kernel is of, None for those on texts and hypernyms."""
    return kernel.partition(":")[2] or None


class NodeKernels:
    """Base similarities of nodes with the seen classes.

    Parameters
    ----------
    parents : hypernym edges, row = child, column = parent, 0/1, `[nodes, nodes]`.
    blocks : semantic vectors by kind of text, each `[nodes, dim]` (see `kgzsl.vectors.blocks`): `text`, and `descriptions`
        for the kernels of that name. A row of zeros says nothing: it is equally far from every class.
    seen : positions of the seen classes, `[seen]`.
    names : the kernels that will be asked for; only what they need is computed.
    relations : edges of each relation that a kernel is of, as stated, `[nodes, nodes]`.
    rows : positions of all nodes that will be asked for; None keeps what every node needs. With it memory grows with the
        rows, not with the graph.
    """

    def __init__(
        self,
        parents: sp.csr_matrix,
        blocks: Mapping[str, np.ndarray],
        seen: np.ndarray,
        names: Sequence[str],
        relations: Mapping[str, sp.csr_matrix] | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        needed = {base for name in names for base in bases(name)}
        self.seen = seen
        self.steps = _steps_up(parents)
        closure = _sum(self.steps)
        #: Number of descendants, the node itself included, `[nodes]`.
        self.size = np.asarray(closure.sum(axis=0)).ravel()
        decayed = _sum([step * ANCESTOR_DECAY**k for k, step in enumerate(self.steps)])
        self._texts = {name: _CentredText(*made, seen) for name, made in self._made_texts(parents, decayed, blocks, needed).items()}
        self._features = self._made_features(parents, closure, decayed, needed, relations or {})
        self._laplacians = {name: _laplacian(name, parents, relations or {}) for name in needed if name.startswith("laplacian")}
        self._asked = np.arange(parents.shape[0]) if rows is None else np.union1d(rows, seen)
        self._columns: dict[str, np.ndarray] = {}
        self._unit: dict[str, np.ndarray] = {}
        at = np.searchsorted(self._asked, seen)
        for name, laplacian in self._laplacians.items():
            columns = laplacian.columns(seen, self._asked)
            self._unit[name] = columns[at, np.arange(len(seen))].mean()
            self._columns[name] = columns / self._unit[name]

    def _made_texts(
        self, parents: sp.csr_matrix, decayed: sp.csr_matrix, blocks: Mapping[str, np.ndarray], needed: set[str]
    ) -> dict[str, tuple[np.ndarray, sp.csr_matrix | None]]:
        """Per text the unit vectors and what averages them (None: nothing does)."""
        unit = _unit(blocks["text"])
        texts: dict[str, tuple[np.ndarray, sp.csr_matrix | None]] = {"text": (unit, None)} if "text" in needed else {}
        if "descriptions" in needed:
            texts["descriptions"] = (_inherit(_unit(blocks["descriptions"]), self.steps), None)
        if "neighbour_text" in needed:
            nearby = parents + parents.T + sp.identity(parents.shape[0], dtype=np.float32, format="csr")
            texts["neighbour_text"] = (unit, _row_mean(nearby))
        if "ancestor_text" in needed:
            texts["ancestor_text"] = (unit, _row_mean(decayed))
        return texts

    def _made_features(
        self,
        parents: sp.csr_matrix,
        closure: sp.csr_matrix,
        decayed: sp.csr_matrix,
        needed: set[str],
        relations: Mapping[str, sp.csr_matrix],
    ) -> dict[str, sp.csr_matrix]:
        """Sparse rows of length 1 (or of zeros), whose inner products are the similarities."""
        found = {}
        if "shared_ancestors" in needed:
            found["shared_ancestors"] = _information(closure, self.size)
        if "shared_descendants" in needed:
            found["shared_descendants"] = _unit_sparse(sp.csr_matrix(closure.T))
        if "lin" in needed:
            found["lin"] = _unit_sparse(sp.csr_matrix(closure @ sp.diags(np.sqrt(_gains(parents, self.size)))))
        for name in sorted(needed):
            if name.startswith("profile:"):
                found[name] = _profiles(relations[name.partition(":")[2]], decayed)
        return found

    def similarities(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return each base similarity of the nodes at `rows` with the seen classes, `[rows, seen]`.

        Cosines of centred texts in −1…1, of ancestors, descendants and profiles in 0…1, Laplacians at mean 1 on the seen diagonal.
        """
        found = {name: torch.from_numpy(text.similarities(rows)) for name, text in self._texts.items()}
        for name, matrix in self._features.items():
            found[name] = torch.from_numpy((matrix[rows] @ matrix[self.seen].T).toarray())
        for name, columns in self._columns.items():
            found[name] = torch.from_numpy(columns[np.searchsorted(self._asked, rows)])
        return found

    def solved(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return the same for any nodes, asked for before or not: a Laplacian takes one solve per node."""
        found = {name: torch.from_numpy(text.similarities(rows)) for name, text in self._texts.items()}
        for name, matrix in self._features.items():
            found[name] = torch.from_numpy((matrix[rows] @ self._seen_features[name]).toarray())
        for name, laplacian in self._laplacians.items():
            found[name] = torch.from_numpy(laplacian.columns(rows, self.seen).T / self._unit[name])
        return found

    @cached_property
    def _seen_features(self) -> dict[str, sp.csr_matrix]:
        """The seen classes' sparse rows as columns, `[entries, seen]`: made once for classes that come one at a time."""
        return {name: sp.csr_matrix(matrix[self.seen].T) for name, matrix in self._features.items()}

    def leaf(self, parent: int, text: np.ndarray) -> dict[str, torch.Tensor]:
        """Return the base similarities of a node more with the seen classes, `[1, seen]`: a kind of `parent` with a text of its own.

        The sizes of what stands above it are those of the graph as it is, without the new node.

        Parameters
        ----------
        parent : place of the node that it is a kind of.
        text : vector of its text, `[dim]`.

        Raises
        ------
        IncompatibleError : a kernel that a node outside the graph has no part in.
        """
        found = {name: torch.from_numpy(made.leaf(name, parent, _unit(text[None]))) for name, made in self._texts.items()}
        for name, matrix in self._features.items():
            if name != "shared_ancestors" and not name.startswith("profile:"):
                raise IncompatibleError(
                    "classes are added below a node by kernels of texts, ancestors, profiles and Laplacians", received=f"`{name}`"
                )
            shared = (matrix[[parent]] @ self._seen_features[name]).toarray()
            if name == "shared_ancestors":
                # the parent's ancestors and the new node itself, which nothing shares: its row is longer by that entry of 1
                length = float(self.size[parent]) ** -0.25 / float(matrix[parent, parent])
                shared *= length / np.sqrt(1.0 + length**2)
            found[name] = torch.from_numpy(shared.astype(np.float32))
        for name, laplacian in self._laplacians.items():
            own = laplacian.leaf(parent, self.seen) if name == "laplacian" else np.zeros(len(self.seen), dtype=np.float32)
            found[name] = torch.from_numpy((own / self._unit[name])[None].astype(np.float32))
        return found

    def own(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Return each base similarity of the nodes at `rows` with themselves, `[rows, 1]`: 1, or 0 where nothing is known.

        A Laplacian takes one solve per node.
        """
        found = {name: text.known(rows) for name, text in self._texts.items()}
        found |= {name: np.diff(matrix.indptr)[rows] > 0 for name, matrix in self._features.items()}
        found |= {name: laplacian.diagonal(rows) / self._unit[name] for name, laplacian in self._laplacians.items()}
        return {name: torch.from_numpy(np.asarray(value, dtype=np.float32)[:, None]) for name, value in found.items()}


class _CentredText:
    """Unit vectors, averaged by `operator`, less the seen classes' mean: it says nothing about which class a text means.

    Made for the rows asked for; no text stays no text.
    """

    def __init__(self, unit: np.ndarray, operator: sp.csr_matrix | None, seen: np.ndarray) -> None:
        self._unit, self._operator = unit, operator
        own = self._averaged(seen)
        known = np.asarray(own.any(axis=1))
        self._mean = own[known].mean(axis=0) if known.any() else None
        self._seen = self._centred(own)

    def similarities(self, rows: np.ndarray) -> np.ndarray:
        return self._centred(self._averaged(rows)) @ self._seen.T

    def known(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._centred(self._averaged(rows)).any(axis=1))

    def leaf(self, name: str, parent: int, own: np.ndarray) -> np.ndarray:
        """Similarities `[1, seen]` of one node more below `parent`, whose own unit text is `own` `[1, dim]`."""
        if name == "text":
            averaged = own
        elif name == "descriptions":  # it takes those above it
            averaged = self._unit[[parent]]
        elif name == "neighbour_text":
            averaged = _unit(own + self._unit[[parent]])
        else:
            assert self._operator is not None
            # the operator divides by the parent's sum of weights, of which its own is 1
            above = (self._operator[[parent]] @ self._unit) / float(self._operator[parent, parent])
            averaged = _unit(own + ANCESTOR_DECAY * above)
        return self._centred(averaged) @ self._seen.T

    def _averaged(self, rows: np.ndarray) -> np.ndarray:
        return self._unit[rows] if self._operator is None else _unit(self._operator[rows] @ self._unit)

    def _centred(self, texts: np.ndarray) -> np.ndarray:
        known = np.asarray(texts.any(axis=1))
        return texts if self._mean is None else _unit((texts - self._mean) * known[:, None])


def combine(
    similarities: dict[str, torch.Tensor], names: Sequence[str], log_weights: torch.Tensor, log_scales: torch.Tensor
) -> torch.Tensor:
    """Return `Σₘ wₘ kₘ`, `[rows, seen]`: `k = Πⱼ exp(−gₘⱼ (1 − sⱼ))`, and Laplacians as they are.

    Parameters
    ----------
    log_weights : log w, `[kernels]`.
    log_scales : log g, `[kernels, 2]`; a kernel of one base similarity uses the first.
    """
    total = torch.zeros(())
    for m, name in enumerate(names):
        if name.startswith("laplacian"):
            kernel = similarities[name]
        else:
            exponent = torch.zeros(())
            for j, base in enumerate(bases(name)):
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


def _unit_sparse(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Rows at L2 norm 1; empty rows stay empty."""
    matrix = sp.csr_matrix(matrix, dtype=np.float32)
    matrix.eliminate_zeros()
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags(1.0 / np.maximum(norms, 1e-12)) @ matrix, dtype=np.float32)


def _gains(parents: sp.csr_matrix, size: np.ndarray) -> np.ndarray:
    """Information content that every node adds to its parents', `[nodes]`, never negative.

    With IC(a) = −log(size(a) / nodes), the gains of the common ancestors of two nodes of a tree add up to the IC of the lowest
    one: their similarity by Resnik (1995). Divided by the geometric mean of the nodes' own, it is that of Lin (1998) but
    for its arithmetic mean, and positive semidefinite. A node with several parents adds to the most informative one.
    """
    content = np.log(len(size) / size)
    above = sp.csr_matrix((content[parents.indices], parents.indices, parents.indptr), shape=parents.shape)
    return np.maximum(content - above.max(axis=1).toarray().ravel(), 0.0)


def _laplacian(name: str, parents: sp.csr_matrix, relations: Mapping[str, sp.csr_matrix]) -> Laplacian:
    """Hierarchies are factorised whatever their size; other relations as their number of edges allows."""
    relation = relation_of(name)
    return Laplacian(parents, factorise=True) if relation is None else Laplacian(relations[relation])


def _profiles(edges: sp.csr_matrix, decayed: sp.csr_matrix) -> sp.csr_matrix:
    """What nodes are joined to, out and in, and their ancestors (near ones counting more), rare neighbours weighing more."""
    joined = sp.csr_matrix(sp.hstack([edges, edges.T]), dtype=np.float32)
    degree = np.maximum(np.asarray((joined != 0).sum(axis=0)).ravel(), 1)
    return _unit_sparse(sp.csr_matrix(decayed @ joined @ sp.diags(degree**-0.5)))
