"""The behaviour that every encoder must show; one subclass per registered encoder in test_encoders.py."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pytest
from encoders.golden import FILE, cosines, shortened
from scipy import sparse

from kgzsl.encoders import ENCODERS, Encoder, load_encoder
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.graphs.views import View


class EncoderCase:
    """Behaviour, not only shape, on a small real graph."""

    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    tolerance: ClassVar[float] = 2e-5

    @classmethod
    def make(cls, **more: Any) -> Encoder:
        return ENCODERS.make(cls.name, {**cls.settings, **more})

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, world, halves):
        encoder = cls.make()
        view = encoder.view(world.graph)
        encoder.fit(view, world.vectors, world.weights.select(halves[0]))
        return encoder, view

    def test_rows_carry_the_ids_asked_for(self, fitted, world, halves):
        encoder, view = fitted
        embeddings = encoder.encode(view, world.vectors, halves[1])
        assert embeddings.ids == tuple(halves[1])
        assert embeddings.matrix.shape == (len(halves[1]), world.weights.dim)
        assert embeddings.meta["encoder"] == self.name
        assert embeddings.meta["graph"] == world.graph.digest

    def test_subset_equals_the_full_forward(self, fitted, world, halves):
        encoder, view = fitted
        everything = encoder.encode(view, world.vectors, view.ids)
        some = list(halves[1])[::3]
        np.testing.assert_allclose(encoder.encode(view, world.vectors, some).matrix, everything.rows(some), atol=self.tolerance)

    def test_every_node_is_finite_also_without_edges(self, fitted, world):
        encoder, view = fitted
        bare = View(view.ids, tuple(_isolate(m, 0) for m in view.adjacency), view.name, view.graph_digest)
        assert np.isfinite(encoder.encode(bare, world.vectors, view.ids).matrix).all()

    def test_order_of_nodes_does_not_matter(self, fitted, world, halves):
        encoder, view = fitted
        forth = encoder.encode(view, world.vectors, halves[1]).matrix
        back = encoder.encode(view, world.vectors, halves[1][::-1]).matrix[::-1]
        np.testing.assert_allclose(forth, back, atol=self.tolerance)

    def test_unsorted_sparse_layout_is_the_same(self, fitted, world, halves):
        encoder, view = fitted
        shuffled = View(view.ids, tuple(_shuffle_within_rows(m) for m in view.adjacency), view.name, view.graph_digest)
        np.testing.assert_allclose(
            encoder.encode(shuffled, world.vectors, halves[1]).matrix,
            encoder.encode(view, world.vectors, halves[1]).matrix,
            atol=self.tolerance,
        )

    def test_same_seed_same_bits(self, fitted, world, halves):
        encoder, view = fitted
        again = self.make().fit(view, world.vectors, world.weights.select(halves[0]))
        for name, value in encoder.state().items():
            np.testing.assert_array_equal(again.state()[name], value)

    def test_saved_and_loaded_is_the_same(self, fitted, world, halves, tmp_path):
        encoder, view = fitted
        again = load_encoder(encoder.save(tmp_path / "encoder"))
        assert again.settings() == encoder.settings()
        np.testing.assert_array_equal(
            again.encode(view, world.vectors, halves[1]).matrix, encoder.encode(view, world.vectors, halves[1]).matrix
        )

    def test_predicts_better_than_another_class(self, fitted, world, halves):
        """The predicted weight of a hidden class is closer to its own true weight than to others', on average."""
        encoder, view = fitted
        predicted = encoder.encode(view, world.vectors, halves[1]).matrix
        true = world.weights.rows(halves[1])
        cosines = (predicted / np.linalg.norm(predicted, axis=1, keepdims=True)) @ (true / np.linalg.norm(true, axis=1, keepdims=True)).T
        assert np.diag(cosines).mean() > cosines.mean() + 0.05

    def test_hidden_weights_decide_nothing(self, fitted, world, halves):
        """Poisoned weights of unseen classes leave what was learned bit-identical."""
        encoder, view = fitted
        poisoned = np.array(world.weights.matrix)
        where = [world.weights.ids.index(i) for i in halves[1]]
        poisoned[where] = 1e6
        targets = type(world.weights)(world.weights.ids, poisoned, world.weights.meta).select(halves[0])
        again = self.make().fit(view, world.vectors, targets)
        for name, value in encoder.state().items():
            np.testing.assert_array_equal(again.state()[name], value)

    def test_refuses_vectors_of_another_graph(self, fitted, world, halves):
        encoder, view = fitted
        fewer = world.vectors.select(world.vectors.ids[1:])
        with pytest.raises(IncompatibleError, match="vector"):
            encoder.encode(view, fewer, halves[1])

    def test_refuses_unknown_nodes(self, fitted, world):
        encoder, view = fitted
        with pytest.raises(UnknownNameError, match="n00000001"):
            encoder.encode(view, world.vectors, ["wn30:n00000001"])

    def test_encode_before_fit_says_so(self, world, halves):
        encoder = self.make()
        with pytest.raises(InvalidInputError, match="fit"):
            encoder.encode(encoder.view(world.graph), world.vectors, halves[1])

    def test_golden_values(self):
        found = cosines(self.make(**shortened(self.settings)))
        np.testing.assert_allclose(found, json.loads(FILE.read_text())[self.name], atol=1e-3)

    def test_unknown_setting_is_refused(self):
        with pytest.raises(InvalidInputError, match="epocs"):
            self.make(epocs=3)


def _isolate(matrix: sparse.csr_matrix, node: int) -> sparse.csr_matrix:
    """Take all edges (and self loops) of one node away."""
    keep = np.ones(matrix.shape[0])
    keep[node] = 0
    cut = sparse.diags(keep) @ matrix @ sparse.diags(keep)
    return sparse.csr_matrix(cut, dtype=np.float32)


def _shuffle_within_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Reverse the stored order within every row: the same matrix in another layout."""
    other = matrix.copy()
    for start, stop in zip(other.indptr[:-1], other.indptr[1:], strict=True):
        other.indices[start:stop] = other.indices[start:stop][::-1].copy()
        other.data[start:stop] = other.data[start:stop][::-1].copy()
    other.has_sorted_indices = False
    return other
