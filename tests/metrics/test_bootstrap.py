"""Bootstrap intervals against SciPy's, against slow resampling, and for their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kgzsl.errors import InvalidInputError
from kgzsl.metrics import harmonic_interval, harmonic_mean, mean_interval, per_class_mean


def rows_of(seed: int, rows: int = 120, classes: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    # ids with gaps, and classes from one row to a third of all: a resample of rows misses some
    share = 0.62 ** np.arange(classes)
    labels = np.append(np.arange(classes), rng.choice(classes, size=rows - classes, p=share / share.sum())) ** 2 + 3
    return (rng.random(rows) < 0.3 + 0.05 * np.sqrt(labels - 3)).astype(float), labels


def test_the_mean_over_rows_equals_scipys_percentile_interval() -> None:
    values, _ = rows_of(0)
    ours = mean_interval(values - 2, resamples=20_000)
    theirs = stats.bootstrap((values - 2,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert ours.value == pytest.approx((values - 2).mean())
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=0.006), pytest.approx(theirs.high, abs=0.006))


@pytest.mark.parametrize("over", ["rows", "classes"])
@pytest.mark.parametrize("per_class", [False, True])
def test_it_equals_slow_resampling(over: str, per_class: bool) -> None:
    values, labels = rows_of(1)
    rng = np.random.default_rng(5)
    found = []
    for _ in range(4000):
        if over == "rows":
            drawn = rng.integers(len(values), size=len(values))
            parts = [(values[drawn][labels[drawn] == c]) for c in np.unique(labels[drawn])]
        else:
            kinds = np.unique(labels)
            parts = [values[labels == c] for c in rng.choice(kinds, size=len(kinds))]
        found.append(np.mean([p.mean() for p in parts]) if per_class else np.concatenate(parts).mean())
    ours = mean_interval(values, labels, per_class=per_class, over=over, resamples=20_000, level=0.9)
    low, high = np.quantile(found, [0.05, 0.95])
    assert ours.low == pytest.approx(low, abs=0.01) and ours.high == pytest.approx(high, abs=0.01)
    assert ours.value == pytest.approx(per_class_mean(values, labels) if per_class else values.mean())


def test_the_harmonic_mean_equals_slow_resampling() -> None:
    values, labels = rows_of(2)
    seen = labels < 20
    rng, found = np.random.default_rng(6), []
    for _ in range(4000):
        sides = []
        for side in (seen, ~seen):
            drawn = rng.choice(np.flatnonzero(side), size=side.sum())
            sides.append(per_class_mean(values[drawn], labels[drawn]))
        found.append(harmonic_mean(*sides))
    ours = harmonic_interval(values, labels, seen, resamples=20_000)
    low, high = np.quantile(found, [0.025, 0.975])
    assert ours["H"].low == pytest.approx(low, abs=0.012) and ours["H"].high == pytest.approx(high, abs=0.012)
    s, u = per_class_mean(values[seen], labels[seen]), per_class_mean(values[~seen], labels[~seen])
    assert (ours["S"].value, ours["U"].value, ours["H"].value) == tuple(pytest.approx(v) for v in (s, u, harmonic_mean(s, u)))
    nothing = harmonic_interval(np.zeros(120), labels, seen, over="classes")["H"]
    assert (nothing.low, nothing.value, nothing.high) == (0, 0, 0)


def test_the_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    covered = []
    for seed in range(300):
        values = np.random.default_rng(seed).normal(size=60)
        found = mean_interval(values, level=0.9, resamples=400, seed=seed)
        covered.append(found.low <= 0 <= found.high)
    assert 0.84 < np.mean(covered) < 0.95


def test_drawing_classes_is_wider_where_classes_differ() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 50)
    values = np.arange(10)[labels] + rng.normal(size=500)
    by_rows, by_classes = (mean_interval(values, labels, over=over) for over in ("rows", "classes"))
    assert by_classes.high - by_classes.low > 3 * (by_rows.high - by_rows.low)


def test_the_seed_decides_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels = rows_of(3)
    first = mean_interval(values, labels, per_class=True, seed=4)
    assert mean_interval(values, labels, per_class=True, seed=4) == first != mean_interval(values, labels, per_class=True, seed=5)
    monkeypatch.setattr("kgzsl.metrics.bootstrap._BLOCK_VALUES", 1000)
    assert mean_interval(values, labels, per_class=True, seed=4) == first


def test_one_row_and_constant_values_are_sure() -> None:
    for values in (np.array([0.4]), np.full(9, 0.4)):
        found = mean_interval(values)
        assert (found.low, found.high) == (pytest.approx(0.4), pytest.approx(0.4))


def test_what_is_wrong_is_refused() -> None:
    values, labels = rows_of(4)
    for bad in (np.array([]), np.array([np.nan]), np.zeros((2, 2))):
        with pytest.raises(InvalidInputError, match="finite value per row"):
            mean_interval(bad)
    with pytest.raises(InvalidInputError, match="need the labels"):
        mean_interval(values, over="classes")
    with pytest.raises(InvalidInputError, match="has a label"):
        mean_interval(values, labels[1:])
    with pytest.raises(InvalidInputError, match="drawn again"):
        mean_interval(values, labels, over="images")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="level"):
        mean_interval(values, level=1.0)
    with pytest.raises(InvalidInputError, match="at least once"):
        mean_interval(values, resamples=0)
    with pytest.raises(InvalidInputError, match="seen and of unseen"):
        harmonic_interval(values, labels, np.ones(120, dtype=bool))
