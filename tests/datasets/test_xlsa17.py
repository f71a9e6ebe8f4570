"""The published `.mat` layout: numbers from 1, lists that divide the rows, labels in the order of the class names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from kgzsl.datasets import Cub, read_feature_set, read_splits
from kgzsl.datasets.mat_splits import PUBLISHED
from kgzsl.datasets.xlsa17 import Xlsa17Cub, Xlsa17Flo
from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError, UnknownNameError

needs_data = [pytest.mark.data, pytest.mark.skipif(not os.environ.get("KGZSL_DATA"), reason="KGZSL_DATA is not set")]


class TestPublishedFiles:
    pytestmark = needs_data

    @pytest.mark.parametrize("name", ["AWA2", "SUN", "APY"])
    def test_the_split_files_have_the_published_layout(self, name: str) -> None:
        found, raw, stated = read_splits(name), read_splits(name, semantics="original_att"), PUBLISHED[name]
        assert found.embeddings.ids == found.classes and len(found.classes) == stated.classes
        assert found.embeddings.matrix.shape == (stated.classes, stated.attributes)
        np.testing.assert_allclose(np.linalg.norm(found.embeddings.matrix, axis=1), 1, rtol=1e-6)
        length = np.linalg.norm(raw.embeddings.matrix, axis=1, keepdims=True)
        np.testing.assert_allclose(raw.embeddings.matrix / length, found.embeddings.matrix, atol=1e-6)
        rows = np.sort(np.concatenate(list(found.numbers.values())))
        np.testing.assert_array_equal(rows, np.arange(1, stated.rows + 1))

    def test_awa2_has_awa1s_attributes_in_the_same_order(self) -> None:
        ours = read_feature_set("awa1").embeddings
        np.testing.assert_array_equal(read_splits("AWA2", semantics="original_att").embeddings.rows(ours.ids), ours.matrix)

    def test_suns_classes_have_twenty_images_each_in_order_so_its_rows_alone_give_the_split(self) -> None:
        found = read_splits("SUN")
        labels = [found.classes[i // 20] for i in range(PUBLISHED["SUN"].rows)]
        split = found.split(labels)
        assert (len(split.seen), len(split.unseen)) == (645, 72)
        with pytest.raises(InvalidInputError, match="training rows and unseen test rows"):
            found.split(labels[1:] + labels[:1])  # one row off, as labels from the other base would be

    def test_a_split_file_without_features_says_where_they_go(self) -> None:
        with pytest.raises(MissingDataError, match=r"\$KGZSL_DATA/xlsa17/AWA2/res101\.mat"):
            read_feature_set("awa2")


@pytest.fixture(scope="module")
def real_cub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CUB's real ResNet logits written in the published layout, beside the published sentence split.

    The published res101.mat is not at hand, so its stand-in is made of real rows of another backbone: `logits.mat` as they
    are, `res101.mat` with every row twice and cut to the published width.
    """
    root = tmp_path_factory.mktemp("xlsa17")
    (root / "CUB").mkdir()
    source = Path(os.environ["KGZSL_DATA"]) / "xlsa17" / "CUB_sent_splits.mat"
    (root / "CUB" / "sent_splits.mat").write_bytes(source.read_bytes())
    cub = Cub().read()
    number = {identifier: n for n, identifier in enumerate(read_splits("CUB", semantics="sentences").classes, start=1)}
    labels = np.array([[number[label]] for label in cub.features.labels], dtype=np.float64)  # MATLAB's own type
    logits = cub.features.matrix.T
    savemat(root / "CUB" / "logits.mat", {"features": logits, "labels": labels})
    savemat(root / "CUB" / "res101.mat", {"features": np.tile(logits, (3, 1))[:2048], "labels": labels})
    savemat(root / "CUB" / "narrow.mat", {"features": logits[:5], "labels": labels - 1})
    return root


