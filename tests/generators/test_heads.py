"""Heads against slow references, on real rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from small_cub import QUICK, small_cub

from kgzsl.classifiers import Classifier
from kgzsl.classifiers.scaling import Scaling
from kgzsl.classifiers.softmax import softmax_regression
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.generators import FCLSWGAN
from kgzsl.generators.heads import HEADS, GeneratedClassifier, MeanHead, NearestHead, SoftmaxHead
from kgzsl.matrices import Features

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def rows() -> tuple[Features, Features]:
    """Rows to learn from and to ask about, of the same classes."""
    data = small_cub().with_test_seen(0.3)
    return data.train, data.test_seen


def split_up(rows: Features, size: int) -> list[tuple[np.ndarray, tuple[str, ...]]]:
    return [(rows.matrix[i : i + size], rows.labels[i : i + size]) for i in range(0, len(rows), size)]


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_nearest_is_an_exhaustive_search(rows: tuple[Features, Features], distance: str) -> None:
    known, asked = rows
    classes = sorted(set(known.labels))
    head = NearestHead(distance=distance).fit(split_up(known, 37), classes)
    far = cdist(asked.matrix.astype(np.float64), known.matrix.astype(np.float64), "sqeuclidean" if distance == "euclidean" else "cosine")
    labels = np.array(known.labels)
    expected = -np.stack([far[:, labels == c].min(axis=1) for c in classes], axis=1) * (0.5 if distance == "euclidean" else 1)
    found = head.scores(asked.matrix)
    np.testing.assert_allclose(
        found - found.max(axis=1, keepdims=True), expected - expected.max(axis=1, keepdims=True), rtol=1e-3, atol=1e-3
    )
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_prototype_is_the_nearest_mean(rows: tuple[Features, Features], distance: str) -> None:
    known, asked = rows
    classes = sorted(set(known.labels))
    head = MeanHead(distance=distance).fit(split_up(known, 50), classes)
    matrix, question = known.matrix.astype(np.float64), asked.matrix.astype(np.float64)
    if distance == "cosine":
        matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    means = np.stack([matrix[np.array(known.labels) == c].mean(axis=0) for c in classes])
    expected = cdist(question, means, "euclidean" if distance == "euclidean" else "cosine").argmin(axis=1)
    assert (head.scores(asked.matrix).argmax(axis=1) == expected).all()


def test_softmax_comes_to_where_another_optimiser_comes(rows: tuple[Features, Features]) -> None:
    known, asked = rows
    classes = sorted(set(known.labels))
    truth = np.array([classes.index(c) for c in known.labels])
    scaling = Scaling.of("standardise", known.matrix)
    weights = softmax_regression(scaling(known.matrix), truth, classes, penalty=1e-2, steps=60)
    expected = scaling(asked.matrix) @ weights.weight.T + weights.bias
    found = SoftmaxHead(epochs=60, batch_size=32).fit([(known.matrix, known.labels)], classes).scores(asked.matrix)
    right = np.array([classes.index(c) for c in asked.labels])
    assert abs((found.argmax(axis=1) == right).mean() - (expected.argmax(axis=1) == right).mean()) < 0.05
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.85


@pytest.mark.parametrize("name", [entry.name for entry in HEADS])
def test_blocks_of_rows_and_of_questions_change_nothing(rows: tuple[Features, Features], name: str) -> None:
    known, asked = rows
    classes = sorted(set(known.labels))
    whole, parts = (HEADS.make(name).fit(split_up(known, size), classes) for size in (len(known), 29))
    scores = whole.scores(asked.matrix)
    np.testing.assert_allclose(parts.scores(asked.matrix), scores, rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(
        np.concatenate([whole.scores(asked.matrix[i : i + 7]) for i in range(0, len(asked), 7)]), scores, rtol=1e-4, atol=2e-3
    )
    again = HEADS.make(name).fit(split_up(known, len(known)), classes)
    np.testing.assert_array_equal(again.scores(asked.matrix), scores)


@pytest.mark.parametrize("name", [entry.name for entry in HEADS])
def test_what_heads_refuse(rows: tuple[Features, Features], name: str) -> None:
    known, _ = rows
    classes = sorted(set(known.labels))
    whole = (known.matrix, known.labels)
    for blocks, axis, error, named in [
        ([], classes, InvalidInputError, "rows"),
        ([whole], [*classes, "cub:phoenix"], InvalidInputError, "phoenix"),
        ([whole], classes[1:], UnknownNameError, classes[0]),
        ([whole], [*classes, classes[0]], InvalidInputError, "classes of a head"),
        ([(known.matrix, known.labels[1:])], classes, InvalidInputError, "one label per row"),
        ([(np.full_like(known.matrix, np.nan), known.labels)], classes, InvalidInputError, "finite"),
        ([whole, (known.matrix[:, 1:], known.labels)], classes, IncompatibleError, "columns"),
    ]:
        head = HEADS.make(name)
        with pytest.raises(error, match=named):
            head.fit(blocks, axis)
        with pytest.raises(InvalidInputError, match="after fit"):
            head.scores(known.matrix)


def test_settings_of_heads_are_checked() -> None:
    for name, settings in [
        ("nearest", {"distance": "taxi"}),
        ("prototype", {"distance": "taxi"}),
        ("softmax", {"scaling": "x"}),
        ("softmax", {"epochs": 0}),
        ("softmax", {"k": 1}),
    ]:
        with pytest.raises(InvalidInputError):
            HEADS.make(name, settings)


@pytest.fixture(scope="module")
def generator() -> FCLSWGAN:
    data = small_cub()
    return FCLSWGAN(**QUICK).fit(data.train.matrix, data.train.labels, data.embeddings)


class TestGenerated:
    def accuracy(self, classifier: Classifier, rows: Features) -> float:
        best = np.array(classifier.classes)[classifier.scores(rows.matrix).argmax(axis=1)]
        return float((best == np.array(rows.labels)).mean())

    @pytest.mark.parametrize("name", [entry.name for entry in HEADS])
    def test_unseen_classes_are_told_apart_by_synthetic_rows_alone(self, generator: FCLSWGAN, name: str) -> None:
        data = small_cub()
        classifier = GeneratedClassifier(generator, HEADS.make(name)).fit(None, data.split.unseen, 30)
        assert classifier.classes == data.split.unseen
        assert self.accuracy(classifier, data.test_unseen) > 2 / len(data.split.unseen)

    def test_real_rows_of_seen_classes_stand_beside(self, generator: FCLSWGAN) -> None:
        data = small_cub().with_test_seen()
        classifier = GeneratedClassifier(generator, HEADS.make("softmax")).fit(data.train, data.split.unseen, 30)
        assert set(classifier.classes) == set(data.split.classes)
        assert self.accuracy(classifier, data.test_seen) > 0.4
        with pytest.raises(IncompatibleError, match="columns"):
            classifier.scores(data.test_seen.matrix[:, 1:])

    def test_a_class_with_real_rows_is_not_drawn(self, generator: FCLSWGAN) -> None:
        data = small_cub()
        with pytest.raises(InvalidInputError, match="real rows of"):
            GeneratedClassifier(generator, HEADS.make("softmax")).fit(data.train, data.split.seen[:2], 5)
