"""LSTM: neighbours in random order through a recurrent network (GraphSAGE; Hamilton, Ying and Leskovec, 2017)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from kgzsl.encoders.aggregation import AggregatorEncoder, assemble, take
from kgzsl.encoders.neighbourhoods import Block, Neighbourhood

if TYPE_CHECKING:
    from kgzsl.encoders.memory import MemoryEstimate
    from kgzsl.graphs.views import View
    from kgzsl.matrices import ClassifierWeights, Vectors

#: Bytes per hidden value and place that oneDNN's LSTM keeps for the backward pass in a workspace of its own (measured: 65 to 83).
_WORKSPACE = 72


class LSTMAggregator(nn.Module):
    """`W · LSTM(h_π(1), …, h_π(k)) + b`, the last hidden state, over a shuffle π of `N(v) ∪ v`.

    While training every step draws new shuffles from torch's global random numbers; otherwise the shuffle of a node is fixed
    by the encoder's seed, whatever other nodes are asked for.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, inputs, batch_first=True)
        self.combine = nn.Linear(inputs, outputs)

    def reset_parameters(self) -> None:
        """Draw the LSTM's parameters by torch's rule, W by Glorot's uniform rule, and zero b."""
        self.lstm.reset_parameters()
        nn.init.xavier_uniform_(self.combine.weight)
        nn.init.zeros_(self.combine.bias)

    def forward(self, features: torch.Tensor, hood: Neighbourhood) -> torch.Tensor:
        """Map `[rows in, inputs]` to `[rows out, outputs]`."""
        return self.combine(assemble(hood.blocks, [self._last(features, block) for block in hood.blocks]))

    def _last(self, features: torch.Tensor, block: Block) -> torch.Tensor:
        """Return the hidden state after each row's last neighbour, `[rows, inputs]`; padding comes after it and is never read."""
        states, _ = self.lstm(take(features, self.shuffled(block)))
        last = block.mask.sum(dim=1) - 1
        return states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2])).squeeze(1)

    def shuffled(self, block: Block) -> torch.Tensor:
        """Return the block's index with every row's places shuffled, its padding left at the end."""
        keys = torch.randint_like(block.keys, 2**62) if self.training else block.keys
        order = torch.argsort(keys.masked_fill(~block.mask, torch.iinfo(keys.dtype).max), dim=1, stable=True)
        return block.index.gather(1, order)


class LSTM(AggregatorEncoder):
    """Two layers that read a node and its neighbours, shuffled by the seed, with an LSTM as wide as their input."""

    name = "lstm"
    source = "Hamilton, Ying, Leskovec, Inductive Representation Learning on Large Graphs, NeurIPS 2017; as in ZSL-KG, TMLR 2022"
    padded = True

    def memory(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> MemoryEstimate:
        found, field = super().memory(view, vectors, targets), self.field(view, targets.ids)
        widths = [vectors.dim, *self.hidden]
        places = [sum(block.index.numel() for block in hood.blocks) for hood in field.layers]
        workspace = sum(_WORKSPACE * width * count for width, count in zip(widths, places, strict=True))
        return replace(found, activations=found.activations + workspace)

    def layer(self, inputs: int, outputs: int, relations: int) -> LSTMAggregator:
        return LSTMAggregator(inputs, outputs)
