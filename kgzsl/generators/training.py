"""The one training loop of all generators: rounds in which players move, each down its own loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from kgzsl.encoders.precision import mixed
from kgzsl.errors import DivergedError, InvalidInputError
from kgzsl.progress import track

if TYPE_CHECKING:
    from kgzsl.generators.base import Generator, SeenRows, Validation

#: A loss this large has exploded.
EXPLODED = 1e8


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train; see `Generator` for what they mean."""

    epochs: int
    batch_size: int
    learning_rate: float
    beta1: float
    ema: float

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise InvalidInputError("epochs is at least 1, batch_size at least 2", received=f"{self.epochs} and {self.batch_size}")
        if not (0 < self.learning_rate < math.inf and 0 <= self.beta1 < 1 and 0 <= self.ema < 1):
            raise InvalidInputError("learning_rate is positive, beta1 and ema lie in 0…1, without 1", received=self)


@dataclass(frozen=True)
class Batch:
    """Rows of one step.

    Attributes
    ----------
    features : scaled, `[batch, dim]`.
    labels : positions among the seen classes, int64 `[batch]`.
    embeddings : of each row's class, `[batch, semantics]`.
    """

    features: torch.Tensor
    labels: torch.Tensor
    embeddings: torch.Tensor


@dataclass(frozen=True)
class Player:
    """One of those that move in a round.

    Attributes
    ----------
    name : for the history and messages.
    networks : keys of the generator's `networks` that it moves; all others stand still while it does.
    loss : of a batch (and the epoch, from 1, for schedules of weights), a scalar; what `record` holds is remembered beside it.
    steps : how often it moves in a round, each time on a new batch.
    learning_rate, weight_decay : its own; None takes the schedule's rate.
    rates : rates of single networks among `networks` that learn faster or slower than the others.
    """

    name: str
    networks: tuple[str, ...]
    loss: Callable[[Batch, int], torch.Tensor]
    steps: int = 1
    learning_rate: float | None = None
    weight_decay: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """What decides nothing that is learned in an uninterrupted run: checkpoints; and when to look and to stop.

    Attributes
    ----------
    checkpoint : folder of the state that training goes on from, bit for bit; None keeps none.
    every : epochs between writings.
    evaluate_every, patience : epochs between validations; epochs without a better one that end the training, 0 for never.
    """

    checkpoint: str | None = None
    every: int = 5
    evaluate_every: int = 5
    patience: int = 0


@dataclass
class History:
    """Mean loss of each player by epoch, validation scores by epoch, and the epoch whose parameters were kept."""

    losses: dict[str, list[float]] = field(default_factory=dict)
    validation: dict[int, float] = field(default_factory=dict)
    best_epoch: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {"losses": self.losses, "validation": list(self.validation.items()), "best_epoch": self.best_epoch}


def train_players(generator: Generator, seen: SeenRows, schedule: Schedule, training: Training, validation: Validation | None) -> History:
    """Let the generator's players move, round after round; leave in its networks the best parameters by `validation`, or the last."""
    players = list(generator.players(seen))
    networks, history = generator.networks, History({p.name: [] for p in players})
    optimisers = {p.name: _optimiser(networks, p, schedule) for p in players}
    average = copy.deepcopy(networks.state_dict()) if schedule.ema else None
    best: dict[str, torch.Tensor] | None = None
    rounds = math.ceil(len(seen.labels) / schedule.batch_size)
    for epoch in track(range(1, schedule.epochs + 1), f"{generator.name}: training"):
        networks.train()
        sums = {p.name: torch.zeros((), device=seen.labels.device) for p in players}
        for _ in range(rounds):
            for player in players:
                _hold(networks, player)
                for _ in range(player.steps):
                    with mixed(generator.precision, seen.labels.device):
                        loss = player.loss(generator.batch(seen), epoch)
                    optimisers[player.name].zero_grad(set_to_none=True)
                    loss.backward()
                    optimisers[player.name].step()
                    sums[player.name] += loss.detach() / (rounds * player.steps)
            if average is not None:
                _follow(average, networks.state_dict(), schedule.ema)
        for name, value in sums.items():
            _check(float(value), name, epoch)
            history.losses[name].append(float(value))
        if validation is not None and epoch % training.evaluate_every == 0:
            score = _scored(generator, average, validation, epoch)
            if best is None or score > history.validation[history.best_epoch]:
                history.best_epoch, best = epoch, copy.deepcopy(average or networks.state_dict())
            history.validation[epoch] = score
            if training.patience and epoch - history.best_epoch >= training.patience:
                break
    networks.load_state_dict(best or average or networks.state_dict())
    history.best_epoch = history.best_epoch or schedule.epochs
    networks.requires_grad_(False)
    return history


def _optimiser(networks: nn.ModuleDict, player: Player, schedule: Schedule) -> torch.optim.Optimizer:
    rate = player.learning_rate or schedule.learning_rate
    groups = [{"params": list(networks[key].parameters()), "lr": player.rates.get(key, rate)} for key in player.networks]
    return torch.optim.Adam(groups, lr=rate, betas=(schedule.beta1, 0.999), weight_decay=player.weight_decay)


def _hold(networks: nn.ModuleDict, player: Player) -> None:
    """Let gradients reach the player's own networks only: what stands still costs no backward product with its weights' gradient."""
    for key, network in networks.items():
        network.requires_grad_(key in player.networks)


def _follow(average: dict[str, torch.Tensor], state: dict[str, torch.Tensor], decay: float) -> None:
    for name, value in state.items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def _scored(generator: Generator, average: dict[str, torch.Tensor] | None, validation: Validation, epoch: int) -> float:
    """Score the generator with the parameters that it would draw with in the end."""
    now = copy.deepcopy(generator.networks.state_dict()) if average is not None else None
    if average is not None:
        generator.networks.load_state_dict(average)
    score = validation(generator, epoch)
    if now is not None:
        generator.networks.load_state_dict(now)
    return score


def _check(value: float, player: str, epoch: int) -> None:
    if not abs(value) < EXPLODED:
        raise DivergedError(
            "every loss of a generator stays finite", received=f"{value} of the {player} in epoch {epoch}", remedy="lower the learning rate"
        )