@pytest.mark.data
class TestRealRows:
    def test_the_joined_reader_gives_what_the_other_reader_of_the_same_rows_gives(self, real_cub: Path) -> None:
        found = Xlsa17Cub(real_cub, semantics="sentences", features="logits").read()
        other = Cub(split="proposed", semantics="sentences").read()
        np.testing.assert_array_equal(found.features.matrix, other.features.matrix)
        assert found.features.labels == other.features.labels and set(found.split.unseen) == set(other.split.unseen)
        np.testing.assert_array_equal(found.embeddings.rows(other.embeddings.ids), other.embeddings.matrix)
        row = dict(zip(found.features.ids, other.features.ids, strict=True))
        for what in ("train_rows", "test_seen_rows", "test_unseen_rows"):
            assert tuple(row[i] for i in getattr(found, what)) == getattr(other, what)

    def test_res101_has_its_published_width(self, real_cub: Path) -> None:
        found = Xlsa17Cub(real_cub, semantics="sentences").read()
        assert found.features.dim == 2_048 and found.features.meta["recipe"]["backbone"] == "res101"

    def test_labels_from_zero_where_one_is_published_are_refused(self, real_cub: Path) -> None:
        with pytest.raises(InvalidInputError, match="1 … 200, counting from 1"):
            Xlsa17Cub(real_cub, semantics="sentences", features="narrow").read()

    def test_the_standard_split_takes_its_classes_from_its_list(self, real_cub: Path) -> None:
        with pytest.raises(MissingDataError, match=r"xlsa17/standard_split/CUB/testclasses\.txt"):
            Xlsa17Cub(real_cub, split="standard", semantics="sentences", features="logits").read()
        place = real_cub / "standard_split" / "CUB" / "testclasses.txt"
        place.parent.mkdir(parents=True)
        place.write_bytes((Path(os.environ["KGZSL_DATA"]) / "cub" / "standard_split_unseen_classes.txt").read_bytes())
        found = Xlsa17Cub(real_cub, split="standard", semantics="sentences", features="logits").read()
        assert set(found.split.unseen) == set(Cub().read().split.unseen) and not found.test_seen_rows


def flowers() -> tuple[dict[str, Any], dict[str, Any]]:
    """FLO's layout and counts with made-up content: class k has the rows whose number leaves the remainder k."""
    stated = PUBLISHED["FLO"]
    # 82 seen classes fill the first 7,034 rows, 20 unseen ones the other 1,155
    seen_rows = stated.train + stated.test_seen
    numbers = np.arange(1, stated.rows + 1)
    labels = np.where(numbers <= seen_rows, 1 + numbers % stated.seen, 1 + stated.seen + numbers % stated.unseen)
    split = {
        "att": np.add.outer(np.arange(stated.attributes), np.arange(stated.classes)).astype(float),
        "trainval_loc": numbers[: stated.train, None].astype(np.uint16),
        "test_seen_loc": numbers[stated.train : seen_rows, None].astype(np.uint16),
        "test_unseen_loc": numbers[seen_rows:, None].astype(np.uint16),
    }
    return split, {"features": np.stack([numbers, labels]).astype(float), "labels": labels[:, None].astype(np.uint8)}


def write(root: Path, split: dict[str, Any], rows: dict[str, Any]) -> Path:
    (root / "FLO").mkdir(exist_ok=True)
    savemat(root / "FLO" / "att_splits.mat", split)
    savemat(root / "FLO" / "made_up.mat", rows)
    return root


def read(root: Path) -> Any:
    return Xlsa17Flo(root, features="made_up").read()


def test_flowers_without_names_are_numbered_as_published(tmp_path: Path) -> None:
    found = read(write(tmp_path, *flowers()))
    assert found.split.classes[0] == "flo:1" and len(found.split.unseen) == 20
    assert found.train_rows[0] == "flo#1" and found.features.labels[0] == "flo:2"
    assert found.counts()["train"] == 5_631 and found.counts()["test_seen"] == 1_403


def labels_from_zero(split: dict[str, Any], rows: dict[str, Any]) -> None:
    rows["labels"] = rows["labels"] - 1


def labels_one_up(split: dict[str, Any], rows: dict[str, Any]) -> None:
    rows["labels"] = rows["labels"] + 1


def rows_from_zero(split: dict[str, Any], rows: dict[str, Any]) -> None:
    for what in ("trainval_loc", "test_seen_loc", "test_unseen_loc"):
        split[what] = split[what] - 1


def row_in_two_lists(split: dict[str, Any], rows: dict[str, Any]) -> None:
    split["test_seen_loc"][0] = split["trainval_loc"][0]


def row_twice(split: dict[str, Any], rows: dict[str, Any]) -> None:
    split["trainval_loc"][1] = split["trainval_loc"][0]


def shorter_list(split: dict[str, Any], rows: dict[str, Any]) -> None:
    split["trainval_loc"] = split["trainval_loc"][:-1]


