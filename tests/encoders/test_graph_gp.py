"""graph_gp against slow code written from its equations, on the carnivores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from kgzsl.encoders.graph_gp import GraphGP, mix_hyponyms
from kgzsl.encoders.kernels import ANCESTOR_DECAY, KERNELS, NodeKernels, combine
from kgzsl.encoders.laplacian import LAPLACIAN_EPSILON
from kgzsl.encoders.leave_out import _find_hypernym
from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.ids import positions
from kgzsl.matrices import ClassifierWeights

MIXTURE = tuple(k for k in KERNELS if k != "descriptions")


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def pieces(world, halves):
    view = GraphGP().view(world.graph)
    seen = positions(halves[0], view.ids, "graph")
    return view, seen, NodeKernels(view.adjacency[0], {"text": world.vectors.matrix}, seen, MIXTURE)


def _ancestors(parents: sp.csr_matrix, node: int) -> dict[int, int]:
    """Ancestors and their distances, one breadth-first search per node."""
    distance, frontier = {node: 0}, [node]
    while frontier:
        frontier = [int(p) for n in frontier for p in parents[n].indices if p not in distance]
        step = max(distance.values()) + 1
        distance.update(dict.fromkeys(frontier, step))
    return distance


def test_similarities_equal_loops_over_nodes(world, pieces):
    view, seen, features = pieces
    parents, texts, some = view.adjacency[0], _unit(world.vectors.matrix.astype(np.float64)), np.arange(0, len(view.ids), 7)
    near, above = np.empty_like(texts), np.empty_like(texts)
    reach = [_ancestors(parents, n) for n in range(len(view.ids))]
    for n in range(len(view.ids)):
        around = {n, *parents[n].indices.tolist(), *parents[:, n].tocoo().row.tolist()}
        near[n] = texts[sorted(around)].mean(axis=0)
        above[n] = sum(ANCESTOR_DECAY**d * texts[a] for a, d in reach[n].items())
    size = np.zeros(len(view.ids))
    for found in reach:
        for a in found:
            size[a] += 1
    np.testing.assert_array_equal(features.size, size)
    found = {k: v.numpy() for k, v in features.similarities(some).items()}
    for name, table in (("text", texts), ("neighbour_text", _unit(near)), ("ancestor_text", _unit(above))):
        centred = _unit(table - table[seen].mean(axis=0))
        np.testing.assert_allclose(found[name], centred[some] @ centred[seen].T, atol=2e-5, err_msg=name)

    def overlap(a: int, b: int) -> float:
        return sum(size[x] ** -0.5 for x in reach[a] if x in reach[b])

    expected = [[overlap(a, b) / math.sqrt(overlap(a, a) * overlap(b, b)) for b in seen[:20]] for a in some[:20]]
    np.testing.assert_allclose(found["shared_ancestors"][:20, :20], expected, atol=1e-5)


def test_laplacian_kernel_equals_the_dense_inverse(world, pieces):
    view, seen, features = pieces
    edges = view.adjacency[0].toarray()
    adjacency = ((edges + edges.T) > 0).astype(float)
    roots = 1 / np.sqrt(np.maximum(adjacency.sum(axis=1), 1))
    dense = np.linalg.inv((1 + LAPLACIAN_EPSILON) * np.eye(len(edges)) - roots[:, None] * adjacency * roots)[:, seen]
    rows = np.arange(len(view.ids))
    np.testing.assert_allclose(features.similarities(rows)["laplacian"].numpy(), dense / dense[seen, range(len(seen))].mean(), rtol=1e-4)


def test_prediction_equals_ridge_regression_and_pooling_written_out(world, halves, pieces):
    view, seen, features = pieces
    encoder = GraphGP(steps=6)
    encoder.fit(view, world.vectors, world.weights.select(halves[0]))
    h = encoder.hyperparameters
    weights = _unit(world.weights.rows(halves[0]).astype(np.float64))

    def kernel(rows: np.ndarray) -> np.ndarray:
        s = {k: v.double() for k, v in features.similarities(rows).items()}
        return combine(s, MIXTURE, h.log_weights.double(), h.log_scales.double()).numpy()

    alpha = np.linalg.solve(kernel(seen) + h.ridge * np.eye(len(seen)), weights)
    parents, place = view.adjacency[0], {int(p): i for i, p in enumerate(seen)}
    asked = [view.ids[i] for i in range(0, len(view.ids), 5)]
    for node, row in zip(asked, encoder.encode(view, world.vectors, asked).matrix, strict=True):
        u = view.ids.index(node)
        own = _unit(kernel(np.array([u])) @ alpha)[0]
        below = [weights[place[c]] if c in place else _unit(kernel(np.array([c])) @ alpha)[0] for c in parents[:, u].tocoo().row.tolist()]
        mixed = _unit((1 - h.pooling) * own + h.pooling * _unit(np.mean(below, axis=0))) if below else own
        np.testing.assert_allclose(row, features.size[u] ** h.generality * mixed, atol=2e-4)


def test_influence_is_what_the_regression_is_made_of(world, halves, pieces):
    view, _, _ = pieces
    encoder = GraphGP(steps=2).fit(view, world.vectors, world.weights.select(halves[0]))
    leaves = [i for i in halves[1] if view.adjacency[0][:, view.ids.index(i)].nnz == 0]
    made = _unit(encoder.influence(view, world.vectors, leaves) @ _unit(world.weights.rows(halves[0])))
    np.testing.assert_allclose(made, _unit(encoder.encode(view, world.vectors, leaves).matrix), atol=2e-4)


def test_learning_improves_both_questions(world, halves, pieces):
    """Learned hyper-parameters predict hidden classes better than the starting point, which saw the same data."""
    view, _, _ = pieces
    true = _unit(world.weights.rows(halves[1]))

    def mean_rank(steps: int) -> float:
        encoder = GraphGP(steps=steps).fit(view, world.vectors, world.weights.select(halves[0]))
        scores = _unit(encoder.encode(view, world.vectors, halves[1]).matrix) @ true.T
        return float((scores > np.diag(scores)[:, None]).sum(axis=1).mean())

    assert mean_rank(30) <= mean_rank(0) + 0.1


def test_hypernym_question_equals_a_loop():
    rng = np.random.default_rng(0)
    logits, above = torch.from_numpy(rng.normal(size=(6, 9))), torch.from_numpy(rng.random((6, 9)) < 0.25)
    above[2] = False  # a class without unseen hypernyms asks nothing
    terms = [
        -math.log(sum(math.exp(logits[i, j]) for j in range(9) if above[i, j]) / sum(math.exp(v) for v in logits[i]))
        for i in range(6)
        if above[i].any()
    ]
    assert float(_find_hypernym(logits, above)) == pytest.approx(np.mean(terms))
    assert float(_find_hypernym(logits, torch.zeros_like(above))) == 0.0


def test_mixing_leaves_nodes_without_hyponyms_alone():
    own = torch.nn.functional.normalize(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    pooled = torch.zeros(3, 5)
    pooled[1] = own[0] * 4
    mixed = mix_hyponyms(own, pooled, 1.0)
    torch.testing.assert_close(mixed[[0, 2]], own[[0, 2]])
    torch.testing.assert_close(mixed[1], own[0])


def test_a_cycle_of_hypernyms_ends():
    parents = sp.csr_matrix((np.ones(3, dtype=np.float32), ([0, 1, 2], [1, 2, 0])), shape=(4, 4))
    features = NodeKernels(parents, {"text": np.eye(4, dtype=np.float32)}, np.array([0, 3]), ("shared_ancestors",))
    np.testing.assert_array_equal(features.size, [3, 3, 3, 1])


@pytest.mark.parametrize("kernels", [[], ["text", "text"], ["txt"]])
def test_kernels_must_be_distinct_known_names(kernels):
    with pytest.raises(InvalidInputError, match="kernels"):
        GraphGP(kernels=kernels)


def test_a_node_that_no_kernel_knows_gets_the_mean_of_the_seen_weights(world, halves, pieces):
    """With the Laplacian alone, a node apart from all seen classes has no kernel row."""
    from kgzsl.graphs.views import View

    view, _, _ = pieces
    keep = np.ones(len(view.ids))
    keep[view.ids.index(halves[1][0])] = 0
    cut = View(view.ids, (sp.csr_matrix(sp.diags(keep) @ view.adjacency[0] @ sp.diags(keep)),), view.name, view.graph_digest)
    encoder = GraphGP(kernels=["laplacian"], steps=2).fit(cut, world.vectors, world.weights.select(halves[0]))
    row = encoder.encode(cut, world.vectors, [halves[1][0]]).matrix[0]
    np.testing.assert_allclose(row, _unit(_unit(world.weights.rows(halves[0])).mean(axis=0)), atol=1e-5)


def test_too_few_seen_classes_are_refused(world, halves):
    encoder = GraphGP()
    with pytest.raises(InvalidInputError, match="at least 10"):
        encoder.fit(encoder.view(world.graph), world.vectors, world.weights.select(halves[0][:9]))


def test_several_backbones_equal_fits_of_their_own(world, halves, pieces):
    """Bit for bit; the second backbone here is the first with its weights' columns cut."""
    view, _, _ = pieces
    first = world.weights.select(halves[0])
    second = ClassifierWeights(first.ids, np.hstack([first.matrix[:, 300:900], first.matrix[:, -1:]]), first.meta)
    encoder = GraphGP(steps=4)
    for together, targets in zip(encoder.fit_many(view, world.vectors, [first, second]), (first, second), strict=True):
        alone = GraphGP(steps=4).fit(view, world.vectors, targets)
        assert together.settings() == alone.settings()
        for name, value in alone.state().items():
            np.testing.assert_array_equal(together.state()[name], value, err_msg=name)


