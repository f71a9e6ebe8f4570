"""The predictive variance of graph_gp: its equations written out, and whether it holds for classes never seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kgzsl.encoders.graph_gp import GraphGP
from kgzsl.encoders.kernels import KERNELS, NodeKernels, combine
from kgzsl.encoders.predictive import Calibration, calibrate, left_out
from kgzsl.errors import InvalidInputError
from kgzsl.ids import positions

MIXTURE = tuple(k for k in KERNELS if k != "descriptions")


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def fitted(world, halves):
    encoder = GraphGP(steps=8)
    view = encoder.view(world.graph)
    return encoder.fit(view, world.vectors, world.weights.select(halves[0])), view


def _kernel(encoder, features, rows) -> np.ndarray:
    h = encoder.hyperparameters
    s = {k: v.double() for k, v in features.similarities(rows).items()}
    return combine(s, MIXTURE, h.log_weights.double(), h.log_scales.double()).numpy()


def test_left_out_groups_equal_refitting_without_them(world, halves, fitted):
    encoder, view = fitted
    seen = positions(halves[0], view.ids, "graph")
    kernel = _kernel(encoder, NodeKernels(view.adjacency[0], {"text": world.vectors.matrix}, seen, MIXTURE), seen)
    system = kernel + encoder.hyperparameters.ridge * np.eye(len(seen))
    weights = _unit(world.weights.rows(halves[0]).astype(np.float64))
    variance, error = left_out(np.linalg.inv(system), weights, 5, 3)
    for group in np.array_split(np.random.default_rng(3).permutation(len(seen)), 5):
        rest = np.setdiff1d(np.arange(len(seen)), group)
        solved = np.linalg.solve(system[np.ix_(rest, rest)], np.hstack([weights[rest], kernel[np.ix_(rest, group)]]))
        predicted = _unit(kernel[np.ix_(group, rest)] @ solved[:, : weights.shape[1]])
        np.testing.assert_allclose(error[group], ((predicted - weights[group]) ** 2).sum(axis=1), rtol=1e-4)
        explained = (kernel[np.ix_(group, rest)] * solved[:, weights.shape[1] :].T).sum(axis=1)
        np.testing.assert_allclose(variance[group], np.diag(system)[group] - explained, rtol=1e-4)


def test_variance_is_that_of_the_posterior(world, halves, fitted):
    """A node whose kernels are ones with itself: k(u, u) + λ − k A⁻¹ k, written out for every hidden class."""
    encoder, view = fitted
    both = positions([*halves[0], *halves[1]], view.ids, "graph")
    count = len(halves[0])
    features = NodeKernels(view.adjacency[0], {"text": world.vectors.matrix}, both[:count], MIXTURE)
    cross = _kernel(encoder, features, both[count:])
    system = _kernel(encoder, features, both[:count]) + encoder.hyperparameters.ridge * np.eye(count)
    own = combine(features.own(both[count:]), MIXTURE, encoder.hyperparameters.log_weights, encoder.hyperparameters.log_scales)
    expected = own.numpy()[:, 0] + encoder.hyperparameters.ridge - (cross * np.linalg.solve(system, cross.T).T).sum(axis=1)
    found = encoder.uncertainty(view, world.vectors, halves[1])
    calibration = calibrate(encoder._inverse.numpy(), encoder._weights, 5, encoder.seed + 1)
    np.testing.assert_allclose(found, calibration.error(expected), rtol=1e-3)
    assert ((found > 0) & (found < 4)).all()


def test_a_class_far_from_all_seen_ones_is_less_sure(world, halves, fitted):
    """The whole tree above: the root says nothing of what a carnivore looks like, a sister breed much."""
    encoder, view = fitted
    seen, hidden = encoder.uncertainty(view, world.vectors, halves[0]), encoder.uncertainty(view, world.vectors, halves[1])
    assert seen.mean() < hidden.mean()
    np.testing.assert_allclose(hidden[::-1], encoder.uncertainty(view, world.vectors, halves[1][::-1]), rtol=1e-5)


def test_intervals_hold_on_exchangeable_classes():
    """Errors drawn from the model: intervals at 50, 80 and 90 % cover as much of new draws, within sampling error."""
    rng = np.random.default_rng(0)
    variance = np.exp(rng.normal(size=3000))
    error = np.exp(-1 + 0.6 * np.log(variance) + 0.3 * rng.standard_exponential(3000))
    x, y = np.log(variance[:500]), np.log(error[:500])
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    intercept = y.mean() - slope * x.mean()
    calibration = Calibration(float(intercept), float(slope), np.sort(y - intercept - slope * x))
    for level in (0.5, 0.8, 0.9):
        low, high = calibration.interval(variance[500:], level).T
        assert ((low <= error[500:]) & (error[500:] <= high)).mean() == pytest.approx(level, abs=0.05)
    assert calibration.error(variance[500:]).mean() == pytest.approx(error[500:].mean(), rel=0.1)


@pytest.mark.parametrize("level", [0.0, 1.0, 0.999, -1.0])
def test_levels_that_cannot_be_are_refused(world, halves, fitted, level):
    encoder, view = fitted
    with pytest.raises(InvalidInputError, match="level"):
        encoder.intervals(view, world.vectors, halves[1], level=level)


def test_variance_that_says_nothing_leaves_the_mean():
    """Equal variances: no slope, and the mean error for every class."""
    inverse, weights = np.eye(20) / 2, _unit(np.random.default_rng(1).normal(size=(20, 6)))
    calibration = calibrate(inverse + 0.0, weights + 0.0, 4, 0)
    assert calibration.slope == 0.0
    assert calibration.error(np.full(3, 2.0)) == pytest.approx(left_out(inverse, weights, 4, 0)[1].mean())


@pytest.fixture(scope="module")
def folds():
    """Two of the five hold-out folds of ImageNet-1k: expected error, true error and an interval for each hidden class."""
    from kgzsl.datasets import holdout_folds
    from kgzsl.features import make_backbone
    from kgzsl.workspace import Workspace

    workspace, weights = Workspace(), make_backbone("efficientnet-lite0").classifier()
    graph = workspace.graph("imagenet")
    vectors, found = workspace.vectors(graph), []
    for split in holdout_folds()[:2]:
        encoder = GraphGP(steps=10)
        view = encoder.view(graph)
        encoder.fit(view, vectors, weights.select(split.seen))
        features = encoder._features(view, vectors, positions(split.unseen, view.ids, "graph"))
        predicted = encoder._regress(features, positions(split.unseen, view.ids, "graph"))
        error = ((predicted - _unit(weights.rows(split.unseen))) ** 2).sum(axis=1)
        intervals = {level: encoder.intervals(view, vectors, split.unseen, level=level) for level in (0.5, 0.8, 0.95)}
        found.append((encoder.uncertainty(view, vectors, split.unseen), error, intervals))
    return found


@pytest.mark.data
@pytest.mark.slow
def test_uncertainty_goes_with_the_error_of_hidden_classes(folds):
    for expected, error, _ in folds:
        assert np.corrcoef(expected, error)[0, 1] > 0.3
        assert expected.mean() == pytest.approx(error.mean(), rel=0.05)


@pytest.mark.data
@pytest.mark.slow
def test_intervals_cover_hidden_classes_as_often_as_they_say(folds):
    for level in (0.5, 0.8, 0.95):
        inside = np.concatenate([(i[level][:, 0] <= error) & (error <= i[level][:, 1]) for _, error, i in folds])
        assert inside.mean() == pytest.approx(level, abs=0.06)


def test_landmarks_have_no_posterior(world, halves):
    encoder = GraphGP(steps=0, landmarks=20)
    view = encoder.view(world.graph)
    encoder.fit(view, world.vectors, world.weights.select(halves[0]))
    assert torch.isfinite(encoder._inverse).all()
    with pytest.raises(InvalidInputError, match="landmarks"):
        encoder.uncertainty(view, world.vectors, halves[1])
