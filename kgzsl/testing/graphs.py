"""Small graphs for tests: WordNet dictionary files in the true format, and graphs from a few edges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kgzsl.graphs import KnowledgeGraph
from kgzsl.sources import Relation

Synset = tuple[str, str, str, Sequence[tuple[str, str]]]  # key, lemmas, gloss, (pointer symbol, key) …

HEADER = [
    "  1 This software and database is being provided to you, the LICENSEE, by  ",
    "  2 WordNet {version} Copyright 2006 by Princeton University.  All rights reserved.  ",
]

#: entity ← animal ← {dog, cat} ← {puppy of dog; lassie, an instance of dog}; a dog has a paw; thing stands alone.
SYNSETS: list[Synset] = [
    ("entity", "entity", "that which exists", []),
    ("animal", "animal beast", 'a living organism; "it moves"', [("@", "entity")]),
    ("dog", "dog domestic_dog", 'a member of the genus Canis; "the dog barked"; "dogs"', [("@", "animal"), ("%p", "paw")]),
    ("cat", "cat", "a feline mammal", [("@", "animal")]),
    ("puppy", "puppy", "a young dog", [("@", "dog")]),
    ("lassie", "Lassie", "a famous collie", [("@i", "dog")]),
    ("paw", "paw", "a clawed foot", [("@", "entity"), ("#p", "dog")]),
    ("thing", "thing", "not otherwise named", []),
]


def write_wordnet(folder: Path, synsets: Sequence[Synset] = SYNSETS, version: str = "3.0") -> dict[str, str]:
    """Write `data.noun` into `folder` and return key → CURIE."""
    header = "".join(f"{line.format(version=version)}\n" for line in HEADER)
    place, offsets = len(header), {}
    for key, *_ in synsets:
        offsets[key] = place
        place += len(_line(key, dict(zip((s[0] for s in synsets), [0] * len(synsets), strict=True)), synsets))
    folder.mkdir(parents=True, exist_ok=True)
    body = "".join(_line(key, offsets, synsets) for key, *_ in synsets)
    (folder / "data.noun").write_text(header + body, encoding="utf-8", newline="\n")
    return {key: f"wn30:n{offset:08d}" for key, offset in offsets.items()}


def _line(key: str, offsets: dict[str, int], synsets: Sequence[Synset]) -> str:
    _, lemmas, gloss, pointers = next(s for s in synsets if s[0] == key)
    words = lemmas.split()
    text = f"{offsets[key]:08d} 05 n {len(words):02x} " + " ".join(f"{w} 0" for w in words) + f" {len(pointers):03d}"
    text += "".join(f" {symbol} {offsets[target]:08d} n 0000" for symbol, target in pointers)
    return f"{text} | {gloss}  \n"


def graph_of(
    nodes: int, edges: Sequence[tuple[int, int]], relation: str = "hypernym", weights: Sequence[float] | None = None
) -> KnowledgeGraph:
    """Return a graph of nodes `t:000 …` with edges (subject, object) of one relation."""
    ordered = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    count = len(ordered)
    return KnowledgeGraph(
        ids=tuple(f"t:{i:03d}" for i in range(nodes)),
        kinds=("concept",) * nodes,
        labels=tuple(f"node {i}" for i in range(nodes)),
        texts=tuple(f"the node {i}" for i in range(nodes)),
        node_sources=("test",) * nodes,
        relations=(Relation(relation, "is a kind of"),),
        relation_sources=("test",),
        subject=ordered[:, 0],
        relation=np.zeros(count, dtype=np.int64),
        object=ordered[:, 1],
        weight=np.asarray(weights if weights is not None else np.ones(count), dtype=np.float32),
        edge_source=np.zeros(count, dtype=np.int64),
        manifest={
            "name": "test",
            "sources": [{"name": "test", "version": "1", "licence": "CC0", "files": {}}],
            "prefixes": {"t": "urn:kgzsl:test:"},
        },
    )
