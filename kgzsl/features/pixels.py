"""Images as arrays of bytes: decoded once for all epochs, and changed in ways that leave a state what it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from kgzsl.artifacts import atomic_directory, digest, read_manifest, write_manifest
from kgzsl.errors import ArtifactError, InvalidInputError, first_five
from kgzsl.features.images import UnreadableImageError, open_rgb
from kgzsl.progress import track

#: What surrounds an image that does not fill the frame, and what comes in where it is shifted: white.
PAPER = 255
#: Raised when the same file gives other pixels than before.
_VERSION = 1


def framed(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Return the whole image in a frame, uint8 `[height, width, 3]`: resized (bicubic) to fit, in the middle of white.

    Unlike a centre crop this keeps what stands at the edges: a shoe's tip, a trouser's leg.
    """
    height, width = size
    scale = min(height / image.height, width / image.width)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if inner != image.size:
        image = image.resize(inner, Image.Resampling.BICUBIC)
    if inner != (width, height):
        canvas = Image.new("RGB", (width, height), (PAPER,) * 3)
        canvas.paste(image, ((width - inner[0]) // 2, (height - inner[1]) // 2))
        image = canvas
    return np.asarray(image, dtype=np.uint8)


def decode(paths: Sequence[Path], size: tuple[int, int], *, keep: Path | None = None) -> np.ndarray:
    """Return images in frames, uint8 `[images, height, width, 3]`.

    Parameters
    ----------
    size : `(height, width)` in pixels.
    keep : folder of the cache; there the pixels are found again by the files' paths, sizes and times, as a memory map.

    Raises
    ------
    InvalidInputError : files that are no readable images; the first five are named.
    """
    if keep is None:
        pixels = np.empty((len(paths), *size, 3), np.uint8)
        _fill(pixels, paths, size)
        return pixels
    stats = [(str(p), s.st_size, s.st_mtime_ns) for p, s in zip(paths, (p.stat() for p in paths), strict=True)]
    folder = keep / f"pixels-{size[0]}x{size[1]}-{digest([_VERSION, stats])[:16]}"
    if not folder.exists():
        try:
            with atomic_directory(folder) as temporary:
                kept = np.lib.format.open_memmap(temporary / "pixels.npy", "w+", np.uint8, (len(paths), *size, 3))
                _fill(kept, paths, size)
                kept.flush()
                write_manifest(temporary, "pixels", {"shape": list(kept.shape)})
        except ArtifactError:
            if not folder.exists():  # else another process decoded the same images meanwhile
                raise
    read_manifest(folder, "pixels")
    return np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)


def _fill(pixels: np.ndarray, paths: Sequence[Path], size: tuple[int, int]) -> None:
    def one(item: tuple[int, Path]) -> str | None:
        try:
            pixels[item[0]] = framed(open_rgb(item[1]), size)
        except UnreadableImageError as error:
            return f"{item[1]} ({error})"
        return None

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        bad = [said for said in track(pool.map(one, enumerate(paths)), "decoding images", total=len(paths)) if said]
    if bad:
        raise InvalidInputError(
            "every image must be readable",
            received=f"{len(bad):,} of {len(paths):,} are not: {first_five(bad)}",
            remedy="repair or remove them",
        )


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images that leave colour, material and wear alone; there is no colour jitter.

    Attributes
    ----------
    flip : probability of a left-right flip.
    shift : an image moves by up to this share of the frame, in both directions.
    erase : probability that a rectangle of up to `erased` of each side becomes white.
    """

    flip: float = 0.5
    shift: float = 0.08
    erase: float = 0.3
    erased: float = 0.4

    def __post_init__(self) -> None:
        for name in ("flip", "shift", "erase", "erased"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInputError(f"{name} is between 0 and 1", received=getattr(self, name))

    def __call__(self, pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return changed copies of a batch, uint8 `[images, height, width, 3]`; everything is drawn from `generator`."""
        count, height, width, _ = pixels.shape
        device = pixels.device
        drawn = torch.rand(count, 8, generator=generator, device=generator.device).to(device)
        flipped, moved_y, moved_x, erased, box_y, box_x, box_h, box_w = drawn.T
        rows = torch.arange(height, device=device) + _shifts(moved_y, self.shift * height)[:, None]
        columns = torch.arange(width, device=device) + _shifts(moved_x, self.shift * width)[:, None]
        outside = ((rows < 0) | (rows >= height))[:, :, None] | ((columns < 0) | (columns >= width))[:, None, :]
        columns = torch.where((flipped < self.flip)[:, None], width - 1 - columns, columns)
        image = torch.arange(count, device=device)[:, None, None]
        changed = pixels[image, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
        box = _span(box_y, box_h * self.erased, height)[:, :, None] & _span(box_x, box_w * self.erased, width)[:, None, :]
        box &= (erased < self.erase)[:, None, None]
        return changed.masked_fill_((outside | box)[..., None], PAPER)


def _shifts(drawn: torch.Tensor, most: float) -> torch.Tensor:
    """Uniform numbers in 0…1 → whole pixels in −most…most."""
    return ((2 * drawn - 1) * (int(most) + 0.5)).round().long().clamp(-int(most), int(most))


def _span(start: torch.Tensor, length: torch.Tensor, size: int) -> torch.Tensor:
    """Which of `size` pixels are in a span of `length` (a share) somewhere inside, bool `[images, size]`."""
    first = start * (1 - length) * size
    at = torch.arange(size, device=start.device)
    return (at >= first[:, None]) & (at < (first + length * size)[:, None])
