"""The columns below the focus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kgzsl.graphs.picture.choose import Item, Neighbourhood
from kgzsl.graphs.picture.scene import Box, Mark, Scene, Text, clip, width
from kgzsl.graphs.picture.words import FOCUS, GAP, HEAD, INDENT, LABEL, LINE, SIZE, Words

#: Of all columns in one row.
WIDE = 1080.0


@dataclass
class _Column:
    """A kind of the focus with its own kinds below it, or a list of kinds that have none shown."""

    head: Item | None
    rows: list[tuple[int, Item | None, int, int]]  # depth, item, owner, how many more where item is None
    wide: float = 0.0

    @property
    def high(self) -> float:
        return (HEAD + 6 if self.head else 0) + len(self.rows) * LINE


def draw_columns(scene: Scene, words: Words, chosen: Neighbourhood, bottom: float) -> None:
    """Draw what is below the class as columns under it, from the height `bottom` down."""
    if not chosen.below:
        return
    columns = _gather(words, chosen)
    bands = _bands(columns)
    spread = [sum(c.wide for c in band) + GAP * (len(band) - 1) for band in bands]
    trunk = -max(spread) / 2 - 22
    bus = bottom + 26
    first = bus
    for band, wide in zip(bands, spread, strict=True):
        x, top = -wide / 2, bus + 22
        drops = [x + sum(c.wide + GAP for c in band[:i]) + (c.wide / 2 if c.head else 6) for i, c in enumerate(band)]
        near = min(drops, key=abs)
        x -= near if abs(near) < 16 else 0  # no kink in a line that is all but straight
        for column in band:
            drop = x + column.wide / 2 if column.head else x + 6
            route = [(0.0, FOCUS / 2), (0.0, first), (drop, first), (drop, top)]
            if bus != first:
                route = [(0.0, FOCUS / 2), (0.0, first), (trunk, first), (trunk, bus), (drop, bus), (drop, top)]
            item = column.head or next((i for _, i, _, _ in column.rows if i is not None), chosen.below[0])
            if abs(drop) < 1.5 and bus == first:
                route = [(0.0, FOCUS / 2), (0.0, top)]
            scene.line(route, words.style(item.relation), words.edge(item, chosen.focus) if column.head else "")
            _draw_column(scene, words, chosen, column, x, top)
            x += column.wide + GAP
        bus = top + max(c.high for c in band) + 26
    scene.arrow((0.0, FOCUS / 2), "up", words.style(chosen.below[0].relation))


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
            [d * INDENT + 18 + width("".join(t for _, t in parts), SIZE) for (d, *_), parts in zip(column.rows, texts, strict=True)],
            default=0,
        )
        if column.head:
            column.wide = max(column.wide, width("".join(t for _, t in _line(words, column.head, 0)), SIZE) + 26)
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
    return ((kind, clip(words.name(item.node), SIZE, LABEL)), ("more", hidden))


def _bands(columns: list[_Column]) -> list[list[_Column]]:
    """Share columns out to as few rows as hold them, about equally wide."""
    total = sum(c.wide + GAP for c in columns)
    count = max(1, int(-(-total // WIDE)))
    bands: list[list[_Column]] = [[]]
    used = 0.0
    for column in columns:
        if bands[-1] and used + column.wide > max(total / count, 200) + 40 and len(bands) < count + 1:
            bands.append([])
            used = 0.0
        bands[-1].append(column)
        used += column.wide + GAP
    return bands


def _draw_column(scene: Scene, words: Words, chosen: Neighbourhood, column: _Column, x: float, top: float) -> None:
    y = top
    style = words.style((column.head or next((i for _, i, _, _ in column.rows if i), chosen.below[0])).relation)
    if column.head:
        parts = _line(words, column.head, 0)
        wide = width("".join(t for _, t in parts), SIZE) + 26
        left = x + (column.wide - wide) / 2
        mark = Mark(words.tip(column.head.node, column.head, chosen.focus), [Box(left, y, wide, HEAD, 15, "node below")])
        mark.texts.append(Text(left + wide / 2, y + 19.5, parts, "label", "middle"))
        scene.mark(mark)
        y += HEAD + 6
        _spines(scene, column, max(x + 6, left + 12), y, HEAD / 2 - 9, style, head=True)
        shift = max(x + 6, left + 12) - x
    else:
        _spines(scene, column, x + 6, y, 0, style, head=False)
        shift = 6.0
    for number, (depth, item, owner, more) in enumerate(column.rows):
        tip = words.tip(item.node, item, owner) if item else "not shown"
        row = Mark(tip)
        row.texts.append(Text(x + shift + 12 + depth * INDENT, y + number * LINE + 15, _line(words, item, more), "label"))
        scene.cover(x, y, x + column.wide, y + (number + 1) * LINE)
        scene.mark(row)


def _spines(scene: Scene, column: _Column, x: float, y: float, lift: float, style: str, *, head: bool) -> None:
    """Lines from an owner down past its items, a tick to each."""
    at: Callable[[int], float] = lambda number: y + number * LINE + 10.5  # noqa: E731
    last: dict[int, int] = {}
    for number, (depth, *_) in enumerate(column.rows):
        begin = y - 6 if depth == 0 and head else y if depth == 0 else at(number) - 13
        left = x + depth * INDENT
        start = begin if depth not in last else at(last[depth])
        scene.line([(left, start), (left, at(number)), (left + 9, at(number))], style + " thin")
        last = {d: n for d, n in last.items() if d < depth} | {depth: number}
