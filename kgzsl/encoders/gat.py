"""GAT: graph attention (Veličković et al., 2018), as an aggregator of neighbourhoods."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from kgzsl.encoders.aggregation import AggregatorEncoder, take
from kgzsl.encoders.neighbourhoods import Neighbourhood
from kgzsl.errors import require


class AttentionAggregator(nn.Module):
    """`Σ_u α_vu W h_u + b` with `α_v = softmax_u(LeakyReLU(a · [W h_v ‖ W h_u]))` over `u ∈ N(v) ∪ v`; PyG's layer."""

    def __init__(self, inputs: int, outputs: int, *, slope: float, dropout: float) -> None:
        super().__init__()
        layers: Any = require("torch_geometric.nn", "graphs")
        self.convolution = layers.GATConv(inputs, outputs, negative_slope=slope, dropout=dropout, add_self_loops=False)
        self.convolution.lin.register_forward_hook(lambda layer, given, projected: projected.float())  # neighbours add up in float32

    def reset_parameters(self) -> None:
        """Draw W and a by Glorot's uniform rule and zero b."""
        self.convolution.reset_parameters()

    def forward(self, features: torch.Tensor, hood: Neighbourhood) -> torch.Tensor:
        """Map `[rows in, inputs]` to `[rows out, outputs]`."""
        return self.convolution((features, take(features, hood.own)), hood.edge_index(with_self=True))


class GAT(AggregatorEncoder):
    """Two layers of attention over a node and its neighbours, one head.

    The attention is Veličković et al.'s eq. 3; ZSL-KG's own code applies LeakyReLU to the two halves before it adds them, so that
    the half of v cancels in the softmax.

    Parameters
    ----------
    attention_dropout : probability of dropping a neighbour's attention while training (0 in ZSL-KG).
    """

    name = "gat"
    source = "Veličković et al., Graph Attention Networks, ICLR 2018, eq. 1-4; as in ZSL-KG, TMLR 2022"

    def __init__(self, *, attention_dropout: float = 0.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.attention_dropout = attention_dropout

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "attention_dropout": self.attention_dropout}

    def layer(self, inputs: int, outputs: int, relations: int) -> AttentionAggregator:
        return AttentionAggregator(inputs, outputs, slope=self.slope, dropout=self.attention_dropout)
