"""Triples of a view, and corrupted ones: what link models learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View

#: Nodes drawn per corrupted triple, of which the first one that makes no true triple is taken.
DRAWS = 4
HEAD, TAIL = 0, 2


def stated_view(graph: KnowledgeGraph, relations: Sequence[str] | None = None) -> View:
    """Return one 0/1 matrix per relation, as its edges are stated: row = subject, column = object.

    Parameters
    ----------
    relations : None takes all of the graph.

    Raises
    ------
    UnknownNameError : the graph has no such relation.
    InvalidInputError : none is left.
    """
    from kgzsl.graphs.views import View, directed

    names = list(dict.fromkeys(relations)) if relations is not None else [r.id for r in graph.relations]
    if not names:
        raise InvalidInputError("triples have at least one relation", received="none")
    adjacency = tuple(directed(graph, name).adjacency[0] for name in names)
    return View(graph.ids, adjacency, f"stated({'+'.join(names)})", graph.digest)


class Triples:
    """The triples (subject, relation, object) of a view, as positions on a device.

    Attributes
    ----------
    all : int64 `[triples, 3]`, in one order whatever the matrices' layout.
    nodes, relations : how many there are.
    """

    def __init__(self, triples: np.ndarray, nodes: int, relations: int, device: torch.device) -> None:
        if not len(triples):
            raise InvalidInputError("triples are learned from at least one edge", received="a view without edges")
        self.nodes, self.relations = nodes, relations
        keys = np.unique((triples[:, 0] * relations + triples[:, 1]) * nodes + triples[:, 2])
        first, tail = np.divmod(keys, nodes)
        self._keys = torch.from_numpy(keys).to(device)
        self.all = torch.from_numpy(np.stack([first // relations, first % relations, tail], axis=1)).to(device)

    @classmethod
    def of(cls, view: View, device: torch.device) -> Triples:
        """Return the triples of a `stated_view`."""
        parts = []
        for number, matrix in enumerate(view.adjacency):
            edges = matrix.tocoo()
            rows, columns = edges.row.astype(np.int64), edges.col.astype(np.int64)
            parts.append(np.stack([rows, np.full(len(rows), number), columns], axis=1))
        return cls(np.concatenate(parts), len(view.ids), len(view.adjacency), device)

    def __len__(self) -> int:
        return len(self.all)

    def known(self, subject: torch.Tensor, relation: torch.Tensor, obj: torch.Tensor) -> torch.Tensor:
        """Return whether each triple is a true one; the three broadcast."""
        keys = (subject * self.relations + relation) * self.nodes + obj
        at = torch.searchsorted(self._keys, keys.contiguous()).clamp(max=len(self._keys) - 1)
        return self._keys[at] == keys

    def corrupted(self, batch: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
        """Return `batch` `[batch, 3]` with another node at `side` (`HEAD` or `TAIL`) that makes no true triple.

        Of `DRAWS` uniform nodes the first that fits is taken; where none does, the triple stays a true one (a chance of
        `(true ones / nodes) ** DRAWS`).
        """
        drawn = torch.randint(self.nodes, (len(batch), DRAWS), generator=generator, device=batch.device)
        parts = [drawn if place == side else batch[:, place, None] for place in (0, 1, 2)]
        first = self.known(*parts).int().argmin(dim=1)
        result = batch.clone()
        result[:, side] = drawn.gather(1, first[:, None])[:, 0]
        return result

    def batches(self, size: int, generator: torch.Generator) -> list[torch.Tensor]:
        """Return all triples in a random order, in batches of at most `size`."""
        order = torch.randperm(len(self), generator=generator, device=self.all.device)
        return list(self.all[order].split(size))
