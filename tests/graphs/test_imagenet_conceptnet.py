"""The ImageNet graph joined to CN-100K by lemmas: nothing of WordNet's is lost, and classes share what people say of them."""

from __future__ import annotations

import numpy as np
import pytest

from kgzsl.graphs.compile import compile_graph

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def graph():
    return compile_graph("imagenet-conceptnet")


def test_all_of_the_imagenet_graph_is_in(graph):
    plain = compile_graph("imagenet")
    assert set(plain.ids) <= set(graph.ids)
    pairs = {
        name: {(g.ids[s], g.ids[o]) for s, o in zip(*g.edges_of("hypernym")[:2], strict=True)}
        for name, g in (("plain", plain), ("cn", graph))
    }
    assert pairs["plain"] <= pairs["cn"]
    # WordNet's hypernyms between nodes that came in and others are in, too
    assert all(child not in plain or parent not in plain for child, parent in pairs["cn"] - pairs["plain"])
    label_of = dict(zip(graph.ids, graph.texts, strict=True))
    assert all(label_of[i] == text for i, text in zip(plain.ids, plain.texts, strict=True))


def test_a_concept_with_a_lemma_is_the_synset(graph):
    assert "cn:dog" not in graph and "cn:refrigerator" not in graph
    said = graph.neighbours("wn30:n04070727")  # refrigerator, icebox
    assert sum(way == "in" and relation == "at_location" for way, relation, _ in said) > 20
    assert any(i.startswith("cn:") for i in graph.ids)  # what is no noun: "play on ice"


def test_classes_have_statements(graph):
    from kgzsl.datasets import train_ids

    place = np.zeros(len(graph.ids), dtype=bool)
    place[graph.positions(train_ids())] = True
    names = [r.id for r in graph.relations]
    said = np.isin(graph.relation, [names.index(r) for r in ("at_location", "used_for", "capable_of", "has_property", "part_meronym")])
    covered = np.zeros(len(graph.ids), dtype=bool)
    for end in (graph.subject, graph.object):
        covered[end[said]] = True
    assert (covered & place).sum() == 345
