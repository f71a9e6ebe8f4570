"""Names → nodes of WordNet's nouns: how many of five real lists are linked right, by each choice of meaning, and how fast.

    KGZSL_DATA=… python scripts/bench/linking.py

The truth is what people chose: K-ZSL's ids of AwA's animals, classes.json of Caltech-101's, the shipped table of CUB's birds, LVIS's
synsets. `label`, `first` and `gloss` are those of `kgzsl link --sense`; `name alone` is `gloss` without the company of the other names,
`described` with AwA's twelve strongest attributes or CUB's LLM descriptions. LVIS's own definitions are WordNet's, so they are not used.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kgzsl import data
from kgzsl.data import benchmark_path
from kgzsl.datasets import class_links, read_feature_set
from kgzsl.datasets.kzsl import kzsl_names
from kgzsl.experiments.runner import environment
from kgzsl.graphs import KnowledgeGraph, Link, compile_graph, link
from kgzsl.sources import sense_order
from kgzsl.vectors import MiniLM
from kgzsl.vectors.meaning import GlossSimilarity

Lists = dict[str, tuple[list[str], list[str], dict[str, list[str]] | None, str | None]]


def main() -> None:
    """Print one JSON record: names linked right per list and choice, counts of every status, and seconds of the processor."""
    graph = compile_graph("wordnet-nouns")
    senses, model = sense_order(data.locate("wordnet-3.0")), MiniLM()
    record: dict[str, Any] = {}
    for name, (names, truth, said, below) in lists(senses).items():
        record[name] = measure(graph, names, truth, said, below, senses, model)
    names = [label.split(", ")[-1] for label in graph.labels[::4]]
    start = time.process_time()
    link(names, replace(graph), senses=senses)
    speed = {"names": len(names), "nodes": len(graph), "cpu_seconds": time.process_time() - start}
    print(json.dumps({"lists": record, "speed": speed, "environment": environment()}, indent=1))


def measure(
    graph: KnowledgeGraph,
    names: list[str],
    truth: list[str],
    said: dict[str, list[str]] | None,
    below: str | None,
    senses: dict[str, tuple[str, ...]],
    model: MiniLM,
) -> dict[str, Any]:
    """Link one list by every choice and count what is right."""
    plain = link(names, graph, below)
    sure = graph.positions([one.node for one in plain if one.status == "exact" and one.node]).tolist()

    def by_gloss(texts: dict[str, list[str]] | None, company: Sequence[int]) -> tuple[Link, ...]:
        return link(names, graph, below, similarity=GlossSimilarity(graph, names, texts, company, model))

    ways: dict[str, Callable[[], tuple[Link, ...]]] = {
        "label": lambda: plain,
        "first": lambda: link(names, graph, below, senses=senses),
        "name alone": lambda: by_gloss(None, ()),
        "gloss": lambda: by_gloss(None, sure),
    }
    if said:
        ways["described"] = lambda: by_gloss(said, sure)
    exact = [one.node == t for one, t in zip(plain, truth, strict=True) if one.status == "exact"]
    return {
        "names": len(names),
        "status": {s: sum(one.status == s for one in plain) for s in ("exact", "ambiguous", "none")},
        "exact_and_right": sum(exact),
        "right_candidate_there": sum(t in one.candidates for one, t in zip(plain, truth, strict=True)),
        "right": {way: sum(one.node == t for one, t in zip(run(), truth, strict=True)) for way, run in ways.items()},
    }


def lists(senses: dict[str, tuple[str, ...]]) -> Lists:
    """Return name of the list → names, true nodes, descriptions, and the node to stay below."""
    animals = kzsl_names("AwA")
    names = [n.replace("+", " ") for n in animals.values()]
    table = read_feature_set("awa1").embeddings
    strongest = np.argsort(-table.rows([f"awa:{n}" for n in animals.values()]))[:, :12]
    said = {
        n: ["an animal that is " + ", ".join(table.meta["columns"][k] for k in row)]
        for n, row in zip(names, strongest.tolist(), strict=True)
    }
    caltech = json.loads((benchmark_path("caltech101_unseen") / "classes.json").read_text(encoding="utf-8"))
    birds = class_links("cub").classes
    labels, parents = [b.label for b in birds], [b.parents[0] for b in birds]
    semantics = benchmark_path("semantics")
    written = {_letters(k): v for k, v in json.loads((semantics / "descriptors_cub.json").read_text(encoding="utf-8")).items()}
    described = {n: written[_letters(n)] for n in labels if _letters(n) in written}
    return {
        "AwA": (names, list(animals), said, None),
        "AwA below animal": (names, list(animals), None, "wn30:n00015388"),
        "Caltech-101": ([c["caltech_name"].replace("_", " ") for c in caltech.values()], [f"wn30:{i}" for i in caltech], None, None),
        "CUB": (labels, parents, described, None),
        "CUB below bird": (labels, parents, described, "wn30:n01503061"),
        "LVIS": (*_lvis(json.loads((semantics / "lvis_categories.json").read_text(encoding="utf-8")), senses), None, None),
    }


def _lvis(categories: list[dict[str, Any]], senses: dict[str, tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """Names without their remarks in brackets, and the synset of `lemma.n.number`, which counts the lemma's meanings."""
    names, truth = [], []
    for category in categories:
        lemma, part, number = category["synset"].rsplit(".", 2)
        known = senses.get(lemma.replace("_", " "), ())
        if part == "n" and 1 <= int(number) <= len(known):
            names.append(re.sub(r" \(.*\)", "", category["name"].replace("_", " ")))
            truth.append(known[int(number) - 1])
    return names, truth


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalpha())


if __name__ == "__main__":
    main()
