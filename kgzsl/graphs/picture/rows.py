"""The rows above the focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kgzsl.graphs.picture.choose import Item, Neighbourhood
from kgzsl.graphs.picture.scene import Box, Mark, Scene, Text, clip, width
from kgzsl.graphs.picture.words import FOCUS, LABEL, PILL, ROW, SIZE, SMALL, Words


@dataclass
class _Place:
    """Something in a row above: a node, a line passing (`node` None), or a note of how many more there are."""

    row: int
    node: int | None
    label: str
    wide: float
    x: float = 0.0
    note: bool = False


class Rows:
    """The rows above the focus."""

    def __init__(self, words: Words, chosen: Neighbourhood) -> None:
        self.words, self.chosen = words, chosen
        self.places: dict[object, _Place] = {chosen.focus: _Place(0, chosen.focus, "", 0)}
        self.steps: list[tuple[object, object, int, str]] = []  # lower key, upper key, relation, tooltip
        for node, row in sorted(chosen.levels.items(), key=lambda e: (e[1], e[0])):
            if node != chosen.focus:
                label = clip(words.name(node), SIZE, LABEL)
                self.places[node] = _Place(row, node, label, width(label, SIZE) + 26)
        for child, parent, relation, outward in chosen.above:
            self._way(child, parent, relation, words.edge(Item(parent, relation, outward, 1.0), child))
        top = max(chosen.levels.values())
        for node, count in sorted(chosen.more_above.items()):
            row = self.places[node].row + 1
            if row <= top or node == chosen.focus:
                label = f"+{count:,} more"
                self.places[("more", node)] = _Place(row, None, label, width(label, SMALL) + 24, note=True)
                self.steps.append((node, ("more", node), -1, ""))
        self.rows = [[k for k, p in self.places.items() if p.row == r] for r in range(max(p.row for p in self.places.values()) + 1)]
        self._order()
        self.half = max((abs(p.x) + p.wide / 2 for p in self.places.values()), default=0.0)

    def _way(self, child: int, parent: int, relation: int, says: str) -> None:
        """An edge over several rows has a place in each, so that it runs between the nodes there."""
        below: object = child
        for row in range(self.places[child].row + 1, self.places[parent].row):
            key = ("way", child, parent, relation, row)
            self.places[key] = _Place(row, None, "", 6)
            self.steps.append((below, key, relation, says))
            below = key
        self.steps.append((below, parent, relation, says))

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
        return -ROW * row - (10 if row else 0)

    @property
    def top(self) -> float:
        """Return how far up the rows reach."""
        return self.y(len(self.rows) - 1) - PILL / 2

    def draw(self, scene: Scene) -> None:
        """Draw lines, then nodes."""
        for a, b, relation, says in self.steps:
            low, high = self.places[a], self.places[b]
            style = "more-line" if relation < 0 else self.words.style(relation)
            start = (low.x, self.y(low.row) - (FOCUS / 2 if low.row == 0 else PILL / 2 if low.node is not None else 0))
            if high.node is None and not high.note:
                scene.curve(start, (high.x, self.y(high.row) + PILL / 2), style, says)
                scene.line([(high.x, self.y(high.row) + PILL / 2), (high.x, self.y(high.row))], style, says)
                continue
            if low.node is None and not low.note:
                scene.line([start, (low.x, start[1] - PILL / 2)], style, says)
                start = (low.x, start[1] - PILL / 2)
            end = (high.x, self.y(high.row) + PILL / 2)
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
            mark = Mark(self.words.tip(p.node), [Box(p.x - p.wide / 2, y - PILL / 2, p.wide, PILL, 15, "node above")])
            mark.texts.append(Text(p.x, y + 4.5, ((kind, p.label),), "label", "middle"))
            if p.row == len(self.rows) - 1 and p.node in self.chosen.more_above:
                scene.line([(p.x, y - PILL / 2), (p.x, y - PILL / 2 - 9)], "more-line")
                mark.texts.append(Text(p.x, y - PILL / 2 - 13, (("", f"+{self.chosen.more_above[p.node]:,}"),), "more", "middle"))
                scene.cover(p.x, y - PILL / 2 - 26, p.x, y)
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
