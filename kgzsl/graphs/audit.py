"""What a zero-shot split gives away, and what spoils it, by where its classes stand in a graph.

Hascoet, Ariki and Takiguchi, On zero-shot recognition of generic objects, CVPR 2019: test classes nested in training
classes, names with other meanings, rare words, classes of few images, and the structural bias that a trivial solution uses.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from kgzsl.errors import InvalidInputError
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.hierarchy import reachable
from kgzsl.graphs.link import SenseOrder
from kgzsl.graphs.nearest import Nearest, nearest_seen
from kgzsl.graphs.views import View, directed, undirected
from kgzsl.ids import check_unique

#: How an unseen class is nested, the closest first: `child` of a seen class, `parent` of one, farther below or above.
NESTINGS = ("child", "parent", "descendant", "ancestor")
#: Words from this place of a list by frequency on are rare: our choice. (GOZ counts words in Wikipedia and drops those below 500.)
RARE_RANK = 100_000
#: GOZ's fewest images of a test class.
FEW_IMAGES = 100

_PARTS = re.compile(r"[\s\-_]+")


@dataclass(frozen=True)
class ClassRow:
    """What was found of one unseen class.

    Attributes
    ----------
    nesting : one of `NESTINGS`, or empty; `nested_in` holds the seen classes that it is directly or farther below and above.
    hops : edges to the nearest seen class, read both ways; None without a path. `nearest` are all seen classes at that distance.
    hops_unseen : edges to the nearest other unseen class; None without a path.
    senses : meanings of the lemma with fewest, this one included. `first_sense` : whether it is the first meaning of some lemma.
    rank : of its most frequent lemma in the frequency list; a lemma of several words has that of its rarest. None = unknown there.
    usable : whether some lemma has this class as its first meaning and is not rare (GOZ keeps only such classes).
    namesakes : seen classes with a lemma of its own.
    images : None where they were not counted.
    """

    id: str
    label: str
    nesting: str
    nested_in: tuple[str, ...]
    hops: int | None
    nearest: tuple[str, ...]
    hops_unseen: int | None
    senses: int
    first_sense: bool
    rank: int | None
    usable: bool
    namesakes: tuple[str, ...]
    images: int | None


@dataclass(frozen=True, eq=False)
class SplitAudit:
    """A split looked at through a graph.

    Attributes
    ----------
    rows : the unseen classes that are nodes and not seen, in their order.
    nearest : the trivial solution's knowledge (see `kgzsl.graphs.nearest`).
    in_both : classes that are seen and unseen. `missing_seen`, `missing_unseen` : those that are no nodes.
    sources : what was measured against: `senses`, `frequency`, `images`; None = not measured.
    """

    graph: str
    digest: str
    seen: int
    unseen: int
    rows: tuple[ClassRow, ...]
    nearest: Nearest = field(repr=False)
    in_both: tuple[str, ...]
    missing_seen: tuple[str, ...]
    missing_unseen: tuple[str, ...]
    sources: Mapping[str, str | None]
    rare_rank: int
    few_images: int

    def summary(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        kinds = Counter(r.nesting for r in self.rows)
        hops = Counter("none" if r.hops is None else str(r.hops) for r in self.rows)
        measured = self.sources["frequency"] is not None
        groups = Counter(r.nearest for r in self.rows if r.nearest)
        ratios = [r.hops / r.hops_unseen for r in self.rows if r.hops is not None and r.hops_unseen]
        return {
            "graph": {"name": self.graph, "digest": self.digest},
            "seen": {"classes": self.seen, "not_in_graph": list(self.missing_seen)},
            "unseen": {"classes": self.unseen, "not_in_graph": list(self.missing_unseen), "audited": len(self.rows)},
            "seen_and_unseen": list(self.in_both),
            "namesakes_of_seen": sum(bool(r.namesakes) for r in self.rows),
            "nested": {
                "classes": len(self.rows) - kinds[""],
                "direct": kinds["child"] + kinds["parent"],
                **{kind: kinds[kind] for kind in NESTINGS},
            },
            "hops": {key: hops[key] for key in sorted(hops, key=lambda k: (k == "none", k.zfill(6)))},
            "polysemous": {
                "source": self.sources["senses"],
                "every_lemma_shared": sum(r.senses > 1 for r in self.rows),
                "first_sense_of_none": sum(not r.first_sense for r in self.rows),
            },
            "rare": {
                "source": self.sources["frequency"],
                "rank": self.rare_rank,
                "rare": sum(r.rank is not None and r.rank >= self.rare_rank for r in self.rows) if measured else None,
                "unknown": sum(r.rank is None for r in self.rows) if measured else None,
            },
            "without_usable_lemma": sum(not r.usable for r in self.rows) if measured else None,
            "few_images": {
                "source": self.sources["images"],
                "fewer_than": self.few_images,
                "classes": sum((r.images or 0) < self.few_images for r in self.rows) if self.sources["images"] else None,
            },
            "trivial_solution": {
                "with_a_nearest_seen_class": sum(groups.values()),
                "told_apart": len(groups),
                "largest_group": max(groups.values(), default=0),
                "ceiling_hit@1": len(groups) / len(self.rows) if self.rows else 0.0,
                "nearer_to_seen_than_to_unseen": sum(r < 1 for r in ratios),
                "median_structural_ratio": float(np.median(ratios)) if ratios else None,
            },
        }


def audit_split(
    graph: KnowledgeGraph,
    seen: Sequence[str],
    unseen: Sequence[str],
    *,
    relation: str = "hypernym",
    senses: SenseOrder | None = None,
    ranks: Mapping[str, int] | None = None,
    images: Mapping[str, int] | None = None,
    sources: Mapping[str, str] | None = None,
    rare_rank: int = RARE_RANK,
    few_images: int = FEW_IMAGES,
) -> SplitAudit:
    """Audit a split of classes against a graph.

    Parameters
    ----------
    relation : the taxonomy; distances go along it, read both ways.
    senses : the order of a lemma's meanings; None counts the nodes of the graph with that lemma (that which names it earliest first).
    ranks : word → place in a list by frequency, 0 = most frequent; None leaves frequency out.
    images : class → images; a class that is not there has none. None leaves images out.
    sources : what to call `senses`, `frequency` and `images` in the report.

    Raises
    ------
    InvalidInputError : no class, a class named twice in one list, or no seen or unseen class left in the graph.
    UnknownNameError : the graph has no such relation.
    """
    check_unique(seen, "the seen classes")
    check_unique(unseen, "the unseen classes")
    known, both = [c for c in seen if c in graph], set(seen)
    classes = [c for c in unseen if c in graph and c not in both]
    if not known or not classes:
        raise InvalidInputError(
            "an audit needs seen classes, and unseen ones that are not seen, among the graph's nodes",
            received=f"{len(known)} of {len(seen):,} seen, {len(classes)} of {len(unseen):,} unseen",
            remedy="take another graph, or link the classes to it (`kgzsl link`)",
        )
    names = dict(sources or {})
    nearest = nearest_seen(undirected(graph, [relation], self_loops=False, norm=None), known)
    return SplitAudit(
        graph=graph.name,
        digest=graph.digest,
        seen=len(seen),
        unseen=len(unseen),
        rows=_rows(graph, known, classes, relation, nearest, _Words(graph, senses, ranks, rare_rank), images),
        nearest=nearest,
        in_both=tuple(c for c in unseen if c in both),
        missing_seen=tuple(c for c in seen if c not in graph),
        missing_unseen=tuple(c for c in unseen if c not in graph),
        sources={
            "senses": names.get("senses", "a sense order") if senses is not None else f"nodes of {graph.name}",
            "frequency": names.get("frequency", "a list of words") if ranks is not None else None,
            "images": names.get("images", "a list of counts") if images is not None else None,
        },
        rare_rank=rare_rank,
        few_images=few_images,
    )


def trivial_scores(nearest: Nearest, classes: Sequence[str], probabilities: np.ndarray) -> np.ndarray:
    """Return the trivial solution's scores of `classes`, `[rows, classes]`: the mean probability of their nearest seen classes.

    Parameters
    ----------
    probabilities : of the seen classes in the order of `nearest.seen`, `[rows, seen]`.

    Raises
    ------
    UnknownNameError : a class is not in the graph.
    InvalidInputError : another number of seen classes.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(nearest.seen):
        raise InvalidInputError(
            "there is one probability per seen class", received=f"{probabilities.shape} for {len(nearest.seen):,} seen classes"
        )
    return np.asarray((nearest.indicator(classes) @ probabilities.T).T, dtype=np.float32)


