"""Rows carry ids; joins are by id; bad values are refused at the door."""

from __future__ import annotations

import numpy as np
import pytest

from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.matrices import Features, Vectors, check_same_recipe


def test_rows_follow_the_ids_asked_for():
    vectors = Vectors(("a", "b", "c"), np.eye(3, dtype=np.float32))
    np.testing.assert_array_equal(vectors.rows(["c", "a"]), [[0, 0, 1], [1, 0, 0]])
    assert vectors.select(["b"]).ids == ("b",)


def test_unknown_ids_are_named_up_to_five():
    vectors = Vectors(("a",), np.ones((1, 2)))
    with pytest.raises(UnknownNameError, match=r"7 unknown: u0, u1, u2, u3, u4 \(\+2 more\)"):
        vectors.rows([f"u{i}" for i in range(7)])


@pytest.mark.parametrize(
    ("ids", "matrix", "message"),
    [
        (("a",), np.ones((2, 3)), "one id per row"),
        (("a", "a"), np.ones((2, 3)), "twice"),
        ((), np.ones((0, 3)), "at least one"),
        (("a", "b"), np.array([[1, np.nan], [1, 2]]), "NaN or infinity in 1 rows: a"),
        (("a", "b"), np.array([[1, 2], [1, np.inf]]), "NaN or infinity in 1 rows: b"),
        (("a",), np.ones(3), "one id per row"),
    ],
)
def test_bad_matrices_are_refused(ids, matrix, message):
    with pytest.raises(InvalidInputError, match=message):
        Vectors(ids, matrix)


def test_features_select_keeps_labels_with_rows(tmp_path):
    features = Features(("x", "y", "z"), np.arange(6).reshape(3, 2), {"recipe": {}}, labels=("dog", "cat", "dog"))
    picked = features.of_classes(["dog"])
    assert picked.ids == ("x", "z") and picked.labels == ("dog", "dog")
    assert Features.load(picked.save(tmp_path / "f")).labels == ("dog", "dog")
    with pytest.raises(InvalidInputError, match="labelled feature row"):
        features.of_classes(["bird"])
    with pytest.raises(InvalidInputError, match="one label per row"):
        Features(("x",), np.ones((1, 2)), {}, labels=("a", "b"))


def test_features_of_another_backbone_are_refused():
    with pytest.raises(IncompatibleError, match="backbone: features 'lite2', classifier 'lite0'"):
        check_same_recipe({"backbone": "lite2", "crop": 224}, {"backbone": "lite0", "crop": 224})
    check_same_recipe({"backbone": "lite0"}, {"backbone": "lite0"})
