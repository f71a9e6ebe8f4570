"""Compositional benchmarks: the photos of fashion as they are, the lists of C-GQA, and files with every mistake that matters."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kgzsl.data.benchmarks import benchmark_path
from kgzsl.datasets import read_composition_set
from kgzsl.datasets.composition_natural import Cgqa, MitStates, load_t7
from kgzsl.datasets.composition_tables import ImageTable, composition_set
from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError, UnknownNameError
from kgzsl.sources.compositions import read_pairs
from kgzsl.sources.torch7 import read_torch7

ROWS = (
    "1.jpg,old,dog,train",
    "2.jpg,old,car,train",
    "3.jpg,young,cat,train",
    "4.jpg,young,dog,val",
    "5.jpg,old,cat,test",
    "6.jpg,old,dog,test",
)
LISTS = {"train": ["old dog", "old car", "young cat"], "val": ["young dog"], "test": ["old dog", "old cat"]}


def write(folder: Path, rows: Sequence[str] = ROWS, **lists: list[str]) -> Path:
    """Write a small benchmark as CSV, its image files beside it."""
    (folder / "metadata.csv").write_text("\n".join(["image,state,object,split", *rows]) + "\n")
    for name, pairs in lists.items():
        (folder / f"{name}_pairs.txt").write_text("".join(f"{pair}\n" for pair in pairs))
    for k in range(1, 7):
        (folder / f"{k}.jpg").write_bytes(b"-")
    return folder


def records() -> list[dict[str, str]]:
    """The same benchmark as the published files write it, with an image that belongs nowhere."""
    listed = [dict(zip(("image", "attr", "obj", "set"), row.split(","), strict=True)) for row in ROWS]
    return [*listed, {"image": "7.jpg", "attr": "NA", "obj": "dog", "set": "NA"}]


def natural(folder: Path, lists: dict[str, list[str]] = LISTS) -> Path:
    """Write the lists of the field's layout and the images below `images`."""
    split = folder / "compositional-split-natural"
    for made in (split, folder / "images"):
        made.mkdir()
    for name, pairs in lists.items():
        (split / f"{name}_pairs.txt").write_text("".join(f"{pair}\n" for pair in pairs))
    for k in range(1, 7):
        (folder / "images" / f"{k}.jpg").write_bytes(b"-")
    return folder / "metadata_compositional-split-natural.t7"


class Lua:
    """Torch7's binary serialisation, as Lua's `torch.save` writes it."""

    def __init__(self) -> None:
        self.tables = 0

    def __call__(self, value: Any) -> bytes:
        if isinstance(value, bool):
            return struct.pack("<ii", 5, value)
        if isinstance(value, int | float):
            return struct.pack("<id", 1, value)
        if isinstance(value, str):
            return struct.pack("<ii", 2, len(value.encode())) + value.encode()
        if value is None:
            return struct.pack("<i", 0)
        entries = value.items() if isinstance(value, dict) else list(enumerate(value, start=1))
        self.tables += 1
        head = struct.pack("<iii", 3, self.tables, len(entries))
        return head + b"".join(self(k) + self(v) for k, v in entries)


@pytest.mark.data
def test_fashion() -> None:
    found = read_composition_set("fashion")
    space = found.space
    assert (len(found), len(space.states), len(space.objects), len(space), space.seen.sum()) == (12_662, 35, 83, 575, 368)
    assert [len(found.rows(part)) for part in ("train", "val", "test")] == [4_912, 3_944, 3_806]
    assert space.seen[found.labels[found.rows("train")]].all()
    assert {part: len(c) for part, c in found.candidates.items()} == {"train": 368, "val": 472, "test": 471}
    assert np.isin(found.labels[found.rows("test")], found.candidates["test"]).all()
    state, article = space.pairs[found.labels[0]]
    assert (found.paths[0].name, space.states[state], space.objects[article]) == ("10001.jpg", "Blue", "Skirts")
    other = read_composition_set(found.root, version="2")
    assert other.space.pairs.tolist() == space.pairs.tolist() and other.digest != found.digest


