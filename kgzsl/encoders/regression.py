"""Encoders trained to regress the classifier weights of seen classes: one trainer, any receptive field, any network."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import numpy as np
import torch
from torch import nn

from kgzsl.devices import resolve_device
from kgzsl.encoders.base import Encoder, check_same_nodes, unit_rows
from kgzsl.encoders.checkpoint import Checkpoint, data_digest
from kgzsl.encoders.memory import MemoryEstimate, estimate
from kgzsl.encoders.parallel import identity, join, processes, rank, share
from kgzsl.encoders.precision import check_precision, mixed
from kgzsl.encoders.training import History, Schedule, train
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors

if TYPE_CHECKING:
    from kgzsl.graphs.views import View


def half_mean_squared_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return `Σ (p − t)² / (2 · rows)` over `[rows, dim]`: the loss of GCNZ eq. 2, SGCN and DGP."""
    return ((predicted - target) ** 2).sum() / (2 * len(target))


def split_validation(count: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions `(train, validation)` of `count` seen classes, `share` of them (in 0…0.5) for validation."""
    if not 0 <= share <= 0.5:
        raise InvalidInputError("validation is a share of the seen classes between 0 and 0.5", received=share)
    order = np.random.default_rng(seed).permutation(count)
    held = round(count * share)
    return np.sort(order[held:]), np.sort(order[:held])


#: Between the seeds of the dropout of two processes.
_BETWEEN_PROCESSES = 1_000_003


class Field(Protocol):
    """A receptive field: whatever else it holds, it names the input rows that its network needs."""

    @property
    def inputs(self) -> np.ndarray:
        """Positions of the input rows among the view's nodes, `[rows in]`."""


class Network(Protocol):
    """What this encoder trains: an `nn.Module` with these two."""

    def reset(self, generator: torch.Generator) -> None:
        """Draw all initial parameters from one generator."""

    def __call__(self, features: torch.Tensor, field: Any, generator: torch.Generator | None = None) -> torch.Tensor:
        """Map input rows `[rows in, dim]` to unit rows `[nodes asked for, out]`; dropout only when a generator is given."""


class WeightRegressionEncoder(Encoder):
    """A graph network whose output rows are L2-normalised classifier weights `[weight, bias]`.

    Parameters
    ----------
    hidden : columns of the hidden layers.
    epochs, learning_rate, weight_decay, patience : see `Schedule`.
    validation : share of the seen classes held out to choose the epoch (950/50 in ZSL-KG is 0.05).
    seed : decides initial weights, dropout and the validation split.
    precision : `bfloat16` takes the dense products of training steps in it (much faster where the processor has them: GPUs, x86 with
        AVX512-BF16 or AMX); parameters, sums over neighbours, validation and `encode` stay in float32.
    device : `auto`, `cpu`, `cuda`, `mps`.
    """

    slope = 0.2  # of the LeakyReLU, in all three papers

    def __init__(
        self,
        *,
        hidden: Sequence[int],
        epochs: int,
        learning_rate: float = 1e-3,
        weight_decay: float = 5e-4,
        patience: int = 200,
        validation: float = 0.05,
        seed: int = 0,
        precision: str = "float32",
        device: str | torch.device = "auto",
    ) -> None:
        self.hidden = list(hidden)
        self.precision = check_precision(precision)
        self.schedule = Schedule(epochs, learning_rate, weight_decay, patience)
        self.validation, self.seed, self.device = validation, seed, device
        self.network: nn.Module | None = None
        self.history: History | None = None

    def settings(self) -> dict[str, Any]:
        s = self.schedule
        return {
            "hidden": self.hidden,
            "epochs": s.epochs,
            "learning_rate": s.learning_rate,
            "weight_decay": s.weight_decay,
            "patience": s.patience,
            "validation": self.validation,
            "seed": self.seed,
            "precision": self.precision,
        }

    @abstractmethod
    def build(self, inputs: int, outputs: int) -> nn.Module:
        """Return the untrained `Network` for `inputs` vector columns and `outputs` weight columns."""

    @abstractmethod
    def field(self, view: View, nodes: Sequence[str]) -> Field:
        """Return the receptive field of `nodes` in this encoder's network."""

    def shape(self, view: View, inputs: int, outputs: int) -> tuple[int, ...]:
        """Return what `build` takes for a view, vectors with `inputs` columns and `outputs` columns to learn."""
        return inputs, outputs

    @abstractmethod
    def shape_of(self, state: Mapping[str, np.ndarray]) -> tuple[int, ...]:
        """Return what `build` took for the network of `state`; raises KeyError where the state does not say."""

    def inputs(self, vectors: Vectors, field: Field) -> torch.Tensor:
        """Return the L2-normalised vectors of the field's input rows, `[field inputs, dim]`."""
        rows = vectors.matrix[field.inputs]
        norms = np.linalg.norm(rows, axis=1, keepdims=True)  # a node without a vector may be all zeros (its policy's choice)
        return torch.from_numpy(rows / np.maximum(norms, 1e-12)).to(resolve_device(self.device))

    def fit(
        self,
        view: View,
        vectors: Vectors,
        targets: ClassifierWeights,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int = 50,
    ) -> Self:
        """Learn from the seen classes' classifier weights (see `Encoder.fit`).

        Parameters
        ----------
        checkpoint : artifact folder that is written every `every` epochs; where it is there already, training goes on from it.

        Raises
        ------
        IncompatibleError : the checkpoint is that of other data or settings (more epochs and another patience are allowed).
        """
        check_same_nodes(view, vectors)
        device = resolve_device(self.device)
        join(device)
        goal = torch.from_numpy(unit_rows(targets.matrix).astype(np.float32)).to(device)
        with torch.random.fork_rng(devices=[]):  # layers of libraries draw when they are made, only to be drawn again by `reset`
            self.network = self.build(*self.shape(view, vectors.dim, targets.dim)).to(device)
        cast("Network", self.network).reset(torch.Generator(device).manual_seed(self.seed))
        masks = torch.Generator(device).manual_seed(self.seed + 1 + _BETWEEN_PROCESSES * rank())
        learn, held = split_validation(len(targets), self.validation, self.seed)

        def loss_on(rows: np.ndarray, generator: torch.Generator | None) -> Any:
            field = self.field(view, [targets.ids[i] for i in rows])
            features, wanted = self.inputs(vectors, field), goal[torch.from_numpy(rows).to(device)]
            network = self.network
            assert network is not None

            def loss() -> torch.Tensor:
                with mixed(self.precision if generator is not None else "float32", device):
                    predicted = network(features, field, generator)
                return half_mean_squared_error(predicted, wanted)

            return loss

        kept = None
        if checkpoint is not None:
            decides = {k: v for k, v in self.settings().items() if k not in ("epochs", "patience")}
            data = {"graph": view.graph_digest, "view": view.name, "data": data_digest(vectors, targets)}
            kept = Checkpoint(checkpoint, {"encoder": self.name, "device": device.type, **decides, **data, **identity()}, masks, every)
        validation = loss_on(held, None) if len(held) else None
        mine = share(learn)
        if not len(mine):
            raise InvalidInputError("every process has seen classes to learn from", received=f"{len(learn)} for {processes()} processes")
        part, weight = loss_on(mine, masks), len(mine) / len(learn)
        self.history = train(self.network, lambda: weight * part(), validation, self.schedule, f"{self.name}: training", kept)
        return self

    def memory(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> MemoryEstimate:
        """Return how much memory `fit` on this data will take, without fitting."""
        check_same_nodes(view, vectors)
        field = self.field(view, targets.ids)
        shape, rows = self.shape(view, vectors.dim, targets.dim), len(field.inputs)
        device = resolve_device(self.device)
        return estimate(lambda: self.build(*shape), field, (rows, vectors.dim), (len(targets), targets.dim), device)

    @torch.no_grad()
    def encode(self, view: View, vectors: Vectors, nodes: Sequence[str], *, chunk: int = 4096) -> ClassEmbeddings:
        check_same_nodes(view, vectors)
        if self.network is None:
            raise InvalidInputError(f"`{self.name}` encodes after fit or load", remedy="call fit(view, vectors, targets) first")
        nodes, parts = tuple(nodes), []
        for start in range(0, len(nodes), chunk):
            field = self.field(view, nodes[start : start + chunk])
            parts.append(self.network(self.inputs(vectors, field), field).cpu().numpy())
        meta = {"encoder": self.name, "settings": self.settings(), "graph": view.graph_digest, "vectors": dict(vectors.meta)}
        return ClassEmbeddings(nodes, np.concatenate(parts) if parts else np.empty((0, 0)), meta)

    def state(self) -> dict[str, np.ndarray]:
        if self.network is None:
            raise InvalidInputError(f"`{self.name}` has no state before fit")
        return {name: value.detach().cpu().numpy() for name, value in self.network.state_dict().items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        try:
            with torch.random.fork_rng(devices=[]):
                network = self.build(*self.shape_of(state))
            network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise InvalidInputError(f"the state must be that of `{self.name}` with these settings", received=str(error)[:300]) from error
        self.network = network.to(resolve_device(self.device))
