"""The trainer of all composition methods that learn by gradient: minibatches of images, the epoch with the best validation AUC."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kgzsl.classifiers._descent import check_loss
from kgzsl.encoders.precision import check_precision, mixed
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.progress import track

if TYPE_CHECKING:
    from kgzsl.classifiers.compositions.base import PairFeatures
    from kgzsl.datasets.composition_set import CompositionSpace


@dataclass(frozen=True)
class PairSchedule:
    """How long and how fast to train.

    Attributes
    ----------
    epochs : most passes over the images. batch_size : images per step; every step embeds the training pairs anew.
    learning_rate, weight_decay : Adam's step size and its L2 penalty.
    patience : stop after so many epochs without a better validation AUC; 0 never stops early.
    precision : `bfloat16` takes the dense products of training steps in it.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_precision(self.precision)
        if self.epochs < 1 or self.batch_size < 1 or self.patience < 0:
            raise InvalidInputError(
                "epochs and batch_size are at least 1, patience at least 0",
                received=f"{self.epochs}, {self.batch_size} and {self.patience}",
            )
        if not (0 < self.learning_rate < np.inf and 0 <= self.weight_decay < np.inf):
            raise InvalidInputError(
                "learning_rate is positive and weight_decay not negative", received=f"{self.learning_rate} and {self.weight_decay}"
            )


class PairLearner(ABC):
    """What is trained: an image side and a pair side whose scores are compared."""

    schedule: PairSchedule
    #: The world whose validation AUC chooses the epoch, `closed` or `open`.
    world: str = "closed"

    @abstractmethod
    def modules(self) -> nn.ModuleList:
        """Return everything that is learned."""

    @abstractmethod
    def loss(self, features: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the mean loss of prepared rows `[rows, dim]`; labels are positions in the space's pairs."""

    @abstractmethod
    def prepared(self, matrix: np.ndarray) -> torch.Tensor:
        """Return features as the image side takes them, on the device."""

    @abstractmethod
    def embed(self, pairs: np.ndarray) -> torch.Tensor:
        """Return the embeddings of `pairs` `[pairs, 2]`, `[pairs, dim]`."""

    @abstractmethod
    def _score(self, features: np.ndarray, embedded: torch.Tensor) -> np.ndarray:
        """Return the scores of features `[rows, dim]` with embedded pairs, `[rows, pairs]`."""

    def start_epoch(self, epoch: int) -> None:  # noqa: B027 most learners do nothing here
        """Called before every epoch, from 1 on."""

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that an epoch changes."""
        return copy.deepcopy(self.modules().state_dict())

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Take back what `snapshot` gave."""
        self.modules().load_state_dict(snapshot)


def train_on_pairs(
    learner: PairLearner, train: PairFeatures, validation: PairFeatures | None, space: CompositionSpace, generator: torch.Generator
) -> dict[str, list[float]]:
    """Minimise the learner's loss; leave in its modules the parameters of the epoch with the best validation AUC, else the last.

    Returns
    -------
    `loss` of every epoch, `auc` of every epoch where there is a validation part.

    Raises
    ------
    DivergedError : the loss is not finite.
    """
    schedule, modules = learner.schedule, learner.modules()
    features = learner.prepared(train.matrix)
    device = features.device
    labels = torch.from_numpy(train.labels).to(device)
    optimiser = torch.optim.Adam(modules.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    history: dict[str, list[float]] = {"loss": [], "auc": []}
    best, kept, since = -1.0, learner.snapshot(), 0
    for epoch in track(range(1, schedule.epochs + 1), "training on pairs"):
        learner.start_epoch(epoch)
        total = torch.zeros((), device=device)
        for batch in torch.randperm(len(labels), generator=generator, device=device).split(schedule.batch_size):
            optimiser.zero_grad(set_to_none=True)
            with mixed(schedule.precision, device):
                loss = learner.loss(features[batch], labels[batch], generator)
            loss.backward()
            optimiser.step()
            total += loss.detach() * len(batch)
        history["loss"].append(total.item() / len(labels))
        check_loss(history["loss"][-1], f"epoch {epoch}", "lower the learning rate")
        if validation is None:
            continue
        history["auc"].append(validation_auc(learner, validation, space))
        if history["auc"][-1] > best:
            best, kept, since = history["auc"][-1], learner.snapshot(), 0
        elif (since := since + 1) == schedule.patience:
            break
    if validation is not None:
        learner.restore(kept)
    return history


def validation_auc(learner: PairLearner, validation: PairFeatures, space: CompositionSpace) -> float:
    """Return the AUC, in 0…1, of the bias sweep on the validation part in the learner's own world.

    The closed world's candidates are the seen pairs and the unseen ones that the part has images of.
    """
    from kgzsl.classifiers.compositions.pair_graph import all_pairs
    from kgzsl.metrics.compositional import bias_sweep

    seen = np.zeros((len(space.states), len(space.objects)), dtype=bool)
    seen[tuple(space.pairs[space.seen].T)] = True
    if learner.world == "open":
        candidates, truth = all_pairs(*seen.shape), np.ravel_multi_index(tuple(space.pairs[validation.labels].T), seen.shape)
    else:
        some = np.union1d(np.flatnonzero(space.seen), validation.labels)
        candidates, truth = space.pairs[some], np.searchsorted(some, validation.labels)
    scores = learner._score(validation.matrix, learner.embed(candidates))
    return float(bias_sweep(scores, truth, seen[tuple(candidates.T)]).auc)


def check_rows(train: PairFeatures, space: CompositionSpace, validation: PairFeatures | None) -> None:
    """Raise InvalidInputError unless the parts are finite features of pairs of the space, the training part's of seen ones."""
    for what, part in (("training", train), *((("validation", validation),) if validation is not None else ())):
        if part.matrix.ndim != 2 or len(part.matrix) != len(part.labels) or not len(part.labels):
            raise InvalidInputError(
                f"the {what} part has a row of features per label, at least one", received=f"{part.matrix.shape}, {len(part.labels)} labels"
            )
        if not np.isfinite(part.matrix).all():
            raise InvalidInputError("features must be finite", received=f"NaN or infinity in the {what} part", remedy="drop those rows")
        if part.labels.min() < 0 or part.labels.max() >= len(space):
            raise InvalidInputError(
                "labels are positions of pairs of the space", received=f"{part.labels.min()} to {part.labels.max()} of {len(space):,}"
            )
    unseen = np.unique(train.labels[~space.seen[train.labels]])
    if len(unseen):
        names = [f"{space.states[s]} {space.objects[o]}" for s, o in space.pairs[unseen]]
        raise InvalidInputError(
            "training rows are of seen pairs",
            received=f"rows of {len(names):,} unseen ones: {first_five(names)}",
            remedy="leave the images of unseen pairs out of the training part",
        )
