"""What a recipe's `edges` and `select` do to hand-written statements."""

from __future__ import annotations

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.graphs.compile import _only
from kgzsl.sources import Relation
from tests.graphs.tables import compiled, edges, statements, triples

CHAIN = [("t:a", "hypernym", "t:b"), ("t:b", "hypernym", "t:c"), ("t:c", "hypernym", "t:d"), ("t:x", "related", "t:b")]


def test_relations_are_kept_or_dropped_and_counted() -> None:
    graph = compiled(statements("one", CHAIN), edges={"relations": ["related"]})
    assert triples(graph) == {("t:x", "related", "t:b")}
    assert [r.id for r in graph.relations] == ["related"]
    assert graph.manifest["dropped"]["compile"] == {"edge of a relation not kept": 3}
    assert len(graph) == 5


def test_a_missing_relation_is_named_with_the_choices() -> None:
    for key in ("relations", "direction"):
        with pytest.raises(InvalidInputError, match=r"received: part_meronym(.|\n)*choose from: hypernym, related"):
            compiled(statements("one", CHAIN), edges={key: {"part_meronym": "both"} if key == "direction" else ["part_meronym"]})


def test_disjointness_may_be_left_out() -> None:
    source = statements("one", [("t:a", "disjoint", "t:b"), ("t:a", "hypernym", "t:c")])
    assert triples(compiled(source, edges={"disjointness": "drop"})) == {("t:a", "hypernym", "t:c")}
    assert len(triples(compiled(source, edges={"disjointness": "keep"}))) == 2


def test_directions() -> None:
    source = statements("one", CHAIN[:1])
    assert triples(compiled(source, edges={"direction": {"hypernym": "reverse"}})) == {("t:b", "hyponym", "t:a")}
    both = compiled(source, edges={"direction": {"hypernym": "both"}})
    assert triples(both) == {("t:a", "hypernym", "t:b"), ("t:b", "hyponym", "t:a")}
    assert {r.id: r.inverse for r in both.relations} == {"hypernym": "hyponym", "hyponym": "hypernym"}
    with pytest.raises(InvalidInputError, match="has an inverse"):
        compiled(statements("one", [("t:a", "eats", "t:b")], eats=Relation("eats", "eats")), edges={"direction": {"eats": "both"}})


def test_inverses_are_merged_into_the_relation_of_the_vocabulary() -> None:
    narrower = Relation("hyponym", "has kind", inverse="hypernym")
    source = statements("one", [("t:b", "hyponym", "t:a"), ("t:a", "hypernym", "t:b"), ("t:c", "hyponym", "t:b")], hyponym=narrower)
    merged = compiled(source, edges={"inverses": "merge"})
    assert triples(merged) == {("t:a", "hypernym", "t:b"), ("t:b", "hypernym", "t:c")}
    assert merged.manifest["dropped"]["compile"] == {"edge stated twice": 1}
    assert len(triples(compiled(source))) == 3


def test_symmetric_relations_once_or_both_ways() -> None:
    source = statements("one", [("t:b", "related", "t:a"), ("t:a", "related", "t:b"), ("t:c", "related", "t:a")])
    assert triples(compiled(source, edges={"symmetric": "once"})) == {("t:a", "related", "t:b"), ("t:a", "related", "t:c")}
    assert len(triples(compiled(source, edges={"symmetric": "both"}))) == 4
    assert triples(compiled(source)) == {("t:b", "related", "t:a"), ("t:a", "related", "t:b"), ("t:c", "related", "t:a")}


def test_self_loops() -> None:
    source = statements("one", [("t:a", "related", "t:a"), ("t:a", "related", "t:b")])
    assert triples(compiled(source)) == {("t:a", "related", "t:b")}
    assert ("t:a", "related", "t:a") in triples(compiled(source, edges={"self_loops": "keep"}))


@pytest.mark.parametrize(("duplicates", "weight"), [("max", 3.0), ("min", 0.5), ("sum", 4.5), ("mean", 1.5)])
def test_weights_of_duplicates(duplicates: str, weight: float) -> None:
    one = statements("one", [("t:a", "related", "t:b", 0.5), ("t:a", "related", "t:b", 1.0)])
    two = statements("two", [("t:a", "related", "t:b", 3.0)])
    graph = compiled(one, two, edges={"duplicates": duplicates})
    assert edges(graph) == {("t:a", "related", "t:b", weight)}
    assert graph.edge_source.tolist() == [1 if duplicates == "max" else 0]
    assert graph.manifest["dropped"]["compile"] == {"edge stated twice": 2}


def test_light_edges_and_unit_weights() -> None:
    source = statements("one", [("t:a", "related", "t:b", 0.5), ("t:a", "related", "t:c", 2.0)])
    graph = compiled(source, edges={"minimum_weight": 1.0})
    assert edges(graph) == {("t:a", "related", "t:c", 2.0)}
    assert graph.manifest["dropped"]["compile"] == {"edge below the minimum weight": 1}
    assert {e[3] for e in edges(compiled(source, edges={"weights": "one"}))} == {1.0}


