"""Names → nodes of a graph, by the words of both; of several meanings the first, or the one whose gloss fits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np

from kgzsl.errors import InvalidInputError, first_five
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.select import spread

By = Literal["exact", "suffix", "none"]
Status = Literal["exact", "ambiguous", "none"]
#: Takes places of names, `[pairs]`, and of nodes, `[pairs]`; returns how well their meanings agree, float `[pairs]`, higher is better.
Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]
#: Lemma in lower case → ids of its meanings, the first one first (`kgzsl.sources.sense_order`).
SenseOrder = Mapping[str, Sequence[str]]

_POSSESSIVE = re.compile(r"['\u2019]s?\b")
_WORD = re.compile(r"[^\W_]+")
_PARSED: WeakKeyDictionary[KnowledgeGraph, list[list[tuple[str, str]]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Link:
    """A name and the node that it is linked to.

    Attributes
    ----------
    name : as it was given.
    node : the node's id; None when none was found.
    by : `exact` (a lemma of the node is the name), `suffix` (a lemma is the end of the name) or `none`.
    score : share of the name's words that the lemma holds, 0…1.
    candidates : all nodes with that lemma, the chosen one first.
    similarities : what the similarity function said of each candidate; empty without one, or with one candidate.
    """

    name: str
    node: str | None
    by: By
    score: float
    candidates: tuple[str, ...]
    similarities: tuple[float, ...] = ()

    @property
    def ambiguous(self) -> bool:
        """Whether other nodes have the lemma too, so that a person should look."""
        return len(self.candidates) > 1

    @property
    def status(self) -> Status:
        """`exact` (the whole name, one candidate), `ambiguous` (several candidates, or only the end of the name) or `none`."""
        if self.node is None:
            return "none"
        return "exact" if self.by == "exact" and not self.ambiguous else "ambiguous"


def link(
    names: Sequence[str],
    graph: KnowledgeGraph,
    below: str | None = None,
    *,
    senses: SenseOrder | None = None,
    similarity: Similarity | None = None,
) -> tuple[Link, ...]:
    """Return for each name the node with its longest ending that is a lemma.

    "Black footed Albatross" becomes the node of that lemma, else of "footed albatross", else of "albatross". Case,
    hyphens, underscores, accents, possessives and plurals make no difference, nor whether words are written together. Of
    several nodes with one lemma, that whose first meaning it is in `senses` is taken, then that which names it earliest in
    its label, then that of the smaller id.

    Parameters
    ----------
    below : only this node and its descendants by `hypernym`; None = all nodes.
    senses : the order of a lemma's meanings; None goes by labels alone.
    similarity : chooses among several candidates in place of that order (which decides between equals); see `Similarity`. It is
        called once, for the ambiguous names only.

    Raises
    ------
    InvalidInputError : a name without a word, or a similarity that is not one finite number per pair.
    UnknownNameError : `below` is not a node, or the graph has no hypernym relation.
    """
    wordless = [name for name in names if not words(name)]
    if wordless:
        raise InvalidInputError("a name to link has a word", received=first_five(repr(n) for n in wordless))
    parts = [words(name) for name in names]
    lemmas = _lemmas(graph, below, senses, {"".join(p[start:]) for p in parts for start in range(len(p))})
    found = tuple(_link(name, p, lemmas) for name, p in zip(names, parts, strict=True))
    return found if similarity is None else _by_similarity(found, graph, similarity)


def words(name: str) -> list[str]:
    """Return the words of a name in lower case, without accents and possessives, each in the singular."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() if not name.isascii() else name
    return [_singular(w) for w in _WORD.findall(_POSSESSIVE.sub("", plain.lower()))]


def _singular(word: str) -> str:
    """Cut a regular plural ending; both sides of a comparison are cut, so a wrong cut does no harm."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "xes", "sses")) else word[:-1]


def _lemmas(graph: KnowledgeGraph, below: str | None, senses: SenseOrder | None, wanted: set[str]) -> dict[str, list[str]]:
    """Words of a lemma, written together → ids of the nodes that have it, best first; of the `wanted` ones."""
    inside = np.ones(len(graph), dtype=bool)
    if below is not None:
        child, parent, _ = graph.edges_of("hypernym")
        start = np.zeros(len(graph), dtype=bool)
        start[graph.positions([below])] = True
        inside = spread(start, parent, child)
    found: dict[str, dict[str, tuple[int, int]]] = {}
    parsed = _parsed(graph)
    for i in np.flatnonzero(inside).tolist():
        identifier = graph.ids[i]
        for place, (lemma, key) in enumerate(parsed[i]):
            if key not in wanted:
                continue
            meanings = () if senses is None else senses.get(lemma.lower(), ())
            rank = meanings.index(identifier) if identifier in meanings else len(meanings)
            order = (rank, place)
            nodes = found.setdefault(key, {})
            nodes[identifier] = min(order, nodes.get(identifier, order))
    return {key: sorted(nodes, key=lambda i: (nodes[i], i)) for key, nodes in found.items()}


def _parsed(graph: KnowledgeGraph) -> list[list[tuple[str, str]]]:
    """Each node's lemmas with their words written together; kept as long as the graph, since lists are linked more than once."""
    if graph not in _PARSED:
        _PARSED[graph] = [[(lemma, "".join(words(lemma))) for lemma in label.split(", ")] for label in graph.labels]
    return _PARSED[graph]


def _link(name: str, parts: list[str], lemmas: dict[str, list[str]]) -> Link:
    for start in range(len(parts)):
        nodes = lemmas.get("".join(parts[start:]))
        if nodes:
            return Link(name, nodes[0], "suffix" if start else "exact", (len(parts) - start) / len(parts), tuple(nodes))
    return Link(name, None, "none", 0.0, ())


def _by_similarity(found: tuple[Link, ...], graph: KnowledgeGraph, similarity: Similarity) -> tuple[Link, ...]:
    """Put the candidates of every ambiguous link in the order of their similarity with the name."""
    unsure = [i for i, one in enumerate(found) if one.ambiguous]
    if not unsure:
        return found
    sizes = np.asarray([len(found[i].candidates) for i in unsure])
    nodes = graph.positions([c for i in unsure for c in found[i].candidates])
    scores = np.asarray(similarity(np.repeat(unsure, sizes), nodes), dtype=np.float64)
    if scores.shape != nodes.shape or not np.isfinite(scores).all():
        raise InvalidInputError(
            "a similarity is one finite number for each pair of a name and a node", received=f"{scores.shape} for {len(nodes):,} pairs"
        )
    chosen = list(found)
    for i, own in zip(unsure, np.split(scores, np.cumsum(sizes)[:-1]), strict=True):
        one, order = found[i], np.argsort(-own, kind="stable").tolist()
        candidates = tuple(one.candidates[k] for k in order)
        chosen[i] = Link(one.name, candidates[0], one.by, one.score, candidates, tuple(float(own[k]) for k in order))
    return tuple(chosen)
