"""Filtered ranks of link prediction, streamed: the place of the true head or tail among candidates that are no known answers.

A query is a triple without its tail or without its head. Every candidate is scored, answers that are known to be true (in any part)
other than the one asked for are taken out, and the rank of that one remains (Bordes et al., NeurIPS 2013). With equal scores the
rank has bounds: optimistic = 1 + candidates above, pessimistic = 1 + candidates above or level, realistic = their mean (Berrendorf
et al., 2020). Scores come in blocks of queries and are forgotten, so that no matrix of all queries is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    from kgzsl.datasets.completion_set import CandidateLists

SIDES = ("head", "tail")
TIES = ("optimistic", "realistic", "pessimistic")
KS = (1, 5, 10)
_HEAD, _RELATION, _TAIL = 0, 1, 2
#: Bytes per score that a block needs: the caller's, two copies, and what is taken out and compared.
_BYTES_PER_SCORE = 16
_LOWEST = float("-inf")


@dataclass(frozen=True)
class Queries:
    """A block of questions, all for the same side.

    Attributes
    ----------
    side : what is asked for: `tail` for `(given, relation, ?)`, `head` for `(?, relation, given)`.
    given : positions of the entities that are given, int64 `[queries]`.
    relation : positions of the relations, int64 `[queries]`; one and the same where candidates are lists.
    """

    side: str
    given: np.ndarray
    relation: np.ndarray

    def __len__(self) -> int:
        return len(self.given)


#: Scores of queries: `[queries, columns]`, higher is better, finite; columns are positions of entities, None means all of them.
Score = Callable[[Queries, np.ndarray | None], "np.ndarray | torch.Tensor"]


@dataclass(frozen=True)
class Ranks:
    """What every question's ranking says, before a tie rule is chosen.

    Attributes
    ----------
    side : `head` or `tail`, as its position in `SIDES`, int8 `[questions]`.
    row : which of the evaluated triples the question is made of, int64 `[questions]`.
    relation : its relation, int64 `[questions]`.
    greater, equal : candidates with a higher score than the true one, and with the same one, itself included, int64 `[questions]`.
    options : candidates that were left, the true one included, int64 `[questions]`.
    missed : whether the list of candidates lacks the true one, bool `[questions]`; it was then ranked against the list.
    """

    side: np.ndarray
    row: np.ndarray
    relation: np.ndarray
    greater: np.ndarray
    equal: np.ndarray
    options: np.ndarray
    missed: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def of_side(self, side: str) -> Ranks:
        """Return the questions for the head or the tail alone."""
        return self._take(self.side == SIDES.index(side))

    def _take(self, rows: np.ndarray) -> Ranks:
        return Ranks(**{name: value[rows] for name, value in vars(self).items()})

    def ranks(self, tie: str = "realistic") -> np.ndarray:
        """Return the ranks by a tie rule, float64 `[questions]`, from 1."""
        if tie not in TIES:
            raise InvalidInputError(f"a tie rule is one of {', '.join(TIES)}", received=repr(tie))
        best, worst = self.greater + 1.0, (self.greater + self.equal).astype(np.float64)
        return {"optimistic": best, "pessimistic": worst, "realistic": (best + worst) / 2}[tie]


class KnownAnswers:
    """Which answers of a question are known to be true.

    Parameters
    ----------
    triples : all known triples, of every part, int64 `[triples, 3]`.
    relations : how many relations there are.
    """

    def __init__(self, triples: np.ndarray, relations: int) -> None:
        self.relations = relations
        #: The largest number of an entity, −1 where nothing is known.
        self.largest = int(triples[:, [_HEAD, _TAIL]].max(initial=-1))
        self._sorted = {side: self._index(triples, side) for side in SIDES}

    def _index(self, triples: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
        given, answer = _columns(side)
        size = int(triples.max(initial=0)) + 1
        pairs = np.unique((triples[:, given] * self.relations + triples[:, _RELATION]) * size + triples[:, answer])
        return pairs // size, pairs % size

    def of(self, queries: Queries) -> tuple[np.ndarray, np.ndarray]:
        """Return the known answers of every query: the query's position and the entity, each int64 `[answers]`."""
        keys, answers = self._sorted[queries.side]
        wanted = queries.given * self.relations + queries.relation
        first, last = (np.searchsorted(keys, wanted, side=side) for side in ("left", "right"))
        query, place = _runs(first, last - first)
        return query, answers[place]


