"""Join the statements of all sources over one node axis: the relational part of compiling, as Ibis expressions.

The expressions run on DuckDB or on Spark (`kgzsl.engines`) with equal results: every order that matters is total, and no
arithmetic on weights depends on the order of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

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
            twice = counts.field("values").filter(pa.compute.greater(counts.field("counts"), 1)).to_pylist()
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
    nodes = _named(sources, renamed, engine)
    axis = nodes.group_by("id").agg(row=nodes.row.min())
    axis = axis.mutate(code=_number(axis.id)).cache()
    at = nodes.join(axis.select("id", "code"), "id").select("number", "code").cache()
    edges = _policed(_edges(sources, policy, at, engine), policy, engine)
    if unit_weights:
        edges = edges.mutate(weight=_one(edges))
    edges = edges.mutate(light=edges.weight < minimum_weight, loop=edges.subject == edges.object).cache()
    kept = edges.filter(~edges.light) if self_loops else edges.filter(~edges.light & ~edges.loop)
    single = _single(kept, duplicates).order_by(["subject", "relation", "object"])
    table = engine.collect(single.select("subject", "relation", "object", "weight", "source"))
    names = engine.collect(axis.order_by("code").select("id", "row"))
    dropped = _count(engine.collect(edges.group_by(["light", "loop"]).agg(n=edges.count())), self_loops, len(table))
    if unkept := _unkept(sources, policy):
        dropped["edge of a relation not kept"] = unkept
    columns = {c: table[c].to_numpy() for c in table.column_names}
    return Joined(
        ids=tuple(names["id"].to_pylist()),
        row=names["row"].to_numpy().astype(np.int64),
        relations=policy.relations,
        weight=columns.pop("weight").astype(np.float32),
        dropped=dropped,
        **{name: column.astype(np.int64) for name, column in columns.items()},
    )


def _named(sources: Sequence[Statements], renamed: pa.Table | None, engine: Engine) -> ibis.Table:
    """Every node of every source: its number, counted through all sources, its row (the same), and its id after alignment."""
    ids = pa.chunked_array([s.ids for s in sources])
    number = pa.array(np.arange(len(ids), dtype=np.int64))
    nodes = engine.table(pa.table({"number": number, "row": number, "id": ids}))
    if renamed is None or not len(renamed):
        return nodes
    other = engine.table(renamed.select(["from", "to"]))
    joined = nodes.left_join(other, nodes.id == other["from"])
    # A node that keeps its id comes before those that take it, so that its own texts stand.
    moved = joined.to.notnull()
    return joined.mutate(id=joined.to.coalesce(joined.id), row=moved.ifelse(joined.row + len(ids), joined.row)).select(
        "number", "row", "id"
    )


def _edges(sources: Sequence[Statements], policy: RelationPolicy, at: ibis.Table, engine: Engine) -> ibis.Table:
    starts = np.cumsum([0, *(len(s.ids) for s in sources)])
    codes = policy.codes
    raw = engine.table(
        pa.table(
            {
                "from_number": np.concatenate([s.subject.astype(np.int64) + start for s, start in zip(sources, starts, strict=False)]),
                "stated": np.concatenate([np.asarray([codes[r.id] for r in s.relations], dtype=np.int64)[s.relation] for s in sources]),
                "to_number": np.concatenate([s.object.astype(np.int64) + start for s, start in zip(sources, starts, strict=False)]),
                "weight": np.concatenate([s.weight.astype(np.float64) for s in sources]),
                "source": np.concatenate([np.full(len(s.subject), i, dtype=np.int64) for i, s in enumerate(sources)]),
            }
        )
    )
    first, second = at, at.view()
    raw = raw.join(first, raw.from_number == first.number).rename(subject="code").drop("number")
    return raw.join(second, raw.to_number == second.number).rename(object="code").select("subject", "stated", "object", "weight", "source")


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


def _number(column: Any) -> Any:
    import ibis

    return ibis.row_number().over(order_by=[column])


def _one(edges: Any) -> Any:
    import ibis

    return ibis.literal(1.0)


def _unkept(sources: Sequence[Statements], policy: RelationPolicy) -> int:
    """How many statements are of a relation without a rule."""
    ruled = {rule.of for rule in policy.rules}
    return sum(int(np.isin(s.relation, [i for i, r in enumerate(s.relations) if r.id not in ruled]).sum()) for s in sources)


def _count(groups: pa.Table, self_loops: bool, kept: int) -> dict[str, int]:
    """Reasons for which edges were dropped, from how many were light, loops or both; `kept` is how many different ones remain."""
    dropped: Counter[str] = Counter()
    remaining = 0
    for row in groups.to_pylist():
        if row["light"]:
            dropped["edge below the minimum weight"] += row["n"]
        elif row["loop"] and not self_loops:
            dropped["edge from a node to itself"] += row["n"]
        else:
            remaining += row["n"]
    dropped["edge stated twice"] = remaining - kept
    return {reason: n for reason, n in sorted(dropped.items()) if n}
