"""What a graph holds: sources, counts, components, depth, degrees, orphans, texts, coverage of a class list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csgraph, csr_matrix

from kgzsl.graphs.graph import KnowledgeGraph

#: Relations of which `subject relation object` puts the object above the subject.
TAXONOMIC = ("hypernym", "instance_hypernym", "inferred_hypernym")


def describe_graph(graph: KnowledgeGraph, classes: Sequence[str] | None = None, *, relation: str = "hypernym") -> dict[str, Any]:
    """Return a description as JSON values.

    Parameters
    ----------
    classes : ids whose coverage is reported: how many are nodes, how many of these have an edge, which are missing.
    relation : the relation whose depth is measured, from nodes without a parent downwards by the shortest way; left out when the
        graph lacks it. Nodes that only a cycle leads to are counted as `in_or_below_cycles` and have no depth.

    Returns
    -------
    Counts of nodes, edges, kinds and relations; `relations_per_source` and `kinds_per_source`, relation or kind → source → count;
    components, degree (in, out, both), orphans, texts and, where they apply, depth and classes.
    """
    degree = np.bincount(graph.subject, minlength=len(graph)) + np.bincount(graph.object, minlength=len(graph))
    record: dict[str, Any] = {
        "name": graph.name,
        "digest": graph.digest,
        **graph.counts(),
        "relations_per_source": _relations_per_source(graph),
        "kinds_per_source": _kinds_per_source(graph),
        "edges_per_source": _edges_per_source(graph),
        "sources": list(graph.manifest.get("sources", ())),
        "dropped": dict(graph.manifest.get("dropped", {})),
        "builder": graph.manifest.get("builder"),
        "components": _components(graph),
        "degree": _degree(graph, degree),
        "largest_degree": [f"{graph.ids[i]} {graph.labels[i]} ({degree[i]})" for i in np.argsort(-degree, kind="stable")[:5].tolist()],
        "weight": _weight(graph.weight),
        "orphans": int((degree == 0).sum()),
        "texts": _texts(graph),
        "without_text": sum(not t for t in graph.texts),
    }
    if relation in record["relations"]:
        record["depth"] = {"relation": relation, **_depth(graph, relation)}
    if classes is not None:
        record["classes"] = _coverage(graph, classes, degree)
    return record


def _relations_per_source(graph: KnowledgeGraph) -> dict[str, dict[str, int]]:
    wide = max(len(graph.source_names), 1)
    cells = np.bincount(graph.relation * wide + graph.edge_source, minlength=len(graph.relations) * wide).reshape(-1, wide)
    names = graph.source_names or ("unknown",)
    return {r.id: {n: int(c) for n, c in zip(names, row, strict=True) if c} for r, row in zip(graph.relations, cells, strict=True)}


def _kinds_per_source(graph: KnowledgeGraph) -> dict[str, dict[str, int]]:
    table = pa.table({"kind": pa.array(graph.kinds, pa.string()), "source": pa.array(graph.node_sources, pa.string())})
    result: dict[str, dict[str, int]] = {}
    for row in (
        table.group_by(["kind", "source"])
        .aggregate([([], "count_all")])
        .sort_by([("kind", "ascending"), ("source", "ascending")])
        .to_pylist()
    ):
        result.setdefault(row["kind"], {})[row["source"]] = row["count_all"]
    return result


def _edges_per_source(graph: KnowledgeGraph) -> dict[str, int]:
    count = np.bincount(graph.edge_source, minlength=len(graph.source_names))
    return {name: int(n) for name, n in zip(graph.source_names, count, strict=False)}


def _components(graph: KnowledgeGraph) -> dict[str, int]:
    n = len(graph)
    links = csr_matrix((np.ones(len(graph.subject), dtype=np.int8), (graph.subject, graph.object)), shape=(n, n))
    count, member = csgraph.connected_components(links, directed=False)
    return {"count": int(count), "largest": int(np.bincount(member).max())}


def _degree(graph: KnowledgeGraph, degree: np.ndarray) -> dict[str, float]:
    quantiles = np.quantile(degree, [0.5, 0.9, 0.99])
    return {
        "mean": float(degree.mean()),
        "median": float(quantiles[0]),
        "p90": float(quantiles[1]),
        "p99": float(quantiles[2]),
        "max": int(degree.max()),
        "max_out": int(np.bincount(graph.subject, minlength=1).max()),
        "max_in": int(np.bincount(graph.object, minlength=1).max()),
    }


def _weight(weight: np.ndarray) -> dict[str, float | int]:
    finite = weight[np.isfinite(weight)].astype(np.float64)
    if not len(finite):
        return {"other_than_one": len(weight)}
    return {
        "min": float(finite.min()),
        "mean": float(finite.mean()),
        "max": float(finite.max()),
        "other_than_one": int((weight != 1).sum()),
    }


def _texts(graph: KnowledgeGraph) -> dict[str, float | int]:
    """How many nodes have a text and how many words it has."""
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pa.array(graph.texts, pa.string()))))
    with_text = np.asarray(pc.not_equal(pa.array(graph.texts, pa.string()), "").to_numpy(zero_copy_only=False), dtype=bool)
    count = np.asarray(words)[with_text]
    return {
        "with_text": int(with_text.sum()),
        "share": float(with_text.mean()),
        "words_mean": float(count.mean()) if len(count) else 0.0,
        "words_median": float(np.median(count)) if len(count) else 0.0,
        "words_max": int(count.max()) if len(count) else 0,
        "without_label": sum(not label.strip() for label in graph.labels),
    }


def _depth(graph: KnowledgeGraph, relation: str) -> dict[str, float | int]:
    child, parent, _ = graph.edges_of(relation)
    n = len(graph)
    has_parent = np.zeros(n, dtype=bool)
    has_parent[child] = True
    roots = np.flatnonzero(~has_parent)
    # one node above all roots makes it a single search, in compiled code however deep a chain is
    above = np.concatenate([parent, np.full(len(roots), n)])
    below = np.concatenate([child, roots])
    links = csr_matrix((np.ones(len(above), dtype=np.int8), (above, below)), shape=(n + 1, n + 1))
    order, before = csgraph.breadth_first_order(links, n, directed=True, return_predecessors=True)
    level = _levels(order, before)
    involved = np.zeros(n, dtype=bool)
    involved[child] = involved[parent] = True
    depths = level[:n][involved & (level[:n] >= 0)]
    return {
        "max": int(level[:n].max()) if n else 0,
        "mean": float(depths.mean()) if len(depths) else 0.0,
        "roots": len(roots),
        "in_or_below_cycles": int((level[:n] < 0).sum()),
    }


def _levels(order: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return the depth below `order[0]`'s children of every node by its predecessors of a breadth-first search; −1 if not reached."""
    level = np.full(len(before), -1, dtype=np.int64)
    # in the order of the search levels are blocks: a block ends where the predecessors leave the block before
    place = np.zeros(len(before), dtype=np.int64)
    place[order] = np.arange(len(order))
    above = place[before[order[1:]]]
    end, step = 1, -1
    level[order[0]] = step
    while end < len(order):
        step += 1
        stop = 1 + int(np.searchsorted(above, end))
        level[order[end:stop]] = step
        end = stop
    return level


