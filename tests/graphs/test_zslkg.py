"""ZSL-KG's construction, as the shipped recipe states it, on the real lines of ConceptNet that are here."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from kgzsl.data import benchmark_path
from kgzsl.errors import MissingDataError
from kgzsl.graphs import compile_graph
from kgzsl.graphs.recipe import SHIPPED, Recipe

pytestmark = pytest.mark.data

SAMPLE = "conceptnet/assertions_fixture.csv"


def recipe(around: str, hops: int, top: int) -> Recipe:
    content = yaml.safe_load((SHIPPED / "zslkg-awa2.yaml").read_text(encoding="utf-8"))
    source = content["sources"][0]
    source["benchmark"] = SAMPLE
    source["settings"] |= {"around": [around], "hops": hops}
    content["select"]["neighbours"]["top"] = top
    return Recipe("zslkg-sample", content, SHIPPED)


def test_the_neighbourhood_of_a_class_with_synonyms_merged() -> None:
    graph = compile_graph(recipe("cn:test", hops=2, top=100))
    assert "cn:test" in graph
    assert "synonym" not in {r.id for r, n in zip(graph.relations, graph.counts()["relations"].values(), strict=True) if n}
    assert "examination" in graph.labels[graph.ids.index("cn:test")]  # a synonym, merged into the class
    assert compile_graph(recipe("cn:test", hops=1, top=100)).counts()["nodes"] <= len(graph)


def test_only_top_neighbours_stay() -> None:
    content = yaml.safe_load((SHIPPED / "conceptnet-100k.yaml").read_text(encoding="utf-8"))
    near = {"classes": [{"ids": ["cn:zebra"]}], "hops": 2}
    walks = {"top": 5, "steps": 20, "restarts": 10, "smoothing": 1, "seed": 0}
    whole = compile_graph(Recipe("near", {**content, "select": near}, SHIPPED))
    few = compile_graph(Recipe("near", {**content, "select": {**near, "neighbours": walks}}, SHIPPED))
    assert few.ids == whole.ids
    # an edge that goes is to none of the five likeliest of either end, so every node keeps up to five
    assert few.manifest["dropped"]["compile"]["edge not to one of the top 5 neighbours"] == len(whole.subject) - len(few.subject) > 0
    degrees = [np.bincount(np.concatenate([g.subject, g.object]), minlength=len(g)) for g in (whole, few)]
    assert (degrees[1] >= np.minimum(degrees[0], 5)).all()


def test_without_the_dump_the_recipe_says_where_it_belongs() -> None:
    if (benchmark_path("conceptnet") / "conceptnet-assertions-5.7.0.csv.gz").exists():
        pytest.skip("the whole dump is here")
    with pytest.raises(MissingDataError, match="conceptnet-assertions-5"):
        compile_graph("zslkg-awa2")
