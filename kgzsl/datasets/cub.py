"""CUB-200-2011 on a ResNet's ImageNet logits: 200 birds, 312 attributes or sentence vectors as semantics."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from kgzsl.datasets.base import Split
from kgzsl.datasets.feature_set import FeatureSet
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.datasets.mat_splits import PUBLISHED, ROW_LISTS, MatSplits, read_splits
from kgzsl.datasets.numbering import class_labels
from kgzsl.datasets.readers import FeatureSetReader, one_of
from kgzsl.errors import MissingDataError, SourceError, first_five
from kgzsl.matrices import ClassEmbeddings, Features
from kgzsl.sources.class_names import cub_ids

#: Rows, classes, unseen classes, attributes, ImageNet logits.
ROWS, CLASSES, UNSEEN, ATTRIBUTES, LOGITS = 11_788, 200, 50, 312, 1_000
#: Rows of the standard split's unseen classes.
STANDARD_UNSEEN_ROWS = 2_933
#: What the rows are: the last layer of an ImageNet-1k ResNet, stored in half precision.
RECIPE: dict[str, Any] = {"backbone": "resnet", "layer": "ImageNet-1k logits", "file": "cub/resnet_logits.npz", "dtype": "float16"}


class Cub(FeatureSetReader):
    """CUB-200-2011, ImageNet logits of a ResNet: 11,788 rows, 150 seen and 50 unseen birds.

    Parameters
    ----------
    path : the `cub` folder; None looks below `KGZSL_DATA`.
    split : `standard` (Akata et al., 2013; sets no seen rows aside to test on) or `proposed` (Xian et al., 2018, version 2,
        with its rows). The image order of the published split files is that of CUB's images.txt.
    semantics : `attributes` (`[200, 312]`, in per cent as published) or `sentences` (`[200, 1024]`, Reed et al., 2016).
    xlsa17 : the folder of the split files, for `proposed` and `sentences`; None looks below `KGZSL_DATA`.

    The logits are not the ResNet-101 features of published tables: never compare with those. Rows follow the numbers of
    images.txt. (In the copy at hand its lines 1789 and 1790 are exchanged; both images are of one class, so the labels
    cannot tell which of the two orders the rows have.)
    """

    name: ClassVar[str] = "cub"
    source: ClassVar[str] = "Wah et al., 2011"

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        split: str = "standard",
        semantics: str = "attributes",
        xlsa17: str | os.PathLike[str] | None = None,
    ) -> None:
        self.folder = BenchmarkFolder("cub", path)
        self.split = one_of("CUB's split", split, ("standard", "proposed"))
        self.semantics = one_of("CUB's semantics", semantics, ("attributes", "sentences"))
        self.xlsa17 = xlsa17

    def read(self) -> FeatureSet:
        """Return the set; see `FeatureSetReader.read`."""
        classes = cub_ids(self.folder.numbered("classes.txt"))
        images = self.folder.numbered("images.txt.gz" if self.folder.has("images.txt.gz") else "images.txt")
        matrix, numbers = self.folder.arrays("resnet_logits.npz", "X", "y")
        labels = class_labels(numbers, classes, first=0, what="cub/resnet_logits.npz")
        self._check_order(images, labels)
        features = Features(ids=tuple(images), matrix=matrix, meta={"recipe": RECIPE}, labels=labels)
        embeddings = self._attributes(classes) if self.semantics == "attributes" else self._sentences(classes)
        split, rows = self._standard(classes) if self.split == "standard" else self._proposed(features)
        return FeatureSet(
            name="cub" if self.semantics == "attributes" else "cub-sentences",
            version=f"2011-{self.split}",
            features=features,
            split=split,
            embeddings=embeddings,
            published={
                "rows": ROWS,
                "dim": LOGITS,
                "seen": CLASSES - UNSEEN,
                "unseen": UNSEEN,
                "embedding_dim": embeddings.dim,
                **self._published_rows(),
            },
            **rows,
        ).validate()

    def _published_rows(self) -> dict[str, int]:
        if self.split == "standard":
            return {"test_unseen": STANDARD_UNSEEN_ROWS}
        return {what: getattr(PUBLISHED["CUB"], what) for what in ROW_LISTS}

    def _check_order(self, images: Sequence[str], labels: Sequence[str]) -> None:
        """Every row's image lies in the folder of its class, or rows and images are not the same list."""
        if len(images) != len(labels):
            raise SourceError("CUB has one feature row per image", received=f"{len(labels)} rows, {len(images)} images")
        folders = {folder: cub_ids([folder])[0] for folder in {image.split("/")[0] for image in images}}
        wrong = [image for image, label in zip(images, labels, strict=True) if folders[image.split("/")[0]] != label]
        if wrong:
            raise SourceError("a row's image lies in the folder of its class", received=f"{len(wrong):,} do not: {first_five(wrong)}")

    def _attributes(self, classes: Sequence[str]) -> ClassEmbeddings:
        table = self.folder.table("class_attribute_labels_continuous.txt", CLASSES, ATTRIBUTES)
        columns = self.folder.numbered("attributes.txt") if self.folder.has("attributes.txt") else []
        return ClassEmbeddings(ids=tuple(classes), matrix=table, meta={"semantics": "attributes", "columns": columns})

    def _sentences(self, classes: Sequence[str]) -> ClassEmbeddings:
        found = read_splits("CUB", self.xlsa17, semantics="sentences").embeddings
        return found.select(classes)

    def _standard(self, classes: Sequence[str]) -> tuple[Split, dict[str, Any]]:
        unseen = cub_ids(self.folder.lines("standard_split_unseen_classes.txt"))
        strange = sorted(set(unseen) - set(classes))
        if strange:
            raise SourceError("the unseen classes are in classes.txt", received=first_five(strange))
        seen = tuple(c for c in classes if c not in set(unseen))
        return Split("cub-standard", "akata2013", seen, unseen), {}

    def _proposed(self, features: Features) -> tuple[Split, dict[str, Any]]:
        found = self._row_lists()
        rows = {f"{what}_rows": tuple(features.ids[n - 1] for n in numbers.tolist()) for what, numbers in found.numbers.items()}
        return found.split(features.labels), rows

    def _row_lists(self) -> MatSplits:
        """The proposed split's row lists; the attributes' and the sentences' file carry the same ones."""
        try:
            return read_splits("CUB", self.xlsa17)
        except MissingDataError:
            return read_splits("CUB", self.xlsa17, semantics="sentences")


class CubSentences(Cub):
    """CUB-200-2011 with sentence vectors as semantics, standard split."""

    name: ClassVar[str] = "cub-sentences"

    def __init__(self, path: str | os.PathLike[str] | None = None, *, split: str = "standard") -> None:
        super().__init__(path, split=split, semantics="sentences")


class CubProposed(Cub):
    """CUB-200-2011 on the proposed split (version 2) with its seen test rows."""

    name: ClassVar[str] = "cub-proposed"

    def __init__(self, path: str | os.PathLike[str] | None = None, *, semantics: str = "attributes") -> None:
        super().__init__(path, split="proposed", semantics=semantics)