@pytest.mark.parametrize("weight", [-1.0, 0.0, float("nan"), float("inf")])
def test_impossible_weights_are_refused(weight: float) -> None:
    with pytest.raises(SourceError, match=r"one: 1 are not; the first is .* of t:a related t:b"):
        compiled(statements("one", [("t:a", "related", "t:b", weight)]))


def test_an_id_twice_in_a_source_is_refused() -> None:
    import pyarrow as pa

    from kgzsl.graphs.join import check_sources

    source = statements("one", CHAIN)
    object.__setattr__(source, "ids", pa.array(["t:a", "t:b", "t:a", "t:d", "t:x"]))
    with pytest.raises(SourceError, match="1 twice: t:a"):
        check_sources([source])


def test_hops_go_both_ways_along_the_relations_named() -> None:
    source = statements("one", CHAIN)
    near = {"classes": [{"ids": ["t:b"]}], "hops": 1}
    assert set(compiled(source, select=near).ids) == {"t:a", "t:b", "t:c", "t:x"}
    assert set(compiled(source, select={**near, "along": ["hypernym"]}).ids) == {"t:a", "t:b", "t:c"}
    assert set(compiled(source, select={**near, "hops": 2}).ids) == {"t:a", "t:b", "t:c", "t:d", "t:x"}


def test_degrees_are_capped_by_weight_then_id() -> None:
    star = statements("one", [("t:hub", "related", f"t:{k}", w) for k, w in (("a", 1), ("b", 3), ("c", 1), ("d", 2))])
    graph = compiled(star, select={"degree_cap": 3})
    assert triples(graph) == {("t:hub", "related", f"t:{k}") for k in "abd"}
    assert set(compiled(star, select={"degree_cap": 3, "orphans": "drop"}).ids) == {"t:hub", "t:a", "t:b", "t:d"}
    rng = np.random.default_rng(0)
    many = statements("many", [(f"t:{a}", "related", f"t:{b}", float(w)) for a, b, w in rng.integers(1, 30, (400, 3))])
    capped = compiled(many, select={"degree_cap": 4})
    degree = np.bincount(capped.subject, minlength=len(capped)) + np.bincount(capped.object, minlength=len(capped))
    assert degree.max() == 4


def test_top_neighbours_by_walks() -> None:
    """A hub and its leaves: every leaf has the hub as its only neighbour, so each edge is to a top neighbour of one end."""
    star = statements("one", [("t:hub", "related", f"t:{i:02}") for i in range(12)])
    assert len(triples(compiled(star, select={"neighbours": {"top": 1}}))) == 12
    # a clique of twelve, where one neighbour each stays: at most twelve edges, every node with at least one
    clique = statements("one", [(f"t:{a:02}", "related", f"t:{b:02}") for a in range(12) for b in range(a)])
    kept = compiled(clique, select={"neighbours": {"top": 1, "seed": 3}})
    assert 6 <= len(kept.subject) <= 12
    assert len(set(kept.subject.tolist()) | set(kept.object.tolist())) == 12
    assert compiled(clique, select={"neighbours": {"top": 1, "seed": 3}}).digest == kept.digest
    assert kept.manifest["dropped"]["compile"] == {"edge not to one of the top 1 neighbours": 66 - len(kept.subject)}


def test_relations_of_one_source() -> None:
    source = statements("one", CHAIN)
    only = _only(source, {"keep": ["hypernym"], "rename": {"hypernym": "part_meronym"}})
    assert triples(compiled(only)) == {(a, "part_meronym", b) for a, _, b in CHAIN[:3]}
    assert only.dropped == {"edge of a relation not kept": 1}
    merged = _only(source, {"rename": {"related": "hypernym"}})
    assert {t[1] for t in triples(compiled(merged))} == {"hypernym"}
    with pytest.raises(InvalidInputError, match=r"one: near(.|\n)*choose from: hypernym, related"):
        _only(source, {"drop": ["near"]})


def test_of_two_labels_of_a_relation_the_first_stands() -> None:
    one = statements("one", [("t:a", "eats", "t:b")], eats=Relation("eats", "eats"))
    two = statements("two", [("t:a", "eats", "t:b")], eats=Relation("eats", "feeds on"))
    assert [r.label for r in compiled(one, two).relations] == ["eats"]
    assert [r.label for r in compiled(two, one).relations] == ["feeds on"]


def test_prefixes_that_disagree_are_refused() -> None:
    one, two = statements("one", CHAIN), statements("two", CHAIN)
    object.__setattr__(one, "prefixes", {"t": "http://one#"})
    assert compiled(one, two).manifest["prefixes"]["t"] == "http://one#"
    object.__setattr__(two, "prefixes", {"t": "http://two#"})
    with pytest.raises(SourceError, match=r"t: is http://one# and, in two, http://two#"):
        compiled(one, two)


def test_cyclic_hypernyms_are_an_error_that_shows_one() -> None:
    source = statements("one", [*CHAIN, ("t:c", "hypernym", "t:a"), ("t:y", "hypernym", "t:a")])
    with pytest.raises(SourceError, match=r"3 are; a cycle: t:a → t:b → t:c → t:a(.|\n)*cycles: keep"):
        compiled(source)
    assert len(triples(compiled(source, edges={"cycles": "keep"}))) == 6
