"""A part of CUB that a generator trains on within a second: real rows, real attributes, fewer classes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from kgzsl.datasets import FeatureSet, Split, read_feature_set


@cache
def small_cub(seen: int = 20, unseen: int = 6, rows: int = 20) -> FeatureSet:
    """Return the first `rows` rows of the first classes of each kind."""
    cub = read_feature_set("cub")
    split = Split("cub-small", "test", cub.split.seen[:seen], cub.split.unseen[:unseen])
    kept = []
    for identifier in split.classes:
        own = [i for i, label in zip(cub.features.ids, cub.features.labels, strict=True) if label == identifier]
        kept += own[:rows]
    rest = {"train_rows": (), "test_seen_rows": (), "test_unseen_rows": (), "published": {}}
    return replace(cub, name="cub-small", features=cub.features.select(kept), split=split, **rest)


#: Settings with which any GAN of the family trains in a moment.
QUICK = {"epochs": 4, "hidden": 64, "batch_size": 64, "learning_rate": 1e-3}
