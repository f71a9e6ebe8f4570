"""A part of CUB that a generator trains on within a second: real rows, real attributes, fewer classes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from kgzsl.datasets import FeatureSet, Split, read_feature_set


@cache
def small_cub(seen: int = 30, unseen: int = 6, rows: int = 16) -> FeatureSet:
    """Return the first `rows` rows of the first classes of each kind."""
    cub = read_feature_set("cub")
    split = Split("cub-small", "test", cub.split.seen[:seen], cub.split.unseen[:unseen])
    kept = []
    for identifier in split.classes:
        own = [i for i, label in zip(cub.features.ids, cub.features.labels, strict=True) if label == identifier]
        kept += own[:rows]
    rest = {"train_rows": (), "test_seen_rows": (), "test_unseen_rows": (), "published": {}}
    return replace(cub, name="cub-small", features=cub.features.select(kept), split=split, **rest)


#: Settings with which any GAN of the family learns in a moment: the classifier's loss is what teaches in few steps.
QUICK = {
    "epochs": 12,
    "hidden": 64,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "critic_steps": 1,
    "class_weight": 3.0,
    "feature_scaling": "standardise",
    "embedding_scaling": "centre_l2",
    "end": "linear",
}
