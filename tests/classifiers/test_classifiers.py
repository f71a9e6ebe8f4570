"""Classifiers against slow loops; what they refuse; memory that does not grow with the images."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kgzsl.classifiers.base as base
from kgzsl.classifiers import CLASSIFIERS, ConSE, WeightRegression
from kgzsl.encoders import NearestText
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights
from kgzsl.tasks.methods import Restricted


def slow_conse(features: np.ndarray, seen: ClassifierWeights, embeddings: ClassEmbeddings, top: int) -> np.ndarray:
    """Equations 3 and 4 of the paper, one number at a time, in double precision."""
    scores = np.empty((len(features), len(embeddings)))
    combined = {i: [float(v) for v in row] for i, row in zip(embeddings.ids, embeddings.matrix, strict=True)}
    for r, x in enumerate(features.astype(np.float64)):
        logits = [math.fsum(x * w) + b for w, b in zip(seen.weight.astype(np.float64), seen.bias.astype(np.float64), strict=True)]
        total = math.fsum(math.exp(v - max(logits)) for v in logits)
        chance = {i: math.exp(v - max(logits)) / total for i, v in zip(seen.ids, logits, strict=True)}
        likeliest = sorted(chance, key=lambda i: -chance[i])[:top]
        z = math.fsum(chance[i] for i in likeliest)
        image = [math.fsum(chance[i] / z * combined[i][d] for i in likeliest) for d in range(embeddings.dim)]
        for c, own in enumerate(combined.values()):
            product = math.fsum(a * b for a, b in zip(image, own, strict=True))
            scores[r, c] = product / math.sqrt(math.fsum(a * a for a in image) * math.fsum(b * b for b in own))
    return scores


@pytest.fixture(scope="module")
def axis(world, halves):
    return ClassEmbeddings(halves[0] + halves[1], world.vectors.rows(halves[0] + halves[1]))


@pytest.mark.parametrize("top", [1, 10, 10_000])
def test_conse_is_the_papers_sum(world, halves, rows, axis, top):
    seen = world.weights.select(halves[0])
    fast = ConSE(top=top).fit(seen, axis).scores(rows.matrix[:8])
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, slow_conse(rows.matrix[:8], seen, axis, top), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(0.1, 30))
def test_conse_on_any_numbers(seed, top, scale):
    rng = np.random.default_rng(seed)
    seen = ClassifierWeights(("a", "b", "c", "d", "e"), scale * rng.standard_normal((5, 4)))
    embeddings = ClassEmbeddings(("a", "x", "b", "c", "y", "d", "e"), rng.standard_normal((7, 6)) + 2)
    features = rng.standard_normal((3, 3)).astype(np.float32)
    scores = ConSE(top=top).fit(seen, embeddings).scores(features)
    np.testing.assert_allclose(scores, slow_conse(features, seen, embeddings, top), atol=1e-4)
    assert np.abs(scores).max() <= 1 + 1e-5


def test_conse_survives_logits_that_overflow_exp(world, halves, rows, axis):
    scores = ConSE().fit(world.weights.select(halves[0]), axis).scores(rows.matrix * 1e4)
    assert np.isfinite(scores).all()


def test_conse_knows_nothing_of_unseen_weights(world, halves, rows, axis):
    poisoned = np.array(world.weights.matrix)
    poisoned[[world.weights.ids.index(i) for i in halves[1]]] = 1e6
    before = ConSE().fit(world.weights.select(halves[0]), axis).scores(rows.matrix)
    seen = ClassifierWeights(world.weights.ids, poisoned).select(halves[0])
    np.testing.assert_array_equal(ConSE().fit(seen, axis).scores(rows.matrix), before)


def test_conse_needs_embeddings_of_all_seen_classes(world, halves):
    with pytest.raises(UnknownNameError, match="unknown"):
        ConSE().fit(world.weights, ClassEmbeddings(halves[1], world.vectors.rows(halves[1])))
    with pytest.raises(InvalidInputError, match="at least one"):
        ConSE(top=0)


def test_weight_regression_is_a_cosine(world, rows):
    scores = WeightRegression.of_weights(world.weights).scores(rows.matrix)
    extended = np.hstack([rows.matrix, np.ones((len(rows), 1))]).astype(np.float64)
    w = world.weights.matrix.astype(np.float64)
    cosine = (extended @ w.T) / np.linalg.norm(extended, axis=1)[:, None] / np.linalg.norm(w, axis=1)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, cosine, atol=1e-6)


def test_seen_classes_keep_their_own_weights_and_unseen_ones_take_the_predicted(world, halves):
    seen = world.weights.select(halves[0])
    predicted = ClassEmbeddings(halves[1] + halves[0], np.random.default_rng(0).standard_normal((len(world.weights), seen.dim)))
    head = WeightRegression().fit(seen, predicted).weights
    np.testing.assert_allclose(np.linalg.norm(head.rows(halves[0]), axis=1), 1, atol=1e-6)
    for ids, source in ((halves[0], seen), (halves[1], predicted)):
        mine, theirs = head.rows(ids), source.rows(ids)
        cosine = (mine * theirs).sum(axis=1) / np.linalg.norm(mine, axis=1) / np.linalg.norm(theirs, axis=1)
        np.testing.assert_allclose(cosine, 1, atol=1e-6)


def test_poisoned_unseen_weights_leave_scores_bit_identical(world, halves, rows):
    def scores(weights: ClassifierWeights) -> np.ndarray:
        targets = weights.select(halves[0])
        encoder = NearestText()
        view = encoder.view(world.graph)
        embeddings = encoder.fit(view, world.vectors, targets).encode(view, world.vectors, halves[0] + halves[1])
        return WeightRegression().fit(targets, embeddings).scores(rows.matrix)

    poisoned = np.array(world.weights.matrix)
    poisoned[[world.weights.ids.index(i) for i in halves[1]]] = -1e6
    np.testing.assert_array_equal(scores(world.weights), scores(ClassifierWeights(world.weights.ids, poisoned, world.weights.meta)))


def _fitted(world, halves, axis) -> list[base.Classifier]:
    conse = ConSE().fit(world.weights.select(halves[0]), axis)
    return [conse, WeightRegression.of_weights(world.weights), Restricted(conse, halves[1])]


@pytest.mark.parametrize("values", [1, 12_000])
def test_blocks_are_the_whole(world, halves, rows, axis, monkeypatch, values):
    monkeypatch.setattr(base, "BLOCK_VALUES", values)
    for classifier in _fitted(world, halves, axis):
        matrix = rows.matrix[:30]
        whole = classifier.scores(matrix)
        seen = []
        for part, scores in classifier.blocks(matrix):
            seen += list(range(part.start, part.stop))
            np.testing.assert_allclose(scores, whole[part], atol=1e-6)
        assert seen == list(range(30))


def test_restricted_columns_are_those_asked_for(world, halves, rows, axis):
    conse, _, restricted = _fitted(world, halves, axis)
    where = [conse.classes.index(i) for i in halves[1]]
    np.testing.assert_array_equal(restricted.scores(rows.matrix), conse.scores(rows.matrix)[:, where])
    with pytest.raises(UnknownNameError, match="n00000001"):
        Restricted(conse, ["wn30:n00000001"])


def test_strange_features_are_refused(world, halves, rows, axis):
    for classifier in _fitted(world, halves, axis):
        with pytest.raises(IncompatibleError, match="1,280 columns"):
            classifier.scores(rows.matrix[:, 1:])
        with pytest.raises(IncompatibleError, match="columns"):
            classifier.scores(rows.matrix[0])
        for value in (np.nan, np.inf):
            bad = rows.matrix[:2].copy()
            bad[1, 5] = value
            with pytest.raises(InvalidInputError, match="finite"):
                classifier.scores(bad)


def test_scores_before_fit_and_embeddings_without_direction_are_refused(world, halves):
    for entry in CLASSIFIERS:
        with pytest.raises(InvalidInputError, match="fit"):
            CLASSIFIERS.make(entry.name).scores(np.ones((1, 3)))
    empty = ClassEmbeddings(world.weights.ids, np.zeros_like(world.weights.matrix))
    for classifier in (ConSE(), WeightRegression()):
        with pytest.raises(InvalidInputError, match="direction"):
            classifier.fit(world.weights.select(halves[0]), empty)
    with pytest.raises(IncompatibleError, match="columns"):
        WeightRegression().fit(world.weights, ClassEmbeddings(world.weights.ids, world.weights.matrix[:, 1:]))


def test_memory_does_not_grow_with_the_images():
    """21,841 classes × 3,000 rows: all scores at once would be 250 MiB, their copies and the masks of the metric as much again."""
    code = """
        import resource, numpy as np
        import kgzsl.classifiers.base as base
        from kgzsl.classifiers import ConSE, WeightRegression
        from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Features
        from kgzsl.tasks.image import hit_metrics
        from kgzsl.tasks.methods import Restricted
        base.BLOCK_VALUES = 4 * 2**20  # a block of 16 MiB
        rng = np.random.default_rng(0)
        ids = tuple(f"t:{i}" for i in range(21_841))
        x = rng.standard_normal((3_000, 32), dtype=np.float32)
        seen = ClassifierWeights(ids[:1000], rng.standard_normal((1000, 33), dtype=np.float32))
        regression = WeightRegression.of_weights(ClassifierWeights(ids, rng.standard_normal((len(ids), 33), dtype=np.float32)))
        conse = ConSE().fit(seen, ClassEmbeddings(ids, rng.standard_normal((len(ids), 16), dtype=np.float32)))
        for head in (regression, Restricted(conse, ids[:15])):
            images = Features(tuple(map(str, range(len(x)))), x, labels=tuple(ids[i % 15] for i in range(len(x))))
            head.scores(x[:2])
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert hit_metrics(head, images)["images"] == 3_000
            print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert all(int(mebibytes) < 120 for mebibytes in run.stdout.split()), run.stdout