def test_one_mixture_of_several_backbones_lies_between_theirs(world, halves, pieces):
    view, _, _ = pieces
    first = world.weights.select(halves[0])
    second = ClassifierWeights(first.ids, np.hstack([first.matrix[:, 300:340], first.matrix[:, -1:]]), first.meta)
    one, other = GraphGP(steps=8).fit_many(view, world.vectors, [first, second], joint=True)
    np.testing.assert_array_equal(one.hyperparameters.log_weights, other.hyperparameters.log_weights)
    same, _ = GraphGP(steps=8).fit_many(view, world.vectors, [first, first], joint=True)
    alone = GraphGP(steps=8).fit(view, world.vectors, first)
    torch.testing.assert_close(same.hyperparameters.log_weights, alone.hyperparameters.log_weights, atol=1e-4, rtol=1e-4)
    assert not torch.equal(one.hyperparameters.log_weights, alone.hyperparameters.log_weights)


def test_backbones_of_other_classes_are_refused(world, halves, pieces):
    view, _, _ = pieces
    some = [world.weights.select(halves[0]), world.weights.select(halves[0][1:])]
    for targets in (some, []):
        with pytest.raises(IncompatibleError, match="same seen classes"):
            GraphGP().fit_many(view, world.vectors, targets)


def test_landmarks_of_all_classes_are_exact_and_fewer_come_near(world, halves, pieces):
    view, _, _ = pieces
    targets, count = world.weights.select(halves[0]), len(halves[0])

    def rows(landmarks: int | None) -> np.ndarray:
        encoder = GraphGP(steps=0, landmarks=landmarks).fit(view, world.vectors, targets)
        return _unit(encoder.encode(view, world.vectors, halves[1]).matrix)

    exact = rows(None)
    np.testing.assert_array_equal(rows(count), exact)
    near, far = ((rows(k) * exact).sum(axis=1).mean() for k in (count * 2 // 3, count // 4))
    assert near > far > 0.5
    true = _unit(world.weights.rows(halves[1]))
    assert (rows(count // 4) * true).sum(axis=1).mean() > (true @ true.T).mean() + 0.05


def test_landmarks_are_the_subset_of_regressors(world, halves, pieces, tmp_path):
    """Written out; saved and loaded too."""
    from kgzsl.encoders import load_encoder

    view, _, _ = pieces
    encoder = GraphGP(steps=2, landmarks=40).fit(view, world.vectors, world.weights.select(halves[0]))
    h, weights = encoder.hyperparameters, _unit(world.weights.rows(halves[0]).astype(np.float64))
    place = positions(encoder._landmarks, view.ids, "graph")
    features = NodeKernels(view.adjacency[0], {"text": world.vectors.matrix}, place, MIXTURE)

    def kernel(ids: tuple[str, ...]) -> np.ndarray:
        s = {k: v.double() for k, v in features.similarities(positions(ids, view.ids, "graph")).items()}
        return combine(s, MIXTURE, h.log_weights.double(), h.log_scales.double()).numpy()

    across = kernel(halves[0]).T
    alpha = np.linalg.solve(across @ across.T + h.ridge * kernel(encoder._landmarks), across @ weights)
    leaves = [i for i in halves[1] if view.adjacency[0][:, view.ids.index(i)].nnz == 0]
    found = encoder.encode(view, world.vectors, leaves).matrix
    np.testing.assert_allclose(_unit(found), _unit(kernel(tuple(leaves)) @ alpha), atol=1e-3)
    again = load_encoder(encoder.save(tmp_path / "encoder"))
    np.testing.assert_array_equal(again.encode(view, world.vectors, leaves).matrix, found)
    assert again.influence(view, world.vectors, leaves[:2]).shape == (2, len(halves[0]))


def test_landmarks_are_enough_to_learn_from():
    with pytest.raises(InvalidInputError, match="landmarks"):
        GraphGP(landmarks=3)
