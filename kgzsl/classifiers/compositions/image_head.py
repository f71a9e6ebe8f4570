"""The image side of the graph methods: features → the space of the pairs' embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from kgzsl.encoders.dropout import dropout


class ImageHead(nn.Module):
    """Linear layers with layer normalisation, ReLU and dropout between them (CGE's image embedder on frozen features).

    Parameters
    ----------
    sizes : columns of the features, of the hidden layers and of the result. One size: the features as they are.
    dropout : probability of zeroing a hidden value while training.
    feature_dropout : probability of zeroing a feature while training.
    """

    def __init__(self, sizes: Sequence[int], dropout: float, feature_dropout: float = 0.0) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.utils.skip_init(nn.Linear, a, b) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.LayerNorm(n) for n in sizes[1:-1])
        self.dropout, self.feature_dropout = dropout, feature_dropout

    def reset(self, generator: torch.Generator) -> None:
        """Draw the weights as torch's linear layers do; biases start at 0."""
        with torch.no_grad():
            for layer in self.linears:
                if isinstance(layer, nn.Linear):
                    bound = 1 / math.sqrt(layer.in_features)
                    layer.weight.uniform_(-bound, bound, generator=generator)
                    layer.bias.zero_()

    def forward(self, features: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Map `[rows, features]` to `[rows, out]`; dropout only when a generator is given."""
        features = dropout(features, self.feature_dropout, generator)
        for i, layer in enumerate(self.linears):
            features = layer(features)
            if i < len(self.norms):
                features = dropout(functional.relu(self.norms[i](features)), self.dropout, generator)
        return features
