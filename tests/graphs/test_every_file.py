"""Every ontology of the benchmark data compiles, or is refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kgzsl.data import benchmark_path
from kgzsl.errors import SourceError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.compile import compile_graph
from kgzsl.graphs.recipe import Recipe

pytestmark = pytest.mark.data

PROFILES = ("taxonomy", "existential", "full")
#: File → nodes and edges in the profiles of `PROFILES`; tests/sources counts the axioms behind them by other means.
EXPECTED: dict[str, tuple[int, ...]] = {
    "kgc/nell-zs/Onto-NELL.owl": (292, 332, 292, 332, 1186, 3090),
    "kgc/wiki-zs/Onto-Wiki.owl": (1344, 1392, 1344, 1392, 1904, 4873),
    "kzsl/AwA/attribute_hierarchy.owl": (102, 95, 102, 95, 102, 95),
    "kzsl/ImNet_A/attribute_hierarchy.owl": (103, 99, 103, 99, 103, 99),
    "kzsl/ImNet_O/attribute_hierarchy.owl": (52, 50, 52, 50, 52, 50),
    "kzsl/KG-AwA.ttl": (6788, 7654, 9198, 12481, 9198, 13904),
    "kzsl/KG-ImNet-A.ttl": (7260, 7775, 8942, 10241, 8942, 10241),
    "kzsl/KG-ImNet-O.ttl": (2466, 2679, 3157, 3873, 3157, 3873),
    "ontologies/bfo-core.owl": (36, 35, 36, 35, 76, 189),
    "ontologies/bfo-core.ttl": (36, 35, 36, 35, 76, 189),
    "ontologies/foaf.nq": (17, 11, 17, 11, 79, 107),
    "ontologies/goslim_generic.obo": (149, 148, 149, 225, 158, 234),
    "ontologies/koala.owl": (26, 20, 26, 26, 31, 40),
    "ontologies/not-galen.n3": (3097, 3929, 3097, 6363, 3510, 6779),
    "ontologies/pizza.owl": (104, 103, 104, 261, 112, 1105),
    "ontologies/primer.ofn": (28, 19, 30, 26, 49, 47),
    "ontologies/primer.omn": (33, 21, 33, 29, 52, 51),
    "ontologies/primer.owx": (29, 19, 31, 26, 50, 47),
    "ontologies/ro-base.owl": (42, 16, 42, 16, 173, 303),
    "ontologies/schema.nq": (1371, 1436, 2995, 8019, 3034, 8220),
    "ontologies/uberon_fragment.owl": (236, 331, 236, 673, 285, 714),
    "ontologies/uvula.ofn": (29, 23, 29, 35, 36, 41),
    "ontologies/uvula_inconsistent.ofn": (30, 24, 30, 36, 37, 46),
    "ontologies/wine.rdf": (343, 439, 343, 813, 360, 1800),
}
#: File → what its refusal says.
REFUSED = {
    "ontologies/primer.ttl": r"primer\.ttl, line 84, column 39",
    "kgc/nell-zs/onto_ENT.DESC.txt": r"onto_ENT\.DESC\.txt",
    "imagenet/hop_splits.json": r"hop_splits\.json",
}


def compiled(file: str, **settings: Any) -> KnowledgeGraph:
    source = {"reader": "owl", "benchmark": file, "settings": {"imports": "ignore", **settings}}
    return compile_graph(Recipe("one", {"name": "one", "sources": [source], "edges": {"cycles": "keep"}}, Path()))


@pytest.mark.parametrize("file", EXPECTED)
def test_counts(file: str) -> None:
    found = []
    for profile in PROFILES:
        graph = compiled(file, profile=profile)
        found += [len(graph), len(graph.subject)]
    assert tuple(found) == EXPECTED[file]


@pytest.mark.parametrize("file", REFUSED)
def test_refusals(file: str) -> None:
    with pytest.raises(SourceError, match=REFUSED[file]):
        compiled(file)


def test_every_ontology_is_listed() -> None:
    here = benchmark_path()
    there = [*here.glob("ontologies/*"), *here.glob("kzsl/*/*.owl"), *here.glob("kzsl/*.ttl"), *here.glob("kgc/*/*.owl")]
    assert {str(f.relative_to(here)) for f in there} - set(REFUSED) == set(EXPECTED)


def test_an_inconsistent_ontology_names_what_cannot_be() -> None:
    assert len(compiled("ontologies/uvula.ofn", reasoner="hermit").subject) >= EXPECTED["ontologies/uvula.ofn"][1]
    with pytest.raises(SourceError, match=r"(?i)inconsistent"):
        compiled("ontologies/uvula_inconsistent.ofn", reasoner="hermit")
