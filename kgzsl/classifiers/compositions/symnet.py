"""SymNet: attaching and detaching a state are transformations with the axioms of a group (Li et al., CVPR 2020).

Method
------
An image embedding f is transformed by the coupling network T₊(f, a), which attaches the state a, and the decoupling network T₋(f, a),
which takes it away (section 3.1). With a the image's state and b another one, drawn for every row, the losses are (section 3.2 and 3.3)

    symmetry        ‖f − T₊(f, a)‖ + ‖f − T₋(f, b)‖
    closure         ‖T₊(T₋(f, a), a) − T₊(f, a)‖ + ‖T₋(T₊(f, b), b) − T₋(f, b)‖
    invertibility   ‖T₊(T₋(f, a), a) − f‖ + ‖T₋(T₊(f, b), b) − f‖
    commutativity   ‖T₊(T₋(f, a), b) − T₋(T₊(f, b), a)‖

the cross-entropies of states and objects on f and on what the networks make of it, and a triplet loss on the relative moving distance:
with d₊ = ‖f − T₊(f, s)‖ and d₋ = ‖f − T₋(f, s)‖ a state that is there moves f little when attached and much when taken away,

    [d₊ − d₋ + m]₊ for s = a, the mean of [d₋ − d₊ + m]₊ over all others.

At test p(s | x) is the softmax of d₋ − d₊ over states, p(o | x) that of the object classifier, and the score is their product.

The weights of the losses are the published code's as remembered, and the triplets of states that are not there are averaged here; T₊ and
T₋ attend to f by the state's vector and map both (section 3.4), the state's vector being its word.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from kgzsl.classifiers.compositions.image_head import ImageHead
from kgzsl.classifiers.compositions.trained import TrainedCompositions, Words
from kgzsl.classifiers.compositions.words import check_sizes
from kgzsl.errors import InvalidInputError

WEIGHTS = ("symmetry", "axioms", "states", "objects", "triplets")


class SymNet(TrainedCompositions):
    """States as transformations of an image's embedding, by the axioms of a group.

    Parameters
    ----------
    embedding : columns of f.
    hidden : columns of the hidden layer of the image's network and of the transformations.
    dropout : of features and hidden values while training.
    margin : m.
    sharpness : of the softmax over d₋ − d₊; distances are small numbers.
    symmetry, axioms, states, objects, triplets : weights of the losses.
    training : see `TrainedCompositions`.
    """

    name = "symnet"
    source = "Li et al., Symmetry and Group in Attribute-Object Compositions, CVPR 2020, section 3"

    def __init__(
        self,
        *,
        embedding: int = 300,
        hidden: int = 300,
        dropout: float = 0.3,
        margin: float = 0.5,
        sharpness: float = 1.0,
        symmetry: float = 0.05,
        axioms: float = 0.01,
        states: float = 1.0,
        objects: float = 1.0,
        triplets: float = 0.5,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        check_sizes(embedding, [hidden], dropout)
        weights = (symmetry, axioms, states, objects, triplets)
        if not margin > 0 or not sharpness > 0 or min(weights) < 0:
            raise InvalidInputError("margin and sharpness are positive, weights not negative", received=f"{margin}, {sharpness}, {weights}")
        self.embedding, self.hidden, self.dropout, self.margin, self.sharpness = embedding, hidden, dropout, margin, sharpness
        self.symmetry, self.axioms, self.states, self.objects, self.triplets = weights

    def build(self, columns: int, words: Words | None) -> nn.Module:
        assert words is not None
        sizes = columns, self.embedding, self.hidden, len(words[1])
        return GroupNetwork(*sizes, torch.from_numpy(words[0].copy()), self.dropout)

    def row_values(self) -> int:
        return 2 * len(self.space.states) * max(self.embedding + self._dim, self.hidden)

    def embedded(self, pairs: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """A pair is its state's and its object's position."""
        return pairs

    def primitive_logits(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        f = self.network.images(rows)
        attach, detach = self.moved(f)
        return self.sharpness * (detach - attach), self.network.objects(f)

    def compatibility(self, rows: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        state, obj = (logits.float().log_softmax(1) for logits in self.primitive_logits(rows))
        return state[:, pairs[:, 0]] + obj[:, pairs[:, 1]]

    def moved(self, f: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return d₊ and d₋ of rows for every state, `[rows, states]` each."""
        every = torch.arange(len(self.space.states), device=f.device)
        rows, states = f[:, None].expand(-1, len(every), -1), every.expand(len(f), -1)
        n = self.network
        return distance(f[:, None], n.couple(rows, n.words[states])), distance(f[:, None], n.decouple(rows, n.words[states]))

    def pair_loss(self, rows: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        count = len(self.space.states)
        state, obj = self._pairs[labels].T
        other = (state + torch.randint(1, count, state.shape, generator=generator, device=rows.device)) % count
        n = self.network
        f = n.images(rows, generator)
        a, b = n.words[state], n.words[other]
        with_a, without_a, with_b, without_b = n.couple(f, a), n.decouple(f, a), n.couple(f, b), n.decouple(f, b)
        again, back = n.couple(without_a, a), n.decouple(with_b, b)
        symmetry = distance(f, with_a) + distance(f, without_b)
        closure = distance(again, with_a) + distance(back, without_b)
        invertibility = distance(again, f) + distance(back, f)
        commutativity = distance(n.couple(without_a, b), n.decouple(with_b, a))
        attach, detach = self.moved(f)
        total = self.symmetry * symmetry.mean() + self.axioms * (closure + invertibility + commutativity).mean()
        total = total + self.triplets * triplets(attach, detach, state, self.margin)
        total = total + self.states * (
            functional.cross_entropy(self.sharpness * (detach - attach), state)
            + functional.cross_entropy(n.states(f).float(), state)
            + functional.cross_entropy(n.states(with_b).float(), other)
        )
        kept = torch.stack([functional.cross_entropy(n.objects(g).float(), obj) for g in (f, without_a, with_b)])
        return total + self.objects * kept.sum()


def distance(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean distances of rows, in float32; at 0 the gradient is 0."""
    squares = (left.float() - right.float()).square().sum(-1)
    return torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)


def triplets(attach: torch.Tensor, detach: torch.Tensor, state: torch.Tensor, margin: float) -> torch.Tensor:
    """Return the mean triplet loss of the relative moving distances `[rows, states]`."""
    own = state[:, None]
    there = (attach.gather(1, own) - detach.gather(1, own) + margin).clamp_min(0)[:, 0]
    others = (detach - attach + margin).clamp_min(0)
    absent = (others.sum(1) - others.gather(1, own)[:, 0]) / max(attach.shape[1] - 1, 1)
    return (there + absent).mean()


class GroupNetwork(nn.Module):
    """Images → f, T₊, T₋, and the classifiers of states and objects on f.

    Parameters
    ----------
    words : vectors of the states, `[states, dim]`; they are not learned.
    """

    def __init__(self, columns: int, embedding: int, hidden: int, objects: int, words: torch.Tensor, dropout: float) -> None:
        super().__init__()
        self.register_buffer("words", words)
        self.images = ImageHead([columns, hidden, embedding], dropout)
        self.couple, self.decouple = (Transformation(embedding, words.shape[1], hidden) for _ in range(2))
        self.states, self.objects = ImageHead([embedding, len(words)], dropout), ImageHead([embedding, objects], dropout)

    def reset(self, generator: torch.Generator) -> None:
        """Draw the weights."""
        for part in (self.images, self.couple, self.decouple, self.states, self.objects):
            part.reset(generator)


class Transformation(nn.Module):
    """f and the vector of a state → f with the state attached, or taken away: f is attended to by the state, both are mapped."""

    def __init__(self, embedding: int, words: int, hidden: int) -> None:
        super().__init__()
        self.attention, self.map = ImageHead([words, embedding], 0.0), ImageHead([embedding + words, hidden, embedding], 0.0)

    def reset(self, generator: torch.Generator) -> None:
        """Draw the weights."""
        self.attention.reset(generator)
        self.map.reset(generator)

    def forward(self, f: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Return rows like `f` `[…, embedding]` for the states' vectors `[…, dim]`."""
        attended = f * torch.sigmoid(self.attention(words)) + f
        changed: torch.Tensor = self.map(torch.cat([attended, words], dim=-1))
        return changed
