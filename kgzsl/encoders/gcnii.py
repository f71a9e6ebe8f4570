"""GCNII: a deep graph convolution with initial residual and identity mapping (Chen et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from kgzsl.devices import resolve_device
from kgzsl.encoders.aggregation import AggregatorEncoder, AggregatorNetwork, take
from kgzsl.encoders.dropout import dropout_in_training
from kgzsl.encoders.neighbourhoods import Neighbourhood, Neighbourhoods, neighbourhoods
from kgzsl.encoders.sparse import propagate
from kgzsl.errors import InvalidInputError
from kgzsl.ids import positions

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View


class ResidualConvolution(nn.Module):
    """`((1 − α) P̃ h + α h⁰) ((1 − β) I + β W)`; PyG's GCN2Conv has no form from input rows to fewer output rows."""

    def __init__(self, width: int, *, alpha: float, beta: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, width))
        self.alpha, self.beta = alpha, beta

    def reset_parameters(self) -> None:
        """Draw W by Glorot's uniform rule."""
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features: torch.Tensor, initial: torch.Tensor, hood: Neighbourhood) -> torch.Tensor:
        """Map h `[rows in, width]` and h⁰ `[rows out, width]` to `[rows out, width]`."""
        mixed = torch.lerp(propagate(hood.weighted, features), initial.float(), self.alpha)
        return torch.lerp(mixed, (mixed @ self.weight).float(), self.beta)


class ResidualNetwork(AggregatorNetwork):
    """A linear layer with ReLU, the convolutions with ReLU, and a linear layer; rows of the result have L2 norm 1."""

    def __init__(self, width: int, layers: Sequence[nn.Module], shape: Sequence[int], *, dropout: float) -> None:
        super().__init__(layers, shape, dropout=dropout, slope=0.0)
        self.first, self.last = nn.Linear(shape[0], width), nn.Linear(width, shape[1])

    def propagate(self, features: torch.Tensor, field: Neighbourhoods) -> torch.Tensor:
        initial = functional.relu(self.first(dropout_in_training(features, self.dropout, self.training)))
        features = initial
        for layer, hood in zip(self.layers, field.layers, strict=True):
            initial = take(initial, hood.own)
            features = functional.relu(layer(dropout_in_training(features, self.dropout, self.training), initial, hood))
        return functional.normalize(self.last(dropout_in_training(features, self.dropout, self.training)).float())


class GCNII(AggregatorEncoder):
    """Many layers `h' = ReLU(((1 − α) P̃ h + α h⁰) ((1 − β) I + β W))` with β falling as `log(λ / l + 1)`, full neighbourhoods.

    Parameters
    ----------
    hidden : one width, that of all convolutions.
    depth : number of convolutions l.
    alpha : share of the first layer's output h⁰ in every layer.
    lam : λ.
    """

    name = "gcnii"
    source = "Chen et al., Simple and Deep Graph Convolutional Networks, ICML 2020, eq. 5"

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.5,
        depth: int = 16,
        alpha: float = 0.1,
        lam: float = 0.5,
        **settings: Any,
    ) -> None:
        super().__init__(hidden=hidden, dropout=dropout, neighbours=None, **settings)
        if len(self.hidden) != 1 or depth < 1 or not (0 <= alpha <= 1 and lam > 0):
            raise InvalidInputError(
                "GCNII has one hidden width, a depth of at least 1, alpha in 0…1 and a positive lam",
                received=f"hidden={self.hidden}, depth={depth}, alpha={alpha}, lam={lam}",
            )
        self.depth, self.alpha, self.lam = depth, alpha, lam

    def settings(self) -> dict[str, Any]:
        inherited = {k: v for k, v in super().settings().items() if k not in ("neighbours", "steps", "restarts")}
        return {**inherited, "depth": self.depth, "alpha": self.alpha, "lam": self.lam}

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import undirected

        return undirected(graph, [r.id for r in graph.relations], self_loops=True, norm="symmetric")

    def field(self, view: View, nodes: Sequence[str]) -> Neighbourhoods:
        where = positions(nodes, view.ids, "the graph")
        return neighbourhoods(view.adjacency, [None] * self.depth, where, resolve_device(self.device), padded=False)

    def build(self, inputs: int, outputs: int, relations: int = 1) -> ResidualNetwork:
        width = self.hidden[0]
        betas = [math.log(self.lam / number + 1) for number in range(1, self.depth + 1)]
        layers = [ResidualConvolution(width, alpha=self.alpha, beta=beta) for beta in betas]
        return ResidualNetwork(width, layers, [inputs, outputs, relations], dropout=self.dropout)
