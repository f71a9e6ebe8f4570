"""CompCos: compositional cosine logits, in the closed and in the open world (Mancini et al., CVPR 2021).

Method
------
A pair is a linear map of the concatenated word vectors of its state and object, which are learned too, φ(s, o) = W [w_s, w_o], and is
compared with an embedded image by cosine (section 3.2). In the closed world the loss is the cross-entropy over the seen pairs of

    p(x, (s, o)) = cos(ω(x), φ(s, o)) / T.

In the open world (section 3.3) all states × all objects take part, each unseen pair's cosine being lowered by α ρ(s, o), ρ its feasibility
(see `feasibility`, computed from the words as they are learned): the more feasible a pair is, the less training pushes it away. α grows
over the first epochs, and the first epoch knows only seen pairs. At test pairs less feasible than τ are masked; τ is chosen on
validation rows by the AUC in the open world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kgzsl.classifiers.compositions.base import PairFeatures
from kgzsl.classifiers.compositions.feasibility import seen_table, similarity_feasibility
from kgzsl.classifiers.compositions.image_head import ImageHead
from kgzsl.classifiers.compositions.pair_graph import WORLDS, all_pairs
from kgzsl.classifiers.compositions.trained import TrainedCompositions, Words
from kgzsl.classifiers.compositions.words import WordPairs, check_sizes
from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSpace

#: Thresholds that are tried: so many quantiles of the unseen pairs' feasibility. Larger worlds than this are left to the task's blocks.
QUANTILES, LARGEST = 20, 50_000
#: Below every threshold: nothing is masked.
NONE = -2.0


class CompCos(TrainedCompositions):
    """Cosines of images and composed words; in the open world with margins and a mask by feasibility.

    Parameters
    ----------
    embedding : columns of the common space.
    image_hidden : hidden layers of ω.
    dropout : of hidden values while training.
    scale : 1 / T.
    world : `closed`, or `open`: unseen pairs take part in training, and pairs below the threshold are masked.
    margin : α, reached after `margin_epochs` epochs.
    threshold : τ; None is chosen on validation rows in the open world, and masks nothing in the closed one. Scores are masked whatever
        pairs are asked for; −2 masks nothing, where a task chooses a threshold of its own.
    training : see `TrainedCompositions`.
    """

    name = "compcos"
    source = "Mancini et al., Open World Compositional Zero-Shot Learning, CVPR 2021, sections 3.2 and 3.3"

    def __init__(
        self,
        *,
        embedding: int = 300,
        image_hidden: Sequence[int] = (768,),
        dropout: float = 0.5,
        scale: float = 20.0,
        world: str = "closed",
        margin: float = 0.4,
        margin_epochs: int = 15,
        threshold: float | None = None,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        check_sizes(embedding, image_hidden, dropout)
        if world not in WORLDS:
            raise InvalidInputError(f"world is {' or '.join(WORLDS)}", received=repr(world))
        if not scale > 0 or not margin >= 0 or margin_epochs < 1:
            raise InvalidInputError(
                "scale is positive, margin not negative and margin_epochs at least 1", received=f"{scale}, {margin}, {margin_epochs}"
            )
        self.embedding, self.image_hidden, self.dropout, self.scale = embedding, list(image_hidden), dropout, scale
        self.world, self.margin, self.margin_epochs, self.threshold = world, margin, margin_epochs, threshold
        self._bound = NONE if threshold is None else threshold
        self._table: torch.Tensor | None = None  # the feasibility that the mask asks for

    def build(self, columns: int, words: Words | None) -> nn.Module:
        assert words is not None
        return WordPairs(ImageHead([columns, *self.image_hidden, self.embedding], self.dropout), words, [self.embedding], 0.0)

    def _start(self, space: CompositionSpace, columns: int, words: Words | None) -> None:
        super()._start(space, columns, words)
        self._bound = NONE if self.threshold is None else self.threshold
        self._lowered: torch.Tensor | None = None
        self._table = None
        if self.world == "open":
            every = all_pairs(len(space.states), len(space.objects))
            self._every = torch.from_numpy(every).to(self._place)
            self._flat = self._pairs[:, 0] * len(space.objects) + self._pairs[:, 1]

    def embedded(self, pairs: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return φ at length 1, and beside it the feasibility that the mask asks for, `[pairs, embedding + 1]`, when not training."""
        composed = functional.normalize(self.network.compose(pairs, generator).float())
        if generator is not None or self._bound == NONE:
            return composed
        if self._table is None:
            self._table = torch.from_numpy(self.feasibility()).to(self._place)
        return torch.cat([composed, self._table[pairs[:, 0], pairs[:, 1]][:, None]], dim=1)

    def compatibility(self, rows: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        """Return cosines / T; a masked pair has the least cosine there is."""
        images = functional.normalize(self.network.images(rows).float())
        cosines = images @ pairs[:, : self.embedding].T
        if pairs.shape[1] > self.embedding:
            cosines = cosines.masked_fill(pairs[:, self.embedding] < self._bound, -1.0)
        return self.scale * cosines

    def pair_loss(self, rows: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        images = functional.normalize(self.network.images(rows, generator).float())
        if self._lowered is None:
            cosines = images @ self.embedded(self._seen_pairs, generator).T
            return functional.cross_entropy(self.scale * cosines, self._targets[labels])
        cosines = images @ self.embedded(self._every, generator).T - self._lowered
        return functional.cross_entropy(self.scale * cosines, self._flat[labels])

    def start_epoch(self, epoch: int) -> None:
        super().start_epoch(epoch)
        self._table = None  # words have moved
        if self.world == "open" and epoch > 1:
            unseen = np.where(seen_table(self.space), 0, self.feasibility()).ravel()
            self._lowered = self.margin * min(1.0, epoch / self.margin_epochs) * torch.from_numpy(unseen).to(self._place)

    def feasibility(self) -> np.ndarray:
        """Return ρ from the words as they are learned, float32 `[states, objects]`."""
        states, objects = (p.detach().float().cpu().numpy() for p in (self.network.states, self.network.objects))
        return similarity_feasibility(states, objects, seen_table(self.space)).astype(np.float32)

    def tune(self, validation: PairFeatures) -> None:
        """Choose τ in the open world: the quantile of the unseen pairs' feasibility with the best validation AUC, or none."""
        from kgzsl.metrics.compositional import bias_sweep

        self._table = None
        seen = seen_table(self.space)
        if self.world != "open" or self.threshold is not None or seen.size > LARGEST:
            return
        scores = self._score(validation.matrix, self.embed(self._every.cpu().numpy()))
        table = self.feasibility()
        truth = np.ravel_multi_index(tuple(self.space.pairs[validation.labels].T), seen.shape)
        bounds = [NONE, *np.quantile(table[~seen], np.linspace(0, 0.95, QUANTILES)).tolist()]
        found = [
            float(bias_sweep(np.where(table.ravel() < bound, np.float32(-self.scale), scores), truth, seen.ravel()).auc) for bound in bounds
        ]
        self._bound = float(bounds[int(np.argmax(found))])

    def tuned(self) -> dict[str, np.ndarray]:
        return {"threshold": np.array([self._bound])}

    def take_tuned(self, state: Mapping[str, np.ndarray]) -> None:
        self._bound, self._table = float(state["threshold"][0]), None