@pytest.mark.data
def test_a_file_of_another_benchmark_under_a_published_name_is_refused(tmp_path: Path) -> None:
    lines = (benchmark_path("czsl/fashion") / "metadata.csv").read_text().splitlines()
    (tmp_path / "metadata.csv").write_text("\n".join(line for line in lines if ",Beige,Bra," not in line) + "\n")
    (tmp_path / "images").symlink_to(benchmark_path("czsl/fashion/images"))
    with pytest.raises(InvalidInputError, match="images in train, val, test"):
        read_composition_set("fashion", path=tmp_path)


@pytest.mark.data
def test_the_lists_of_cgqa_have_the_published_counts() -> None:
    """The images are not here; every listed pair gets one, so that lists, states, objects and unseen pairs are counted by the reader."""
    folder = benchmark_path("czsl/cgqa")
    lists = {part: read_pairs(folder / f"{part}_pairs.txt") for part in ("train", "val", "test")}
    rows = [(f"{part}/{i}.jpg", s, o, part) for part, pairs in lists.items() for i, (s, o) in enumerate(pairs)]
    table = ImageTable(folder / "none", *zip(*rows, strict=True))
    found = composition_set(table, lists, name="cgqa", version="2021", prefix="cgqa", root=folder)
    found.validate(**{**Cgqa.counts, "images": (5_592, 2_292, 1_811)}, files=False)
    with pytest.raises(MissingDataError, match=r"metadata_compositional-split-natural\.t7"):
        read_composition_set("cgqa")


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    found = read_composition_set(write(tmp_path, **LISTS), prefix="own")
    assert found.space.states == ("old", "young") and found.space.objects == ("car", "cat", "dog") and found.name == "own"
    assert [tuple(p) for p in found.space.pairs.tolist()] == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)]
    assert found.space.seen.tolist() == [True, False, True, True, False] and found.labels.tolist() == [2, 0, 3, 4, 1, 2]
    assert {part: c.tolist() for part, c in found.candidates.items()} == {"train": [0, 2, 3], "val": [0, 2, 3, 4], "test": [0, 1, 2, 3]}
    assert read_composition_set(tmp_path / "metadata.csv", prefix="own").digest == found.digest
    (tmp_path / "3.jpg").write_bytes(b"")
    with pytest.raises(MissingDataError, match=r"3\.jpg"):
        read_composition_set(tmp_path)


def test_lists_of_the_unseen_pairs_alone_will_do(tmp_path: Path) -> None:
    write(tmp_path, train=LISTS["train"], val_unseen=["young dog"], test_unseen=["old cat"])
    assert read_composition_set(tmp_path).candidates["test"].tolist() == [0, 1, 2, 3]
    (tmp_path / "test_unseen_pairs.txt").write_text("old cat\nyoung car\n")
    with pytest.raises(SourceError, match=r"every pair in the list of test has images in test\s+received.*1 pairs do not: young car"):
        read_composition_set(tmp_path)


