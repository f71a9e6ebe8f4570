"""The field's layout of a compositional benchmark: three lists of pairs and a `.t7` file of images, read without running code."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from kgzsl.datasets.composition_readers import CompositionSetReader
from kgzsl.datasets.composition_set import PARTS, CompositionSet
from kgzsl.datasets.composition_tables import ImageTable, composition_set, read_image_table
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.errors import SourceError
from kgzsl.sources.compositions import NATURAL, read_pairs
from kgzsl.sources.torch7 import LARGEST_FILE, read_torch7

METADATA = f"metadata_{NATURAL}.t7"
TABLE = "metadata.csv"
#: Keys of an image's record in the published files; more are read past.
_KEYS = ("image", "attr", "obj", "set")
#: What the published files write for an image of no part, or without a state.
_NOWHERE = "NA"


def read_natural(folder: BenchmarkFolder, *, name: str, version: str, prefix: str, separator: str | None = None) -> CompositionSet:
    """Return the set in a folder of the layout `compositional-split-natural` (Purushwalkam et al., ICCV 2019).

    The folder holds `compositional-split-natural/{train,val,test}_pairs.txt` (or the lists themselves), the images below `images`,
    and `metadata_compositional-split-natural.t7`: a list with `image`, `attr`, `obj` and `set` of every image, as `torch.save` of
    PyTorch or of Lua writes it; or `metadata.csv` in its place.

    Parameters
    ----------
    separator : what stands between state and object in the lists; None takes a tab or a space.

    Raises
    ------
    MissingDataError : a file is not there; the message says which.
    SourceError : a file breaks a rule, which is named.
    """
    lists = {part: read_pairs(folder.file(f"{NATURAL}/{part}_pairs.txt", f"{part}_pairs.txt"), separator) for part in PARTS}
    file = folder.file(METADATA, TABLE)
    table = read_image_table(file) if file.name == TABLE else read_metadata(file)
    return composition_set(table, lists, name=name, version=version, prefix=prefix, root=file.parent / "images")


def read_metadata(file: Path) -> ImageTable:
    """Return the images that a `.t7` file lists; those of no part (`NA`) are left out, as the published loaders do.

    Raises
    ------
    SourceError : not a list of records of text with `image`, `attr`, `obj` and `set`.
    """
    content = load_t7(file)
    if isinstance(content, Mapping) and set(content) == set(range(len(content))):
        content = [content[i] for i in range(len(content))]
    if not isinstance(content, list):
        raise SourceError(f"{file.name} is a list of images", received=f"{file} holds a {type(content).__name__}")
    rows = [_record(file, i, record) for i, record in enumerate(content)]
    kept = [row for row in rows if _NOWHERE not in row[1:]]
    images, states, objects, parts = ([row[k] for row in kept] for k in range(4))
    return ImageTable(file, images, states, objects, parts)


def _record(file: Path, row: int, record: Any) -> tuple[str, ...]:
    found = (record.get(key) for key in _KEYS) if isinstance(record, Mapping) else ()
    values = tuple(value for value in found if isinstance(value, str))
    if len(values) < len(_KEYS):
        raise SourceError(
            f"an image of {file.name} is a record of text with {', '.join(_KEYS)}", received=f"{file}, image {row + 1:,}: {record!r:.120}"
        )
    return values


def load_t7(file: Path) -> Any:
    """Return the plain data in a `.t7` file: written by PyTorch (a zip archive or a legacy pickle) or by Lua Torch7 (binary).

    Of a pickle only what `torch.load(weights_only=True)` takes is read: no class or function that the file names is ever called.

    Raises
    ------
    SourceError : none of the three, damaged, or with foreign objects.
    """
    import torch

    with file.open("rb") as stream:
        head = stream.read(4)
    if len(head) == 4 and struct.unpack("<i", head)[0] in range(9):
        return read_torch7(file)
    if head[:2] not in (b"PK", b"\x80\x02"):
        raise SourceError(
            f"{file.name} is written by torch.save, of PyTorch or of Lua in binary form",
            received=f"{file} begins with {head!r}",
            remedy="get the published file again, or write a metadata.csv with image, state, object, split",
        )
    unpacked = _unpacked_size(file) if head[:2] == b"PK" else file.stat().st_size
    if unpacked > LARGEST_FILE:
        raise SourceError(f"a .t7 file has at most {LARGEST_FILE:,} bytes", received=f"{file}: {unpacked:,} unpacked")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the restricted unpickler raises whatever damaged bytes lead to
        raise SourceError(
            f"{file.name} holds lists, dictionaries, text and numbers only",
            received=f"{file}: {str(error).split(chr(10))[0][:200]}",
            remedy="get the published file again, or write a metadata.csv with image, state, object, split",
        ) from error


def _unpacked_size(file: Path) -> int:
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"{file.name} is a whole zip archive", received=f"{file}: {error}", remedy="get the published file again"
        ) from error


class NaturalSplit(CompositionSetReader):
    """A benchmark in the field's layout, with its published counts.

    Parameters
    ----------
    path : the folder; None looks below `KGZSL_DATA`.
    """

    home: ClassVar[str]
    version: ClassVar[str]
    counts: ClassVar[Mapping[str, Any]]
    separator: ClassVar[str | None] = None

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.folder = BenchmarkFolder(self.home, path)

    def read(self) -> CompositionSet:
        """Return the set; see `CompositionSetReader.read`."""
        found = read_natural(self.folder, name=self.name, version=self.version, prefix=self.name, separator=self.separator)
        return found.validate(**self.counts)


class MitStates(NaturalSplit):
    """MIT-States: 53,753 images, 115 states, 245 objects, 1,262 seen and 300 / 400 unseen pairs."""

    name: ClassVar[str] = "mit-states"
    source: ClassVar[str] = "Isola et al., 2015; split of Purushwalkam et al., 2019"
    home: ClassVar[str] = "czsl/mit-states"
    version: ClassVar[str] = "2019"
    counts: ClassVar[Mapping[str, Any]] = {
        "states": 115,
        "objects": 245,
        "images": (30_338, 10_420, 12_995),
        "seen": 1_262,
        "unseen": (300, 400),
    }


class UtZappos(NaturalSplit):
    """UT-Zappos50K: 29,126 shoes, 16 materials, 12 kinds, 83 seen and 15 / 18 unseen pairs."""

    name: ClassVar[str] = "ut-zappos"
    source: ClassVar[str] = "Yu and Grauman, 2014; split of Purushwalkam et al., 2019"
    home: ClassVar[str] = "czsl/ut-zap50k"
    version: ClassVar[str] = "2019"
    counts: ClassVar[Mapping[str, Any]] = {
        "states": 16,
        "objects": 12,
        "images": (22_998, 3_214, 2_914),
        "seen": 83,
        "unseen": (15, 18),
    }


class Cgqa(NaturalSplit):
    """C-GQA: 39,298 images, 413 states, 674 objects, 5,592 seen and 1,252 / 923 unseen pairs."""

    name: ClassVar[str] = "cgqa"
    source: ClassVar[str] = "Naeem et al., 2021"
    home: ClassVar[str] = "czsl/cgqa"
    version: ClassVar[str] = "2021"
    counts: ClassVar[Mapping[str, Any]] = {
        "states": 413,
        "objects": 674,
        "images": (26_920, 7_280, 5_098),
        "seen": 5_592,
        "unseen": (1_252, 923),
    }


class VawCzsl(NaturalSplit):
    """VAW-CZSL: 92,583 images, 440 states, 541 objects, 11,175 seen and 2,322 / 2,470 unseen pairs."""

    name: ClassVar[str] = "vaw-czsl"
    source: ClassVar[str] = "Pham et al., 2021; split of Saini et al., 2022"
    home: ClassVar[str] = "czsl/vaw-czsl"
    version: ClassVar[str] = "2022"
    separator: ClassVar[str | None] = "+"  # names have spaces
    counts: ClassVar[Mapping[str, Any]] = {
        "states": 440,
        "objects": 541,
        "images": (72_203, 9_524, 10_856),
        "seen": 11_175,
        "unseen": (2_322, 2_470),
    }
