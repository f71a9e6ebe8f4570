"""Two ways down a loss: minibatches with AdamW, and L-BFGS on the whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from kgzsl.devices import resolve_device
from kgzsl.errors import DivergedError, InvalidInputError
from kgzsl.progress import track


@dataclass(frozen=True)
class Minibatches:
    """How long and how fast to train.

    Attributes
    ----------
    epochs, batch_size : passes over the rows, and rows per step.
    learning_rate : AdamW's first step size; it falls to 0 along half a cosine.
    weight_decay : AdamW's decoupled decay.
    seed : of the order of rows (and of whatever `generator` draws first).
    device : `auto`, `cpu`, `cuda`, `mps`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int = 0
    device: str | torch.device = "auto"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise InvalidInputError("epochs and batch_size are at least 1", received=f"{self.epochs} and {self.batch_size}")
        if not (0 < self.learning_rate < math.inf and 0 <= self.weight_decay < math.inf):
            raise InvalidInputError(
                "learning_rate is positive and weight_decay not negative", received=f"{self.learning_rate} and {self.weight_decay}"
            )

    def generator(self) -> torch.Generator:
        """Return the one source of randomness of a fit, on the CPU so that every device draws the same numbers."""
        return torch.Generator().manual_seed(self.seed)

    def descend(
        self,
        parameters: Sequence[torch.Tensor],
        loss: Callable[[torch.Tensor], torch.Tensor],
        rows: int,
        generator: torch.Generator,
        description: str,
    ) -> None:
        """Minimise `loss(positions [batch])`, a mean over the rows at these positions, over `parameters` in place.

        Raises
        ------
        DivergedError : the loss is not finite.
        """
        device = resolve_device(self.device)
        optimiser = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        pace = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.epochs)
        for epoch in track(range(1, self.epochs + 1), description):
            total = torch.zeros((), device=device)
            for batch in torch.randperm(rows, generator=generator).to(device).split(self.batch_size):
                optimiser.zero_grad(set_to_none=True)
                value = loss(batch)
                value.backward()
                optimiser.step()
                total += value.detach()
            check_loss(total.item(), f"epoch {epoch}", "lower the learning rate")
            pace.step()
        check_parameters(parameters, "lower the learning rate")


def lbfgs(parameters: Sequence[torch.Tensor], loss: Callable[[], torch.Tensor], steps: int, description: str) -> None:
    """Minimise a smooth `loss()` over `parameters` in place, with at most `steps` L-BFGS iterations.

    Raises
    ------
    DivergedError : the loss is not finite.
    """
    per_call = 10  # so that a bar can move
    optimiser = torch.optim.LBFGS(parameters, max_iter=per_call, history_size=20, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        return value

    before = math.inf
    for step in track(range(0, steps, per_call), description):
        value = optimiser.step(closure).item()  # the loss before these iterations
        check_loss(value, f"iteration {step}", "scale the features, or strengthen the penalty")
        if before - value <= 1e-9 * abs(value):
            break
        before = value
    check_parameters(parameters, "scale the features, or strengthen the penalty")


def check_loss(value: float, when: str, remedy: str) -> None:
    """Raise DivergedError unless the loss `value` is finite."""
    if not math.isfinite(value):
        raise DivergedError("the training loss must stay finite", received=f"{value} at {when}", remedy=remedy)


def check_parameters(parameters: Sequence[torch.Tensor], remedy: str) -> None:
    """Raise DivergedError unless what was learned is finite: the last step's loss is never seen."""
    if not all(bool(torch.isfinite(p).all()) for p in parameters):
        raise DivergedError("what is learned must stay finite", received="NaN or infinity after the last step", remedy=remedy)
