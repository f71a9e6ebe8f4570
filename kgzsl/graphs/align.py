"""Alignment: nodes of different sources that are one thing become one node, or are joined by an edge.

A recipe's `align` is a list of steps, each seeing the ids that those before it left:

* `links: FILE.tsv` — a table of `kgzsl link`, edited by a person: its `name` column holds ids here.
* `prefix: {from: AwA, to: wn30}` — exact CURIEs: `AwA:n02084071` is `wn30:n02084071` where a source has that node.
* `labels: {from: cn, to: wn30}` — a node of one prefix whose label is a lemma of a node of the other.
* `relations: [equivalent]` — nodes connected by these relations are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csgraph, csr_matrix

from kgzsl.engines import Engine
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.graphs.link_table import read_links
from kgzsl.sources import SourceInfo, Statements
from kgzsl.sources.vocabulary import vocabulary

#: Columns of an alignment: which id becomes which, by which step, how sure, and among how many candidates.
SCHEMA = pa.schema([("from", pa.string()), ("to", pa.string()), ("how", pa.string()), ("status", pa.string()), ("score", pa.float64())])


@dataclass(frozen=True, eq=False)
class Alignment:
    """What the steps found.

    Attributes
    ----------
    renamed : `from`, `to`: the ids that become others, whatever the number of steps.
    added : sources of edges between nodes that are the same, from steps with `as: edge`.
    report : every match of every step (`SCHEMA`).
    counts : one record per step, for the manifest.
    """

    renamed: pa.Table
    added: tuple[Statements, ...]
    report: pa.Table
    counts: tuple[dict[str, Any], ...]


def align_sources(steps: Sequence[Mapping[str, Any]], sources: Sequence[Statements], folder: Path, engine: Engine) -> Alignment:
    """Carry out the `align` steps of a recipe.

    Parameters
    ----------
    folder : where the paths of link tables start.

    Raises
    ------
    InvalidInputError : a step matches nothing at all, or an ambiguous label with `ambiguous: error`.
    """
    original: pa.StringArray = pc.unique(pa.chunked_array([s.ids for s in sources]))
    labels = _labels(original, sources)
    current = original
    matches, counts, added = [], [], []
    for number, step in enumerate(steps):
        how = next(key for key in ("links", "prefix", "labels", "relations") if key in step)
        nodes = pa.table({"id": current, "label": labels})
        found = _STEPS[how](step, nodes, sources, folder, engine, _renamer(original, current)).sort_by([("from", "ascending")])
        if not len(found):
            raise InvalidInputError(
                "a step of an alignment matches something",
                received=f"step {number + 1} ({how}: {step[how]}) matches no node",
                remedy="check its prefixes and ids, or take the step out",
            )
        merge = step.get("as", "merge") == "merge"
        if merge:
            place = pc.index_in(current, value_set=found["from"].combine_chunks())
            current = pc.if_else(pc.is_valid(place), found["to"].combine_chunks().take(place), current)
        else:
            added.append(_edges(found, f"alignment {number + 1}"))
        matches.append(found)
        status = found["status"].value_counts().to_pylist()
        counts.append({"step": dict(step), "matched": len(found), "status": {r["values"]: r["counts"] for r in status}})
    moved = pc.not_equal(original, current)
    return Alignment(
        pa.table({"from": original.filter(moved), "to": current.filter(moved)}), tuple(added), pa.concat_tables(matches), tuple(counts)
    )


def _renamer(original: pa.StringArray, current: pa.StringArray) -> Any:
    """Return a function from original ids to what they are called after the steps so far."""

    def rename(ids: pa.StringArray) -> pa.StringArray:
        return current.take(pc.index_in(ids, value_set=original))

    return rename


def _labels(ids: pa.StringArray, sources: Sequence[Statements]) -> pa.StringArray:
    every = pa.chunked_array([s.ids for s in sources]).combine_chunks()
    return pa.chunked_array([s.labels for s in sources]).combine_chunks().take(pc.index_in(ids, value_set=every))


def _edges(found: pa.Table, name: str) -> Statements:
    ids = pc.unique(pa.chunked_array([*found["from"].chunks, *found["to"].chunks]))
    empty = pa.array([""] * len(ids), type=pa.string())
    return Statements(
        ids=ids,
        kinds=pa.array(["concept"] * len(ids), type=pa.string()),
        labels=empty,
        texts=empty,
        relations=(vocabulary()["equivalent"],),
        subject=pc.index_in(found["from"].combine_chunks(), value_set=ids).to_numpy().astype(np.int32),
        relation=np.zeros(len(found), dtype=np.int32),
        object=pc.index_in(found["to"].combine_chunks(), value_set=ids).to_numpy().astype(np.int32),
        weight=found["score"].to_numpy().astype(np.float32),
        info=SourceInfo(name, "1", "as its sources", {}),
    )


def _table(old: Any, new: Any, how: str, status: Any, score: Any) -> pa.Table:
    n = len(old)
    return pa.table(
        [old, new, pa.array([how] * n, type=pa.string()), status if n else pa.array([], type=pa.string()), score], schema=SCHEMA
    )


def _by_links(step: Mapping[str, Any], nodes: pa.Table, sources: Any, folder: Path, engine: Engine, rename: Any) -> pa.Table:
    """A link table: `id`, or else `name`, is what is linked, and `node` what it is."""
    links = [link for link in read_links(folder / step["links"]).rows if link.node is not None]
    known = set(nodes["id"].to_pylist())
    if strange := [i for link in links for i in (link.key, link.node) if i not in known]:
        raise InvalidInputError(
            "a link table joins nodes of the sources",
            received=f"{folder / step['links']}: {len(strange):,} ids are not: {first_five(strange)}",
            remedy="correct those rows",
        )
    return _table(
        pa.array([link.key for link in links], type=pa.string()),
        pa.array([link.node for link in links], type=pa.string()),
        "links",
        pa.array([link.status for link in links], type=pa.string()),
        pa.array([link.score for link in links], type=pa.float64()),
    )


def _by_prefix(step: Mapping[str, Any], nodes: pa.Table, sources: Any, folder: Path, engine: Engine, rename: Any) -> pa.Table:
    """The same local name under two prefixes."""
    names = step["prefix"]
    ids = nodes["id"].combine_chunks()
    old = pc.unique(ids.filter(pc.starts_with(ids, f"{names['from']}:")))
    new = pc.binary_join_element_wise(f"{names['to']}:", pc.utf8_slice_codeunits(old, len(names["from"]) + 1), "")
    there = pc.is_in(new, value_set=ids)
    old, new = old.filter(there), new.filter(there)
    return _table(old, new, "prefix", pa.array(["exact"] * len(old)), pa.array(np.ones(len(old))))


def _by_labels(step: Mapping[str, Any], nodes: pa.Table, sources: Any, folder: Path, engine: Engine, rename: Any) -> pa.Table:
    """Equal words: a label of one prefix and a lemma of the other, whatever their case, hyphens and underscores.

    Of several nodes with the lemma that stands which names it earliest in its label, then that of the smaller id.
    """
    import ibis

    names, ambiguous = step["labels"], step.get("ambiguous", "first")
    table = engine.table(nodes)
    some = table.filter(table.id.startswith(f"{names['from']}:")).distinct()
    other = table.filter(table.id.startswith(f"{names['to']}:")).distinct()
    other = other.mutate(lemma=other.label.split(", ")).unnest("lemma", offset="rank")
    some = some.select(old=some.id, word=_plain(some.label))
    other = other.select(new=other.id, word=_plain(other.lemma), rank=other["rank"]).filter(lambda t: t.word != "")
    best = other.group_by(["word", "new"]).agg(rank=other["rank"].min())
    pairs = some.join(best, "word")
    first = ibis.row_number().over(group_by="old", order_by=[pairs["rank"], pairs.new])
    pairs = pairs.mutate(place=first, candidates=pairs.new.count().over(group_by="old"))
    found = engine.collect(pairs.filter(pairs.place == 0).select("old", "new", "candidates"))
    count = found["candidates"].to_numpy()
    many = count > 1
    if many.any() and ambiguous == "error":
        raise InvalidInputError(
            "labels name one node each",
            received=f"{int(many.sum()):,} name several: {first_five(found['old'].filter(pa.array(many)).to_pylist())}",
            remedy="`ambiguous: first` takes the first sense, `skip` none; or give a link table",
        )
    kept = ~many if ambiguous == "skip" else np.ones_like(many)
    found = found.filter(pa.array(kept))
    status = pa.array(np.where(many[kept], "ambiguous", "exact"), type=pa.string())
    old, new = (found[c].combine_chunks().cast(pa.string()) for c in ("old", "new"))
    return _table(old, new, "labels", status, pa.array(1.0 / count[kept]))


def _plain(words: Any) -> Any:
    return words.lower().replace("_", " ").replace("-", " ").strip()


def _by_relations(step: Mapping[str, Any], nodes: pa.Table, sources: Any, folder: Path, engine: Engine, rename: Any) -> pa.Table:
    """Connected nodes are one: that which a source names first, then that of the smaller id."""
    wanted = set(step["relations"])
    brought = {r.id for s in sources for r in s.relations}
    if unknown := sorted(wanted - brought):
        raise InvalidInputError(
            "nodes are merged along relations that the sources bring",
            received=", ".join(unknown),
            remedy=f"choose from: {', '.join(sorted(brought))}",
        )
    ids = pc.unique(nodes["id"])
    ends: list[list[np.ndarray]] = [[], []]
    for s in sources:
        chosen = np.isin(s.relation, [i for i, r in enumerate(s.relations) if r.id in wanted])
        place = pc.index_in(rename(s.ids), value_set=ids).to_numpy(zero_copy_only=False)
        ends[0].append(place[s.subject[chosen]])
        ends[1].append(place[s.object[chosen]])
    subject, obj = (np.concatenate(e) for e in ends)
    links = csr_matrix((np.ones(len(subject), dtype=np.int8), (subject, obj)), shape=(len(ids), len(ids)))
    _, member = csgraph.connected_components(links, directed=False)
    owner = np.concatenate([np.full(len(s.ids), i) for i, s in enumerate(sources)])
    first = np.unique(pc.index_in(rename(pa.chunked_array([s.ids for s in sources]).combine_chunks()), value_set=ids), return_index=True)[1]
    by_name = np.argsort(np.asarray(pc.array_sort_indices(ids)))
    order = np.lexsort((by_name, owner[first], member))
    leads = np.ones(len(order), dtype=bool)
    leads[1:] = member[order][1:] != member[order][:-1]
    lead_of = np.empty(member.max() + 1, dtype=np.int64)
    lead_of[member[order[leads]]] = order[leads]
    moved = np.flatnonzero(lead_of[member] != np.arange(len(ids)))
    n = len(moved)
    return _table(
        ids.take(pa.array(moved)), ids.take(pa.array(lead_of[member[moved]])), "relations", pa.array(["exact"] * n), pa.array(np.ones(n))
    )


_STEPS = {"links": _by_links, "prefix": _by_prefix, "labels": _by_labels, "relations": _by_relations}
