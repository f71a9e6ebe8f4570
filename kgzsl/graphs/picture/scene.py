"""What a drawing is made of: paths, boxes and lines of text, in the pixels of the page; and how wide a text is."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

#: Width of characters in thousandths of the font size, of a wide sans-serif, so that narrower fonts fit too.
_NARROW, _SLIM, _WIDE, _WIDER = set("ijl|'.,:;!I "), set('ftr()[]{}-/\\"*°'), set("mwMWQ@%&—…→←↑↓"), set("ABCDEFGHJKLNOPRSTUVXYZ")


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return about how many pixels a text takes, rather too many than too few."""
    total = 0
    for character in text:
        if character in _NARROW:
            total += 330
        elif character in _SLIM:
            total += 430
        elif character in _WIDE:
            total += 960
        elif character in _WIDER:
            total += 720
        elif unicodedata.combining(character) or unicodedata.category(character) == "Cf":
            total += 0
        elif unicodedata.east_asian_width(character) in "WF":
            total += 1040
        else:
            total += 610
    return total * size / 1000 * (1.08 if bold else 1.0)


def clip(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """Return the text, cut with an ellipsis where it is wider than `room` pixels."""
    if width(text, size, bold=bold) <= room:
        return text
    while text and width(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def wrap(text: str, size: float, room: float, lines: int) -> list[str]:
    """Return the text in at most `lines` lines of `room` pixels, the last one cut if it must be."""
    result: list[str] = []
    words = text.split()
    while words and len(result) < lines:
        if len(result) == lines - 1:
            result.append(clip(" ".join(words), size, room))
            break
        line = words.pop(0)
        while words and width(f"{line} {words[0]}", size) <= room:
            line += f" {words.pop(0)}"
        result.append(clip(line, size, room))
    return result


Point = tuple[float, float]


def rounded(points: list[Point], radius: float = 8) -> str:
    """Return the SVG path through right-angled points, its corners rounded."""
    points = [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, _distance(before, corner) / 2, _distance(corner, after) / 2)
        a, b = _towards(corner, before, r), _towards(corner, after, r)
        parts.append(f"L{_n(a[0])} {_n(a[1])}Q{_n(corner[0])} {_n(corner[1])} {_n(b[0])} {_n(b[1])}")
    parts.append(f"L{_n(points[-1][0])} {_n(points[-1][1])}")
    return "".join(parts)


def _distance(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(start: Point, end: Point, by: float) -> Point:
    length = _distance(start, end) or 1.0
    return start[0] + (end[0] - start[0]) * by / length, start[1] + (end[1] - start[1]) * by / length


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0").replace("-0", "0") if abs(value) < 0.05 else f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Line:
    """A path with the class of its colour and a tooltip."""

    path: str
    style: str
    tip: str = ""


@dataclass(frozen=True)
class Box:
    """A rounded rectangle."""

    x: float
    y: float
    w: float
    h: float
    radius: float
    style: str


@dataclass(frozen=True)
class Text:
    """A line of text; `parts` are (style, text)."""

    x: float
    y: float
    parts: tuple[tuple[str, str], ...]
    style: str = ""
    anchor: str = "start"


@dataclass
class Mark:
    """A node as it is drawn: a box, its texts and a tooltip."""

    tip: str
    boxes: list[Box] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)


@dataclass
class Scene:
    """A drawing; what is added later lies on top within each kind."""

    lines: list[Line] = field(default_factory=list)
    arrows: list[Line] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0

    def line(self, points: list[Point], style: str, tip: str = "") -> None:
        """Add a right-angled line."""
        self.lines.append(Line(rounded(points), style, tip))
        for x, y in points:
            self.cover(x, y, x, y)

    def curve(self, start: Point, end: Point, style: str, tip: str = "") -> None:
        """Add a line that leaves upwards and arrives from below."""
        (x, y), (u, v) = start, end
        bend = (y - v) * 0.5
        self.lines.append(Line(f"M{_n(x)} {_n(y)}C{_n(x)} {_n(y - bend)} {_n(u)} {_n(v + bend)} {_n(u)} {_n(v)}", style, tip))

    def arrow(self, tip: Point, direction: str, style: str) -> None:
        """Add an arrow head whose tip is at the point: `up`, `left` or `right`."""
        x, y = tip
        d, w = 7.0, 4.0
        corners = {
            "up": ((x - w, y + d), (x + w, y + d)),
            "right": ((x - d, y - w), (x - d, y + w)),
            "left": ((x + d, y - w), (x + d, y + w)),
        }[direction]
        (a, b), (c, e) = corners
        self.arrows.append(Line(f"M{_n(x)} {_n(y)}L{_n(a)} {_n(b)}L{_n(c)} {_n(e)}Z", style))

    def mark(self, mark: Mark) -> None:
        """Add a node or a card."""
        self.marks.append(mark)
        for box in mark.boxes:
            self.cover(box.x, box.y, box.x + box.w, box.y + box.h)

    def cover(self, left: float, top: float, right: float, bottom: float) -> None:
        """Make the drawing at least so large."""
        self.left, self.top = min(self.left, left), min(self.top, top)
        self.right, self.bottom = max(self.right, right), max(self.bottom, bottom)
