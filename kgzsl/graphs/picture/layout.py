"""Where everything stands: rows above the focus, cards at its sides, columns below it. No two labels overlap, by construction.

The focus is at (0, 0). Ancestors stand in rows by their longest way from it, ordered by the mean place of what leads to them
(Sugiyama, Tagawa and Toda 1981); lines through a row pass it at a place of their own. Descendants hang in columns, as in charts of
organisations. Neighbours by other relations are in cards, a line of its own colour to each, nested so that no two of a side cross.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.picture.choose import Group, Item, Neighbourhood
from kgzsl.graphs.picture.scene import Box, Mark, Point, Scene, Text, clip, width

_PILL, _FOCUS, _ROW = 30.0, 44.0, 80.0
_LINE, _HEAD, _INDENT, _GAP = 21.0, 30.0, 15.0, 24.0
_SIZE, _SMALL = 13.0, 12.0
_WIDE = 1080.0  # of the columns below
_BESIDE = 260.0  # half the width of rows that cards stand beside
_LABEL, _CARD = 176.0, 240.0
_LANE = 9.0


class Words:
    """How nodes and edges are called."""

    def __init__(self, graph: KnowledgeGraph, styles: dict[int, str]) -> None:
        self.graph, self.styles = graph, styles

    def name(self, node: int) -> str:
        """Return the first lemma, or the id where there is no label."""
        return self.graph.labels[node].split(", ")[0].strip() or self.graph.ids[node]

    def tip(self, node: int, item: Item | None = None, owner: int | None = None) -> str:
        """Return all that is known of a node, for a tooltip."""
        g = self.graph
        lines = [f"{g.labels[node] or '(no label)'}  ·  {g.ids[node]}"]
        if g.texts[node]:
            lines.append(g.texts[node])
        if item is not None and owner is not None:
            lines.append(self.edge(item, owner))
        return "\n".join(lines)

    def edge(self, item: Item, owner: int) -> str:
        """Return an edge as a sentence."""
        ends = (owner, item.node) if item.outward else (item.node, owner)
        weight = "" if item.weight == 1 else f" (weight {item.weight:.3g})"
        return f"{self.name(ends[0])} {self.relation(item.relation)} {self.name(ends[1])}{weight}"

    def relation(self, code: int) -> str:
        """Return what a relation is called."""
        r = self.graph.relations[code]
        return r.label or r.id

    def style(self, code: int) -> str:
        """Return the class of a relation's colour."""
        return self.styles[code]


def lay_out(graph: KnowledgeGraph, chosen: Neighbourhood, styles: dict[int, str]) -> Scene:
    """Return the drawing of a neighbourhood.

    Parameters
    ----------
    styles : position of a relation → class of its colour.
    """
    words, scene = Words(graph, styles), Scene()
    name = clip(words.name(chosen.focus), 18, 420, bold=True)
    half = max(width(name, 18, bold=True) / 2 + 24, 56.0)
    focus = Mark(words.tip(chosen.focus), [Box(-half, -_FOCUS / 2, 2 * half, _FOCUS, 22, "focus")])
    focus.texts.append(Text(0, 6.5, (("", name),), "focus-name", "middle"))
    scene.mark(focus)
    rows = _Rows(words, chosen)
    rows.draw(scene)
    # narrow rows have the cards beside them, wide ones above them
    middle = max(half, rows.half) if rows.half <= _BESIDE else half
    bottom = max(
        _panel(scene, words, chosen, chosen.left, rows, middle, half, left=True),
        _panel(scene, words, chosen, chosen.right, rows, middle, half, left=False),
        _FOCUS / 2,
    )
    _columns(scene, words, chosen, bottom)
    return scene


# ---- above


@dataclass
class _Place:
    """Something in a row above: a node, a line passing (`node` None), or a note of how many more there are."""

    row: int
    node: int | None
    label: str
    wide: float
    x: float = 0.0
    note: bool = False