def _rows(
    graph: KnowledgeGraph,
    seen: Sequence[str],
    unseen: Sequence[str],
    relation: str,
    nearest: Nearest,
    found: _Words,
    images: Mapping[str, int] | None,
) -> tuple[ClassRow, ...]:
    places = graph.positions(unseen)
    kinds, inside = _nesting(graph, seen, places, relation)
    others = _to_others(undirected(graph, [relation], self_loops=False, norm=None), places)
    of_seen: dict[str, list[str]] = {}
    for identifier in seen:
        for lemma in found.lemmas(identifier):
            of_seen.setdefault(lemma, []).append(identifier)
    rows = []
    for k, (identifier, place) in enumerate(zip(unseen, places.tolist(), strict=True)):
        lemmas = found.lemmas(identifier)
        meanings = [found.meanings(lemma, identifier) for lemma in lemmas]
        lemma_ranks = [found.rank(lemma) for lemma in lemmas]
        first = [m[0] == identifier for m in meanings]
        rows.append(
            ClassRow(
                id=identifier,
                label=graph.labels[place],
                nesting=kinds[k],
                nested_in=_named(inside, k, seen),
                hops=int(nearest.hops[place]) if nearest.hops[place] >= 0 else None,
                nearest=_named(nearest.which, place, nearest.seen),
                hops_unseen=int(others[k]) if others[k] >= 0 else None,
                senses=min(len(m) for m in meanings),
                first_sense=any(first),
                rank=min((r for r in lemma_ranks if r is not None), default=None),
                usable=any(f and r is not None and r < found.rare_rank for f, r in zip(first, lemma_ranks, strict=True)),
                namesakes=tuple(dict.fromkeys(s for lemma in lemmas for s in of_seen.get(lemma, ()))),
                images=images.get(identifier, 0) if images is not None else None,
            )
        )
    return tuple(rows)


