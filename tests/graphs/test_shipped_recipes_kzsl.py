"""Shipped recipes over benchmarks: counted to the triple by csv and rdflib, published counts reached or explained."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError
from kgzsl.graphs import KnowledgeGraph, compile_graph
from kgzsl.graphs.recipe import shipped_recipes
from kgzsl.sources import readers

pytestmark = pytest.mark.data
Triple = tuple[str, str, str]

#: Graph → prefix, published entities, relations and triples; then what explains the differences: nodes that only owl:sameAs
#: names, labels, statements of a node about itself, and cn:partOf that turn a cn:hasA round.
KZSL = {
    "AwA": ("awa", 9_195, 42, 14_112, 3, 202, 6, 4),
    "ImNet-A": ("imnet-a", 8_920, 41, 10_461, 22, 214, 6, 3),
    "ImNet-O": ("imnet-o", 3_148, 31, 3_990, 9, 111, 6, 1),
}
#: Setting → which triples it holds, beside the labels.
SETTINGS: dict[str, Callable[[str, str, str, str], bool]] = {
    "hierarchy": lambda n, s, p, o: p == "rdfs:subClassOf" and s.startswith(f"{n}:n") and o.startswith(f"{n}:n"),
    "attributes": lambda n, s, p, o: s.startswith(n) and o.startswith(n) and p != "owl:disjointWith",
    "literals": lambda n, s, p, o: s.startswith(n) and o.startswith(n) and p != "owl:disjointWith",
    "conceptnet": lambda n, s, p, o: p != "owl:disjointWith",
    "disjointness": lambda n, s, p, o: s.startswith(n) and o.startswith(n),
}
#: What the recipes call relations that the vocabulary has; `^` turns the ends.
VOCABULARY = {
    "rdfs:subClassOf": "hypernym",
    "owl:disjointWith": "disjoint",
    "owl:sameAs": "equivalent",
    "cn:capableOf": "capable_of",
    "cn:usedFor": "used_for",
    "cn:hasProperty": "has_property",
    "cn:similarTo": "similar",
    "cn:hasPrerequisite": "has_prerequisite",
    "cn:hasA": "part_meronym",
    "cn:receivesAction": "receives_action",
    "cn:partOf": "^part_meronym",
    "cn:motivatedByGoal": "motivated_by",
    "cn:desires": "desires",
    "cn:definedAs": "defined_as",
    "cn:madeOf": "substance_meronym",
    "cn:causesDesire": "causes_desire",
    "cn:causes": "cause",
    "cn:locatedNear": "near",
    "cn:instanceOf": "instance_hypernym",
    "cn:createdBy": "created_by",
}


def home() -> Path:
    return Path(os.environ["KGZSL_DATA"])


@cache
def triples(name: str) -> tuple[Triple, ...]:
    with (home() / f"kzsl/KG-{name}.csv").open(newline="", encoding="utf-8") as stream:
        return tuple((r["Subject"], r["Relation"], r["Object"]) for r in csv.DictReader(stream, delimiter="\t"))


@cache
def built(recipe: str) -> KnowledgeGraph:
    return compile_graph(recipe)


def edges(graph: KnowledgeGraph) -> set[Triple]:
    columns = (graph.subject.tolist(), graph.relation.tolist(), graph.object.tolist())
    return {(graph.ids[s], graph.relations[r].id, graph.ids[o]) for s, r, o in zip(*columns, strict=True)}


def node(name: str, identifier: str) -> str:
    """What a recipe calls a node or a relation of K-ZSL's."""
    prefix, local = identifier.split(":", 1)
    if prefix != name:
        return identifier
    return f"wn30:{local}" if local[0] == "n" and local[1:].isdecimal() else f"{KZSL[name][0]}:{local}"


def edge(name: str, triple: Triple) -> Triple:
    s, p, o = (node(name, x) for x in triple)
    word = VOCABULARY.get(p, p)
    return (o, word[1:], s) if word.startswith("^") else (s, word, o)


# ---- K-ZSL's graphs


