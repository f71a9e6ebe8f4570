"""Classifiers on a feature set, on CUB: the protocols' numbers by other means, and nothing of the test rows in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgzsl.classifiers import ESZSL
from kgzsl.datasets import FeatureSet, read_feature_set
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.matrices import Features
from kgzsl.tasks.decisions import Choice
from kgzsl.tasks.evidence import Evidence, readable
from kgzsl.tasks.features import FeatureMethod, FeatureTask, own_semantics

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def cub() -> FeatureSet:
    return read_feature_set("cub")


def per_class(answers: np.ndarray, labels: tuple[str, ...]) -> float:
    truth = np.array(labels)
    return float(np.mean([(answers[truth == c] == c).mean() for c in sorted(set(labels))]))


def test_t1_is_that_of_the_classifier_alone(cub: FeatureSet) -> None:
    result = FeatureTask(cub, "eszsl").run(0)
    classifier = ESZSL().fit(cub.train.matrix, cub.train.labels, cub.embeddings.select([*cub.split.seen, *cub.split.unseen]))
    columns = [classifier.classes.index(c) for c in cub.split.unseen]
    best = np.array(cub.split.unseen)[classifier.scores(cub.test_unseen.matrix)[:, columns].argmax(axis=1)]
    assert result["zsl"]["T1"] == pytest.approx(per_class(best, cub.test_unseen.labels), abs=1e-12)
    assert result["zsl"]["T1_low"] < result["zsl"]["T1"] < result["zsl"]["T1_high"]
    assert 0.57 < result["zsl"]["T1"] < 0.70


def test_stacking_lies_between_no_calibration_and_the_oracle(cub: FeatureSet) -> None:
    evidence = Evidence()
    choices = tuple(map(Choice, ("temperature_bias", "cosmo", "boundary")))
    result = FeatureTask(cub, "gaussian", choices=choices).run(0, evidence)
    assert result["gzsl argmax"]["H"] + 0.1 < result["gzsl"]["H"] <= result["gzsl oracle"]["H"]
    assert {f"gzsl {c.name}" for c in choices} < set(result)
    assert 0 < result["gzsl temperature_bias"]["ECE"] < 0.3
    kept = evidence.content(readable)["protocols"]
    for protocol, metric in (("zsl", "T1"), ("gzsl", "U")):
        unseen = [right / rows for _, seen, rows, right in kept[protocol]["per_class"] if not seen]
        assert np.mean(unseen) == pytest.approx(result[protocol][metric], abs=1e-12)
    assert kept["gzsl"]["chosen"] == pytest.approx([result["gzsl"]["S"], result["gzsl"]["U"]])


def test_poisoned_test_rows_change_no_choice(cub: FeatureSet) -> None:
    data = cub.with_test_seen(seed=1)
    matrix = np.array(data.features.matrix)
    tested = np.isin(np.array(data.features.ids), np.array([*data.test_seen_rows, *data.test_unseen_rows]))
    matrix[tested] = 1e3 * np.random.default_rng(0).normal(size=(int(tested.sum()), matrix.shape[1]))
    features = Features(ids=data.features.ids, matrix=matrix, meta=data.features.meta, labels=data.features.labels)
    clean, dirty = (FeatureTask(d, "eszsl", grid={"gamma": [1.0, 1e4]}).run(0) for d in (data, replace(data, features=features)))
    assert clean["gzsl"]["gamma"] == dirty["gzsl"]["gamma"]
    assert clean["zsl"]["T1"] > dirty["zsl"]["T1"] + 0.3


def test_the_same_seed_gives_the_same_numbers(cub: FeatureSet) -> None:
    assert FeatureTask(cub, "prototype").run(3) == FeatureTask(cub, "prototype").run(3)


def test_pseudo_unseen_classes_are_seen_ones_with_training_rows_only(cub: FeatureSet) -> None:
    data = cub.with_test_seen(seed=2)
    pseudo = data.with_pseudo_unseen(2)
    assert set(pseudo.split.classes) == set(data.split.seen) and len(pseudo.split.unseen) == round(150 * 50 / 200)
    assert set(pseudo.features.ids) == set(data.train_rows)
    assert not set(pseudo.train_rows) & {*pseudo.test_seen_rows, *pseudo.test_unseen_rows}
    assert data.with_pseudo_unseen(2).split == pseudo.split != data.with_pseudo_unseen(3).split


def test_what_is_refused(cub: FeatureSet) -> None:
    with pytest.raises(UnknownNameError, match="eszsl"):
        FeatureMethod("svm", {}, own_semantics(cub))
    with pytest.raises(InvalidInputError, match="encoder predicts"):
        FeatureMethod("weight_regression", {}, own_semantics(cub))
