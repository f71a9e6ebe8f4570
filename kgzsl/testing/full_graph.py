"""The full-graph way of the published code: every layer on all nodes, forward and backward.

Written from the papers' equations, slow on purpose: tests compare outputs and losses with it, benchmarks
compare time. Nothing else uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn import functional

from kgzsl.encoders.convolution import GraphNetwork
from kgzsl.encoders.dropout import dropout as field_dropout

#: Returns the 0/1 mask of a layer's input `[nodes, columns]`: called with (layer, input).
Masks = Callable[[int, torch.Tensor], torch.Tensor]


class FullGraphNetwork(nn.Module):
    """`H⁽ˡ⁾ = σ(Σₖ αₖ Aₖ (dropout(H⁽ˡ⁻¹⁾) Θ + b))` on all nodes, rows normalised at the end.

    Parameters
    ----------
    network : its parameters are copied.
    layers : per layer its hop matrices, each `[nodes, nodes]`.
    """

    def __init__(self, network: GraphNetwork, layers: Sequence[Sequence[sp.csr_matrix]]) -> None:
        super().__init__()
        self.adjacency = [[_coo(matrix) for matrix in matrices] for matrices in layers]
        convolutions = network.convolutions()
        self.weights = nn.ParameterList([nn.Parameter(layer.weight.detach().clone()) for layer in convolutions])
        self.biases = nn.ParameterList([nn.Parameter(layer.bias.detach().clone()) for layer in convolutions])
        self.attentions = nn.ParameterList([nn.Parameter(a.detach().clone()) for a in network.attentions])
        self.dropouts = [layer.dropout for layer in convolutions]
        self.slopes = [layer.slope for layer in convolutions]
        self.bias_after = convolutions[0].bias_after

    def forward(self, features: torch.Tensor, masks: Masks | None = None) -> torch.Tensor:
        """Map all nodes' vectors `[nodes, dim]` to all nodes' outputs; `masks` None draws torch's own dropout in training."""
        for i, adjacency in enumerate(self.adjacency):
            if self.training and self.dropouts[i] > 0:
                if masks is None:
                    features = functional.dropout(features, self.dropouts[i])
                else:
                    features = features * masks(i, features) / (1 - self.dropouts[i])
            support = features @ self.weights[i]
            if not self.bias_after:
                support = support + self.biases[i]
            if len(adjacency) > 1:
                attention = functional.softmax(self.attentions[i % len(self.attentions)], dim=0)
                result = torch.sparse.mm(adjacency[0], support) * attention[0]
                for k in range(1, len(adjacency)):
                    result = result + torch.sparse.mm(adjacency[k], support) * attention[k]
            else:
                result = torch.sparse.mm(adjacency[0], support)
            if self.bias_after:
                result = result + self.biases[i]
            slope = self.slopes[i]
            features = result if slope is None else functional.leaky_relu(result, slope)
        return functional.normalize(features)


def _coo(matrix: sp.csr_matrix) -> torch.Tensor:
    coo = matrix.tocoo()
    indices = torch.from_numpy(np.vstack([coo.row, coo.col]).astype(np.int64))
    return torch.sparse_coo_tensor(indices, torch.from_numpy(coo.data.astype(np.float32)), coo.shape, check_invariants=True).coalesce()


def masks_on_field(field_rows: Sequence[np.ndarray], dropout: float, generator: torch.Generator) -> Masks:
    """Return masks that agree with a receptive field's own on its rows, drawn from the same generator.

    Parameters
    ----------
    field_rows : per layer, the positions of the field's input rows.
    generator : seeded like the one that the receptive-field network draws from.
    """

    def draw(layer: int, features: torch.Tensor) -> torch.Tensor:
        rows = torch.from_numpy(field_rows[layer])
        mask = torch.full_like(features, 1 - dropout).bernoulli_(generator=torch.Generator().manual_seed(layer))
        mask[rows] = (field_dropout(torch.ones(len(rows), features.shape[1], dtype=mask.dtype), dropout, generator) > 0).to(mask.dtype)
        return mask

    return draw
