"""The composition task: worlds, blocks, the feasibility threshold, and a run on the photos of fashion with trivial features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kgzsl.tasks.composition as task
from kgzsl.classifiers.compositions import CompositionClassifier, PairFeatures
from kgzsl.datasets import read_composition_set
from kgzsl.datasets.composition_set import CompositionSet, CompositionSpace
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.metrics.compositional import bias_sweep
from kgzsl.tasks.composition import CompositionTask, closed_world, feasible_world, open_world, outcomes_in, related_pairs
from kgzsl.tasks.composition_features import tuning_of
from kgzsl.tasks.evidence import Evidence


class Bilinear(CompositionClassifier):
    """Scores of pairs as the sum of a state's and an object's score; the features are those scores."""

    name = "sum"
    source = "this test"

    def __init__(self, states: int) -> None:
        self.states = states

    def fit(self, train: PairFeatures, space: CompositionSpace, knowledge: Any, validation: PairFeatures | None = None) -> Bilinear:
        return self

    def scores(self, features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        return features[:, pairs[:, 0]] + features[:, self.states + pairs[:, 1]]


@pytest.fixture(scope="module")
def fashion() -> CompositionSet:
    return read_composition_set("fashion")


@pytest.fixture(scope="module")
def matrix(fashion: CompositionSet) -> np.ndarray:
    """The true state and object of each image, blurred: what a middling model's two heads would say."""
    space, random = fashion.space, np.random.default_rng(0)
    states, objects = space.pairs[fashion.labels].T
    found = random.normal(size=(len(fashion), len(space.states) + len(space.objects))).astype(np.float32)
    rows = np.arange(len(fashion))
    found[rows, states] += 2
    found[rows, len(space.states) + objects] += 3
    return found


@pytest.mark.data
def test_worlds(fashion: CompositionSet) -> None:
    space, world = fashion.space, open_world(fashion)
    assert len(world.pairs) == 35 * 83 and world.seen.sum() == 368 and len(world.candidates) == len(world.pairs)
    np.testing.assert_array_equal(world.pairs[world.place], space.pairs)
    np.testing.assert_array_equal(world.seen[world.place], space.seen)
    closed = closed_world(fashion, "test")
    assert len(closed.candidates) == 471 and closed.seen[closed.candidates].sum() == 368


