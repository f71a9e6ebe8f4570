"""Visual product: the state and the object are told apart from one another, and their probabilities are multiplied.

Method
------
VisProd (Misra, Gupta and Hebert, CVPR 2017, section 4; the row `VISPROD` of Nagarajan and Grauman, ECCV 2018, table 1): with features x,

    p(s, o | x) = p(s | x) p(o | x),

either factor by softmax regression, or with one hidden layer (`VISPRODNN`). It knows nothing of words, and nothing of which pairs
exist. What is added: factors of a product of experts need not be equally sharp, so the state's may be raised to a power w,

    score = w log p(s | x) + log p(o | x),

w being chosen by the validation AUC where it is None; and either classifier may see only some columns of the features: colours are
told apart by early layers, and a classifier that sees the last layer too learns which objects have them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from kgzsl.classifiers.compositions.base import PairFeatures
from kgzsl.classifiers.compositions.image_head import ImageHead
from kgzsl.classifiers.compositions.trained import TrainedCompositions, Words, best_by_auc, smoothed
from kgzsl.encoders.dropout import dropout
from kgzsl.errors import InvalidInputError

#: Powers of p(s | x) that are tried on validation rows.
POWERS = (0.5, 0.7, 1.0, 1.4, 2.0)


class VisualProduct(TrainedCompositions):
    """Independent classifiers of states and objects; the product of their probabilities.

    Parameters
    ----------
    hidden : columns of either classifier's hidden layer; 0 for none.
    dropout : of features and hidden values while training.
    smoothing : of labels.
    state_columns, object_columns : first and end of the feature columns that a classifier sees; None for all.
    state_power : w; None is chosen on validation rows (1 where there are none).
    training : see `TrainedCompositions`.
    """

    name = "visual_product"
    source = "Misra et al., CVPR 2017, section 4; Nagarajan and Grauman, ECCV 2018, table 1"
    needs_words = False

    def __init__(
        self,
        *,
        hidden: int = 0,
        dropout: float = 0.3,
        smoothing: float = 0.0,
        state_columns: Sequence[int] | None = None,
        object_columns: Sequence[int] | None = None,
        state_power: float | None = 1.0,
        **training: Any,
    ) -> None:
        super().__init__(**{"learning_rate": 1e-3, **training})
        if hidden < 0 or not 0 <= dropout < 1 or not 0 <= smoothing < 1:
            raise InvalidInputError("hidden is at least 0, dropout and smoothing are in 0…1", received=f"{hidden}, {dropout}, {smoothing}")
        if state_power is not None and not 0 < state_power < np.inf:
            raise InvalidInputError("state_power is positive", received=state_power)
        self.hidden, self.dropout, self.smoothing, self.state_power = hidden, dropout, smoothing, state_power
        self.state_columns, self.object_columns = span("state_columns", state_columns), span("object_columns", object_columns)
        self.power = 1.0 if state_power is None else state_power

    def build(self, columns: int, words: Words | None) -> nn.Module:
        counts = len(self.space.states), len(self.space.objects)
        spans = [given or [0, columns] for given in (self.state_columns, self.object_columns)]
        if any(end > columns for _, end in spans):
            raise InvalidInputError("a classifier sees columns that the features have", received=f"{spans} of {columns:,}")
        self._cuts = [slice(*given) for given in spans]
        middle = [self.hidden] if self.hidden else []
        states, objects = ([end - first, *middle, count] for (first, end), count in zip(spans, counts, strict=True))
        return Primitives(states, objects, self.dropout)

    def primitive_logits(self, rows: torch.Tensor, generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        state, obj = (dropout(rows[:, cut], self.dropout, generator) for cut in self._cuts)
        return self.network.states(state, generator), self.network.objects(obj, generator)

    def pair_loss(self, rows: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        state, obj = self.primitive_logits(rows, generator)
        truth = self._pairs[labels]
        return smoothed(state, truth[:, 0], self.smoothing) + smoothed(obj, truth[:, 1], self.smoothing)

    def embedded(self, pairs: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """A pair is its state's and its object's position."""
        return pairs

    def compatibility(self, rows: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        state, obj = (logits.float().log_softmax(1) for logits in self.primitive_logits(rows))
        return self.power * state[:, pairs[:, 0]] + obj[:, pairs[:, 1]]

    def tune(self, validation: PairFeatures) -> None:
        if self.state_power is not None:
            return
        candidates = np.union1d(np.flatnonzero(self.space.seen), validation.labels)
        pairs, found = self.embed(self.space.pairs[candidates]), {}
        for self.power in POWERS:
            found[self.power] = self._score(validation.matrix, pairs)
        self.power = best_by_auc(validation, self.space, found, candidates)

    def tuned(self) -> dict[str, np.ndarray]:
        return {"power": np.array([self.power])}

    def take_tuned(self, state: Mapping[str, np.ndarray]) -> None:
        self.power = float(state["power"][0])


class Primitives(nn.Module):
    """A classifier of states and one of objects, both with the columns that are given."""

    def __init__(self, states: Sequence[int], objects: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.states, self.objects = ImageHead(states, dropout), ImageHead(objects, dropout)

    def reset(self, generator: torch.Generator) -> None:
        """Draw the weights."""
        self.states.reset(generator)
        self.objects.reset(generator)


def span(name: str, given: Sequence[int] | None) -> list[int] | None:
    """Return a first column and an end beyond it as a list, or None; anything else raises InvalidInputError."""
    if given is None:
        return None
    if len(given) != 2 or not 0 <= given[0] < given[1]:
        raise InvalidInputError(f"{name} are a first column and an end beyond it", received=list(given))
    return [int(given[0]), int(given[1])]
