"""One trainer for the encoders that regress classifier weights by gradient descent."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from kgzsl.errors import DivergedError, InvalidInputError
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
    """What happened: losses by epoch, and the epoch whose parameters were kept."""

    train: list[float] = field(default_factory=list)
    validation: dict[int, float] = field(default_factory=dict)
    best_epoch: int = 0


def train(
    module: nn.Module,
    train_loss: Callable[[], torch.Tensor],
    validation_loss: Callable[[], torch.Tensor] | None,
    schedule: Schedule,
    description: str,
) -> History:
    """Minimise `train_loss` with Adam; leave in `module` the parameters with the best validation loss.

    Without `validation_loss` the last parameters are kept.

    Raises
    ------
    DivergedError : a loss is not finite; the module keeps the best parameters so far.
    """
    optimiser = torch.optim.Adam(module.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    history, best, best_state = History(), math.inf, copy.deepcopy(module.state_dict())
    for epoch in track(range(1, schedule.epochs + 1), description):
        optimiser.zero_grad(set_to_none=True)
        loss = train_loss()
        history.train.append(float(loss.detach()))
        if not math.isfinite(history.train[-1]):
            module.load_state_dict(best_state)
            raise DivergedError(
                "the training loss must stay finite", received=f"{history.train[-1]} at epoch {epoch}", remedy="lower the learning rate"
            )
        loss.backward()
        optimiser.step()
        if validation_loss is None or epoch % schedule.evaluate_every:
            continue
        with torch.no_grad():
            value = float(validation_loss())
        history.validation[epoch] = value
        if value < best:
            best, history.best_epoch, best_state = value, epoch, copy.deepcopy(module.state_dict())
        elif schedule.patience and epoch - history.best_epoch >= schedule.patience:
            break
    if history.best_epoch:
        module.load_state_dict(best_state)
    else:
        history.best_epoch = len(history.train)
    return history
