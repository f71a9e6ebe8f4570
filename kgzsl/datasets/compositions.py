"""Compositional benchmarks by name: images of `old dog` to test what `old car` and `young dog` taught."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, ClassVar

from kgzsl.datasets.composition_natural import TABLE, Cgqa, MitStates, UtZappos, VawCzsl, read_natural
from kgzsl.datasets.composition_readers import CompositionSetReader
from kgzsl.datasets.composition_set import CompositionSet
from kgzsl.datasets.composition_tables import composition_set, read_image_table, unseen_added
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.errors import MissingDataError
from kgzsl.registry import Entry, Resolver
from kgzsl.sources.compositions import NATURAL, read_pairs
from kgzsl.sources.prefixes import check_prefix


class Fashion(CompositionSetReader):
    """Product photos by colour and article: 12,662 images, 35 states, 83 objects, 368 seen and 207 unseen pairs.

    Parameters
    ----------
    path : the folder of `metadata.csv` and `images`; None looks below `KGZSL_DATA`.
    """

    name: ClassVar[str] = "fashion"
    source: ClassVar[str] = "product photos, 60 × 80 pixels"

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.folder = BenchmarkFolder("czsl/fashion", path)

    def read(self) -> CompositionSet:
        """Return the set; see `CompositionSetReader.read`."""
        found = read_table_folder(self.folder.file(TABLE), name=self.name, version="1", prefix="fashion")
        return found.validate(states=35, objects=83, images=(4_912, 3_944, 3_806), seen=368, unseen=(104, 103))


class OwnCompositions(CompositionSetReader):
    """A folder of your own: images and `metadata.csv` (image, state, object, split), or the field's layout.

    Parameters
    ----------
    path : a folder of the layout `compositional-split-natural` (see `read_natural`), a folder with `metadata.csv` (columns `image`,
        `state`, `object`, `split`), or such a file; its images' paths are relative to its folder. Lists of pairs beside it
        (`train_pairs.txt`, and `val_pairs.txt` or `val_unseen_pairs.txt`, the same for test) are held against it.
    prefix : of the ids in a graph; None takes the folder's name.
    version : for the digest and the results.
    """

    name: ClassVar[str] = "folder"
    source: ClassVar[str] = "your own"

    def __init__(self, path: str | os.PathLike[str] | None = None, *, prefix: str | None = None, version: str = "unversioned") -> None:
        if path is None or not Path(path).exists():
            raise MissingDataError(
                f"a composition set of your own is a folder with {TABLE} and images",
                received="no path" if path is None else f"{path} does not exist",
                remedy="pass its path",
            )
        self.path, self.version = Path(path), version
        self.prefix = check_prefix(prefix if prefix is not None else _prefix_of(self.path))

    def read(self) -> CompositionSet:
        """Return the set; see `CompositionSetReader.read`."""
        if (self.path / NATURAL).is_dir():
            folder = BenchmarkFolder(self.path.name, self.path)
            return read_natural(folder, name=self.prefix, version=self.version, prefix=self.prefix).validate()
        file = self.path if self.path.is_file() else self.path / TABLE
        return read_table_folder(file, name=self.prefix, version=self.version, prefix=self.prefix).validate()


def _prefix_of(path: Path) -> str:
    """Return a prefix after the folder's name."""
    home = path.resolve() if path.is_dir() else path.resolve().parent
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", home.name).strip("-.")
    return name if name[:1].isalpha() else f"own-{name}"


def read_table_folder(file: Path, *, name: str, version: str, prefix: str) -> CompositionSet:
    """Return the set of a `metadata.csv` and, where there are any, of the lists of pairs beside it."""
    table, home = read_image_table(file), file.parent
    lists = None
    if (home / "train_pairs.txt").is_file():
        train = read_pairs(home / "train_pairs.txt")
        lists = {"train": train}
        for part in ("val", "test"):
            whole, unseen = home / f"{part}_pairs.txt", home / f"{part}_unseen_pairs.txt"
            lists[part] = read_pairs(whole) if whole.is_file() else unseen_added(train, read_pairs(unseen), table.pairs_of(part))
    return composition_set(table, lists, name=name, version=version, prefix=prefix, root=home)


#: Third parties add theirs through the entry-point group `kgzsl.composition-sets`.
COMPOSITION_SETS: Resolver[CompositionSetReader] = Resolver(
    "composition-sets",
    CompositionSetReader,  # type: ignore[type-abstract]
    [Cgqa, Fashion, MitStates, OwnCompositions, UtZappos, VawCzsl],
)


def list_composition_sets() -> tuple[Entry, ...]:
    """Return name, summary and source of every composition set, sorted by name."""
    return tuple(COMPOSITION_SETS)


def read_composition_set(name_or_folder: str | os.PathLike[str], **settings: Any) -> CompositionSet:
    """Return a composition set by name, or that of a folder of your own, validated.

    Parameters
    ----------
    name_or_folder : one of `list_composition_sets()`, or the path of a folder or of a CSV file.
    settings : parameters of its reader, `path` everywhere.

    Raises
    ------
    UnknownNameError : neither a known name nor a path; the choices are listed.
    InvalidInputError : settings that its reader does not take.
    MissingDataError : a file is not there; the message says which file goes where.
    SourceError : files that break a rule, which is named.
    """
    name, known = str(name_or_folder), {entry.name for entry in COMPOSITION_SETS}
    if name not in known and Path(name_or_folder).exists():
        return COMPOSITION_SETS.make("folder", {"path": name_or_folder, **settings}).read()
    return COMPOSITION_SETS.make(name, settings).read()
