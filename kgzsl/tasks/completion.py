"""The protocols of knowledge-graph completion: who is asked what, among which candidates, filtered by which facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, CompletionSet, UnseenEntities
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import SIDES, KnownAnswers, Queries, Ranks, Score, filtered_ranks, per_relation, ranking_metrics

#: Protocol → sides, whether candidates are the set's lists.
PROTOCOLS = {"all-entities": (SIDES, False), "tails": (("tail",), False), "candidates": (("tail",), True)}


def completion_ranks(data: CompletionSet, score: Score, *, part: str = "test", protocol: str = "all-entities", **options: Any) -> Ranks:
    """Return the filtered ranks of a part.

    Parameters
    ----------
    score : a fitted model's `score`.
    part : `test`, or `valid` to choose settings by.
    protocol : `all-entities` asks for heads and tails among all entities, `tails` for tails alone, `candidates` for tails among the
        set's lists, as NELL-ZS and Wiki-ZS publish it. On a set split by entity all entities are those of the part's graph.
    options : `block_bytes` and `progress` of `filtered_ranks`.

    Raises
    ------
    InvalidInputError : an unknown protocol, or `candidates` where the set has no lists for the part.
    """
    if protocol not in PROTOCOLS:
        raise InvalidInputError(f"a protocol is one of {', '.join(PROTOCOLS)}", received=repr(protocol))
    sides, listed = PROTOCOLS[protocol]
    if listed and part not in data.candidates:
        raise InvalidInputError(
            f"the protocol candidates needs lists for {part}", received=f"{data.name} has none", remedy="use all-entities or tails"
        )
    triples, every, entities = data.triples(part), data.facts.triples, len(data.facts.entities)
    if isinstance(data, UnseenEntities):
        graph = next(parts for parts in data.GRAPHS if part in parts)
        inside = data.entities_of(*graph)
        score, triples, every = in_graph(score, inside), renumbered(triples, inside), renumbered(triples_of(data, graph), inside)
        entities = len(inside)
    lists = {"tail": data.candidates[part]} if listed else None
    known = KnownAnswers(every, len(data.facts.relations))
    return filtered_ranks(score, triples, known, entities, sides=sides, candidates=lists, **options)


def triples_of(data: CompletionSet, parts: Sequence[str]) -> np.ndarray:
    """Return the triples of some parts, part after part."""
    return np.concatenate([data.triples(part) for part in parts])


def renumbered(triples: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return triples whose entities are numbered by their place in `inside`, which is ascending."""
    heads, tails = (np.searchsorted(inside, triples[:, k]) for k in (HEAD, TAIL))
    return np.stack([heads, triples[:, RELATION], tails], axis=1)


def in_graph(score: Score, inside: np.ndarray) -> Score:
    """Return the scores of queries and columns numbered within one graph's entities, from scores over all entities."""

    def within(queries: Queries, columns: np.ndarray | None) -> Any:
        return score(Queries(queries.side, inside[queries.given], queries.relation), inside if columns is None else inside[columns])

    return within


def completion_metrics(data: CompletionSet, ranks: Ranks, *, tie: str = "realistic") -> dict[str, Any]:
    """Return micro and macro metrics of both sides and of each, what was missed, and the metrics of each relation by its name."""
    sides = [side for side in SIDES if len(ranks.of_side(side))]
    named = {data.facts.relations[r]: metrics for r, metrics in per_relation(ranks, tie=tie).items()}
    by_side = {side: ranking_metrics(ranks.of_side(side), tie=tie) for side in sides}
    return {
        "metrics": ranking_metrics(ranks, tie=tie),
        "by side": by_side,
        "questions": len(ranks),
        "questions whose candidates miss the true answer": int(ranks.missed.sum()),
        "mean candidates": float(ranks.options.mean()),
        "tie rule": tie,
        "per relation": named,
    }