def _named(matrix: sparse.csr_matrix, row: int, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names[i] for i in matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]].tolist())


def _nesting(graph: KnowledgeGraph, seen: Sequence[str], places: np.ndarray, relation: str) -> tuple[list[str], sparse.csr_matrix]:
    """The nesting of each node at `places`, and which seen classes are above or below it, boolean CSR `[places, seen]`."""
    up = directed(graph, relation)
    down = View(up.ids, (sparse.csr_matrix(up.adjacency[0].T),), f"reversed {up.name}", up.graph_digest)
    start = graph.positions(seen)
    chosen = sparse.csr_matrix((np.ones(len(seen), dtype=bool), (np.arange(len(seen)), start)), shape=(len(seen), len(graph)))
    below, above = (reachable(view, start)[:, places] for view in (down, up))
    direct_below, direct_above = ((chosen @ view.adjacency[0].astype(bool))[:, places] for view in (down, up))
    tests = {"child": direct_below, "parent": direct_above, "descendant": below, "ancestor": above}
    kinds = np.full(len(places), "", dtype=object)
    for kind in reversed(NESTINGS):  # the closest one is written last
        kinds[np.asarray(tests[kind].astype(np.int32).sum(axis=0)).ravel() > 0] = kind
    inside = sparse.csr_matrix((below + above).T)
    inside.sort_indices()
    return kinds.tolist(), inside


def _to_others(view: View, places: np.ndarray) -> np.ndarray:
    """Edges from each of `places` to the nearest other of them, −1 without a path, int64 `[places]`.

    The shortest way to another one leaves the nodes that are nearest to its start by some edge (a, b): its length is the least
    of distance(a) + 1 + distance(b) over such edges. One search from all of them finds both distances.
    """
    links = view.adjacency[0]
    distance, _, owner = csgraph.dijkstra(links, directed=False, indices=places, unweighted=True, min_only=True, return_predecessors=True)
    rows, columns = links.nonzero()
    crossing = np.isfinite(distance[rows]) & (owner[rows] != owner[columns])
    least = np.full(len(view.ids), np.inf)
    np.minimum.at(least, owner[rows[crossing]], distance[rows[crossing]] + 1 + distance[columns[crossing]])
    return np.where(np.isfinite(least[places]), least[places], -1).astype(np.int64)


class _Words:
    """Lemmas of classes, their meanings and their frequency."""

    def __init__(self, graph: KnowledgeGraph, senses: SenseOrder | None, ranks: Mapping[str, int] | None, rare_rank: int) -> None:
        self.graph, self.senses, self.ranks, self.rare_rank = graph, senses, ranks, rare_rank
        order: dict[str, list[tuple[int, str]]] = {}
        for identifier, label in zip(graph.ids, graph.labels, strict=True):
            for place, lemma in enumerate(label.lower().split(", ")):
                order.setdefault(lemma, []).append((place, identifier))
        self.in_graph = {lemma: tuple(i for _, i in sorted(nodes)) for lemma, nodes in order.items()}

    def lemmas(self, identifier: str) -> list[str]:
        return list(dict.fromkeys(self.graph.labels[int(self.graph.positions([identifier])[0])].lower().split(", ")))

    def meanings(self, lemma: str, identifier: str) -> tuple[str, ...]:
        """First meaning first; where the sense order does not know this one, the graph's nodes with that lemma."""
        listed = () if self.senses is None else self.senses.get(lemma, ())
        return tuple(listed) if identifier in listed else self.in_graph[lemma]

    def rank(self, lemma: str) -> int | None:
        if self.ranks is None:
            return None
        if lemma in self.ranks:
            return self.ranks[lemma]
        parts = [self.ranks.get(p) for p in _PARTS.split(lemma) if p]
        return max((p for p in parts if p is not None), default=None) if None not in parts else None
