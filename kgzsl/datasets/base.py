"""What a dataset is here: image files with class ids, and splits with a digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError, MissingDataError, first_five
from kgzsl.ids import check_unique


@dataclass(frozen=True)
class Split:
    """Seen and unseen classes, by id.

    Attributes
    ----------
    name, version : part of the digest, so that results on different splits of one name never mix.
    seen, unseen : CURIEs, unique, disjoint.

    Raises
    ------
    InvalidInputError : a class is both seen and unseen, or named twice; the first five are listed.
    """

    name: str
    version: str
    seen: tuple[str, ...]
    unseen: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "seen", tuple(self.seen))
        object.__setattr__(self, "unseen", tuple(self.unseen))
        check_unique(self.seen, f"the seen classes of split {self.name}")
        check_unique(self.unseen, f"the unseen classes of split {self.name}")
        both = sorted(set(self.seen) & set(self.unseen))
        if both:
            raise InvalidInputError(
                f"split {self.name}: a class is seen or unseen, never both", received=f"{len(both):,} are both: {first_five(both)}"
            )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the name, the version and both class sets (their order does not matter)."""
        return digest({"name": self.name, "version": self.version, "seen": sorted(self.seen), "unseen": sorted(self.unseen)})

    @property
    def classes(self) -> tuple[str, ...]:
        """Seen, then unseen."""
        return self.seen + self.unseen


@dataclass(frozen=True)
class ImageSet:
    """Labelled image files of one dataset.

    Attributes
    ----------
    name, version : the dataset.
    root : the folder the paths are under.
    paths : image files, in a fixed order.
    labels : the class id (CURIE) of each.
    """

    name: str
    version: str
    root: Path
    paths: tuple[Path, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.paths) != len(self.labels):
            raise InvalidInputError("an image set has one label per image", received=f"{len(self.paths)} images, {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The class ids that have an image, sorted."""
        return tuple(sorted(set(self.labels)))

    def counts(self) -> dict[str, int]:
        """Images per class id, sorted by id."""
        return dict(sorted(Counter(self.labels).items()))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over name, version, relative paths and labels (not over the pixels)."""
        files = [p.relative_to(self.root).as_posix() for p in self.paths]
        return digest({"name": self.name, "version": self.version, "files": files, "labels": self.labels})

    def of_classes(self, classes: Sequence[str]) -> ImageSet:
        """Return only the images of `classes`; a class without any image is an error that names it."""
        absent = sorted(set(classes) - set(self.labels))
        if absent:
            raise InvalidInputError(
                f"every class asked for has images in {self.name}", received=f"{len(absent)} have none: {first_five(absent)}"
            )
        wanted = set(classes)
        keep = [i for i, label in enumerate(self.labels) if label in wanted]
        return ImageSet(self.name, self.version, self.root, tuple(self.paths[i] for i in keep), tuple(self.labels[i] for i in keep))

    def validate(self, *, images: int | None = None, classes: int | None = None) -> ImageSet:
        """Check the counts and that every file is there and not empty; return the set itself.

        Raises
        ------
        MissingDataError : a file is missing or empty; the first five are named.
        InvalidInputError : another number of images or classes than stated.
        """
        gone = [p for p in self.paths if not p.is_file() or p.stat().st_size == 0]
        if gone:
            raise MissingDataError(
                f"every image of {self.name} {self.version} is a file that is not empty",
                received=f"{len(gone):,} are not: {first_five(gone)}",
                remedy=f"get {self.name} again",
            )
        for what, have, want in (("images", len(self), images), ("classes", len(self.classes), classes)):
            if want is not None and have != want:
                raise InvalidInputError(
                    f"{self.name} {self.version} has {want:,} {what}", received=f"{have:,}", remedy=f"get {self.name} again"
                )
        return self
