"""What two graphs differ in: nodes, relations and edges by id, per source, and their manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.graph import KnowledgeGraph

#: Of a manifest, what follows from the tables or from the rest of it.
_DERIVED = ("kind", "format_version", "files", "digest", "counts", "content_digest")
#: Largest key that fits.
KEY_LIMIT = 2**63
_NODE_COLUMNS = ("kinds", "labels", "texts", "node_sources")


def diff_graphs(before: KnowledgeGraph, after: KnowledgeGraph, *, examples: int = 10) -> dict[str, Any]:
    """Return what `after` has that `before` has not, and the other way round, as JSON values.

    Nodes and relations are joined by id, edges by the ids of subject, relation and object. Of an edge that a graph states more than
    once the heaviest counts.

    Parameters
    ----------
    examples : at most so many examples of each kind of difference, in the order of ids.

    Returns
    -------
    `equal` (tables), `same_manifest`, `before` and `after` (name, digest, counts); `nodes`, `relations`, `edges`: each with `added`,
    `removed`, `changed` and `same` as counts, `by_source` (source → counts) and `examples`; nodes also `by_kind` and `changed_columns`,
    edges `by_relation`; `manifest`: what its entries were and are.

    Raises
    ------
    InvalidInputError : `examples` is negative.
    """
    if examples < 0:
        raise InvalidInputError("the number of examples is 0 or more", received=examples)
    nodes, where = _nodes(before, after, examples)
    relations = _relations(before, after, examples)
    edges = _edges(before, after, where, examples)
    manifest = _manifests(before.manifest, after.manifest)
    return {
        "equal": not any(part[what] for part in (nodes, relations, edges) for what in ("added", "removed", "changed")),
        "same_manifest": not manifest,
        "before": _identity(before),
        "after": _identity(after),
        "nodes": nodes,
        "relations": relations,
        "edges": edges,
        "manifest": manifest,
    }


def _identity(graph: KnowledgeGraph) -> dict[str, Any]:
    return {"name": graph.name, "digest": graph.digest, "nodes": len(graph), "edges": len(graph.subject)}


def _nodes(before: KnowledgeGraph, after: KnowledgeGraph, examples: int) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    """The difference of the nodes, and the place of each graph's nodes on the axis of both."""
    ids = [pa.array(g.ids, pa.string()) for g in (before, after)]
    encoded = pa.chunked_array(ids).unify_dictionaries().combine_chunks().dictionary_encode()
    codes = np.asarray(encoded.indices).astype(np.int64)
    where = codes[: len(before)], codes[len(before) :]
    place = [np.full(len(encoded.dictionary), -1, dtype=np.int64) for _ in where]
    for places, at in zip(place, where, strict=True):
        places[at] = np.arange(len(at))
    added = place[1][(place[0] < 0) & (place[1] >= 0)]
    removed = place[0][(place[0] >= 0) & (place[1] < 0)]
    shared = (place[0] >= 0) & (place[1] >= 0)
    old, new = place[0][shared], place[1][shared]
    unequal = {}
    for column in _NODE_COLUMNS:
        a, b = (pa.array(getattr(g, column), pa.string()) for g in (before, after))
        unequal[column] = np.asarray(pc.not_equal(a.take(pa.array(old)), b.take(pa.array(new))).to_numpy(zero_copy_only=False), dtype=bool)
    changed = np.logical_or.reduce(list(unequal.values()))
    picked = np.flatnonzero(changed)[np.argsort(old[changed], kind="stable")][:examples].tolist()
    return {
        **_counts(added, removed, changed),
        "changed_columns": {_singular(c): int(u.sum()) for c, u in unequal.items() if u.any()},
        "by_kind": _by(before.kinds, after.kinds, added, removed, old[changed]),
        "by_source": _by(before.node_sources, after.node_sources, added, removed, old[changed]),
        "examples": {
            "added": [_node(after, i) for i in np.sort(added)[:examples].tolist()],
            "removed": [_node(before, i) for i in np.sort(removed)[:examples].tolist()],
            "changed": [
                {
                    "id": before.ids[old[k]],
                    **{_singular(c): [getattr(before, c)[old[k]], getattr(after, c)[new[k]]] for c, u in unequal.items() if u[k]},
                }
                for k in picked
            ],
        },
    }, where


def _singular(column: str) -> str:
    return column.removeprefix("node_").removesuffix("s")


def _node(graph: KnowledgeGraph, i: int) -> dict[str, str]:
    return {"id": graph.ids[i], "label": graph.labels[i], "kind": graph.kinds[i]}


def _counts(added: np.ndarray, removed: np.ndarray, changed: np.ndarray) -> dict[str, int]:
    return {"added": len(added), "removed": len(removed), "changed": int(changed.sum()), "same": int((~changed).sum())}