@pytest.mark.parametrize("name", KZSL)
def test_a_whole_graph_is_the_file_to_the_triple(name: str) -> None:
    prefix, _, _, published, _, labels, loops, twice = KZSL[name]
    rows, graph = triples(name), built(f"kzsl-{prefix}")
    assert len(rows) == len(set(rows)) == published
    stated = [edge(name, t) for t in rows if t[1] != "rdfs:label" and t[0] != t[2]]
    assert edges(graph) == set(stated) and len(graph.subject) == len(set(stated))
    assert published == len(graph.subject) + labels + loops + twice
    assert graph.manifest["dropped"] == {"compile": {"edge from a node to itself": loops, "edge stated twice": twice}}
    turned = {(t[2], "cn:hasA", t[0]) for t in rows if t[1] == "cn:partOf"} & set(rows)
    assert len(turned) == twice
    names = {node(name, s): o.replace("_", " ") for s, p, o in rows if p == "rdfs:label"}
    assert len(names) == labels and all(
        graph.labels[i] == names[identifier] for i, identifier in enumerate(graph.ids) if identifier in names
    )


@pytest.mark.parametrize("name", KZSL)
def test_published_counts_of_entities_and_relations_are_explained(name: str) -> None:
    prefix, entities, relations, _, only_same, *_ = KZSL[name]
    rows, graph = triples(name), built(f"kzsl-{prefix}")
    every = {x for s, p, o in rows if p != "rdfs:label" for x in (s, o)}
    # the authors count the entities of the hierarchies, the class-attribute triples and ConceptNet
    counted = {x for s, p, o in rows if p not in ("rdfs:label", "owl:sameAs", "owl:disjointWith") for x in (s, o)}
    assert len(counted) == entities
    assert len(graph) == len(every) == entities + only_same and set(graph.ids) == {node(name, i) for i in every}
    assert all(i.startswith("cn:") for i in every - counted) and len(every - counted) == only_same
    stated = {p for _, p, _ in rows}
    assert len(stated | {"Relation"}) == relations  # with the header line's word
    assert len(graph.relations) == len({VOCABULARY.get(p, p).removeprefix("^") for p in stated - {"rdfs:label"}}) == relations - 3


@pytest.mark.parametrize("name", KZSL)
def test_the_turtle_files_hold_the_same_triples(name: str) -> None:
    rdflib = pytest.importorskip("rdflib")
    base = "http://www.semanticweb.org/ontologies/"
    full = {name: f"{base}{name}#", "cn": f"{base}ConceptNet#", "rdfs": str(rdflib.RDFS), "owl": str(rdflib.OWL)}
    iri = lambda curie: full[curie.split(":", 1)[0]] + curie.split(":", 1)[1]  # noqa: E731
    stated = {(iri(s), iri(p), o if p == "rdfs:label" else iri(o)) for s, p, o in triples(name)}
    assert {tuple(map(str, t)) for t in rdflib.Graph().parse(home() / f"kzsl/KG-{name}.ttl")} == stated


@pytest.mark.parametrize(("name", "setting"), [(n, s) for n in KZSL for s in SETTINGS if s != "disjointness" or n == "AwA"])
def test_a_semantic_setting_holds_its_triples(name: str, setting: str) -> None:
    prefix = KZSL[name][0]
    graph, rows = built(f"kzsl-{prefix}-{setting}"), triples(name)
    chosen = [t for t in rows if t[1] != "rdfs:label" and SETTINGS[setting](name, *t)]
    assert edges(graph) == {edge(name, t) for t in chosen if t[0] != t[2]}
    labelled = {node(name, s) for s, p, _ in rows if p == "rdfs:label"}
    named = {i for i, text in zip(graph.ids, graph.labels, strict=True) if i.split(":")[1].replace("_", " ") != text}
    if setting == "literals":
        assert labelled == set(graph.ids) and named
    else:
        assert not named
    disjoint = {"disjoint"} & {r.id for r in graph.relations}
    assert bool(disjoint) == (setting == "disjointness")


