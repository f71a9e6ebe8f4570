"""Link prediction: TransE, RotatE, DistMult and ComplEx of PyKEEN as models of completion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from kgzsl.completion.answers import Questions, answers_loss
from kgzsl.completion.link_base import LinkModel
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL
from kgzsl.encoders.triples import Triples as CorruptibleTriples
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import SIDES
from kgzsl.registry import Resolver


class DotLinks(LinkModel):
    """Models whose score is an inner product: all entities are answers of every question, with the 3-norm of Lacroix et al.

    Parameters
    ----------
    regularisation : weight of the sum of the cubed moduli of head, relation and tail.
    dim, epochs, batch_size, learning_rate, optimiser, evaluate_every, patience, precision, checkpoint : see `LinkModel`; a batch is one
        of questions.
    """

    def __init__(
        self,
        *,
        dim: int,
        regularisation: float = 0.05,
        epochs: int = 50,
        batch_size: int = 500,
        learning_rate: float = 0.1,
        optimiser: str = "adagrad",
        evaluate_every: int = 5,
        patience: int = 10,
        **settings: Any,
    ) -> None:
        shared: dict[str, Any] = {"dim": dim, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
        super().__init__(**shared, optimiser=optimiser, evaluate_every=evaluate_every, patience=patience, **settings)
        if not 0 <= regularisation < math.inf:
            raise InvalidInputError("regularisation is finite, 0 or more", received=repr(regularisation))
        self.regularisation = regularisation

    def cubed(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the sum of the cubed moduli of each flat vector, `[n]`."""
        squares = vectors.square().unflatten(1, (-1, 2)).sum(dim=2) if self.is_complex else vectors.square()
        return (squares.clamp_min(1e-20) ** 1.5).sum(dim=1)

    def _losses(self, triples: np.ndarray, generator: torch.Generator) -> Callable[[], Iterable[Callable[[], torch.Tensor]]]:
        questions = Questions(triples, generator.device)
        dtype = getattr(torch, self.precision)

        def epoch() -> Iterable[Callable[[], torch.Tensor]]:
            for batch in questions.batches(self.batch_size, generator):
                yield lambda batch=batch: answers_loss(self, questions, batch, self.regularisation, dtype)  # type: ignore[misc]

        return epoch


class DistMultLinks(DotLinks):
    """DistMult: a relation weighs the products of two entities' columns; all answers, 3-norm.

    Parameters
    ----------
    dim, regularisation, epochs, batch_size, learning_rate, optimiser, evaluate_every, patience, precision, checkpoint : see `DotLinks`.
    """

    name = "distmult"
    source = "Yang et al., Embedding Entities and Relations for Learning and Inference in Knowledge Bases, ICLR 2015 (by PyKEEN)"
    is_complex = False

    def __init__(self, *, dim: int = 200, **settings: Any) -> None:
        super().__init__(dim=dim, **settings)

    def _network(self, **shared: Any) -> Any:
        from pykeen.models import DistMult
        from torch.nn.init import normal_

        start: dict[str, Any] = {"initializer": normal_, "initializer_kwargs": {"std": 1e-2}}
        return DistMult(
            entity_constrainer=None, regularizer=None, entity_representations_kwargs=start, relation_representations_kwargs=start, **shared
        )

    def query(self, given: torch.Tensor, relation: torch.Tensor, side: str) -> torch.Tensor:
        """Return `e ⊙ r`; see `LinkModel.query`."""
        return given * relation


class ComplExLinks(DotLinks):
    """ComplEx: the real part of a trilinear product of complex numbers; all answers, 3-norm.

    Parameters
    ----------
    dim, regularisation, epochs, batch_size, learning_rate, optimiser, evaluate_every, patience, precision, checkpoint : see `DotLinks`.
    """

    name = "complex"
    source = "Trouillon et al., ICML 2016, trained as by Lacroix et al., ICML 2018 (by PyKEEN)"
    is_complex = True

    def __init__(self, *, dim: int = 100, **settings: Any) -> None:
        super().__init__(dim=dim, **settings)

    def _network(self, **shared: Any) -> Any:
        from pykeen.models import ComplEx

        return ComplEx(entity_initializer=_small, relation_initializer=_small, regularizer=None, **shared)

    def query(self, given: torch.Tensor, relation: torch.Tensor, side: str) -> torch.Tensor:
        """Return `e_h ⊙ r`, or `e_t ⊙ conj(r)` where the head is asked for; see `LinkModel.query`."""
        return self.flat(_turned(self._unflat(given), self._unflat(relation), side))


def _small(values: torch.Tensor) -> torch.Tensor:
    return torch.nn.init.normal_(values, std=1e-2)


def _turned(given: torch.Tensor, relation: torch.Tensor, side: str) -> torch.Tensor:
    return given * (relation if side == "tail" else relation.conj())


