"""Images as bytes: frames, the cache of decoded images, and augmentations that leave colours what they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kgzsl.errors import DigestMismatchError, InvalidInputError
from kgzsl.features.images import open_rgb
from kgzsl.features.pixels import Augmentation, decode, framed
from kgzsl.testing.compositions import few_photographs

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def paths() -> list[Path]:
    return list(few_photographs(1).paths)


@pytest.fixture(scope="module")
def pixels(paths) -> torch.Tensor:
    return torch.from_numpy(decode(paths, (80, 60)))


def test_an_image_that_fills_its_frame_is_itself(paths):
    image = open_rgb(paths[0])
    assert np.array_equal(framed(image, (image.height, image.width)), np.asarray(image))


def test_a_wide_frame_keeps_the_whole_image_in_the_middle_of_white(paths):
    image = open_rgb(paths[0])
    found = framed(image, (image.height, 3 * image.width))
    assert np.array_equal(found[:, image.width : 2 * image.width], np.asarray(image))
    assert (found[:, : image.width] == 255).all() and (found[:, 2 * image.width :] == 255).all()


def test_a_thin_image_has_a_pixel_at_least():
    assert framed(Image.new("RGB", (4000, 1)), (32, 32)).shape == (32, 32, 3)


def test_decoded_images_are_found_again_and_checked(paths, tmp_path):
    first = decode(paths, (40, 30), keep=tmp_path)
    assert np.array_equal(first, decode(paths, (40, 30)))
    (folder,) = tmp_path.iterdir()
    assert isinstance(decode(paths, (40, 30), keep=tmp_path), np.memmap) and list(tmp_path.iterdir()) == [folder]
    with open(folder / "pixels.npy", "r+b") as stream:
        stream.seek(500)
        stream.write(b"\x01\x02\x03")
    with pytest.raises(DigestMismatchError):
        decode(paths, (40, 30), keep=tmp_path)


def test_every_unreadable_file_is_named_and_nothing_is_kept(paths, tmp_path):
    good, cut, text = tmp_path / "good.jpg", tmp_path / "cut.jpg", tmp_path / "text.jpg"
    shutil.copy(paths[0], good)
    cut.write_bytes(paths[0].read_bytes()[:60])
    text.write_text("no image")
    with pytest.raises(InvalidInputError, match=r"2 of 3 are not: .*cut\.jpg.*text\.jpg"):
        decode([good, cut, text], (80, 60), keep=tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())


def test_augmented_images_have_no_colour_that_was_not_there(pixels):
    changed = Augmentation(shift=0.2, erase=1.0)(pixels, torch.Generator().manual_seed(0))
    assert not torch.equal(changed, pixels)
    for before, after in zip(pixels, changed, strict=True):
        known = {tuple(c) for c in before.reshape(-1, 3).tolist()} | {(255, 255, 255)}
        assert {tuple(c) for c in after.reshape(-1, 3).tolist()} <= known


def test_each_augmentation_does_what_it_says(pixels):
    draw = torch.Generator().manual_seed(0)
    assert torch.equal(Augmentation(flip=0, shift=0, erase=0)(pixels, draw), pixels)
    assert torch.equal(Augmentation(flip=1, shift=0, erase=0)(pixels, draw), pixels.flip(2))
    moved = Augmentation(flip=0, shift=0.1, erase=0)(pixels, draw)
    for before, after in zip(pixels, moved, strict=True):
        canvas = torch.full((80 + 16, 60 + 12, 3), 255, dtype=torch.uint8)
        canvas[8:88, 6:66] = before
        shifts = [(y, x) for y in range(17) for x in range(13) if torch.equal(canvas[y : y + 80, x : x + 60], after)]
        assert shifts
    erased = Augmentation(flip=0, shift=0, erase=1)(pixels, draw)
    different = (erased != pixels).any(-1)
    assert (erased[different] == 255).all() and different.flatten(1).float().mean(1).max() <= 0.4**2 + 0.05


def test_one_seed_gives_one_change(pixels):
    first, again, other = (Augmentation()(pixels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("wrong", [{"flip": 2}, {"shift": -0.1}, {"erase": float("nan")}])
def test_probabilities_and_shares_are_between_0_and_1(wrong):
    with pytest.raises(InvalidInputError, match="between 0 and 1"):
        Augmentation(**wrong)