@pytest.mark.parametrize(
    ("rows", "lists", "rule"),
    [
        ((*ROWS, "1.jpg,old,dog,test"), {}, r"in one split, with one pair\s+received.*1\.jpg is in train \(old, dog\), test \(old, dog\)"),
        ((*ROWS, "1.jpg,old,car,train"), {}, r"train \(old, dog\), train \(old, car\)"),
        ((*ROWS, "7.jpg,wet,dog,test"), {}, r"every state of a pair to recognise occurs in training\s+received.*in test 1 pairs.*wet dog"),
        ((*ROWS, "7.jpg,old,tree,val"), {}, r"every object of a pair to recognise occurs in training\s+received.*in val 1 pairs.*old tree"),
        (ROWS, {**LISTS, "train": ["old dog", "old car"]}, "every image of train has a pair in the list of train.*young cat"),
        (ROWS, {**LISTS, "test": [*LISTS["test"], "young car"]}, "every pair in the list of test has images in test.*young car"),
        (ROWS, {"train": ["old dog", "old car", "young cat"]}, "val_unseen_pairs"),
        (ROWS[:4], {}, "test has none"),
        ((*ROWS, "7.jpg,,dog,test"), {}, "names that are not empty.*row 7"),
        ((*ROWS, "7.jpg,old,dog,trial"), {}, "train, val, test.*trial"),
        ((*ROWS, "../7.jpg,old,dog,test"), {}, "stays in the dataset's folder"),
        ((*ROWS, "/etc/passwd,old,dog,test"), {}, "stays in the dataset's folder"),
        (("1,2",), {}, "with the columns"),
        ((), {}, "one image or more"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, rows: Sequence[str], lists: dict[str, list[str]], rule: str) -> None:
    with pytest.raises(KgzslError, match=f"(?s){rule}"):
        read_composition_set(write(tmp_path, rows, **lists))


def test_a_set_made_by_hand_is_checked_too(tmp_path: Path) -> None:
    good = read_composition_set(write(tmp_path))
    for wrong, rule in (
        (replace(good, labels=np.where(good.labels == 1, 2, good.labels)), "every pair of .* has images.*old cat"),
        (replace(good, paths=(good.paths[1], *good.paths[1:])), "in one split"),
        (replace(good, space=replace(good.space, seen=~good.space.seen)), "the seen pairs of .* are those with training images"),
    ):
        with pytest.raises(InvalidInputError, match=f"(?s){rule}"):
            wrong.validate()
    with pytest.raises(InvalidInputError, match=r"has 3 states\s+received: 2"):
        good.validate(states=3)


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "metadata.csv").write_bytes("image,state,object,split\n1.jpg,usé,chien,train\n".encode("latin-1"))
    with pytest.raises(SourceError, match="UTF-8"):
        read_composition_set(tmp_path)
    write(tmp_path, **LISTS)
    (tmp_path / "train_pairs.txt").write_bytes("usé chien\n".encode("utf-16"))
    with pytest.raises(SourceError, match="UTF-8"):
        read_composition_set(tmp_path)


def test_unknown_names_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="fashion"):
        read_composition_set("fashon")
    with pytest.raises(MissingDataError, match="metadata"):
        read_composition_set(tmp_path)
    with pytest.raises(MissingDataError, match="does not exist"):
        read_composition_set("folder", path=tmp_path / "absent")


@pytest.mark.parametrize("written", ["zip", "legacy", "lua"])
def test_the_field_s_layout_is_read_from_every_kind_of_t7(tmp_path: Path, written: str) -> None:
    file = natural(tmp_path)
    if written == "lua":
        file.write_bytes(Lua()(records()))
    else:
        torch.save(records(), file, _use_new_zipfile_serialization=written == "zip")
    found = read_composition_set(tmp_path, prefix="own")
    assert found.labels.tolist() == [2, 0, 3, 4, 1, 2] and found.root == tmp_path / "images" and len(found) == 6
    shutil.copy(file, tmp_path / "kept")
    file.unlink()
    (tmp_path / "metadata.csv").write_text("\n".join(["image,state,object,split", *ROWS]))
    assert read_composition_set(tmp_path, prefix="own").digest == found.digest


def test_published_counts_are_asserted_in_the_field_s_layout(tmp_path: Path) -> None:
    torch.save(records(), natural(tmp_path))
    with pytest.raises(InvalidInputError, match=r"mit-states 2019 has 115 states\s+received: 2"):
        MitStates(tmp_path).read()


def test_lists_that_disagree_with_a_t7_are_refused(tmp_path: Path) -> None:
    torch.save(records(), natural(tmp_path, {**LISTS, "val": ["young dog", "old cat"]}))
    with pytest.raises(SourceError, match="every pair in the list of val has images in val"):
        read_composition_set(tmp_path)


