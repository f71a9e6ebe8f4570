"""A few dozen real product photographs as a composition set of its own."""

from __future__ import annotations

import numpy as np

from kgzsl.datasets.composition_set import PARTS, CompositionSet, CompositionSpace

#: Colours and articles with enough photographs that every part has some.
STATES, OBJECTS = ("Black", "Blue", "Red", "White"), ("Shirts", "Tops", "Tshirts", "Watches")


def few_photographs(each: int = 6) -> CompositionSet:
    """Return at most `each` photographs of every pair of `STATES` and `OBJECTS` in every part of `czsl/fashion`.

    Raises
    ------
    MissingDataError : the photographs are not on this machine; says where they go.
    """
    from kgzsl.datasets.compositions import read_composition_set

    whole = read_composition_set("fashion")
    names = [(whole.space.states[s], whole.space.objects[o]) for s, o in whole.space.pairs]
    wanted = np.array([s in STATES and o in OBJECTS for s, o in names])
    taken = []
    for part in PARTS:
        rows = whole.rows(part)
        for pair in np.unique(whole.labels[rows]):
            if wanted[pair]:
                taken.append(rows[whole.labels[rows] == pair][:each])
    rows = np.sort(np.concatenate(taken))
    listed = np.unique(whole.labels[rows])
    pairs = np.array([(STATES.index(names[p][0]), OBJECTS.index(names[p][1])) for p in listed], dtype=np.int64)
    labels, parts = np.searchsorted(listed, whole.labels[rows]), whole.parts[rows]
    seen = np.isin(np.arange(len(listed)), labels[parts == 0])
    first = np.flatnonzero(seen)
    candidates = {p: np.union1d(first, labels[parts == k]) if k else first for k, p in enumerate(PARTS)}
    space = CompositionSpace(whole.space.prefix, STATES, OBJECTS, pairs, seen)
    paths = tuple(whole.paths[i] for i in rows)
    return CompositionSet("few-photographs", whole.version, whole.root, space, paths, labels, parts, candidates)
