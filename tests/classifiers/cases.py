"""The behaviour that every classifier must show; one subclass per registered classifier in test_every_classifier.py."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import kgzsl.classifiers.base as base
from kgzsl.classifiers import CLASSIFIERS, Classifier
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Features
from kgzsl.metrics.ranking import rank_bounds

#: Columns of the real weight rows that stand in for features: enough to tell carnivores apart, few enough to be quick.
COLUMNS = 160


class ClassifierCase:
    """Behaviour, not only shape, on real rows of carnivores; every fourth class is unseen."""

    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    tolerance: ClassVar[float] = 1e-4

    @classmethod
    def make(cls, **more: Any) -> Classifier:
        return CLASSIFIERS.make(cls.name, {**cls.settings, **more})

    @classmethod
    def fit(cls, weights: ClassifierWeights, rows: Features, seen: tuple[str, ...], embeddings: ClassEmbeddings) -> Classifier:
        """Fit on the seen classes' weights, or on their rows."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def weights(cls, world):
        chosen = [*range(COLUMNS), world.weights.dim - 1]
        return ClassifierWeights(world.weights.ids, world.weights.matrix[:, chosen], world.weights.meta)

    @pytest.fixture(scope="class")
    @classmethod
    def few(cls, rows):
        return Features(rows.ids, rows.matrix[:, :COLUMNS], rows.meta, labels=rows.labels)

    @pytest.fixture(scope="class")
    @classmethod
    def embeddings(cls, world, halves, weights):
        axis = halves[0] + halves[1]
        return ClassEmbeddings(axis, world.vectors.rows(axis), world.vectors.meta)

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, weights, few, halves, embeddings):
        return cls.fit(weights, few, halves[0], embeddings)

    def close(self, found, wanted):
        np.testing.assert_allclose(found, wanted, atol=self.tolerance * np.abs(wanted).max())

    def test_scores_have_a_column_per_class(self, fitted, few, embeddings):
        scores = fitted.scores(few.matrix)
        assert fitted.classes == embeddings.ids
        assert scores.shape == (len(few), len(embeddings)) and scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_unseen_classes_are_told_apart(self, fitted, few, halves):
        """Of the 40 hidden carnivores, the true one stands above two thirds of the others, on average; by chance, above half."""
        columns = [fitted.classes.index(i) for i in halves[1]]
        hidden = [n for n, label in enumerate(few.labels) if label in set(halves[1])]
        truth = np.array([halves[1].index(few.labels[n]) for n in hidden])
        greater, equal = rank_bounds(fitted.scores(few.matrix[hidden])[:, columns], truth)
        share = (greater + (equal - 1) / 2).mean() / (len(columns) - 1)
        assert share < 1 / 3

    def test_permuted_classes_permute_the_scores(self, fitted, weights, few, halves, embeddings):
        order = np.random.default_rng(0).permutation(len(embeddings))
        again = self.fit(weights, few, halves[0], embeddings.select([embeddings.ids[i] for i in order]))
        self.close(again.scores(few.matrix), fitted.scores(few.matrix)[:, order])

    def test_fewer_candidates_score_the_same(self, fitted, weights, few, halves, embeddings):
        some = halves[0] + halves[1][::3]
        again = self.fit(weights, few, halves[0], embeddings.select(some))
        self.close(again.scores(few.matrix), fitted.scores(few.matrix)[:, [embeddings.ids.index(i) for i in some]])

    def test_embeddings_of_unseen_classes_decide_nothing_about_seen_ones(self, fitted, weights, few, halves, embeddings):
        poisoned = np.array(embeddings.matrix)
        poisoned[len(halves[0]) :] = 1e3 * np.random.default_rng(0).standard_normal(poisoned[len(halves[0]) :].shape)
        again = self.fit(weights, few, halves[0], ClassEmbeddings(embeddings.ids, poisoned))
        self.close(again.scores(few.matrix)[:, : len(halves[0])], fitted.scores(few.matrix)[:, : len(halves[0])])

    def test_same_seed_same_bits(self, fitted, weights, few, halves, embeddings):
        again = self.fit(weights, few, halves[0], embeddings)
        np.testing.assert_array_equal(again.scores(few.matrix), fitted.scores(few.matrix))

    def test_one_row_scores_as_among_many(self, fitted, few):
        self.close(fitted.scores(few.matrix[3:4]), fitted.scores(few.matrix)[3:4])

    def test_blocks_are_the_whole(self, fitted, few, monkeypatch):
        monkeypatch.setattr(base, "BLOCK_VALUES", 12_000)
        parts = list(fitted.blocks(few.matrix))
        assert len(parts) > 1 and [n for part, _ in parts for n in range(part.start, part.stop)] == list(range(len(few)))
        self.close(np.concatenate([scores for _, scores in parts]), fitted.scores(few.matrix))

    def test_input_is_left_as_it_was(self, weights, few, halves, embeddings):
        kept = few.matrix.copy(), embeddings.matrix.copy(), weights.matrix.copy()
        self.fit(weights, few, halves[0], embeddings).scores(few.matrix)
        for before, after in zip(kept, (few.matrix, embeddings.matrix, weights.matrix), strict=True):
            np.testing.assert_array_equal(before, after)

    def test_refuses_features_of_another_width_or_not_finite(self, fitted, few):
        with pytest.raises(IncompatibleError, match=f"{COLUMNS} columns"):
            fitted.scores(few.matrix[:, 1:])
        with pytest.raises(IncompatibleError, match="columns"):
            fitted.scores(few.matrix[0])
        for value in (np.nan, np.inf):
            bad = few.matrix[:2].copy()
            bad[1, 5] = value
            with pytest.raises(InvalidInputError, match="finite"):
                fitted.scores(bad)

    def test_scores_before_fit_are_refused(self, few):
        with pytest.raises(InvalidInputError, match="fit"):
            self.make().scores(few.matrix)
        with pytest.raises(InvalidInputError, match="fit"):
            next(self.make().blocks(few.matrix))

    def test_an_embedding_of_zeros_is_refused(self, weights, few, halves, embeddings):
        empty = np.array(embeddings.matrix)
        empty[-1] = 0
        if self.name in ("weight_regression", "refined_regression"):
            empty[0] = 0  # a seen class keeps its own weight, an unseen one has none
        with pytest.raises(InvalidInputError, match="direction"):
            self.fit(weights, few, halves[0], ClassEmbeddings(embeddings.ids, empty))

    def test_an_unknown_setting_is_refused(self):
        with pytest.raises(InvalidInputError, match="gama"):
            self.make(gama=3)