@pytest.mark.parametrize(("name", "classes"), [("AwA", 50), ("ImNet-A", 80), ("ImNet-O", 35)])
def test_classes_are_synsets_and_their_hierarchy_is_wordnets(name: str, classes: int) -> None:
    from kgzsl.datasets import kzsl_split

    graph, nouns = built(f"kzsl-{KZSL[name][0]}-hierarchy"), built("wordnet-nouns")
    assert set(kzsl_split(name).classes) <= set(graph.ids) and len(kzsl_split(name).classes) == classes
    child, parent, _ = nouns.edges_of("hypernym")
    ids = np.array(nouns.ids, dtype=object)
    assert edges(graph) <= {(s, "hypernym", o) for s, o in zip(ids[child].tolist(), ids[parent].tolist(), strict=True)}


@pytest.mark.parametrize(("name", "folder", "repeated"), [("AwA", "AwA", 113), ("ImNet-A", "ImNet_A", 121), ("ImNet-O", "ImNet_O", 55)])
def test_the_neighbourhood_of_conceptnet_without_what_the_graph_says_already(name: str, folder: str, repeated: int) -> None:
    with (home() / f"kzsl/{folder}/conceptnet_triples.txt").open(encoding="utf-8") as stream:
        around = [tuple(line.rstrip("\n").split("\t")) for line in stream]
    rows = set(triples(name))
    same: dict[str, set[str]] = {}
    for s, p, o in rows:
        if p == "owl:sameAs":
            same.setdefault(o, set()).add(s)
    absent = [t for t in around if t not in rows]
    assert len(around) - len([t for t in rows if t[0].startswith("cn:")]) == len(absent) == repeated
    joined = {(s, o) for s, p, o in rows if s.startswith(f"{name}:")}
    assert all(any((s, o) in joined for s in same.get(t[0], ()) for o in same.get(t[2], ())) for t in absent)


@pytest.mark.parametrize(("name", "folder", "count"), [("AwA", "AwA", 95), ("ImNet-A", "ImNet_A", 99), ("ImNet-O", "ImNet_O", 50)])
def test_the_attribute_hierarchy_is_that_of_the_owl_file(name: str, folder: str, count: int) -> None:
    found = readers.make("owl", {}).read(home() / f"kzsl/{folder}/attribute_hierarchy.owl")
    names = [i.rpartition("#")[2] for i in found.ids.to_pylist()]
    stated = {(names[s], names[o]) for s, o in zip(found.subject.tolist(), found.object.tolist(), strict=True)}
    label = {node(name, s): o for s, p, o in triples(name) if p == "rdfs:label"}
    prefix = KZSL[name][0]
    graph = edges(built(f"kzsl-{prefix}-attributes"))
    assert stated == {(label[s], label[o]) for s, r, o in graph if r == "hypernym" and s.startswith(f"{prefix}:")}
    assert len(stated) == count


# ---- attributes over WordNet


def test_awa_over_wordnet() -> None:
    graph = built("awa")
    binary = np.loadtxt(home() / "awa1/predicate-matrix-binary.txt")
    stated = Counter(graph.relations[r].id for r in graph.relation.tolist())
    assert stated["has_attribute"] == int(binary.sum()) == 1_562 and set(stated) == {"has_attribute", "hypernym"}
    assert Counter(graph.kinds)["attribute"] == 85 + 15
    names = json.loads((home() / "kzsl/AwA/class.json").read_text())
    links = {(f"awa:{n}", "hypernym", f"wn30:{w}") for part in names.values() for w, n in part.items()}
    assert len(links) == 50 and links <= edges(graph)
    assert all(graph.texts[i] for i, identifier in enumerate(graph.ids) if identifier.startswith("wn30:"))
    above = _ancestors(graph)
    assert all("wn30:n00001740" in above[s] for s, _, _ in links)
    columns = [line.split()[1] for line in (home() / "awa1/predicates.txt").read_text().splitlines()]
    assert all("va:attribute" in above[f"awa:{c}"] for c in columns) and {"va:blue", "wn30:n04959672"} <= above["awa:blue"]


