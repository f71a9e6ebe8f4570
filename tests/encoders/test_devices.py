"""No tensor is left on another device: the networks run on torch's fake `meta`, where a stray CPU tensor fails."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from kgzsl.devices import resolve_device
from kgzsl.encoders import ENCODERS, sparse
from kgzsl.encoders.convolution import GraphNetwork
from kgzsl.encoders.memory import without_content
from kgzsl.encoders.receptive import ReceptiveField
from kgzsl.encoders.sparse import SparseOperator
from kgzsl.errors import InvalidInputError


@pytest.mark.parametrize("name", ["sgcn", "dgp", "gcnz"])
def test_network_stays_on_its_device(name, world, halves, monkeypatch):
    encoder = ENCODERS.make(name, {"device": "cpu"})
    view = encoder.view(world.graph)
    real = encoder.field(view, halves[0])
    monkeypatch.setattr(sparse, "multiply", _fake_multiply)
    with FakeTensorMode():
        device = torch.device("meta")
        operators = tuple(
            SparseOperator(torch.empty(o.shape, device=device), torch.empty(o.shape[::-1], device=device)) for o in real.operators
        )
        monkeypatch.setattr(SparseOperator, "edges", 10)
        field = ReceptiveField(operators, real.inputs, real.outputs)
        with device:
            network: GraphNetwork = encoder.build(world.vectors.dim, world.weights.dim)
        out = network(torch.empty(len(real.inputs), world.vectors.dim, device=device), field)
        assert out.device.type == "meta" and out.shape == (len(halves[0]), world.weights.dim)
        out.sum().backward()
        assert all(p.grad is not None and p.grad.device.type == "meta" for p in network.parameters())
        with pytest.raises((RuntimeError, AssertionError), match="device"):  # the check itself can fail
            network(torch.empty(len(real.inputs), world.vectors.dim, device="cpu"), field)


AGGREGATORS = {
    "gcn": {},
    "gat": {"attention_dropout": 0.2},
    "lstm": {},
    "trgcn": {},
    "rgcn": {"bases": 2},
    "compgcn": {},
    "gcnii": {"depth": 3},
}


@pytest.mark.parametrize("name", AGGREGATORS)
def test_aggregators_stay_on_their_device(name, world, halves, monkeypatch):
    encoder = ENCODERS.make(name, {"hidden": [16], "device": "cpu", **AGGREGATORS[name]})
    view = encoder.view(world.graph)
    real = encoder.field(view, halves[0])
    monkeypatch.setattr(sparse, "multiply", _fake_multiply)
    monkeypatch.setattr("torch_geometric.backend.use_segment_matmul", False)  # a choice by the number of pairs, which a fake hides
    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=False):  # R-GCN takes the pairs of one type by their mask
        device = torch.device("meta")
        field = without_content(real, device)
        with device:
            network = encoder.build(world.vectors.dim, world.weights.dim, len(view.adjacency))
        network.train()
        inputs = torch.empty(len(real.inputs), world.vectors.dim, device=device)
        out = network.propagate(inputs, field)
        assert out.device.type == "meta" and out.shape == (len(halves[0]), world.weights.dim)
        out.sum().backward()
        assert all(p.grad is not None and p.grad.device.type == "meta" for p in network.parameters())
        name, stray = list(network.named_parameters())[-1]
        with pytest.raises((RuntimeError, AssertionError), match="device"):  # the check itself can fail
            functional_call(network, {name: torch.empty(stray.shape, device="cpu")}, (inputs, field))


def _fake_multiply(matrix: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    if matrix.device != dense.device:
        raise RuntimeError(f"sparse product across devices: {matrix.device} and {dense.device}")
    return matrix @ dense


def test_a_device_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(InvalidInputError, match="cuda"):
        resolve_device("cuda")
    with pytest.raises(InvalidInputError, match="auto"):
        resolve_device("gpu please")
    assert resolve_device("auto").type == "cpu"
