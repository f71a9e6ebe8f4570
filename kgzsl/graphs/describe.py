"""What a graph holds: sources, counts, components, depth, degrees, orphans, coverage of a class list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csgraph, csr_matrix

from kgzsl.graphs.graph import KnowledgeGraph


def describe_graph(graph: KnowledgeGraph, classes: Sequence[str] | None = None, *, relation: str = "hypernym") -> dict[str, Any]:
    """Return a description as JSON values.

    Parameters
    ----------
    classes : ids whose coverage is reported: how many are nodes, how many of these have an edge, which are missing.
    relation : the relation whose depth is measured, from nodes without a parent downwards; left out when the graph lacks it.
    """
    degree = np.bincount(graph.subject, minlength=len(graph)) + np.bincount(graph.object, minlength=len(graph))
    record: dict[str, Any] = {
        "name": graph.name,
        "digest": graph.digest,
        **graph.counts(),
        "edges_per_source": _edges_per_source(graph),
        "sources": list(graph.manifest.get("sources", ())),
        "dropped": dict(graph.manifest.get("dropped", {})),
        "builder": graph.manifest.get("builder"),
        "components": _components(graph),
        "degree": {"mean": float(degree.mean()), "median": float(np.median(degree)), "max": int(degree.max())},
        "largest_degree": [f"{graph.ids[i]} {graph.labels[i]} ({degree[i]})" for i in np.argsort(-degree, kind="stable")[:5].tolist()],
        "orphans": int((degree == 0).sum()),
        "without_text": sum(not t for t in graph.texts),
    }
    if relation in record["relations"]:
        record["depth"] = _depth(graph, relation)
    if classes is not None:
        record["classes"] = _coverage(graph, classes, degree)
    return record


def format_description(record: Mapping[str, Any]) -> str:
    """Return a description as text for a person."""
    lines = [f"{record['name']}: {record['nodes']:,} nodes, {record['edges']:,} edges, digest {record['digest'][:12]}"]
    for source in record["sources"]:
        lines.append(f"  source     {source['name']} {source['version']} ({source['licence']})")
        lines += [f"             {file} sha256 {sha}" for file, sha in source["files"].items()]
    lines += [f"  relation   {name}: {n:,}" for name, n in record["relations"].items()]
    lines += [f"  kind       {name}: {n:,}" for name, n in record["kinds"].items()]
    lines += [f"  dropped    {n:,} ({who}: {why})" for who, reasons in record["dropped"].items() for why, n in reasons.items()]
    parts = record["components"]
    lines.append(f"  components {parts['count']:,}, the largest with {parts['largest']:,} nodes")
    if "depth" in record:
        lines.append(f"  depth      {record['depth']['max']} at most, {record['depth']['roots']:,} roots")
    lines.append(f"  degree     mean {record['degree']['mean']:.2f}, at most {record['degree']['max']:,}: {record['largest_degree'][0]}")
    lines.append(f"  orphans    {record['orphans']:,} without an edge, {record['without_text']:,} without a text")
    if "classes" in record:
        c = record["classes"]
        lines.append(f"  classes    {c['present']:,} of {c['asked']:,} are nodes, {c['connected']:,} have an edge")
        if c["missing"]:
            lines.append(
                f"  missing    {', '.join(c['missing'][:5])}" + (f" (+{len(c['missing']) - 5} more)" if len(c["missing"]) > 5 else "")
            )
    return "\n".join(lines)


def _edges_per_source(graph: KnowledgeGraph) -> dict[str, int]:
    count = np.bincount(graph.edge_source, minlength=len(graph.source_names))
    return {name: int(n) for name, n in zip(graph.source_names, count, strict=False)}


def _components(graph: KnowledgeGraph) -> dict[str, int]:
    n = len(graph)
    links = csr_matrix((np.ones(len(graph.subject), dtype=np.int8), (graph.subject, graph.object)), shape=(n, n))
    count, member = csgraph.connected_components(links, directed=False)
    return {"count": int(count), "largest": int(np.bincount(member).max())}


def _depth(graph: KnowledgeGraph, relation: str) -> dict[str, int]:
    child, parent, _ = graph.edges_of(relation)
    has_parent = np.zeros(len(graph), dtype=bool)
    has_parent[child] = True
    frontier = ~has_parent
    seen, deepest, step = frontier.copy(), 0, 0
    while frontier.any():
        deepest = step
        reached = np.zeros_like(seen)
        reached[child[frontier[parent]]] = True
        frontier = reached & ~seen
        seen |= frontier
        step += 1
    return {"max": deepest, "roots": int((~has_parent).sum())}


def _coverage(graph: KnowledgeGraph, classes: Sequence[str], degree: np.ndarray) -> dict[str, Any]:
    present = [c for c in classes if c in graph]
    return {
        "asked": len(classes),
        "present": len(present),
        "connected": int((degree[graph.positions(present)] > 0).sum()),
        "missing": sorted(c for c in classes if c not in graph),
    }
