"""Join the statements of all sources over one node axis: the relational part of compiling, as Ibis expressions.

The expressions run on DuckDB or on Spark (`kgzsl.engines`) with equal results: every order that matters is total, and no
arithmetic on weights depends on the order of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.engines import Engine
from kgzsl.errors import SourceError, first_five
from kgzsl.graphs.relations import RelationPolicy
from kgzsl.sources import Relation, Statements

if TYPE_CHECKING:
    import ibis

Duplicates = Literal["max", "min", "sum", "mean"]


@dataclass(frozen=True, eq=False)
class Joined:
    """Nodes and edges of all sources, joined by id and free of duplicates.

    Attributes
    ----------
    ids : sorted, `[nodes]`.
    row : where each node's texts stand in the sources' node tables laid end to end, int64 `[nodes]`.
    relations : sorted by id.
    subject, relation, object : int64 `[edges]`, sorted by (subject, relation, object), each triple once.
    weight : float32 `[edges]`; source : position of the source that states the edge, int64 `[edges]`.
    dropped : reason → how many edges or nodes were left out for it.
    """

    ids: tuple[str, ...]
    row: np.ndarray
    relations: tuple[Relation, ...]
    subject: np.ndarray
    relation: np.ndarray
    object: np.ndarray
    weight: np.ndarray
    source: np.ndarray
    dropped: Mapping[str, int]

    def edges_by_relation(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return subject and object per relation, on the joined axis."""
        return {r.id: (self.subject[self.relation == i], self.object[self.relation == i]) for i, r in enumerate(self.relations)}


def check_sources(sources: Sequence[Statements]) -> None:
    """Raise SourceError for an id twice in one source, or a weight that is not finite and positive."""
    for s in sources:
        if len(s.ids.unique()) != len(s.ids):
            counts = s.ids.value_counts()
            twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
            raise SourceError(
                "a source names every node once", received=f"{s.info.name}: {len(twice):,} twice: {first_five(sorted(twice))}"
            )
        wrong = np.flatnonzero(~(np.isfinite(s.weight) & (s.weight > 0)))
        if len(wrong):
            e = int(wrong[0])
            raise SourceError(
                "weights are finite and positive",
                received=f"{s.info.name}: {len(wrong):,} are not; the first is {s.weight[e]} of "
                f"{s.ids[int(s.subject[e])]} {s.relations[int(s.relation[e])].id} {s.ids[int(s.object[e])]}",
                remedy="correct the source, or drop such edges by the reader's settings",
            )


def join_sources(
    sources: Sequence[Statements],
    policy: RelationPolicy,
    engine: Engine,
    *,
    renamed: pa.Table | None = None,
    duplicates: Duplicates = "max",
    self_loops: bool = False,
    minimum_weight: float = 0.0,
    unit_weights: bool = False,
) -> Joined:
    """Join sources by id.

    Of a node named twice the texts of the first source stand. Of an edge stated twice, `duplicates` says what its weight is;
    its source is the one with the heaviest statement (`max`, the default) or the first one.

    Parameters
    ----------
    policy : which relations are kept, and read from which end.
    renamed : `from`, `to` (strings): ids that become other ids before joining, from an alignment.
    self_loops : keep edges from a node to itself.
    minimum_weight : edges below it are dropped.
    unit_weights : every kept statement weighs 1.
    """
    nodes = _named(sources, renamed)
    axis = _axis(nodes, engine)
    code = pc.index_in(nodes["id"], value_set=axis["id"]).to_numpy().astype(np.int64)
    raw = _statements(sources, policy, code, unit_weights)
    light, loop = raw["weight"].to_numpy() < minimum_weight, raw["subject"].to_numpy() == raw["object"].to_numpy()
    kept = raw.filter(pa.array(~light if self_loops else ~light & ~loop))
    single = _single(_policed(engine.table(kept), policy, engine), duplicates).order_by(["subject", "relation", "object"])
    table = engine.collect(single.select("subject", "relation", "object", "weight", "source"))
    # a relation that is kept in both directions makes two edges of a statement
    edges = policy.edges_per_statement[raw["stated"].to_numpy()]
    dropped = {
        "edge below the minimum weight": int(edges[light].sum()),
        "edge from a node to itself": 0 if self_loops else int(edges[loop & ~light].sum()),
        "edge of a relation not kept": int((edges == 0).sum()),
        "edge stated twice": int(policy.edges_per_statement[kept["stated"].to_numpy()].sum()) - len(table),
    }
    columns = {c: table[c].to_numpy() for c in table.column_names}
    return Joined(
        ids=tuple(axis["id"].to_pylist()),
        row=axis["row"].to_numpy().astype(np.int64),
        relations=policy.relations,
        weight=columns.pop("weight").astype(np.float32),
        dropped={reason: n for reason, n in dropped.items() if n},
        **{name: column.astype(np.int64) for name, column in columns.items()},
    )


