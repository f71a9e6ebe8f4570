"""The networks that compose the words of a state and an object."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from kgzsl.classifiers.compositions.image_head import ImageHead
from kgzsl.classifiers.compositions.trained import Words
from kgzsl.errors import InvalidInputError


class WordPairs(nn.Module):
    """An image network, and one on the concatenated vectors of a state and an object, which are learned too.

    Parameters
    ----------
    images : features → the common space.
    words : vectors of states and of objects, `[states, dim]` and `[objects, dim]`, where learning starts.
    sizes : columns of the pair network's hidden layers and of its result; one size: a linear map.
    """

    def __init__(self, images: ImageHead, words: Words, sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.images = images
        self.states, self.objects = (nn.Parameter(torch.from_numpy(rows.copy())) for rows in words)
        self.pairs = ImageHead([2 * words[0].shape[1], *sizes], dropout)

    def reset(self, generator: torch.Generator) -> None:
        """Draw the weights; words stay where they are."""
        self.images.reset(generator)
        self.pairs.reset(generator)

    def compose(self, pairs: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return the embeddings of `pairs`, int64 `[pairs, 2]`."""
        composed: torch.Tensor = self.pairs(torch.cat([self.states[pairs[:, 0]], self.objects[pairs[:, 1]]], dim=1), generator)
        return composed


def check_sizes(embedding: int, hidden: Sequence[int], dropout: float) -> None:
    """Raise InvalidInputError unless layers have columns and dropout is a probability below 1."""
    if min(embedding, *hidden, 1) < 1 or not 0 <= dropout < 1:
        raise InvalidInputError("layers have at least one column and dropout is in 0…1", received=f"{embedding}, {list(hidden)}, {dropout}")
