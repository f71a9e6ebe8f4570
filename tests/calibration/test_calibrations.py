"""What holds for every calibration: each registered one has a case here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from calibration.scored import biased_rows

from kgzsl.calibration import (
    CALIBRATIONS,
    CalibratedStacking,
    Calibration,
    HeldOut,
    JointScores,
    ScoredRows,
    SubclassSets,
    choose_gamma,
    evaluate,
)
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import directed, shortest_paths, undirected
from kgzsl.matrices import IdMatrix
from kgzsl.testing.graphs import graph_of

#: 0 … 11 are classes; 12 … 15 stand above three each, 16 above all, 17 below 0.
GRAPH = graph_of(18, [*((c, 12 + c // 3) for c in range(12)), *((p, 16) for p in range(12, 16)), (17, 0)])
CENTRES = np.random.default_rng(0).normal(size=(12, 6))


def features_of(rows: HeldOut) -> np.ndarray:
    return CENTRES[rows.truth] + 0.1 * np.random.default_rng(1).normal(size=(len(rows), 6))


def rows_of(seed: int) -> HeldOut:
    rows = biased_rows(seed, rows=240)
    return replace(rows, features=features_of(rows))


CASES: dict[str, Callable[[], Calibration]] = {
    "backoff": lambda: CALIBRATIONS.make("backoff", {"view": directed(GRAPH), "error": 0.3}),
    "boundary": lambda: CALIBRATIONS.make("boundary", {"prototypes": IdMatrix(GRAPH.ids[:12], CENTRES)}),
    "chils": lambda: CALIBRATIONS.make("chils", {"sets": SubclassSets.of_view(directed(GRAPH), GRAPH.ids[:12], among=GRAPH.ids[:12])}),
    "cosmo": lambda: CALIBRATIONS.make("cosmo"),
    "loki": lambda: CALIBRATIONS.make("loki", {"distances": shortest_paths(undirected(GRAPH, norm=None), GRAPH.ids[:12], GRAPH.ids)}),
    "stacking": lambda: CALIBRATIONS.make("stacking"),
    "temperature": lambda: CALIBRATIONS.make("temperature"),
    "temperature_bias": lambda: CALIBRATIONS.make("temperature_bias"),
}


@pytest.fixture(params=sorted(CASES))
def fitted(request: pytest.FixtureRequest) -> Calibration:
    return CASES[request.param]().fit(rows_of(0))


def test_every_registered_calibration_has_a_case() -> None:
    assert {entry.name for entry in CALIBRATIONS} == set(CASES)
    with pytest.raises(UnknownNameError, match="choose from: backoff"):
        CALIBRATIONS.lookup("guessing")
    with pytest.raises(InvalidInputError, match="parameters it has"):
        CALIBRATIONS.make("stacking", {"gama": 1.0})


def test_every_row_gets_an_answer_among_the_candidates(fitted: Calibration) -> None:
    rows = rows_of(1)
    answers = fitted.decide(rows)
    assert len(answers.ids) == len(rows) and set(answers.ids) <= set(answers.candidates)
    if answers.scores is not None:
        assert answers.scores.shape == (len(rows), len(answers.candidates)) and np.isfinite(answers.scores).all()
        own = answers.scores[np.arange(len(rows)), answers.chosen]
        np.testing.assert_allclose(own, answers.scores.max(axis=1), rtol=1e-8)


def test_rows_are_decided_one_by_one(fitted: Calibration) -> None:
    rows = rows_of(1)
    order = np.random.default_rng(0).permutation(len(rows))[:50]
    whole = fitted.decide(rows).ids
    assert fitted.decide(rows.take(order)).ids == tuple(whole[i] for i in order)


def test_classes_are_joined_by_id(fitted: Calibration) -> None:
    rows = rows_of(1)
    order = np.random.default_rng(0).permutation(12)
    turned = ScoredRows(tuple(rows.classes[i] for i in order), rows.seen[::-1], rows.scores[:, order], rows.features)
    assert fitted.decide(turned).ids == fitted.decide(rows).ids


def test_the_same_rows_give_the_same_decisions(fitted: Calibration) -> None:
    rows = rows_of(1)
    again = CASES[fitted.name]().fit(rows_of(0))
    np.testing.assert_array_equal(fitted.decide(rows).chosen, again.decide(rows).chosen)


def test_the_rows_that_are_decided_carry_no_labels(fitted: Calibration) -> None:
    """Labels that come with the rows change nothing: `decide` is given scores, and looks at nothing else."""
    assert list(inspect.signature(fitted.decide).parameters) == ["rows"]
    rows = rows_of(1)
    blind = ScoredRows(rows.classes, rows.seen, rows.scores, rows.features)
    np.testing.assert_array_equal(fitted.decide(blind).chosen, fitted.decide(rows).chosen)


def test_fitting_changes_no_input(fitted: Calibration) -> None:
    rows = rows_of(0)
    scores, features = rows.scores.copy(), np.array(rows.features)
    CASES[fitted.name]().fit(rows).decide(rows)
    np.testing.assert_array_equal(rows.scores, scores)
    np.testing.assert_array_equal(rows.features, features)


def test_stacking_answers_as_its_gamma_says() -> None:
    held_out, fresh = rows_of(0), rows_of(1)
    calibration = CalibratedStacking().fit(held_out)
    assert calibration.gamma == choose_gamma(JointScores.from_scores(held_out.scores, held_out.truth, held_out.is_seen))
    right = np.array(calibration.decide(fresh).ids) == np.array(fresh.labels)
    per_class = [right[fresh.truth == c].mean() for c in range(12)]
    expected = evaluate(JointScores.from_scores(fresh.scores, fresh.truth, fresh.is_seen), calibration.gamma)
    assert expected["S"] == pytest.approx(np.mean(per_class[:8])) and expected["U"] == pytest.approx(np.mean(per_class[8:]))
    with pytest.raises(InvalidInputError, match="after fit"):
        CalibratedStacking().decide(fresh)
