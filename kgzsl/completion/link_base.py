"""What a link model is: vectors of entities and relations in a PyKEEN network, trained until validation MRR falls, and scores.

Models, interactions and losses of corrupted triples are PyKEEN's. Batches are drawn here, from one generator; PyKEEN's own loop seeds
the global ones. A question becomes one vector that is compared with all entities in one dense product, in training as in scoring.
"""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self

import numpy as np
import torch

from kgzsl.completion.base import CompletionModel, TrainingFacts
from kgzsl.datasets.completion_set import RELATION
from kgzsl.devices import resolve_device
from kgzsl.encoders.checkpoint import Checkpoint
from kgzsl.encoders.link_models import OPTIMISERS
from kgzsl.encoders.precision import check_precision
from kgzsl.encoders.training import History
from kgzsl.errors import DivergedError, InvalidInputError, require
from kgzsl.metrics.filtered_ranking import KnownAnswers, Queries, filtered_ranks, ranking_metrics
from kgzsl.progress import track
from kgzsl.registry import parameters

#: Validation triples that early stopping looks at, at most, drawn once.
MOST_VALID = 3_000
#: Share of training that stands in for validation where no validation triple is of a trained relation, at most `MOST_VALID`.
HELD_OUT = 0.02


class LinkModel(CompletionModel):
    """A link model of PyKEEN; entities and relations that training never shows keep their initial vectors.

    Where validation is of other relations than training's (a set split by relation), 2 % of the training triples stand in for it.

    Parameters
    ----------
    dim : of a vector; complex numbers where the model has them.
    epochs, batch_size, learning_rate : the most passes, what a step looks at, and the optimiser's step.
    optimiser : a name from `OPTIMISERS`.
    evaluate_every, patience : epochs between validations, and epochs without a better validation MRR that end training (0: none do).
    precision : of the dense products in training, `float32` or `bfloat16`.
    checkpoint : folder in which the training is kept after every validation, and from which it goes on; None keeps nothing.

    Attributes
    ----------
    entities, relations : their names, once fitted.
    history : losses and 1 − validation MRR by epoch.
    """

    #: `[n, dim]` complex vectors become `[n, 2 · dim]` real ones.
    is_complex: ClassVar[bool]
    #: Which PyKEEN norm compares a question with an entity; None takes the inner product.
    norm: ClassVar[int | None] = None

    def __init__(
        self,
        *,
        dim: int,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        optimiser: str,
        evaluate_every: int,
        patience: int,
        precision: str = "float32",
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> None:
        if min(dim, epochs, batch_size, evaluate_every) < 1 or patience < 0 or not 0 < learning_rate < math.inf:
            raise InvalidInputError(
                "dim, epochs, batch_size and evaluate_every are at least 1, patience at least 0, and learning_rate is positive",
                received=f"{dim}, {epochs}, {batch_size}, {evaluate_every}, {patience}, {learning_rate}",
            )
        if optimiser not in OPTIMISERS:
            raise InvalidInputError("a known optimiser is needed", received=repr(optimiser), remedy=f"choose from: {', '.join(OPTIMISERS)}")
        self.dim, self.epochs, self.batch_size, self.learning_rate = dim, epochs, batch_size, learning_rate
        self.optimiser, self.evaluate_every, self.patience = optimiser, evaluate_every, patience
        self.precision = check_precision(precision)
        self.checkpoint = None if checkpoint is None else str(checkpoint)
        self.entities: tuple[str, ...] = ()
        self.relations: tuple[str, ...] = ()
        self.history = History()

    # ---- what a model is

    @abstractmethod
    def _network(self, **shared: Any) -> Any:
        """Return PyKEEN's untrained model with its loss; `shared` goes to its constructor."""

    @abstractmethod
    def _losses(self, triples: np.ndarray, generator: torch.Generator) -> Callable[[], Iterable[Callable[[], torch.Tensor]]]:
        """Return what gives an epoch's losses, each to be computed when its step comes."""

    @abstractmethod
    def query(self, given: torch.Tensor, relation: torch.Tensor, side: str) -> torch.Tensor:
        """Return the vectors that the answers' vectors are compared with, `[queries, columns]`, from flat vectors of the same shape."""

    # ---- training

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Self:
        """Fit on the training triples; see `CompletionModel.fit`. Vectors of relations are not used.

        Raises
        ------
        DivergedError : the loss is not finite.
        IncompatibleError : the checkpoint is of another training.
        """
        chosen = resolve_device(device)
        facts, valid = stopping_triples(training, seed)
        self.entities, self.relations = training.facts.entities, training.facts.relations
        self.network = self._untrained(facts, seed).to(chosen)
        generator = torch.Generator(chosen).manual_seed(seed + 1)
        optimiser = OPTIMISERS[self.optimiser](self.network.parameters(), lr=self.learning_rate)
        checkpoint = None
        if self.checkpoint is not None:
            identity = {"model": self.name, **self.settings(), "seed": seed, "facts": _digest(facts, valid)}
            checkpoint = Checkpoint(self.checkpoint, identity, generator, self.evaluate_every)
        self._run(self._losses(facts, generator), optimiser, self._validation(training, valid), checkpoint)
        with torch.no_grad():
            self._take(*(vectors.clone() for vectors in self._whole()))
        del self.network
        return self

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments, all of which decide the result; where a checkpoint lies does not."""
        return {name: getattr(self, name) for name in sorted(parameters(type(self)) - {"checkpoint"})}

    def _untrained(self, facts: np.ndarray, seed: int) -> Any:
        require("pykeen", "kge")
        from pykeen.triples import CoreTriplesFactory
        from pykeen.utils import NoRandomSeedNecessary

        factory = CoreTriplesFactory(torch.from_numpy(facts), num_entities=len(self.entities), num_relations=len(self.relations))
        with torch.random.fork_rng(devices=[]):  # its initial values come from the global generator, which stays as it was
            torch.manual_seed(seed)
            return self._network(triples_factory=factory, embedding_dim=self.dim, random_seed=NoRandomSeedNecessary)

    def _validation(self, training: TrainingFacts, valid: np.ndarray) -> Callable[[], float]:
        known = KnownAnswers(np.concatenate([training.facts.triples, training.valid]), len(self.relations))

        def mrr() -> float:
            with torch.no_grad():
                self._take(*self._whole())
                return ranking_metrics(filtered_ranks(self.score, valid, known, len(self.entities)))["mrr"]

        return mrr

    def _run(
        self,
        losses: Callable[[], Iterable[Callable[[], torch.Tensor]]],
        optimiser: torch.optim.Optimizer,
        mrr: Callable[[], float],
        checkpoint: Checkpoint | None,
    ) -> None:
        """Train until the epochs or the patience are over; leave in the network the parameters with the best validation MRR."""
        self.history = history = History()
        best = {name: value.clone() for name, value in self.network.state_dict().items()}
        resumed = checkpoint.read(self.network, optimiser) if checkpoint else None
        if resumed:
            self.history, best = history, _ = History.of(resumed[0]), resumed[1]
        for epoch in track(range(len(history.train) + 1, self.epochs + 1), f"{self.name}: training"):
            if self.patience and history.best_epoch and max(history.validation) - history.best_epoch >= self.patience:
                break
            history.train.append(self._epoch(losses(), optimiser))
            if not math.isfinite(history.train[-1]):
                raise DivergedError("the training loss must stay finite", received=f"epoch {epoch}", remedy="lower the learning rate")
            if epoch % self.evaluate_every and epoch < self.epochs:
                continue
            history.validation[epoch] = value = 1 - mrr()
            if value < history.best:
                history.best, history.best_epoch = value, epoch
                best = {name: value.clone() for name, value in self.network.state_dict().items()}
            if checkpoint:
                checkpoint.write(self.network, optimiser, best, history.as_json())
        self.network.load_state_dict(best)

    def _epoch(self, losses: Iterable[Callable[[], torch.Tensor]], optimiser: torch.optim.Optimizer) -> float:
        total, steps = 0.0, 0
        for loss_of in losses:
            optimiser.zero_grad(set_to_none=True)
            loss = loss_of()
            loss.backward()
            optimiser.step()
            self.network.post_parameter_update()
            total, steps = total + float(loss.detach()), steps + 1
        return total / steps

    # ---- vectors and scores

    def flat(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return complex vectors as real ones, real and imaginary part in turn, `[n, 2 · dim]`; real ones as they are."""
        return torch.view_as_real(vectors).flatten(1) if vectors.is_complex() else vectors

    def _whole(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the flat vectors of all entities and of all relations as the network has them."""
        entities, relations = self.network.entity_representations[0], self.network.relation_representations[0]
        return self.flat(entities(indices=None)), self.flat(relations(indices=None))

    def _unflat(self, vectors: torch.Tensor) -> torch.Tensor:
        return torch.view_as_complex(vectors.unflatten(1, (-1, 2)).contiguous()) if self.is_complex else vectors

    def _take(self, entities: torch.Tensor, relations: torch.Tensor) -> None:
        self._entities, self._relations = entities, relations

    def _fitted(self) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.entities:
            raise InvalidInputError(f"{self.name} answers after fit", remedy="call its fit first")
        return self._entities, self._relations

    def entity_vectors(self) -> np.ndarray:
        """Return the vector of every entity, float32 `[entities, dim]`; real and imaginary parts in turn, `[entities, 2 · dim]`."""
        return self._fitted()[0].cpu().numpy()

    def relation_vectors(self) -> np.ndarray:
        """Return the vector of every relation, like `entity_vectors`."""
        return self._fitted()[1].cpu().numpy()

    def with_entities(self, vectors: np.ndarray) -> Self:
        """Return the model with other vectors of its entities, float32 `[entities, columns]`, and the same relations.

        Raises
        ------
        InvalidInputError : another shape, or values that are not finite.
        """
        entities, relations = self._fitted()
        if vectors.shape != tuple(entities.shape) or not np.isfinite(vectors).all():
            raise InvalidInputError(f"vectors of entities are finite and {list(entities.shape)}", received=f"{list(vectors.shape)}")
        other = type(self)(**self.settings())
        other.entities, other.relations, other.history = self.entities, self.relations, self.history
        other._take(torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(entities.device), relations)
        return other

    def score(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return PyKEEN's scores, float32 `[queries, columns]`; see `CompletionModel.score`."""
        entities, relations = self._fitted()
        given, relation = (torch.from_numpy(np.asarray(p)).to(entities.device) for p in (queries.given, queries.relation))
        query = self.query(entities[given], relations[relation], queries.side)
        answers = entities if columns is None else entities[torch.from_numpy(columns).to(entities.device)]
        return query @ answers.T if self.norm is None else -torch.cdist(query, answers, p=self.norm)


def stopping_triples(training: TrainingFacts, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the triples to train on, and at most `MOST_VALID` that decide when to stop.

    These are validation triples of trained relations; where there are none, some of the training triples, which are then left out.
    """
    facts, random = training.facts.triples, np.random.default_rng(seed)
    if len(facts) < 2:
        raise InvalidInputError("a link model is fitted on at least two triples", received=len(facts))
    valid = training.valid[np.isin(training.valid[:, RELATION], training.seen_relations())]
    if len(valid):
        return facts, valid[np.sort(random.permutation(len(valid))[:MOST_VALID])]
    held = np.zeros(len(facts), dtype=bool)
    held[random.permutation(len(facts))[: min(MOST_VALID, math.ceil(HELD_OUT * len(facts)))]] = True
    return facts[~held], facts[held]


def _digest(*arrays: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(b"".join(np.ascontiguousarray(a, dtype="<i8").tobytes() for a in arrays)).hexdigest()
