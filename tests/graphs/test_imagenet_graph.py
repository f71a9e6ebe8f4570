"""The shipped `imagenet` recipe is the published graph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kgzsl import data
from kgzsl.data import benchmark_path
from kgzsl.graphs import KnowledgeGraph, ancestors, descendants, hop_distance
from kgzsl.graphs.describe import describe_graph, format_description
from kgzsl.graphs.recipe import SHIPPED, read_yaml
from kgzsl.graphs.recipe_schema import RULES_SCHEMA
from kgzsl.graphs.select import Selector
from kgzsl.graphs.validate import validate_graph
from kgzsl.ids import curies, read_ids
from kgzsl.sources import readers

needs_data = pytest.mark.skipif("KGZSL_DATA" not in os.environ, reason="KGZSL_DATA is not set: no benchmark data")


def class_ids(name: str) -> tuple[str, ...]:
    return read_ids(str(data.locate("imagenet-classes") / name))


def test_published_size(imagenet: KnowledgeGraph) -> None:
    assert (len(imagenet.ids), len(imagenet.subject)) == (32_324, 32_544)
    assert imagenet.counts()["relations"] == {"hypernym": 32_544}
    assert imagenet.manifest["sources"][0]["version"] == "3.0"
    assert imagenet.manifest["dropped"]["compile"] == {"edge to a node not selected": 43_306, "node not selected": 49_791}


def test_all_classes_are_nodes(imagenet: KnowledgeGraph) -> None:
    seen, everything = class_ids("imagenet_synsets.txt"), class_ids("imagenet22k_synsets.txt")
    assert len(seen) == 1_000
    assert len(set(everything) - set(seen)) == 20_842
    record = describe_graph(imagenet, tuple(dict.fromkeys(seen + everything)))
    assert (record["classes"]["asked"], record["classes"]["present"]) == (21_842, 21_842)
    assert record["classes"]["missing"] == []
    assert record["sources"][0]["files"]["data.noun"] in format_description(record)


def test_published_number_of_ancestor_pairs(imagenet: KnowledgeGraph) -> None:
    up, down = ancestors(imagenet, norm=None), descendants(imagenet, norm=None)
    # DGP's dense graph: every node with itself and all its ancestors up to the root.
    assert sum(m.nnz for m in up.adjacency) == 200_082
    assert [m.nnz for m in up.adjacency] == [32_324, 32_544, 32_629, 30_750, 71_835]
    for a, d in zip(up.adjacency, down.adjacency, strict=True):
        assert (a != d.T).nnz == 0


def test_directions(imagenet: KnowledgeGraph) -> None:
    dog, canine, animal = imagenet.positions(["wn30:n02084071", "wn30:n02083346", "wn30:n00015388"])
    up, down = ancestors(imagenet).adjacency, descendants(imagenet).adjacency
    assert up[1][dog, canine] > 0
    assert up[1][canine, dog] == 0
    assert down[1][canine, dog] > 0
    # dog is both a canine and a domestic animal: the shortest path to animal has two edges, the longest seven.
    assert up[2][dog, animal] > 0
    assert up[4][dog, animal] == 0
    assert ("out", "hypernym", "wn30:n02083346") in imagenet.neighbours("n02084071")
    assert ("in", "hypernym", "wn30:n02084071") in imagenet.neighbours("n02083346")


def test_sound(imagenet: KnowledgeGraph) -> None:
    assert validate_graph(imagenet) == []


def test_same_bytes_under_any_hash_seed(tmp_path: Path) -> None:
    code = "import sys; from kgzsl.graphs import compile_graph; compile_graph('imagenet', out=sys.argv[1])"
    for seed in ("1", "4711"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / f"{seed}.kg")], check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / f"{seed}.kg").iterdir()} for seed in ("1", "4711"))
    assert set(one) == {"manifest.json", "nodes.parquet", "relations.parquet", "edges.parquet"}
    assert one == two


@pytest.mark.data
@needs_data
def test_structure_rules_expand_to_the_published_list() -> None:
    read = readers.make("wordnet").read(data.locate("wordnet-3.0"))
    ids = read.ids.to_pylist()
    selector = Selector(ids, {"hypernym": (read.subject, read.object)})
    mask = selector.rules(SHIPPED / "data" / "imagenet_structure.yaml")
    published = json.loads(benchmark_path("imagenet/structure_wnids.json").read_text(encoding="utf-8"))
    assert {ids[i] for i in np.flatnonzero(mask)} == set(curies(published))


def test_structure_rules_are_minimal() -> None:
    rules = read_yaml(SHIPPED / "data" / "imagenet_structure.yaml", RULES_SCHEMA, "rule file")
    assert (len(rules["subtrees"]), len(rules["singles"]), rules["expands_to"]) == (657, 45, 32_295)
    assert len({*rules["subtrees"], *rules["singles"]}) == 702


@pytest.mark.data
@needs_data
def test_published_splits(imagenet: KnowledgeGraph) -> None:
    splits = {k: set(curies(v)) for k, v in json.loads(benchmark_path("imagenet/hop_splits.json").read_text(encoding="utf-8")).items()}
    seen, everything = class_ids("imagenet_synsets.txt"), class_ids("imagenet22k_synsets.txt")
    assert set(seen) == splits["train"]
    assert set(everything) - set(seen) == splits["all"]
    distance = hop_distance(imagenet, seen)
    near = {c for c in splits["all"] if distance[imagenet.positions([c])[0]] == 1}
    # "2-hops" counts nodes, not edges: the neighbours of a seen class, and animal, three edges away.
    assert splits["2-hops"] == near | {"wn30:n00015388"}
