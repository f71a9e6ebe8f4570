"""Neighbourhoods against a loop over nodes, on random weighted graphs of two edge types."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from kgzsl.encoders import ENCODERS
from kgzsl.encoders.neighbourhoods import Neighbourhood, neighbourhoods

NODES = 9
CPU = torch.device("cpu")
weights = st.dictionaries(
    st.tuples(st.integers(0, 1), st.integers(0, NODES - 1), st.integers(0, NODES - 1)), st.sampled_from([0.25, 0.5, 1.0]), max_size=40
)


def _matrices(entries: dict) -> list[sparse.csr_matrix]:
    dense = np.zeros((2, NODES, NODES), dtype=np.float32)
    for (kind, row, column), weight in entries.items():
        dense[kind, row, column] = weight
    return [sparse.csr_matrix(d) for d in dense]


def _slow(matrices, node: int, count: int | None) -> list[tuple[int, int]]:
    """`(neighbour, type)` of one node: largest weight first, then the first node, then the first type."""
    found = []
    for kind, matrix in enumerate(matrices):
        for other, weight in enumerate(matrix.toarray()[node]):
            if weight and other != node:
                found.append((-weight, other, kind))
    return [(other, kind) for _, other, kind in sorted(found)][:count]


def _as_pairs(layer: Neighbourhood, columns: np.ndarray) -> list[list[tuple[int, int]]]:
    rows: list[list[tuple[int, int]]] = [[] for _ in layer.own]
    for target, source, kind in zip(layer.target.tolist(), layer.source.tolist(), layer.relation.tolist(), strict=True):
        rows[target].append((int(columns[source]), kind))
    return rows


@settings(max_examples=60, deadline=None)
@given(weights, st.lists(st.integers(0, NODES - 1), min_size=1, max_size=5), st.sampled_from([None, 1, 2, 4]), st.sampled_from([None, 3]))
def test_equals_a_loop_over_nodes(entries, nodes, inner, outer):
    matrices = _matrices(entries)
    field = neighbourhoods(matrices, [inner, outer], np.array(nodes), CPU)
    last = [_slow(matrices, v, outer) for v in nodes]
    middle = sorted({*nodes, *(u for near in last for u, _ in near)})
    first = [_slow(matrices, v, inner) for v in middle]
    inputs = sorted({*middle, *(u for near in first for u, _ in near)})
    assert field.inputs.tolist() == inputs and field.sizes() == [len(inputs), len(middle), len(nodes)]
    assert _as_pairs(field.layers[1], np.array(middle)) == last
    assert _as_pairs(field.layers[0], np.array(inputs)) == first
    for layer, rows, columns, near in ((field.layers[0], middle, inputs, first), (field.layers[1], nodes, middle, last)):
        assert [columns[i] for i in layer.own.tolist()] == list(rows)
        mean, weighted = layer.mean.matrix.to_dense().numpy(), layer.weighted.matrix.to_dense().numpy()
        seen = []
        for block in layer.blocks:
            widest = block.mask.sum(dim=1).max()
            assert block.index.shape[1] == widest and (block.mask.sum(dim=1) * 2 >= widest).all()
            for row, index, mask in zip(block.rows.tolist(), block.index.tolist(), block.mask.tolist(), strict=True):
                seen.append(row)
                places = [columns[i] for i in index]
                wanted = [rows[row], *(u for u, _ in near[row])]
                assert places[: len(wanted)] == wanted
                assert mask == [True] * len(wanted) + [False] * (len(index) - len(wanted))
                assert set(places[len(wanted) :]) <= {rows[row]}
        assert sorted(seen) == list(range(len(rows)))
        for row, v in enumerate(rows):
            expected, loaded = np.zeros(len(columns)), np.zeros(len(columns))
            for u in [v, *(u for u, _ in near[row])]:
                expected[columns.index(u)] += 1 / (len(near[row]) + 1)
            loaded[columns.index(v)] = sum(m[v, v] for m in matrices)
            for u, kind in near[row]:
                loaded[columns.index(u)] += matrices[kind][v, u]
            np.testing.assert_allclose(mean[row], expected, atol=1e-6)
            np.testing.assert_allclose(weighted[row], loaded, atol=1e-6)


def test_keys_depend_on_node_neighbour_and_seed_only():
    matrix = sparse.csr_matrix(np.ones((NODES, NODES), dtype=np.float32))
    alone = neighbourhoods([matrix], [None], np.array([4]), CPU).layers[0].blocks[0]
    among = neighbourhoods([matrix], [None], np.array([7, 4, 1]), CPU).layers[0].blocks[0]
    assert torch.equal(alone.keys[0], among.keys[1])
    assert len(set(among.keys.flatten().tolist())) == 3 * NODES
    other = neighbourhoods([matrix], [None], np.array([4]), CPU, seed=1).layers[0].blocks[0]
    assert not torch.equal(alone.keys, other.keys)


def test_padding_is_made_only_where_asked_for():
    matrix = sparse.csr_matrix(np.ones((NODES, NODES), dtype=np.float32))
    assert neighbourhoods([matrix], [None], np.array([4]), CPU, padded=False).layers[0].blocks == ()


@pytest.mark.parametrize("training", [False, True])
def test_a_shuffle_keeps_the_places_and_leaves_padding_at_the_end(training, world):
    encoder = ENCODERS.make("lstm", {"hidden": [4], "device": "cpu"})
    view = encoder.view(world.graph)
    layer = encoder.build(8, 5).layers[0].train(training)
    moved = 0
    for block in encoder.field(view, view.ids).layers[0].blocks:
        shuffled = layer.shuffled(block)
        for before, after, mask in zip(block.index.tolist(), shuffled.tolist(), block.mask.tolist(), strict=True):
            k = sum(mask)
            assert sorted(after[:k]) == sorted(before[:k]) and after[k:] == before[k:]
            moved += after[:k] != before[:k]
        assert torch.equal(shuffled, layer.shuffled(block)) is not training or block.index.shape[1] < 4
    assert moved > len(view.ids) / 4
