"""GraIL's protocol: the true answer among 50 drawn wrong ones, beside which papers on unseen entities print hit@10."""

from __future__ import annotations

import numpy as np

from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, CandidateLists, CompletionSet, UnseenEntities
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import SIDES, KnownAnswers, Queries, Ranks, Score, filtered_ranks
from kgzsl.tasks.completion import in_graph, renumbered, triples_of

#: Questions whose wrong answers are drawn at a time.
_ROWS = 1_024


def sampled_ranks(data: CompletionSet, score: Score, *, part: str = "test", negatives: int = 50, seed: int = 0) -> Ranks:
    """Return the ranks of true heads and tails, each among itself and `negatives` entities of the part's graph that are no known answer.

    The drawn entities depend on the set and the seed alone. Ranks among so few are no measure of ranks among all; the papers' own draws
    are not published, so that figures differ by chance.

    Raises
    ------
    InvalidInputError : fewer than one wrong answer, or a question with fewer wrong answers than are drawn.
    """
    if negatives < 1:
        raise InvalidInputError("at least one wrong answer is drawn", received=negatives)
    graph = next(parts for parts in data.GRAPHS if part in parts) if isinstance(data, UnseenEntities) else data.PARTS
    inside = data.entities_of(*graph)
    triples, every = renumbered(data.triples(part), inside), renumbered(triples_of(data, graph), inside)
    known = KnownAnswers(every, len(data.facts.relations))
    random = np.random.default_rng(seed)
    lists = {side: _drawn(triples, side, known, len(inside), negatives, random) for side in SIDES}
    return filtered_ranks(in_graph(score, inside), triples, known, len(inside), candidates=lists)


def _drawn(
    triples: np.ndarray, side: str, known: KnownAnswers, entities: int, negatives: int, random: np.random.Generator
) -> CandidateLists:
    given, answer = (HEAD, TAIL) if side == "tail" else (TAIL, HEAD)
    found = np.empty((len(triples), negatives + 1), dtype=np.int64)
    for start in range(0, len(triples), _ROWS):
        rows = triples[start : start + _ROWS]
        lot = random.random((len(rows), entities))
        query, entity = known.of(Queries(side, rows[:, given], rows[:, RELATION]))
        lot[query, entity] = np.inf
        drawn = np.argpartition(lot, min(negatives, entities) - 1, axis=1)[:, :negatives]
        if entities < negatives or np.isinf(np.take_along_axis(lot, drawn, axis=1)).any():
            raise InvalidInputError(f"every question has {negatives} wrong answers", received=f"{entities:,} entities", remedy="draw fewer")
        found[start : start + len(rows)] = np.sort(np.concatenate([drawn, rows[:, [answer]]], axis=1), axis=1)
    offsets = np.arange(len(triples) + 1) * (negatives + 1)
    return CandidateLists(f"{negatives} drawn", found.reshape(-1), offsets, np.arange(len(triples)))
