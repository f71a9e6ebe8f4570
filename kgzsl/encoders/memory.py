"""How much memory a training will take, found by running one step on tensors without content."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from kgzsl.encoders.sparse import SparseOperator


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that training holds at its peak, in parts.

    Attributes
    ----------
    parameters : weights, their gradients, Adam's two moments, and the copy of the best weights.
    inputs : rows of vectors and targets.
    field : the receptive field's index tensors and sparse matrices.
    activations : what the forward pass keeps for the backward pass.
    """

    parameters: int
    inputs: int
    field: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.parameters + self.inputs + self.field + self.activations


def field_bytes(value: Any) -> int:
    """Return the bytes of all tensors in a receptive field."""
    if isinstance(value, torch.Tensor):
        if value.layout is torch.strided:
            return value.numel() * value.element_size()
        return sum(field_bytes(part) for part in (value.crow_indices(), value.col_indices(), value.values()))
    if isinstance(value, tuple):
        return sum(field_bytes(part) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(field_bytes(getattr(value, f.name)) for f in dataclasses.fields(value))
    return 0


def without_content(value: Any, device: torch.device) -> Any:
    """Return a receptive field with an empty tensor on `device` in place of every tensor; sparse matrices become dense ones.

    Call it under `FakeTensorMode`, where no tensor takes memory.
    """
    if isinstance(value, torch.Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device=device)
    if isinstance(value, tuple):
        return tuple(without_content(part, device) for part in value)
    if isinstance(value, SparseOperator):
        with unset_fake_temporarily():  # the true matrix is asked for its size
            edges = value.edges
        return _Counted(torch.empty(value.shape, device=device), torch.empty(value.shape[::-1], device=device), edges)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{f.name: without_content(getattr(value, f.name), device) for f in dataclasses.fields(value)})
    return value


@dataclass(frozen=True)
class _Counted(SparseOperator):
    """An operator without content that remembers how many values it had."""

    stored: int = 0

    @property
    def edges(self) -> int:
        return self.stored


def kept_for_backward(run: Callable[[], object], given: Sequence[torch.Tensor], *, longest: int) -> int:
    """Return the bytes that `run` keeps for its backward pass, each storage once, those of `given` not at all.

    Parameters
    ----------
    longest : taken for a length that only the data decide, where tensors have no content.
    """
    kept: dict[int, int] = {}
    held: list[torch.Tensor] = []  # so that no storage is freed and its place taken by another

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)
        if tensor.layout is torch.strided:
            sizes = [size if isinstance(size, int) else longest for size in tensor.shape]
            storage = tensor.untyped_storage()._cdata
            kept[storage] = max(kept.get(storage, 0), torch.Size(sizes).numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    known = {tensor.untyped_storage()._cdata for tensor in given if tensor.layout is torch.strided}
    return sum(size for storage, size in kept.items() if storage not in known)


def one_step(network: nn.Module, features: torch.Tensor, field: Any) -> object:
    """Run the forward pass as in training, whatever the random numbers."""
    network.train()
    if hasattr(network, "propagate"):
        return network.propagate(features, field)  # type: ignore[operator]
    return network(features, field, torch.Generator())


def estimate(
    build: Callable[[], nn.Module], field: Any, inputs: tuple[int, int], outputs: tuple[int, int], device: torch.device
) -> MemoryEstimate:
    """Return what one training step of a network on `field` takes, without making any of its tensors.

    Parameters
    ----------
    build : makes the network.
    inputs, outputs : shapes of the field's input rows and of the targets.
    device : where it is to be trained; it need not be on this machine.
    """
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    longest = max((len(tensor) for tensor in tensors_of(field) if tensor.layout is torch.strided), default=0)
    with FakeTensorMode(shape_env=ShapeEnv()):
        empty = without_content(field, device)
        with device:
            network = build()
        weights = sum(p.numel() * p.element_size() for p in network.parameters())
        features = torch.empty(inputs, device=device)
        given = [*network.parameters(), *network.buffers(), features, *tensors_of(empty)]
        activations = kept_for_backward(lambda: one_step(network, features, empty), given, longest=longest)
    return MemoryEstimate(5 * weights, 4 * (inputs[0] * inputs[1] + outputs[0] * outputs[1]), field_bytes(field), activations)


def tensors_of(value: Any) -> list[torch.Tensor]:
    """Return all tensors in a receptive field."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, tuple):
        return [tensor for part in value for tensor in tensors_of(part)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [tensor for f in dataclasses.fields(value) for tensor in tensors_of(getattr(value, f.name))]
    return []
