"""The cards at the sides of the focus, one per relation, and the lines to them."""

from __future__ import annotations

from dataclasses import dataclass

from kgzsl.graphs.picture.choose import Group, Neighbourhood
from kgzsl.graphs.picture.rows import Rows
from kgzsl.graphs.picture.scene import Box, Mark, Point, Scene, Text, clip, width
from kgzsl.graphs.picture.words import BESIDE, CARD, FOCUS, HEAD, INDENT, LANE, LINE, PILL, SIZE, SMALL, Words


@dataclass
class _Card:
    group: Group
    heading: tuple[tuple[str, str], ...]
    rows: list[tuple[float, tuple[tuple[str, str], ...], str]]  # indent, parts, tooltip
    wide: float
    y: float = 0.0

    @property
    def high(self) -> float:
        return HEAD + len(self.rows) * LINE + 8


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
    heading = clip(heading, SMALL, CARD - 24, bold=True)
    rows: list[tuple[float, tuple[tuple[str, str], ...], str]] = []
    wide = width(heading, SMALL, bold=True)
    for item in group.items:
        more = f"  +{item.more:,}" if item.more else ""
        label = clip(words.name(item.node), SIZE, CARD - 40 - width(more, SMALL))
        kind = "individual" if words.graph.kinds[item.node] == "individual" else ""
        rows.append((0.0, ((kind, label), ("more", more)), words.tip(item.node, item, focus)))
        wide = max(wide, width(label, SIZE) + width(more, SMALL) + 14)
        for inner in item.items:
            arrow = "→ " if inner.outward else "← "
            said = clip(arrow + words.relation(inner.relation), SMALL, CARD * 0.55) + " "
            label = clip(words.name(inner.node), SMALL, CARD - 40 - width(said, SMALL))
            rows.append(
                (INDENT, ((f"fill-{words.style(inner.relation)} small", said), ("small", label)), words.tip(inner.node, inner, item.node))
            )
            wide = max(wide, width(said + label, SMALL) + INDENT + 14)
    if group.more:
        rows.append((0.0, (("more", f"+{group.more:,} more"),), f"{group.total:,} in all"))
    return _Card(group, ((f"fill-{style}", heading),), rows, wide + 24)


def draw_panel(
    scene: Scene, words: Words, chosen: Neighbourhood, groups: list[Group], rows: Rows, middle: float, half: float, *, left: bool
) -> float:
    """Draw the cards of one side and the lines to them; return how far down they reach."""
    if not groups:
        return 0.0
    cards = [_card(words, chosen, g) for g in groups]
    high = sum(c.high for c in cards) + 14 * (len(cards) - 1)
    # cards have their middle at the focus, unless there are rows to stand beside, or below
    above = min(high - HEAD / 2, max(high / 2, -rows.top)) if rows.half <= BESIDE else 14.0
    y = -above
    for card in cards:
        card.y = y
        y += card.high + 14
    side = -1 if left else 1
    lanes = _lanes(cards, rows)
    inner = middle + 30 + LANE * len(cards)
    wide = max(c.wide for c in cards)
    ports = _ports(cards)
    for number, card in enumerate(cards):
        x = side * inner if not left else -inner - wide
        style = words.style(card.group.relation)
        lane = side * (middle + 22 + LANE * lanes[number])
        into: Point = (side * inner, card.y + HEAD / 2)
        if card.group.anchor is None:
            start: Point = (side * half, ports[number])
            route = [start, (lane, start[1]), (lane, into[1]), into]
        else:  # from below the parent, between its row and the next
            place = rows.places[card.group.anchor]
            start = (place.x + side * 8, rows.y(place.row) + PILL / 2)
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
    if len(own) == 1:  # a straight line, where it can be one
        return [min(max(c.y + HEAD / 2, 9 - FOCUS / 2), FOCUS / 2 - 9) for c in cards]
    step = min(7.0, (FOCUS - 12) / max(len(own) - 1, 1))
    return [(own.index(i) - (len(own) - 1) / 2) * step if i in own else 0.0 for i in range(len(cards))]


def _lanes(cards: list[_Card], rows: Rows) -> list[int]:
    """Cards above the focus: the higher, the nearer its lane is to the middle; below it likewise from the lowest."""
    upper = [i for i, c in enumerate(cards) if c.y + HEAD / 2 <= 0]
    lower = [i for i, c in enumerate(cards) if c.y + HEAD / 2 > 0][::-1]
    lane = {i: place for ordered in (upper, lower) for place, i in enumerate(ordered)}
    return [lane[i] for i in range(len(cards))]


def _draw_card(scene: Scene, card: _Card, x: float, wide: float, style: str) -> None:
    mark = Mark("", [Box(x, card.y, wide, card.high, 10, "card"), Box(x, card.y + 8, 3, card.high - 16, 1.5, f"bar bar-{style}")])
    mark.texts.append(Text(x + 14, card.y + HEAD / 2 + 4, card.heading, "heading"))
    scene.mark(mark)
    for number, (indent, parts, tip) in enumerate(card.rows):
        line = Mark(tip)
        line.texts.append(Text(x + 14 + indent, card.y + HEAD + number * LINE + 13, parts, "label"))
        scene.mark(line)
