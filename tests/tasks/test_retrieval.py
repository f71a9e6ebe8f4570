"""Image-free evaluation: predicted weights retrieve true ones."""

from __future__ import annotations

import numpy as np
import pytest

from kgzsl.datasets import Split
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.matrices import ClassifierWeights
from kgzsl.tasks.methods import make_method
from kgzsl.tasks.retrieval import retrieval_metrics, run_retrieval


def test_true_weights_retrieve_themselves_and_random_ones_do_not(world):
    own = retrieval_metrics(world.weights, world.weights)
    assert own["hit@1"] == 1 and own["mean_cosine"] == pytest.approx(1) and own["queries"] == own["candidates"] == 158
    noise = ClassifierWeights(world.weights.ids, np.random.default_rng(0).standard_normal(world.weights.matrix.shape))
    assert retrieval_metrics(noise, world.weights)["hit@1"] < 0.05


def test_constant_predictions_give_chance(world):
    one_axis = np.zeros_like(world.weights.matrix)
    one_axis[:, 0] = 1  # cosines are exactly 1, whatever order a BLAS adds in
    same = ClassifierWeights(world.weights.ids, one_axis)
    assert retrieval_metrics(same, same)["hit@5"] == pytest.approx(5 / 158)


def test_more_candidates_are_harder_and_a_method_without_weights_is_refused(world, halves):
    split = Split("carnivores", "1", *halves)
    found = run_retrieval(make_method(world, "nearest_text"), world.weights, split)
    assert found["hidden"]["candidates"] == 40 and found["all"]["candidates"] == 158
    assert 4 / 40 < found["hidden"]["hit@1"] < 1
    assert all(found["all"][k] <= found["hidden"][k] for k in ("hit@1", "hit@5", "hit@20"))
    assert found["hidden"]["mean_cosine"] == pytest.approx(found["all"]["mean_cosine"])
    with pytest.raises(InvalidInputError, match="Restricted"):
        run_retrieval(make_method(world, "conse"), world.weights, split)
    with pytest.raises(UnknownNameError, match="gallery"):
        retrieval_metrics(world.weights, world.weights.select(halves[0]))
