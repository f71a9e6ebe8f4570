"""Opening photographs from untrusted files: what is wrong with a file is said in words, never a crash."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from kgzsl.errors import InvalidInputError, MissingDataError, first_five

#: More pixels than this is refused before anything is decoded (Pillow's own warning level: 0.27 GB as RGB).
MAX_PIXELS = 89_478_485
#: What photographs come in. Other formats of Pillow's run interpreters (EPS) or are never sent.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

# Pillow warns where we refuse with a reason; its warning would only be noise on standard error.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class UnreadableImageError(Exception):
    """One file is not a picture that can be decoded; the message is the reason, without the path."""


def open_rgb(path: Path) -> Image.Image:
    """Return the decoded image as RGB, turned as its EXIF orientation says, transparency on white.

    Raises
    ------
    UnreadableImageError : zero bytes, not an image, truncated, a decompression bomb, or not readable.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error
    return _decoded(path, size, MAX_PIXELS, None)


def rgb_of(data: bytes, *, pixels: int = MAX_PIXELS) -> Image.Image:
    """Return the decoded image of a file's bytes, as `open_rgb` does; only of the formats of photographs (`FORMATS`).

    Raises
    ------
    UnreadableImageError : see `open_rgb`; or more pixels than `pixels`.
    """
    return _decoded(io.BytesIO(data), len(data), pixels, FORMATS)


def _decoded(source: Path | io.BytesIO, size: int, pixels: int, formats: tuple[str, ...] | None) -> Image.Image:
    try:
        if size == 0:
            raise UnreadableImageError("the file has zero bytes")
        with Image.open(source, formats=formats) as image:
            if image.width * image.height > pixels:
                raise UnreadableImageError(f"{image.width} × {image.height} pixels are more than {pixels:,} (decompression bomb?)")
            return _to_rgb(ImageOps.exif_transpose(image))
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"decompression bomb: {error}") from error
    except Image.UnidentifiedImageError as error:
        raise UnreadableImageError("not an image") from error
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error … on corrupt files
        raise UnreadableImageError(f"{type(error).__name__}: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips 16-bit greys at 255, which turns a photo white
        image = image.point(lambda value: value / 257).convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(canvas, image)
    return image.convert("RGB")


def list_images(images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[list[Path], list[str]]:
    """Return image files and their row ids.

    Parameters
    ----------
    images : a folder (every file in it, hidden ones aside, in sorted order), one file, or a sequence of files and
        folders (in the given order).

    Returns
    -------
    paths, ids : the ids are paths relative to the folder, else file names, else (where names repeat) paths relative to
        the files' common folder.

    Raises
    ------
    MissingDataError : a path does not exist.
    InvalidInputError : no file, a file twice, or a file name that cannot be an id.
    """
    if isinstance(images, str | os.PathLike):
        root = Path(images)
        paths = _files(root)
        ids = [p.relative_to(root).as_posix() for p in paths] if root.is_dir() else [root.name]
    else:
        paths = [file for item in images for file in _files(Path(item))]
        ids = _names(paths)
    if not paths:
        raise InvalidInputError("at least one image is needed", received=f"none in {images!s}")
    missing = [p for p in paths if not p.is_file()]
    if missing:
        raise MissingDataError(
            "every image must be a file", received=f"{len(missing):,} missing: {first_five(missing)}", remedy="check the paths"
        )
    awkward = [repr(i) for i in ids if not _usable(i)]
    if awkward:
        raise InvalidInputError(
            "file names become row ids, so they are UTF-8 without line breaks", received=first_five(awkward), remedy="rename those files"
        )
    return paths, ids


def _files(path: Path) -> list[Path]:
    """The files of a folder, sorted, or the path itself."""
    if not path.is_dir():
        return [path]
    return sorted((p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path))), key=lambda p: p.as_posix())


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def _names(paths: list[Path]) -> list[str]:
    """File names where they are unique, else the paths below the files' common folder."""
    names = [p.name for p in paths]
    if len(set(names)) == len(names):
        return names
    absolute = [p.resolve() for p in paths]
    if len(set(absolute)) != len(absolute):
        twice = [str(p) for i, p in enumerate(absolute) if p in set(absolute[:i])]
        raise InvalidInputError("an image must not be given twice", received=first_five(twice), remedy="remove the duplicates")
    common = Path(os.path.commonpath([p.parent for p in absolute]))
    return [p.relative_to(common).as_posix() for p in absolute]


def _usable(identifier: str) -> bool:
    try:
        identifier.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\n" not in identifier and "\r" not in identifier
