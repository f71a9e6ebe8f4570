"""A small graph with all that makes graphs awkward: several sources and relations, weights, own prefixes, odd characters."""

from __future__ import annotations

import numpy as np

from kgzsl.graphs import KnowledgeGraph
from kgzsl.sources import Relation

#: id → kind, label, text, source
NODES = {
    "ex:a b": ("concept", "space in the id", "", "animals"),
    "ex:cat": ("concept", "cat, domestic cat", 'a <feline> & "pet"\twith\na second line', "animals"),
    "ex:control": ("concept", "bell\x07 and null\x00", "vertical\x0btab", "animals"),
    "ex:lion": ("concept", "lion, king of beasts", "it's large", "animals"),
    "ex:mammal": ("concept", "mammal", "", "animals"),
    "ex:müßig/ライオン": ("concept", "ライオン, müßig", "日本語", "words"),
    "ex:simba": ("individual", "Simba", "a lion", "animals"),
    "ex:tail": ("attribute", "tail", "", "words"),
    "http://example.org/whole": ("concept", "a whole IRI", "", "words"),
}
RELATIONS = (
    Relation("ex:eats", "eats"),
    Relation("has_attribute", "has the visual attribute", False, "attribute_of"),
    Relation("hypernym", "is a kind of", False, "hyponym"),
    Relation("instance_hypernym", "is an instance of", False, "instance_hyponym"),
    Relation("similar", "is similar to", True),
)
#: subject, relation, object, weight, source
EDGES = [
    ("ex:cat", "hypernym", "ex:mammal", 1.0, "animals"),
    ("ex:cat", "has_attribute", "ex:tail", 0.75, "words"),
    ("ex:cat", "similar", "ex:lion", 1.0, "words"),
    ("ex:lion", "hypernym", "ex:mammal", 1.0, "animals"),
    ("ex:lion", "has_attribute", "ex:tail", 0.1, "words"),
    ("ex:lion", "ex:eats", "ex:a b", 2.5, "words"),
    ("ex:lion", "ex:eats", "ex:cat", 1.0, "words"),
    ("ex:müßig/ライオン", "hypernym", "ex:lion", 1.0, "words"),
    ("ex:simba", "instance_hypernym", "ex:lion", 1.0, "animals"),
    ("http://example.org/whole", "hypernym", "ex:mammal", 1.0, "words"),
]


def mixed() -> KnowledgeGraph:
    """Return the graph of `NODES`, `RELATIONS` and `EDGES`; one node, `ex:control`, has no edge."""
    ids = sorted(NODES)
    node = {i: n for n, i in enumerate(ids)}
    relation = {r.id: n for n, r in enumerate(RELATIONS)}
    sources = ["animals", "words"]
    rows = sorted((node[s], relation[r], node[o], w, sources.index(k)) for s, r, o, w, k in EDGES)
    columns = [np.asarray(c) for c in zip(*rows, strict=True)]
    return KnowledgeGraph(
        ids=tuple(ids),
        kinds=tuple(NODES[i][0] for i in ids),
        labels=tuple(NODES[i][1] for i in ids),
        texts=tuple(NODES[i][2] for i in ids),
        node_sources=tuple(NODES[i][3] for i in ids),
        relations=RELATIONS,
        relation_sources=("words", "words", "animals", "animals", "words"),
        subject=columns[0],
        relation=columns[1],
        object=columns[2],
        weight=columns[3].astype(np.float32),
        edge_source=columns[4],
        manifest={
            "name": "mixed",
            "sources": [{"name": name, "version": "1", "licence": "CC0", "files": {}} for name in sources],
            "prefixes": {"ex": "http://example.org/"},
        },
    )
