"""Feature sets of one's own, as artifacts or as CSV tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgzsl.datasets import OwnFolder, read_feature_set
from kgzsl.errors import ArtifactError, DigestMismatchError, InvalidInputError, KgzslError, MissingDataError, SourceError
from kgzsl.matrices import ClassEmbeddings, Features

CLASSES = ("wn30:n02084071", "wn30:n02121808", "x:gadget")  # dog, cat, and one of one's own
SPLIT: dict[str, Any] = {"seen": ["n02084071", "n02121808"], "unseen": ["x:gadget"]}  # bare wnids are ids too
ROWS = tuple(f"{k}.jpg" for k in range(9))


def labels() -> tuple[str, ...]:
    return tuple(CLASSES[k % 3] for k in range(9))


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    matrix = np.arange(18, dtype=np.float32).reshape(9, 2)
    Features(ids=ROWS, matrix=matrix, labels=labels(), meta={"recipe": {"backbone": "b"}}).save(tmp_path / "features")
    ClassEmbeddings(ids=CLASSES, matrix=np.eye(3)).save(tmp_path / "embeddings")
    (tmp_path / "split.json").write_text(json.dumps(SPLIT))
    return tmp_path


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    lines = [f"{row},{label},{2 * k},{2 * k + 1}" for k, (row, label) in enumerate(zip(ROWS, labels(), strict=True))]
    (tmp_path / "features.csv").write_text("\n".join(["id,label,f0,f1", *lines]))
    (tmp_path / "embeddings.csv").write_text("id,e0,e1,e2\nn02084071,1,0,0\nn02121808,0,1,0\nx:gadget,0,0,1\n")
    (tmp_path / "split.json").write_text(json.dumps({**SPLIT, "name": "mine", "version": "3"}))
    return tmp_path


def test_artifacts_and_tables_of_the_same_values_give_the_same_set(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    one = read_feature_set("folder", path=artifacts)
    assert one.name == artifacts.name and one.version == "unversioned" and one.split.classes == CLASSES
    assert one.counts()["train"] == 6 and one.with_test_seen().counts()["test_seen"] == 2


def test_tables_are_read_with_their_name_and_version(tables: Path) -> None:
    found = OwnFolder(tables).read()
    assert (found.name, found.version) == ("mine", "3") and found.features.ids == ROWS and found.features.labels == labels()
    np.testing.assert_array_equal(found.features.matrix, np.arange(18).reshape(9, 2))
    np.testing.assert_array_equal(found.embeddings.matrix, np.eye(3))


def test_rows_that_the_split_names_are_taken(artifacts: Path) -> None:
    rows = {"train_rows": ["0.jpg", "1.jpg"], "test_seen_rows": ["3.jpg"], "test_unseen_rows": ["2.jpg"]}
    (artifacts / "split.json").write_text(json.dumps(SPLIT | rows))
    found = OwnFolder(artifacts).read()
    assert (found.train_rows, found.test_seen_rows, found.test_unseen_rows) == (("0.jpg", "1.jpg"), ("3.jpg",), ("2.jpg",))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ([], "JSON object"),
        ({"seen": ["n02084071"]}, "`unseen` of split.json is a list"),
        ({**SPLIT, "seen": "n02084071"}, "`seen` of split.json is a list"),
        ({**SPLIT, "test": ["2.jpg"]}, "also test"),
        ({**SPLIT, "version": 3}, "`version` of split.json is text"),
        ({**SPLIT, "train_rows": []}, "`train_rows` of split.json is a list"),
        ({**SPLIT, "seen": ["dog", "cat"]}, "an id is a CURIE"),
        ({**SPLIT, "seen": ["n02084071", "x:gadget"]}, "1 are both: x:gadget"),
        ({**SPLIT, "seen": ["n02084071"]}, "1 labels are not: wn30:n02121808"),
        ({**SPLIT, "unseen": ["x:gadget", "x:widget"]}, "1 have none: x:widget"),
        ({**SPLIT, "train_rows": ["0.jpg", "1.jpg", "2.jpg"]}, "training rows of 1 unseen classes: x:gadget"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(artifacts: Path, split: Any, message: str) -> None:
    (artifacts / "split.json").write_text(json.dumps(split))
    with pytest.raises(KgzslError, match=message):
        OwnFolder(artifacts).read()


def test_a_damaged_or_missing_artifact_is_refused(artifacts: Path) -> None:
    (artifacts / "features" / "labels.txt").write_text("x:gadget\n" * 9)
    with pytest.raises(DigestMismatchError):
        OwnFolder(artifacts).read()
    (artifacts / "features" / "manifest.json").unlink()
    with pytest.raises(ArtifactError):
        OwnFolder(artifacts).read()
    (artifacts / "split.json").unlink()
    with pytest.raises(MissingDataError, match=r"split\.json"):
        OwnFolder(artifacts).read()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("features.csv", "", "begins with the header id,label"),
        ("features.csv", "id,f0\na,1\n", "begins with the header id,label"),
        ("features.csv", "id,label\na,x:b\n", "value columns"),
        ("features.csv", "id,label,f0\n", "at least one line"),
        ("features.csv", "id,label,f0\na,x:gadget,1\nb,x:gadget\n", "2 in line 3"),
        ("features.csv", "id,label,f0\na,x:gadget,one\n", "in line 2"),
        ("features.csv", "id,label,f0\na,x:gadget,nan\n", "NaN or infinity in 1 rows: a"),
        ("features.csv", "id,label,f0\na,gadget,1\n", "an id is a CURIE"),
        ("features.csv", "id,label,f0\na,x:gadget,1\na,x:gadget,2\n", "twice"),
        ("embeddings.csv", "id,e0\nx:gadget,1\n", "2 have none: wn30:n02084071, wn30:n02121808"),
    ],
)
def test_tables_that_are_not_tables_are_refused_with_the_line(tables: Path, file: str, text: str, message: str) -> None:
    (tables / file).write_text(text)
    with pytest.raises(KgzslError, match=message):
        OwnFolder(tables).read()


def test_bytes_that_are_not_text_are_refused(tables: Path) -> None:
    (tables / "features.csv").write_bytes(b"id,label,f0\n\xff,x:gadget,1\n")
    with pytest.raises(SourceError, match="UTF-8"):
        OwnFolder(tables).read()


def test_a_folder_is_needed(tmp_path: Path) -> None:
    for settings in ({}, {"path": tmp_path / "absent"}):
        with pytest.raises(MissingDataError, match="is a folder with features"):
            read_feature_set("folder", **settings)
    with pytest.raises(InvalidInputError, match="it takes: path"):
        read_feature_set("folder", split="standard")