def _coverage(graph: KnowledgeGraph, classes: Sequence[str], degree: np.ndarray) -> dict[str, Any]:
    present = [c for c in classes if c in graph]
    return {
        "asked": len(classes),
        "present": len(present),
        "connected": int((degree[graph.positions(present)] > 0).sum()),
        "missing": sorted(c for c in classes if c not in graph),
    }


def format_description(record: Mapping[str, Any]) -> str:
    """Return a description as text for a person."""
    lines = [f"{record['name']}: {record['nodes']:,} nodes, {record['edges']:,} edges, digest {record['digest'][:12]}"]
    for source in record["sources"]:
        lines.append(f"  source     {source['name']} {source['version']} ({source['licence']})")
        lines += [f"             {file} sha256 {sha}" for file, sha in source["files"].items()]
    for word, what in (("relation", "relations"), ("kind", "kinds")):
        shown, rest = most(record[what])
        lines += [f"  {word:<10} {name}: {n:,}{_by_source(record[f'{what}_per_source'][name])}" for name, n in shown]
        lines += [f"  {word:<10} … {rest:,} more"] if rest else []
    lines += [f"  dropped    {n:,} ({who}: {why})" for who, reasons in record["dropped"].items() for why, n in reasons.items()]
    lines += [f"  {name:<10} {value}" for name, value in structure(record)]
    return "\n".join(lines)


def most(counts: Mapping[str, int], limit: int = 50) -> tuple[list[tuple[str, int]], int]:
    """Return the entries that a person is shown, in their order, and how many there are beside; the largest are kept."""
    kept = set(sorted(counts, key=lambda name: -counts[name])[:limit])
    return [(name, n) for name, n in counts.items() if name in kept], len(counts) - len(kept)


def structure(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is said of the graph's shape, as (heading, sentence)."""
    parts, degree, texts, weight = (record[k] for k in ("components", "degree", "texts", "weight"))
    lines = [("components", f"{parts['count']:,}, the largest with {parts['largest']:,} nodes")]
    if "depth" in record:
        depth = record["depth"]
        said = f"{depth['max']} at most, {depth['mean']:.1f} on average, {depth['roots']:,} roots ({depth['relation']})"
        lines.append(("depth", said + (f"; {depth['in_or_below_cycles']:,} in or below cycles" if depth["in_or_below_cycles"] else "")))
    lines.append(
        (
            "degree",
            f"mean {degree['mean']:.2f}, 99 % below {degree['p99'] + 1:.0f}, at most {degree['max']:,}: {record['largest_degree'][0]}",
        )
    )
    if weight["other_than_one"]:
        spread = f"{weight['min']:.3g} to {weight['max']:.3g}, mean {weight['mean']:.3g}; " if "min" in weight else ""
        lines.append(("weights", f"{spread}{weight['other_than_one']:,} are not 1"))
    lines.append(("orphans", f"{record['orphans']:,} without an edge, {record['without_text']:,} without a text"))
    lines.append(
        ("texts", f"{texts['share']:.1%} of the nodes, {texts['words_mean']:.1f} words on average, {texts['words_max']:,} at most")
    )
    if "classes" in record:
        c = record["classes"]
        lines.append(("classes", f"{c['present']:,} of {c['asked']:,} are nodes, {c['connected']:,} have an edge"))
        if c["missing"]:
            more = f" (+{len(c['missing']) - 5} more)" if len(c["missing"]) > 5 else ""
            lines.append(("missing", ", ".join(c["missing"][:5]) + more))
    return lines


def _by_source(cells: Mapping[str, int]) -> str:
    return " (" + ", ".join(f"{name} {n:,}" for name, n in cells.items()) + ")" if len(cells) > 1 else ""
