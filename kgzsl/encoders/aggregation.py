"""Encoders that aggregate over sets of neighbours (the family that ZSL-KG compares), on the receptive field only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kgzsl.devices import resolve_device
from kgzsl.encoders.dropout import dropout_in_training
from kgzsl.encoders.neighbourhoods import Block, Neighbourhood, Neighbourhoods, neighbourhoods
from kgzsl.encoders.regression import WeightRegressionEncoder
from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.ids import positions

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Seed torch's global random numbers from `generator`, for layers that take no generator, and put them back afterwards."""
    device = generator.device
    seed = int(torch.randint(2**62, (1,), generator=generator, device=device))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


class _Take(torch.autograd.Function):
    """Rows of a half-precision matrix, their gradients added up in float32."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(index)
        ctx.rows = len(rows)
        return functional.embedding(index, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (index,) = ctx.saved_tensors
        summed = torch.ops.aten.embedding_dense_backward(gradients[0].float(), index, ctx.rows, -1, False)
        return summed.to(gradients[0].dtype), None


def take(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return `rows[index]`, `[*index.shape, dim]`, with a gradient that repeats bit for bit on the CPU.

    That of plain indexing adds up in the order in which threads arrive.
    """
    return functional.embedding(index, rows) if rows.dtype == torch.float32 else _Take.apply(rows, index)


def assemble(blocks: Sequence[Block], parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the blocks' rows `[rows of the block, dim]` in the order of the layer's output rows, `[rows out, dim]`."""
    return take(torch.cat(list(parts)), torch.argsort(torch.cat([block.rows for block in blocks])))


class AggregatorNetwork(nn.Module):
    """Layers `(features [rows in, ·], Neighbourhood) → [rows out, ·]`; the rows that leave each have L2 norm 1, as in ZSL-KG.

    Parameters
    ----------
    layers : modules with `reset_parameters()`; dropout and shuffles inside them follow `self.training` and torch's global seed.
    shape : what `build` took; kept in the state, so that it can be built again.
    dropout : probability of zeroing a value of a layer's input while training.
    slope : negative slope of the LeakyReLU after every layer but the last.
    """

    shape: torch.Tensor

    def __init__(self, layers: Sequence[nn.Module], shape: Sequence[int], *, dropout: float, slope: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.register_buffer("shape", torch.tensor(list(shape)))
        self.dropout, self.slope = dropout, slope

    def reset(self, generator: torch.Generator) -> None:
        """Draw all initial parameters from one generator."""
        with seeded(generator):
            for module in self.children():
                for part in module if isinstance(module, nn.ModuleList) else [module]:
                    part.reset_parameters()  # type: ignore[operator]

    def forward(self, features: torch.Tensor, field: Neighbourhoods, generator: torch.Generator | None = None) -> torch.Tensor:
        """Map input rows `[field inputs, dim]` to `[field outputs, out]`; dropout and new shuffles only when a generator is given."""
        self.train(generator is not None)
        with nullcontext() if generator is None else seeded(generator):
            return self.propagate(features, field)

    def propagate(self, features: torch.Tensor, field: Neighbourhoods) -> torch.Tensor:
        """Run the layers, first to last."""
        carried = self.begin()
        for i, (layer, hood) in enumerate(zip(self.layers, field.layers, strict=True)):
            features = dropout_in_training(features, self.dropout, self.training)
            features, carried = self.step(layer, features, carried, hood)
            if i < len(self.layers) - 1:
                features = functional.leaky_relu(features, self.slope)
            features = functional.normalize(features.float())
        return features

    def begin(self) -> Any:
        """Return what the first layer is handed beside the features (edge types in CompGCN)."""
        return None

    def step(self, layer: nn.Module, features: torch.Tensor, carried: Any, hood: Neighbourhood) -> tuple[torch.Tensor, Any]:
        """Run one layer; return its rows and what the next layer is handed beside them."""
        return layer(features, hood), carried


class AggregatorEncoder(WeightRegressionEncoder):
    """A network over neighbourhoods; see `WeightRegressionEncoder` for the other settings.

    Parameters
    ----------
    hidden : columns of the hidden layers.
    dropout : on the input of every layer.
    neighbours : per layer, first to last, how many neighbours to take, those that random walks meet most often; None takes the
        full neighbourhood. The node itself comes on top.
    steps, restarts : length and number of the walks from each node.
    """

    by_type = False  # whether it tells edge types apart
    padded = False  # whether its layers read `Neighbourhood.blocks`

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (2048,),
        dropout: float = 0.5,
        neighbours: Sequence[int] | None = (100, 50),
        steps: int = 20,
        restarts: int = 10,
        epochs: int = 1000,
        **settings: Any,
    ) -> None:
        super().__init__(hidden=hidden, epochs=epochs, **settings)
        if neighbours is not None and (len(neighbours) != len(self.hidden) + 1 or any(n < 1 for n in neighbours)):
            raise InvalidInputError(
                "neighbours are one count of at least 1 per layer, or None for all",
                received=f"{list(neighbours)} for {len(self.hidden) + 1} layers",
            )
        self.dropout, self.steps, self.restarts = dropout, steps, restarts
        self.neighbours = None if neighbours is None else list(neighbours)

    def settings(self) -> dict[str, Any]:
        return {
            **super().settings(),
            "dropout": self.dropout,
            "neighbours": self.neighbours,
            "steps": self.steps,
            "restarts": self.restarts,
        }

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import top_neighbours_view, typed, undirected

        if self.neighbours is not None:
            return top_neighbours_view(
                graph, max(self.neighbours), steps=self.steps, restarts=self.restarts, seed=self.seed, by_type=self.by_type
            )
        return typed(graph) if self.by_type else undirected(graph, [r.id for r in graph.relations], self_loops=False, norm=None)

    def field(self, view: View, nodes: Sequence[str]) -> Neighbourhoods:
        return neighbourhoods(
            view.adjacency,
            self.neighbours or [None] * (len(self.hidden) + 1),
            positions(nodes, view.ids, "the graph"),
            resolve_device(self.device),
            padded=self.padded,
            seed=self.seed,
        )

    def layer(self, inputs: int, outputs: int, relations: int) -> nn.Module:
        """Return one layer, for `inputs` columns, `outputs` columns and so many edge types."""
        raise NotImplementedError

    def build(self, inputs: int, outputs: int, relations: int = 1) -> AggregatorNetwork:
        dims = [inputs, *self.hidden, outputs]
        layers = [self.layer(a, b, relations) for a, b in pairwise(dims)]
        return AggregatorNetwork(layers, [inputs, outputs, relations], dropout=self.dropout, slope=self.slope)

    def shape(self, view: View, inputs: int, outputs: int) -> tuple[int, ...]:
        return inputs, outputs, len(view.adjacency)

    def shape_of(self, state: Mapping[str, np.ndarray]) -> tuple[int, ...]:
        return tuple(int(n) for n in state["shape"])


class TypedEncoder(AggregatorEncoder):
    """An aggregator that tells edge types apart: every relation of the graph and its inverse."""

    by_type = True

    def field(self, view: View, nodes: Sequence[str]) -> Neighbourhoods:
        if isinstance(self.network, AggregatorNetwork) and int(self.network.shape[2]) != len(view.adjacency):
            raise IncompatibleError(
                f"`{self.name}` encodes graphs with the edge types that it was fitted on",
                received=f"{len(view.adjacency)} types, fitted on {int(self.network.shape[2])}",
                remedy="fit it on this graph",
            )
        return super().field(view, nodes)
