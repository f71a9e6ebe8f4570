"""Opening pictures: every mode a camera or a web page makes, and every way a file can be broken."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kgzsl.errors import InvalidInputError, MissingDataError
from kgzsl.features.images import UnreadableImageError, list_images, open_rgb


def bomb_png() -> bytes:
    """A PNG whose header claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def large_png() -> bytes:
    """The same with 10,000 × 10,000, where Pillow itself only warns."""
    return bomb_png().replace(struct.pack(">II", 60_000, 60_000), struct.pack(">II", 10_000, 10_000))


def jpeg(image: Image.Image, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


BROKEN = {
    "zero.jpg": b"",
    "text.jpg": b"this is not a picture",
    "truncated.jpg": jpeg(Image.effect_noise((300, 200), 50).convert("RGB"))[:4000],
    "html.png": b"<!DOCTYPE html><html></html>",
    "bomb.png": bomb_png(),
    "large.png": large_png(),
    "header.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_with_a_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(UnreadableImageError) as caught:
        open_rgb(tmp_path / name)
    assert str(caught.value)


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), "black")
    image.paste("white", (0, 0, 20, 20))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise: left becomes top
    image.save(tmp_path / "turned.jpg", exif=exif)
    turned = np.asarray(open_rgb(tmp_path / "turned.jpg").convert("L"))
    assert turned.shape == (40, 20) and turned[:15].mean() > 200 and turned[25:].mean() < 50


def test_transparency_becomes_white_and_sixteen_bits_keep_their_greys(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert open_rgb(tmp_path / "clear.png").getpixel((4, 4)) == (255, 255, 255)
    Image.fromarray(np.full((8, 8), 32_768, np.uint16)).save(tmp_path / "deep.png")
    assert open_rgb(tmp_path / "deep.png").getpixel((4, 4))[0] in (127, 128)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    Image.new("RGB", (8, 8), (200, 200, 200)).convert(mode).save(path)
    assert open_rgb(path).mode == "RGB"


def test_ids_are_paths_below_the_folder_sorted_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "a/1.jpg", ".DS_Store", "a/.hidden.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    paths, ids = list_images(tmp_path)
    assert ids == ["a/1.jpg", "b/2.jpg"] and [p.relative_to(tmp_path).as_posix() for p in paths] == ids
    assert list_images([tmp_path / "b/2.jpg", tmp_path / "a"])[1] == ["2.jpg", "1.jpg"]


def test_names_that_repeat_become_paths_and_a_file_given_twice_is_an_error(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(b"x")
    assert list_images([tmp_path / "b/1.jpg", tmp_path / "a/1.jpg"])[1] == ["b/1.jpg", "a/1.jpg"]
    with pytest.raises(InvalidInputError, match="twice"):
        list_images([tmp_path / "a/1.jpg", tmp_path / "a/../a/1.jpg"])


def test_an_empty_folder_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        list_images(tmp_path)
    with pytest.raises(InvalidInputError):
        list_images([])
    with pytest.raises(MissingDataError, match="absent"):
        list_images([tmp_path / "absent.jpg"])


def test_a_line_break_in_a_name_is_refused_because_ids_are_lines(tmp_path: Path) -> None:
    (tmp_path / "a\nb.jpg").write_bytes(b"x")
    with pytest.raises(InvalidInputError, match="line breaks"):
        list_images(tmp_path)
