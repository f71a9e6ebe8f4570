"""Small settings of every generator, and a small real feature set: a few classes and columns of CUB."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgzsl.datasets import read_feature_set
from kgzsl.generators import GENERATORS, Generator
from kgzsl.matrices import ClassEmbeddings

SEEN, UNSEEN, ROWS, DIM, SEMANTICS = 8, 4, 15, 24, 10

#: Settings that train in a moment, beside `COMMON`.
SMALL: dict[str, dict[str, Any]] = {
    "fclswgan": {"hidden": 16},
    "kggan": {"hidden": 16},
    "ontozsl": {"hidden": 16},
    "lsrgan": {"hidden": 16, "neighbours": 3},
    "cizsl": {"hidden": 16},
    "cadavae": {"feature_hidden": [16, 16], "embedding_hidden": [16, 16], "noise": 8},
    "fvaegan": {"hidden": 16},
    "tfvaegan": {"hidden": 16},
    "gdan": {"encoder_hidden": [16, 16], "generator_hidden": 16, "regressor_hidden": 16, "discriminator_hidden": 16, "pretraining": 2},
}
COMMON: dict[str, Any] = {"epochs": 4, "batch_size": 32, "learning_rate": 1e-3, "device": "cpu", "seed": 3}


def make(name: str, **settings: Any) -> Generator:
    """Return a small generator."""
    return GENERATORS.make(name, {**COMMON, **SMALL[name], **settings})


def few() -> tuple[np.ndarray, list[str], ClassEmbeddings]:
    """Return `(features, labels, embeddings)`: `ROWS` rows of `SEEN` classes, embeddings of `UNSEEN` more."""
    data = read_feature_set("cub")
    seen, unseen = data.split.seen[:SEEN], data.split.unseen[:UNSEEN]
    labels = np.array(data.features.labels, dtype=object)
    at = np.concatenate([np.flatnonzero(labels == c)[:ROWS] for c in seen])
    known = data.embeddings.select([*seen, *unseen])
    return (
        np.ascontiguousarray(data.features.matrix[at][:, :DIM]),
        list(labels[at]),
        ClassEmbeddings(known.ids, known.matrix[:, :SEMANTICS] + 1),
    )
