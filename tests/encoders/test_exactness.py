"""The receptive-field networks equal the full-graph way, written independently from the papers' equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kgzsl.encoders import ENCODERS
from kgzsl.encoders.regression import half_mean_squared_error
from kgzsl.ids import positions
from kgzsl.testing.full_graph import FullGraphNetwork, masks_on_field

SETTINGS = {"sgcn": {"hidden": [48]}, "dgp": {"hidden": [48]}, "gcnz": {"hidden": [48, 40, 32]}}


def _build(name, world):
    encoder = ENCODERS.make(name, {**SETTINGS[name], "device": "cpu"})
    view = encoder.view(world.graph)
    network = encoder.build(world.vectors.dim, world.weights.dim)
    network.reset(torch.Generator().manual_seed(3))
    for parameter in network.attentions:  # equal weights would hide a swapped direction or distance
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(4))
    for layer in network.layers:
        torch.nn.init.normal_(layer.bias, std=0.1, generator=torch.Generator().manual_seed(5))
    return encoder, view, network


@pytest.mark.parametrize("name", SETTINGS)
def test_forward_equals_the_full_graph(name, world, halves):
    encoder, view, network = _build(name, world)
    full = FullGraphNetwork(network, encoder.layers(view)).eval()
    everything = torch.nn.functional.normalize(torch.from_numpy(world.vectors.matrix))
    field = encoder.field(view, halves[1])
    ours = network(encoder.inputs(world.vectors, field), field)
    theirs = full(everything)[torch.from_numpy(positions(halves[1], view.ids, "graph"))]
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("name", SETTINGS)
def test_training_losses_equal_the_full_graph_over_fifty_steps(name, world, halves):
    encoder, view, network = _build(name, world)
    layers = encoder.layers(view)
    full = FullGraphNetwork(network, layers)
    field = encoder.field(view, halves[0])
    rows, found = field.outputs, []
    for matrices in reversed(layers):
        rows = np.unique(np.concatenate([m[rows].indices for m in matrices]))
        found.insert(0, rows)
    goal = torch.nn.functional.normalize(torch.from_numpy(world.weights.rows(halves[0])))
    inputs, everything = encoder.inputs(world.vectors, field), torch.nn.functional.normalize(torch.from_numpy(world.vectors.matrix))
    seen = torch.from_numpy(field.outputs)
    generator, twin = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    masks = masks_on_field(found, network.layers[0].dropout, twin)
    ours = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=5e-4)
    theirs = torch.optim.Adam(full.parameters(), lr=1e-3, weight_decay=5e-4)
    for _ in range(50):
        losses = []
        for optimiser, predict in (
            (ours, lambda: network(inputs, field, generator)),
            (theirs, lambda: full(everything, masks)[seen]),
        ):
            optimiser.zero_grad()
            loss = half_mean_squared_error(predict(), goal)
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_field_is_smaller_than_the_graph(world):
    encoder = ENCODERS.make("sgcn", {"device": "cpu"})
    view = encoder.view(world.graph)
    leaf = min(range(len(view.ids)), key=lambda i: view.adjacency[0][i].nnz)
    sizes = encoder.field(view, [view.ids[leaf]]).sizes()
    assert sizes[-1] == 1 and sizes[0] < len(view.ids)


def test_gradient_reaches_the_inputs(world, halves):
    for name in SETTINGS:
        encoder, view, network = _build(name, world)
        field = encoder.field(view, halves[1])
        inputs = encoder.inputs(world.vectors, field).requires_grad_()
        network(inputs, field).square().sum().backward()
        assert (inputs.grad.abs().sum(dim=1) > 0).float().mean() > 0.99


def test_dropout_keeps_the_mean_and_follows_its_generator():
    from kgzsl.encoders.dropout import dropout

    ones = torch.ones(400, 500)
    dropped = dropout(ones, 0.5, torch.Generator().manual_seed(0))
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped, dropout(ones, 0.5, torch.Generator().manual_seed(0)))
    assert dropout(ones, 0.5, None) is ones
