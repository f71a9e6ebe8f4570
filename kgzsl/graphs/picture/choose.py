"""Which part of a node's neighbourhood a picture shows, and how much more there is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from kgzsl.graphs.describe import TAXONOMIC
from kgzsl.graphs.graph import KnowledgeGraph

#: The taxonomy read from the parent to the child.
INVERSES = ("hyponym", "instance_hyponym", "inferred_hyponym")
#: Most lines in the cards of one side, headings aside.
_SIDE = 22
#: Most nodes below the focus.
_BELOW = 64
#: Most nodes above the focus, parents of the focus, and nodes of any later step.
_ABOVE, _PARENTS, _STEP = 24, 6, 8
#: Most neighbours that are considered one by one; of more, the rest is only counted.
_LISTED = 200
#: Most lines of a column below a kind of the focus.
_COLUMN = 14
#: Most relations that get a card of their own, on one side.
_CARDS = 8


@dataclass(frozen=True)
class Item:
    """A neighbour in a list, with neighbours of its own.

    Attributes
    ----------
    node, relation : positions in the graph.
    outward : whether the edge goes from the list's owner to the node.
    weight : of the edge.
    items : neighbours of the node that are shown.
    more : how many are not.
    """

    node: int
    relation: int
    outward: bool
    weight: float
    items: tuple[Item, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Group:
    """Neighbours by one relation and direction: of the focus, or (`anchor`) the other kinds of one of its parents."""

    relation: int
    outward: bool
    symmetric: bool
    items: tuple[Item, ...]
    more: int
    anchor: int | None = None

    @property
    def total(self) -> int:
        """How many neighbours there are, shown or not."""
        return len(self.items) + self.more


@dataclass
class Neighbourhood:
    """What is shown.

    Attributes
    ----------
    levels : node above the focus → how many rows above; the focus is 0.
    above : (child, parent, relation, outward) of the edges among these; outward when the child is the subject.
    more_above : node → how many of its parents are not shown.
    below : kinds of the focus, with kinds of their own; `more_below` of them are not shown.
    left, right : cards. The focus is the object of edges on the left, the subject of those on the right.
    unseen : (relation, outward, count) of groups for which there is no room.
    """

    focus: int
    levels: dict[int, int] = field(default_factory=dict)
    above: list[tuple[int, int, int, bool]] = field(default_factory=list)
    more_above: dict[int, int] = field(default_factory=dict)
    below: tuple[Item, ...] = ()
    more_below: int = 0
    left: list[Group] = field(default_factory=list)
    right: list[Group] = field(default_factory=list)
    unseen: list[tuple[int, bool, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Neighbours:
    """Neighbours of a node, the most telling ones listed, and how many there are."""

    items: tuple[Item, ...]
    total: int


class Edges:
    """The edges at a node, found without a pass over all of them."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        self.graph = graph
        self._order = [np.argsort(c, kind="stable") for c in (graph.subject, graph.object)]
        self._sorted = [c[o] for c, o in zip((graph.subject, graph.object), self._order, strict=True)]
        self.degree = np.bincount(graph.subject, minlength=len(graph)) + np.bincount(graph.object, minlength=len(graph))
        up = {i for i, r in enumerate(graph.relations) if r.id in TAXONOMIC}
        down = {i for i, r in enumerate(graph.relations) if r.id in INVERSES}
        self.taxonomic = up | down
        self._up, self._down = sorted(up), sorted(down)

    def at(self, node: int, *, outward: bool) -> np.ndarray:
        """Return the edges of which the node is the subject (outward) or the object."""
        side = 0 if outward else 1
        start, stop = np.searchsorted(self._sorted[side], [node, node + 1])
        return self._order[side][start:stop]

    def parents(self, node: int) -> Neighbours:
        """Return what the node is a kind of, the most telling first."""
        return self._taxonomy(node, self._up, self._down, ())

    def children(self, node: int, but: Collection[int] = ()) -> Neighbours:
        """Return what is a kind of the node, but for some."""
        return self._taxonomy(node, self._down, self._up, but)

    def _taxonomy(self, node: int, forward: list[int], backward: list[int], but: Collection[int]) -> Neighbours:
        ends = []
        for codes, outward in ((forward, True), (backward, False)):
            edges = self.at(node, outward=outward)
            ends.append((edges[np.isin(self.graph.relation[edges], codes)], outward))
        return self.ranked(ends, {node, *but})

    def others(self, node: int) -> dict[tuple[int, bool], Neighbours]:
        """Return the neighbours by every relation but the taxonomy, per relation and direction; a symmetric one has one direction."""
        groups: dict[tuple[int, bool], list[tuple[np.ndarray, bool]]] = {}
        for outward in (True, False):
            edges = self.at(node, outward=outward)
            for code in np.unique(self.graph.relation[edges]).tolist():
                if code not in self.taxonomic:
                    key = (code, outward or self.graph.relations[code].symmetric)
                    groups.setdefault(key, []).append((edges[self.graph.relation[edges] == code], outward))
        found = {key: self.ranked(ends, {node}) for key, ends in groups.items()}
        return {key: neighbours for key, neighbours in found.items() if neighbours.total}

    def all(self, node: int, but: Collection[int]) -> Neighbours:
        """Return the neighbours by any relation, each once, but for some."""
        return self.ranked([(self.at(node, outward=outward), outward) for outward in (True, False)], {node, *but})

    def ranked(self, ends: list[tuple[np.ndarray, bool]], but: Collection[int]) -> Neighbours:
        """Return the far ends of edges, each once: by weight, then by how many edges the node has, then by id."""
        g = self.graph
        edges = np.concatenate([e for e, _ in ends])
        outward = np.concatenate([np.full(len(e), way) for e, way in ends])
        far = np.where(outward, g.object[edges], g.subject[edges])
        kept = np.sort(np.unique(far, return_index=True)[1])
        kept = kept[~np.isin(far[kept], np.fromiter(but, dtype=np.int64))]
        edges, far, outward = edges[kept], far[kept], outward[kept]
        order = np.lexsort((far, -self.degree[far], -np.nan_to_num(g.weight[edges])))[:_LISTED]
        rows = (far[order], g.relation[edges[order]], outward[order], g.weight[edges[order]])
        return Neighbours(tuple(Item(*row) for row in zip(*(r.tolist() for r in rows), strict=True)), len(kept))