@pytest.mark.data
def test_blocks_give_the_sweep_of_all_scores_at_once(fashion: CompositionSet, matrix: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    world, rows = closed_world(fashion, "test"), fashion.rows("test")
    images, classifier = PairFeatures(matrix[rows], fashion.labels[rows]), Bilinear(35)
    scores = classifier.scores(images.matrix, world.pairs[world.candidates])
    whole = bias_sweep(scores, np.searchsorted(world.candidates, images.labels), world.seen[world.candidates])
    bias = np.where(world.seen[world.candidates], np.float32(0), np.float32(1.5))
    monkeypatch.setattr(task, "SCORED", 471 * 1_000)
    monkeypatch.setattr(task, "LOOKED_AT", 471 * 7)
    outcomes, answers = outcomes_in(classifier, images, world, (1, 2), 1.5)
    assert task.sweep(outcomes[1]).auc == whole.auc and task.sweep(outcomes[2]).auc > whole.auc
    np.testing.assert_array_equal(answers, world.candidates[(scores + bias).argmax(axis=1)])


@pytest.mark.data
def test_the_threshold_is_the_best_one_on_validation(fashion: CompositionSet, matrix: np.ndarray) -> None:
    world, rows = open_world(fashion), fashion.rows("val")
    images, classifier = PairFeatures(matrix[rows], fashion.labels[rows]), Bilinear(35)
    listed = np.zeros((35, 83), dtype=np.float32)
    listed[tuple(fashion.space.pairs.T)] = 0.5
    everything = task.sweep(outcomes_in(classifier, images, world)[0][1]).auc
    smaller, threshold = feasible_world(classifier, images, world, listed)
    assert threshold == 0.5 and len(smaller.candidates) == 575 and smaller.seen[smaller.candidates].sum() == 368
    assert task.sweep(outcomes_in(classifier, images, smaller)[0][1]).auc > everything
    same, low = feasible_world(classifier, images, world, np.zeros_like(listed))
    assert low == 0 and len(same.candidates) == len(world.pairs)  # a table that knows nothing rules out nothing
    wrong, _ = feasible_world(classifier, images, world, 1 - listed)  # true pairs are the least feasible: all are kept
    assert task.sweep(outcomes_in(classifier, images, wrong)[0][1]).auc == everything


@pytest.mark.data
def test_a_run_has_every_protocol_and_its_evidence(fashion: CompositionSet, matrix: np.ndarray) -> None:
    evidence = Evidence()
    run = CompositionTask(fashion, "visual_product").run(matrix, 0, evidence, Bilinear(35))
    assert set(run) == {"validation", "closed", "closed czsl-20", "closed chosen", "open"}
    closed, world = run["closed"], run["open"]
    assert closed["candidates"] == 471 and world["candidates"] == 2_905 and closed["images"] == 3_806
    assert 0 < world["AUC"] < closed["AUC"] < closed["AUC@2"] < closed["AUC@3"] < 1
    assert run["closed chosen"]["HM"] <= closed["HM"] and abs(run["closed czsl-20"]["AUC"] - closed["AUC"]) < 0.02
    assert closed["state"] > 0.3 and closed["object"] > closed["state"]
    content = evidence.content(str, related_pairs(fashion))
    kept = content["protocols"]["closed"]
    right = sum(r for _, seen, _, r in kept["per_class"] if seen), sum(r for _, seen, _, r in kept["per_class"] if not seen)
    counts = sum(n for _, seen, n, _ in kept["per_class"] if seen), sum(n for _, seen, n, _ in kept["per_class"] if not seen)
    assert (right[0] / counts[0], right[1] / counts[1]) == pytest.approx((run["closed chosen"]["S"], run["closed chosen"]["U"]))
    assert kept["chosen"] == [run["closed chosen"]["S"], run["closed chosen"]["U"]] and len(kept["curve"]) > 50
    assert {relation for *_, relation in kept["confusions"]} <= {"same object", "same state", ""}
    assert "same object" in {relation for *_, relation in kept["confusions"]}


@pytest.mark.data
def test_only_the_test_part_changes_test_numbers(fashion: CompositionSet, matrix: np.ndarray) -> None:
    """Other test features leave the classifier, the bias and the threshold as they are."""
    other = matrix.copy()
    other[fashion.rows("test")] = 0
    runs = [CompositionTask(fashion, "visual_product", {"epochs": 1, "hidden": 0}, worlds=("closed",)).run(m, 0) for m in (matrix, other)]
    assert runs[0]["validation"] == runs[1]["validation"] and runs[0]["closed chosen"]["bias"] == runs[1]["closed chosen"]["bias"]
    assert runs[0]["closed"]["AUC"] > runs[1]["closed"]["AUC"]
    grid = CompositionTask(fashion, "visual_product", {"hidden": 0}, {"epochs": [1, 3]}, worlds=("closed",)).run(matrix, 0)
    assert grid["validation"]["AUC"] >= runs[0]["validation"]["AUC"]


@pytest.mark.data
def test_what_a_task_cannot_do_is_refused(fashion: CompositionSet, matrix: np.ndarray) -> None:
    with pytest.raises(UnknownNameError, match="visual_product"):
        CompositionTask(fashion, "visual product")
    with pytest.raises(InvalidInputError, match="closed and open"):
        CompositionTask(fashion, "visual_product", worlds=("half open",))
    with pytest.raises(InvalidInputError, match="of a method with a graph"):
        CompositionTask(fashion, "visual_product", feasibility="compcos")
    with pytest.raises(InvalidInputError, match="every image"):
        CompositionTask(fashion, "visual_product").run(matrix[:5], 0)
    with pytest.raises(InvalidInputError, match="epoch"):
        CompositionTask(fashion, "visual_product", grid={"epochs": [1, -1]})


def test_fine_tuning_is_a_configuration_with_changes() -> None:
    found = tuning_of({"configuration": "small", "epochs": 3, "height": 64})
    assert (found.epochs, found.height, found.seed) == (3, 64, 0)
    for settings, rule in (({"configuration": "tiny"}, "small, large"), ({"epoch": 3}, "it takes: .*epochs"), ({"seed": 3}, "it takes")):
        with pytest.raises(InvalidInputError, match=rule):
            tuning_of(settings)
