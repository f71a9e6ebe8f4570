"""The ensemble: its closed form against a fine search, and what it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kgzsl.encoders import ENCODERS
from kgzsl.encoders.ensemble import Ensemble, simplex_least_squares
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError

GP = {"name": "graph_gp", "settings": {"steps": 2, "kernels": ["text", "laplacian"]}}


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_weights_equal_a_search_over_the_simplex():
    rng = np.random.default_rng(0)
    grid = np.array([a for a in itertools.product(np.arange(101), repeat=3) if sum(a) == 100]) / 100
    for scale in ((1.0, 1.0, 1.0), (1.0, 2.0, 0.5), (1.0, 4.0, 4.0)):  # the last puts all on one member, or nearly
        residuals = rng.normal(size=(3, 5, 4)) * np.array(scale)[:, None, None] + 0.3 * rng.normal(size=(1, 5, 4))
        found = simplex_least_squares(residuals)
        assert found.min() >= 0 and found.sum() == pytest.approx(1.0)
        losses = (np.tensordot(grid, residuals, 1) ** 2).sum(axis=(1, 2))
        assert (np.tensordot(found, residuals, 1) ** 2).sum() <= losses.min() + 1e-9
        assert np.abs(found - grid[losses.argmin()]).max() < 0.02


def test_a_member_without_error_gets_all_the_weight():
    residuals = np.random.default_rng(1).normal(size=(3, 6, 2))
    residuals[1] = 0.0
    np.testing.assert_allclose(simplex_least_squares(residuals), [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(simplex_least_squares(np.zeros((2, 6, 2))).sum(), 1.0)


@pytest.fixture(scope="module")
def fitted(world, halves):
    encoder = Ensemble(members=[GP, "nearest_text"], groups=3)
    view = encoder.view(world.graph)
    return encoder.fit(view, world.vectors, world.weights.select(halves[0])), view


def test_mix_equals_members_fitted_without_each_group(world, halves, fitted):
    encoder, _ = fitted
    seen, residuals = world.weights.select(halves[0]), []
    for held in np.array_split(np.random.default_rng(0).permutation(len(seen)), 3):
        ids, rest = [seen.ids[i] for i in np.sort(held)], seen.select([i for n, i in enumerate(seen.ids) if n not in set(held.tolist())])
        rows = []
        for member in (GP, {"name": "nearest_text", "settings": {}}):
            one = ENCODERS.make(member["name"], member["settings"])
            own = one.view(world.graph)
            rows.append(_unit(one.fit(own, world.vectors, rest).encode(own, world.vectors, ids).matrix))
        residuals.append(_unit(seen.rows(ids)) - np.stack(rows))
    np.testing.assert_allclose(encoder.mix, simplex_least_squares(np.concatenate(residuals, axis=1)), atol=1e-5)


def test_rows_are_the_members_mixed(world, halves, fitted):
    encoder, view = fitted
    found = encoder.encode(view, world.vectors, halves[1]).matrix
    rows = []
    for member in encoder.encoders:
        own = member.view(world.graph)
        rows.append(member.encode(own, world.vectors, halves[1]).matrix)
    np.testing.assert_allclose(_unit(found), _unit(sum(a * _unit(r) for a, r in zip(encoder.mix, rows, strict=True))), atol=1e-5)
    lengths = np.prod([np.linalg.norm(r, axis=1) ** a for a, r in zip(encoder.mix, rows, strict=True)], axis=0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), lengths, rtol=1e-4)


def test_mix_is_at_least_as_near_to_held_out_weights_as_each_member():
    """By construction on the classes that chose it: a weight vector of one member alone is in the simplex."""
    residuals = np.random.default_rng(2).normal(size=(4, 30, 7))
    best = min((residuals**2).sum(axis=(1, 2)))
    assert (np.tensordot(simplex_least_squares(residuals), residuals, 1) ** 2).sum() <= best


def test_members_keep_their_own_views(world):
    encoder = Ensemble(members=[{"name": "dgp", "settings": {"epochs": 1}}, "graph_gp"])
    own = encoder._views(encoder.view(world.graph))
    assert [len(v.adjacency) for v in own] == [10, 1]
    assert [v.name for v in own] == [member.view(world.graph).name for member in encoder.encoders]


def test_rounds_hold_out_some_of_the_groups(world, halves):
    one = Ensemble(members=[GP, "nearest_text"], groups=3, rounds=1)
    view = one.view(world.graph)
    one.fit(view, world.vectors, world.weights.select(halves[0]))
    assert one.mix.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"members": ["graph_gp"]},
        {"members": []},
        {"members": ["graph_gp", "ensemble"]},
        {"members": ["graph_gp", {"nam": "sgcn"}]},
        {"members": ["graph_gp", {"name": "sgcn", "settings": 3}]},
        {"members": ["graph_gp", {"name": "sgcn", "settings": {"epocs": 3}}]},
        {"groups": 1},
        {"rounds": 0},
        {"groups": 3, "rounds": 4},
    ],
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(InvalidInputError):
        Ensemble(**settings)


def test_unknown_member_is_refused():
    with pytest.raises(UnknownNameError, match="gtaph_gp"):
        Ensemble(members=["gtaph_gp", "sgcn"])


def test_the_view_must_be_its_own(world, halves):
    encoder = Ensemble(members=[GP, "nearest_text"])
    other = encoder.encoders[0].view(world.graph)
    with pytest.raises(IncompatibleError, match="view"):
        encoder.fit(other, world.vectors, world.weights.select(halves[0]))


def test_seed_reaches_the_members_that_name_none():
    encoder = Ensemble(members=["graph_gp", {"name": "sgcn", "settings": {"seed": 7}}, "nearest_text"], seed=3)
    assert [getattr(m, "seed", None) for m in encoder.encoders] == [3, 7, None]


def test_too_few_seen_classes_are_refused(world, halves):
    encoder = Ensemble(members=[GP, "nearest_text"], groups=5)
    view = encoder.view(world.graph)
    with pytest.raises(InvalidInputError, match="group"):
        encoder.fit(view, world.vectors, world.weights.select(halves[0][:9]))


def test_a_state_of_other_members_is_refused(fitted):
    encoder, _ = fitted
    with pytest.raises(InvalidInputError, match="members"):
        Ensemble(members=[GP, "nearest_text", "structural_bias"]).load_state(encoder.state())
    assert isinstance(encoder.state()["mix"], np.ndarray)
