"""Mixed precision: only dense products are rounded, everything learned stays close."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kgzsl.encoders import ENCODERS
from kgzsl.encoders.aggregation import take
from kgzsl.encoders.dropout import dropout, dropout_in_training
from kgzsl.encoders.precision import mixed
from kgzsl.encoders.regression import WeightRegressionEncoder
from kgzsl.encoders.sparse import SparseOperator, propagate
from kgzsl.errors import InvalidInputError

TRAINED = sorted(e.name for e in ENCODERS if issubclass(ENCODERS.lookup(e.name), WeightRegressionEncoder))
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", TRAINED)
def test_losses_stay_close_and_repeat(name, world, halves):
    hidden = {"gcnz": [32, 32], "gcnii": [32]}.get(name, [32])
    settings = {"hidden": hidden, "epochs": 6, "validation": 0.1, "device": "cpu"}
    targets = world.weights.select(halves[0])
    exact, rounded, again = (ENCODERS.make(name, {**settings, "precision": p}) for p in ("float32", "bfloat16", "bfloat16"))
    view = exact.view(world.graph)
    for encoder in (exact, rounded, again):
        encoder.fit(view, world.vectors, targets)
    np.testing.assert_allclose(rounded.history.train, exact.history.train, rtol=5e-3)
    assert rounded.history.train != exact.history.train
    assert rounded.history == again.history
    assert {value.dtype for key, value in rounded.state().items() if key != "shape"} == {np.dtype(np.float32)}
    assert rounded.encode(view, world.vectors, halves[1]).matrix.dtype == np.float32


def test_another_precision_is_refused():
    with pytest.raises(InvalidInputError, match="float16"):
        ENCODERS.make("sgcn", {"precision": "float16"})


def test_sums_over_neighbours_are_exact_under_mixed_precision(world):
    matrix = ENCODERS.make("sgcn", {"device": "cpu"}).view(world.graph).adjacency[0]
    operator = SparseOperator.from_scipy([matrix], CPU)
    rows = torch.from_numpy(world.vectors.matrix).requires_grad_()
    plain = propagate(operator, rows)
    with mixed("bfloat16", CPU):
        assert torch.equal(propagate(operator, rows), plain)
        assert (rows @ rows.T).dtype == torch.bfloat16


def test_a_hub_collects_more_gradient_than_half_precision_could():
    """bfloat16 stops counting at 256."""
    rows = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)
    take(rows, torch.zeros(4096, 1, dtype=torch.int64)).sum().backward()
    assert rows.grad.tolist() == [[4096.0] * 3, [0.0] * 3]


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(p):
    dropped = dropout(torch.ones(700, 501), p, torch.Generator().manual_seed(0))
    assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=4 * (p * (1 - p) / 350_700) ** 0.5)
    assert dropped.max().item() == pytest.approx(1 / (1 - p), rel=2e-4)


def test_dropout_is_independent_between_neighbours_and_follows_the_global_seed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        first = dropout_in_training(torch.ones(1000, 1000), 0.5, True) / 2
        torch.manual_seed(3)
        assert torch.equal(first, dropout_in_training(torch.ones(1000, 1000), 0.5, True) / 2)
    for shift in (1, 2, 3, 4, 1000):
        flat = first.flatten()
        assert (flat[shift:] * flat[:-shift]).mean().item() == pytest.approx(0.25, abs=2e-3)
    assert dropout_in_training(first, 0.5, False) is first
