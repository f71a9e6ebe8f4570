"""LabelEmbed+: pairs are embedded by a network on the words of state and object, beside the images.

Method
------
The row `LABELEMBED+` of Nagarajan and Grauman (ECCV 2018, section 4.2 and table 1), after Misra et al. (CVPR 2017): a network g on
the two word vectors, which are learned too (the `+`), and a network ω on the features lead into one space; a row's own pair is to
be nearer than another seen pair, drawn for every row, by a margin,

    L = max(0, ‖ω(x) − g(s, o)‖ − ‖ω(x) − g(s', o')‖ + m),        score = −‖ω(x) − g(s, o)‖.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kgzsl.classifiers.compositions.image_head import ImageHead
from kgzsl.classifiers.compositions.trained import TrainedCompositions, Words
from kgzsl.classifiers.compositions.words import WordPairs, check_sizes
from kgzsl.errors import InvalidInputError


class LabelEmbedPlus(TrainedCompositions):
    """Images and the words of pairs in one space, by a triplet loss.

    Parameters
    ----------
    embedding : columns of the common space.
    image_hidden, pair_hidden : hidden layers of ω and g.
    dropout : of hidden values while training.
    margin : m.
    negatives : other seen pairs drawn for each row; the published one has 1.
    training : see `TrainedCompositions`.
    """

    name = "le_plus"
    source = "Nagarajan and Grauman, Attributes as Operators, ECCV 2018, section 4.2; Misra et al., CVPR 2017"

    def __init__(
        self,
        *,
        embedding: int = 300,
        image_hidden: Sequence[int] = (768,),
        pair_hidden: Sequence[int] = (512,),
        dropout: float = 0.3,
        margin: float = 0.5,
        negatives: int = 1,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        check_sizes(embedding, [*image_hidden, *pair_hidden], dropout)
        if not margin > 0 or negatives < 1:
            raise InvalidInputError("margin is positive and negatives is at least 1", received=f"{margin} and {negatives}")
        self.embedding, self.image_hidden, self.pair_hidden = embedding, list(image_hidden), list(pair_hidden)
        self.dropout, self.margin, self.negatives = dropout, margin, negatives

    def build(self, columns: int, words: Words | None) -> nn.Module:
        assert words is not None
        images = ImageHead([columns, *self.image_hidden, self.embedding], self.dropout)
        return WordPairs(images, words, [*self.pair_hidden, self.embedding], self.dropout)

    def embedded(self, pairs: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        return self.network.compose(pairs, generator)

    def compatibility(self, rows: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        return -torch.cdist(self.network.images(rows).float(), pairs.float())

    def pair_loss(self, rows: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        images = self.network.images(rows, generator).float()
        pairs = self.embedded(self._seen_pairs, generator).float()
        own = self._targets[labels]
        # another seen pair, each as likely: as many steps further round as there are others
        steps = torch.randint(1, len(pairs), (len(rows), self.negatives), generator=generator, device=rows.device)
        distance = torch.cdist(images, pairs)
        near, far = distance.gather(1, own[:, None]), distance.gather(1, (own[:, None] + steps) % len(pairs))
        return (near - far + self.margin).clamp_min(0).mean()