class WeightClassifierCase(ClassifierCase):
    """Fitted on the seen classes' weights."""

    @classmethod
    def fit(cls, weights, rows, seen, embeddings):
        return cls.make().fit(weights.select(seen), embeddings)

    def test_poisoned_weights_of_unseen_classes_decide_nothing(self, fitted, weights, few, halves, embeddings):
        poisoned = np.array(weights.matrix)
        poisoned[[weights.ids.index(i) for i in halves[1]]] = 1e6
        again = self.fit(ClassifierWeights(weights.ids, poisoned, weights.meta), few, halves[0], embeddings)
        np.testing.assert_array_equal(again.scores(few.matrix), fitted.scores(few.matrix))


class FeatureClassifierCase(ClassifierCase):
    """Fitted on the seen classes' labelled features."""

    @classmethod
    def fit(cls, weights, rows, seen, embeddings):
        return cls.make().fit(*training(rows, seen), embeddings)

    def test_the_classes_that_occur_are_the_seen_ones(self, fitted, halves):
        assert fitted.seen == tuple(sorted(halves[0]))

    def test_rows_of_half_precision_and_integers_are_taken(self, few, halves, embeddings):
        features, labels = training(few, halves[0])
        for kind in (np.float16, np.float64):
            assert np.isfinite(self.make().fit(features.astype(kind), labels, embeddings).scores(few.matrix.astype(kind))).all()
        whole = np.rint(100 * features).astype(np.int64)
        assert np.isfinite(self.make().fit(whole, labels, embeddings).scores(whole)).all()

    def test_a_column_that_never_varies_is_harmless(self, few, halves, embeddings):
        features, labels = training(few, halves[0])
        features = np.hstack([features, np.full((len(features), 1), 0.1, dtype=np.float32)])
        assert np.isfinite(self.make().fit(features, labels, embeddings).scores(features)).all()

    def test_one_row_per_class_is_enough(self, few, halves, embeddings):
        features, labels = training(few, halves[0])
        alone = self.make().fit(features[: len(halves[0])], labels[: len(halves[0])], embeddings)
        assert alone.seen == tuple(sorted(halves[0])) and np.isfinite(alone.scores(few.matrix)).all()

    def test_equal_embeddings_are_refused(self, few, halves, embeddings):
        equal = ClassEmbeddings(embeddings.ids, np.tile(embeddings.matrix[:1], (len(embeddings), 1)))
        with pytest.raises(InvalidInputError, match="differ"):
            self.make().fit(*training(few, halves[0]), equal)

    def test_a_label_without_an_embedding_is_refused(self, few, halves, embeddings):
        with pytest.raises(UnknownNameError, match=halves[0][0]):
            self.make().fit(*training(few, halves[0]), embeddings.select(halves[0][1:]))

    def test_strange_training_rows_are_refused_and_leave_no_classifier(self, few, halves, embeddings):
        features, labels = training(few, halves[0])
        holed = features.copy()
        holed[3, 7] = np.nan
        cases = [
            (holed, labels, "finite"),
            (np.ones_like(features), labels, "differ"),
            (features, labels[1:], "one label per row"),
            (features[0], labels, "one label per row"),
            (features, [labels[0]] * len(labels), "at least two"),
            (features[:0], [], "at least two"),
            (features, list(range(len(labels))), "not numbers"),
            (features.astype(str), labels, "numbers"),
        ]
        for rows, names, match in cases:
            classifier = self.make()
            with pytest.raises(InvalidInputError, match=match):
                classifier.fit(rows, names, embeddings)
            assert classifier.classes == ()


def training(rows: Features, seen: tuple[str, ...]) -> tuple[np.ndarray, list[str]]:
    """Return the rows of the seen classes and their labels."""
    where = [n for n, label in enumerate(rows.labels) if label in set(seen)]
    return rows.matrix[where], [rows.labels[n] for n in where]