def choose(graph: KnowledgeGraph, focus: int, hops: int, top: int) -> Neighbourhood:
    """Choose what a picture of the node `focus` shows.

    Along the taxonomy: all ancestors and descendants up to `hops` away, and from two hops the other kinds of its parents. By other
    relations: the neighbours, and from two hops theirs.

    Parameters
    ----------
    hops : at least 1.
    top : most neighbours of one relation that are shown; fewer where there is no room.
    """
    edges = Edges(graph)
    chosen = Neighbourhood(focus)
    _climb(edges, chosen, hops)
    chosen.below, chosen.more_below = _descend(edges, focus, hops, top)
    _cards(edges, chosen, hops, top)
    return chosen


def _climb(edges: Edges, chosen: Neighbourhood, hops: int) -> None:
    distance = {chosen.focus: 0}
    frontier = [chosen.focus]
    found: list[tuple[int, int, int, bool]] = []
    for step in range(1, hops + 1):
        reached: list[int] = []
        each = _PARENTS if step == 1 else max(1, _STEP // max(len(frontier), 1))
        for child in frontier:
            parents = edges.parents(child)
            known = [p for p in parents.items if p.node in distance]
            new = [p for p in parents.items if p.node not in distance]
            room = max(0, min(each, _ABOVE - len(distance)))
            for parent in (*known, *new[:room]):
                found.append((child, parent.node, parent.relation, parent.outward))
                if parent.node not in distance:
                    distance[parent.node] = step
                    reached.append(parent.node)
            if hidden := parents.total - len(known) - len(new[:room]):
                chosen.more_above[child] = hidden
        frontier = reached
    for node in frontier:
        parents = edges.parents(node)
        known = [p for p in parents.items if p.node in distance]
        found += [(node, p.node, p.relation, p.outward) for p in known]
        if parents.total > len(known) and node != chosen.focus:
            chosen.more_above[node] = parents.total - len(known)
    chosen.levels = _rows(distance, found)
    chosen.above = [e for e in dict.fromkeys(found) if chosen.levels[e[0]] < chosen.levels[e[1]]]


def _rows(distance: dict[int, int], found: list[tuple[int, int, int, bool]]) -> dict[int, int]:
    """Put each node as many rows up as its longest way from the focus is, so that every edge leads upwards.

    In a cycle only edges away from the focus count; the rest would lead nowhere.
    """
    nodes = list(distance)
    place = {node: i for i, node in enumerate(nodes)}
    rows = np.asarray([place[a] for a, *_ in found], dtype=np.int64)
    cols = np.asarray([place[b] for _, b, *_ in found], dtype=np.int64)
    links = sparse.csr_matrix((np.ones(len(found), dtype=np.int8), (rows, cols)), shape=(len(nodes), len(nodes)))
    _, part = csgraph.connected_components(links, directed=True, connection="strong")
    ways = [(a, b) for a, b, *_ in found if part[place[a]] != part[place[b]] or distance[a] < distance[b]]
    level = dict.fromkeys(nodes, 0)
    for _ in nodes:  # longest ways settle after as many passes as there are nodes, by custom after a few
        raised = {b: level[a] + 1 for a, b in ways if level[a] + 1 > level[b]}
        if not raised:
            break
        for a, b in ways:
            level[b] = max(level[b], level[a] + 1)
    return level


def _descend(edges: Edges, focus: int, hops: int, top: int) -> tuple[tuple[Item, ...], int]:
    children = edges.children(focus)
    shown = children.items[:top]
    room = max(2, min(8, (_BELOW - len(shown)) // max(len(shown), 1)))

    def column(head: Item) -> Item:
        """The head with what is below it, nearer kinds first, as long as there is room."""
        lines = _COLUMN if hops > 2 else room
        order = [(head.node, frozenset({focus, head.node}))]
        kept: dict[int, list[Item]] = {}
        hidden: dict[int, int] = {}
        for hop in range(1, hops + 1):
            later = []
            for owner, path in order:
                below = edges.children(owner, path)
                wide = 0 if hop == hops else max(0, min(room if hop == 1 else max(2, room // 2), lines))
                taken = [c for c in _by_label(edges.graph, below.items[:wide]) if c.node not in kept]
                kept[owner], hidden[owner] = taken, below.total - len(taken)
                lines -= len(taken) + (1 if taken and hidden[owner] else 0)
                later += [(c.node, path | {c.node}) for c in taken]
            order = later

        def grown(item: Item) -> Item:
            inner = tuple(grown(c) for c in kept.get(item.node, ()))
            return Item(item.node, item.relation, item.outward, item.weight, inner, hidden.get(item.node, 0))

        return grown(head)

    listed = tuple(column(c) for c in _by_label(edges.graph, shown))
    return listed, children.total - len(shown)


def _by_label(graph: KnowledgeGraph, items: Sequence[Item]) -> list[Item]:
    return sorted(items, key=lambda i: (graph.labels[i.node].lower(), i.node))


def _cards(edges: Edges, chosen: Neighbourhood, hops: int, top: int) -> None:
    """Share the cards out: in on the left, out on the right, symmetric and sibling ones where there is less."""
    graph = edges.graph
    found = edges.others(chosen.focus)
    order = sorted(found, key=lambda key: (-found[key].total, graph.relations[key[0]].id, key[1]))
    sides: dict[bool, list[Group]] = {False: [], True: []}
    if hops >= 2:
        parents = [p for p in edges.parents(chosen.focus).items if chosen.levels.get(p.node) == 1][:3]
        for number, parent in enumerate(sorted(parents, key=lambda p: p.node)):  # as they stand in their row
            others = edges.children(parent.node, chosen.levels)
            if others.total:
                group = Group(parent.relation, False, False, others.items, others.total - len(others.items), anchor=parent.node)
                sides[number * 2 > len(parents) - 1].append(group)
    for key in order:
        relation, outward = key
        symmetric = graph.relations[relation].symmetric
        side = outward if not symmetric else _lines(sides[True]) <= _lines(sides[False])
        if len(sides[side]) >= _CARDS:
            chosen.unseen.append((relation, outward, found[key].total))
            continue
        items, total = found[key].items, found[key].total
        sides[side].append(Group(relation, outward, symmetric, items, total - len(items)))
    chosen.left, chosen.right = (_fit(edges, sides[side], chosen, hops, top) for side in (False, True))


def _lines(groups: list[Group]) -> int:
    return sum(min(g.total, 8) + 2 for g in groups)


def _fit(edges: Edges, groups: list[Group], chosen: Neighbourhood, hops: int, top: int) -> list[Group]:
    """Cut the groups to what one side has room for, and fill what is left with the neighbours' neighbours."""
    sizes = [min(len(g.items), top) for g in groups]
    while sum(sizes) > _SIDE and max(sizes) > 2:
        largest = max(range(len(sizes)), key=sizes.__getitem__)
        sizes[largest] -= 1
    spare = _SIDE - sum(sizes) if hops >= 2 else 0
    result = []
    for group, size in zip(groups, sizes, strict=True):
        kept = list(group.items[:size])
        if group.anchor is None:
            for place, item in enumerate(kept):
                if spare <= 0:
                    break
                inner = edges.all(item.node, {chosen.focus})
                shown = inner.items[: min(2, spare)]
                spare -= len(shown)
                kept[place] = Item(item.node, item.relation, item.outward, item.weight, shown, inner.total - len(shown))
        else:
            kept = _by_label(edges.graph, kept)
        result.append(Group(group.relation, group.outward, group.symmetric, tuple(kept), group.total - size, group.anchor))
    return result
