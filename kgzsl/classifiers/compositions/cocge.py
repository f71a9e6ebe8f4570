"""Co-CGE: compositional cosine graph embeddings (Mancini et al., TPAMI 2022).

Method
------
CGE with cosines: the compatibility is cos(ω(x), φ(s, o)), and the loss a cross-entropy of it at a scale 1/T. In the open world all
states × objects are pairs of the graph, and how feasible each is decides how it is treated. With cosines of the embedded states and
objects, and O_s the objects seen in the state s, S_o the states seen of the object o (CompCos, equations 4-6),

    ρ(s, o) = ½ (max_{o' in O_s} cos(o, o') + max_{s' in S_o} cos(s, s')),     1 for a seen pair.

Edges of an unseen pair weigh max(0, ρ), those of a seen one 1. The cross-entropy goes over all pairs, an unseen one's compatibility
being lowered by α ρ: the more feasible it is, the less training pushes it away. α grows over the first epochs; the first
epoch knows the seen pairs alone. ρ is computed again from what was learned, every `update_every` epochs.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from kgzsl.classifiers.compositions.cge import CGE
from kgzsl.classifiers.compositions.feasibility import seen_table, similarity_feasibility
from kgzsl.classifiers.compositions.pair_graph import PairGraph
from kgzsl.errors import InvalidInputError


class CoCGE(CGE):
    """CGE with cosines; in the open world with feasibility-weighted edges and margins.

    Parameters
    ----------
    scale : 1/T, of the cosines in the loss.
    margin : α once it is grown. margin_epochs : how many epochs it grows for.
    weighted : weigh the edges of unseen pairs by their feasibility; without it all weigh 1.
    update_every : epochs between updates of the feasibility.
    world : `open` learns over all states × objects; `closed` over the seen pairs, without margins (Co-CGE^CW).
    settings : those of `CGE`.
    """

    name: ClassVar[str] = "cocge"
    source: ClassVar[str] = "Mancini et al., Learning Graph Embeddings for Open World Compositional Zero-Shot Learning, TPAMI 2022"

    def __init__(
        self,
        *,
        scale: float = 20.0,
        margin: float = 0.4,
        margin_epochs: int = 15,
        weighted: bool = True,
        update_every: int = 1,
        world: str = "open",
        **settings: Any,
    ) -> None:
        super().__init__(world=world, **settings)
        if not (0 < scale < np.inf and 0 <= margin < np.inf) or margin_epochs < 1 or update_every < 1:
            raise InvalidInputError(
                "scale is positive, margin not negative, and epochs are counted from 1",
                received=f"scale={scale}, margin={margin}, margin_epochs={margin_epochs}, update_every={update_every}",
            )
        self.scale, self.margin, self.margin_epochs = scale, margin, margin_epochs
        self.weighted, self.update_every = weighted, update_every
        #: ρ `[states, objects]` as last computed; None before, and in the closed world.
        self.feasibility: np.ndarray | None = None

    def settings(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("scale", "margin", "margin_epochs", "weighted", "update_every")}
        return {**super().settings(), **own}

    def compatibility(self, images: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        """Return the cosines `[rows, pairs]`; the rows of `pairs` have length 1."""
        return functional.normalize(images) @ pairs.T

    def start_epoch(self, epoch: int) -> None:
        if self.world == "open" and epoch > 1:
            self._grown = min(1.0, epoch / self.margin_epochs)
            if (epoch - 2) % self.update_every == 0:
                self._set_feasibility(self._feasibility())

    def loss(self, features: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        images, pairs = self._images(features, generator), self._network(*self._train_field, generator)
        logits = self.compatibility(images, pairs)
        if self.feasibility is not None:
            logits = logits - self.margin * self._grown * self._unseen
        return functional.cross_entropy(self.scale * logits, self._targets[labels])

    def snapshot(self) -> dict[str, Any]:
        return {"modules": super().snapshot(), "graph": self.graph, "feasibility": self.feasibility}

    def restore(self, snapshot: dict[str, Any]) -> None:
        super().restore(snapshot["modules"])
        self.graph, self.feasibility = snapshot["graph"], snapshot["feasibility"]

    def _prepare(self) -> None:
        self.feasibility = None
        super()._prepare()

    def _set_feasibility(self, feasibility: np.ndarray) -> None:
        """Take edges and margins from ρ: from now on all pairs of the open world are learned over."""
        space, first = self._space, self.feasibility is None
        if first or self.weighted:
            weights = np.maximum(feasibility, 0) if self.weighted else None
            self.graph = PairGraph(self._graph_network(), space, self._knowledge, world="open", weights=weights)
            self._train_field = self.graph.training(self.graph.pairs)
        assert self.graph is not None
        self.feasibility, device = feasibility, self.graph.device
        unseen = np.where(seen_table(self._space), 0, feasibility).astype(np.float32)
        self._unseen = torch.from_numpy(unseen.ravel()).to(device)
        self._targets = torch.from_numpy(space.pairs[:, 0] * len(space.objects) + space.pairs[:, 1]).to(device)

    @torch.no_grad()
    def _feasibility(self) -> np.ndarray:
        assert self.graph is not None
        rows = self._network(*self.graph.concepts()).float().cpu().numpy()
        states = len(self._space.states)
        return similarity_feasibility(rows[:states], rows[states:], seen_table(self._space))
