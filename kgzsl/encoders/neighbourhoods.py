"""Neighbourhoods: the receptive field of networks that aggregate over sets of neighbours, gathered without a loop over nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.encoders.sparse import SparseOperator


@dataclass(frozen=True)
class Block:
    """Output rows with about as many neighbours, padded to the longest of them.

    Attributes
    ----------
    rows : positions among the layer's output rows, int64 `[rows]`.
    index : positions among the layer's input rows, int64 `[rows, k]`: the node itself, its neighbours by falling weight, then the
        node itself again as padding.
    mask : True where `index` is no padding, `[rows, k]`.
    keys : a number per place that depends on node and neighbour only, int64 `[rows, k]`; sorting by it is a fixed shuffle.
    """

    rows: torch.Tensor
    index: torch.Tensor
    mask: torch.Tensor
    keys: torch.Tensor


@dataclass(frozen=True)
class Neighbourhood:
    """One layer: which input rows each output row is made from. The node itself is always one of them.

    Attributes
    ----------
    own : the input row of every output node itself, int64 `[rows out]`.
    source, target : input row and output row of every pair of node and neighbour, int64 `[pairs]`; without the node itself;
        ordered by output row, then by falling weight.
    relation : which of the view's matrices a pair comes from, int64 `[pairs]`.
    mean : the mean over the node itself and its neighbours, `[rows out, rows in]`.
    weighted : the view's own weights, self-loops with them, `[rows out, rows in]`.
    blocks : the same pairs, padded (see `Block`); every output row is in one block. Empty where padding was not asked for.
    """

    own: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    relation: torch.Tensor
    mean: SparseOperator
    weighted: SparseOperator
    blocks: tuple[Block, ...]

    def edge_index(self, *, with_self: bool) -> torch.Tensor:
        """Return `(input row, output row)` of every pair, int64 `[2, pairs]`; `with_self` puts the nodes themselves first."""
        if not with_self:
            return torch.stack([self.source, self.target])
        rows = torch.arange(len(self.own), device=self.own.device)
        return torch.stack([torch.cat([self.own, self.source]), torch.cat([rows, self.target])])


@dataclass(frozen=True)
class Neighbourhoods:
    """What an L-layer network needs to compute some output rows.

    Attributes
    ----------
    layers : first to last; the output rows of one are the input rows of the next.
    inputs : positions of the input rows among the view's nodes, `[rows in of layer 1]`, ascending.
    outputs : positions of the output nodes, as asked for.
    """

    layers: tuple[Neighbourhood, ...]
    inputs: np.ndarray
    outputs: np.ndarray

    def sizes(self) -> list[int]:
        """Rows that enter each layer, then the output rows."""
        return [layer.mean.shape[1] for layer in self.layers] + [len(self.outputs)]


def neighbourhoods(
    adjacency: Sequence[sp.csr_matrix],
    top: Sequence[int | None],
    nodes: np.ndarray,
    device: torch.device,
    *,
    padded: bool = True,
    seed: int = 0,
) -> Neighbourhoods:
    """Gather the neighbourhoods that `nodes` depend on, walking from the last layer to the first.

    Parameters
    ----------
    adjacency : one matrix `[all nodes, all nodes]` per edge type; row v holds v's neighbours with their weights.
    top : per layer, first to last, how many neighbours to take: those with the largest weights, of equal ones the first node.
        None takes all.
    nodes : positions of the output nodes, `[nodes]`; repeated positions are allowed.
    padded : also pad the neighbours of every row (see `Block`).
    seed : of the keys that shuffle (see `Block`).
    """
    rows = np.asarray(nodes, dtype=np.int64)
    layers: list[Neighbourhood] = []
    for count in reversed(top):
        pairs = _take(_pairs(adjacency, rows), count)
        columns = np.unique(np.concatenate([pairs.source, rows]))
        layers.append(_layer(pairs, rows, columns, _diagonal(adjacency, rows), device, seed if padded else None))
        rows = columns
    return Neighbourhoods(tuple(reversed(layers)), rows, np.asarray(nodes))


@dataclass(frozen=True)
class _Pairs:
    """Neighbours as columns `[pairs]`, sources as positions of the whole view, ordered by target and falling weight."""

    target: np.ndarray
    source: np.ndarray
    relation: np.ndarray
    weight: np.ndarray

    def keep(self, chosen: np.ndarray) -> _Pairs:
        return _Pairs(self.target[chosen], self.source[chosen], self.relation[chosen], self.weight[chosen])


def _pairs(adjacency: Sequence[sp.csr_matrix], rows: np.ndarray) -> _Pairs:
    cuts = [sp.csr_matrix(matrix[rows]) for matrix in adjacency]
    found = _Pairs(
        np.concatenate([np.repeat(np.arange(len(rows)), np.diff(cut.indptr)) for cut in cuts]),
        np.concatenate([cut.indices.astype(np.int64) for cut in cuts]),
        np.concatenate([np.full(cut.nnz, r, dtype=np.int64) for r, cut in enumerate(cuts)]),
        np.concatenate([cut.data for cut in cuts]),
    )
    found = found.keep((found.source != rows[found.target]) & (found.weight != 0))
    return found.keep(np.lexsort((found.relation, found.source, -found.weight, found.target)))


def _take(pairs: _Pairs, count: int | None) -> _Pairs:
    """Return the first `count` pairs of every target."""
    if count is None or not len(pairs.target):
        return pairs
    sizes = np.bincount(pairs.target)
    rank = np.arange(len(pairs.target)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return pairs.keep(rank < count)


def _diagonal(adjacency: Sequence[sp.csr_matrix], rows: np.ndarray) -> np.ndarray:
    """Return the weight of every row's self-loop, 0 where it has none, `[rows]`."""
    return np.asarray(sum(np.asarray(matrix.diagonal(), dtype=np.float64)[rows] for matrix in adjacency), dtype=np.float32)


