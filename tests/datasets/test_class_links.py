"""The shipped links of CUB's birds and SNIPS' intents to WordNet."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgzsl.datasets import class_links, links_of, read_feature_set
from kgzsl.datasets.class_links import linked, read_links
from kgzsl.errors import InvalidInputError, SourceError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, compile_graph, link

BIRD = "wn30:n01503061"
HEAD = "id\tparents\tby\tlabel\ttext\n"
#: Rows of a group that the linker took for its Old World namesake: CUB's sparrows and warblers are American.
NEW_WORLD = {"Warbler": "wn30:n01567133", "Sparrow": "wn30:n01534762"}
#: No ending of these names is a lemma of a bird.
NO_LEMMA = {"cub:Gadwall", "cub:Geococcyx", "cub:Green_Violetear", "cub:Sayornis"}
#: Of these, the linker takes another bird of the same name.
NAMESAKE = {
    "cub:American_Goldfinch",
    "cub:Brewer_Blackbird",
    "cub:Florida_Jay",
    "cub:Green_Jay",
    "cub:Hooded_Oriole",
    "cub:Ovenbird",
    "cub:Scott_Oriole",
    "cub:Spotted_Catbird",
    "cub:Tree_Swallow",
    "cub:Yellow_headed_Blackbird",
}


@pytest.fixture(scope="module")
def nouns() -> KnowledgeGraph:
    return compile_graph("wordnet-nouns")


def test_the_linker_finds_every_row_of_cub_that_is_not_by_hand(nouns: KnowledgeGraph) -> None:
    table = class_links("cub")
    assert len(table.classes) == 200 and {c.label for c in table.classes} == {c.id[4:].replace("_", " ") for c in table.classes}
    found = dict(zip([c.id for c in table.classes], link([c.label for c in table.classes], nouns, BIRD), strict=True))
    for c in table.classes:
        if table.by[c.id] != "hand":
            assert (c.parents, table.by[c.id]) == ((found[c.id].node,), found[c.id].by)
    hand = {c.id: c.parents for c in table.classes if table.by[c.id] == "hand"}
    grouped = {i for i in hand if hand[i] == (NEW_WORLD.get(i.split("_")[-1]),)}
    assert set(hand) - grouped == NO_LEMMA | NAMESAKE and len(grouped) == 34
    # a row by hand says something that the linker did not
    assert all(found[i].node not in parents for i, parents in hand.items())
    assert {i for i in hand if found[i].node is None} == NO_LEMMA


@pytest.mark.parametrize(("name", "recipe", "count"), [("cub", "birds", 200), ("snips", "intents", 7)])
def test_the_shipped_recipe_holds_all_parents(name: str, recipe: str, count: int, nouns: KnowledgeGraph) -> None:
    graph, table = compile_graph(recipe), class_links(name)
    parents = {p for c in table.classes for p in c.parents}
    assert len(table.classes) == count and parents <= set(graph.ids) <= set(nouns.ids)
    assert 500 < len(graph) < 2_000
    assert table.source.files and table.source.name == name


@pytest.mark.data
@pytest.mark.parametrize("name", ["cub", "cub-proposed", "snips"])
def test_every_class_of_the_benchmark_has_a_row(name: str) -> None:
    classes = read_feature_set(name).split.classes
    assert [c.id for c in links_of(classes).select(classes)] == list(classes)
    assert len(links_of(classes).classes) == len(classes)


def test_unknown_names_and_classes_are_refused() -> None:
    assert linked() == ("cub", "snips")
    with pytest.raises(UnknownNameError, match="choose from: cub, snips"):
        class_links("awa")
    with pytest.raises(UnknownNameError, match="cub:Dodo"):
        class_links("cub").select(["cub:Mallard", "cub:Dodo"])
    with pytest.raises(InvalidInputError, match="of one benchmark\n  received: cub, snips"):
        links_of(["cub:Mallard", "snips:book"])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "id\tparents\nx:a\twn30:n00001740\n",
        HEAD + "x:a\twn30:n00001740\thand\ta\n",
        HEAD + "x:a\t\thand\ta\t\n",
        HEAD + "x:a\twn30:n00001740\tguess\ta\t\n",
        HEAD + "x:a\twn30:n00001740\thand\ta\t\nx:a\twn30:n00001740\thand\ta\t\n",
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=r"x\.tsv"):
        read_links(tmp_path / "x.tsv")