def _by(
    before: Sequence[str], after: Sequence[str], added: np.ndarray, removed: np.ndarray, changed: np.ndarray
) -> dict[str, dict[str, int]]:
    """Count differences per value of a column: of removed and changed rows as it was, of added rows as it is."""
    result: dict[str, dict[str, int]] = {}
    for what, column, rows in (("added", after, added), ("removed", before, removed), ("changed", before, changed)):
        chosen = pa.array(column, pa.string()).take(pa.array(rows, pa.int64()))
        for entry in pc.value_counts(chosen).to_pylist():
            result.setdefault(entry["values"], {"added": 0, "removed": 0, "changed": 0})[what] = entry["counts"]
    return dict(sorted(result.items()))


def _relations(before: KnowledgeGraph, after: KnowledgeGraph, examples: int) -> dict[str, Any]:
    rows = [
        {
            r.id: {"label": r.label, "symmetric": r.symmetric, "inverse": r.inverse, "source": s}
            for r, s in zip(g.relations, g.relation_sources, strict=True)
        }
        for g in (before, after)
    ]
    old, new = rows
    added, removed = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    changed = [r for r in sorted(old.keys() & new.keys()) if old[r] != new[r]]
    by_source: dict[str, dict[str, int]] = {}
    for what, names, of in (("added", added, new), ("removed", removed, old), ("changed", changed, old)):
        for name in names:
            by_source.setdefault(str(of[name]["source"]), {"added": 0, "removed": 0, "changed": 0})[what] += 1
    return {
        "added": len(added),
        "removed": len(removed),
        "changed": len(changed),
        "same": len(old.keys() & new.keys()) - len(changed),
        "by_source": dict(sorted(by_source.items())),
        "examples": {
            "added": added[:examples],
            "removed": removed[:examples],
            "changed": [{"id": r, **{k: [old[r][k], new[r][k]] for k in old[r] if old[r][k] != new[r][k]}} for r in changed[:examples]],
        },
    }


class _Edges:
    """The edges of one graph, one row per subject, relation and object, sorted by a key that both graphs share."""

    def __init__(self, graph: KnowledgeGraph, node: np.ndarray, relation: np.ndarray, key: np.ndarray) -> None:
        self.graph = graph
        order = np.lexsort((graph.edge_source, -graph.weight, key))
        first = np.ones(len(order), dtype=bool)
        first[1:] = key[order][1:] != key[order][:-1]
        self.row = order[first]
        self.key = key[self.row]
        self.weight = graph.weight[self.row]
        self.sources = [*graph.source_names, *["unknown"] * (int(graph.edge_source.max(initial=0)) + 1)]
        self.source = [self.sources[i] for i in graph.edge_source[self.row].tolist()]
        self.relation = [graph.relations[i].id for i in graph.relation[self.row].tolist()]

    def show(self, i: int) -> list[str]:
        """Subject, relation and object of the i-th row, by id."""
        g, e = self.graph, int(self.row[i])
        return [g.ids[g.subject[e]], g.relations[g.relation[e]].id, g.ids[g.object[e]]]


def _keyed(graphs: tuple[KnowledgeGraph, KnowledgeGraph], where: tuple[np.ndarray, np.ndarray]) -> list[_Edges]:
    """Both graphs' edges over one axis of nodes and one of relations.

    A key of subject, relation and object fits 64 bits up to some hundred million nodes; beyond, ranks of pairs stand in for it.
    """
    names = sorted({r.id for g in graphs for r in g.relations})
    code = {name: i for i, name in enumerate(names)}
    relation = [np.asarray([code[r.id] for r in g.relations], dtype=np.int64) for g in graphs]
    columns = [(at[g.subject], r[g.relation], at[g.object]) for g, at, r in zip(graphs, where, relation, strict=True)]
    nodes = int(max((at.max(initial=-1) for at in where), default=-1)) + 1
    if nodes * nodes * max(len(names), 1) < KEY_LIMIT:
        keys = [(s * max(len(names), 1) + r) * nodes + o for s, r, o in columns]
    else:
        both = np.concatenate([np.stack(c, axis=1) for c in columns])
        ranks = np.unique(both, axis=0, return_inverse=True)[1].ravel()
        keys = [ranks[: len(columns[0][0])], ranks[len(columns[0][0]) :]]
    return [_Edges(g, at, r, k) for g, at, r, k in zip(graphs, where, relation, keys, strict=True)]


