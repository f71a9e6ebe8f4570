"""Extraction: unreadable files among good ones, resuming, labels, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from kgzsl.errors import InvalidInputError
from kgzsl.features import Backbone, extract
from kgzsl.matrices import Features


class Counting(Backbone):
    """Means of the channels; counts images and stops on request, to stand in for a slow network."""

    name = "counting"
    source = "this test"

    def __init__(self, stop_after: int | None = None, version: str = "1") -> None:
        super().__init__("cpu")
        self.seen, self.stop_after, self.version = 0, stop_after, version

    @property
    def dim(self) -> int:
        return 3

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image.resize((8, 8)), np.float32).copy()).permute(2, 0, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if self.stop_after is not None and self.seen + len(batch) > self.stop_after:
            raise KeyboardInterrupt
        self.seen += len(batch)
        return batch.mean(dim=(2, 3))

    def recipe(self) -> dict[str, Any]:
        return {"backbone": self.name, "version": self.version}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten small pictures, no two alike."""
    root = tmp_path / "images"
    root.mkdir()
    for i in range(10):
        Image.new("RGB", (20, 10 + i), (20 * i, 255 - 20 * i, 7 * i)).save(root / f"{i}.png")
    return root


def spoil(folder: Path) -> None:
    (folder / "3.png").write_bytes(b"")
    (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[:40])
    (folder / "readme.txt").write_text("not an image", encoding="utf-8")


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def test_unreadable_files_are_all_named_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    spoil(folder)
    with pytest.raises(InvalidInputError) as caught:
        extract(folder, Counting(), batch_size=4, out=tmp_path / "x.features")
    message = str(caught.value)
    assert "3 of 11" in message and all(name in message for name in ("3.png", "7.png", "readme.txt", "zero bytes", "--on-error skip"))
    assert not (tmp_path / "x.features").exists()


def test_skipping_lists_what_was_left_out_and_keeps_the_other_rows(folder: Path) -> None:
    whole = extract(folder, Counting(), batch_size=4)
    spoil(folder)
    features = extract(folder, Counting(), batch_size=4, on_error="skip")
    assert set(features.meta["skipped"]) == {"3.png", "7.png", "readme.txt"} and len(features) == 8
    np.testing.assert_array_equal(features.matrix, whole.rows(features.ids))


def test_after_an_error_only_the_repaired_batch_is_read_again(folder: Path, tmp_path: Path) -> None:
    good = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(b"")
    with pytest.raises(InvalidInputError):
        extract(folder, Counting(), batch_size=5, out=tmp_path / "x.features")
    (folder / "3.png").write_bytes(good)
    backbone = Counting()
    features = extract(folder, backbone, batch_size=5, out=tmp_path / "x.features")
    assert backbone.seen == 5 and len(features) == 10 and features.meta["skipped"] == {}
    assert leftovers(tmp_path) == []


def test_only_unreadable_files_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(InvalidInputError, match="all 1 were skipped"):
        extract(tmp_path, Counting(), on_error="skip")


def test_a_killed_run_continues_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        extract(folder, Counting(stop_after=6), batch_size=2, out=tmp_path / "x.features")
    assert not (tmp_path / "x.features").exists() and leftovers(tmp_path) == [".x.features.partial"]
    backbone = Counting()
    resumed = extract(folder, backbone, batch_size=2, out=tmp_path / "x.features")
    assert backbone.seen == 4
    np.testing.assert_array_equal(resumed.matrix, extract(folder, Counting(), batch_size=2).matrix)
    assert Features.load(tmp_path / "x.features").ids == resumed.ids
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("change", ["recipe", "no-resume", "damage", "image"])
def test_batches_of_an_earlier_run_are_used_only_when_nothing_changed(folder: Path, tmp_path: Path, change: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        extract(folder, Counting(stop_after=6), batch_size=2, out=tmp_path / "x.features")
    if change == "damage":
        for shard in (tmp_path / ".x.features.partial").iterdir():
            shard.write_bytes(shard.read_bytes()[:-1] + b"\x01")
    if change == "image":
        Image.new("RGB", (5, 5), "red").save(folder / "0.png")
    backbone = Counting(version="2" if change == "recipe" else "1")
    features = extract(folder, backbone, batch_size=2, out=tmp_path / "x.features", resume=change != "no-resume")
    assert backbone.seen == (6 if change == "image" else 10)
    np.testing.assert_array_equal(features.matrix, extract(folder, Counting(), batch_size=2).matrix)


def test_an_artifact_is_not_overwritten_unasked_and_that_is_said_before_the_work(folder: Path, tmp_path: Path) -> None:
    extract(folder, Counting(), out=tmp_path / "x.features")
    backbone = Counting()
    with pytest.raises(InvalidInputError, match="overwrit"):
        extract(folder, backbone, out=tmp_path / "x.features")
    assert backbone.seen == 0
    extract(folder, backbone, out=tmp_path / "x.features", overwrite=True)


def test_a_target_that_cannot_be_written_is_an_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="writable"):
        extract(folder, Counting(), out=tmp_path / "file" / "x.features")


