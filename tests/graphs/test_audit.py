"""The audit of a split: by hand on a small graph, and on the published splits of ImageNet."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, nearest_seen, undirected
from kgzsl.graphs.audit import ClassRow, SplitAudit, _to_others, audit_split, trivial_scores
from kgzsl.testing.graphs import graph_of

#: thing ← animal ← dog ← {puppy, hound ← beagle}, animal ← cat, thing ← crane, and an island; a child is the subject.
NAMES = ["thing", "animal", "dog", "puppy", "hound", "beagle", "cat, true cat", "crane", "crane, heron", "island"]
EDGES = [(1, 0), (2, 1), (3, 2), (4, 2), (5, 4), (6, 1), (7, 0), (8, 1)]
T = {n.split(", ")[-1] if n != "crane" else "machine": f"t:{i:03d}" for i, n in enumerate(NAMES)}


@pytest.fixture
def small() -> KnowledgeGraph:
    return replace(graph_of(len(NAMES), EDGES), labels=tuple(NAMES))


def rows(audit: SplitAudit) -> dict[str, ClassRow]:
    by_id = {r.id: r for r in audit.rows}
    return {name: by_id[i] for name, i in T.items() if i in by_id}


def test_nesting_and_distances_by_hand(small: KnowledgeGraph) -> None:
    seen = [T["dog"], T["machine"]]
    found = rows(audit_split(small, seen, [T[n] for n in ("thing", "animal", "puppy", "hound", "beagle", "true cat", "heron", "island")]))
    assert {n: r.nesting for n, r in found.items()} == {
        "thing": "parent",  # of the machine, and farther above the dog
        "animal": "parent",
        "puppy": "child",
        "hound": "child",
        "beagle": "descendant",
        "true cat": "",
        "heron": "",
        "island": "",
    }
    assert found["thing"].nested_in == tuple(seen) and found["beagle"].nested_in == (T["dog"],) and found["island"].nested_in == ()
    assert [found[n].hops for n in ("thing", "animal", "beagle", "true cat", "island")] == [1, 1, 2, 2, None]
    assert found["thing"].nearest == (T["machine"],) and found["island"].nearest == ()
    assert found["beagle"].hops_unseen == 1 and found["puppy"].hops_unseen == 2 and found["island"].hops_unseen is None
    deeper = rows(audit_split(small, [T["beagle"]], [T["dog"], T["animal"], T["hound"]]))
    assert [deeper[n].nesting for n in ("hound", "dog", "animal")] == ["parent", "ancestor", "ancestor"]


def test_meanings_frequency_images_and_namesakes(small: KnowledgeGraph) -> None:
    seen, unseen = [T["machine"]], [T["heron"], T["true cat"], T["puppy"]]
    plain = rows(audit_split(small, seen, unseen))
    assert (plain["heron"].senses, plain["heron"].first_sense) == (1, True)  # no other node is a heron
    assert plain["heron"].namesakes == (T["machine"],) and plain["puppy"].namesakes == ()
    assert plain["heron"].rank is None and plain["heron"].images is None and not plain["heron"].usable
    senses = {"crane": (T["machine"], T["heron"]), "heron": ("t:999", T["heron"])}
    audit = audit_split(
        small,
        seen,
        unseen,
        senses=senses,
        ranks={"crane": 5, "heron": 7, "true": 2, "puppy": 900},
        images={T["heron"]: 3, T["puppy"]: 80},
        sources={"frequency": "words"},
        rare_rank=100,
        few_images=50,
    )
    found = rows(audit)
    assert (found["heron"].senses, found["heron"].first_sense, found["heron"].usable) == (2, False, False)
    # "true cat" needs both of its words, and "cat" is not among them
    assert [found[n].rank for n in ("heron", "true cat", "puppy")] == [5, None, 900]
    assert [found[n].images for n in ("heron", "true cat", "puppy")] == [3, 0, 80]
    said = audit.summary()
    assert said["polysemous"] == {"source": "a sense order", "every_lemma_shared": 1, "first_sense_of_none": 1}
    assert said["rare"] == {"source": "words", "rank": 100, "rare": 1, "unknown": 1}
    assert said["few_images"]["classes"] == 2 and said["without_usable_lemma"] == 3 and said["namesakes_of_seen"] == 1


def test_classes_that_are_in_both_lists_or_in_no_graph_are_told(small: KnowledgeGraph) -> None:
    audit = audit_split(small, [T["dog"], "t:900"], [T["puppy"], T["dog"], "t:901"])
    assert (audit.in_both, audit.missing_seen, audit.missing_unseen) == ((T["dog"],), ("t:900",), ("t:901",))
    assert [r.id for r in audit.rows] == [T["puppy"]] and audit.summary()["rare"]["rare"] is None
    with pytest.raises(InvalidInputError, match="0 of 1 seen"):
        audit_split(small, ["t:900"], [T["dog"]])
    with pytest.raises(InvalidInputError, match="0 of 1 unseen"):
        audit_split(small, [T["dog"]], [T["dog"]])
    with pytest.raises(UnknownNameError, match="meronym"):
        audit_split(small, [T["dog"]], [T["puppy"]], relation="meronym")
    with pytest.raises(InvalidInputError, match="the unseen classes must not name"):
        audit_split(small, [T["dog"]], [T["puppy"], T["puppy"]])


def test_the_trivial_solution_scores_and_what_it_cannot_tell_apart(small: KnowledgeGraph) -> None:
    seen = [T["dog"], T["machine"]]
    audit = audit_split(small, seen, [T["puppy"], T["hound"], T["thing"], T["island"]])
    trivial = audit.summary()["trivial_solution"]
    assert (trivial["told_apart"], trivial["largest_group"], trivial["ceiling_hit@1"]) == (2, 2, 0.5)
    scores = trivial_scores(audit.nearest, [T["puppy"], T["thing"], T["island"]], np.array([[0.9, 0.1]]))
    np.testing.assert_allclose(scores, [[0.9, 0.1, 0.0]], rtol=1e-6)
    both = nearest_seen(undirected(small, self_loops=False, norm=None), [T["puppy"], T["hound"]])
    np.testing.assert_allclose(trivial_scores(both, [T["dog"]], np.array([[0.2, 0.6]])), [[0.4]], rtol=1e-6)
    with pytest.raises(InvalidInputError, match="one probability per seen class"):
        trivial_scores(audit.nearest, [T["puppy"]], np.ones((2, 3)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda e: e[0] != e[1]), unique=True, max_size=18),
    st.lists(st.integers(0, 9), min_size=2, max_size=5, unique=True),
)
def test_the_nearest_other_class_equals_networkx(edges: list[tuple[int, int]], places: list[int]) -> None:
    other = nx.Graph(edges)
    other.add_nodes_from(range(10))
    found = _to_others(undirected(graph_of(10, edges), self_loops=False, norm=None), np.asarray(places))
    for place, hops in zip(places, found.tolist(), strict=True):
        lengths = nx.single_source_shortest_path_length(other, place)
        assert hops == min((lengths[p] for p in places if p != place and p in lengths), default=-1)


@pytest.fixture(scope="module")
def hop_sets() -> dict[str, tuple[str, ...]]:
    from kgzsl.datasets import hop_sets, train_ids

    return {"seen": train_ids(), **hop_sets()}


@pytest.mark.data
def test_two_hops_of_imagenet_are_one_hop_away(imagenet: KnowledgeGraph, hop_sets: dict[str, tuple[str, ...]]) -> None:
    said = audit_split(imagenet, hop_sets["seen"], hop_sets["2-hops"]).summary()
    assert said["unseen"] == {"classes": 1_549, "not_in_graph": [], "audited": 1_549}
    assert said["nested"]["direct"] == 1_548 and said["nested"]["child"] == 992 and said["nested"]["parent"] == 556
    assert said["hops"] == {"1": 1_548, "3": 1}
    assert said["seen_and_unseen"] == [] and said["trivial_solution"]["told_apart"] == 771


@pytest.mark.data
def test_three_hops_less_two_hops_are_mostly_two_away(imagenet: KnowledgeGraph, hop_sets: dict[str, tuple[str, ...]]) -> None:
    start = time.perf_counter()
    said = audit_split(imagenet, hop_sets["seen"], hop_sets["3-hops"]).summary()
    assert time.perf_counter() - start < 20
    assert said["hops"]["2"] == 4_429 > (7_860 - 1_549) / 2 and said["hops"]["none"] == 422
    assert said["nested"] == {"classes": 1_947, "direct": 1_548, "child": 992, "parent": 556, "descendant": 221, "ancestor": 178}


@pytest.mark.data
def test_wordnets_senses_and_gloves_words_are_read(imagenet: KnowledgeGraph, hop_sets: dict[str, tuple[str, ...]]) -> None:
    from kgzsl import data
    from kgzsl.sources import sense_order
    from kgzsl.vectors.glove import frequency_ranks

    ranks = frequency_ranks()
    assert ranks["the"] == 0 and ranks["dog"] < 5_000 < 50_000 < ranks["aardwolf"]
    senses = sense_order(Path(data.locate("wordnet-3.0")))
    found = {r.id: r for r in audit_split(imagenet, hop_sets["seen"], hop_sets["2-hops"], senses=senses, ranks=ranks).rows}
    otter = "wn30:n02444819"
    assert senses["otter"][1] == otter  # the first one is its fur
    assert sum(not r.first_sense for r in found.values()) == 170 and sum(not r.usable for r in found.values()) == 504
