"""Splits and image sets in general."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgzsl.datasets import ImageSet, Split, image_folder, make_folds
from kgzsl.errors import InvalidInputError, MissingDataError, UnknownNameError

IDS = [f"wn30:n{i:08d}" for i in range(40)]


def test_overlap_repetition_and_emptiness_are_errors_that_name_ids() -> None:
    with pytest.raises(InvalidInputError, match=r"2 are both: wn30:n00000001, wn30:n00000002"):
        Split("s", "1", tuple(IDS[:3]), tuple(IDS[1:5]))
    with pytest.raises(InvalidInputError, match="twice"):
        Split("s", "1", (IDS[0], IDS[0]), (IDS[1],))
    with pytest.raises(InvalidInputError):
        Split("s", "1", (), (IDS[1],))


def test_the_digest_depends_on_name_version_and_sets_but_not_on_order() -> None:
    split = Split("s", "1", tuple(IDS[:3]), tuple(IDS[3:5]))
    assert split.digest == Split("s", "1", tuple(IDS[2::-1]), tuple(IDS[3:5])).digest
    others = [("t", "1", 3), ("s", "2", 3), ("s", "1", 2)]
    assert len({split.digest, *(Split(n, v, tuple(IDS[:k]), tuple(IDS[3:5])).digest for n, v, k in others)}) == 4


@given(count=st.integers(2, 40), folds=st.integers(2, 10), seed=st.integers(0, 2**32))
def test_folds_partition_the_classes_evenly_whatever_their_order(count: int, folds: int, seed: int) -> None:
    ids = IDS[:count]
    if folds > count:
        with pytest.raises(InvalidInputError):
            make_folds(ids, folds, seed)
        return
    splits = make_folds(ids, folds, seed)
    assert sorted(i for s in splits for i in s.unseen) == sorted(ids)
    assert {len(s.unseen) for s in splits} <= {count // folds, count // folds + 1}
    assert all(sorted(s.classes) == sorted(ids) for s in splits)
    assert [s.digest for s in splits] == [s.digest for s in make_folds(ids[::-1], folds, seed)]


def test_folds_are_the_documented_ones() -> None:
    """Golden: results on these folds are compared over years, so they must not drift with a library."""
    (first, *_) = make_folds(IDS[:10], folds=5, seed=0)
    assert first.unseen == ("wn30:n00000000", "wn30:n00000001")  # computed with sha256sum, not with this code
    assert first.name == "own-holdout-0" and first.version == "seed0-folds5"
    assert make_folds(IDS[:10], folds=5, seed=1)[0].unseen != first.unseen


def test_own_folds_cannot_take_the_published_name() -> None:
    with pytest.raises(InvalidInputError, match="published"):
        make_folds(IDS, name="imagenet-holdout")


def write(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_image_folders_nested_and_flat(tmp_path: Path) -> None:
    nested = image_folder(write(tmp_path / "a", "n00000002/y.jpg", "n00000001/sub/x.jpg", "n00000001/z.jpg"))
    assert nested.counts() == {"wn30:n00000001": 2, "wn30:n00000002": 1} and nested.name == "a"
    flat = image_folder(write(tmp_path / "b", "n00000003.jpg", "n00000001_17.JPEG"), known=IDS)
    assert flat.labels == ("wn30:n00000001", "wn30:n00000003")
    assert flat.validate(images=2, classes=2) is flat
    with pytest.raises(InvalidInputError, match="3 images"):
        flat.validate(images=3)


def test_unknown_and_missing_wnids_are_errors(tmp_path: Path) -> None:
    root = write(tmp_path / "a", "n00000002/y.jpg", "n99999999/x.jpg")
    with pytest.raises(UnknownNameError, match="n99999999"):
        image_folder(root, known=IDS)
    with pytest.raises(InvalidInputError, match=r"photo\.jpg"):
        image_folder(write(root, "photo.jpg"))
    with pytest.raises(InvalidInputError, match="no file"):
        (tmp_path / "empty").mkdir()
        image_folder(tmp_path / "empty")
    with pytest.raises(MissingDataError):
        image_folder(tmp_path / "absent")


def test_validate_names_files_that_are_gone_or_empty(tmp_path: Path) -> None:
    found = image_folder(write(tmp_path / "a", "n00000001/x.jpg", "n00000001/y.jpg"))
    found.paths[1].write_bytes(b"")
    with pytest.raises(MissingDataError, match=r"y\.jpg"):
        found.validate()


def test_of_classes_refuses_a_class_without_images(tmp_path: Path) -> None:
    found = image_folder(write(tmp_path / "a", "n00000001/x.jpg", "n00000002/y.jpg"))
    assert found.of_classes(IDS[1:2]).labels == ("wn30:n00000001",)
    with pytest.raises(InvalidInputError, match="n00000005"):
        found.of_classes([IDS[1], IDS[5]])
    with pytest.raises(InvalidInputError):
        ImageSet("x", "1", tmp_path, (tmp_path / "a.jpg",), ())