def test_cub_over_wordnet() -> None:
    from kgzsl.datasets import class_links

    graph, birds = built("cub"), built("birds")
    rows = class_links("cub").classes
    assert Counter(graph.kinds)["attribute"] == 312 + 28 and {(c.id, "hypernym", p) for c in rows for p in c.parents} <= edges(graph)
    value = np.loadtxt(home() / "cub/class_attribute_labels_continuous.txt")
    assert sum(r == "has_attribute" for _, r, _ in edges(graph)) == ((value >= value.mean(axis=0)) & (value > 0)).sum()
    above = _ancestors(graph)
    assert all("wn30:n01503061" in above[c.id] for c in rows)
    assert {i for c in rows for i in above[c.id]} <= set(birds.ids)
    assert {"va:blue", "va:attribute", "cub:has_wing_color"} <= above["cub:has_wing_color.blue"]
    attributes = [i for i, k in zip(graph.ids, graph.kinds, strict=True) if k == "attribute"]
    assert all("va:attribute" in above[i] for i in attributes)


def _ancestors(graph: KnowledgeGraph) -> dict[str, set[str]]:
    """Every node → all that is above it, by repeated joining."""
    above: dict[str, set[str]] = {i: set() for i in graph.ids}
    pairs = [(s, o) for s, r, o in edges(graph) if r == "hypernym"]
    grown = True
    while grown:
        grown = False
        for s, o in pairs:
            new = {o, *above[o]} - above[s]
            above[s] |= new
            grown |= bool(new)
    return above


def test_a_prefix_that_no_source_has_is_refused(tmp_path: Path) -> None:
    text = "format: 1\nname: r\nsources: [{reader: compositions, path: lists, settings: {prefix: t}}]\nselect: {classes: [{prefix: t}]}\n"
    (tmp_path / "r.yaml").write_text(text)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/train_pairs.txt").write_text("old dog\n")
    assert len(compile_graph(tmp_path / "r.yaml")) == 3
    (tmp_path / "r.yaml").write_text(text.replace("{prefix: t}]}", "{prefix: cub}]}"))
    with pytest.raises(InvalidInputError, match="'cub'\n  remedy: choose from: t"):
        compile_graph(tmp_path / "r.yaml")


# ---- compositions and schemas


@pytest.mark.parametrize(
    ("recipe", "nodes", "statements"),
    [("compositions-cgqa", 413 + 674 + 7_767, 3 * 7_767), ("compositions-fashion", 35 + 83 + 575, 3 * 575)],
)
def test_compositions(recipe: str, nodes: int, statements: int) -> None:
    graph = built(recipe)
    assert (len(graph), len(graph.subject)) == (nodes, statements)
    assert Counter(graph.relations[r].id for r in graph.relation.tolist()) == dict.fromkeys(
        ("has_state", "has_object", "composes"), statements // 3
    )


