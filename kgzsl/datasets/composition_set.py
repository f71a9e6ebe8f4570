"""What a compositional benchmark is here: images of pairs of a state and an object, in three parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kgzsl.artifacts import digest

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
