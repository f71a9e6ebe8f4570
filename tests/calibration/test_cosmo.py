"""COSMO: the mixture by the formula, the gate by scikit-learn, and what it gains."""

from __future__ import annotations

import numpy as np
import pytest
from calibration.scored import biased_rows, names
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special
from sklearn.linear_model import LogisticRegression

from kgzsl.calibration import COSMO, HeldOut, JointScores, ScoredRows, evaluate, softmax
from kgzsl.calibration.cosmo import SMOOTHINGS, SOFTNESSES, combine, fit_gate
from kgzsl.errors import InvalidInputError
from kgzsl.metrics import harmonic_mean


def per_class_h(rows: HeldOut, answers: tuple[str, ...]) -> float:
    right = np.array([a == b for a, b in zip(answers, rows.labels, strict=True)])
    sides = []
    for seen in (True, False):
        classes = [c for c, s in zip(rows.classes, rows.is_seen, strict=True) if s == seen and c in rows.labels]
        sides.append(np.mean([right[[label == c for label in rows.labels]].mean() for c in classes]))
    return harmonic_mean(*sides)


@settings(deadline=None)
@given(
    arrays(float, (4, 3), elements=st.floats(-5, 5)),
    arrays(float, (4, 2), elements=st.floats(-5, 5)),
    arrays(float, 4, elements=st.floats(0, 1)),
)
def test_the_mixture_equals_a_slow_loop_and_sums_to_one(a: np.ndarray, b: np.ndarray, gate: np.ndarray) -> None:
    seen, unseen = softmax(a), softmax(b)
    found = combine(seen, unseen, gate)
    for row, g in enumerate(gate):
        for k in range(3):  # Laplace-like: what the gate doubts is uniform
            assert found[0][row, k] == pytest.approx(g * (g * seen[row, k] + (1 - g) / 3))
        for k in range(2):
            assert found[1][row, k] == pytest.approx((1 - g) * ((1 - g) * unseen[row, k] + g / 2))
    np.testing.assert_allclose(found[0].sum(axis=1) + found[1].sum(axis=1), 1)


def test_a_perfect_gate_is_two_experts() -> None:
    rng = np.random.default_rng(0)
    seen, unseen = softmax(rng.normal(size=(50, 7))), softmax(rng.normal(size=(50, 4)))
    of_seen = rng.random(50) < 0.5
    joint = np.hstack(combine(seen, unseen, of_seen.astype(float)))
    expected = np.where(of_seen, seen.argmax(axis=1), 7 + unseen.argmax(axis=1))
    np.testing.assert_array_equal(joint.argmax(axis=1), expected)
    np.testing.assert_allclose(joint[of_seen, :7], seen[of_seen])


def test_without_smoothing_it_is_total_probability() -> None:
    rng = np.random.default_rng(1)
    seen, unseen, gate = softmax(rng.normal(size=(9, 3))), softmax(rng.normal(size=(9, 5))), rng.random(9)
    joint = combine(seen, unseen, gate, smoothing=0.0)
    np.testing.assert_allclose(joint[0], gate[:, None] * seen)
    np.testing.assert_allclose(joint[1], (1 - gate[:, None]) * unseen)


def test_the_gate_equals_scikit_learns_balanced_logistic_regression() -> None:
    rng = np.random.default_rng(2)
    of_seen = rng.random(300) < 0.8
    confidences = rng.random((300, 6)) + 0.3 * of_seen[:, None]
    ours = fit_gate(confidences, of_seen)
    theirs = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-10, max_iter=1000).fit(confidences, of_seen)
    np.testing.assert_allclose(ours, np.append(theirs.coef_[0], theirs.intercept_), atol=1e-4)


def test_it_undoes_the_bias_towards_seen_classes() -> None:
    fresh = biased_rows(1, rows=3000, shift=4.0)
    plain = per_class_h(fresh, tuple(fresh.classes[i] for i in fresh.scores.argmax(axis=1)))
    calibration = COSMO().fit(biased_rows(0, rows=3000, shift=4.0))
    decided = calibration.decide(fresh)
    assert per_class_h(fresh, decided.ids) > plain + 0.2
    np.testing.assert_allclose(decided.scores.sum(axis=1), 1)


def test_no_threshold_softness_or_smoothing_does_better_on_the_held_out_rows() -> None:
    for seed, shift in ((0, 4.0), (1, -4.0), (2, 0.0)):
        rows = biased_rows(seed, rows=150, shift=shift)
        calibration = COSMO().fit(rows)
        chosen = per_class_h(rows, calibration.decide(rows).ids)
        calibration.threshold, calibration.softness = 0.0, 1.0
        logits = special.logit(calibration.gates(rows))
        found = []
        for calibration.smoothing in SMOOTHINGS:
            for calibration.softness in SOFTNESSES:
                for calibration.threshold in np.quantile(logits, np.linspace(0, 1, 65)):
                    found.append(per_class_h(rows, calibration.decide(rows).ids))
        assert chosen >= max(found) - 1e-9 and chosen > min(found) + 0.2


def test_a_higher_threshold_sends_rows_to_the_unseen_expert() -> None:
    rows = biased_rows(0)
    calibration = COSMO().fit(rows)
    before = calibration.gates(rows)
    assert before[rows.is_seen[rows.truth]].mean() > before[~rows.is_seen[rows.truth]].mean()
    calibration.threshold += 1.0
    assert (calibration.gates(rows) < before).all()


def test_experts_need_not_share_a_scale() -> None:
    held_out, fresh = biased_rows(0), biased_rows(1)

    def on_another_scale(rows: HeldOut) -> HeldOut:
        return HeldOut(rows.classes, rows.seen, np.where(rows.is_seen, rows.scores, 1000 * rows.scores + 7), labels=rows.labels)

    same = COSMO().fit(held_out).decide(fresh)
    scaled = COSMO().fit(on_another_scale(held_out)).decide(on_another_scale(fresh))
    np.testing.assert_allclose(same.scores, scaled.scores, atol=1e-4)


def test_fewer_classes_than_the_gate_looks_at_and_constant_scores() -> None:
    ids = names(3)
    constant = HeldOut(ids, ids[:2], np.zeros((4, 3)), labels=(ids[0], ids[1], ids[2], ids[2]))
    decided = COSMO(top=5).fit(constant).decide(ScoredRows(ids, ids[:2], np.zeros((2, 3))))
    assert np.isfinite(decided.scores).all() and len(set(decided.ids)) == 1


def test_one_kind_of_rows_is_refused() -> None:
    rows = biased_rows(0)
    with pytest.raises(InvalidInputError, match="treated as unseen"):
        COSMO().fit(rows.take(np.flatnonzero(rows.is_seen[rows.truth])))
    with pytest.raises(InvalidInputError, match="classes of both kinds"):
        COSMO().fit(rows).decide(ScoredRows(rows.classes, rows.classes, rows.scores))
    with pytest.raises(InvalidInputError, match="after fit"):
        COSMO().decide(rows)
    with pytest.raises(InvalidInputError, match="at least one"):
        COSMO(top=0)


def test_real_carnivores_are_decided_better_than_without(carnivore_scores: HeldOut) -> None:
    joint = JointScores.from_scores(carnivore_scores.scores, carnivore_scores.truth, carnivore_scores.is_seen)
    decided = COSMO().fit(carnivore_scores).decide(carnivore_scores)  # its own rows: shows that it fits, not that it generalises
    assert per_class_h(carnivore_scores, decided.ids) >= evaluate(joint, 0.0)["H"]