class _Rows:
    """The rows above the focus."""

    def __init__(self, words: Words, chosen: Neighbourhood) -> None:
        self.words, self.chosen = words, chosen
        self.places: dict[object, _Place] = {chosen.focus: _Place(0, chosen.focus, "", 0)}
        self.steps: list[tuple[object, object, int, tuple[int, int]]] = []  # lower key, upper key, relation, whole edge
        for node, row in sorted(chosen.levels.items(), key=lambda e: (e[1], e[0])):
            if node != chosen.focus:
                label = clip(words.name(node), _SIZE, _LABEL)
                self.places[node] = _Place(row, node, label, width(label, _SIZE) + 26)
        for child, parent, relation in chosen.above:
            self._way(child, parent, relation)
        top = max(chosen.levels.values())
        for node, count in sorted(chosen.more_above.items()):
            row = self.places[node].row + 1
            if row <= top or node == chosen.focus:
                label = f"+{count:,} more"
                self.places[("more", node)] = _Place(row, None, label, width(label, _SMALL) + 24, note=True)
                self.steps.append((node, ("more", node), -1, (node, node)))
        self.rows = [[k for k, p in self.places.items() if p.row == r] for r in range(max(p.row for p in self.places.values()) + 1)]
        self._order()
        self.half = max((abs(p.x) + p.wide / 2 for p in self.places.values()), default=0.0)

    def _way(self, child: int, parent: int, relation: int) -> None:
        """An edge over several rows has a place in each, so that it runs between the nodes there."""
        below: object = child
        for row in range(self.places[child].row + 1, self.places[parent].row):
            key = ("way", child, parent, relation, row)
            self.places[key] = _Place(row, None, "", 6)
            self.steps.append((below, key, relation, (child, parent)))
            below = key
        self.steps.append((below, parent, relation, (child, parent)))

    def _order(self) -> None:
        lower: dict[object, list[object]] = {}
        upper: dict[object, list[object]] = {}
        for a, b, _, _ in self.steps:
            lower.setdefault(b, []).append(a)
            upper.setdefault(a, []).append(b)
        for sweep in range(4):
            for row in self.rows[1:]:
                self._arrange(row, lower)
            if sweep < 3:
                for row in self.rows[-2:0:-1]:
                    self._arrange(row, upper)

    def _arrange(self, row: list[object], near: dict[object, list[object]]) -> None:
        wanted = {k: float(np.mean([self.places[n].x for n in near[k]])) if near.get(k) else self.places[k].x for k in row}
        row.sort(key=lambda k: (wanted[k], self.places[k].note))
        wide = np.asarray([self.places[k].wide for k in row])
        for k, x in zip(row, _apart(np.asarray([wanted[k] for k in row]), wide), strict=True):
            self.places[k].x = float(x)

    def y(self, row: int) -> float:
        """Return the middle of a row."""
        return -_ROW * row - (10 if row else 0)

    @property
    def top(self) -> float:
        """Return how far up the rows reach."""
        return self.y(len(self.rows) - 1) - _PILL / 2

    def draw(self, scene: Scene) -> None:
        """Draw lines, then nodes."""
        for a, b, relation, (child, parent) in self.steps:
            low, high = self.places[a], self.places[b]
            style = "more-line" if relation < 0 else self.words.style(relation)
            says = "" if relation < 0 else f"{self.words.name(child)} {self.words.relation(relation)} {self.words.name(parent)}"
            start = (low.x, self.y(low.row) - (_FOCUS / 2 if low.row == 0 else _PILL / 2 if low.node is not None else 0))
            if high.node is None and not high.note:
                scene.curve(start, (high.x, self.y(high.row) + _PILL / 2), style, says)
                scene.line([(high.x, self.y(high.row) + _PILL / 2), (high.x, self.y(high.row))], style, says)
                continue
            if low.node is None and not low.note:
                scene.line([start, (low.x, start[1] - _PILL / 2)], style, says)
                start = (low.x, start[1] - _PILL / 2)
            end = (high.x, self.y(high.row) + _PILL / 2)
            scene.curve(start, end, style, says)
            if relation >= 0:
                scene.arrow(end, "up", style)
        for key, p in self.places.items():
            if p.row and (p.node is not None or p.note):
                self._pill(scene, key, p)

    def _pill(self, scene: Scene, key: object, p: _Place) -> None:
        y = self.y(p.row)
        if p.node is None:
            mark = Mark("not shown", [Box(p.x - p.wide / 2, y - 13, p.wide, 26, 13, "more-box")])
            mark.texts.append(Text(p.x, y + 4, (("", p.label),), "more", "middle"))
        else:
            kind = "individual" if self.words.graph.kinds[p.node] == "individual" else ""
            mark = Mark(self.words.tip(p.node), [Box(p.x - p.wide / 2, y - _PILL / 2, p.wide, _PILL, 15, "node above")])
            mark.texts.append(Text(p.x, y + 4.5, ((kind, p.label),), "label", "middle"))
            if p.row == len(self.rows) - 1 and p.node in self.chosen.more_above:
                scene.line([(p.x, y - _PILL / 2), (p.x, y - _PILL / 2 - 9)], "more-line")
                mark.texts.append(Text(p.x, y - _PILL / 2 - 13, (("", f"+{self.chosen.more_above[p.node]:,}"),), "more", "middle"))
                scene.cover(p.x, y - _PILL / 2 - 26, p.x, y)
        scene.mark(mark)


