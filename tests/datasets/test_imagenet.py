"""ImageNet's class lists by name and count, from the packaged lists and from KGZSL_DATA."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kgzsl.datasets import (
    HOP_COUNTS,
    all_ids,
    caltech101_hop_sets,
    caltech101_unseen,
    holdout_folds,
    hop_sets,
    hop_split,
    packaged_photos,
    samples,
    train_ids,
)
from kgzsl.errors import KgzslError, MissingDataError, SourceError, UnknownNameError

needs_data = [pytest.mark.data, pytest.mark.skipif(not os.environ.get("KGZSL_DATA"), reason="KGZSL_DATA is not set")]


@pytest.fixture(scope="module", autouse=True)
def _lists() -> None:
    try:
        train_ids()
    except MissingDataError as error:
        pytest.skip(str(error))


@pytest.fixture
def hop_file(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A hop_splits.json of the official shape and counts, made from the packaged lists."""
    everything = [i.removeprefix("wn30:") for i in all_ids()]
    content: dict[str, Any] = {"train": [i.removeprefix("wn30:") for i in train_ids()], "all": everything}
    content |= {"2-hops": everything[: HOP_COUNTS["2-hops"]], "3-hops": everything[: HOP_COUNTS["3-hops"]]}
    path = tmp_path / "hop_splits.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path, content


def test_the_packaged_lists_have_the_published_counts_and_do_not_overlap() -> None:
    assert len(train_ids()) == 1_000 and len(all_ids()) == 20_842
    assert train_ids()[0] == "wn30:n01440764" and train_ids()[-1] == "wn30:n15075141"
    assert not set(train_ids()) & set(all_ids())


def test_hop_sets_from_a_path(hop_file: tuple[Path, dict[str, Any]]) -> None:
    sets = hop_sets(hop_file[0])
    assert {name: len(ids) for name, ids in sets.items()} == HOP_COUNTS
    assert all(list(ids) == sorted(ids) for ids in sets.values())


def drop_class(c: dict[str, Any]) -> None:
    c["2-hops"].pop()


def drop_list(c: dict[str, Any]) -> None:
    del c["3-hops"]


def repeat(c: dict[str, Any]) -> None:
    c["2-hops"][0] = c["2-hops"][1]


def leak(c: dict[str, Any]) -> None:
    c["all"][-1] = c["train"][0]


def not_nested(c: dict[str, Any]) -> None:
    c["2-hops"][0] = c["all"][-1]


def other_train(c: dict[str, Any]) -> None:
    c["train"][0] = "n00000001"


def malformed(c: dict[str, Any]) -> None:
    c["all"][0] = "dog"


@pytest.mark.parametrize("spoil", [drop_class, drop_list, repeat, leak, not_nested, other_train, malformed])
def test_a_list_that_is_not_the_official_one_is_refused(hop_file: tuple[Path, dict[str, Any]], spoil: Any) -> None:
    path, content = hop_file
    spoil(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(KgzslError):
        hop_sets(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_files_that_are_not_json_objects_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hop_splits.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError):
        hop_sets(path)
    with pytest.raises(SourceError):
        holdout_folds(path)


def test_missing_files_are_named_with_their_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for value in (None, str(tmp_path)):
        monkeypatch.delenv("KGZSL_DATA", raising=False)
        if value:
            monkeypatch.setenv("KGZSL_DATA", value)
        with pytest.raises(MissingDataError, match=r"hop_splits\.json at \$KGZSL_DATA/imagenet/hop_splits\.json"):
            hop_sets()
        with pytest.raises(MissingDataError, match="make_folds"):
            holdout_folds()
    with pytest.raises(MissingDataError, match="does not exist"):
        hop_sets(tmp_path / "absent.json")


def test_the_split_all_needs_only_the_packaged_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KGZSL_DATA", raising=False)
    split = hop_split("All")
    assert (len(split.seen), len(split.unseen)) == (1_000, 20_842)
    with pytest.raises(UnknownNameError):
        hop_split("4-hops")


def test_folds_that_do_not_partition_the_classes_are_refused(tmp_path: Path) -> None:
    ids = list(train_ids())
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"folds": [ids[:500], ids[500:]]}), encoding="utf-8")
    assert [len(s.unseen) for s in holdout_folds(path)] == [500, 500]
    path.write_text(json.dumps({"folds": [ids[:500], ids[499:]]}), encoding="utf-8")
    with pytest.raises(SourceError, match="partition"):
        holdout_folds(path)


class TestBenchmarks:
    pytestmark = needs_data

    def test_hop_sets_and_folds_are_the_published_ones(self) -> None:
        sets = hop_sets()
        assert {name: len(ids) for name, ids in sets.items()} == HOP_COUNTS and sets["All"] == all_ids()
        folds = holdout_folds()
        assert [(len(f.seen), len(f.unseen)) for f in folds] == [(800, 200)] * 5 and len({f.digest for f in folds}) == 5

    def test_samples_have_one_image_per_class(self) -> None:
        assert samples().classes == train_ids()

    def test_caltech_classes_are_unseen_and_in_the_hop_sets_they_claim(self) -> None:
        images, hops = caltech101_unseen(), hop_sets()
        assert not set(images.classes) & set(train_ids())
        sets = caltech101_hop_sets()
        assert {name: len(ids) for name, ids in sets.items()} == {"2-hops": 15, "3-hops": 32, "All": 52}
        assert set(sets["2-hops"]) <= set(sets["3-hops"]) <= set(sets["All"]) == set(images.classes)
        for name, ids in sets.items():
            assert set(ids) == set(images.classes) & set(hops[name])

    def test_a_caltech_folder_that_lost_an_image_is_refused(self, tmp_path: Path) -> None:
        images = caltech101_unseen()
        copy = tmp_path / "caltech"
        (copy / "images").mkdir(parents=True)
        (copy / "classes.json").write_bytes((images.root.parent / "classes.json").read_bytes())
        for path in images.paths[1:]:
            target = copy / "images" / path.relative_to(images.root)
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(path)
        with pytest.raises(KgzslError, match="1,560 images"):
            caltech101_unseen(copy)


def test_packaged_photos_say_rightly_which_classes_a_backbone_knows() -> None:
    try:
        photos = packaged_photos()
    except MissingDataError as error:
        pytest.skip(str(error))
    train, everything = set(train_ids()), set(train_ids()) | set(all_ids())
    for photo in photos:
        assert photo.path.stat().st_size > 10_000 and set(photo.wnids) <= everything
        assert photo.in_imagenet1k == bool(set(photo.wnids) & train)
    assert {p.label for p in packaged_photos(zero_shot_only=True)} == {p.label for p in photos if not p.in_imagenet1k}


def test_without_either_package_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgzsl.datasets.photos.find_spec", lambda _: None)
    with pytest.raises(MissingDataError, match=r"kgzsl\[photos\]"):
        packaged_photos()