def _runs(first: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for runs of places, `lengths` from `first` on, the run and the place of each, run after run."""
    run = np.repeat(np.arange(len(first)), lengths)
    within = np.arange(len(run)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return run, np.repeat(first, lengths) + within


def _columns(side: str) -> tuple[int, int]:
    """Return the columns of what is given and of what is asked for."""
    return (_HEAD, _TAIL) if side == "tail" else (_TAIL, _HEAD)


def filtered_ranks(
    score: Score,
    triples: np.ndarray,
    known: KnownAnswers,
    entities: int,
    *,
    sides: Sequence[str] = SIDES,
    candidates: Mapping[str, CandidateLists] | None = None,
    block_bytes: int = 128 << 20,
    progress: Callable[[int], object] | None = None,
) -> Ranks:
    """Return the filtered ranks of the true heads and tails of some triples.

    Questions that are asked more than once are scored once per block.

    Parameters
    ----------
    score : scores of a block of queries; it may keep what it returns, which is not written to.
    triples : what is evaluated, int64 `[triples, 3]`.
    known : what is filtered: the answers of all parts.
    entities : how many there are.
    sides : what is asked for.
    candidates : side → the lists that its answers are sought in, one for each triple; a side without is sought among all entities.
        A triple without a list (−1) is no question of the protocol: it has no rank.
    block_bytes : memory for the scores of a block and what is made of them; a block has one question at least.
    progress : called with the number of questions done.

    Raises
    ------
    InvalidInputError : no triples, an unknown side, an entity that is none, or scores of another shape or not finite.
    """
    lists = candidates or {}
    if not len(triples):
        raise InvalidInputError("ranks need at least one triple", received="none")
    for side in sides:
        if side not in SIDES:
            raise InvalidInputError(f"a side is one of {', '.join(SIDES)}", received=repr(side))
    largest = max(int(triples[:, [_HEAD, _TAIL]].max()), known.largest)
    if largest >= entities:
        raise InvalidInputError(f"triples speak of {entities:,} entities, numbered from 0", received=f"number {largest:,}")
    asked = {side: len(triples) if side not in lists else int(np.count_nonzero(lists[side].of >= 0)) for side in sides}
    if not any(asked.values()):
        raise InvalidInputError("a protocol asks about some of the triples", received=f"no list for any of {len(triples):,}")
    # Written in place: small arrays kept from every block would lie between the large ones, whose memory could not be given back.
    found, done = _empty_ranks(sum(asked.values())), 0
    for side in sides:
        for rows in _blocks(triples, side, entities, lists.get(side), block_bytes):
            block = _rank_block(score, triples, rows, side, known, entities, lists.get(side))
            for name, values in vars(block).items():
                getattr(found, name)[done : done + len(rows)] = values
            del block
            done += len(rows)
            if progress:
                progress(len(rows))
    return found._take(np.lexsort((found.row, found.side)))


def _empty_ranks(questions: int) -> Ranks:
    whole = {name: np.empty(questions, dtype=np.int64) for name in ("row", "relation", "greater", "equal", "options")}
    return Ranks(side=np.empty(questions, dtype=np.int8), missed=np.empty(questions, dtype=bool), **whole)


def _blocks(triples: np.ndarray, side: str, entities: int, lists: CandidateLists | None, block_bytes: int) -> Iterator[np.ndarray]:
    """Yield rows of triples, like questions together; with lists, of one relation each."""
    given, relation = triples[:, _columns(side)[0]], triples[:, _RELATION]
    if lists is None:
        order = np.lexsort((given, relation))
        size = max(block_bytes // (_BYTES_PER_SCORE * max(entities, 1)), 1)
        for start in range(0, len(order), size):
            yield order[start : start + size]
        return
    asked = np.flatnonzero(lists.of >= 0)
    order = asked[np.lexsort((given[asked], relation[asked]))]
    lengths = np.diff(lists.offsets)
    for group in np.split(order, np.flatnonzero(np.diff(relation[order])) + 1) if len(order) else []:
        width = min(int(lengths[np.unique(lists.of[group])].sum()) + len(group), entities)  # as many columns at most
        size = max(block_bytes // (_BYTES_PER_SCORE * max(width, 1)), 1)
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _rank_block(
    score: Score, triples: np.ndarray, rows: np.ndarray, side: str, known: KnownAnswers, entities: int, lists: CandidateLists | None
) -> Ranks:
    given, answer = _columns(side)
    block = triples[rows]
    keys, query = np.unique(block[:, given] * known.relations + block[:, _RELATION], return_inverse=True)
    listed = list_entries(lists, rows) if lists is not None else None
    columns = None if listed is None else np.unique(np.concatenate([listed[1], block[:, answer]]))
    width = entities if columns is None else len(columns)
    queries = Queries(side, keys // known.relations, keys % known.relations)
    scores = _checked(score(queries, columns), len(keys), width)
    every = np.arange(len(rows))
    own_place = block[:, answer] if columns is None else np.searchsorted(columns, block[:, answer])
    own = scores[_on(query, scores), _on(own_place, scores)][:, None]
    asked, taken = _taken(known, queries, columns)
    rest = scores.clone()
    rest[_on(asked, scores), _on(taken, scores)] = _LOWEST
    left = rest[_on(query, scores)]
    own_taken = (left[_on(every, scores), _on(own_place, scores)] == _LOWEST).cpu().numpy()
    left[_on(every, scores), _on(own_place, scores)] = _LOWEST
    missed = np.zeros(len(rows), dtype=bool)
    if listed is None or columns is None:
        options = width - np.bincount(asked, minlength=len(queries))[query] + own_taken
    else:
        allowed = np.zeros((len(rows), width), dtype=bool)
        allowed[listed[0], np.searchsorted(columns, listed[1])] = True
        missed = ~allowed[every, own_place]
        left.masked_fill_(torch.from_numpy(~allowed).to(scores.device), _LOWEST)
        options = 1 + (left > _LOWEST).sum(dim=1).cpu().numpy()
    greater, equal = (compared.sum(dim=1).cpu().numpy() for compared in (left > own, left == own))
    return Ranks(
        side=np.full(len(rows), SIDES.index(side), dtype=np.int8),
        row=rows,
        relation=block[:, _RELATION],
        greater=greater,
        equal=equal + 1,
        options=options,
        missed=missed,
    )


def _taken(known: KnownAnswers, queries: Queries, columns: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the query and the column of every known answer that is a candidate, each int64 `[answers]`."""
    query, entity = known.of(queries)
    if columns is None:
        return query, entity
    place = np.searchsorted(columns, entity).clip(max=len(columns) - 1)
    inside = columns[place] == entity
    return query[inside], place[inside]


def list_entries(lists: CandidateLists, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the entries of the lists of some triples: the position in `rows` and the entity, each int64 `[entries]`."""
    which = lists.of[rows]
    first = lists.offsets[which]
    row, place = _runs(first, lists.offsets[which + 1] - first)
    return row, lists.entities[place]


def _on(places: np.ndarray, scores: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(places).to(scores.device)


def _checked(scores: np.ndarray | torch.Tensor, queries: int, width: int) -> torch.Tensor:
    found = scores.detach() if isinstance(scores, torch.Tensor) else torch.from_numpy(np.require(scores, requirements="W"))
    if tuple(found.shape) != (queries, width):
        raise InvalidInputError(
            "scores are [queries, entities]", received=f"{list(found.shape)} for {queries} queries and {width} entities"
        )
    # a sum is one cheap pass; only where it is not finite, which overflow may do, every score is looked at
    if not torch.isfinite(found.sum()) and not torch.isfinite(found).all():
        raise InvalidInputError("scores are finite", received="NaN or infinity", remedy="check the model that gave them")
    return found


def ranking_metrics(ranks: Ranks, *, tie: str = "realistic", ks: Sequence[int] = KS, missed: str = "lost") -> dict[str, float]:
    """Return `mrr` and `hit@k` over all questions alike, and `macro …`, their mean over relations; values in 0…1.

    Parameters
    ----------
    tie : which bound the rank is.
    missed : what a true answer that the list of candidates lacks counts: `lost` gives no reciprocal rank and no hit (a system that
        answers from the list never says it), `added` the rank that it has against the list.

    Raises
    ------
    InvalidInputError : no questions, or an unknown rule.
    """
    if not len(ranks):
        raise InvalidInputError("a mean needs at least one rank", received="none")
    if missed not in ("lost", "added"):
        raise InvalidInputError("missed is one of lost, added", received=repr(missed))
    rank = ranks.ranks(tie)
    if missed == "lost":
        rank = np.where(ranks.missed, np.inf, rank)
    values = {"mrr": 1 / rank, **{f"hit@{k}": (rank <= k).astype(np.float64) for k in ks}}
    _, relation, counts = np.unique(ranks.relation, return_inverse=True, return_counts=True)
    micro = {name: float(value.mean()) for name, value in values.items()}
    macro = {f"macro {name}": float((np.bincount(relation, weights=value) / counts).mean()) for name, value in values.items()}
    return {**micro, **macro}


def per_relation(ranks: Ranks, *, tie: str = "realistic", missed: str = "lost") -> dict[int, dict[str, float]]:
    """Return the metrics of every relation by its position, and how many questions it has."""
    found = {}
    for relation in np.unique(ranks.relation).tolist():
        own = ranks._take(ranks.relation == relation)
        metrics = ranking_metrics(own, tie=tie, missed=missed)
        found[relation] = {name: value for name, value in metrics.items() if not name.startswith("macro")} | {"questions": len(own)}
    return found