def _apart(wanted: np.ndarray, wide: np.ndarray, gap: float = 22.0) -> np.ndarray:
    """Return places as near to the wanted ones as can be, in their order and without overlaps (least squares, pooled blocks)."""
    offset = np.concatenate([[0.0], np.cumsum((wide[:-1] + wide[1:]) / 2 + gap)])
    blocks: list[list[float]] = []  # mean, size
    for value in (wanted - offset).tolist():
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, size = blocks.pop()
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * size) / (blocks[-1][1] + size), blocks[-1][1] + size]
    return np.repeat([b[0] for b in blocks], [int(b[1]) for b in blocks]) + offset


# ---- sides


@dataclass
class _Card:
    group: Group
    heading: tuple[tuple[str, str], ...]
    rows: list[tuple[float, tuple[tuple[str, str], ...], str]]  # indent, parts, tooltip
    wide: float
    y: float = 0.0

    @property
    def high(self) -> float:
        return _HEAD + len(self.rows) * _LINE + 8


def _card(words: Words, chosen: Neighbourhood, group: Group) -> _Card:
    style = words.style(group.relation)
    focus = chosen.focus if group.anchor is None else group.anchor
    if group.anchor is not None:
        heading = f"other kinds of {words.name(group.anchor)}"
        if words.graph.relations[group.relation].id == "instance_hypernym":
            heading = f"other instances of {words.name(group.anchor)}"
    elif group.symmetric:
        heading = words.relation(group.relation)
    elif group.outward:
        heading = f"{words.relation(group.relation)} …"
    else:
        heading = f"… {words.relation(group.relation)} {words.name(chosen.focus)}"
    heading = clip(heading, _SMALL, _CARD - 24, bold=True)
    rows: list[tuple[float, tuple[tuple[str, str], ...], str]] = []
    wide = width(heading, _SMALL, bold=True)
    for item in group.items:
        more = f"  +{item.more:,}" if item.more else ""
        label = clip(words.name(item.node), _SIZE, _CARD - 40 - width(more, _SMALL))
        kind = "individual" if words.graph.kinds[item.node] == "individual" else ""
        rows.append((0.0, ((kind, label), ("more", more)), words.tip(item.node, item, focus)))
        wide = max(wide, width(label, _SIZE) + width(more, _SMALL) + 14)
        for inner in item.items:
            arrow = "→ " if inner.outward else "← "
            said = clip(arrow + words.relation(inner.relation), _SMALL, _CARD * 0.55) + " "
            label = clip(words.name(inner.node), _SMALL, _CARD - 40 - width(said, _SMALL))
            rows.append((_INDENT, ((f"fill-{words.style(inner.relation)} small", said), ("small", label)), words.tip(inner.node, inner, item.node)))
            wide = max(wide, width(said + label, _SMALL) + _INDENT + 14)
    if group.more:
        rows.append((0.0, (("more", f"+{group.more:,} more"),), f"{group.total:,} in all"))
    return _Card(group, ((f"fill-{style}", heading),), rows, wide + 24)


def _panel(
    scene: Scene, words: Words, chosen: Neighbourhood, groups: list[Group], rows: _Rows, middle: float, half: float, *, left: bool
) -> float:
    """Draw the cards of one side and the lines to them; return how far down they reach."""
    if not groups:
        return 0.0
    cards = [_card(words, chosen, g) for g in groups]
    high = sum(c.high for c in cards) + 14 * (len(cards) - 1)
    # cards have their middle at the focus, unless there are rows to stand beside, or below
    above = min(high - _HEAD / 2, max(high / 2, -rows.top)) if rows.half <= _BESIDE else 14.0
    y = -above
    for card in cards:
        card.y = y
        y += card.high + 14
    side = -1 if left else 1
    lanes = _lanes(cards, rows)
    inner = middle + 30 + _LANE * len(cards)
    wide = max(c.wide for c in cards)
    ports = _ports(cards)
    for number, card in enumerate(cards):
        x = side * inner if not left else -inner - wide
        style = words.style(card.group.relation)
        lane = side * (middle + 22 + _LANE * lanes[number])
        into: Point = (side * inner, card.y + _HEAD / 2)
        if card.group.anchor is None:
            start: Point = (side * half, ports[number])
            route = [start, (lane, start[1]), (lane, into[1]), into]
        else:  # from below the parent, between its row and the next
            place = rows.places[card.group.anchor]
            start = (place.x + side * 8, rows.y(place.row) + _PILL / 2)
            turn = start[1] + 12 + 5 * number
            route = [start, (start[0], turn), (lane, turn), (lane, into[1]), into]
        if abs(start[1] - into[1]) < 3:
            into = (into[0], start[1])
            route = [start, into]
        tip = f"{words.name(chosen.focus)}: {words.relation(card.group.relation)}" if card.group.anchor is None else ""
        scene.line(route, style, tip)
        if card.group.anchor is None and not card.group.symmetric:
            if card.group.outward:
                scene.arrow(into, "left" if left else "right", style)
            else:
                scene.arrow(start, "right" if left else "left", style)
        _draw_card(scene, card, x, wide, style)
    return y - 14


