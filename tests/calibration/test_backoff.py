"""Back-off: the answer by a slow climb, the threshold by counting, and the guarantee on fresh rows."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from calibration.scored import names, random_tree
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kgzsl.calibration import BackOff, HeldOut, ScoredRows, softmax
from kgzsl.calibration.backoff import allowed_errors
from kgzsl.errors import InvalidInputError
from kgzsl.graphs import View, directed
from kgzsl.metrics import back_off_metrics
from kgzsl.testing.graphs import graph_of


def world_of(seed: int, leaves: int = 16) -> tuple[View, tuple[str, ...]]:
    """A binary tree of 2 · leaves − 1 nodes and its leaves."""
    edges = [(child, (child - 1) // 2) for child in range(1, 2 * leaves - 1)]
    return directed(graph_of(2 * leaves - 1, edges)), names(2 * leaves - 1)[leaves - 1 :]


def rows_of(rng: np.random.Generator, classes: tuple[str, ...], count: int, signal: float = 2.0) -> HeldOut:
    """Scores that mix up brothers more than strangers, with far too much confidence: nothing about them is calibrated."""
    truth = rng.integers(len(classes), size=count)
    near = np.exp(-np.abs(np.arange(len(classes))[None] ^ truth[:, None]) / 2)
    scores = 8 * (signal * near + rng.normal(size=near.shape)) - 30
    return HeldOut(classes, (), scores, labels=tuple(classes[i] for i in truth))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 5), st.floats(0, 1))
def test_the_answer_is_the_deepest_node_above_the_likeliest_class_that_passes(seed: int, extra: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    nodes = 12
    edges = random_tree(rng, nodes) + [(int(a), int(b)) for a, b in rng.integers(1, nodes, size=(extra, 2)) if a > b]
    other = nx.DiGraph(edges)
    classes = sorted({0, *rng.choice(nodes, size=5, replace=False).tolist()})  # 0 is a class too: nested classes
    rows = ScoredRows(tuple(names(nodes)[c] for c in classes), (), rng.integers(-3, 3, size=(8, len(classes))).astype(float))
    calibration = BackOff(view=directed(graph_of(nodes, edges)), temperature=1.0)
    calibration.threshold = threshold
    decided = calibration.decide(rows)
    for row, p in enumerate(softmax(rows.scores)):
        best = classes[int(p.argmax())]
        above = {best} | nx.descendants(other, best)
        mass = {n: sum(q for q, c in zip(p, classes, strict=True) if c == n or n in nx.descendants(other, c)) for n in above}
        answer = int(decided.ids[row][2:])
        passing = {n for n in above if mass[n] >= threshold - 1e-9} | {0}
        assert answer in passing
        if not any(abs(m - threshold) < 1e-9 for m in mass.values()):
            assert not (nx.ancestors(other, answer) & passing)  # nothing below it passes


@settings(deadline=None)
@given(st.integers(1, 400), st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0.05, 0.1, 0.5]))
def test_allowed_errors_are_the_most_that_pass_the_test(rows: int, error: float, risk: float) -> None:
    for control, passes in (
        ("probability", lambda k: sum(stats.binom.pmf(i, rows, error) for i in range(k + 1)) <= risk),
        ("expectation", lambda k: (k + 1) / (rows + 1) <= error + 1e-12),
    ):
        try:
            found = allowed_errors(rows, error, control, risk)
        except InvalidInputError as refused:
            assert not passes(0)
            needed = int(str(refused.remedy).split()[4])
            assert allowed_errors(needed, error, control, risk) == 0 and needed > rows
        else:
            assert passes(found) and not passes(found + 1)


def test_the_binomial_test_is_the_clopper_pearson_bound() -> None:
    for rows in (30, 100, 500):
        k = allowed_errors(rows, 0.1, "probability", 0.05)
        assert stats.binomtest(k, rows).proportion_ci(0.9, "exact").high <= 0.1  # two-sided 90 % = one-sided 95 %
        assert stats.binomtest(k + 1, rows).proportion_ci(0.9, "exact").high > 0.1


@pytest.mark.parametrize("control", ["probability", "expectation"])
def test_the_threshold_is_the_lowest_that_the_errors_allow(control: str) -> None:
    view, classes = world_of(0)
    rows = rows_of(np.random.default_rng(1), classes, 300)
    calibration = BackOff(view=view, error=0.15, control=control, temperature=8.0).fit(rows)
    allowed = allowed_errors(300, 0.15, control, 0.1)
    hierarchy = calibration.hierarchy(classes)

    def errors() -> float:
        return 300 * back_off_metrics(hierarchy, calibration.decide(rows).ids, rows.labels)["error"]

    assert errors() <= allowed + 1e-9
    calibration.threshold -= 1e-9
    assert errors() > allowed


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_with_several_parents_the_threshold_counts_the_rows_that_are_ever_wrong(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = random_tree(rng, 14) + [(int(a), int(b)) for a, b in rng.integers(1, 14, size=(9, 2)) if a > b]
    classes = tuple(names(14)[c] for c in sorted(rng.choice(14, size=7, replace=False)))
    truth = rng.integers(7, size=30)
    rows = HeldOut(classes, (), rng.normal(size=(30, 7)) + np.eye(7)[truth], labels=tuple(classes[i] for i in truth))
    calibration = BackOff(view=directed(graph_of(14, edges)), error=0.3, control="expectation", temperature=1.0).fit(rows)
    allowed, found = calibration.allowed, calibration.threshold
    hierarchy = calibration.hierarchy(classes)
    masses = np.unique(np.round(softmax(rows.scores) @ hierarchy.cover.toarray().astype(float), 12))
    ever = np.zeros(30, dtype=bool)
    lowest = np.inf
    for threshold in masses[::-1]:  # from strict to loose: answers change at these numbers only
        calibration.threshold = float(threshold)
        answers = calibration.decide(rows).ids
        ever |= [back_off_metrics(hierarchy, [a], [b])["error"] == 1 for a, b in zip(answers, rows.labels, strict=True)]
        if ever.sum() > allowed:
            break
        lowest = threshold
    # the loosest threshold before one row too many has been wrong, up to the gap between two masses
    assert lowest >= found if np.isfinite(lowest) else found > masses[-1]
    assert ever.sum() <= allowed or found > threshold


def test_a_node_at_the_threshold_passes() -> None:
    view, classes = directed(graph_of(3, [(1, 0), (2, 0)])), names(3)[1:]
    calibration = BackOff(view=view, temperature=1.0)
    rows = ScoredRows(classes, (), np.zeros((1, 2)))
    for threshold, answer in ((0.5, "t:001"), (np.nextafter(0.5, 1), "t:000")):
        calibration.threshold = threshold
        assert calibration.decide(rows).ids == (answer,)


@pytest.mark.slow
@pytest.mark.parametrize("error", [0.1, 0.3])
def test_the_error_stays_below_the_chosen_rate_on_fresh_rows(error: float) -> None:
    """Over many draws of calibration rows, the share of draws that break the promise is at most the risk."""
    view, classes = world_of(0)
    risk, draws, broken, mean = 0.1, 200, 0, []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        fresh = rows_of(rng, classes, 4000)
        strict = BackOff(view=view, error=error, risk=risk, temperature=8.0).fit(rows_of(rng, classes, 150))
        loose = BackOff(view=view, error=error, control="expectation", temperature=8.0).fit(rows_of(rng, classes, 40))
        found = back_off_metrics(strict.hierarchy(classes), strict.decide(fresh).ids, fresh.labels)["error"]
        broken += found > error + 2 * np.sqrt(error * (1 - error) / 4000)  # fresh rows are counted, not known
        mean.append(back_off_metrics(loose.hierarchy(classes), loose.decide(fresh).ids, fresh.labels)["error"])
    assert broken <= stats.binom.ppf(0.999, draws, risk)
    assert np.mean(mean) <= error + 3 * np.std(mean) / np.sqrt(draws)
    assert np.mean(mean) > error / 3  # and the promise is not kept by saying nothing


def test_the_guarantee_holds_for_scores_that_mean_nothing() -> None:
    view, classes = world_of(0)
    rng = np.random.default_rng(3)
    calibration = BackOff(view=view, error=0.2, temperature=0.01).fit(rows_of(rng, classes, 400, signal=0.0))
    fresh = rows_of(rng, classes, 4000, signal=0.0)
    report = back_off_metrics(calibration.hierarchy(classes), calibration.decide(fresh).ids, fresh.labels)
    assert report["error"] <= 0.2 and report["specificity"] < 0.5


def test_a_perfect_classifier_answers_with_classes_and_constant_scores_with_the_root() -> None:
    view, classes = world_of(0)
    perfect = HeldOut(classes, (), 9 * np.tile(np.eye(16), (8, 1)), labels=classes * 8)
    assert BackOff(view=view, temperature=1.0).fit(perfect).decide(perfect).ids == classes * 8
    constant = HeldOut(classes, (), np.full((128, 16), -1.0), labels=classes * 8)
    assert set(BackOff(view=view, error=0.05, temperature=1.0).fit(constant).decide(constant).ids) == {"t:000"}


def test_a_higher_error_rate_allows_deeper_answers() -> None:
    view, classes = world_of(0)
    rows, fresh = (rows_of(np.random.default_rng(s), classes, 500) for s in (0, 1))
    reports = []
    for error in (0.05, 0.15, 0.4):
        calibration = BackOff(view=view, error=error).fit(rows)
        reports.append(back_off_metrics(calibration.hierarchy(classes), calibration.decide(fresh).ids, fresh.labels))
    for what in ("depth", "specificity", "error"):
        values = [r[what] for r in reports]
        assert values == sorted(values) and values[0] < values[-1]


def test_the_temperature_comes_from_rows_that_do_not_calibrate() -> None:
    view, classes = world_of(0)
    rows = rows_of(np.random.default_rng(0), classes, 300)
    calibration = BackOff(view=view).fit(rows)
    assert calibration.calibration_rows == 240 and calibration.temperature > 1
    again = BackOff(view=view).fit(rows)
    assert (again.threshold, again.temperature) == (calibration.threshold, calibration.temperature)
    assert calibration.fit(rows).threshold == again.threshold  # a second fit is a fit of its own


def test_what_is_wrong_is_refused() -> None:
    view, classes = world_of(0)
    rows = rows_of(np.random.default_rng(0), classes, 20)
    with pytest.raises(InvalidInputError, match="at least 22 rows"):
        BackOff(view=view, temperature=1.0).fit(rows)
    with pytest.raises(InvalidInputError, match="after fit"):
        BackOff(view=view).decide(rows)
    for settings_ in ({"error": 0.0}, {"risk": 1.0}):
        with pytest.raises(InvalidInputError, match="between 0 and 1"):
            BackOff(view=view, **settings_)
    with pytest.raises(InvalidInputError, match="probability or expectation"):
        BackOff(view=view, control="hope")  # type: ignore[arg-type]
    forest = directed(graph_of(4, [(1, 0), (3, 2)]))
    with pytest.raises(InvalidInputError, match="above all its classes"):
        BackOff(view=forest, error=0.5, temperature=1.0).fit(HeldOut(("t:001", "t:003"), (), np.zeros((9, 2)), labels=("t:001",) * 9))


def test_real_carnivores_keep_the_rate_on_the_other_half(world, carnivore_scores: HeldOut) -> None:
    order = np.random.default_rng(0).permutation(len(carnivore_scores))
    calibrate, test = (carnivore_scores.take(part) for part in np.array_split(order, 2))
    calibration = BackOff(view=directed(world.graph), error=0.2).fit(calibrate)
    report = back_off_metrics(calibration.hierarchy(test.classes), calibration.decide(test).ids, test.labels)
    assert report["error"] <= 0.2 + 2 * np.sqrt(0.2 * 0.8 / len(test)) and report["specificity"] > 0.3
