"""TrGCN: a transformer over every node's neighbourhood (ZSL-KG; Nayak and Bach, 2022)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from kgzsl.encoders.aggregation import AggregatorEncoder, assemble, take
from kgzsl.encoders.dropout import dropout_in_training
from kgzsl.encoders.neighbourhoods import Block, Neighbourhood
from kgzsl.errors import InvalidInputError


class TransformerAggregator(nn.Module):
    """`W a_v + b` with `a_v = pool(Transformer({h_u : u ∈ N(v) ∪ v}))`: one block, one head, no positions.

    The block is that of the published code, feed-forward part first:

        f_u = LayerNorm(h_u + W₂ ReLU(W₁ h_u + b₁) + b₂)                          d → feed-forward → d
        o_u = Σ_t softmax_t(q_u · k_t / √d) v_t,   (q, k, v) = W₃ f + b₃          d → projection
        a_v = pool_u LayerNorm(f_u + W₄ o_u + b₄)                                 projection → d

    Everything up to q, k, v depends on u alone, so it is computed once per node and not once per pair.

    Parameters
    ----------
    pool : `mean` or `max`.
    projection, feedforward : widths; None takes half of `inputs`.
    dropout : in the feed-forward part and on the attention. residual_dropout : on both terms that are added to the input.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        pool: str,
        projection: int | None,
        feedforward: int | None,
        dropout: float,
        residual_dropout: float,
    ) -> None:
        super().__init__()
        self.width = projection or max(inputs // 2, 1)
        between = feedforward or max(inputs // 2, 1)
        self.widen, self.narrow = nn.Linear(inputs, between), nn.Linear(between, inputs)
        self.project, self.back = nn.Linear(inputs, 3 * self.width), nn.Linear(self.width, inputs)
        self.norm_nodes, self.norm_pairs = nn.LayerNorm(inputs), nn.LayerNorm(inputs)
        self.combine = nn.Linear(inputs, outputs)
        self.pool, self.dropout, self.residual_dropout = pool, dropout, residual_dropout
        self.scale = 1 / math.sqrt(inputs)

    def reset_parameters(self) -> None:
        """Draw the block's parameters by torch's rule, W by Glorot's uniform rule, and zero b."""
        for module in (self.widen, self.narrow, self.project, self.back, self.norm_nodes, self.norm_pairs):
            module.reset_parameters()
        nn.init.xavier_uniform_(self.combine.weight)
        nn.init.zeros_(self.combine.bias)

    def forward(self, features: torch.Tensor, hood: Neighbourhood) -> torch.Tensor:
        """Map `[rows in, inputs]` to `[rows out, outputs]`."""
        nodes = self.norm_nodes(features + self._drop(self.narrow(self._drop(functional.relu(self.widen(features)), self.dropout))))
        projected = self.project(nodes)
        return self.combine(assemble(hood.blocks, [self._pooled(nodes, projected, block) for block in hood.blocks]))

    def _pooled(self, nodes: torch.Tensor, projected: torch.Tensor, block: Block) -> torch.Tensor:
        """Return a_v of the block's rows, `[rows, inputs]`, from f `[rows in, inputs]` and (q, k, v) `[rows in, 3 · projection]`."""
        query, key, value = take(projected, block.index).split(self.width, dim=2)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=block.mask[:, None, :], dropout_p=self.dropout if self.training else 0.0, scale=self.scale
        )
        places = self.norm_pairs(take(nodes, block.index) + self._drop(self.back(attended)))
        mask = block.mask[:, :, None]
        if self.pool == "max":
            return places.masked_fill(~mask, -torch.inf).amax(dim=1)
        return (places * mask).sum(dim=1) / mask.sum(dim=1)

    def _drop(self, values: torch.Tensor, p: float | None = None) -> torch.Tensor:
        return dropout_in_training(values, self.residual_dropout if p is None else p, self.training)


class TrGCN(AggregatorEncoder):
    """Two layers `h'_v = σ(W pool(Transformer({h_u : u ∈ N(v) ∪ v})) + b) / ‖·‖` over the top 100, then the top 50 neighbours.

    Parameters
    ----------
    pool : `mean` or `max` over the neighbourhood.
    projection, feedforward : widths of the transformer; None takes half of the layer's input.
    attention_dropout : inside the transformer's block. residual_dropout : on what the block adds to its input.
    """

    name = "trgcn"
    source = "Nayak, Bach, Zero-Shot Learning with Common Sense Knowledge Graphs (ZSL-KG), TMLR 2022, eq. 3-4"
    padded = True

    def __init__(
        self,
        *,
        pool: str = "mean",
        projection: int | None = None,
        feedforward: int | None = None,
        attention_dropout: float = 0.1,
        residual_dropout: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if pool not in ("mean", "max"):
            raise InvalidInputError("pool is mean or max", received=repr(pool))
        self.pool, self.projection, self.feedforward = pool, projection, feedforward
        self.attention_dropout, self.residual_dropout = attention_dropout, residual_dropout

    def settings(self) -> dict[str, Any]:
        return {
            **super().settings(),
            "pool": self.pool,
            "projection": self.projection,
            "feedforward": self.feedforward,
            "attention_dropout": self.attention_dropout,
            "residual_dropout": self.residual_dropout,
        }

    def layer(self, inputs: int, outputs: int, relations: int) -> TransformerAggregator:
        return TransformerAggregator(
            inputs,
            outputs,
            pool=self.pool,
            projection=self.projection,
            feedforward=self.feedforward,
            dropout=self.attention_dropout,
            residual_dropout=self.residual_dropout,
        )
