"""Two training options of every trained method: similarity-guided over-sampling of pairs and adversarial perturbation of primitives.

Both follow PBadv (Li et al., Contextual Interaction via Primitive-Based Adversarial Training for Compositional Zero-Shot Learning,
2024), written from its abstract and after a look at the authors' code, not from the paper's text. What differs is said at each: there
both act on the hidden features of one network with a branch for states and one for objects; here on feature rows, which
every method has.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from kgzsl.errors import InvalidInputError

#: Strengths of an attack, as shares of the largest one; one of them is drawn for every batch, as published (0, 0.005, 0.05, 0.5).
STRENGTHS = (0.0, 0.01, 0.1, 1.0)
Primitives = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def check_augmentation(oversampling: float, adversarial: float) -> None:
    """Raise InvalidInputError unless both options are switched off (0) or sensible."""
    if not 0 <= oversampling <= 4 or not 0 <= adversarial < float("inf"):
        raise InvalidInputError(
            "oversampling adds 0 to 4 rows for each row, and an attack's strength is at least 0",
            received=f"{oversampling} and {adversarial}",
        )


def attacked(
    rows: torch.Tensor, states: torch.Tensor, objects: torch.Tensor, primitives: Primitives, strength: float, generator: torch.Generator
) -> torch.Tensor:
    """Return rows moved to where their state, and where their object, is harder to tell: PBadv's attack.

    x' = x + ε_s sign(∂ loss_state / ∂x) + ε_o sign(∂ loss_object / ∂x), the fast gradient sign of Goodfellow et al. (2015), with ε_s and
    ε_o drawn from `strength` × `STRENGTHS`. Published: each sign is added to the hidden features of that primitive's own branch.

    Parameters
    ----------
    rows : standardised features, `[rows, dim]`.
    states, objects : their labels, int64 `[rows]`.
    primitives : rows → logits of states and of objects.
    """
    drawn = torch.randint(len(STRENGTHS), (2,), generator=generator, device=generator.device).tolist()
    if not any(STRENGTHS[d] for d in drawn):
        return rows.detach()
    with torch.enable_grad():
        moved = rows.detach().requires_grad_()
        logits = primitives(moved)
        losses = [functional.cross_entropy(of.float(), truth) for of, truth in zip(logits, (states, objects), strict=True)]
        slopes = [torch.autograd.grad(loss, moved, retain_graph=True)[0] for loss in losses]
    steps = [strength * STRENGTHS[d] * slope.sign() for d, slope in zip(drawn, slopes, strict=True)]
    return (moved + steps[0] + steps[1]).detach()


class Oversampling:
    """Additional rows for pairs that are still told badly, made of two images of the pair's state.

    A seen pair (s, o) is drawn with the probability softmax(1 − its training accuracy); one image is of the pair, the other of (s, o'),
    o' being drawn among the objects seen with s with the probability softmax(cos(o, o') / temperature): the state is the same, and
    objects alike show it alike. The row is the mean of both. Published: the first image is any of the object, and a network composes
    the state branch of one with the object branch of the other; a mean would keep half of a wrong state.

    Parameters
    ----------
    share : additional rows for each row of a batch.
    features : standardised training rows `[rows, dim]`.
    targets : position of each row's pair among the seen pairs, int64 `[rows]`.
    pairs : the seen pairs, positions of state and object, int64 `[seen, 2]`.
    labels : position of each seen pair in the space's pairs, int64 `[seen]`.
    objects : vectors of the objects at length 1, `[objects, dim]`.
    """

    def __init__(
        self,
        share: float,
        features: torch.Tensor,
        targets: torch.Tensor,
        pairs: torch.Tensor,
        labels: torch.Tensor,
        objects: torch.Tensor,
        temperature: float = 0.1,
    ) -> None:
        self.share, self._features, self._labels, self._pairs = share, features, labels, pairs
        self._rows = torch.argsort(targets, stable=True)
        self._count = torch.bincount(targets, minlength=len(pairs))
        self._start = self._count.cumsum(0) - self._count
        self._chance = torch.where(self._count > 0, 1.0, 0.0)  # a seen pair of the space need not have rows in this training part
        self._cosines = (objects @ objects.T) / temperature

    def update(self, accuracy: torch.Tensor) -> None:
        """Take the training accuracy of every seen pair, in 0…1, `[seen]`."""
        self._chance = torch.where(self._count > 0, (1 - accuracy).exp(), 0.0)

    def extend(self, rows: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a batch with its additional rows after it, and the positions of their pairs in the space's pairs."""
        more = round(self.share * len(rows))
        if not more:
            return rows, labels
        pair = torch.multinomial(self._chance, more, replacement=True, generator=generator)
        like = self._cosines[self._pairs[pair, 1]][:, self._pairs[:, 1]]
        shared = (self._pairs[pair, 0][:, None] == self._pairs[None, :, 0]) & (self._count > 0)
        partner = torch.multinomial(like.masked_fill(~shared, -torch.inf).softmax(1), 1, generator=generator)[:, 0]
        made = (self._image(pair, generator) + self._image(partner, generator)) / 2
        return torch.cat([rows, made]), torch.cat([labels, self._labels[pair]])

    def _image(self, pair: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """One row of each pair, every one as likely."""
        where = torch.rand(len(pair), generator=generator, device=pair.device) * self._count[pair]
        return self._features[self._rows[self._start[pair] + where.long().clamp_max(self._count[pair] - 1)]]
