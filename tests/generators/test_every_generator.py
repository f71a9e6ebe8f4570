"""What every registered generator does: repeats, goes on, is saved, is refused nonsense, stays on its device."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from small_generators import SEMANTICS, SMALL, few, make
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from kgzsl.errors import (
    ArtifactError,
    DigestMismatchError,
    DivergedError,
    IncompatibleError,
    InvalidInputError,
    UnknownNameError,
)
from kgzsl.generators import GENERATORS, SeenRows, Training, load_generator, save_generator, settings_of, training
from kgzsl.generators.training import Batch
from kgzsl.matrices import ClassEmbeddings

NAMES = sorted(entry.name for entry in GENERATORS)
pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def data():
    return few()


@pytest.fixture(scope="module")
def fitted(data):
    """A small fitted generator by name, made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = make(name).fit(*data)
        return made[name]

    return get


def _drawn(generator, classes, **more) -> np.ndarray:
    return np.concatenate([block.matrix for block in generator.synthesise(classes, 5, **more)])


def _state(generator) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in generator.networks.state_dict().items()}


def _same(one, other) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(other[name], value, err_msg=name)


def test_every_generator_is_tested():
    assert sorted(SMALL) == NAMES, "a generator without small settings in tests/generators/small_generators.py"


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bits_and_another_seed_other_bits(name, fitted, data):
    first = fitted(name)
    _same(_state(first), _state(make(name).fit(*data)))
    other = _state(make(name, seed=4).fit(*data))
    assert any(not np.array_equal(value, other[key]) for key, value in _state(first).items())
    classes = list(first.classes[-2:])
    np.testing.assert_array_equal(_drawn(first, classes), _drawn(first, classes))
    assert not np.array_equal(_drawn(first, classes), _drawn(first, classes, seed=1))


@pytest.mark.parametrize("name", NAMES)
def test_a_class_is_drawn_alike_whatever_else_is_asked_for(name, fitted, monkeypatch):
    generator = fitted(name)
    whole = {f: block.matrix for block in generator.synthesise(generator.classes, 5) for f in [block.ids]}
    ids, rows = [i for block in whole for i in block], np.concatenate(list(whole.values()))
    assert ids == [f"{c}#{k}" for c in generator.classes for k in range(5)] and len(set(ids)) == len(ids)
    assert rows.shape == (5 * len(generator.classes), generator.dim) and np.isfinite(rows).all()
    monkeypatch.setattr("kgzsl.generators.base.BLOCK_VALUES", 1)  # one class a block
    blocks = list(generator.synthesise(generator.classes[::-1], 5))
    assert len(blocks) == len(generator.classes)
    alone = np.concatenate([block.matrix for block in blocks[::-1]])
    np.testing.assert_allclose(alone, rows, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_drawn_rows_and_real_rows_meet_in_the_final_space(name, fitted, data):
    generator = fitted(name)
    real = generator.represented(data[0])
    drawn = np.concatenate([b.matrix for b in generator.synthesise(generator.classes[-2:], 5, represented=True)])
    views = generator.represented_training(data[0])
    assert real.shape == views.shape and drawn.shape == (10, real.shape[1])
    assert np.isfinite(real).all() and np.isfinite(drawn).all() and np.isfinite(views).all()
    assert drawn.std() > 0


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_draws_the_same(name, fitted, data, tmp_path):
    generator = fitted(name)
    again = load_generator(save_generator(generator, tmp_path / "g"), device="cpu")
    assert settings_of(again) == settings_of(generator) and again.seen == generator.seen
    assert again.history == generator.history
    _same(_state(generator), _state(again))
    np.testing.assert_array_equal(_drawn(again, generator.classes), _drawn(generator, generator.classes))
    np.testing.assert_array_equal(again.represented(data[0]), generator.represented(data[0]))
    with pytest.raises(InvalidInputError, match="fit"):
        save_generator(make(name), tmp_path / "h")
    state = tmp_path / "g" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-7])
    with pytest.raises(DigestMismatchError):
        load_generator(tmp_path / "g")


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_cut_off_training_ends_where_it_would_have(name, ema, data, tmp_path, monkeypatch):
    def score(generator, epoch):
        return float(np.abs(_drawn(generator, generator.classes[-2:])).mean())

    how = Training(str(tmp_path / "c"), every=2, evaluate_every=2)
    whole = make(name, ema=ema, epochs=5).fit(*data, validation=score, training=Training(evaluate_every=2))
    with monkeypatch.context() as context:
        context.setattr(training, "track", _cut_off_at(4))
        with pytest.raises(KeyboardInterrupt):
            make(name, ema=ema, epochs=5).fit(*data, validation=score, training=how)
    again = make(name, ema=ema, epochs=5).fit(*data, validation=score, training=how)
    assert again.history == whole.history and list(whole.history.validation) == [2, 4]
    _same(_state(whole), _state(again))


def _cut_off_at(epoch):
    def track(items, description):
        for item in items:
            if item == epoch:
                raise KeyboardInterrupt
            yield item

    return track


@pytest.mark.parametrize("name", NAMES)
def test_another_training_or_a_truncated_checkpoint_is_refused(name, data, tmp_path):
    how = Training(str(tmp_path / "c"), every=1)
    make(name, epochs=1).fit(*data, training=how)
    features, labels, embeddings = data
    with pytest.raises(IncompatibleError, match="learning_rate"):
        make(name, epochs=1, learning_rate=0.5).fit(*data, training=how)
    with pytest.raises(IncompatibleError, match="semantics"):
        make(name, epochs=1).fit(features, labels, ClassEmbeddings(embeddings.ids, embeddings.matrix[:, :-1]), training=how)
    with pytest.raises(IncompatibleError, match="data"):
        make(name, epochs=1).fit(features[1:], labels[1:], embeddings, training=how)
    make(name, epochs=2).fit(*data, training=how)
    with pytest.raises(IncompatibleError, match="2 epochs"):
        make(name, epochs=1).fit(*data, training=how)
    state = tmp_path / "c" / "training.safetensors"
    state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
    with pytest.raises(DigestMismatchError):
        make(name, epochs=1).fit(*data, training=how)
    state.unlink()
    with pytest.raises(ArtifactError):
        make(name, epochs=1).fit(*data, training=how)


