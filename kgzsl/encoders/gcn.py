"""GCN: the mean over a node and its neighbours (the mean aggregator of ZSL-KG; Kipf and Welling, 2017)."""

from __future__ import annotations

import torch
from torch import nn

from kgzsl.encoders.aggregation import AggregatorEncoder
from kgzsl.encoders.convolution import GraphConvolution
from kgzsl.encoders.neighbourhoods import Neighbourhood


class MeanAggregator(nn.Module):
    """`W · mean({h_u : u ∈ N(v) ∪ v}) + b`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = GraphConvolution(inputs, outputs, dropout=0.0, slope=None, attention=None, bias_after=True)

    def reset_parameters(self) -> None:
        """Draw W by Glorot's uniform rule and zero b."""
        self.convolution.reset(None)

    def forward(self, features: torch.Tensor, hood: Neighbourhood) -> torch.Tensor:
        """Map `[rows in, inputs]` to `[rows out, outputs]`."""
        return self.convolution(features, hood.mean, None)


class GCN(AggregatorEncoder):
    """Two layers `h'_v = σ(W mean({h_u : u ∈ N(v) ∪ v}) + b) / ‖·‖`."""

    name = "gcn"
    source = "Kipf, Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017; as in ZSL-KG, TMLR 2022"

    def layer(self, inputs: int, outputs: int, relations: int) -> MeanAggregator:
        return MeanAggregator(inputs, outputs)
