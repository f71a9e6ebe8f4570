"""One trainer for the encoders that regress classifier weights by gradient descent."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import nn

from kgzsl.encoders.checkpoint import Checkpoint
from kgzsl.encoders.parallel import add_gradients
from kgzsl.errors import ArtifactError, DivergedError, InvalidInputError
from kgzsl.progress import track


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes
    ----------
    epochs : most full-batch steps.
    learning_rate, weight_decay : Adam's step size and its L2 penalty.
    patience : stop after this many epochs without a better validation loss; 0 never stops early.
    evaluate_every : epochs between validation losses.
    """

    epochs: int
    learning_rate: float
    weight_decay: float
    patience: int = 200
    evaluate_every: int = 10

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.evaluate_every < 1 or self.patience < 0:
            raise InvalidInputError("epochs and evaluate_every are at least 1, patience at least 0", received=self)
        if not (self.learning_rate > 0 and self.weight_decay >= 0):
            raise InvalidInputError("learning_rate is positive and weight_decay not negative", received=self)


@dataclass
class History:
    """What happened: losses by epoch, and the epoch whose parameters were kept (0 before there is one) with its validation loss."""

    train: list[float] = field(default_factory=list)
    validation: dict[int, float] = field(default_factory=dict)
    best_epoch: int = 0
    best: float = math.inf

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        best = self.best if self.best_epoch else None  # JSON knows no infinity
        return {"train": self.train, "validation": list(self.validation.items()), "best_epoch": self.best_epoch, "best": best}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return what `as_json` gave; raises ArtifactError when it is not that."""
        try:
            best = math.inf if values["best"] is None else float(values["best"])
            validation = {int(epoch): float(loss) for epoch, loss in values["validation"]}
            return cls([float(v) for v in values["train"]], validation, int(values["best_epoch"]), best)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError("a checkpoint holds the losses so far", received=repr(error)) from error


def train(
    module: nn.Module,
    train_loss: Callable[[], torch.Tensor],
    validation_loss: Callable[[], torch.Tensor] | None,
    schedule: Schedule,
    description: str,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Minimise `train_loss` with Adam; leave in `module` the parameters with the best validation loss.

    Without `validation_loss` the last parameters are kept. With `checkpoint` the state is written every so many epochs and at the
    end; where it is there already, training goes on from it, bit for bit as if it had never stopped.

    Raises
    ------
    DivergedError : a loss is not finite; the module keeps the best parameters so far.
    IncompatibleError : the checkpoint is of another training.
    """
    optimiser = torch.optim.Adam(module.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    history, best_state = History(), copy.deepcopy(module.state_dict())
    resumed = checkpoint.read(module, optimiser) if checkpoint else None
    if resumed:
        history, best_state = History.of(resumed[0]), resumed[1]
    written = len(history.train)
    for epoch in track(range(written + 1, schedule.epochs + 1), description):
        if _is_over(history, schedule):
            break
        optimiser.zero_grad(set_to_none=True)
        loss = train_loss()
        loss.backward()
        value = float(add_gradients(module, loss))
        if not math.isfinite(value):
            module.load_state_dict(best_state)
            raise DivergedError(
                "the training loss must stay finite", received=f"{value} at epoch {epoch}", remedy="lower the learning rate"
            )
        history.train.append(value)
        optimiser.step()
        if validation_loss is not None and epoch % schedule.evaluate_every == 0:
            with torch.no_grad():
                history.validation[epoch] = value = float(validation_loss())
            if value < history.best:
                history.best, history.best_epoch, best_state = value, epoch, copy.deepcopy(module.state_dict())
        if checkpoint and epoch % checkpoint.every == 0:
            checkpoint.write(module, optimiser, best_state, history.as_json())
            written = epoch
    if checkpoint and written < len(history.train):
        checkpoint.write(module, optimiser, best_state, history.as_json())
    if history.best_epoch:
        module.load_state_dict(best_state)
    else:
        history.best_epoch = len(history.train)
    return history


def _is_over(history: History, schedule: Schedule) -> bool:
    """Return whether the last validation loss was one too many."""
    last = max(history.validation, default=0)
    return bool(schedule.patience and last == len(history.train) and last - history.best_epoch >= schedule.patience)