def _ports(cards: list[_Card]) -> list[float]:
    own = [i for i, c in enumerate(cards) if c.group.anchor is None]
    step = min(7.0, (_FOCUS - 12) / max(len(own) - 1, 1))
    return [(own.index(i) - (len(own) - 1) / 2) * step if i in own else 0.0 for i in range(len(cards))]


def _lanes(cards: list[_Card], rows: _Rows) -> list[int]:
    """Cards above the focus: the higher, the nearer its lane is to the middle; below it likewise from the lowest."""
    upper = [i for i, c in enumerate(cards) if c.y + _HEAD / 2 <= 0]
    lower = [i for i, c in enumerate(cards) if c.y + _HEAD / 2 > 0][::-1]
    lane = {i: place for ordered in (upper, lower) for place, i in enumerate(ordered)}
    return [lane[i] for i in range(len(cards))]


def _draw_card(scene: Scene, card: _Card, x: float, wide: float, style: str) -> None:
    mark = Mark("", [Box(x, card.y, wide, card.high, 10, "card"), Box(x, card.y + 8, 3, card.high - 16, 1.5, f"bar bar-{style}")])
    mark.texts.append(Text(x + 14, card.y + _HEAD / 2 + 4, card.heading, "heading"))
    scene.mark(mark)
    for number, (indent, parts, tip) in enumerate(card.rows):
        line = Mark(tip)
        line.texts.append(Text(x + 14 + indent, card.y + _HEAD + number * _LINE + 13, parts, "label"))
        scene.mark(line)


# ---- below


@dataclass
class _Column:
    """A kind of the focus with its own kinds below it, or a list of kinds that have none shown."""

    head: Item | None
    rows: list[tuple[int, Item | None, int, int]]  # depth, item, owner, how many more where item is None
    wide: float = 0.0

    @property
    def high(self) -> float:
        return (_HEAD + 6 if self.head else 0) + len(self.rows) * _LINE


def _columns(scene: Scene, words: Words, chosen: Neighbourhood, bottom: float) -> None:
    if not chosen.below:
        return
    columns = _gather(words, chosen)
    bands = _bands(columns)
    spread = [sum(c.wide for c in band) + _GAP * (len(band) - 1) for band in bands]
    trunk = -max(spread) / 2 - 22
    bus = bottom + 26
    first = bus
    for band, wide in zip(bands, spread, strict=True):
        x, top = -wide / 2, bus + 22
        drops = [x + sum(c.wide + _GAP for c in band[:i]) + (c.wide / 2 if c.head else 6) for i, c in enumerate(band)]
        near = min(drops, key=abs)
        x -= near if abs(near) < 16 else 0  # no kink in a line that is all but straight
        for column in band:
            drop = x + column.wide / 2 if column.head else x + 6
            route = [(0.0, _FOCUS / 2), (0.0, first), (drop, first), (drop, top)]
            if bus != first:
                route = [(0.0, _FOCUS / 2), (0.0, first), (trunk, first), (trunk, bus), (drop, bus), (drop, top)]
            item = column.head or next((i for _, i, _, _ in column.rows if i is not None), chosen.below[0])
            if abs(drop) < 1.5 and bus == first:
                route = [(0.0, _FOCUS / 2), (0.0, top)]
            scene.line(route, words.style(item.relation), words.edge(item, chosen.focus) if column.head else "")
            _draw_column(scene, words, chosen, column, x, top)
            x += column.wide + _GAP
        bus = top + max(c.high for c in band) + 26
    scene.arrow((0.0, _FOCUS / 2), "up", words.style(chosen.below[0].relation))


