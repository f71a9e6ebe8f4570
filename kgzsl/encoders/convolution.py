"""Graph convolutions over hop matrices: the layer that GCNZ, SGCN and DGP share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from kgzsl.encoders.dropout import dropout
from kgzsl.encoders.receptive import ReceptiveField
from kgzsl.encoders.sparse import SparseOperator, propagate


class GraphConvolution(nn.Module):
    """`Σₖ αₖ Aₖ (X Θ + b)` with `α = softmax(a)` over hop distances (DGP eq. 4); one matrix means α = 1.

    Parameters
    ----------
    inputs, outputs : columns of X and of the result.
    hops : number of hop matrices k.
    dropout : probability of zeroing a value of X while training.
    slope : negative slope of the LeakyReLU that follows; None for no activation.
    attention : softmax logits `[hops]` shared with other layers, or None.
    bias_after : add b after propagation (SGCN, GCNZ) instead of before it (DGP).
    """

    def __init__(
        self, inputs: int, outputs: int, *, dropout: float, slope: float | None, attention: nn.Parameter | None, bias_after: bool
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.attention = attention
        self.dropout, self.slope, self.bias_after = dropout, slope, bias_after

    def reset(self, generator: torch.Generator | None) -> None:
        """Draw Θ by Glorot's uniform rule and zero b, as the published code does."""
        nn.init.xavier_uniform_(self.weight, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(self, features: torch.Tensor, operator: SparseOperator, generator: torch.Generator | None) -> torch.Tensor:
        """Map `[rows in, inputs]` to `[rows out, outputs]`."""
        features = dropout(features, self.dropout, generator)
        if self._project_first(operator):
            result = self._mix(propagate(operator, features @ self.weight))
        else:
            result = self._mix(propagate(operator, features)) @ self.weight
        result = result + (self.bias if self.bias_after else self._mix(self._row_sums(operator)) * self.bias)
        return result if self.slope is None else functional.leaky_relu(result, self.slope)

    def _hops(self) -> int:
        return 1 if self.attention is None else self.attention.shape[0]

    def _mix(self, stacked: torch.Tensor) -> torch.Tensor:
        """`[hops × rows, dim]` → `[rows, dim]`, weighted by the softmax over hops."""
        if self.attention is None:
            return stacked
        parts = stacked.view(self._hops(), -1, stacked.shape[1])
        return torch.einsum("k,knd->nd", functional.softmax(self.attention, dim=0), parts)

    def _project_first(self, operator: SparseOperator) -> bool:
        """A(XΘ) and (AX)Θ are equal; take the one with fewer multiplications."""
        inputs, outputs = self.weight.shape
        rows_out, rows_in = operator.shape[0] // self._hops(), operator.shape[1]
        project_first = rows_in * inputs * outputs + operator.edges * outputs
        propagate_first = rows_out * inputs * outputs + operator.edges * inputs
        return project_first < propagate_first

    @staticmethod
    def _row_sums(operator: SparseOperator) -> torch.Tensor:
        """A·1, `[hops × rows, 1]`: 1 where a node has neighbours at that distance, else 0."""
        return propagate(operator, torch.ones(operator.shape[1], 1, device=operator.matrix.device))


class GraphNetwork(nn.Module):
    """Graph convolutions on a receptive field; rows of the result have L2 norm 1.

    Parameters
    ----------
    dims : columns of the input, the hidden layers and the output.
    dropouts : per layer, the dropout on its input.
    hops : per layer, its number of hop matrices; layers share the attention of `attention_of`.
    """

    def __init__(
        self, dims: Sequence[int], dropouts: Sequence[float], *, slope: float, hops: int, directions: int, bias_after: bool
    ) -> None:
        super().__init__()
        self.attentions = nn.ParameterList([nn.Parameter(torch.ones(hops)) for _ in range(directions)] if hops > 1 else [])
        last = len(dims) - 2
        self.layers = nn.ModuleList(
            GraphConvolution(
                dims[i],
                dims[i + 1],
                dropout=dropouts[i],
                slope=slope if i < last else None,
                attention=self.attentions[i % directions] if hops > 1 else None,
                bias_after=bias_after,
            )
            for i in range(last + 1)
        )

    def reset(self, generator: torch.Generator) -> None:
        """Initialise every layer from one generator."""
        for layer in self.convolutions():
            layer.reset(generator)

    def convolutions(self) -> list[GraphConvolution]:
        """Return the layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, GraphConvolution)]

    def forward(self, features: torch.Tensor, field: ReceptiveField, generator: torch.Generator | None = None) -> torch.Tensor:
        """Map input rows `[field inputs, dim]` to `[field outputs, out]`; dropout only when a generator is given."""
        for layer, operator in zip(self.convolutions(), field.operators, strict=True):
            features = layer(features, operator, generator)
        return functional.normalize(features.float())
