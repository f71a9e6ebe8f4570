"""Which part of a node's neighbourhood a picture shows, and how much more there is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from kgzsl.graphs.describe import TAXONOMIC
from kgzsl.graphs.graph import KnowledgeGraph

#: Most lines in the cards of one side, headings aside.
_SIDE = 22
#: Most nodes below the focus.
_BELOW = 64
#: Most nodes above the focus, parents of the focus, and nodes of any later step.
_ABOVE, _PARENTS, _STEP = 24, 6, 8
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


class Edges:
    """The edges at a node, found without a pass over all of them."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        self.graph = graph
        self._order = [np.argsort(c, kind="stable") for c in (graph.subject, graph.object)]
        self._sorted = [c[o] for c, o in zip((graph.subject, graph.object), self._order, strict=True)]
        self.degree = np.bincount(graph.subject, minlength=len(graph)) + np.bincount(graph.object, minlength=len(graph))
        up = {i for i, r in enumerate(graph.relations) if r.id in TAXONOMIC}
        inverses = {r.inverse for r in graph.relations if r.id in TAXONOMIC} | {"hyponym", "instance_hyponym"}
        down = {i for i, r in enumerate(graph.relations) if r.id in inverses}
        self.taxonomic = up | down
        self._up, self._down = sorted(up), sorted(down)

    def at(self, node: int, *, outward: bool) -> np.ndarray:
        """Return the edges of which the node is the subject (outward) or the object."""
        side = 0 if outward else 1
        start, stop = np.searchsorted(self._sorted[side], [node, node + 1])
        return self._order[side][start:stop]

    def parents(self, node: int) -> list[Item]:
        """Return what the node is a kind of, the most telling first."""
        return self._taxonomy(node, self._up, self._down)

    def children(self, node: int) -> list[Item]:
        """Return what is a kind of the node."""
        return self._taxonomy(node, self._down, self._up)

    def _taxonomy(self, node: int, forward: list[int], backward: list[int]) -> list[Item]:
        found: dict[int, Item] = {}
        for codes, outward in ((forward, True), (backward, False)):
            edges = self.at(node, outward=outward)
            for item in self.items(edges[np.isin(self.graph.relation[edges], codes)], outward=outward):
                if item.node != node:
                    found.setdefault(item.node, item)
        return self.ranked(found.values())

    def items(self, edges: np.ndarray, *, outward: bool) -> list[Item]:
        """Return the far ends of edges."""
        g = self.graph
        far = (g.object if outward else g.subject)[edges]
        rows = zip(far.tolist(), g.relation[edges].tolist(), g.weight[edges].tolist(), strict=True)
        return [Item(node, relation, outward, weight) for node, relation, weight in rows]

    def ranked(self, items: Iterable[Item]) -> list[Item]:
        """Sort by weight, then by how many edges the node has, then by id (positions are in its order)."""
        return sorted(items, key=lambda i: (-np.nan_to_num(i.weight), -self.degree[i.node], i.node))

    def others(self, node: int) -> dict[tuple[int, bool], list[Item]]:
        """Return the neighbours by every relation but the taxonomy, per relation and direction; a symmetric one has one direction."""
        groups: dict[tuple[int, bool], dict[int, Item]] = {}
        for outward in (True, False):
            for item in self.items(self.at(node, outward=outward), outward=outward):
                if item.relation in self.taxonomic or item.node == node:
                    continue
                key = (item.relation, outward or self.graph.relations[item.relation].symmetric)
                groups.setdefault(key, {}).setdefault(item.node, item)
        return {key: self.ranked(found.values()) for key, found in groups.items()}


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
            known = [p for p in parents if p.node in distance]
            new = [p for p in parents if p.node not in distance]
            room = max(0, min(each, _ABOVE - len(distance)))
            for parent in (*known, *new[:room]):
                found.append((child, parent.node, parent.relation, parent.outward))
                if parent.node not in distance:
                    distance[parent.node] = step
                    reached.append(parent.node)
            if len(new) > room:
                chosen.more_above[child] = len(new) - room
        frontier = reached
    for node in frontier:
        hidden = [p for p in edges.parents(node) if p.node not in distance]
        found += [(node, p.node, p.relation, p.outward) for p in edges.parents(node) if p.node in distance]
        if hidden and node != chosen.focus:
            chosen.more_above[node] = len(hidden)
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
    shown = children[:top]
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
                below = [c for c in edges.children(owner) if c.node not in path]
                wide = 0 if hop == hops else max(0, min(room if hop == 1 else max(2, room // 2), lines))
                taken = [c for c in _by_label(edges.graph, below[:wide]) if c.node not in kept]
                kept[owner], hidden[owner] = taken, len(below) - len(taken)
                lines -= len(taken) + (1 if taken and hidden[owner] else 0)
                later += [(c.node, path | {c.node}) for c in taken]
            order = later

        def grown(item: Item) -> Item:
            inner = tuple(grown(c) for c in kept.get(item.node, ()))
            return Item(item.node, item.relation, item.outward, item.weight, inner, hidden.get(item.node, 0))

        return grown(head)

    listed = tuple(column(c) for c in _by_label(edges.graph, shown))
    return listed, len(children) - len(shown)


def _by_label(graph: KnowledgeGraph, items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda i: (graph.labels[i.node].lower(), i.node))


def _cards(edges: Edges, chosen: Neighbourhood, hops: int, top: int) -> None:
    """Share the cards out: in on the left, out on the right, symmetric and sibling ones where there is less."""
    graph = edges.graph
    found = edges.others(chosen.focus)
    order = sorted(found, key=lambda key: (-len(found[key]), graph.relations[key[0]].id, key[1]))
    sides: dict[bool, list[Group]] = {False: [], True: []}
    if hops >= 2:
        parents = [p for p in edges.parents(chosen.focus) if chosen.levels.get(p.node) == 1][:3]
        for number, parent in enumerate(sorted(parents, key=lambda p: p.node)):  # as they stand in their row
            others = [c for c in edges.children(parent.node) if c.node != chosen.focus and c.node not in chosen.levels]
            if others:
                group = Group(parent.relation, False, False, tuple(others), 0, anchor=parent.node)
                sides[number * 2 > len(parents) - 1].append(group)
    for key in order:
        relation, outward = key
        symmetric = graph.relations[relation].symmetric
        side = outward if not symmetric else _lines(sides[True]) <= _lines(sides[False])
        if len(sides[side]) >= _CARDS:
            chosen.unseen.append((relation, outward, len(found[key])))
            continue
        sides[side].append(Group(relation, outward, symmetric, tuple(found[key]), 0))
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
                inner = _second(edges, item, chosen.focus) if spare > 0 else []
                shown = inner[: min(2, spare)]
                spare -= len(shown)
                kept[place] = Item(item.node, item.relation, item.outward, item.weight, tuple(shown), len(inner) - len(shown))
        else:
            kept = _by_label(edges.graph, kept)
        result.append(Group(group.relation, group.outward, group.symmetric, tuple(kept), len(group.items) - size, group.anchor))
    return result


def _second(edges: Edges, item: Item, focus: int) -> list[Item]:
    """Neighbours of a neighbour by any relation, each once, without the focus."""
    found: dict[int, Item] = {}
    for outward in (True, False):
        for other in edges.items(edges.at(item.node, outward=outward), outward=outward):
            if other.node not in (focus, item.node):
                found.setdefault(other.node, other)
    return edges.ranked(found.values())