def _layer(
    pairs: _Pairs, rows: np.ndarray, columns: np.ndarray, loops: np.ndarray, device: torch.device, seed: int | None
) -> Neighbourhood:
    own, source = np.searchsorted(columns, rows), np.searchsorted(columns, pairs.source)
    every = np.arange(len(rows))
    target, index = np.concatenate([every, pairs.target]), np.concatenate([own, source])
    sizes = np.bincount(target, minlength=len(rows))
    shape = (len(rows), len(columns))
    mean = sp.csr_matrix(((1 / sizes)[target].astype(np.float32), (target, index)), shape=shape)
    weighted = sp.csr_matrix((np.concatenate([loops, pairs.weight]).astype(np.float32), (target, index)), shape=shape)
    order = np.argsort(target, kind="stable")  # a row's own place first, then its neighbours by falling weight
    target, index = target[order], index[order]
    blocks = () if seed is None else _blocks(sizes, index, _keys(rows[target], columns[index], seed), device)
    tensors = [torch.from_numpy(a).to(device) for a in (own, source, pairs.target, pairs.relation)]
    return Neighbourhood(
        own=tensors[0],
        source=tensors[1],
        target=tensors[2],
        relation=tensors[3],
        mean=SparseOperator.from_scipy([mean], device),
        weighted=SparseOperator.from_scipy([weighted], device),
        blocks=blocks,
    )


def _blocks(sizes: np.ndarray, index: np.ndarray, keys: np.ndarray, device: torch.device) -> tuple[Block, ...]:
    """Pad rows together whose sizes lie between the same powers of two: never more than half of a block is padding."""
    starts = np.cumsum(sizes) - sizes
    power = np.ceil(np.log2(np.maximum(sizes, 1))).astype(np.int64)
    blocks = []
    for p in np.unique(power):
        rows = np.flatnonzero(power == p)
        place = np.arange(sizes[rows].max())
        mask = place < sizes[rows, None]
        where = starts[rows, None] + np.where(mask, place, 0)
        blocks.append(Block(*(torch.from_numpy(a).to(device) for a in (rows, index[where], mask, keys[where]))))
    return tuple(blocks)


def _keys(node: np.ndarray, neighbour: np.ndarray, seed: int) -> np.ndarray:
    """Return a hash of seed, node and neighbour, int64 `[pairs]`: SplitMix64's finaliser (Steele, Lea, Flood 2014), twice."""
    mixed = np.full(len(node), seed % 2**64, dtype=np.uint64)
    for part in (node, neighbour):
        mixed = (mixed ^ part.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(1)).astype(np.int64)
