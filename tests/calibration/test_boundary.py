"""Boundaries hold the share of rows they should, and gate as a slow loop does."""

from __future__ import annotations

import numpy as np
import pytest
from calibration.scored import names

from kgzsl.calibration import Boundary, HeldOut, ScoredRows
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.matrices import IdMatrix


def clusters(seed: int, *, classes: int = 6, seen: int = 4, per_class: int = 40, dim: int = 8) -> tuple[HeldOut, IdMatrix]:
    centres = 4 * np.random.default_rng(99).normal(size=(classes, dim))
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(classes), per_class)
    features = centres[truth] + rng.normal(size=(len(truth), dim))
    ids = names(classes)
    rows = HeldOut(ids, ids[:seen], -rng.random((len(truth), classes)), features, labels=tuple(ids[i] for i in truth))
    return rows, IdMatrix(ids, centres)


def slow_inside(calibration: Boundary, rows: ScoredRows) -> list[bool]:
    found = []
    for x in rows.features:
        hit = False
        for c in rows.seen:
            k = calibration.prototypes.ids.index(c)
            m = calibration.prototypes.matrix[k].astype(float)
            d = np.sqrt(np.sum((x - m) ** 2)) if calibration.metric == "euclidean" else 1 - x @ m / np.sqrt((x @ x) * (m @ m))
            hit = hit or d <= calibration.radii[k] + 1e-9
        found.append(hit)
    return found


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_gating_equals_a_slow_loop_and_tells_seen_from_unseen(metric: str) -> None:
    held_out, prototypes = clusters(0)
    calibration = Boundary(prototypes=prototypes, metric=metric).fit(held_out)
    fresh, _ = clusters(1)
    inside = calibration.inside(fresh)
    assert inside.tolist() == slow_inside(calibration, fresh)
    of_seen = fresh.is_seen[fresh.truth]
    assert inside[of_seen].mean() > 0.9 and inside[~of_seen].mean() < 0.3
    answers = calibration.decide(fresh)
    for row, gate in enumerate(inside):
        columns = np.flatnonzero(fresh.is_seen == gate)
        assert answers.ids[row] == fresh.classes[columns[fresh.scores[row, columns].argmax()]]
        assert answers.scores[row, columns].min() > answers.scores[row, np.flatnonzero(fresh.is_seen != gate)].max()


@pytest.mark.parametrize("accept", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_sphere_holds_at_least_its_share_of_the_rows_that_set_it(accept: float, metric: str) -> None:
    held_out, prototypes = clusters(2, per_class=30)
    calibration = Boundary(prototypes=prototypes, accept=accept, metric=metric).fit(held_out)
    for c in held_out.seen:
        own = [i for i, label in enumerate(held_out.labels) if label == c]
        alone = ScoredRows(held_out.classes, (c,), held_out.scores[own], held_out.features[own])
        share = calibration.inside(alone).mean()
        assert accept <= share <= accept + 1 / len(own)


def test_classes_with_few_or_no_rows_share_the_radius_of_all() -> None:
    held_out, prototypes = clusters(3)
    keep = [i for i, label in enumerate(held_out.labels) if label not in ("t:001", "t:002")]
    keep += [i for i, label in enumerate(held_out.labels) if label == "t:001"][:3]  # and none of t:002
    fewer = held_out.take(np.array(keep))
    radii = Boundary(prototypes=prototypes).fit(fewer).radii
    assert radii[1] == radii[2] != radii[0] and np.isfinite(radii).all()


def test_what_is_wrong_is_refused() -> None:
    held_out, prototypes = clusters(0)
    blind = HeldOut(held_out.classes, held_out.seen, held_out.scores, labels=held_out.labels)
    with pytest.raises(InvalidInputError, match="features with 8 columns"):
        Boundary(prototypes=prototypes).fit(blind)
    with pytest.raises(InvalidInputError, match="after fit"):
        Boundary(prototypes=prototypes).decide(held_out)
    with pytest.raises(InvalidInputError, match="accepted share"):
        Boundary(prototypes=prototypes, accept=1.0)
    with pytest.raises(InvalidInputError, match="cosine or euclidean"):
        Boundary(prototypes=prototypes, metric="manhattan")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="direction"):
        Boundary(prototypes=IdMatrix(("t:000",), np.zeros((1, 8))))
    with pytest.raises(UnknownNameError, match="prototypes"):
        Boundary(prototypes=prototypes.select(names(2))).fit(held_out)
    with pytest.raises(InvalidInputError, match="rows of seen classes"):
        Boundary(prototypes=prototypes).fit(held_out.take(np.flatnonzero(~held_out.is_seen[held_out.truth])))
