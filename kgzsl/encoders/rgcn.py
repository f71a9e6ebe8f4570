"""R-GCN: a weight matrix per edge type, built from few bases (Schlichtkrull et al., 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from kgzsl.encoders.aggregation import TypedEncoder, take
from kgzsl.encoders.neighbourhoods import Neighbourhood
from kgzsl.errors import InvalidInputError, require

if TYPE_CHECKING:
    from kgzsl.encoders.memory import MemoryEstimate
    from kgzsl.graphs.views import View
    from kgzsl.matrices import ClassifierWeights, Vectors


class RelationalAggregator(nn.Module):
    """`W₀ h_v + Σ_r mean({W_r h_u : u ∈ N_r(v)}) + b` with `W_r = Σ_b a_rb V_b`; PyG's layer."""

    def __init__(self, inputs: int, outputs: int, relations: int, bases: int) -> None:
        super().__init__()
        layers: Any = require("torch_geometric.nn", "graphs")
        self.convolution = layers.RGCNConv((inputs, inputs), outputs, relations, num_bases=bases)

    def reset_parameters(self) -> None:
        """Draw W₀, V and a by Glorot's uniform rule and zero b."""
        self.convolution.reset_parameters()

    def forward(self, features: torch.Tensor, hood: Neighbourhood) -> torch.Tensor:
        """Map `[rows in, inputs]` to `[rows out, outputs]`."""
        return self.convolution((features, take(features, hood.own)), hood.edge_index(with_self=False), hood.relation)


class RGCN(TypedEncoder):
    """Two layers with basis decomposition over the graph's relations and their inverses.

    Parameters
    ----------
    bases : number of basis matrices V (1 in ZSL-KG's object classification).
    """

    name = "rgcn"
    source = "Schlichtkrull et al., Modeling Relational Data with Graph Convolutional Networks, ESWC 2018, eq. 2-3; as in ZSL-KG"

    def __init__(self, *, bases: int = 1, **settings: Any) -> None:
        super().__init__(**settings)
        if bases < 1:
            raise InvalidInputError("R-GCN has at least one basis", received=bases)
        self.bases = bases

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "bases": self.bases}

    def memory(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> MemoryEstimate:
        backend: Any = require("torch_geometric.backend", "graphs")
        before = backend.use_segment_matmul
        backend.use_segment_matmul = False  # else chosen by content, which an estimate has not; with bases the choice has no effect
        try:
            return super().memory(view, vectors, targets)
        finally:
            backend.use_segment_matmul = before

    def layer(self, inputs: int, outputs: int, relations: int) -> RelationalAggregator:
        return RelationalAggregator(inputs, outputs, relations, self.bases)
