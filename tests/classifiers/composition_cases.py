"""The behaviour that every composition classifier must show; one subclass per registered one in test_every_composition.py."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS, CompositionClassifier, Knowledge, PairFeatures
from kgzsl.datasets.composition_set import CompositionSet, CompositionSpace
from kgzsl.datasets.compositions import read_composition_set
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.matrices import Vectors
from kgzsl.metrics.compositional import bias_sweep
from kgzsl.workspace import Workspace

#: Colours and articles that the small space has, and images of each pair and part at most.
STATES = ("Black", "Blue", "Brown", "Green", "Pink", "Red", "White", "Yellow")
OBJECTS = ("Casual Shoes", "Dresses", "Flip Flops", "Handbags", "Heels", "Shirts", "Sunglasses", "Tops", "Track Pants", "Tshirts")
AT_MOST = 8
#: Blocks across and down whose mean colours are an image's features.
GRID = 5, 8


@cache
def small() -> tuple[CompositionSpace, dict[str, PairFeatures], dict[str, list[Any]]]:
    """Return a small space of czsl/fashion, features of its images by part, and the files."""
    whole: CompositionSet = read_composition_set("fashion")
    keep_s, keep_o = ([names.index(n) for n in some] for names, some in ((whole.space.states, STATES), (whole.space.objects, OBJECTS)))
    inside = np.isin(whole.space.pairs[:, 0], keep_s) & np.isin(whole.space.pairs[:, 1], keep_o)
    old = np.flatnonzero(inside)
    pairs = np.stack([np.searchsorted(np.sort(k), whole.space.pairs[old, n]) for n, k in enumerate((keep_s, keep_o))], axis=1)
    space = CompositionSpace("fashion", STATES, OBJECTS, pairs, whole.space.seen[old])
    parts, files = {}, {}
    for part in ("train", "val"):
        rows = whole.rows(part)
        rows = np.concatenate([rows[whole.labels[rows] == p][:AT_MOST] for p in old])
        files[part] = [whole.root / whole.paths[i] for i in rows]
        parts[part] = PairFeatures(np.stack([block_means(f) for f in files[part]]), np.searchsorted(old, whole.labels[rows]))
    return space, parts, files


def block_means(file: Any) -> np.ndarray:
    """Return the mean colours of blocks of an image, float32 `[5 × 8 × 3]`."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB").resize(GRID, Image.Resampling.BOX), dtype=np.float32).ravel() / 255


@cache
def knowledge() -> Knowledge:
    """Return the graph of czsl/fashion's compositions and vectors of its nodes."""
    work = Workspace()
    graph = work.graph("compositions-fashion")
    return Knowledge(graph, work.vectors(graph))


