"""Joint heads and fine-tuning on real photographs: they learn, repeat, go on from a checkpoint, and refuse what does not fit."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from kgzsl.classifiers.compositions import Knowledge, PairFeatures, finetuning
from kgzsl.classifiers.compositions.finetuning import CONFIGURATIONS, FineTuning, fine_tune
from kgzsl.classifiers.compositions.joint_heads import JointHeads
from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.features.pixels import decode
from kgzsl.features.trainable import ImageNetwork, TrainedBackbone
from kgzsl.testing.compositions import few_photographs

pytestmark = pytest.mark.data
TINY = FineTuning(height=64, width=48, epochs=2, batch_size=16, learning_rate=1e-4, patience=0, device="cpu")


def heads(**settings) -> JointHeads:
    return JointHeads(**{"hidden": 16, "embedding": 8, "graph_hidden": 16, "epochs": 4, "batch_size": 32, "device": "cpu", **settings})


@pytest.fixture(scope="module")
def few():
    return few_photographs(3)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    from kgzsl.workspace import Workspace

    work = Workspace()
    graph = work.graph("compositions-fashion")
    return Knowledge(graph, work.vectors(graph))


@pytest.fixture(scope="module")
def rows(few, lite0) -> np.ndarray:
    network = ImageNetwork.pretrained("efficientnet-lite0", early=True, colours=True)
    return TrainedBackbone(network, (64, 48), "cpu").rows_of(decode(few.paths, (64, 48)))


@pytest.fixture(scope="module")
def lite0():
    from kgzsl.errors import MissingDataError
    from kgzsl.features import make_backbone

    try:
        return make_backbone("efficientnet-lite0", device="cpu")
    except MissingDataError as error:
        pytest.skip(str(error))


def part(few, rows, name: str) -> PairFeatures:
    at = few.rows(name)
    return PairFeatures(rows[at], few.labels[at])


@pytest.fixture(scope="module")
def tuned(few, knowledge, lite0):
    return fine_tune(few, heads(), knowledge, TINY)


def test_heads_learn_the_training_photographs(few, rows):
    fitted = heads(epochs=40, embedding=0, dropout=0.0).fit(part(few, rows, "train"), few.space, None)
    train = part(few, rows, "train")
    seen = few.space.pairs[few.space.seen]
    right = np.flatnonzero(few.space.seen)[fitted.scores(train.matrix, seen).argmax(1)] == train.labels
    assert right.mean() > 0.9 > 3 / len(seen)


def test_a_pair_scores_what_its_state_and_object_do(few, rows):
    fitted = heads(embedding=0).fit(part(few, rows, "train"), few.space, None)
    every = np.array([(s, o) for s in range(4) for o in range(4)])
    scores = fitted.scores(rows[:5], every).astype(np.float64)
    assert np.allclose(np.exp(scores).sum(axis=1), 1, atol=1e-4)
    table = scores.reshape(5, 4, 4)
    assert np.allclose(table[:, 0, 0] + table[:, 1, 1], table[:, 0, 1] + table[:, 1, 0], atol=1e-4)


def test_heads_come_back_from_their_state_with_the_graph_term(few, rows, knowledge):
    fitted = heads(state_columns=[1280, 2264]).fit(part(few, rows, "train"), few.space, knowledge, part(few, rows, "val"))
    fitted.alpha = 0.5
    again = JointHeads(**fitted.settings(), device="cpu")
    again.load_state(fitted.state(), few.space)
    every = np.array([(s, o) for s in range(4) for o in range(4)])
    assert np.allclose(again.scores(rows, every), fitted.scores(rows, every), atol=1e-5)
    with pytest.raises(InvalidInputError, match="joint heads"):
        again.load_state({k: v for k, v in fitted.state().items() if k != "centre"}, few.space)


def test_a_head_sees_only_its_columns(few, rows):
    fitted = heads(embedding=0, state_columns=[1280, 2264], object_columns=[0, 1280]).fit(part(few, rows, "train"), few.space, None)
    changed = rows.copy()
    changed[:, 1280:] = 0
    per_object = fitted.scores(rows, few.space.pairs), fitted.scores(changed, few.space.pairs)
    one_state = few.space.pairs[:, 0] == few.space.pairs[0, 0]
    # with the state fixed, differences between objects stay
    assert np.allclose(np.diff(per_object[0][:, one_state]), np.diff(per_object[1][:, one_state]), atol=1e-4)
    assert not np.allclose(*per_object)
    with pytest.raises(InvalidInputError, match="columns that the features have"):
        heads(state_columns=[0, 9999]).fit(part(few, rows, "train"), few.space, None)


def test_the_best_epoch_is_kept_and_none_leaves_the_network_as_it_came(tuned, few, lite0):
    untouched = ImageNetwork.pretrained("efficientnet-lite0", early=True, colours=True).state_dict()
    assert len(tuned.history["loss"]) == TINY.epochs and len(tuned.history["auc"]) == TINY.epochs + 1
    assert tuned.history["best_epoch"] == int(np.argmax(tuned.history["auc"]))
    last = fine_tune(few, heads(), None, dataclasses.replace(TINY, epochs=0))
    assert all(torch.equal(v, untouched[k]) for k, v in last.backbone.state.items()) and last.history["loss"] == []


def test_one_seed_gives_one_model_and_another_another(tuned, few, knowledge):
    again = fine_tune(few, heads(), knowledge, TINY)
    other = fine_tune(few, heads(), knowledge, dataclasses.replace(TINY, seed=1))
    assert again.history == tuned.history and again.backbone.recipe() == tuned.backbone.recipe()
    assert other.history["loss"] != tuned.history["loss"]


def test_it_goes_on_from_a_checkpoint_bit_for_bit(tuned, few, knowledge, tmp_path, monkeypatch):
    real = finetuning._epoch

    def stopping(*arguments):
        if arguments[6] == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(finetuning, "_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(few, heads(), knowledge, TINY, checkpoint=tmp_path / "training")
    monkeypatch.setattr(finetuning, "_epoch", real)
    resumed = fine_tune(few, heads(), knowledge, TINY, checkpoint=tmp_path / "training")
    assert resumed.history == tuned.history and resumed.backbone.recipe() == tuned.backbone.recipe()
    assert all(np.array_equal(v, tuned.heads.state()[k]) for k, v in resumed.heads.state().items())
    with pytest.raises(IncompatibleError, match="learning_rate"):
        fine_tune(few, heads(), knowledge, dataclasses.replace(TINY, learning_rate=2e-4), checkpoint=tmp_path / "training")
    assert not list(Path(tmp_path).glob("**/*.pkl"))


def test_an_unreadable_photograph_is_named_before_anything_is_trained(few, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(few.paths[0].read_bytes()[:50])
    first = int(few.rows("train")[0])
    spoilt = dataclasses.replace(few, paths=(*few.paths[:first], bad, *few.paths[first + 1 :]))
    with pytest.raises(InvalidInputError, match=r"bad\.jpg"):
        fine_tune(spoilt, heads(), None, TINY)


@pytest.mark.parametrize(
    "wrong",
    [{"backbone": "resnet18"}, {"epochs": -1}, {"batch_size": 0}, {"learning_rate": float("nan")}, {"height": 8}, {"precision": "int8"}],
)
def test_settings_are_checked(wrong):
    with pytest.raises(InvalidInputError):
        dataclasses.replace(CONFIGURATIONS["small"], **wrong)


def test_the_rate_rises_and_falls_to_nothing():
    rates = [TINY.rate(step, 100) for step in range(100)]
    assert rates[0] < rates[5] < max(rates) and rates[-1] < 1e-3 and all(a > b for a, b in itertools.pairwise(rates[10:]))
