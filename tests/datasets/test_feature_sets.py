"""Feature sets in general: what belongs together is kept together, and what does not is refused with the reason."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgzsl.datasets import FeatureSet, Split, check_same_features
from kgzsl.datasets.numbering import class_labels, row_positions
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.matrices import ClassEmbeddings, Features

SEEN, UNSEEN = ("t:a", "t:b", "t:c"), ("t:d", "t:e")
CLASSES = SEEN + UNSEEN


def features(labels: tuple[str, ...], **changes: Any) -> Features:
    matrix = np.stack([np.arange(len(labels)), [ord(label[-1]) for label in labels]], axis=1)
    given = {"ids": tuple(f"row{i}" for i in range(len(labels))), "matrix": matrix, "labels": labels, "meta": {"recipe": {"backbone": "b"}}}
    return Features(**{**given, **changes})


def feature_set(**changes: Any) -> FeatureSet:
    given: dict[str, Any] = {
        "name": "tiny",
        "version": "1",
        "features": features(CLASSES * 5),
        "split": Split("tiny", "1", SEEN, UNSEEN),
        "embeddings": ClassEmbeddings(ids=CLASSES[::-1], matrix=np.eye(5)),
    }
    return FeatureSet(**{**given, **changes})


def test_by_default_all_seen_rows_train_and_all_unseen_rows_test() -> None:
    found = feature_set()
    assert found.counts() == {
        "rows": 25,
        "dim": 2,
        "seen": 3,
        "unseen": 2,
        "embedding_dim": 5,
        "train": 15,
        "test_seen": 0,
        "test_unseen": 10,
    }
    assert set(found.train.labels) == set(SEEN) and set(found.test_unseen.labels) == set(UNSEEN)
    with pytest.raises(InvalidInputError, match="with_test_seen"):
        _ = found.test_seen


def test_embeddings_are_joined_by_id_and_lose_the_rows_of_other_classes() -> None:
    found = feature_set(embeddings=ClassEmbeddings(ids=("t:other", *CLASSES[::-1]), matrix=np.eye(6)))
    assert found.embeddings.ids == CLASSES
    np.testing.assert_array_equal(found.embeddings.rows(["t:e"]), np.eye(6)[[1]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": features((*CLASSES, "t:z"))}, "1 labels are not: t:z"),
        ({"features": replace(features(CLASSES), labels=())}, "has a label"),
        ({"embeddings": ClassEmbeddings(ids=CLASSES[1:], matrix=np.eye(4))}, "1 have none: t:a"),
        ({"train_rows": ("row0", "row1", "row2", "row3")}, r"training rows of 1 unseen classes: t:d"),
        ({"train_rows": ("row0", "row1", "row2"), "test_seen_rows": ("row0",)}, "1 rows are both: row0"),
        ({"train_rows": ("row0", "row0")}, "twice"),
        ({"test_seen_rows": ("row3",)}, "seen test rows are of seen classes"),
        ({"test_unseen_rows": ("row0", "row3", "row4")}, "rows of t:a too"),
        ({"test_unseen_rows": ("row3",)}, "1 have none: t:e"),
        ({"train_rows": ("row0", "row1")}, "1 have none: t:c"),
        ({"features": features(SEEN)}, "2 have none: t:d, t:e"),
        ({"features": features(CLASSES, matrix=np.ones((5, 2)))}, "5 equal rows"),
        ({"embeddings": ClassEmbeddings(ids=CLASSES, matrix=np.ones((5, 2)))}, "class embeddings of tiny differ"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        feature_set(**changes)


def test_one_seen_class_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least two seen classes"):
        feature_set(split=Split("tiny", "1", ("t:a",), UNSEEN), features=features(("t:a", *UNSEEN)))


def test_a_class_that_is_seen_and_unseen_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="1 are both: t:c"):
        feature_set(split=Split("tiny", "1", SEEN, ("t:c", *UNSEEN)))


def test_values_that_are_no_numbers_are_refused() -> None:
    matrix = np.arange(10.0).reshape(5, 2)
    matrix[2, 1] = np.nan
    with pytest.raises(InvalidInputError, match="NaN or infinity in 1 rows: row2"):
        feature_set(features=features(CLASSES, matrix=matrix))


def test_rows_that_are_not_there_are_named() -> None:
    with pytest.raises(UnknownNameError, match="row99"):
        feature_set(train_rows=("row0", "row99"))


def test_embeddings_of_another_backbones_space_are_refused() -> None:
    weights = ClassEmbeddings(ids=CLASSES, matrix=np.eye(5), meta={"recipe": {"backbone": "another"}})
    with pytest.raises(IncompatibleError, match="backbone: features 'b', classifier 'another'"):
        feature_set(embeddings=weights)
    same = ClassEmbeddings(ids=CLASSES, matrix=np.eye(5), meta={"recipe": {"backbone": "b"}})
    assert feature_set().with_embeddings(same).embeddings.meta == same.meta


def test_results_on_other_features_are_not_compared() -> None:
    other = feature_set(features=features(CLASSES, meta={"recipe": {"backbone": "c"}}))
    check_same_features(feature_set(), feature_set())
    with pytest.raises(IncompatibleError, match="backbone: 'b' and 'c'"):
        check_same_features(feature_set(), other)


def test_the_digest_depends_on_everything_a_result_depends_on() -> None:
    found = feature_set()
    matrix = found.features.matrix.copy()
    matrix[0, 0] += 1
    others = [
        replace(found, name="other"),
        replace(found, version="2"),
        replace(found, features=replace(found.features, matrix=matrix)),
        replace(found, split=Split("tiny", "2", SEEN, UNSEEN)),
        found.with_embeddings(ClassEmbeddings(ids=CLASSES, matrix=np.eye(5)[::-1].cumsum(axis=0))),
        found.with_test_seen(),
        found.with_test_seen(seed=1),
    ]
    assert found.digest == feature_set().digest
    assert len({found.digest, *(o.digest for o in others)}) == len(others) + 1


def test_validate_names_every_count_that_is_not_the_published_one() -> None:
    assert feature_set(published={"rows": 25, "seen": 3}).validate().counts()["rows"] == 25
    with pytest.raises(InvalidInputError, match=r"rows 25, not 26; unseen 2, not 3"):
        feature_set(published={"rows": 26, "seen": 3, "unseen": 3}).validate()


def test_held_out_rows_are_the_documented_ones() -> None:
    """The rule is written out once more, without the library: results on these rows are compared over years."""
    found = feature_set().with_test_seen()
    assert found.version == "1+held-out-0.2-seed0" and len(found.test_seen_rows) == 3
    for k, label in enumerate(SEEN):
        rows = [f"row{i}" for i in range(k, 25, 5)]
        first = min(rows, key=lambda row: hashlib.sha256(f"0 {row}".encode()).hexdigest())
        assert found.features.labels[found.features.ids.index(first)] == label and first in found.test_seen_rows


@given(sizes=st.lists(st.integers(2, 30), min_size=2, max_size=6), seed=st.integers(0, 2**32), share=st.sampled_from([0.1, 0.2, 0.5]))
def test_holding_out_keeps_every_class_and_touches_no_unseen_row(sizes: list[int], seed: int, share: float) -> None:
    seen = tuple(f"t:s{k}" for k in range(len(sizes)))
    labels = tuple(label for label, size in zip(seen, sizes, strict=True) for _ in range(size)) + UNSEEN
    embeddings = ClassEmbeddings(ids=seen + UNSEEN, matrix=np.eye(len(seen) + 2))
    whole = feature_set(features=features(labels), split=Split("tiny", "1", seen, UNSEEN), embeddings=embeddings)
    found = whole.with_test_seen(share, seed)
    assert sorted(found.train_rows + found.test_seen_rows) == sorted(whole.train_rows)
    assert found.test_unseen_rows == whole.test_unseen_rows
    for label, size in zip(seen, sizes, strict=True):
        assert found.test_seen.labels.count(label) == max(1, int(share * size + 0.5))
        assert found.train.labels.count(label) >= 1
    shuffled = whole.features.select(whole.features.ids[::-1])
    assert set(replace(whole, features=shuffled).with_test_seen(share, seed).test_seen_rows) == set(found.test_seen_rows)


def test_rows_are_held_out_once_from_classes_that_are_large_enough() -> None:
    with pytest.raises(InvalidInputError, match="already"):
        feature_set().with_test_seen().with_test_seen()
    for share in (0, 1, -0.1, float("nan")):
        with pytest.raises(InvalidInputError, match="share"):
            feature_set().with_test_seen(share)
    with pytest.raises(InvalidInputError, match="too few rows of t:a, t:b, t:c"):
        feature_set(features=features(CLASSES)).with_test_seen()


class TestPublishedNumbers:
    def test_labels_count_from_the_published_base(self) -> None:
        assert class_labels(np.array([[1], [3]], dtype=np.uint16), SEEN, first=1, what="x") == ("t:a", "t:c")
        assert class_labels(np.array([0.0, 2.0]), SEEN, first=0, what="x") == ("t:a", "t:c")

    @pytest.mark.parametrize(("numbers", "first"), [([0, 1, 2], 1), ([1, 2, 3], 0), ([1, 4], 1), ([-1, 0], 0)])
    def test_labels_that_count_from_the_other_base_are_refused(self, numbers: list[int], first: int) -> None:
        with pytest.raises(InvalidInputError, match=f"counting from {first}"):
            class_labels(np.array(numbers), SEEN, first=first, what="x")

    @pytest.mark.parametrize("numbers", [[], [0.5], [np.nan], [np.inf], ["1"], [True]])
    def test_labels_that_are_no_whole_numbers_are_refused(self, numbers: list[Any]) -> None:
        with pytest.raises(InvalidInputError, match="whole numbers"):
            class_labels(np.array(numbers), SEEN, first=1, what="x")

    def test_row_numbers_count_from_one_and_come_once(self) -> None:
        np.testing.assert_array_equal(row_positions(np.array([[3], [1]], dtype=np.uint16), 3, "rows"), [2, 0])
        for numbers in ([0, 1], [1, 4], [2, 2]):
            with pytest.raises(InvalidInputError, match="counting from 1, each once"):
                row_positions(np.array(numbers, dtype=np.uint16), 3, "rows")
