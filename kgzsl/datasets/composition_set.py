"""What a compositional benchmark is here: images of pairs of a state and an object, in three parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError, MissingDataError, first_five

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class CompositionSpace:
    """The states, the objects, and pairs of them; every method and metric speaks of pairs by their position here.

    Attributes
    ----------
    prefix : prefix of the ids in a graph: `PREFIX:state/NAME`, `PREFIX:object/NAME`, `PREFIX:pair/STATE/OBJECT`.
    states, objects : names as the benchmark writes them, sorted, unique.
    pairs : positions of state and object, int64 `[pairs, 2]`, unique, ordered.
    seen : whether a pair has training images, bool `[pairs]`.
    """

    prefix: str
    states: tuple[str, ...]
    objects: tuple[str, ...]
    pairs: np.ndarray
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True)
class CompositionSet:
    """Image files, each of one pair, in the parts `train`, `val` and `test`.

    Attributes
    ----------
    name, version : the dataset.
    root : the folder the paths are under.
    space : every pair that is listed in any part (the closed world).
    paths : image files, in a fixed order.
    labels : position of each image's pair in `space.pairs`, int64 `[images]`.
    parts : position of each image's part in `PARTS`, int8 `[images]`.
    candidates : per part the positions of the closed world's candidates, ascending: the seen pairs and the part's own unseen ones
        (for `train` the seen pairs alone).
    """

    name: str
    version: str
    root: Path
    space: CompositionSpace
    paths: tuple[Path, ...]
    labels: np.ndarray
    parts: np.ndarray
    candidates: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, part: str) -> np.ndarray:
        """Return the positions of the images of `train`, `val` or `test`, int64 `[rows]`."""
        return np.flatnonzero(self.parts == PARTS.index(part))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over name, version, relative paths, pairs, labels and parts (not over the pixels)."""
        files = [p.relative_to(self.root).as_posix() for p in self.paths]
        space = {"states": self.space.states, "objects": self.space.objects, "pairs": self.space.pairs.tolist()}
        rows = {"files": files, "labels": self.labels.tolist(), "parts": self.parts.tolist()}
        return digest({"name": self.name, "version": self.version, **space, **rows})

    def validate(
        self,
        *,
        states: int | None = None,
        objects: int | None = None,
        images: tuple[int, int, int] | None = None,
        seen: int | None = None,
        unseen: tuple[int, int] | None = None,
        files: bool = True,
    ) -> CompositionSet:
        """Check what every benchmark must hold, the counts, and that the files are there; return the set itself.

        Parameters
        ----------
        states, objects, seen : how many states, objects and pairs of training there are.
        images : how many images train, val and test have.
        unseen : how many unseen pairs the images of val and test have.
        files : look at the image files too.

        Raises
        ------
        InvalidInputError : a pair without images, a state or an object that training never shows, an image twice, another count.
        MissingDataError : an image is no file or an empty one; the first five are named.
        """
        self._check_pairs()
        per_part = [int(np.count_nonzero(self.parts == k)) for k in range(len(PARTS))]
        new = [int(np.count_nonzero(~self.space.seen[self.candidates[part]])) for part in PARTS[1:]]
        expected: list[tuple[str, object, object]] = [
            ("states", len(self.space.states), states),
            ("objects", len(self.space.objects), objects),
            (f"images in {', '.join(PARTS)}", per_part, list(images) if images else None),
            ("pairs in training", int(np.count_nonzero(self.space.seen)), seen),
            ("unseen pairs in val, test", new, list(unseen) if unseen else None),
        ]
        for what, have, want in expected:
            if want is not None and have != want:
                raise InvalidInputError(
                    f"{self.name} {self.version} has {want} {what}", received=str(have), remedy=f"get {self.name} again"
                )
        gone = [p for p in self.paths if not p.is_file() or p.stat().st_size == 0] if files else []
        if gone:
            raise MissingDataError(
                f"every image of {self.name} {self.version} is a file that is not empty",
                received=f"{len(gone):,} are not: {first_five(gone)}",
                remedy=f"get {self.name} again",
            )
        return self

    def _check_pairs(self) -> None:
        space = self.space
        if len(set(self.paths)) != len(self.paths):
            raise InvalidInputError(f"an image of {self.name} is in one split", received=f"{len(self) - len(set(self.paths)):,} again")
        empty = np.setdiff1d(np.arange(len(space)), self.labels)
        if len(empty):
            raise InvalidInputError(f"every pair of {self.name} has images", received=f"{len(empty):,} have none: {self._named(empty)}")
        trained = np.unique(self.labels[self.rows("train")])
        if not np.array_equal(trained, np.flatnonzero(space.seen)):
            wrong = np.setxor1d(trained, np.flatnonzero(space.seen))
            raise InvalidInputError(f"the seen pairs of {self.name} are those with training images", received=self._named(wrong))
        for k, what in enumerate(("state", "object")):
            new = np.flatnonzero(~np.isin(space.pairs[:, k], space.pairs[space.seen, k]))
            if len(new):
                raise InvalidInputError(f"every {what} of an unseen pair occurs in training", received=self._named(new))

    def _named(self, pairs: np.ndarray) -> str:
        return first_five(f"{self.space.states[s]} {self.space.objects[o]}" for s, o in self.space.pairs[pairs])