class DistanceLinks(LinkModel):
    """Models whose score is a negative distance: true triples against corrupted ones, self-adversarially weighted (Sun et al. 2019).

    Parameters
    ----------
    margin, temperature : γ, and that of the self-adversarial weights.
    negatives : corrupted triples per triple, which are no true ones; heads and tails are replaced in turns, batch by batch.
    dim, epochs, batch_size, learning_rate, optimiser, evaluate_every, patience, precision, checkpoint : see `LinkModel`; a batch is one
        of triples.
    """

    def __init__(
        self,
        *,
        dim: int = 100,
        margin: float = 9.0,
        temperature: float = 1.0,
        negatives: int = 32,
        epochs: int = 300,
        batch_size: int = 512,
        learning_rate: float = 1e-2,
        optimiser: str = "adam",
        evaluate_every: int = 10,
        patience: int = 50,
        **settings: Any,
    ) -> None:
        shared: dict[str, Any] = {"dim": dim, "epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
        super().__init__(**shared, optimiser=optimiser, evaluate_every=evaluate_every, patience=patience, **settings)
        if negatives < 1 or not 0 < margin < math.inf or not 0 <= temperature < math.inf:
            raise InvalidInputError(
                "negatives are at least 1, margin is positive, temperature 0 or more", received=f"{negatives}, {margin}, {temperature}"
            )
        self.margin, self.temperature, self.negatives = margin, temperature, negatives

    def _loss(self) -> Any:
        from pykeen.losses import NSSALoss

        return NSSALoss(margin=self.margin, adversarial_temperature=self.temperature)

    def _losses(self, triples: np.ndarray, generator: torch.Generator) -> Callable[[], Iterable[Callable[[], torch.Tensor]]]:
        known = CorruptibleTriples(triples, len(self.entities), len(self.relations), generator.device)

        def epoch() -> Iterable[Callable[[], torch.Tensor]]:
            for number, batch in enumerate(known.batches(self.batch_size, generator)):
                side = SIDES[number % 2]
                yield lambda batch=batch, side=side: self._batch_loss(known, batch, side, generator)  # type: ignore[misc]

        return epoch

    def _batch_loss(self, known: CorruptibleTriples, batch: torch.Tensor, side: str, generator: torch.Generator) -> torch.Tensor:
        """Return PyKEEN's loss of a batch whose tails, or heads, are replaced."""
        given, answer = (HEAD, TAIL) if side == "tail" else (TAIL, HEAD)
        wrong = known.corrupted(batch.repeat_interleave(self.negatives, dim=0), answer, generator)[:, answer]
        entities, relations = self._whole()
        used = functional.embedding(torch.cat([batch[:, given], batch[:, answer], wrong]), entities)  # one gradient for all uses
        query = self.query(used[: len(batch)], functional.embedding(batch[:, RELATION], relations), side)
        right, others = used[len(batch) : 2 * len(batch)], used[2 * len(batch) :].view(len(batch), self.negatives, -1)
        distances = [torch.linalg.vector_norm(query[:, None] - e, ord=self.norm, dim=2) for e in (right[:, None], others)]
        loss: torch.Tensor = self.network.loss.process_slcwa_scores(-distances[0], -distances[1])
        return loss


class TransELinks(DistanceLinks):
    """TransE: a relation is a translation; L1 distance, self-adversarial negatives.

    Parameters
    ----------
    dim, margin, temperature, negatives, epochs, batch_size, learning_rate, optimiser, evaluate_every, patience, precision,
        checkpoint : see `DistanceLinks`.
    """

    name = "transe"
    source = "Bordes et al., NeurIPS 2013, trained as by Sun et al., ICLR 2019 (by PyKEEN)"
    is_complex = False
    norm = 1

    def _network(self, **shared: Any) -> Any:
        from pykeen.models import TransE

        return TransE(scoring_fct_norm=1, entity_constrainer=None, loss=self._loss(), **shared)

    def query(self, given: torch.Tensor, relation: torch.Tensor, side: str) -> torch.Tensor:
        """Return `e_h + r`, or `e_t − r` where the head is asked for; see `LinkModel.query`."""
        return given + relation if side == "tail" else given - relation


class RotatELinks(DistanceLinks):
    """RotatE: a relation is a rotation of complex numbers; self-adversarial negatives.

    Parameters
    ----------
    dim, margin, temperature, negatives, epochs, batch_size, learning_rate, optimiser, evaluate_every, patience, precision,
        checkpoint : see `DistanceLinks`.
    """

    name = "rotate"
    source = "Sun et al., RotatE: Knowledge Graph Embedding by Relational Rotation in Complex Space, ICLR 2019 (by PyKEEN)"
    is_complex = True
    norm = 2

    def _network(self, **shared: Any) -> Any:
        from pykeen.models import RotatE

        return RotatE(loss=self._loss(), **shared)

    def query(self, given: torch.Tensor, relation: torch.Tensor, side: str) -> torch.Tensor:
        """Return `e_h ⊙ r`, or `e_t ⊙ conj(r)` where the head is asked for (|r| = 1); see `LinkModel.query`."""
        return self.flat(_turned(self._unflat(given), self._unflat(relation), side))


#: Third parties add theirs through the entry-point group `kgzsl.link-models`.
LINK_MODELS: Resolver[LinkModel] = Resolver("link-models", LinkModel, [ComplExLinks, DistMultLinks, RotatELinks, TransELinks])  # type: ignore[type-abstract]
