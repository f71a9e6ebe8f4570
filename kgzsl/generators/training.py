"""The one training loop of all generators: rounds in which players move, each down its own loss."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn

from kgzsl.encoders.checkpoint import Checkpoint
from kgzsl.encoders.parallel import average_gradients, from_first, identity, mean_of
from kgzsl.encoders.precision import mixed
from kgzsl.errors import ArtifactError, DivergedError, IncompatibleError, InvalidInputError
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

    def __post_init__(self) -> None:
        if self.every < 1 or self.evaluate_every < 1 or self.patience < 0:
            raise InvalidInputError("every and evaluate_every are at least 1 epoch, patience is not negative", received=self)


@dataclass
class History:
    """Mean loss of each player by epoch, validation scores by epoch, and the epoch whose parameters were kept (0 while training)."""

    losses: dict[str, list[float]] = field(default_factory=dict)
    validation: dict[int, float] = field(default_factory=dict)
    best_epoch: int = 0

    @property
    def epochs(self) -> int:
        """How many epochs are behind."""
        return min((len(values) for values in self.losses.values()), default=0)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {"losses": self.losses, "validation": list(self.validation.items()), "best_epoch": self.best_epoch}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return what `as_json` gave; raises ArtifactError when it is not that."""
        try:
            losses = {str(name): [float(v) for v in per_epoch] for name, per_epoch in values["losses"].items()}
            return cls(losses, {int(e): float(v) for e, v in values["validation"]}, int(values["best_epoch"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError("a generator's history holds losses and scores by epoch", received=repr(error)) from error


State = dict[str, torch.Tensor]


class _Run:
    """A training between two epochs: networks, optimisers, moving average, best parameters, history; all that a checkpoint holds."""

    def __init__(self, generator: Generator, players: Sequence[Player], schedule: Schedule) -> None:
        self.networks, self.players, self.schedule = generator.networks, players, schedule
        self.optimisers = {p.name: _optimiser(self.networks, p, schedule) for p in players}
        self.history = History({p.name: [] for p in players})
        self.average = copy.deepcopy(self.networks.state_dict()) if schedule.ema else None
        self.best: State | None = None

    def drawing(self) -> State:
        """The parameters that would draw features now."""
        return self.networks.state_dict() if self.average is None else self.average

    def keep_best(self, score: float, epoch: int) -> None:
        """Remember the score and, when none was better, the parameters."""
        if self.best is None or score > self.history.validation[self.history.best_epoch]:
            self.history.best_epoch, self.best = epoch, copy.deepcopy(self.drawing())
        self.history.validation[epoch] = score

    def is_over(self, patience: int) -> bool:
        """Return whether the last validation was one too many."""
        last = max(self.history.validation, default=0)
        return bool(patience and last == self.history.epochs and last - self.history.best_epoch >= patience)

    def settle(self, last: State) -> None:
        """End: put the best parameters, or where nothing was validated the `last`, into the networks."""
        self.networks.load_state_dict(self.best or last)
        self.networks.requires_grad_(False)
        self.history.best_epoch = self.history.best_epoch or self.history.epochs

    def write(self, checkpoint: Checkpoint) -> None:
        """Write all of it."""
        kept = {f"average/{n}": v for n, v in (self.average or {}).items()} | {f"best/{n}": v for n, v in (self.best or {}).items()}
        checkpoint.write(self.networks, self.optimisers, kept, self.history.as_json())

    def read(self, checkpoint: Checkpoint) -> None:
        """Take all of it back, if it was written."""
        resumed = checkpoint.read(self.networks, self.optimisers)
        if resumed:
            self.history, kept = History.of(resumed[0]), resumed[1]
            self.best = _below(kept, "best/") or None
            self.average = _below(kept, "average/") or None


def train_players(generator: Generator, seen: SeenRows, schedule: Schedule, training: Training, validation: Validation | None) -> History:
    """Let the generator's players move, round after round; leave in its networks the best parameters by `validation`, or the last.

    Where a checkpoint is there already, training goes on from it, bit for bit as if it had never stopped.

    Raises
    ------
    DivergedError : a loss or a parameter is not finite, or a loss exploded; the best, or else the last good, parameters stay.
    IncompatibleError, ArtifactError, DigestMismatchError : the checkpoint is of another training, or damaged.
    """
    networks = generator.networks
    from_first(*networks.state_dict().values())
    run = _Run(generator, list(generator.players(seen)), schedule)
    checkpoint = _checkpoint(generator, seen, training, validation is not None)
    if checkpoint:
        run.read(checkpoint)
    generator.history = run.history
    if run.history.epochs > schedule.epochs:
        raise IncompatibleError(
            "a training goes on from a checkpoint, never back",
            received=f"{run.history.epochs} epochs at {training.checkpoint}, {schedule.epochs} asked for",
            remedy="ask for as many epochs, or name another folder",
        )
    written = run.history.epochs
    for epoch in track(range(written + 1, schedule.epochs + 1), f"{generator.name}: training"):
        if run.is_over(training.patience):
            break
        good = copy.deepcopy(run.drawing())
        losses = _epoch(generator, seen, run, epoch)
        try:
            _check({**losses, "parameters": float(sum(v.float().sum() for v in networks.state_dict().values()))}, epoch)
        except DivergedError:
            run.settle(good)
            raise
        for name, value in losses.items():
            run.history.losses[name].append(value)
        if validation is not None and epoch % training.evaluate_every == 0:
            run.keep_best(_scored(generator, run.average, validation, epoch), epoch)
        if checkpoint and epoch % training.every == 0:
            run.write(checkpoint)
            written = epoch
    if checkpoint and written < run.history.epochs:
        run.write(checkpoint)
    run.settle(run.drawing())
    return run.history


def _epoch(generator: Generator, seen: SeenRows, run: _Run, epoch: int) -> dict[str, float]:
    """Play the rounds of an epoch and return each player's mean loss; nothing is read back from the device until its end."""
    networks, device = run.networks, seen.labels.device
    rounds = math.ceil(len(seen.labels) / run.schedule.batch_size)
    sums = {p.name: torch.zeros((), device=device) for p in run.players}
    networks.train()
    for _ in range(rounds):
        for player in run.players:
            _hold(networks, player)
            for _ in range(player.steps):
                with mixed(generator.precision, device):
                    loss = player.loss(generator.batch(seen), epoch)
                run.optimisers[player.name].zero_grad(set_to_none=True)
                loss.backward()
                average_gradients(p for key in player.networks for p in networks[key].parameters())
                run.optimisers[player.name].step()
                sums[player.name] += loss.detach() / (rounds * player.steps)
        if run.average is not None:
            _follow(run.average, networks.state_dict(), run.schedule.ema)
    return {name: mean_of(value) for name, value in sums.items()}


def _checkpoint(generator: Generator, seen: SeenRows, training: Training, validated: bool) -> Checkpoint | None:
    """Return where the training is kept; more epochs and another patience go on with what is there."""
    if training.checkpoint is None:
        return None
    from kgzsl.generators.base import settings_of

    data = hashlib.sha256("\0".join(seen.ids).encode())
    for part in (seen.features, seen.labels, seen.embeddings):
        data.update(part.cpu().numpy().tobytes())
    return Checkpoint(
        training.checkpoint,
        {
            "generator": generator.name,
            "device": seen.labels.device.type,
            "semantics": generator.semantics,
            "data": data.hexdigest(),
            "evaluate_every": training.evaluate_every if validated else 0,
            **{name: value for name, value in settings_of(generator).items() if name != "epochs"},
            **identity(),
        },
        generator.rng,
        training.every,
    )


def _optimiser(networks: nn.ModuleDict, player: Player, schedule: Schedule) -> torch.optim.Optimizer:
    rate = player.learning_rate or schedule.learning_rate
    groups = [{"params": list(networks[key].parameters()), "lr": player.rates.get(key, rate)} for key in player.networks]
    return torch.optim.Adam(groups, lr=rate, betas=(schedule.beta1, 0.999), weight_decay=player.weight_decay, fused=True)


def _hold(networks: nn.ModuleDict, player: Player) -> None:
    """Let gradients reach the player's own networks only: what stands still costs no backward product with its weights' gradient."""
    for key, network in networks.items():
        network.requires_grad_(key in player.networks)


def _follow(average: State, state: State, decay: float) -> None:
    for name, value in state.items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def _scored(generator: Generator, average: State | None, validation: Validation, epoch: int) -> float:
    """Score the generator with the parameters that it would draw with in the end; the first process's score counts for all."""
    now = copy.deepcopy(generator.networks.state_dict()) if average is not None else None
    if average is not None:
        generator.networks.load_state_dict(average)
    score = torch.tensor(float(validation(generator, epoch)), dtype=torch.float64)
    if now is not None:
        generator.networks.load_state_dict(now)
    on_device = score.to(generator.rng.device)
    from_first(on_device)
    return float(on_device)


def _check(values: Mapping[str, float], epoch: int) -> None:
    for name, value in values.items():
        if not abs(value) < EXPLODED:
            raise DivergedError(
                "losses and parameters of a generator stay finite",
                received=f"{value} ({name}) in epoch {epoch}",
                remedy="lower the learning rate; the last good parameters were kept",
            )


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> State:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
