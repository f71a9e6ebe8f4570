"""Training that was cut off and goes on ends bit for bit where it would have ended."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kgzsl.encoders import ENCODERS, training
from kgzsl.encoders.training import Schedule, train
from kgzsl.errors import ArtifactError, DigestMismatchError, DivergedError, IncompatibleError, InvalidInputError

SETTINGS = {"hidden": [16], "epochs": 20, "patience": 0, "validation": 0.1, "device": "cpu"}


class CutOff(Exception):
    """The machine goes down."""


def _cut_off_at(monkeypatch, epoch: int) -> None:
    """Let training stop in the middle of an epoch."""

    def track(items, description):
        for item in items:
            if item == epoch:
                raise CutOff
            yield item

    monkeypatch.setattr(training, "track", track)


@pytest.mark.parametrize(
    ("name", "more"),
    [("sgcn", {}), ("gat", {"attention_dropout": 0.3}), ("lstm", {"neighbours": [3, 2]}), ("trgcn", {"validation": 0.0})],
)
def test_cut_off_training_ends_where_it_would_have(name, more, world, halves, tmp_path, monkeypatch):
    settings, targets = {**SETTINGS, **more}, world.weights.select(halves[0])
    whole = ENCODERS.make(name, settings)
    view = whole.view(world.graph)
    whole.fit(view, world.vectors, targets)
    with monkeypatch.context() as context:
        _cut_off_at(context, 18)
        with pytest.raises(CutOff):
            ENCODERS.make(name, settings).fit(view, world.vectors, targets, checkpoint=tmp_path / "c", every=7)
    again = ENCODERS.make(name, settings).fit(view, world.vectors, targets, checkpoint=tmp_path / "c", every=7)
    assert again.history == whole.history
    for key, value in whole.state().items():
        np.testing.assert_array_equal(again.state()[key], value)


def test_a_finished_training_is_not_done_again_but_may_go_on(world, halves, tmp_path, monkeypatch):
    targets, path = world.weights.select(halves[0]), tmp_path / "c"
    encoder = ENCODERS.make("sgcn", SETTINGS)
    view = encoder.view(world.graph)
    encoder.fit(view, world.vectors, targets, checkpoint=path)
    with monkeypatch.context() as context:
        context.setattr(torch.optim.Adam, "step", lambda self: pytest.fail("a step was made"))
        again = ENCODERS.make("sgcn", SETTINGS).fit(view, world.vectors, targets, checkpoint=path)
    for key, value in encoder.state().items():
        np.testing.assert_array_equal(again.state()[key], value)
    longer = ENCODERS.make("sgcn", {**SETTINGS, "epochs": 30}).fit(view, world.vectors, targets, checkpoint=path)
    straight = ENCODERS.make("sgcn", {**SETTINGS, "epochs": 30}).fit(view, world.vectors, targets)
    assert longer.history == straight.history and len(longer.history.train) == 30
    for key, value in straight.state().items():
        np.testing.assert_array_equal(longer.state()[key], value)


def test_another_training_is_refused(world, halves, tmp_path):
    path = tmp_path / "c"
    encoder = ENCODERS.make("sgcn", {**SETTINGS, "epochs": 2})
    view = encoder.view(world.graph)
    encoder.fit(view, world.vectors, world.weights.select(halves[0]), checkpoint=path)
    with pytest.raises(IncompatibleError, match="learning_rate"):
        ENCODERS.make("sgcn", {**SETTINGS, "learning_rate": 0.1}).fit(view, world.vectors, world.weights.select(halves[0]), checkpoint=path)
    with pytest.raises(IncompatibleError, match="data"):
        encoder.fit(view, world.vectors, world.weights.select(halves[0][1:]), checkpoint=path)
    with pytest.raises(InvalidInputError, match="epochs"):
        encoder.fit(view, world.vectors, world.weights.select(halves[0]), checkpoint=tmp_path / "d", every=0)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InvalidInputError, match="overwritten"):
        encoder.fit(view, world.vectors, world.weights.select(halves[0]), checkpoint=tmp_path / "mine")


def test_a_damaged_checkpoint_is_refused(world, halves, tmp_path):
    path, targets = tmp_path / "c", world.weights.select(halves[0])
    encoder = ENCODERS.make("sgcn", {**SETTINGS, "epochs": 2})
    view = encoder.view(world.graph)
    encoder.fit(view, world.vectors, targets, checkpoint=path)
    arrays = path / "training.safetensors"
    good = arrays.read_bytes()
    arrays.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(DigestMismatchError):
        encoder.fit(view, world.vectors, targets, checkpoint=path)
    arrays.unlink()
    with pytest.raises(ArtifactError):
        encoder.fit(view, world.vectors, targets, checkpoint=path)


def test_divergence_is_named_and_the_best_parameters_stay():
    line = torch.nn.Linear(1, 1)
    losses = iter([line.weight.sum() * 0 + value for value in (3.0, float("nan"))])
    with pytest.raises(DivergedError, match="epoch 2"):
        train(line, lambda: next(losses), lambda: torch.tensor(1.0), Schedule(5, 0.1, 0.0, evaluate_every=1), "a line")
    assert torch.isfinite(line.weight).all()


@pytest.mark.parametrize("patience", [0, 3])
def test_patience_counts_epochs_without_a_better_loss(patience):
    line = torch.nn.Linear(1, 1)
    losses = iter([5.0, 4.0, *[6.0] * 20])
    history = train(
        line,
        lambda: line.weight.square().sum(),
        lambda: torch.tensor(next(losses)),
        Schedule(12, 0.1, 0.0, patience, evaluate_every=1),
        "a line",
    )
    assert history.best_epoch == 2 and len(history.train) == (5 if patience else 12)
