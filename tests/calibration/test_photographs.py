"""Calibrations on real photographs, as they are meant to be used: fitted on seen classes treated as unseen, tested on hidden ones."""

from __future__ import annotations

import numpy as np
import pytest

from kgzsl.calibration import COSMO, BackOff, CalibratedStacking, HeldOut, Loki, Temperature, TemperatureBias
from kgzsl.graphs import directed, shortest_paths, undirected
from kgzsl.metrics import back_off_metrics, harmonic_interval, hierarchical_distance, negative_log_likelihood

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def held_out_and_test(world, halves, photographs) -> tuple[HeldOut, HeldOut]:
    from kgzsl.tasks.image import calibration_split
    from kgzsl.tasks.methods import encoder_method

    seen, unseen = halves
    method = encoder_method(world, "graph_gp")
    split = calibration_split(photographs.of_classes(seen), seen, share=0.25)

    def rows(fitted_on: tuple[str, ...], hidden: tuple[str, ...], images: list[str]) -> HeldOut:
        classifier, chosen = method(fitted_on, fitted_on + hidden), photographs.select(images)
        return HeldOut(classifier.classes, fitted_on, classifier.scores(chosen.matrix), chosen.matrix, labels=chosen.labels)

    return (
        rows(split.pseudo_seen, split.pseudo_unseen, [i for i in photographs.ids if i in split.images]),
        rows(seen, unseen, [i for i in photographs.ids if i not in split.images]),
    )


def h_of(rows: HeldOut, answers: tuple[str, ...]) -> float:
    right = np.array([a == b for a, b in zip(answers, rows.labels, strict=True)], dtype=float)
    return harmonic_interval(right, np.array(rows.labels), rows.is_seen[rows.truth], resamples=10)["H"].value


def test_deciding_between_seen_and_unseen_more_than_makes_up_for_the_bias(held_out_and_test) -> None:
    held_out, test = held_out_and_test
    plain = h_of(test, Temperature().fit(held_out).decide(test).ids)
    for calibration in (CalibratedStacking(), COSMO(), TemperatureBias()):
        assert h_of(test, calibration.fit(held_out).decide(test).ids) > plain + 0.1


def test_the_bias_makes_the_truth_likelier(held_out_and_test) -> None:
    held_out, test = held_out_and_test
    losses = [negative_log_likelihood(c.fit(held_out).probabilities(test), test.truth) for c in (TemperatureBias(), Temperature())]
    assert losses[0] < losses[1] < np.log(len(test.classes)) / 2


def test_loki_comes_nearer_than_the_likeliest_class(held_out_and_test, world) -> None:
    held_out, test = held_out_and_test
    distances = shortest_paths(undirected(world.graph, norm=None), test.classes)
    nearer, plain = (
        hierarchical_distance(distances, c.fit(held_out).decide(test).ids, test.labels)["squared_distance"]
        for c in (Loki(distances=distances), Temperature())
    )
    assert nearer < plain


def test_back_off_keeps_the_rate_on_classes_that_were_hidden(held_out_and_test, world) -> None:
    held_out, test = held_out_and_test
    told = []
    for error in (0.1, 0.2, 0.4):
        calibration = BackOff(view=directed(world.graph), error=error, control="expectation").fit(held_out)
        report = back_off_metrics(calibration.hierarchy(test.classes), calibration.decide(test).ids, test.labels)
        assert report["error"] <= error + 2 * np.sqrt(error * (1 - error) / len(test))
        told.append(report["specificity"])
    assert told == sorted(told) and told[-1] > 0.7
