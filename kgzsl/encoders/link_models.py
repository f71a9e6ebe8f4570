"""TransE, RotatE and ComplEx: embeddings of nodes that predict links, with PyKEEN's models and losses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kgzsl.devices import resolve_device
from kgzsl.encoders.triples import HEAD, TAIL, Triples, stated_view
from kgzsl.encoders.unsupervised import UnsupervisedEncoder
from kgzsl.errors import DivergedError, InvalidInputError, require
from kgzsl.matrices import Vectors
from kgzsl.progress import track

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
}


class LinkModel(UnsupervisedEncoder):
    """A link model of PyKEEN on the triples of the graph; its vectors of nodes are the embeddings.

    Models, losses, regularisers and constraints are PyKEEN's; batches and corrupted triples are drawn here, all at once and from
    one generator (PyKEEN's own loop seeds the global generators, and takes triples one by one). Every corrupted triple has another
    head or another tail, by chance, and is no true one.

    Parameters
    ----------
    relations : that make the triples; None takes all of the graph.
    dim : of a vector; complex numbers where the model has them, which make twice as many columns.
    epochs, batch_size, learning_rate : passes over the triples, and the optimiser's step.
    negatives : corrupted triples per triple.
    optimiser : a name from `OPTIMISERS`; each model's own is the published one.
    seed, device : see `UnsupervisedEncoder`.
    """

    def __init__(
        self,
        *,
        dim: int,
        epochs: int,
        batch_size: int,
        negatives: int,
        learning_rate: float,
        optimiser: str,
        relations: Sequence[str] | None = None,
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        super().__init__(seed=seed, device=device)
        if min(dim, epochs, batch_size, negatives) < 1 or not learning_rate > 0:
            raise InvalidInputError(
                "dim, epochs, batch_size and negatives are at least 1, and learning_rate is positive",
                received=f"{dim}, {epochs}, {batch_size}, {negatives}, {learning_rate}",
            )
        if optimiser not in OPTIMISERS:
            raise InvalidInputError("a known optimiser is needed", received=repr(optimiser), remedy=f"choose from: {', '.join(OPTIMISERS)}")
        self.optimiser = optimiser
        self.dim, self.epochs, self.batch_size, self.negatives, self.learning_rate = dim, epochs, batch_size, negatives, learning_rate
        self.relations = None if relations is None else list(relations)

    def settings(self) -> dict[str, Any]:
        return {
            "dim": self.dim,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "negatives": self.negatives,
            "learning_rate": self.learning_rate,
            "optimiser": self.optimiser,
            "relations": self.relations,
            **super().settings(),
        }

    def view(self, graph: KnowledgeGraph) -> View:
        return stated_view(graph, self.relations)

    @abstractmethod
    def _model(self, **shared: Any) -> Any:
        """Return PyKEEN's untrained model with its loss; `shared` goes to its constructor."""

    def _train(self, view: View, vectors: Vectors) -> np.ndarray:
        device = resolve_device(self.device)
        triples = Triples.of(view, device)
        model = self._untrained(triples).to(device)
        generator = torch.Generator(device).manual_seed(self.seed + 1)
        optimiser = OPTIMISERS[self.optimiser](model.parameters(), lr=self.learning_rate)
        for epoch in track(range(1, self.epochs + 1), f"{self.name}: training"):
            total = torch.zeros((), device=device)
            for batch in triples.batches(self.batch_size, generator):
                optimiser.zero_grad(set_to_none=True)
                loss = link_loss(model, batch, corrupt(triples, batch, self.negatives, generator))
                loss.backward()
                optimiser.step()
                model.post_parameter_update()
                total += loss.detach()
            if not torch.isfinite(total):
                raise DivergedError("the training loss must stay finite", received=f"epoch {epoch}", remedy="lower the learning rate")
        with torch.no_grad():
            return _real(model.entity_representations[0](indices=None)).cpu().numpy()

    def _untrained(self, triples: Triples) -> Any:
        require("pykeen", "kge")
        from pykeen.triples import CoreTriplesFactory
        from pykeen.utils import NoRandomSeedNecessary

        factory = CoreTriplesFactory(triples.all.cpu(), num_entities=triples.nodes, num_relations=triples.relations)
        with torch.random.fork_rng(devices=[]):  # its initial values come from the global generator, which stays as it was
            torch.manual_seed(self.seed)
            return self._model(triples_factory=factory, embedding_dim=self.dim, random_seed=NoRandomSeedNecessary)


def corrupt(triples: Triples, batch: torch.Tensor, count: int, generator: torch.Generator) -> torch.Tensor:
    """Return `count` corrupted triples per triple, `[batch, count, 3]`; each has another head or tail, by chance."""
    repeated = batch.repeat_interleave(count, dim=0)
    heads, tails = (triples.corrupted(repeated, side, generator) for side in (HEAD, TAIL))
    coin = torch.rand(len(repeated), 1, generator=generator, device=batch.device) < 0.5
    return torch.where(coin, heads, tails).view(len(batch), count, 3)


def link_loss(model: Any, batch: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """Return the loss of PyKEEN's `model` on true `[batch, 3]` and corrupted `[batch, count, 3]` triples, with its regularisers."""
    positive = model.score_hrt(batch)
    negative = model.score_hrt(negatives.reshape(-1, 3)).view(len(batch), -1)
    loss: torch.Tensor = model.loss.process_slcwa_scores(positive, negative) + model.collect_regularization_term()
    return loss.sum()  # a regulariser's term has one value on an axis


def _real(vectors: torch.Tensor) -> torch.Tensor:
    """Real parts, then imaginary parts, of complex vectors; real ones as they are."""
    return torch.cat([vectors.real, vectors.imag], dim=1) if vectors.is_complex() else vectors


class TransE(LinkModel):
    """TransE: a relation is a translation; margin ranking with L1 distance, summed over a batch, nodes at length 1.

    Parameters
    ----------
    margin : between a true and a corrupted triple's distance.
    dim, epochs, batch_size, negatives, learning_rate, optimiser, relations, seed, device : see `LinkModel`.
    """

    name = "transe"
    source = "Bordes et al., Translating Embeddings for Modeling Multi-relational Data, NeurIPS 2013 (by PyKEEN)"

    def __init__(
        self,
        *,
        margin: float = 1.0,
        dim: int = 50,
        epochs: int = 1000,
        batch_size: int = 1024,
        negatives: int = 1,
        learning_rate: float = 0.01,
        optimiser: str = "sgd",
        **settings: Any,
    ) -> None:
        shared: dict[str, Any] = {"dim": dim, "epochs": epochs, "batch_size": batch_size, "negatives": negatives}
        super().__init__(**shared, learning_rate=learning_rate, optimiser=optimiser, **settings)
        self.margin = margin

    def settings(self) -> dict[str, Any]:
        return {"margin": self.margin, **super().settings()}

    def _model(self, **shared: Any) -> Any:
        from pykeen.losses import MarginRankingLoss
        from pykeen.models import TransE as Model

        return Model(scoring_fct_norm=1, loss=MarginRankingLoss(margin=self.margin, reduction="sum"), **shared)


class RotatE(LinkModel):
    """RotatE: a relation is a rotation of complex numbers; self-adversarial negatives.

    Parameters
    ----------
    margin, temperature : γ, and that of the self-adversarial weights.
    dim, epochs, batch_size, negatives, learning_rate, optimiser, relations, seed, device : see `LinkModel`; published for WN18RR, where
        80,000 steps make about 470 epochs.
    """

    name = "rotate"
    source = "Sun et al., RotatE: Knowledge Graph Embedding by Relational Rotation in Complex Space, ICLR 2019 (by PyKEEN)"

    def __init__(
        self,
        *,
        margin: float = 6.0,
        temperature: float = 0.5,
        dim: int = 500,
        epochs: int = 470,
        batch_size: int = 512,
        negatives: int = 1024,
        learning_rate: float = 5e-5,
        optimiser: str = "adam",
        **settings: Any,
    ) -> None:
        shared: dict[str, Any] = {"dim": dim, "epochs": epochs, "batch_size": batch_size, "negatives": negatives}
        super().__init__(**shared, learning_rate=learning_rate, optimiser=optimiser, **settings)
        self.margin, self.temperature = margin, temperature

    def settings(self) -> dict[str, Any]:
        return {"margin": self.margin, "temperature": self.temperature, **super().settings()}

    def _model(self, **shared: Any) -> Any:
        from pykeen.losses import NSSALoss
        from pykeen.models import RotatE as Model

        return Model(loss=NSSALoss(margin=self.margin, adversarial_temperature=self.temperature), **shared)


class ComplEx(LinkModel):
    """ComplEx: the real part of a trilinear product of complex numbers; logistic loss, Adagrad.

    Parameters
    ----------
    regularisation : weight of the mean squared L2 norms of what a batch uses.
    dim, epochs, batch_size, negatives, learning_rate, optimiser, relations, seed, device : see `LinkModel`; published for WN18.
    """

    name = "complex"
    source = "Trouillon et al., Complex Embeddings for Simple Link Prediction, ICML 2016 (by PyKEEN)"

    def __init__(
        self,
        *,
        regularisation: float = 0.03,
        dim: int = 150,
        epochs: int = 1000,
        batch_size: int = 1400,
        negatives: int = 10,
        learning_rate: float = 0.5,
        optimiser: str = "adagrad",
        **settings: Any,
    ) -> None:
        shared: dict[str, Any] = {"dim": dim, "epochs": epochs, "batch_size": batch_size, "negatives": negatives}
        super().__init__(**shared, learning_rate=learning_rate, optimiser=optimiser, **settings)
        self.regularisation = regularisation

    def settings(self) -> dict[str, Any]:
        return {"regularisation": self.regularisation, **super().settings()}

    def _model(self, **shared: Any) -> Any:
        from pykeen.losses import SoftplusLoss
        from pykeen.models import ComplEx as Model
        from pykeen.regularizers import LpRegularizer

        return Model(
            loss=SoftplusLoss(reduction="mean"),
            regularizer=LpRegularizer,
            regularizer_kwargs={"weight": self.regularisation, "p": 2.0, "normalize": True},
            **shared,
        )
