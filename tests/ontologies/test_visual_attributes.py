"""The hierarchy of visual attributes: complete, a hierarchy, and joined to synsets that mean what it says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.sparse import coo_matrix, csgraph

from kgzsl import data
from kgzsl.graphs import KnowledgeGraph, compile_graph
from kgzsl.graphs.recipe import SHIPPED
from kgzsl.ids import PREFIXES
from kgzsl.sources import Statements, readers
from kgzsl.sources.prefixes import benchmark_iri
from kgzsl.sources.vocabulary import FOLDER

rdflib = pytest.importorskip("rdflib")
RDFS, OWL, SKOS = rdflib.RDFS, rdflib.OWL, rdflib.SKOS
VA = rdflib.Namespace("https://w3id.org/kgzsl/visual-attributes#")
LINKS = {"exact": SKOS.exactMatch, "close": SKOS.closeMatch, "related": SKOS.relatedMatch}
TABLES = {"awa": ("awa1", "predicates.txt", 85), "cub": ("cub", "attributes.txt", 312)}
#: Groups of CUB's attributes whose names are not `has_PART_DIMENSION`.
OTHERS = {"has_primary_color": ("body", "colour"), "has_size": ("body", "size"), "has_shape": ("body", "shape")}


@cache
def ontology() -> Any:
    return rdflib.Graph().parse(FOLDER / "visual-attributes.ttl", format="turtle")


@cache
def wordnet() -> Statements:
    settings = {"parts_of_speech": ["noun", "verb", "adj", "adv"], "relations": ["hypernym"]}
    return readers.make("wordnet", settings).read(data.locate("wordnet-3.0"))


def names(term: Any) -> set[str]:
    return {str(label).lower() for said in (RDFS.label, SKOS.altLabel) for label in ontology().objects(term, said)}


def parents(term: Any) -> list[Any]:
    return [p for p in ontology().objects(term, RDFS.subClassOf) if isinstance(p, rdflib.URIRef)]


def above(term: Any) -> set[Any]:
    return {t for p in parents(term) for t in (p, *above(p))}


def parts(term: Any) -> set[Any]:
    """The parts, foods and places of restrictions on a term or on what is above it."""
    found = ontology()
    return {found.value(r, OWL.someValuesFrom) for t in (term, *above(term)) for r in found.objects(t, RDFS.subClassOf)} - {None}


def published() -> Iterator[tuple[str, Any]]:
    for term, name in ontology().subject_objects(VA.publishedName):
        yield str(name), term


@pytest.mark.data
@pytest.mark.parametrize("prefix", TABLES)
def test_every_published_attribute_is_there_once_under_the_id_of_its_table(prefix: str) -> None:
    folder, file, count = TABLES[prefix]
    path = Path(os.environ["KGZSL_DATA"]) / folder
    theirs = [line.split(maxsplit=1)[1].strip() for line in (path / file).read_text().splitlines() if line.strip()]
    iri = benchmark_iri(prefix)
    ours = [name for name, term in published() if str(term).startswith(iri)]
    assert len(theirs) == count
    assert sorted(ours) == sorted(theirs)
    table = readers.make("attributes", {"layout": prefix, "threshold": "mean"}).read(path)
    rows = zip(table.ids.to_pylist(), table.kinds.to_pylist(), table.labels.to_pylist(), strict=True)
    columns = {rdflib.URIRef(iri + i.partition(":")[2]): label for i, kind, label in rows if kind == "attribute"}
    own = {s for s in ontology().subjects(rdflib.RDF.type, OWL.Class) if str(s).startswith(iri)}
    assert columns == {term: str(ontology().value(term, RDFS.label)) for term in own}  # with the groups of attributes


def test_attributes_form_one_hierarchy() -> None:
    found = ontology()
    classes = set(found.subjects(rdflib.RDF.type, OWL.Class))
    order = list(TopologicalSorter({c: parents(c) for c in classes}).static_order())  # a cycle raises
    assert len(order) == len(classes) > 550
    assert {c for c in classes if not parents(c)} == {VA.attribute, VA.part, VA.food, VA.place}
    assert all(found.value(c, RDFS.label) for c in classes)
    for name, term in published():
        assert VA.attribute in above(term), name
    tops = {
        VA.of_part: VA.part,
        VA.of_food: VA.food,
        VA.of_place: VA.place,
        rdflib.URIRef("http://purl.obolibrary.org/obo/BFO_0000050"): VA.part,
    }
    for restriction in found.subjects(rdflib.RDF.type, OWL.Restriction):
        filler = found.value(restriction, OWL.someValuesFrom)
        top = tops[found.value(restriction, OWL.onProperty)]
        assert filler == top or top in above(filler)


def test_birds_attributes_are_of_the_part_and_dimension_in_their_names() -> None:
    birds = [(name, term) for name, term in published() if name.startswith("has_")]
    assert len(birds) == 312
    for name, term in birds:
        group, _, value = name.partition("::")
        part, dimension = OTHERS.get(group) or group.removeprefix("has_").replace("color", "colour").rsplit("_", 1)
        assert VA[dimension] in above(term), name
        assert VA[part] in parts(term), name
        if group != "has_shape" and group != "has_bill_length" and "seabird" not in value:  # those are likened or compared
            word = re.sub(r"_\(.*|_tail|-wings|_pattern", "", value).replace("_", " ").replace("color", "colour")
            assert {word, f"{word}-shaped"} & set().union(*(names(p) for p in parents(term))), name


def test_synsets_exist_in_wordnet_30_under_the_words_beside_them() -> None:
    read = wordnet()
    words = dict(zip(read.ids.to_pylist(), read.labels.to_pylist(), strict=True))
    used = {o: None for link in LINKS.values() for o in ontology().objects(None, link)}
    listed = {s: str(o) for s, o in ontology().subject_objects(RDFS.label) if str(s).startswith(PREFIXES["wn30"])}
    assert len(used) > 230 and set(used) == set(listed)
    for iri, label in listed.items():
        assert words["wn30:" + str(iri).removeprefix(PREFIXES["wn30"])] == label


def test_links_mean_the_terms_that_they_stand_at() -> None:
    counts = dict.fromkeys(LINKS, 0)
    for how, link in LINKS.items():
        for term, synset in ontology().subject_objects(link):
            counts[how] += 1
            lemmas = {lemma.lower() for lemma in str(ontology().value(synset, RDFS.label)).split(", ")}
            noun = str(synset).removeprefix(PREFIXES["wn30"]).startswith("n")
            assert noun or how != "exact", (term, synset)
            assert names(term) & lemmas or how == "related", f"none of {names(term)} is among {lemmas}"
    exact = list(ontology().objects(None, SKOS.exactMatch))
    assert len(exact) == len(set(exact)), "two terms are the same synset"
    assert min(counts["exact"], counts["close"]) > 90


def test_every_attribute_is_joined_to_wordnet() -> None:
    found = ontology()
    linked = {term for link in LINKS.values() for term in found.subjects(link)}
    for name, term in published():
        says, of = linked & {term, *parents(term)}, linked & parts(term)
        assert (says and of) if name.startswith("has_") else (says or of), name


@pytest.mark.parametrize(
    ("term", "gloss"),
    [
        ("crown", "the top of the head"),
        ("bill", "mouth of a bird"),
        ("breast", "animal's body"),
        ("wing", "organ for flying"),
        ("nape", "back side of the neck"),
        ("leg", "animals"),
        ("horn", "heads of certain ungulates"),
        ("claw", "toe of a bird or some mammals"),
        ("plain", "level open land"),
        ("field", "cleared of trees"),
        ("ground", "solid part of the earth"),
        ("shape", "spatial attributes"),
        ("black", "achromatic color"),
        ("orange", "color"),
        ("foot", "vertebrates other than human"),
    ],
)
def test_senses_are_those_of_animals(term: str, gloss: str) -> None:
    """Words with several senses, by what WordNet's own gloss says."""
    read = wordnet()
    synset = str(ontology().value(VA[term], SKOS.exactMatch)).removeprefix(PREFIXES["wn30"])
    assert gloss in read.texts[read.ids.to_pylist().index("wn30:" + synset)].as_py()


