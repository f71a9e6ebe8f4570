"""CompGCN: neighbours composed with a vector of their edge type (Vashishth et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from kgzsl.encoders.aggregation import AggregatorNetwork, TypedEncoder, take
from kgzsl.encoders.neighbourhoods import Neighbourhood
from kgzsl.errors import InvalidInputError


def compose(composition: str, nodes: torch.Tensor, relations: torch.Tensor) -> torch.Tensor:
    """Return φ(h, z) of rows `[rows, dim]`: `sub` h − z, `mult` h · z, `corr` circular correlation `Σ_i h_i z_(k+i)`."""
    if composition == "sub":
        return nodes - relations
    if composition == "mult":
        return nodes * relations
    dim = nodes.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(nodes).conj() * torch.fft.rfft(relations), n=dim)


class CompositionAggregator(nn.Module):
    """`(W_O m_O + W_I m_I + W_S φ(h_v, z_S)) / 3 + b` with `m_λ = mean({φ(h_u, z_r) : (u, r) ∈ N_λ(v)})`, and `z'_r = W_R z_r`.

    λ is the edge's direction: O as stated, I inverse; S is the node itself. The paper's eq. 5 adds all edges up; its code weighs
    the three parts alike and normalises by degree, which is done here by the mean.

    Parameters
    ----------
    last : nothing comes after it that would need z', so there is no W_R.
    """

    def __init__(self, inputs: int, outputs: int, composition: str, *, last: bool) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.empty(3, inputs, outputs))  # O, I, S
        self.relations = None if last else nn.Parameter(torch.empty(inputs, outputs))
        self.loop = nn.Parameter(torch.empty(1, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.composition = composition

    def reset_parameters(self) -> None:
        """Draw all matrices by Glorot's rules and zero b."""
        for matrix in (*self.directions, *([] if self.relations is None else [self.relations])):
            nn.init.xavier_uniform_(matrix)
        nn.init.xavier_normal_(self.loop)
        nn.init.zeros_(self.bias)

    def forward(self, features: torch.Tensor, relations: torch.Tensor, hood: Neighbourhood) -> tuple[torch.Tensor, torch.Tensor]:
        """Map `[rows in, inputs]` and z `[relations, inputs]` to `[rows out, outputs]` and z' `[relations, outputs]`.

        The last layer returns z as it is.
        """
        relations = relations.float()
        messages = compose(self.composition, take(features, hood.source), take(relations, hood.relation))
        rows = len(hood.own)
        place = hood.target + rows * (hood.relation % 2)  # relations stand at even places, their inverses at odd ones
        total = features.new_zeros(2 * rows, features.shape[1]).index_add(0, place, messages)
        count = features.new_zeros(2 * rows).index_add(0, place, torch.ones_like(place, dtype=features.dtype))
        stated, inverse = (total / count.clamp(min=1)[:, None]).split(rows)
        itself = compose(self.composition, take(features, hood.own), self.loop)
        parts = [part @ matrix for part, matrix in zip((stated, inverse, itself), self.directions, strict=True)]
        mixed = (parts[0].float() + parts[1] + parts[2]) / 3 + self.bias
        return mixed, relations if self.relations is None else relations @ self.relations


class RelationVectors(nn.Module):
    """The first layer's vector of every edge type, `[relations, dim]`, or `Σ_b a_rb v_b` over some bases (the paper's eq. 3)."""

    def __init__(self, relations: int, dim: int, bases: int | None) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(bases or relations, dim))
        self.shares = nn.Parameter(torch.empty(relations, bases)) if bases else None

    def reset_parameters(self) -> None:
        """Draw by Glorot's normal rule."""
        for matrix in self.parameters():
            nn.init.xavier_normal_(matrix)

    def forward(self) -> torch.Tensor:
        """Return z, `[relations, dim]`."""
        return self.vectors if self.shares is None else self.shares @ self.vectors


class CompositionNetwork(AggregatorNetwork):
    """Layers that update nodes and edge types."""

    def __init__(self, layers: Sequence[nn.Module], first: RelationVectors, shape: Sequence[int], *, dropout: float, slope: float) -> None:
        super().__init__(layers, shape, dropout=dropout, slope=slope)
        self.first = first

    def begin(self) -> torch.Tensor:
        return self.first()

    def step(
        self, layer: nn.Module, features: torch.Tensor, carried: torch.Tensor, hood: Neighbourhood
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return layer(features, carried, hood)


class CompGCN(TypedEncoder):
    """Two layers that compose every neighbour with its edge type and tell the direction of edges apart.

    Parameters
    ----------
    composition : `sub`, `mult` or `corr` (circular correlation).
    bases : number of basis vectors of the edge types; None gives each its own vector.
    """

    name = "compgcn"
    source = "Vashishth et al., Composition-Based Multi-Relational Graph Convolutional Networks, ICLR 2020, eq. 2-5"

    def __init__(self, *, composition: str = "corr", bases: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        if composition not in ("sub", "mult", "corr"):
            raise InvalidInputError("composition is sub, mult or corr", received=repr(composition))
        if bases is not None and bases < 1:
            raise InvalidInputError("bases are at least 1, or None", received=bases)
        self.composition, self.bases = composition, bases

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "composition": self.composition, "bases": self.bases}

    def build(self, inputs: int, outputs: int, relations: int = 1) -> CompositionNetwork:
        dims = [inputs, *self.hidden, outputs]
        return CompositionNetwork(
            [CompositionAggregator(a, b, self.composition, last=i == len(self.hidden)) for i, (a, b) in enumerate(pairwise(dims))],
            RelationVectors(relations, inputs, self.bases),
            [inputs, outputs, relations],
            dropout=self.dropout,
            slope=self.slope,
        )
