"""What may be wrong with a graph whose files are sound."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csgraph, csr_matrix

from kgzsl.errors import first_five
from kgzsl.graphs.graph import KnowledgeGraph

_TAXONOMIC = ("hypernym", "instance_hypernym")


def validate_graph(graph: KnowledgeGraph) -> list[str]:
    """Return the problems found, one sentence each; an empty list when there is none.

    Digests, columns and ranges are checked by `KnowledgeGraph.load`; here it is what they cannot see: repeated edges,
    self-loops, weights that are not finite and positive, cycles in the taxonomy, nodes without a label, counts that disagree.
    """
    problems = []
    triples = np.stack([graph.subject, graph.relation, graph.object], axis=1)
    repeated = len(triples) - len(np.unique(triples, axis=0))
    if repeated:
        problems.append(f"{repeated:,} edges are stated more than once")
    if loops := graph.subject[graph.subject == graph.object].tolist():
        problems.append(f"{len(loops):,} edges from a node to itself: {first_five(graph.ids[i] for i in loops)}")
    if wrong := int((~np.isfinite(graph.weight) | (graph.weight <= 0)).sum()):
        problems.append(f"{wrong:,} weights are not finite and positive")
    if nameless := [i for i, label in zip(graph.ids, graph.labels, strict=True) if not label.strip()]:
        problems.append(f"{len(nameless):,} nodes have no label: {first_five(nameless)}")
    if cyclic := _in_cycles(graph):
        problems.append(f"{len(cyclic):,} nodes are their own ancestor: {first_five(cyclic)}")
    if "counts" in graph.manifest and graph.manifest["counts"] != graph.counts():
        problems.append("the counts in the manifest are not those of the tables")
    return problems


def _in_cycles(graph: KnowledgeGraph) -> list[str]:
    n = len(graph)
    codes = [i for i, r in enumerate(graph.relations) if r.id in _TAXONOMIC]
    chosen = np.isin(graph.relation, codes) & (graph.subject != graph.object)
    links = csr_matrix((np.ones(int(chosen.sum()), dtype=np.int8), (graph.subject[chosen], graph.object[chosen])), shape=(n, n))
    _, member = csgraph.connected_components(links, directed=True, connection="strong")
    inside = np.flatnonzero(np.bincount(member)[member] > 1)
    return [graph.ids[i] for i in inside.tolist()]
