"""Classes by what people call them: by the beginning of a word, by nearly the right letters, by meaning.

Names are written in lower case without accents. The prefix index holds every lemma from each of its words on ("sports car", "car"),
sorted, so that a search is two bisections. The fuzzy one counts trigrams in common and lets RapidFuzz order the best of them.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from kgzsl.errors import InvalidInputError, require
from kgzsl.graphs.graph import KnowledgeGraph

Mode = Literal["prefix", "fuzzy", "meaning"]
#: Lemmas with most trigrams in common that are compared letter by letter.
SHORTLIST = 256
#: Entries of one search that are looked at; one letter begins thousands.
_SCANNED = 20_000
_WORD = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """Return text in lower case, without accents, its words separated by one space."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(_WORD.findall(text.lower()))


class SearchIndex:
    """Finds nodes of a graph by text; made once, asked often.

    Parameters
    ----------
    graph : its labels are lemmas separated by `, `.
    """

    def __init__(self, graph: KnowledgeGraph) -> None:
        self.graph = graph
        lemmas: dict[tuple[str, int], int] = {}
        for node, label in enumerate(graph.labels):
            for place, lemma in enumerate(label.split(", ")):
                if key := plain(lemma):
                    lemmas.setdefault((key, node), place)
        self._lemmas = [key for key, _ in lemmas]
        self._nodes = np.fromiter((node for _, node in lemmas), dtype=np.int64, count=len(lemmas))
        self._places = np.fromiter(lemmas.values(), dtype=np.int64, count=len(lemmas))
        starts = [(key[at:], i, at) for i, key in enumerate(self._lemmas) for at in _starts(key)]
        starts.sort()
        self._keys = [key for key, _, _ in starts]
        which = np.fromiter((i for _, i, _ in starts), dtype=np.int64, count=len(starts))
        self._entry_nodes = self._nodes[which]
        # low is good: the whole lemma before a later word of it, a first lemma before others, short before long
        length = np.fromiter((len(self._lemmas[i]) for i in which.tolist()), dtype=np.int64, count=len(which))
        inner = np.fromiter((at > 0 for _, _, at in starts), dtype=np.int64, count=len(which))
        self._rank = inner * 1000 + length * 4 + np.minimum(self._places[which], 8) * 6

    def prefix(self, query: str, limit: int) -> list[tuple[int, float]]:
        """Return `(node, score)` of nodes with a lemma, or a word of one, that begins so; 1 is the first lemma, whole."""
        key = plain(query)
        if not key:
            return []
        low = bisect_left(self._keys, key)
        high = min(bisect_left(self._keys, key + "\U0010ffff", low), low + _SCANNED)
        rank = self._rank[low:high] * _SCANNED + np.arange(high - low)  # no two are equal: the limit decides nothing else
        count = min(len(rank), limit * 4)  # a node comes by several lemmas
        best = np.argpartition(rank, count - 1)[:count] if count < len(rank) else np.arange(len(rank))
        best = best[np.argsort(rank[best])] + low
        found: dict[int, float] = {}
        for node, value in zip(self._entry_nodes[best].tolist(), self._rank[best].tolist(), strict=True):
            found.setdefault(node, 1.0 / (1.0 + (value - 4 * len(key)) / 40))
        return list(found.items())[:limit]

    def fuzzy(self, query: str, limit: int) -> list[tuple[int, float]]:
        """Return `(node, score)` of the nodes with a lemma most like the query, the score being RapidFuzz's ratio in 0…1."""
        fuzz: Any = require("rapidfuzz.fuzz", "service")
        key = plain(query)
        if not key:
            return []
        grams, matrix = self._trigrams
        columns = [grams[g] for g in _grams(key) if g in grams]
        if not columns:
            return []
        common = np.asarray(matrix[columns].sum(axis=0)).ravel()
        overlap = common / np.sqrt(self._gram_counts)
        count = min(SHORTLIST, len(overlap))
        short = np.argpartition(-overlap, count - 1)[:count]
        found: dict[int, float] = {}
        for at in short.tolist():
            score = fuzz.ratio(key, self._lemmas[at]) / 100
            node = int(self._nodes[at])
            found[node] = max(found.get(node, 0.0), score - 0.001 * min(int(self._places[at]), 9))
        return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]

    def meaning(self, query: np.ndarray, unit: np.ndarray, limit: int) -> list[tuple[int, float]]:
        """Return `(node, cosine)` of the nodes whose texts are nearest to a query vector `[dim]`; `unit` is `[nodes, dim]`."""
        cosines = unit @ (query / max(float(np.linalg.norm(query)), 1e-12))
        count = min(limit, len(cosines))
        best = np.argpartition(-cosines, count - 1)[:count]
        return [(int(i), float(cosines[i])) for i in best[np.argsort(-cosines[best], kind="stable")]]

    def find(
        self, query: str, mode: Mode, limit: int, by_meaning: Callable[[str, int], list[tuple[int, float]]]
    ) -> list[tuple[int, float]]:
        """Return `(node, score)` by one of the three ways, best first."""
        if mode == "prefix":
            return self.prefix(query, limit)
        if mode == "fuzzy":
            return self.fuzzy(query, limit)
        if mode == "meaning":
            return by_meaning(query, limit) if query.strip() else []
        raise InvalidInputError("a search goes by prefix, fuzzy or meaning", received=repr(mode))

    @cached_property
    def _trigrams(self) -> tuple[dict[str, int], sp.csr_matrix]:
        """Trigrams and which lemmas have them, `[trigrams, lemmas]`."""
        names: dict[str, int] = {}
        rows, cols = [], []
        for i, lemma in enumerate(self._lemmas):
            for gram in _grams(lemma):
                rows.append(names.setdefault(gram, len(names)))
                cols.append(i)
        values = np.ones(len(rows), dtype=np.float32)
        return names, sp.csr_matrix((values, (rows, cols)), shape=(len(names), len(self._lemmas)))

    @cached_property
    def _gram_counts(self) -> np.ndarray:
        return np.maximum(np.asarray(self._trigrams[1].sum(axis=0)).ravel(), 1.0)


def _starts(key: str) -> list[int]:
    """Where the words of a lemma begin."""
    return [0, *(i + 1 for i, c in enumerate(key) if c == " ")]


def _grams(key: str) -> set[str]:
    padded = f"  {key} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}