@pytest.mark.parametrize(
    ("recipe", "file", "prefix", "published", "edges_expected", "chained"),
    [
        # published: relations, concepts, literals, meta-relations, RDFS axioms, OWL axioms
        ("nell-zs-schema", "nell-zs/Schema-NELL.csv", "nell", (894, 292, 1_063, 9, 3_055, 134), 3_055 + 114, 100),
        ("wiki-zs-schema", "wiki-zs/Schema-Wiki.csv", "wikidata", (560, 1_344, 3_808, 11, 4_821, 113), 4_821 + 67 + 39, 35),
    ],
)
def test_schemas_have_the_published_counts(
    recipe: str, file: str, prefix: str, published: tuple[int, ...], edges_expected: int, chained: int
) -> None:
    graph = built(recipe)
    rows = [line.split("\t") for line in (home() / "kgc" / file).read_text(encoding="utf-8").splitlines()[1:]]
    meta = Counter(r[1] for r in rows)
    literals, chains = ("rdfs:label", "rdfs:comment"), ("owl:propertyChainAxiom", "rdf:first", "rdf:rest")
    relations, concepts, texts, kinds_of, rdfs, owl = published
    assert len(meta) == kinds_of and sum(meta[p] for p in literals) == texts
    assert sum(n for p, n in meta.items() if p.startswith("rdfs:") and p not in literals) == rdfs
    assert sum(meta[p] for p in ("rdf:type", "owl:inverseOf", "owl:propertyChainAxiom")) == owl
    assert len(graph.subject) == edges_expected == len(rows) - texts - chained and sum(meta[p] for p in chains) == chained
    own = Counter(k for i, k in zip(graph.ids, graph.kinds, strict=True) if i.startswith(f"{prefix}:"))
    assert own == {"relation": relations, "concept": concepts}
    word = {"rdfs:subClassOf": "hypernym", "rdfs:subPropertyOf": "sub_relation", "rdfs:domain": "domain", "rdfs:range": "range"}
    word |= {"rdf:type": "instance_hypernym", "owl:inverseOf": "inverse_relation"}
    name = lambda i: prefix + i[i.index(":") :] if not i.startswith("owl:") else i  # noqa: E731
    assert edges(graph) == {(name(s), word[p], name(o)) for s, p, o in rows if p in word}
    comments = {name(s) for s, p, o in rows if p == "rdfs:comment" and o.strip()}
    assert {i for i, text in zip(graph.ids, graph.texts, strict=True) if text} == comments


def test_every_recipe_of_this_file_ships() -> None:
    expected = {f"kzsl-{prefix}" for prefix, *_ in KZSL.values()}
    expected |= {f"kzsl-{KZSL[n][0]}-{s}" for n in KZSL for s in SETTINGS if s != "disjointness" or n == "AwA"}
    expected |= {"awa", "cub", "compositions-cgqa", "compositions-fashion", "nell-zs-schema", "wiki-zs-schema"}
    assert expected <= set(shipped_recipes())


@pytest.mark.slow
def test_the_order_of_hashes_changes_nothing() -> None:
    script = "from kgzsl.graphs import compile_graph; print(compile_graph('kzsl-imnet-o').digest)"
    seed = {**os.environ, "PYTHONHASHSEED": "1"}
    found = subprocess.run([sys.executable, "-c", script], env=seed, capture_output=True, text=True, check=True).stdout
    assert found == built("kzsl-imnet-o").digest + "\n"


@pytest.mark.slow
def test_spark_builds_the_same_graph() -> None:
    pytest.importorskip("pyspark")
    assert compile_graph("kzsl-imnet-o", engine="pyspark").digest == built("kzsl-imnet-o").digest


def test_the_table_of_recipes_counts_what_is_built() -> None:
    text = (Path(__file__).parents[2] / "graphs/README.md").read_text(encoding="utf-8")
    for names, nodes, statements in (
        (("awa",), "383", "2,055"),
        (("cub",), "824", "18,897"),
        (("kzsl-awa", "kzsl-imnet-a", "kzsl-imnet-o"), "9,198; 8,942; 3,157", "13,900; 10,238; 3,872"),
        (("kzsl-awa-hierarchy", "kzsl-imnet-a-hierarchy", "kzsl-imnet-o-hierarchy"), "100; 111; 59", "102; 111; 60"),
        (("kzsl-awa-attributes", "kzsl-imnet-a-attributes", "kzsl-imnet-o-attributes"), "202; 214; 111", "1,759; 545; 220"),
        (("kzsl-awa-conceptnet", "kzsl-imnet-a-conceptnet", "kzsl-imnet-o-conceptnet"), "9,198; 8,942; 3,157", "12,477; 10,238; 3,872"),
        (("kzsl-awa-disjointness",), "202", "3,182"),
        (("compositions-cgqa", "compositions-fashion"), "8,854; 693", "23,301; 1,725"),
        (("nell-zs-schema", "wiki-zs-schema"), "1,192; 1,909", "3,169; 4,927"),
    ):
        graphs = [built(name) for name in names]
        assert (nodes, statements) == ("; ".join(f"{len(g):,}" for g in graphs), "; ".join(f"{len(g.subject):,}" for g in graphs))
        assert f"| {nodes} | {statements} |" in text