class Foreign:
    """What unpickling would call: a file that must never come to be."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sign,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_a_foreign_object_is_refused_and_nothing_is_called(tmp_path: Path, zipped: bool) -> None:
    sign, file = tmp_path / "called", tmp_path / "bad.t7"
    torch.save([*records(), Foreign(sign)], file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(SourceError, match="lists, dictionaries, text and numbers only"):
        load_t7(file)
    assert not sign.exists()


def lua_object(name: str) -> bytes:
    """An object of a class, as Lua writes it."""
    return struct.pack("<ii", 4, 9) + struct.pack("<i", 3) + b"V 1" + struct.pack("<i", len(name)) + name.encode()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (
            struct.pack("<iii", 3, 1, 1) + Lua()("k") + lua_object("torch.DoubleTensor"),
            "an object of a class of its own, 'torch.DoubleTensor'",
        ),
        (struct.pack("<ii", 8, 1), "a function"),
        (Lua()(["a", "b"])[:-3], "is whole"),
        (struct.pack("<iii", 3, 1, 2**30), "a table of 1,073,741,824 entries"),
        (struct.pack("<ii", 2, -5), "-5 bytes wanted"),
        (struct.pack("<ii", 2, 2) + b"\xff\xfe", "UTF-8"),
        (struct.pack("<iii", 3, 1, 1) + Lua()("k") + struct.pack("<ii", 3, 1), "not within itself"),
        (b"".join(struct.pack("<iii", 3, k, 1) + Lua()("k") for k in range(1, 100)), "at most 64 deep"),
        (struct.pack("<iii", 3, 1, 1) + struct.pack("<iii", 3, 2, 0) + Lua()("v"), "key is a number, a string or a boolean"),
        (Lua()("a") + b"more", "4 bytes after it"),
        (Lua()(["a"]) + b"\x77\0\0\0", "bytes after it"),
        (struct.pack("<iii", 3, 1, 1) + Lua()("k") + struct.pack("<i", 77), "a value of type 77"),
        (b"4\n1\n3\nV 1\n", "written by torch.save"),
        (b"", "written by torch.save"),
        (b"PK\x03\x04 no archive", "whole zip archive"),
        (b"\x80\x02 no pickle", "lists, dictionaries, text and numbers only"),
    ],
)
def test_a_damaged_or_foreign_t7_is_refused_with_its_place(tmp_path: Path, content: bytes, rule: str) -> None:
    file = tmp_path / "bad.t7"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=rule):
        load_t7(file)


@pytest.mark.parametrize("content", ["a", 3, ["a"], [{"image": "1.jpg", "attr": "old", "obj": "dog"}], [{**records()[0], "set": 1}]])
def test_a_t7_that_is_no_list_of_images_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, natural(tmp_path))
    with pytest.raises(SourceError, match=r"list of images|record of text"):
        read_composition_set(tmp_path)


def test_plain_lua_values(tmp_path: Path) -> None:
    file = tmp_path / "plain.t7"
    value = {"text": "é", "list": [1.5, True, None, "x"], "empty": [], "sparse": {3: "c"}}
    file.write_bytes(Lua()(value))
    assert read_torch7(file) == {"text": "é", "list": [1.5, True, None, "x"], "empty": [], "sparse": {3.0: "c"}}
    shared = struct.pack("<iii", 3, 1, 2) + Lua()("a") + struct.pack("<iii", 3, 2, 0) + Lua()("b") + struct.pack("<ii", 3, 2)
    file.write_bytes(shared)
    assert read_torch7(file) == {"a": [], "b": []}


@pytest.mark.parametrize("end", range(1, 40))
def test_every_truncation_is_refused(tmp_path: Path, end: int) -> None:
    whole = Lua()(records()[:1])
    file = tmp_path / "cut.t7"
    file.write_bytes(whole[:-end])
    with pytest.raises(SourceError):
        load_t7(file)