def _gather(words: Words, chosen: Neighbourhood) -> list[_Column]:
    branches = [i for i in chosen.below if i.items]
    leaves = [i for i in chosen.below if not i.items]
    columns = []
    for item in branches if len(leaves) > 4 else chosen.below:
        rows: list[tuple[int, Item | None, int, int]] = []
        _outline(item, 0, rows)
        columns.append(_Column(item, rows))
    if len(leaves) > 4:
        tallest = max([len(c.rows) + 1 for c in columns], default=6)
        each = max(5, min(tallest, 9))
        count = -(-len(leaves) // each)
        each = -(-len(leaves) // count)
        columns += [_Column(None, [(0, i, chosen.focus, 0) for i in leaves[k : k + each]]) for k in range(0, len(leaves), each)]
    if chosen.more_below:
        if columns[-1].head is None:
            columns[-1].rows.append((0, None, chosen.focus, chosen.more_below))
        else:
            columns.append(_Column(None, [(0, None, chosen.focus, chosen.more_below)]))
    for column in columns:
        texts = [_line(words, item, more) for _, item, _, more in column.rows]
        column.wide = max(
            [d * _INDENT + 18 + width("".join(t for _, t in parts), _SIZE) for (d, *_), parts in zip(column.rows, texts, strict=True)],
            default=0,
        )
        if column.head:
            column.wide = max(column.wide, width("".join(t for _, t in _line(words, column.head, 0)), _SIZE) + 26)
    return columns


def _outline(owner: Item, depth: int, rows: list[tuple[int, Item | None, int, int]]) -> None:
    for item in owner.items:
        rows.append((depth, item, owner.node, 0))
        _outline(item, depth + 1, rows)
    if owner.more and owner.items:
        rows.append((depth, None, owner.node, owner.more))


def _line(words: Words, item: Item | None, more: int) -> tuple[tuple[str, str], ...]:
    if item is None:
        return (("more", f"+{more:,} more"),)
    hidden = f"  +{item.more:,}" if item.more and not item.items else ""
    kind = "individual" if words.graph.kinds[item.node] == "individual" else ""
    return ((kind, clip(words.name(item.node), _SIZE, _LABEL)), ("more", hidden))


def _bands(columns: list[_Column]) -> list[list[_Column]]:
    """Share columns out to as few rows as hold them, about equally wide."""
    total = sum(c.wide + _GAP for c in columns)
    count = max(1, int(-(-total // _WIDE)))
    bands: list[list[_Column]] = [[]]
    used = 0.0
    for column in columns:
        if bands[-1] and used + column.wide > max(total / count, 200) + 40 and len(bands) < count + 1:
            bands.append([])
            used = 0.0
        bands[-1].append(column)
        used += column.wide + _GAP
    return bands


def _draw_column(scene: Scene, words: Words, chosen: Neighbourhood, column: _Column, x: float, top: float) -> None:
    y = top
    style = words.style((column.head or next((i for _, i, _, _ in column.rows if i), chosen.below[0])).relation)
    if column.head:
        parts = _line(words, column.head, 0)
        wide = width("".join(t for _, t in parts), _SIZE) + 26
        left = x + (column.wide - wide) / 2
        mark = Mark(words.tip(column.head.node, column.head, chosen.focus), [Box(left, y, wide, _HEAD, 15, "node below")])
        mark.texts.append(Text(left + wide / 2, y + 19.5, parts, "label", "middle"))
        scene.mark(mark)
        y += _HEAD + 6
        _spines(scene, column, max(x + 6, left + 12), y, _HEAD / 2 - 9, style, head=True)
        shift = max(x + 6, left + 12) - x
    else:
        _spines(scene, column, x + 6, y, 0, style, head=False)
        shift = 6.0
    for number, (depth, item, owner, more) in enumerate(column.rows):
        tip = words.tip(item.node, item, owner) if item else "not shown"
        row = Mark(tip)
        row.texts.append(Text(x + shift + 12 + depth * _INDENT, y + number * _LINE + 15, _line(words, item, more), "label"))
        scene.cover(x, y, x + column.wide, y + (number + 1) * _LINE)
        scene.mark(row)


def _spines(scene: Scene, column: _Column, x: float, y: float, lift: float, style: str, *, head: bool) -> None:
    """Lines from an owner down past its items, a tick to each."""
    at: Callable[[int], float] = lambda number: y + number * _LINE + 10.5  # noqa: E731
    last: dict[int, int] = {}
    for number, (depth, *_) in enumerate(column.rows):
        begin = y - 6 if depth == 0 and head else y if depth == 0 else at(number) - 13
        left = x + depth * _INDENT
        start = begin if depth not in last else at(last[depth])
        scene.line([(left, start), (left, at(number)), (left + 9, at(number))], style + " thin")
        last = {d: n for d, n in last.items() if d < depth} | {depth: number}