def candidates(space: CompositionSpace, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the closed world of some rows: positions of pairs, the rows' columns, and which pairs are seen."""
    some = np.union1d(np.flatnonzero(space.seen), labels)
    return some, np.searchsorted(some, labels), space.seen[some]


class CompositionCase:
    """Behaviour, not only shape, on real photographs of czsl/fashion."""

    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    #: Whether it cannot do without vectors, whether it draws at random, and the validation AUC that a few epochs reach.
    needs_knowledge: ClassVar[bool] = True
    least_auc: ClassVar[float] = 0.04
    tolerance: ClassVar[float] = 1e-4

    @classmethod
    def make(cls, **more: Any) -> CompositionClassifier:
        return COMPOSITION_CLASSIFIERS.make(cls.name, {**cls.settings, **more})

    @classmethod
    def data(cls) -> tuple[CompositionSpace, dict[str, PairFeatures]]:
        space, parts, _ = small()
        return space, parts

    @classmethod
    def fit(cls, **more: Any) -> CompositionClassifier:
        space, parts = cls.data()
        return cls.make(**more).fit(parts["train"], space, knowledge(), parts["val"])

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls):
        return cls.fit()

    def close(self, found, wanted):
        np.testing.assert_allclose(found, wanted, atol=self.tolerance * np.abs(wanted).max())

    def test_scores_are_a_row_per_image_and_a_column_per_pair(self, fitted):
        space, parts = self.data()
        scores = fitted.scores(parts["val"].matrix, space.pairs)
        assert scores.shape == (len(parts["val"].matrix), len(space)) and scores.dtype == np.float32 and np.isfinite(scores).all()

    def test_pairs_are_told_apart_better_than_by_chance(self, fitted):
        space, parts = self.data()
        some, truth, seen = candidates(space, parts["val"].labels)
        found = bias_sweep(fitted.scores(parts["val"].matrix, space.pairs[some]), truth, seen).auc
        assert found > self.least_auc

    def test_unseen_and_unlisted_pairs_are_scored(self, fitted):
        space, parts = self.data()
        every = np.stack(np.meshgrid(range(len(STATES)), range(len(OBJECTS)), indexing="ij"), -1).reshape(-1, 2)
        assert len(every) > len(space)
        scores = fitted.scores(parts["val"].matrix[:5], every)
        assert np.isfinite(scores).all()
        flat = space.pairs[:, 0] * len(OBJECTS) + space.pairs[:, 1]
        self.close(scores[:, flat], fitted.scores(parts["val"].matrix[:5], space.pairs))

    def test_order_of_pairs_does_not_matter(self, fitted):
        space, parts = self.data()
        order = np.random.default_rng(0).permutation(len(space))[:20]
        rows = parts["val"].matrix[:30]
        self.close(fitted.scores(rows, space.pairs[order]), fitted.scores(rows, space.pairs)[:, order])

    def test_one_row_scores_as_among_many(self, fitted):
        space, parts = self.data()
        self.close(fitted.scores(parts["val"].matrix[3:4], space.pairs), fitted.scores(parts["val"].matrix, space.pairs)[3:4])

    def test_same_seed_same_bits_and_input_is_left_as_it_was(self, fitted):
        space, parts = self.data()
        before = [part.matrix.copy() for part in parts.values()]
        again = self.fit()
        np.testing.assert_array_equal(again.scores(parts["val"].matrix, space.pairs), fitted.scores(parts["val"].matrix, space.pairs))
        for part, kept in zip(parts.values(), before, strict=True):
            np.testing.assert_array_equal(part.matrix, kept)

    def test_state_and_settings_give_the_same_scores(self, fitted, tmp_path):
        from safetensors.numpy import load_file, save_file

        space, parts = self.data()
        save_file({k: np.ascontiguousarray(v) for k, v in fitted.state().items()}, tmp_path / "state.safetensors")
        again = COMPOSITION_CLASSIFIERS.make(self.name, fitted.settings())
        again.load_state(load_file(tmp_path / "state.safetensors"), space)
        self.close(again.scores(parts["val"].matrix, space.pairs), fitted.scores(parts["val"].matrix, space.pairs))
        with pytest.raises(InvalidInputError):
            again.load_state({"something": np.zeros(3, np.float32)}, space)

    def test_features_and_pairs_that_do_not_fit_are_refused(self, fitted):
        space, parts = self.data()
        rows = parts["val"].matrix[:4]
        with pytest.raises(IncompatibleError, match="columns"):
            fitted.scores(rows[:, 1:], space.pairs)
        with pytest.raises(InvalidInputError, match="finite"):
            fitted.scores(np.where(np.arange(rows.shape[1]) == 3, np.nan, rows).astype(np.float32), space.pairs)
        for bad in (np.array([[0, len(OBJECTS)]]), np.array([[-1, 0]]), space.pairs[:0], space.pairs[:, :1], space.pairs.astype(float)):
            with pytest.raises(InvalidInputError, match="pairs to score"):
                fitted.scores(rows, bad)

    def test_scores_before_fit_are_refused(self):
        space, parts = self.data()
        with pytest.raises(InvalidInputError, match="fit"):
            self.make().scores(parts["val"].matrix, space.pairs)

    def test_strange_training_rows_are_refused(self):
        space, parts = self.data()
        train = parts["train"]
        holed = train.matrix.copy()
        holed[3, 7] = np.nan
        unseen = np.where(np.arange(len(train.labels)) == 5, np.flatnonzero(~space.seen)[0], train.labels)
        for rows, labels, match in (
            (holed, train.labels, "finite"),
            (train.matrix, train.labels[1:], "per label"),
            (train.matrix[:0], train.labels[:0], "per label"),
            (train.matrix, np.full_like(train.labels, len(space)), "positions"),
            (train.matrix, unseen, "seen pairs"),
        ):
            with pytest.raises(InvalidInputError, match=match):
                self.make().fit(PairFeatures(rows, labels), space, knowledge())

    def test_missing_knowledge_is_refused_where_it_is_needed(self):
        if not self.needs_knowledge:
            pytest.skip("it needs none")
        space, parts = self.data()
        with pytest.raises(InvalidInputError, match="no knowledge"):
            self.make().fit(parts["train"], space, None)
        some = Knowledge(knowledge().graph, Vectors(knowledge().vectors.ids[:3], knowledge().vectors.matrix[:3]))
        with pytest.raises((UnknownNameError, IncompatibleError)):
            self.make().fit(parts["train"], space, some)

    def test_an_unknown_setting_is_refused(self):
        with pytest.raises(InvalidInputError, match="gama"):
            self.make(gama=3)


class TrainedCase(CompositionCase):
    """Trained by gradient on feature rows, with the options of `TrainedCompositions`."""

    def test_options_of_training_change_what_is_learned_and_repeat(self, fitted):
        space, parts = self.data()
        rows = parts["val"].matrix[:20]
        plain = fitted.scores(rows, space.pairs)
        for option in ({"oversampling": 0.5}, {"adversarial": 0.5}, {"precision": "bfloat16"}):
            found = [self.fit(epochs=2, **option).scores(rows, space.pairs) for _ in range(2)]
            np.testing.assert_array_equal(found[0], found[1])
            assert np.isfinite(found[0]).all() and not np.array_equal(found[0], plain)

    def test_strange_options_are_refused(self):
        for option in ({"oversampling": -1}, {"adversarial": -0.1}, {"epochs": 0}, {"precision": "float16"}, {"learning_rate": 0.0}):
            with pytest.raises(InvalidInputError):
                self.make(**option)

    def test_half_precision_and_constant_columns_are_harmless(self):
        space, parts = self.data()
        rows = np.hstack([parts["train"].matrix, np.full((len(parts["train"].labels), 1), 0.1)]).astype(np.float16)
        if not self.make().standardised:
            rows = parts["train"].matrix.astype(np.float16)
        found = self.make(epochs=1).fit(PairFeatures(rows, parts["train"].labels), space, knowledge())
        assert np.isfinite(found.scores(rows[:5], space.pairs)).all()

    def test_another_seed_gives_other_numbers(self, fitted):
        space, parts = self.data()
        other = self.fit(seed=1, epochs=2).scores(parts["val"].matrix, space.pairs)
        assert not np.array_equal(other, fitted.scores(parts["val"].matrix, space.pairs))