def _named(sources: Sequence[Statements], renamed: pa.Table | None) -> pa.Table:
    """Every node of every source: its row, counted through all sources, and its id after alignment."""
    ids = pa.chunked_array([s.ids for s in sources])
    row = np.arange(len(ids), dtype=np.int64)
    if renamed is not None and len(renamed):
        to = renamed["to"].take(pc.index_in(ids, value_set=renamed["from"]))
        # A node that keeps its id comes before those that take it, so that its own texts stand.
        row = row + len(ids) * to.is_valid().to_numpy()
        ids = pc.coalesce(to, ids)
    return pa.table({"row": row, "id": ids})


def _axis(nodes: pa.Table, engine: Engine) -> pa.Table:
    """Every id once, sorted, and the first row that has it."""
    named = engine.table(nodes)
    return engine.collect(named.group_by("id").agg(row=named.row.min()).order_by("id"))


def _statements(sources: Sequence[Statements], policy: RelationPolicy, code: np.ndarray, unit_weights: bool) -> pa.Table:
    """Every statement of every source, its ends by their places on the axis."""
    starts = np.cumsum([0, *(len(s.ids) for s in sources)])
    codes = policy.codes
    weight = np.concatenate([s.weight.astype(np.float64) for s in sources])
    return pa.table(
        {
            "subject": np.concatenate([code[start + s.subject] for s, start in zip(sources, starts, strict=False)]),
            "stated": np.concatenate([np.asarray([codes[r.id] for r in s.relations], dtype=np.int64)[s.relation] for s in sources]),
            "object": np.concatenate([code[start + s.object] for s, start in zip(sources, starts, strict=False)]),
            "weight": np.ones_like(weight) if unit_weights else weight,
            "source": np.concatenate([np.full(len(s.subject), i, dtype=np.int64) for i, s in enumerate(sources)]),
        }
    )


def _policed(edges: ibis.Table, policy: RelationPolicy, engine: Engine) -> ibis.Table:
    """Keep, turn and rename relations; of a symmetric one, one direction or both, as the policy says."""
    rules = engine.table(policy.table())
    joined = edges.join(rules, edges.stated == rules.rule_of)
    first, last = joined.subject, joined.object
    turn = joined.turned | (joined.ordered & (first > last))
    return joined.select(
        subject=turn.ifelse(last, first),
        relation=joined.becomes,
        object=turn.ifelse(first, last),
        weight=joined.weight,
        source=joined.source,
    )


def _single(edges: ibis.Table, duplicates: Duplicates) -> ibis.Table:
    """One row per (subject, relation, object)."""
    keys = ["subject", "relation", "object"]
    if duplicates == "max":
        import ibis

        place = ibis.row_number().over(group_by=keys, order_by=[edges.weight.desc(), edges.source])
        ranked = edges.mutate(place=place)
        return ranked.filter(ranked.place == 0)
    weight = getattr(edges.weight, duplicates)()
    return edges.group_by(keys).agg(weight=weight, source=edges.source.min())
