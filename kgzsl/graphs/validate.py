"""What may be wrong with a graph whose files are sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.errors import first_five
from kgzsl.graphs.closure import steps
from kgzsl.graphs.cycles import in_cycles, shortest_cycle
from kgzsl.graphs.describe import TAXONOMIC
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.sources.vocabulary import vocabulary


@dataclass(frozen=True)
class Findings:
    """What `check_graph` found, one sentence each.

    Attributes
    ----------
    problems : the graph breaks a rule.
    notes : allowed, and worth knowing: labels that several nodes share, symmetric relations stated both ways.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]


def validate_graph(graph: KnowledgeGraph) -> list[str]:
    """Return the problems found, one sentence each; an empty list when there is none (see `check_graph`)."""
    return list(check_graph(graph).problems)


def check_graph(graph: KnowledgeGraph) -> Findings:
    """Look for what `KnowledgeGraph.load` cannot see: it checks digests, columns and ranges; here it is sense.

    Problems: repeated edges, self-loops, weights that are not finite and positive, nodes without a label, cycles in the taxonomy
    (one is named as a path), relations that neither the vocabulary nor a prefix explains, prefixes that the manifest does not map,
    symmetric relations stored in another way than the recipe says, counts that disagree with the tables. What the graph's recipe
    asks to keep (`edges: {self_loops: keep}`, `{cycles: keep}`) is a note.
    """
    asked = graph.manifest.get("recipe", {}).get("edges", {})
    problems, notes = [*_edge_problems(graph), *_node_problems(graph), *_name_problems(graph)], _shared_labels(graph)
    for found, allowed in ((_loops(graph), asked.get("self_loops") == "keep"), (_cycles(graph), asked.get("cycles") == "keep")):
        (notes if allowed else problems).extend(found)
    for sentence, wrong in _symmetric(graph, asked.get("symmetric", "as_stated")):
        (problems if wrong else notes).append(sentence)
    if "counts" in graph.manifest and graph.manifest["counts"] != graph.counts():
        problems.append("the counts in the manifest are not those of the tables")
    return Findings(tuple(problems), tuple(notes))


def _edge_problems(graph: KnowledgeGraph) -> list[str]:
    problems = []
    order = np.lexsort((graph.object, graph.relation, graph.subject))
    same = np.logical_and.reduce([c[order][1:] == c[order][:-1] for c in (graph.subject, graph.relation, graph.object)])
    if repeated := int(same.sum()):
        problems.append(f"{repeated:,} edges are stated more than once")
    wrong = np.flatnonzero(~np.isfinite(graph.weight) | (graph.weight <= 0))
    if len(wrong):
        named = first_five(f"{_edge(graph, e)} ({graph.weight[e]:g})" for e in wrong.tolist())
        problems.append(f"{len(wrong):,} weights are not finite and positive: {named}")
    return problems


def _loops(graph: KnowledgeGraph) -> list[str]:
    loops = graph.subject[graph.subject == graph.object].tolist()
    return [f"{len(loops):,} edges from a node to itself: {first_five(graph.ids[i] for i in loops)}"] if loops else []


def _edge(graph: KnowledgeGraph, edge: int) -> str:
    return f"{graph.ids[graph.subject[edge]]} {graph.relations[graph.relation[edge]].id} {graph.ids[graph.object[edge]]}"


def _node_problems(graph: KnowledgeGraph) -> list[str]:
    nameless = [i for i, label in zip(graph.ids, graph.labels, strict=True) if not label.strip()]
    return [f"{len(nameless):,} nodes have no label: {first_five(nameless)}"] if nameless else []


def _cycles(graph: KnowledgeGraph) -> list[str]:
    # of classes that are found to be equivalent each is inferred to be a kind of the other, and nothing is wrong with that
    codes = [i for i, r in enumerate(graph.relations) if r.id in TAXONOMIC and r.id != "inferred_hypernym"]
    chosen = np.isin(graph.relation, codes)
    subject, obj = graph.subject[chosen], graph.object[chosen]
    inside = in_cycles(subject, obj, len(graph)).tolist()
    if not inside:
        return []
    path = " → ".join(graph.ids[i] for i in shortest_cycle(subject, obj, len(graph), inside[0]))
    return [f"{len(inside):,} nodes are their own ancestor: {first_five(graph.ids[i] for i in inside)}; a cycle: {path}"]


def _name_problems(graph: KnowledgeGraph) -> list[str]:
    """Relations and prefixes that nothing explains; a whole IRI explains itself."""
    problems = []
    explained = vocabulary().relations.keys() | vocabulary().inverses.keys()
    if unknown := [r.id for r in graph.relations if ":" not in r.id and steps(r.id)[0] not in explained]:
        problems.append(f"{len(unknown):,} relations are not in the vocabulary and have no prefix of their own: {first_five(unknown)}")
    ids = pa.array([*graph.ids, *(r.id for r in graph.relations if ":" in r.id)], pa.string())
    ids = ids.filter(pc.invert(pc.match_substring(ids, "://")))
    prefixes = pc.struct_field(pc.extract_regex(ids, r"^(?P<prefix>[^:]*):"), "prefix").drop_null()
    counts = {c["values"]: c["counts"] for c in pc.value_counts(prefixes).to_pylist() if c["values"] not in graph.prefixes}
    if counts:
        named = first_five(f"{prefix} ({n:,})" for prefix, n in sorted(counts.items()))
        problems.append(f"{sum(counts.values()):,} ids have a prefix that the manifest does not map to an IRI: {named}")
    return problems


def _symmetric(graph: KnowledgeGraph, policy: str) -> list[tuple[str, bool]]:
    """Say how the edges of each symmetric relation are stored, and whether that breaks the recipe's policy."""
    said = []
    n = np.int64(len(graph))
    for code, relation in enumerate(graph.relations):
        if not relation.symmetric:
            continue
        chosen = (graph.relation == code) & (graph.subject != graph.object)
        subject, obj = graph.subject[chosen], graph.object[chosen]
        twice = int(np.isin(subject * n + obj, obj * n + subject).sum())
        once = len(subject) - twice
        wrong = (policy == "once" and twice > 0) or (policy == "both" and once > 0)
        if twice or wrong:
            sentence = f"symmetric relation {relation.id}: {twice // 2:,} pairs are stated in both directions, {once:,} in one"
            said.append((sentence + (f"; the recipe says {policy}" if wrong else ""), wrong))
    return said


def _shared_labels(graph: KnowledgeGraph) -> list[str]:
    counts = pc.value_counts(pa.array(graph.labels, pa.string()))
    shared = counts.filter(pc.greater(pc.struct_field(counts, "counts"), 1)).to_pylist()
    shared = sorted((c for c in shared if c["values"].strip()), key=lambda c: (-c["counts"], c["values"]))
    if not shared:
        return []
    named = first_five(f"{c['values'][:60]!r} ({c['counts']})" for c in shared)
    return [f"{sum(c['counts'] for c in shared):,} nodes share their label with another: {named}"]
