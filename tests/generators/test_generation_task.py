"""The task that runs a generator on a feature set: two trainings, nothing of the test rows in any choice, bounds around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_cub import QUICK, small_cub

from kgzsl.datasets import FeatureSet
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.generators import FCLSWGAN, Training
from kgzsl.generators.heads import HEADS, GeneratedClassifier
from kgzsl.matrices import Features
from kgzsl.tasks.decisions import Choice
from kgzsl.tasks.evidence import Evidence, readable
from kgzsl.tasks.features import FeatureTask, zsl_metrics
from kgzsl.tasks.generation import BOUNDS, VALIDATION_ROWS, GenerationTask, Use

pytestmark = pytest.mark.data

USE = Use(per_class=30, evaluate_every=3)


@pytest.fixture(scope="module")
def cub() -> FeatureSet:
    return small_cub()


@pytest.fixture(scope="module")
def result(cub: FeatureSet) -> dict[str, dict[str, float]]:
    return GenerationTask(cub, "fclswgan", QUICK, USE).run(0)


def test_protocols_and_metrics_are_those_of_classifiers(cub: FeatureSet, result: dict[str, dict[str, float]]) -> None:
    beside = FeatureTask(cub, "eszsl").run(0)
    assert set(result) == set(beside)
    for protocol, metrics in beside.items():
        assert set(result[protocol]) - {"epochs"} == set(metrics)


def test_the_numbers_are_those_of_two_trainings_by_hand(cub: FeatureSet, result: dict[str, dict[str, float]]) -> None:
    data = cub.with_test_seen(seed=0)
    pseudo = data.with_pseudo_unseen(0)

    def t1(generator: FCLSWGAN, tested: FeatureSet, rows: int) -> float:
        head = HEADS.make("softmax", {"seed": 0})
        classifier = GeneratedClassifier(generator, head).fit(None, tested.split.unseen, rows, seed=0)
        best = np.array(classifier.classes)[classifier.scores(tested.test_unseen.matrix).argmax(axis=1)]
        truth = np.array(tested.test_unseen.labels)
        return float(np.mean([(best[truth == c] == c).mean() for c in tested.split.unseen]))

    scores = {}

    def remember(generator: FCLSWGAN, epoch: int) -> float:
        scores[epoch] = t1(generator, pseudo, min(USE.per_class, VALIDATION_ROWS))
        return scores[epoch]

    rehearsal = FCLSWGAN(**QUICK, seed=0)
    rehearsal.fit(pseudo.train.matrix, pseudo.train.labels, pseudo.embeddings, validation=remember, training=Training(evaluate_every=3))
    epochs = max(scores, key=lambda e: (scores[e], -e))
    assert sorted(scores) == [3, 6, 9, 12] and result["zsl"]["epochs"] == epochs
    final = FCLSWGAN(**{**QUICK, "epochs": epochs}, seed=0).fit(data.train.matrix, data.train.labels, data.embeddings)
    assert result["zsl"]["T1"] == pytest.approx(t1(final, data, USE.per_class), abs=1e-12)


def test_the_same_seed_gives_the_same_numbers(cub: FeatureSet, result: dict[str, dict[str, float]]) -> None:
    assert GenerationTask(cub, "fclswgan", QUICK, USE).run(0) == result
    assert GenerationTask(cub, "fclswgan", QUICK, USE).run(1) != result


def test_poisoned_test_rows_change_no_choice(cub: FeatureSet, result: dict[str, dict[str, float]]) -> None:
    data = cub.with_test_seen(seed=0)
    matrix = np.array(data.features.matrix)
    tested = np.isin(np.array(data.features.ids), np.array([*data.test_seen_rows, *data.test_unseen_rows]))
    matrix[tested] = np.random.default_rng(0).permuted(matrix[tested], axis=0)
    features = Features(ids=data.features.ids, matrix=matrix, meta=data.features.meta, labels=data.features.labels)
    dirty = GenerationTask(replace(data, features=features), "fclswgan", QUICK, USE).run(0)
    assert dirty["zsl"]["epochs"] == result["zsl"]["epochs"] and dirty["gzsl"]["gamma"] == result["gzsl"]["gamma"]
    assert dirty["zsl"]["T1"] != result["zsl"]["T1"]


def test_bounds_lie_around(cub: FeatureSet, result: dict[str, dict[str, float]]) -> None:
    lower, upper = (GenerationTask(cub, name, use=USE).run(0) for name in BOUNDS)
    assert lower["zsl"]["T1"] == pytest.approx(1 / len(cub.split.unseen)) and lower["gzsl argmax"]["U"] == lower["gzsl argmax"]["H"] == 0
    assert lower["gzsl argmax"]["S"] > 0.5
    assert upper["zsl"]["T1"] > result["zsl"]["T1"] > lower["zsl"]["T1"]
    assert upper["gzsl"]["H"] > result["gzsl"]["H"] > lower["gzsl"]["H"]
    assert upper["zsl"]["rows"] == sum(len(r) - len(r) // 2 for r in rows_by_class(cub).values())


def rows_by_class(data: FeatureSet) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row, label in zip(data.test_unseen.ids, data.test_unseen.labels, strict=True):
        found.setdefault(label, []).append(row)
    return found


def test_the_oracle_is_tested_on_rows_that_it_has_not_seen(cub: FeatureSet) -> None:
    from kgzsl.tasks.generation import _half, _with_half

    learned, tested = set(_half(cub, 3).ids), set(_with_half(cub, 3).test_unseen_rows)
    assert learned and tested and not learned & tested and learned | tested == set(cub.test_unseen_rows)
    assert set(_half(cub, 4).ids) != learned


def test_calibrations_and_evidence(cub: FeatureSet) -> None:
    evidence = Evidence()
    task = GenerationTask(cub, "fclswgan", QUICK, Use("prototype", per_class=20), tuple(map(Choice, ("cosmo", "boundary"))))
    found = task.run(0, evidence)
    assert {"gzsl cosmo", "gzsl boundary"} < set(found)
    kept = evidence.content(readable)["protocols"]
    for protocol, metric in (("zsl", "T1"), ("gzsl", "U")):
        unseen = [right / rows for _, seen, rows, right in kept[protocol]["per_class"] if not seen]
        assert np.mean(unseen) == pytest.approx(found[protocol][metric], abs=1e-12)


def test_patience_ends_the_search(cub: FeatureSet) -> None:
    found = GenerationTask(cub, "fclswgan", {**QUICK, "learning_rate": 1e-9}, Use(per_class=10, evaluate_every=1, patience=2)).run(0)
    assert found["zsl"]["epochs"] == 1  # nothing is learned, so nothing is better than the first


def test_one_epoch_is_validated_too(cub: FeatureSet) -> None:
    assert GenerationTask(cub, "fclswgan", {**QUICK, "epochs": 1}, Use(per_class=10)).run(0)["zsl"]["epochs"] == 1


def test_what_is_refused(cub: FeatureSet) -> None:
    with pytest.raises(UnknownNameError, match="fclswgan"):
        GenerationTask(cub, "gan")
    with pytest.raises(InvalidInputError, match="hiden"):
        GenerationTask(cub, "fclswgan", {"hiden": 3})
    with pytest.raises(InvalidInputError, match="takes no settings"):
        GenerationTask(cub, "oracle", {"epochs": 3})
    with pytest.raises(UnknownNameError, match="softmax"):
        Use("svm")
    for wrong in ({"per_class": 0}, {"evaluate_every": 0}, {"patience": -1}):
        with pytest.raises(InvalidInputError, match="per_class"):
            Use(**wrong)


def test_a_cells_entry_is_read() -> None:
    use = Use.of({"name": "x", "settings": {}, "head": {"name": "nearest", "settings": {"distance": "cosine"}}, "per_class": 7})
    assert use == Use("nearest", {"distance": "cosine"}, 7) and Use.of({"name": "x", "head": "prototype"}).head == "prototype"
    assert Use.of({"name": "x"}) == Use()


def test_ties_of_unknown_classes_are_chance(cub: FeatureSet) -> None:
    from kgzsl.tasks.generation import _Widened

    known = HEADS.make("prototype").fit([(cub.train.matrix, cub.train.labels)], cub.split.seen)
    classifier = _Widened(known, cub.split.classes)
    scores = classifier.scores(cub.test_unseen.matrix)
    unknown = scores[:, len(cub.split.seen) :]
    assert (unknown.max(axis=1) < scores[:, : len(cub.split.seen)].min(axis=1)).all()
    assert zsl_metrics(_Widened(HEADS.make("prototype"), cub.split.unseen), cub.test_unseen)["T1"] == pytest.approx(1 / 6)
