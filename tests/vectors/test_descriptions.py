"""Descriptions of classes: read, embedded, joined to the nodes' texts, and used as a kernel."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kgzsl.encoders.graph_gp import GraphGP
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, UnknownNameError
from kgzsl.sources.descriptions import read_descriptions
from kgzsl.vectors import blocks, embed_descriptions, join

TABBY, TIGER_CAT = "wn30:n02123045", "wn30:n02123159"
SAID = {TABBY: ("a grey or brown coat with dark stripes", "green eyes"), TIGER_CAT: ("an orange coat with stripes",)}


def test_a_row_is_the_mean_of_its_unit_vectors_and_others_are_zero(world):
    found = embed_descriptions(world.graph, SAID)
    each = embed_descriptions(world.graph, {TABBY: SAID[TABBY][:1], TIGER_CAT: SAID[TABBY][1:]})
    np.testing.assert_allclose(found.rows([TABBY])[0], each.rows([TABBY, TIGER_CAT]).mean(axis=0), atol=1e-6)
    assert int(found.matrix.any(axis=1).sum()) == 2 and found.meta["described"] == 2


def test_joined_blocks_come_apart_again_also_from_disk(world, tmp_path):
    said = embed_descriptions(world.graph, SAID)
    both = join(world.vectors, said)
    again = type(both).load(both.save(tmp_path / "both.vectors"))
    parts = blocks(again)
    assert list(parts) == ["text", "descriptions"]
    np.testing.assert_allclose(parts["text"], world.vectors.matrix, atol=1e-6)
    assert not parts["descriptions"][~said.matrix.any(axis=1)].any()
    assert list(blocks(world.vectors)) == ["text"]
    with pytest.raises(InvalidInputError, match="joined once"):
        join(both, said)


def test_the_kernel_is_there_exactly_when_the_vectors_have_descriptions(world, halves):
    view, targets = GraphGP().view(world.graph), world.weights.select(halves[0])
    both = join(world.vectors, embed_descriptions(world.graph, SAID))
    with_them, without = GraphGP(steps=1).fit(view, both, targets), GraphGP(steps=1).fit(view, world.vectors, targets)
    assert len(with_them.hyperparameters.log_weights) == len(without.hyperparameters.log_weights) + 1
    with pytest.raises(InvalidInputError, match="descriptions"):
        GraphGP(kernels=["text", "descriptions"]).fit(view, world.vectors, targets)
    with pytest.raises(InvalidInputError, match="descriptions"):
        with_them.encode(view, world.vectors, halves[1])


def test_what_is_said_of_a_class_holds_for_its_kinds(world):
    from kgzsl.encoders.kernels import NodeKernels

    view = GraphGP().view(world.graph)
    parents = view.adjacency[0]
    child = next(i for i in range(len(view.ids)) if parents[i].nnz == 1)
    parent = int(parents[child].indices[0])
    said = np.zeros((len(view.ids), 3), dtype=np.float32)
    said[parent] = [0.0, 3.0, 4.0]
    kernels = NodeKernels(parents, {"text": world.vectors.matrix, "descriptions": said}, np.array([parent]), ("text",))
    from kgzsl.encoders.kernels import _inherit

    np.testing.assert_allclose(_inherit(said / 5, kernels.steps)[child], [0, 0.6, 0.8], atol=1e-6)


@pytest.mark.parametrize("content", ["[]", "{}", '{"n02123045": []}', '{"n02123045": [" "]}', '{"n02123045": "text"}', "not json"])
def test_files_of_another_shape_are_refused(tmp_path, content):
    file = tmp_path / "d.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError):
        read_descriptions(file)


def test_ids_are_curies_and_strangers_are_named(world, tmp_path):
    file = tmp_path / "d.json"
    file.write_text(json.dumps({"n02123045": ["stripes"]}), encoding="utf-8")
    assert read_descriptions(file) == {TABBY: ("stripes",)}
    with pytest.raises(MissingDataError):
        read_descriptions(tmp_path / "absent.json")
    with pytest.raises(UnknownNameError, match="wn30:n00000001"):
        embed_descriptions(world.graph, {"wn30:n00000001": ("nothing",)})