@pytest.mark.parametrize("name", NAMES)
def test_divergence_is_said_and_the_last_good_parameters_stay(name, data, tmp_path):
    generator = make(name, epochs=30)
    good = {}

    def spoil(fitting, epoch):
        if epoch == 1:
            good.update({key: value.clone().numpy() for key, value in fitting.networks.state_dict().items()})
        if epoch == 2:
            with torch.no_grad():
                next(p for p in fitting.networks.parameters() if p.dtype.is_floating_point).fill_(float("nan"))
        return -float(epoch)

    with pytest.raises(DivergedError, match="epoch 3"):
        generator.fit(*data, validation=spoil, training=Training(str(tmp_path / "c"), every=1, evaluate_every=1))
    _same(good, _state(generator))
    assert generator.history.epochs == 2 and generator.history.best_epoch == 1
    assert np.isfinite(_drawn(generator, generator.classes)).all()


@pytest.mark.parametrize("name", NAMES)
def test_bad_input_is_refused_with_its_reason(name, data, fitted):
    features, labels, embeddings = data
    with pytest.raises(InvalidInputError, match="two seen classes"):
        make(name).fit(features[:15], labels[:15], embeddings)
    with pytest.raises(InvalidInputError, match="differ between rows"):
        make(name).fit(np.ones_like(features), labels, embeddings)
    broken = features.copy()
    broken[3, 3] = np.nan
    with pytest.raises(InvalidInputError, match="finite"):
        make(name).fit(broken, labels, embeddings)
    with pytest.raises(InvalidInputError, match="one label per row"):
        make(name).fit(features, labels[1:], embeddings)
    with pytest.raises(UnknownNameError, match="cub:nobody"):
        make(name).fit(features, ["cub:nobody", *labels[1:]], embeddings)
    with pytest.raises(InvalidInputError, match="zeros"):
        make(name).fit(features, labels, ClassEmbeddings(embeddings.ids, embeddings.matrix * (np.arange(len(embeddings)) > 0)[:, None]))
    generator = fitted(name)
    with pytest.raises(UnknownNameError, match="cub:nobody"):
        next(generator.synthesise(["cub:nobody"], 3))
    with pytest.raises(IncompatibleError, match=f"{SEMANTICS}"):
        next(generator.synthesise(embeddings.ids[:1], 3, embeddings=ClassEmbeddings(embeddings.ids, embeddings.matrix[:, :-1])))
    with pytest.raises(InvalidInputError, match="at least one"):
        next(generator.synthesise(embeddings.ids[:1], 0))
    with pytest.raises(InvalidInputError, match="after fit"):
        next(make(name).synthesise(embeddings.ids[:1], 3))


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_trains(name, data):
    generator = make(name, epochs=1, precision="bfloat16").fit(*data)
    assert all(value.dtype == torch.float32 for value in generator.networks.state_dict().values() if value.is_floating_point())
    assert np.isfinite(_drawn(generator, generator.classes)).all()


class _Elsewhere(torch.Generator):
    """Random numbers of the fake device."""

    device = torch.device("meta")  # type: ignore[assignment]


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_drawing_stay_on_their_device(name, data, monkeypatch):
    generator = make(name, epochs=1).fit(*data)
    seen, rows = len(generator.seen), len(data[1])
    monkeypatch.setattr(torch.__future__, "get_overwrite_module_params_on_conversion", lambda: True)
    with FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=False):
        device, generator.rng = torch.device("meta"), _Elsewhere()
        generator.networks._apply(lambda t: torch.empty(t.shape, dtype=t.dtype, device=device))
        generator.networks.requires_grad_(True).train()
        fake = SeenRows(
            generator.seen,
            torch.empty(rows, generator.dim, device=device),
            torch.zeros(rows, dtype=torch.int64, device=device),
            torch.empty(seen, generator.semantics, device=device),
            torch.empty(3 if generator.uses_unseen_embeddings else 0, generator.semantics, device=device),
        )
        batch = Batch(fake.features[:9], fake.labels[:9], torch.empty(9, generator.semantics, device=device))
        for player in generator.players(fake):
            training._hold(generator.networks, player)
            generator.networks.zero_grad(set_to_none=True)
            loss = player.loss(batch, 1)
            loss.backward()
            moved = [p for key in player.networks for p in generator.networks[key].parameters()]
            assert loss.device.type == "meta" and loss.shape == () and all(p.grad is None or p.grad.device.type == "meta" for p in moved)
            assert any(p.grad is not None for p in moved)
            with pytest.raises((RuntimeError, AssertionError), match="device"):  # the check itself can fail
                player.loss(dataclasses.replace(batch, features=torch.empty(9, generator.dim), embeddings=torch.empty(9, SEMANTICS)), 1)
        noise = torch.empty(9, generator.noise_columns(), device=device)
        for rows in (generator.represent_drawn(batch.embeddings, noise), generator.represent_training(batch.features, noise)):
            assert rows.device.type == "meta"
        assert generator.draw(batch.embeddings, noise).shape == batch.features.shape
