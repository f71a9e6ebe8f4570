"""The `.mat` folders of "Zero-shot learning: the good, the bad and the ugly" (Xian et al., 2018), known as xlsa17 or GBU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kgzsl.datasets.base import Split
from kgzsl.datasets.feature_set import FeatureSet
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.datasets.mat_splits import PUBLISHED, ROW_LISTS, listed_classes, read_splits
from kgzsl.datasets.numbering import class_labels, whole_numbers
from kgzsl.datasets.readers import FeatureSetReader, one_of
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import Features

#: Width of the published ResNet-101 features.
RES101_DIM = 2_048


class Xlsa17(FeatureSetReader):
    """A dataset in the published `.mat` layout: `res101.mat` and `att_splits.mat`.

    Parameters
    ----------
    path : the `xlsa17` folder; None looks below `KGZSL_DATA`. Features are `NAME/res101.mat` (`features` `[dim, rows]`,
        `labels` from 1).
    split : `proposed` (Xian et al., 2018, version 2, with its rows) or `standard` (`standard_split/NAME/testclasses.txt` names
        its unseen classes; it sets no seen rows aside).
    semantics : see `kgzsl.datasets.read_splits`.
    features : the stem of the features' file; other features in the same layout have another width, `res101` has 2048.
    """

    source: ClassVar[str] = "Xian et al., 2018"
    dataset: ClassVar[str]

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        split: str = "proposed",
        semantics: str = "att",
        features: str = "res101",
    ) -> None:
        self.path = path
        self.split = one_of("an xlsa17 split", split, ("proposed", "standard"))
        self.semantics = semantics
        self.features = features

    def read(self) -> FeatureSet:
        """Return the set; see `FeatureSetReader.read`."""
        name, stated = self.dataset, PUBLISHED[self.dataset]
        found = read_splits(name, self.path, semantics=self.semantics)
        features = self._features(found.classes)
        counts = {"rows": stated.rows, "seen": stated.seen, "unseen": stated.unseen, "embedding_dim": found.embeddings.dim}
        rows: dict[str, Any] = {}
        split = found.split(features.labels)
        if self.split == "proposed":
            ids = np.array(features.ids, dtype=object)
            rows = {f"{what}_rows": tuple(ids[numbers - 1]) for what, numbers in found.numbers.items()}
            counts |= {what: getattr(stated, what) for what in ROW_LISTS}
        else:
            split = self._standard(found.classes)
        if self.features == "res101":
            counts["dim"] = RES101_DIM
        return FeatureSet(
            name=f"xlsa17-{name.lower()}",
            version=f"{self.split}-v2-{self.features}-{self.semantics}",
            features=features,
            split=split,
            embeddings=found.embeddings,
            published=counts,
            **rows,
        ).validate()

    def _features(self, classes: Sequence[str]) -> Features:
        name, rows = self.dataset, PUBLISHED[self.dataset].rows
        folder = BenchmarkFolder("xlsa17", self.path)
        file: Path = folder.file(f"{name}/{self.features}.mat")
        content = folder.matlab(file, ("features", "labels"))
        numbers = whole_numbers(content["labels"], f"the labels of {file.name}")
        if content["features"].ndim != 2 or content["features"].shape[1] != rows or len(numbers) != rows:
            raise InvalidInputError(
                f"{name} has features [dim, {rows:,}] with one column per image, and {rows:,} labels",
                received=f"features {content['features'].shape}, {len(numbers):,} labels",
                remedy="use the published file; features are stored one image per column",
            )
        labels = class_labels(numbers, classes, first=1, what=f"{name}/{file.name}")
        return Features(
            ids=tuple(f"{name.lower()}#{n}" for n in range(1, rows + 1)),
            matrix=content["features"].T,
            meta={"recipe": {"backbone": self.features, "layer": "pool5" if self.features == "res101" else "unknown", "file": "xlsa17"}},
            labels=labels,
        )

    def _standard(self, classes: Sequence[str]) -> Split:
        name = self.dataset
        folder = BenchmarkFolder("xlsa17", self.path)
        file = f"standard_split/{name}/testclasses.txt"
        folder.file(file)
        unseen = listed_classes(name, file, folder, classes)
        return Split(f"{name.lower()}-standard", "xian2018", tuple(c for c in classes if c not in set(unseen)), unseen)


class Xlsa17Awa1(Xlsa17):
    """Animals with Attributes 1, ResNet-101 features, 40 + 10 classes, 85 attributes."""

    name: ClassVar[str] = "xlsa17-awa1"
    dataset: ClassVar[str] = "AWA1"


class Xlsa17Awa2(Xlsa17):
    """Animals with Attributes 2, ResNet-101 features, 40 + 10 classes, 85 attributes."""

    name: ClassVar[str] = "xlsa17-awa2"
    dataset: ClassVar[str] = "AWA2"


class Xlsa17Cub(Xlsa17):
    """CUB-200-2011, ResNet-101 features, 150 + 50 classes, 312 attributes or sentence vectors."""

    name: ClassVar[str] = "xlsa17-cub"
    dataset: ClassVar[str] = "CUB"


class Xlsa17Sun(Xlsa17):
    """SUN attribute scenes, ResNet-101 features, 645 + 72 classes, 102 attributes."""

    name: ClassVar[str] = "xlsa17-sun"
    dataset: ClassVar[str] = "SUN"


class Xlsa17Apy(Xlsa17):
    """aPascal and aYahoo, ResNet-101 features, 20 + 12 classes, 64 attributes."""

    name: ClassVar[str] = "xlsa17-apy"
    dataset: ClassVar[str] = "APY"


class Xlsa17Flo(Xlsa17):
    """Oxford flowers, ResNet-101 features, 82 + 20 classes, sentence vectors."""

    name: ClassVar[str] = "xlsa17-flo"
    dataset: ClassVar[str] = "FLO"


class Awa2(Xlsa17Awa2):
    """The same as xlsa17-awa2, under the dataset's own name."""

    name: ClassVar[str] = "awa2"