def leak(split: dict[str, Any], rows: dict[str, Any]) -> None:
    rows["labels"][0] = 102


def transposed(split: dict[str, Any], rows: dict[str, Any]) -> None:
    rows["features"] = rows["features"].T


def attributes_transposed(split: dict[str, Any], rows: dict[str, Any]) -> None:
    split["att"] = split["att"].T


def not_a_number(split: dict[str, Any], rows: dict[str, Any]) -> None:
    rows["features"][0, 3] = np.nan


def constant(split: dict[str, Any], rows: dict[str, Any]) -> None:
    rows["features"][:] = 1


def sparse(split: dict[str, Any], rows: dict[str, Any]) -> None:
    rows["features"] = csc_array(rows["features"])


def cells(split: dict[str, Any], rows: dict[str, Any]) -> None:
    split["att"] = split["att"].astype(object)


def no_list(split: dict[str, Any], rows: dict[str, Any]) -> None:
    del split["test_seen_loc"]


def no_labels(split: dict[str, Any], rows: dict[str, Any]) -> None:
    del rows["labels"]


def other_names(split: dict[str, Any], rows: dict[str, Any]) -> None:
    split["allclasses_names"] = np.array([["rose"], ["tulip"]], dtype=object)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (labels_from_zero, "1 … 102, counting from 1"),
        (labels_one_up, "1 … 102, counting from 1"),
        (rows_from_zero, "counting from 1, each once"),
        (row_in_two_lists, "divide its 8,189 rows"),
        (row_twice, "numbers twice"),
        (shorter_list, "has 5,631 rows"),
        (leak, "1 have both: flo:102"),
        (transposed, "one column per image"),
        (attributes_transposed, "one column per class"),
        (not_a_number, "NaN or infinity in 1 rows: flo#4"),
        (constant, "8189 equal rows"),
        (sparse, "dense array of real numbers"),
        (cells, "dense array of real numbers"),
        (no_list, "without test_seen_loc"),
        (no_labels, "without labels"),
        (other_names, "FLO has 102 classes"),
    ],
)
def test_files_that_are_not_the_published_ones_are_refused(tmp_path: Path, spoil: Any, message: str) -> None:
    split, rows = flowers()
    spoil(split, rows)
    with pytest.raises(KgzslError, match=message):
        read(write(tmp_path, split, rows))


def test_a_file_that_is_no_matlab_file_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path, *flowers())
    whole = (root / "FLO" / "made_up.mat").read_bytes()
    for raw in (b"", b"not a matlab file" * 20, whole[: len(whole) // 2], b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(64)):
        (root / "FLO" / "made_up.mat").write_bytes(raw)
        with pytest.raises(SourceError, match=r"made_up\.mat"):
            read(root)


def test_the_list_of_unseen_classes_beside_the_file_must_agree_with_it(tmp_path: Path) -> None:
    root = write(tmp_path, *flowers())
    listed = root / "FLO" / "testclasses.txt"
    listed.write_text("".join(f"{n}\n" for n in range(83, 103)))
    assert len(read_splits("FLO", root).unseen) == 20 and len(read(root).split.unseen) == 20
    for numbers, message in ((range(82, 102), "name the same classes"), (range(84, 103), "names 20"), (range(84, 104), "flo:103")):
        listed.write_text("".join(f"{n}\n" for n in numbers))
        with pytest.raises(InvalidInputError, match=message):
            read(root)


def test_made_up_features_do_not_pass_for_the_published_ones(tmp_path: Path) -> None:
    root = write(tmp_path, *flowers())
    (root / "FLO" / "made_up.mat").rename(root / "FLO" / "res101.mat")
    with pytest.raises(InvalidInputError, match="dim 2, not 2,048"):
        Xlsa17Flo(root).read()


def test_unknown_names_and_semantics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="AWA1, AWA2, CUB"):
        read_splits("AwA2", tmp_path)
    with pytest.raises(InvalidInputError, match="att, original_att, sentences"):
        read_splits("CUB", tmp_path, semantics="glove")
    with pytest.raises(InvalidInputError, match="published for CUB"):
        read_splits("SUN", tmp_path, semantics="sentences")
    with pytest.raises(InvalidInputError, match="proposed, standard"):
        Xlsa17Flo(tmp_path, split="mine")
