"""Small pictures of rows that were answered wrongly, where the images are on this machine."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kgzsl.errors import KgzslError, require

#: Longer side of a thumbnail in pixels.
PIXELS = 160
#: Files that are taken for images.
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class Pictures:
    """Row id → thumbnail.

    Parameters
    ----------
    folder : that row ids are relative to, or that holds files so named; None looks for the known benchmarks' own.

    Attributes
    ----------
    missing : names of image datasets of which no image was found.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.missing: dict[str, None] = {}
        self._given = None if folder is None else _by_id((p, folder) for p in sorted(folder.rglob("*")) if p.suffix.lower() in SUFFIXES)
        self._files: dict[str, dict[str, Path]] = {}
        self._made: dict[Path, str | None] = {}

    def find(self, result: Mapping[str, Any], rows: Iterable[str]) -> dict[str, str]:
        """Return data URIs of the rows whose image is here and can be read."""
        dataset, wanted = result["dataset"]["name"], list(rows)
        files = self._files.setdefault(dataset, _benchmark(dataset)) if self._given is None else self._given
        found = {row: self._thumbnail(files[row]) for row in wanted if row in files}
        if wanted and not found and (self._given is not None or "backbone" in result["cell"]):  # others have rows, not images
            self.missing[dataset] = None
        return {row: uri for row, uri in found.items() if uri}

    def _thumbnail(self, file: Path) -> str | None:
        if file not in self._made:
            self._made[file] = thumbnail(file)
        return self._made[file]


def _by_id(files: Iterable[tuple[Path, Path]]) -> dict[str, Path]:
    """Files by their path below a root, and by their name where it is only one file's."""
    paths = {path.relative_to(root).as_posix(): path for path, root in files}
    names: dict[str, list[Path]] = {}
    for path in paths.values():
        names.setdefault(path.name, []).append(path)
    return {name: same[0] for name, same in names.items() if len(same) == 1} | paths


def _benchmark(dataset: str) -> dict[str, Path]:
    """The image files of a known benchmark; none where it is not on this machine, or not whole."""
    from kgzsl import datasets

    known = {"imagenet-samples": datasets.samples, "caltech101-unseen": datasets.caltech101_unseen}
    if dataset not in known:
        return {}
    try:
        images = known[dataset]()
    except KgzslError:
        return {}
    return _by_id((path, images.root) for path in images.paths)


def thumbnail(file: Path) -> str | None:
    """Return the image as a small JPEG in a data URI; None for a file that is no readable image.

    Raises
    ------
    MissingDependencyError : pillow is not installed.
    """
    require("PIL", "images")
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            opened.draft("RGB", (2 * PIXELS, 2 * PIXELS))
            small = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    small.thumbnail((PIXELS, PIXELS))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
