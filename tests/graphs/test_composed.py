"""Pairs on top of a graph: any list of them, in any order, weighted; and fashion's links to outside knowledge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.graphs import link
from kgzsl.graphs.composed import composed
from kgzsl.graphs.recipe import SHIPPED
from kgzsl.sources.class_links import read_link_rows
from kgzsl.workspace import Workspace

pytestmark = pytest.mark.data
STATES, OBJECTS = ("Black", "Navy Blue"), ("Shirts", "Watches")
PAIRS = np.array([[0, 0], [0, 1], [1, 0]])


def graph_of(recipe: str):
    try:
        return Workspace().graph(recipe)
    except MissingDataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def fashion():
    return graph_of("compositions-fashion")


def test_exactly_the_given_pairs_are_nodes(fashion):
    made = composed(fashion, "fashion", STATES, OBJECTS, PAIRS, np.array([1, 0.5, 0], dtype=np.float32))
    assert [i for i, kind in zip(made.ids, made.kinds, strict=True) if kind == "pair"] == [
        "fashion:pair/Black/Shirts",
        "fashion:pair/Black/Watches",
        "fashion:pair/Navy_Blue/Shirts",
    ]
    assert made.labels[made.ids.index("fashion:pair/Navy_Blue/Shirts")] == "Navy Blue Shirts"
    near = {(way, relation, node) for way, relation, node in made.neighbours("fashion:pair/Black/Watches")}
    assert near == {("out", "has_state", "fashion:state/Black"), ("out", "has_object", "fashion:object/Watches")}
    assert made.neighbours("fashion:pair/Navy_Blue/Shirts") == []  # a pair of weight 0
    subject, _, weight = made.edges_of("composes")
    assert len(subject) == 2 and sorted(weight.tolist()) == [0.5, 1.0]


def test_the_same_pairs_as_the_recipe_give_the_same_graph(fashion):
    names = [[i.rpartition("/")[2] for i, k in zip(fashion.ids, fashion.kinds, strict=True) if k == kind] for kind in ("state", "object")]
    ends = [i.split("/")[1:] for i, k in zip(fashion.ids, fashion.kinds, strict=True) if k == "pair"]
    pairs = np.array([[names[0].index(s), names[1].index(o)] for s, o in ends])
    for order in (np.arange(len(pairs)), np.random.default_rng(0).permutation(len(pairs))):
        assert composed(fashion, "fashion", *names, pairs[order]).digest == fashion.digest


def test_outside_edges_stay():
    graph = graph_of("compositions-fashion-colours")
    made = composed(graph, "fashion", STATES, OBJECTS, PAIRS)
    assert len(made.edges_of("hypernym")[0]) == len(graph.edges_of("hypernym")[0])
    assert ("out", "hypernym", "va:blue") in made.neighbours("fashion:state/Navy_Blue")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"pairs": PAIRS[:, :1]}, InvalidInputError, r"\[pairs, 2\]"),
        ({"pairs": PAIRS[:0]}, InvalidInputError, "at least one"),
        ({"pairs": PAIRS + 1}, InvalidInputError, "by position"),
        ({"pairs": PAIRS[[0, 0]]}, InvalidInputError, "one node"),
        ({"weights": np.array([1, 1, 2])}, InvalidInputError, "0…1"),
        ({"weights": np.array([1, 1, np.nan])}, InvalidInputError, "0…1"),
        ({"states": ("Black", "Ultraviolet")}, UnknownNameError, "Ultraviolet"),
    ],
)
def test_what_is_refused(fashion, changes, error, message):
    given = {"states": STATES, "objects": OBJECTS, "pairs": PAIRS, **changes}
    with pytest.raises(error, match=message):
        composed(fashion, "fashion", **given)


def test_a_graph_without_compositions_is_refused(world):
    with pytest.raises(UnknownNameError, match="has_state"):
        composed(world.graph, "fashion", STATES, OBJECTS, PAIRS)


def test_articles_called_exact_are_what_the_linker_finds():
    nouns = graph_of("wordnet-nouns")
    rows = [r for r in read_link_rows(SHIPPED / "data" / "fashion-objects.tsv") if r.by == "exact"]
    from kgzsl import data
    from kgzsl.sources import sense_order

    found = link([r.label for r in rows], nouns, "wn30:n00021939", senses=sense_order(data.locate("wordnet-3.0"), ("noun",)))
    assert len(rows) > 20 and [one.node for one in found] == [r.parents[0] for r in rows]


@pytest.mark.parametrize(
    ("recipe", "table", "kinds"),
    [
        ("compositions-fashion-wordnet", "fashion-objects", ("object",)),
        ("compositions-fashion-colours", "fashion-colours", ("state",)),
        ("compositions-fashion-conceptnet", "fashion-concepts", ("object", "state")),
    ],
)
def test_every_link_is_an_edge_and_says_what_it_covers(recipe, table, kinds):
    graph, rows = graph_of(recipe), read_link_rows(SHIPPED / "data" / f"{table}.tsv")
    relation = "related" if table == "fashion-concepts" else "hypernym"
    subject, obj, _ = graph.edges_of(relation)
    edges = {(graph.ids[s], graph.ids[o]) for s, o in zip(subject, obj, strict=True)}
    assert {(r.id, p) for r in rows for p in r.parents} <= edges
    every = {i for i, kind in zip(graph.ids, graph.kinds, strict=True) if kind in kinds}
    assert {r.id for r in rows} <= every
    assert table == "fashion-concepts" or {r.id for r in rows} == every  # CN-100K does not know every article
    said = {source["name"]: source["files"] for source in graph.manifest["sources"]}[table]
    assert set(said) == {f"{table}.tsv"} and len(said[f"{table}.tsv"]) == 64
    assert Path(SHIPPED / "data" / f"{table}.tsv").read_text(encoding="utf-8").isascii()


def test_the_table_of_recipes_counts_what_is_built():
    graphs = [graph_of(f"compositions-fashion-{kind}") for kind in ("wordnet", "colours", "conceptnet", "outside")]
    counts = ["; ".join(f"{n:,}" for n in column) for column in ([len(g) for g in graphs], [len(g.subject) for g in graphs])]
    text = (Path(__file__).parents[2] / "graphs/README.md").read_text(encoding="utf-8")
    assert f"| {counts[0]} | {counts[1]} |" in text
