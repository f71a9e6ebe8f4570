"""Paths of relations between entities, counted: what a graph says of two entities that nothing was trained for.

A relation read forwards or backwards is a literal, numbered `r` and `r + relations`; a path is one to three literals along which no
entity comes twice. Its code is the number whose digits, base 2 · relations + 1, are its literals + 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL
from kgzsl.errors import InvalidInputError

#: Paths that are counted at a time, at most: 24 bytes each.
MOST_PATHS = 60_000_000


def literal_edges(triples: np.ndarray, relations: int) -> np.ndarray:
    """Return each fact from both of its ends, `(from, literal, to)`, int64 `[edges, 3]`, sorted, without loops."""
    rows = triples[triples[:, HEAD] != triples[:, TAIL]]
    back = np.stack([rows[:, TAIL], rows[:, RELATION] + relations, rows[:, HEAD]], axis=1)
    both = np.concatenate([rows, back])
    return both[np.lexsort((both[:, 2], both[:, 1], both[:, 0]))]


def expand(first: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for runs of places, `lengths` from `first` on, the run and the place of each, run after run."""
    run = np.repeat(np.arange(len(first)), lengths)
    return run, np.repeat(first - (np.cumsum(lengths) - lengths), lengths) + np.arange(len(run))


@dataclass(frozen=True)
class PathTable:
    """How many paths of each code lead from an entity to another one.

    Attributes
    ----------
    entities : how many there are.
    pairs : `from · entities + to`, int64 `[rows]`, ascending.
    codes : of the paths, int64 `[rows]`, ascending within a pair.
    counts : how many, float32 `[rows]`.
    """

    entities: int
    pairs: np.ndarray
    codes: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, triples: np.ndarray, entities: int, relations: int, length: int, wanted: np.ndarray | None = None) -> PathTable:
        """Return the table of all paths of at most `length` literals, or of those with the codes `wanted`, ascending.

        Raises
        ------
        InvalidInputError : there are too many to be counted in memory.
        """
        edges, base = literal_edges(triples, relations), 2 * relations + 1
        if entities**2 * base**length >= 2**63:
            raise InvalidInputError(
                "pairs of entities and paths are numbered in 64 bits",
                received=f"{entities:,} entities, {relations} relations, {length} steps",
                remedy="shorter paths, or a smaller graph",
            )
        starts = np.searchsorted(edges[:, 0], np.arange(entities + 1))
        degree = np.diff(starts)
        start, inner, end, code = edges[:, 0], edges[:, 0], edges[:, 2], edges[:, 1] + 1
        tables = [(start * entities + end, code)]
        for step in range(1, length):
            if int(degree[end].sum()) > MOST_PATHS:
                raise InvalidInputError(
                    f"at most {MOST_PATHS:,} paths are counted",
                    received=f"{int(degree[end].sum()):,} of {step + 1} steps",
                    remedy="shorter paths",
                )
            run, place = expand(starts[end], degree[end])
            last = edges[place, 2]
            kept = (last != start[run]) & (last != inner[run])
            run, place = run[kept], place[kept]
            start, inner, code = start[run], end[run], code[run] * base + edges[place, 1] + 1
            end = edges[place, 2]
            tables.append((start * entities + end, code))
        pairs, codes = (np.concatenate([table[k] for table in tables]) for k in (0, 1))
        if wanted is not None:
            kept = np.isin(codes, wanted)
            pairs, codes = pairs[kept], codes[kept]
        size = base**length
        keys, counts = np.unique(pairs * size + codes, return_counts=True)
        return cls(entities, keys // size, keys % size, counts.astype(np.float32))

    def rows_from(self, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that lead away from some entities: the place in `given` and the row of each."""
        first, last = (np.searchsorted(self.pairs, (given + k) * self.entities) for k in (0, 1))
        return expand(first, last - first)

    def codes_between(self, pairs: np.ndarray) -> np.ndarray:
        """Return the codes of the rows of some pairs, pair after pair."""
        first, last = (np.searchsorted(self.pairs, pairs, side=side) for side in ("left", "right"))
        return self.codes[expand(first, last - first)[1]]


def spelled(code: int, relations: tuple[str, ...]) -> tuple[str, ...]:
    """Return the literals of a path in its order; `⁻` marks a relation that is read backwards."""
    base, found = 2 * len(relations) + 1, []
    while code:
        code, digit = divmod(code, base)
        literal = digit - 1
        found.append(relations[literal] if literal < len(relations) else f"{relations[literal - len(relations)]}⁻")
    return tuple(found[::-1])
