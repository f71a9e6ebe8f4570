"""Which of all states × objects may exist: feasibility of unseen pairs, `[states, objects]`, from similarity or from a graph.

`compcos` (Mancini et al., CVPR 2021, section 3.3): an unseen pair (s, o) is as feasible as its object resembles an object that was
seen with s, and its state a state that was seen with o,

    ρ(s, o) = ½ (max {cos(o, ô) : (s, ô) seen} + max {cos(s, ŝ) : (ŝ, o) seen}),

−1 standing for a maximum over nothing; seen pairs have 1.

`kg-sp` (Karthik et al., CVPR 2022, section 3.3) asks outside knowledge instead of the training pairs: ρ(s, o) is the cosine of the
ConceptNet vectors (Numberbatch) of the state and the object. Numberbatch is made by retrofitting word vectors to ConceptNet's edges
(Speer, Chin and Havasi, AAAI 2017, section 3.2; Faruqui et al., NAACL 2015, eq. 1): here the graph's own vectors are retrofitted to the
graph's own outside edges, so any graph that has some will do. Pairs and the edges they bring are left out: in the closed world
they tell which unseen pairs there are.

Either is one table, whatever pairs are asked for: C-GQA's 413 × 674 values are 1.1 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs.composed import PAIR_RELATIONS
from kgzsl.sources.compositions import concept_ids

if TYPE_CHECKING:
    from kgzsl.classifiers.compositions.base import Knowledge
    from kgzsl.datasets.composition_set import CompositionSpace

#: Sweeps of retrofitting; ten bring the vectors to within 1e-2 of the fixed point (Faruqui et al., section 2).
SWEEPS = 10


def seen_table(space: CompositionSpace) -> np.ndarray:
    """Return which state was seen with which object, bool `[states, objects]`."""
    table = np.zeros((len(space.states), len(space.objects)), dtype=bool)
    table[tuple(space.pairs[space.seen].T)] = True
    return table


def concept_vectors(space: CompositionSpace, knowledge: Knowledge) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of states and of objects at length 1, float32 `[states, dim]` and `[objects, dim]`.

    A row of zeros (a word without a vector, where the policy is `zero`) stays.

    Raises
    ------
    UnknownNameError : a state or an object has no vector.
    """
    kinds = (("state", space.states), ("object", space.objects))
    states, objects = (_unit(knowledge.vectors.rows(concept_ids(space.prefix, kind, names))) for kind, names in kinds)
    return states, objects


def similarity_feasibility(states: np.ndarray, objects: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return CompCos's ρ of all pairs, float32 `[states, objects]`.

    Parameters
    ----------
    states, objects : their vectors, `[states, dim]` and `[objects, dim]`; of any length but 0.
    seen : which state was seen with which object, bool `[states, objects]`.
    """
    if seen.shape != (len(states), len(objects)):
        raise InvalidInputError("seen says of every state and object whether they were seen together", received=seen.shape)
    with_state = _best(_cosines(objects), seen).T  # [states, objects]: how near an object is to the state's own objects
    with_object = _best(_cosines(states), seen.T)
    return np.where(seen, np.float32(1), (with_state + with_object) / 2)


def _best(cosines: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return max {cosines[i, j] : seen[k, j]} for all i and k, −1 where k has none, `[items, groups]`."""
    best = np.full((len(cosines), len(seen)), -1, dtype=np.float32)
    group, member = np.nonzero(seen)  # sorted by group
    if len(group):
        groups, starts = np.unique(group, return_index=True)
        best[:, groups] = np.maximum.reduceat(cosines[:, member], starts, axis=1)
    return best


def knowledge_feasibility(space: CompositionSpace, knowledge: Knowledge) -> np.ndarray:
    """Return KG-SP's ρ of all pairs from vectors retrofitted to the outside edges, float32 `[states, objects]`; seen pairs have 1.

    Without any outside edge it is the cosine of the words' own vectors.
    """
    kinds = (("state", space.states), ("object", space.objects))
    vectors = retrofitted(knowledge)
    rows = [knowledge.graph.positions(concept_ids(space.prefix, kind, names)) for kind, names in kinds]
    states, objects = (_unit(vectors[r]) for r in rows)
    return np.where(seen_table(space), np.float32(1), states @ objects.T)


def retrofitted(knowledge: Knowledge, sweeps: int = SWEEPS) -> np.ndarray:
    """Return vectors of all nodes drawn towards their neighbours over outside edges, float32 `[nodes, dim]`.

    A node's vector is the mean of its own one and its neighbours' mean, both weighing ½ (Faruqui et al., eq. 1, α = 1 and β = 1 / degree).
    All nodes move at once, so their order does not matter.
    """
    graph = knowledge.graph
    own = _unit(knowledge.vectors.rows(graph.ids))
    outside = ~np.isin(graph.relation, [n for n, r in enumerate(graph.relations) if r.id in PAIR_RELATIONS])
    outside &= graph.subject != graph.object
    ends = graph.subject[outside], graph.object[outside]
    n = len(graph)
    one_way = sp.csr_matrix((graph.weight[outside].astype(np.float64), ends), shape=(n, n))
    both = sp.csr_matrix(one_way + one_way.T)
    degree = np.asarray(both.sum(axis=1)).ravel()
    pull = sp.diags(np.divide(0.5, degree, out=np.zeros(n), where=degree > 0)) @ both
    keep = np.where(degree > 0, 0.5, 1.0)[:, None]
    vectors = own.astype(np.float64)
    for _ in range(sweeps):
        vectors = keep * own + pull @ vectors
    return vectors.astype(np.float32)


def _similarity(space: CompositionSpace, knowledge: Knowledge) -> np.ndarray:
    return similarity_feasibility(*concept_vectors(space, knowledge), seen_table(space))


#: By name: the feasibility of all pairs before anything is learned.
FEASIBILITIES: dict[str, Callable[[CompositionSpace, Knowledge], np.ndarray]] = {
    "compcos": _similarity,
    "kg-sp": knowledge_feasibility,
}


def feasibility(name: str, space: CompositionSpace, knowledge: Knowledge) -> np.ndarray:
    """Return the feasibility called `name` of all pairs, float32 `[states, objects]`; that of listed pairs is `table[*pairs.T]`.

    Raises
    ------
    UnknownNameError : no such name, or a state or an object that is no node of the graph.
    """
    if name not in FEASIBILITIES:
        raise UnknownNameError(
            "a known feasibility is needed", received=repr(name), remedy=f"choose from: {', '.join(sorted(FEASIBILITIES))}"
        )
    return FEASIBILITIES[name](space, knowledge)


def _cosines(rows: np.ndarray) -> np.ndarray:
    unit = _unit(rows)
    return np.asarray(unit @ unit.T, dtype=np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)