def test_labels_from_folders_from_names_and_given(tmp_path: Path) -> None:
    names = ["n02084071/a.png", "n02121620/b.png", "n02121620_77.png", "n02084071.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    nested, flat = [tmp_path / n for n in names[:2]], [tmp_path / n for n in names[2:]]
    assert extract(nested, Counting(), labels="from-folders").labels == ("wn30:n02084071", "wn30:n02121620")
    assert extract(flat, Counting(), labels="from-names").labels == ("wn30:n02121620", "wn30:n02084071")
    assert extract(flat, Counting(), labels=["n01440764", "cn:dog"]).labels == ("wn30:n01440764", "cn:dog")
    assert extract(flat, Counting()).labels == ()
    for wrong, rule in ((flat, "from-folders"), (nested, "from-names"), (flat, "from-hearsay"), (flat, ["n01440764"])):
        with pytest.raises(InvalidInputError):
            extract(wrong, Counting(), labels=rule)  # type: ignore[arg-type]


def test_skipped_rows_lose_their_labels_too(folder: Path) -> None:
    spoil(folder)
    files = sorted(folder.glob("*.png"))
    labels = [f"wn30:n{i:08d}" for i in range(len(files))]
    features = extract(files, Counting(), labels=labels, on_error="skip")
    assert dict(zip(features.ids, features.labels, strict=True))["8.png"] == "wn30:n00000008"
    assert len(features.labels) == 8


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"on_error": "ignore"}])
def test_other_options_are_refused(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        extract(folder, Counting(), **options)


def test_real_photos_end_to_end_and_batch_size_is_only_rounding(lite0: Backbone, photos: Path, tmp_path: Path) -> None:
    features = extract(photos, lite0, labels="from-folders", out=tmp_path / "photos.features")
    loaded = Features.load(tmp_path / "photos.features")
    assert loaded.matrix.tobytes() == features.matrix.tobytes() and loaded.meta["recipe"] == lite0.recipe()
    assert all(label.removeprefix("wn30:") == i.split("/")[0] for i, label in zip(loaded.ids, loaded.labels, strict=True))
    np.testing.assert_allclose(extract(photos, lite0, batch_size=3).matrix, features.matrix, atol=1e-4)


FULL_DISK = """
import resource, sys, torch
from kgzsl.errors import InvalidInputError
from kgzsl.features import Backbone, extract
class Wide(Backbone):
    name, source, dim = "wide", "this test", 5000
    def preprocess(self, image): return torch.zeros(3, 4, 4)
    def forward(self, batch): return torch.ones(len(batch), 5000)
    def recipe(self): return {"backbone": "wide"}
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # a write past this fails as on a full disk
try:
    extract(sys.argv[1], Wide("cpu"), out=sys.argv[2])
except InvalidInputError as error:
    print(error)
"""


def test_a_disk_that_fills_up_is_an_error_in_words(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.features"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(folder), str(out)], capture_output=True, text=True, check=True)
    assert "have room" in done.stdout and not out.exists()
    assert list((tmp_path / ".x.features.partial").iterdir()) == []
