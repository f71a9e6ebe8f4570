"""Feasibility of pairs against loops over all of them, and what it may know."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers.composition_cases import OBJECTS, STATES, knowledge, small
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from kgzsl.classifiers.compositions import Knowledge
from kgzsl.classifiers.compositions.feasibility import (
    FEASIBILITIES,
    concept_vectors,
    feasibility,
    knowledge_feasibility,
    retrofitted,
    seen_table,
    similarity_feasibility,
)
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.workspace import Workspace


def cosine(left, right):
    return float(left @ right / max(np.linalg.norm(left), 1e-12) / max(np.linalg.norm(right), 1e-12))


def by_loops(states, objects, seen):
    """Mancini et al., equations 5 to 7, as they stand."""
    table = np.ones(seen.shape)
    for s in range(len(states)):
        for o in range(len(objects)):
            if not seen[s, o]:
                with_state = [cosine(objects[o], objects[k]) for k in range(len(objects)) if seen[s, k]]
                with_object = [cosine(states[s], states[k]) for k in range(len(states)) if seen[k, o]]
                table[s, o] = (max(with_state, default=-1.0) + max(with_object, default=-1.0)) / 2
    return table


def rows(count):
    return nps.arrays(np.float32, (count, 4), elements=st.floats(-4, 4, width=16))


@given(data=st.data(), states=st.integers(1, 6), objects=st.integers(1, 6))
def test_similarity_is_that_of_the_equations(data, states, objects):
    seen = data.draw(nps.arrays(bool, (states, objects)))
    given_states, given_objects = data.draw(rows(states)), data.draw(rows(objects))
    found = similarity_feasibility(given_states, given_objects, seen)
    assert found.shape == seen.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, by_loops(given_states, given_objects, seen), atol=1e-5)


@pytest.mark.data
def test_feasibility_of_fashion_is_that_of_loops_and_order_does_not_matter():
    space, _, _ = small()
    states, objects = concept_vectors(space, knowledge())
    found = feasibility("compcos", space, knowledge())
    np.testing.assert_allclose(found, by_loops(states, objects, seen_table(space)), atol=1e-5)
    order = np.random.default_rng(0).permutation(len(space))
    again = type(space)(space.prefix, space.states, space.objects, space.pairs[order], space.seen[order])
    np.testing.assert_array_equal(found, feasibility("compcos", again, knowledge()))
    assert (found[seen_table(space)] == 1).all() and found.max() <= 1 + 1e-6


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(FEASIBILITIES))
def test_pairs_that_exist_are_more_feasible_than_pairs_that_do_not(name):
    """Unseen pairs of the lists against pairs in no list; by chance they would stand as high."""
    space, _, _ = small()
    table = feasibility(name, space, knowledge())
    listed = np.zeros(table.shape, dtype=bool)
    listed[tuple(space.pairs.T)] = True
    assert table.shape == (len(STATES), len(OBJECTS)) and np.isfinite(table).all()
    if name == "compcos":
        assert table[listed & ~seen_table(space)].mean() > table[~listed].mean()


@pytest.mark.data
def test_retrofitting_is_that_of_a_loop_over_nodes_and_leaves_pairs_out():
    work = Workspace()
    graph = work.graph("compositions-fashion-colours")
    known = Knowledge(graph, work.vectors(graph))
    own = known.vectors.rows(graph.ids).astype(np.float64)
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    neighbours = {n: {} for n in range(len(graph))}
    for s, r, o, w in zip(graph.subject, graph.relation, graph.object, graph.weight, strict=True):
        if graph.relations[r].id not in ("has_state", "has_object", "composes") and s != o:
            for here, there in ((s, o), (o, s)):
                neighbours[here][there] = neighbours[here].get(there, 0) + w
    slow = own.copy()
    for _ in range(10):
        before = slow.copy()
        for n, near in neighbours.items():
            if near:
                slow[n] = 0.5 * own[n] + 0.5 * sum(w * before[k] for k, w in near.items()) / sum(near.values())
    found = retrofitted(known)
    np.testing.assert_allclose(found, slow, atol=1e-5)
    alone = np.array([not near for near in neighbours.values()])
    assert alone[[k == "pair" for k in graph.kinds]].all()  # a pair that is listed, unseen ones too, tells nothing
    assert not alone[[k == "state" for k in graph.kinds]].all()
    space, _, _ = small()
    assert not np.allclose(knowledge_feasibility(space, known), knowledge_feasibility(space, knowledge()))


@pytest.mark.data
def test_names_and_shapes_that_do_not_fit_are_refused():
    space, _, _ = small()
    with pytest.raises(UnknownNameError, match="compcos, kg-sp"):
        feasibility("kgsp", space, knowledge())
    with pytest.raises(InvalidInputError, match="seen together"):
        similarity_feasibility(np.ones((2, 3)), np.ones((4, 3)), np.ones((4, 2), dtype=bool))
    stranger = type(space)(space.prefix, ("Plaid",), space.objects, space.pairs[:0], space.seen[:0])
    with pytest.raises(UnknownNameError):
        feasibility("kg-sp", stranger, knowledge())
