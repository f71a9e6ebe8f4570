"""Animals with Attributes 1 on PHOG: 50 animals, 85 attributes, 30,475 rows of a low-level descriptor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from kgzsl.datasets.base import Split
from kgzsl.datasets.feature_set import FeatureSet
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.datasets.numbering import class_labels
from kgzsl.datasets.readers import FeatureSetReader, one_of
from kgzsl.errors import SourceError, first_five
from kgzsl.matrices import ClassEmbeddings, Features
from kgzsl.sources.class_names import AWA_PROPOSED_UNSEEN, awa_ids

#: Rows, classes, attributes, width of the PHOG descriptor.
ROWS, CLASSES, ATTRIBUTES, PHOG = 30_475, 50, 85, 252
#: Rows of the unseen classes, by split.
UNSEEN_ROWS = {"standard": 6_180, "proposed": 5_685}
_RECIPE: dict[str, Any] = {"backbone": "phog", "file": "awa1/phog.npz", "dtype": "float16"}


class Awa1(FeatureSetReader):
    """Animals with Attributes 1, PHOG descriptors: 30,475 rows, 40 seen and 10 unseen animals.

    Parameters
    ----------
    path : the `awa1` folder; None looks below `KGZSL_DATA`.
    split : `standard` (Lampert et al., 2009: testclasses.txt) or `proposed` (Xian et al., 2018). Neither comes with test
        rows of seen classes here (see `FeatureSet.with_test_seen`).
    attributes : `continuous` (per cent; −1 where the authors have no answer) or `binary`; raw, `[50, 85]`.
    """

    name: ClassVar[str] = "awa1"
    source: ClassVar[str] = "Lampert et al., 2009"

    def __init__(self, path: str | os.PathLike[str] | None = None, *, split: str = "standard", attributes: str = "continuous") -> None:
        self.folder = BenchmarkFolder("awa1", path)
        self.split = one_of("AwA1's split", split, ("standard", "proposed"))
        self.attributes = one_of("AwA1's attributes", attributes, ("continuous", "binary"))

    def read(self) -> FeatureSet:
        """Return the set; see `FeatureSetReader.read`."""
        classes = awa_ids(self.folder.numbered("classes.txt"))
        matrix, numbers = self.folder.arrays("phog.npz", "X", "y")
        labels = class_labels(numbers, classes, first=0, what="awa1/phog.npz")
        table = self.folder.table(f"predicate-matrix-{self.attributes}.txt", CLASSES, ATTRIBUTES)
        columns = self.folder.numbered("predicates.txt") if self.folder.has("predicates.txt") else []
        return FeatureSet(
            name="awa1" if self.attributes == "continuous" else "awa1-binary",
            version=f"2009-{self.split}",
            # the rows have no published names; they are numbered from 1 like the proposed split's row numbers
            features=Features(
                ids=tuple(f"awa1#{n}" for n in range(1, len(labels) + 1)), matrix=matrix, meta={"recipe": _RECIPE}, labels=labels
            ),
            split=self._split(classes),
            embeddings=ClassEmbeddings(ids=classes, matrix=table, meta={"semantics": f"{self.attributes} attributes", "columns": columns}),
            published={
                "rows": ROWS,
                "dim": PHOG,
                "seen": 40,
                "unseen": 10,
                "embedding_dim": ATTRIBUTES,
                "test_unseen": UNSEEN_ROWS[self.split],
            },
        ).validate()

    def _split(self, classes: Sequence[str]) -> Split:
        if self.split == "proposed":
            unseen = awa_ids(AWA_PROPOSED_UNSEEN)
            seen = tuple(c for c in classes if c not in set(unseen))
            return Split("awa-proposed", "xian2018", seen, unseen)
        seen, unseen = (awa_ids(self.folder.lines(f"{part}classes.txt")) for part in ("train", "test"))
        if sorted((*seen, *unseen)) != sorted(classes):
            other = sorted(set(classes) ^ {*seen, *unseen})
            raise SourceError("trainclasses.txt and testclasses.txt divide the classes", received=f"they differ in {first_five(other)}")
        return Split("awa-standard", "lampert2009", seen, unseen)


class Awa1Proposed(Awa1):
    """Animals with Attributes 1, PHOG descriptors, on the proposed split's classes."""

    name: ClassVar[str] = "awa1-proposed"

    def __init__(self, path: str | os.PathLike[str] | None = None, *, attributes: str = "continuous") -> None:
        super().__init__(path, split="proposed", attributes=attributes)