def _edges(before: KnowledgeGraph, after: KnowledgeGraph, where: tuple[np.ndarray, np.ndarray], examples: int) -> dict[str, Any]:
    old, new = _keyed((before, after), where)
    added = np.flatnonzero(~np.isin(new.key, old.key, assume_unique=True))
    removed = np.flatnonzero(~np.isin(old.key, new.key, assume_unique=True))
    _, shared_old, shared_new = np.intersect1d(old.key, new.key, assume_unique=True, return_indices=True)
    a, b = old.weight[shared_old], new.weight[shared_new]
    heavier = (a != b) & ~(np.isnan(a) & np.isnan(b))
    sources = [pa.array(e.source, pa.string()).take(pa.array(at)) for e, at in ((old, shared_old), (new, shared_new))]
    moved = np.asarray(pc.not_equal(*sources).to_numpy(zero_copy_only=False), dtype=bool)
    changed = heavier | moved
    # rows of both are shown in the order of their ids, which is that of the tables
    picked = np.flatnonzero(changed)[np.argsort(old.row[shared_old[changed]], kind="stable")][:examples].tolist()
    return {
        **_counts(added, removed, changed),
        "changed_columns": {name: int(u.sum()) for name, u in (("weight", heavier), ("source", moved)) if u.any()},
        "by_relation": _by(old.relation, new.relation, added, removed, shared_old[changed]),
        "by_source": _by(old.source, new.source, added, removed, shared_old[changed]),
        "examples": {
            "added": [new.show(i) for i in added[np.argsort(new.row[added], kind="stable")][:examples].tolist()],
            "removed": [old.show(i) for i in removed[np.argsort(old.row[removed], kind="stable")][:examples].tolist()],
            "changed": [
                {
                    "edge": old.show(int(shared_old[k])),
                    **({"weight": [_weight(a[k]), _weight(b[k])]} if heavier[k] else {}),
                    **({"source": [old.source[shared_old[k]], new.source[shared_new[k]]]} if moved[k] else {}),
                }
                for k in picked
            ],
        },
    }


def _weight(weight: np.float32) -> float | str:
    return float(str(weight)) if np.isfinite(weight) else str(weight)  # JSON has no NaN


def _manifests(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return path → [was, is] of the entries that differ; None where an entry is in one only."""
    old, new = ({k: v for k, v in m.items() if k not in _DERIVED} for m in (before, after))
    flat = _flat(old), _flat(new)
    paths = sorted(flat[0].keys() | flat[1].keys())
    return {p: [flat[0].get(p), flat[1].get(p)] for p in paths if flat[0].get(p) != flat[1].get(p)}


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested objects and lists by their path; sources by name, so that one more of them moves nothing."""
    if isinstance(value, list | tuple) and path == "sources":
        value = {str(s.get("name", i)): s for i, s in enumerate(value)}
    if isinstance(value, list | tuple):
        value = {str(i): v for i, v in enumerate(value)}
    if isinstance(value, Mapping) and value:
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{path}.{key}" if path else str(key)).items()}
    return {path: value if not isinstance(value, Mapping) else {}}


def format_diff(record: Mapping[str, Any], examples: int = 10) -> str:
    """Return a difference as text for a person; lines of examples start with `+`, `-` or `~`."""
    lines = [_title("before", record["before"]), _title("after ", record["after"])]
    if record["equal"]:
        lines.append("equal: the same nodes, relations and edges" + ("" if record["same_manifest"] else "; the manifests differ"))
    for part in ("nodes", "relations", "edges"):
        lines += _part(part, record[part], examples)
    if record["manifest"]:
        lines.append(f"manifest: {len(record['manifest']):,} entries differ")
        shown = list(record["manifest"].items())[: max(examples, 0)]
        lines += [f"  {path}: {_short(old)} → {_short(new)}" for path, (old, new) in shown]
        if len(shown) < len(record["manifest"]):
            lines.append(f"  … {len(record['manifest']) - len(shown):,} more")
    return "\n".join(lines)


def _title(word: str, graph: Mapping[str, Any]) -> str:
    return f"{word} {graph['name']}: {graph['nodes']:,} nodes, {graph['edges']:,} edges, digest {graph['digest'][:12]}"


def _part(name: str, part: Mapping[str, Any], examples: int) -> list[str]:
    if not (part["added"] or part["removed"] or part["changed"]):
        return []
    lines = [f"{name}: {part['added']:,} added, {part['removed']:,} removed, {part['changed']:,} changed, {part['same']:,} the same"]
    if columns := part.get("changed_columns"):
        lines.append("  changed in " + ", ".join(f"{c} ({n:,})" for c, n in columns.items()))
    for heading in ("by_kind", "by_relation", "by_source"):
        for value, n in part.get(heading, {}).items():
            lines.append(f"  {heading.removeprefix('by_'):<9} {value}: +{n['added']:,} -{n['removed']:,} ~{n['changed']:,}")
    for mark, what in (("+", "added"), ("-", "removed"), ("~", "changed")):
        shown = part["examples"][what][:examples]
        lines += [f"  {mark} {_example(e)}" for e in shown]
        if part[what] > len(shown) and shown:
            lines.append(f"  {mark} … {part[what] - len(shown):,} more")
    return lines


def _example(example: Any) -> str:
    if isinstance(example, list):
        return " ".join(example)
    if not isinstance(example, Mapping):
        return str(example)
    name = " ".join(example["edge"]) if "edge" in example else example["id"]
    changes = [f"{k}: {_short(v[0])} → {_short(v[1])}" for k, v in example.items() if isinstance(v, list) and k != "edge"]
    return f"{name}  {'; '.join(changes)}" if changes else f"{name}  {example.get('label', '')}"


def _short(value: Any) -> str:
    text = "—" if value is None else str(value)
    return text if len(text) <= 80 else text[:79] + "…"
