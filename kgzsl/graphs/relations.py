"""Which relations of the sources enter a graph, and read from which end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.sources import Relation, Statements
from kgzsl.sources.vocabulary import vocabulary

Direction = Literal["forward", "reverse", "both"]


@dataclass(frozen=True)
class _Rule:
    """Statements of relation `of` become edges of relation `becomes`; `turned` swaps the ends, `ordered` sorts them."""

    of: str
    becomes: Relation
    turned: bool = False
    ordered: bool = False


@dataclass(frozen=True)
class RelationPolicy:
    """Rules from the relations that the sources state to those of the graph; a relation without a rule is dropped."""

    stated: tuple[Relation, ...]
    rules: tuple[_Rule, ...]

    @cached_property
    def codes(self) -> dict[str, int]:
        """Stated relation id → its number in `table`."""
        return {r.id: i for i, r in enumerate(self.stated)}

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """The relations of the graph, sorted by id."""
        return tuple(sorted({rule.becomes for rule in self.rules}))

    @cached_property
    def edges_per_statement(self) -> np.ndarray:
        """How many edges a statement of each stated relation becomes, int64 `[stated]`."""
        return np.bincount(np.asarray([self.codes[r.of] for r in self.rules], dtype=np.int64), minlength=len(self.stated))

    def table(self) -> pa.Table:
        """Return the rules as `rule_of`, `becomes` (numbers), `turned`, `ordered`."""
        place = {r.id: i for i, r in enumerate(self.relations)}
        return pa.table(
            {
                "rule_of": np.asarray([self.codes[r.of] for r in self.rules], dtype=np.int64),
                "becomes": np.asarray([place[r.becomes.id] for r in self.rules], dtype=np.int64),
                "turned": pa.array([r.turned for r in self.rules], type=pa.bool_()),
                "ordered": pa.array([r.ordered for r in self.rules], type=pa.bool_()),
            }
        )


def relation_policy(sources: Sequence[Statements], edges: Mapping[str, Any]) -> RelationPolicy:
    """Return the policy of a recipe's `edges`.

    Parameters
    ----------
    edges : of the recipe: `relations` (those kept; default all), `disjointness` (`drop` leaves out `disjoint`), `direction`
        (relation → forward, reverse or both), `inverses` (`merge` reads hyponyms as hypernyms turned round) and `symmetric`
        (`as_stated`, `once` from the earlier id to the later, or `both`).

    Raises
    ------
    InvalidInputError : a relation that no source brings; the choices are listed. Or one to be turned that has no inverse.
    SourceError : sources disagree on a relation.
    """
    stated = _agree(sources)
    names = {r.id for r in stated}
    asked = {*edges.get("relations", ()), *edges.get("direction", ())}
    if unknown := sorted(asked - names):
        raise InvalidInputError(
            "a recipe keeps and turns relations that its sources bring",
            received=", ".join(unknown),
            remedy=f"choose from: {', '.join(sorted(names))}",
        )
    kept = set(edges.get("relations") or names)
    if edges.get("disjointness") == "drop":
        kept -= {"disjoint"}
    rules = [rule for r in stated if r.id in kept for rule in _rules(r, edges)]
    return RelationPolicy(stated, tuple(rules))


def _rules(relation: Relation, edges: Mapping[str, Any]) -> list[_Rule]:
    direction: Direction = edges.get("direction", {}).get(relation.id, "forward")
    becomes, turned = relation, False
    if edges.get("inverses") == "merge" and (main := _stored_as(relation)) is not None:
        becomes, turned = main, True
    symmetric = edges.get("symmetric", "as_stated")
    if becomes.symmetric and (symmetric != "as_stated" or direction != "forward"):
        if symmetric == "once" and direction == "forward":
            return [_Rule(relation.id, becomes, ordered=True)]
        return [_Rule(relation.id, becomes), _Rule(relation.id, becomes, turned=True)]
    forward = _Rule(relation.id, becomes, turned)
    if direction == "forward":
        return [forward]
    backward = _Rule(relation.id, _inverse(becomes), not turned)
    return [backward] if direction == "reverse" else [forward, backward]


def _stored_as(relation: Relation) -> Relation | None:
    """The relation of the vocabulary whose inverse this is."""
    return next((r for r in vocabulary().relations.values() if r.inverse == relation.id), None)


def _inverse(relation: Relation) -> Relation:
    if not relation.inverse:
        raise InvalidInputError(
            "a relation that is read from the other end has an inverse",
            received=f"{relation.id} has none",
            remedy="turn it in the source, or leave the direction out and use an undirected view",
        )
    known = vocabulary().inverses.get(relation.inverse)
    return known or Relation(relation.inverse, f"inverse of: {relation.label}", inverse=relation.id)


def _agree(sources: Sequence[Statements]) -> tuple[Relation, ...]:
    """Every relation once; of one that sources label differently, the first source's label stands."""
    relations: dict[str, Relation] = {}
    for s in sources:
        for r in s.relations:
            first = relations.setdefault(r.id, r)
            if (first.symmetric, first.inverse) != (r.symmetric, r.inverse):
                raise SourceError(
                    "sources that share a relation agree on its symmetry and inverse",
                    received=f"{first} and, in {s.info.name}, {r}",
                    remedy="rename it in one source: `relations: {rename: …}`",
                )
    return tuple(sorted(relations.values()))
