"""The Wasserstein GANs: what they recover of a task whose answer is known, and what their ends can draw."""

from __future__ import annotations

import numpy as np
import pytest
from small_generators import few, make

from kgzsl.errors import InvalidInputError
from kgzsl.generators import GENERATORS
from kgzsl.matrices import ClassEmbeddings

SEEN, UNSEEN, SPREAD = 16, 4, 0.15


def _ring() -> tuple[np.ndarray, list[str], ClassEmbeddings, np.ndarray]:
    """Classes on an ellipse: `(features, labels, embeddings, means)`; means are a linear map of embeddings, points on a circle."""
    angles = np.concatenate([np.arange(SEEN) * 2 * np.pi / SEEN, (np.arange(UNSEEN) * 4 + 1.5) * 2 * np.pi / SEEN])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    means = circle @ np.array([[2.0, 0.5], [-0.5, 1.0]], dtype=np.float32) + np.array([3.0, -1.0], dtype=np.float32)
    ids = tuple(f"ring:{i:02d}" for i in range(SEEN + UNSEEN))
    labels = np.repeat(np.arange(SEEN), 40)
    features = means[labels] + SPREAD * np.random.default_rng(0).standard_normal((len(labels), 2), dtype=np.float32)
    return features, [ids[i] for i in labels], ClassEmbeddings(ids, circle), means


#: What the descendants of f-CLSWGAN need beside its settings for two columns of features.
NARROW = {
    "fclswgan": {},
    "kggan": {},
    "ontozsl": {},
    "lisgan": {"souls": 1, "soul_weight": 10.0, "mean_weight": 10.0, "mean_rows": 5},
    "dascn": {"dual_hidden": 64, "pivot_weight": 3.0},
    "cegzsl": {"embedding": 32, "projection": 8, "comparator_hidden": 16},
    "dsp": {"reader_hidden": 64, "evolver_hidden": 64, "pivot_weight": 3.0},
}


@pytest.mark.parametrize("name", NARROW)
def test_means_of_seen_and_unseen_classes_are_recovered(name):
    features, labels, embeddings, means = _ring()
    settings = {"hidden": 64, "epochs": 60, "batch_size": 128, "learning_rate": 5e-3, "class_weight": 0.1, "noise": 4, "ema": 0.98}
    generator = GENERATORS.make(name, {**settings, **NARROW[name], "feature_scaling": "standardise", "end": "linear", "device": "cpu"})
    generator.fit(features, labels, embeddings)
    drawn = np.concatenate([b.matrix for b in generator.synthesise(embeddings.ids, 200)]).reshape(len(embeddings), 200, 2)
    off = np.linalg.norm(drawn.mean(axis=1) - means, axis=1)
    assert off.max() < 0.35 < np.linalg.norm(means - features.mean(axis=0), axis=1).min(), off.round(2)  # neighbours lie 0.4 to 0.8 apart
    assert off.mean() < 0.2, off.round(2)
    assert drawn.std(axis=1).min() > 0.001  # rows of a class differ


@pytest.mark.data
@pytest.mark.parametrize("name", ["fclswgan", "kggan", "ontozsl"])
def test_an_end_that_cannot_draw_the_features_is_refused(name):
    features, labels, embeddings = few()
    assert features.min() < 0
    with pytest.raises(InvalidInputError, match=r"relu draws .* not negative") as caught:
        make(name, feature_scaling="none", end="relu").fit(features, labels, embeddings)
    assert "minmax" in str(caught.value)
    with pytest.raises(InvalidInputError, match="nor above 1"):
        make(name, feature_scaling="none", end="sigmoid").fit(np.abs(features) + 1, labels, embeddings)
    fitted = make(name, epochs=1).fit(features, labels, embeddings)
    drawn = np.concatenate([b.matrix for b in fitted.synthesise(embeddings.ids, 3)])
    assert drawn.min() < 0  # scaled to 0…1 for the ReLU, and back
    assert f"go down to {features.min():.4g}" in fitted.notice
    assert not make(name, epochs=1).fit(features - features.min(), labels, embeddings).notice
    with pytest.raises(InvalidInputError, match="not negative"):
        make(name, class_weight=-1.0)