def test_the_hierarchy_does_not_turn_wordnets_round() -> None:
    read = wordnet()
    place = {i: n for n, i in enumerate(read.ids.to_pylist())}
    up: dict[int, list[int]] = {}
    for child, parent in zip(read.subject.tolist(), read.object.tolist(), strict=True):
        up.setdefault(child, []).append(parent)

    def ancestors(row: int) -> set[int]:
        return {a for p in up.get(row, ()) for a in (p, *ancestors(p))}

    rows = {t: place["wn30:" + str(s).removeprefix(PREFIXES["wn30"])] for t, s in ontology().subject_objects(SKOS.exactMatch)}
    pairs = [(rows[t], rows[a]) for t in rows for a in above(t) if a in rows]
    assert not [(a, b) for a, b in pairs if a in ancestors(b)]
    assert sum(b in ancestors(a) for a, b in pairs) > 60  # WordNet has most of these steps too


def edges(graph: KnowledgeGraph) -> set[tuple[str, str, str]]:
    names = np.asarray(graph.ids, dtype=object), np.asarray([r.id for r in graph.relations], dtype=object)
    return set(zip(names[0][graph.subject], names[1][graph.relation], names[0][graph.object], strict=True))


def test_the_shipped_recipe_leads_from_attributes_to_synsets() -> None:
    graph = compile_graph("visual-attributes")
    assert edges(graph) >= {
        ("cub:has_wing_color.blue", "hypernym", "cub:has_wing_color"),
        ("cub:has_wing_color.blue", "hypernym", "va:blue"),
        ("cub:has_wing_color", "va:of_part", "va:wing"),
        ("va:blue", "hypernym", "wn30:n04968895"),
        ("va:blue", "similar", "wn30:a00370869"),
        ("wn30:n04968895", "hypernym", "wn30:n04959672"),
        ("va:head", "part_meronym", "va:bill"),
        ("awa:ocean", "va:of_place", "va:ocean"),
        ("awa:insects", "va:of_food", "va:insect"),
        ("cub:has_shape.owl-like", "related", "wn30:n01621127"),
    }
    n = len(graph)
    parts, _ = csgraph.connected_components(coo_matrix((np.ones(len(graph.subject)), (graph.subject, graph.object)), shape=(n, n)))
    assert parts == 1
    counts = {prefix: sum(i.startswith(f"{prefix}:") for i in graph.ids) for prefix in ("awa", "cub")}
    assert counts == {"awa": 85, "cub": 312 + 28}


@pytest.mark.data
def test_an_attribute_table_joins_the_hierarchy_by_its_ids(tmp_path: Path) -> None:
    content = yaml.safe_load((SHIPPED / "visual-attributes.yaml").read_text())
    content["sources"][1]["path"] = str(FOLDER / "visual-attributes.ttl")
    content["sources"].append({"reader": "attributes", "benchmark": "cub", "settings": {"layout": "cub", "threshold": "mean"}})
    recipe = tmp_path / "birds-with-attributes.yaml"
    recipe.write_text(yaml.safe_dump(content))
    graph = compile_graph(recipe)
    birds = {s for s, relation, _ in edges(graph) if relation == "has_attribute"}
    assert len(birds) == 200
    assert sum(i.startswith("cub:") for i in graph.ids) == 200 + 312 + 28  # no attribute or group stands twice
