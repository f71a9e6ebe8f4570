"""CSP: the words of states and objects are learned as tokens of a prompt (Nayak, Yu and Bach, ICLR 2023).

Method
------
A CLIP-like model has images and texts in one space. A pair's text is the prompt `a photo of [state] [object]`, in which two vectors of the
token embeddings' space stand for the state and the object (section 4); each starts as the mean token vector of the name. Everything of the
model is frozen; learned are these vectors alone, one per state and one per object, by the cross-entropy over the seen pairs of

    cos(x, t(s, o)) · exp(logit scale),

with dropout on the vectors. Vectors learned in seen pairs are recomposed for unseen ones: nothing else is needed at test.

Features are the model's own image embeddings (the backbone made from the same folder gives them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kgzsl.classifiers.compositions.pair_graph import all_pairs
from kgzsl.classifiers.compositions.prompts import PromptEncoder
from kgzsl.classifiers.compositions.trained import TrainedCompositions, Words
from kgzsl.devices import resolve_device
from kgzsl.encoders.dropout import dropout
from kgzsl.errors import IncompatibleError, InvalidInputError, MissingDataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kgzsl.datasets.composition_set import CompositionSpace


class CSP(TrainedCompositions):
    """Soft prompts: token vectors of states and objects for a frozen CLIP-like model.

    Parameters
    ----------
    model : folder of the model; without one there is nothing to learn the prompts of.
    dropout : of the learned vectors while training.
    training : see `TrainedCompositions`.

    Raises
    ------
    InvalidInputError : dropout outside 0…1.
    """

    name = "csp"
    source = "Nayak, Yu and Bach, Learning to Compose Soft Prompts for Compositional Zero-Shot Learning, ICLR 2023"
    needs_words = False
    standardised = False

    def __init__(self, *, model: str | None = None, dropout: float = 0.3, **training: Any) -> None:
        super().__init__(**{"learning_rate": 5e-5, "weight_decay": 1e-5, "epochs": 20, "patience": 5, **training})
        if not 0 <= dropout < 1:
            raise InvalidInputError("dropout is in 0…1", received=dropout)
        self.model, self.dropout = model, dropout
        self._table: torch.Tensor | None = None

    def build(self, columns: int, words: Words | None) -> nn.Module:
        """Return the vectors; they start as the words' own (no drawing).

        Raises
        ------
        MissingDataError : no folder of a model.
        IncompatibleError : the features are not the model's image embeddings.
        """
        if self.model is None:
            raise MissingDataError(
                f"`{self.name}` learns prompts for a CLIP-like model", received="no model", remedy="name its folder in the setting `model`"
            )
        self._encoder, self._table = PromptEncoder(self.model, self._place), None
        self._sharpness = self._encoder.scale
        if columns != self._encoder.dim:
            raise IncompatibleError(
                f"features are the model's image embeddings, {self._encoder.dim:,} columns",
                received=f"{columns:,} columns",
                remedy="extract them with the same folder as backbone",
            )
        return SoftPrompts(*(self._encoder.word_vectors(names) for names in (self.space.states, self.space.objects)))

    def embedded(self, pairs: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        if self._table is not None:
            return self._table[pairs[:, 0] * len(self.space.objects) + pairs[:, 1]]
        vectors = (dropout(p, self.dropout, generator) for p in (self.network.states, self.network.objects))
        state, obj = (rows[pairs[:, k]] for k, rows in enumerate(vectors))
        blocks = [self._encoder.encode(s, o) for s, o in zip(state.split(512), obj.split(512), strict=True)]
        return functional.normalize(torch.cat(blocks).float())

    def compatibility(self, rows: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        return self._sharpness * (functional.normalize(rows.float()) @ pairs.T)

    def pair_loss(self, rows: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return functional.cross_entropy(self.compatibility(rows, self.embedded(self._seen_pairs, generator)), self._targets[labels])

    def state(self) -> dict[str, np.ndarray]:
        """Return the text embeddings of all states × all objects: scores need neither the model nor its folder then."""
        kept = super().state()  # refuses before fit
        every = all_pairs(len(self.space.states), len(self.space.objects))
        scale = np.array([self._sharpness], dtype=np.float32)
        return {"pairs": self.embed(every).cpu().numpy(), "logit_scale": scale, "centre": kept["centre"]}

    def load_state(self, state: Mapping[str, np.ndarray], space: CompositionSpace) -> None:
        self._fitted = False
        columns = len(state["centre"]) if "centre" in state else 0
        wanted = {"pairs": (len(space.states) * len(space.objects), columns), "logit_scale": (1,), "centre": (columns,)}
        shapes = {name: value.shape for name, value in state.items()}
        if shapes != wanted:
            raise InvalidInputError(f"the state of `{self.name}` holds arrays of these shapes: {wanted}", received=shapes)
        self.space, self._place = space, resolve_device(self.device)
        self._centre, self._scale = np.zeros(columns, np.float32), np.ones(columns, np.float32)
        self._table, self._sharpness = torch.from_numpy(state["pairs"].copy()).to(self._place), float(state["logit_scale"][0])
        self._fitted = True


class SoftPrompts(nn.Module):
    """A vector per state and one per object."""

    def __init__(self, states: torch.Tensor, objects: torch.Tensor) -> None:
        super().__init__()
        self.states, self.objects = nn.Parameter(states), nn.Parameter(objects)

    def reset(self, generator: torch.Generator) -> None:
        """Leave the vectors where they start."""
