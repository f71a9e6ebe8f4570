"""A picture of a node and what is around it, as SVG, or as a page with a table of what is shown."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.artifacts import atomic_file
from kgzsl.browser import print_page
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs.describe import TAXONOMIC
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.picture.choose import INVERSES, Group, Item, Neighbourhood, choose
from kgzsl.graphs.picture.layout import lay_out
from kgzsl.graphs.picture.scene import Line, Mark, Scene, Text, clip, width, wrap
from kgzsl.ids import curie

#: Colours of relations beside the taxonomy, on light and on dark paper, told apart by hue and lightness.
_HUES = (
    ("#c2410c", "#fb923c"),
    ("#15803d", "#4ade80"),
    ("#7e22ce", "#c084fc"),
    ("#0e7490", "#22d3ee"),
    ("#be185d", "#f472b6"),
    ("#a16207", "#facc15"),
    ("#4338ca", "#a5b4fc"),
    ("#b91c1c", "#f87171"),
    ("#4d7c0f", "#a3e635"),
)
_SLATE = ("#64748b", "#94a3b8")
_MARGIN = 28.0
SUFFIXES = (".svg", ".html", ".png")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Picture:
    """A drawn neighbourhood.

    Attributes
    ----------
    node, title : id and name of the node in the middle.
    svg : the drawing, a document of its own; the same graph and settings give the same text.
    page : the same as an HTML page, with the edges in a table.
    size : width and height in pixels.
    edges : what is shown: (subject, relation, object) by id.
    hidden : how many neighbours of the focus are counted but not drawn.
    """

    node: str
    title: str
    svg: str
    page: str
    size: tuple[int, int]
    edges: tuple[tuple[str, str, str], ...]
    hidden: int


def draw(graph: KnowledgeGraph, node: str, *, hops: int = 2, top: int = 12) -> Picture:
    """Draw the neighbourhood of a node: what it is a kind of above, its kinds below, other relations at the sides.

    Parameters
    ----------
    node : id, or a bare wnid; for names see `find_node`.
    hops : how far to go along the taxonomy, 1 to 6; neighbours by other relations are shown up to two.
    top : most neighbours of one relation; the rest is counted. The weightiest come first, then those with most edges.

    Raises
    ------
    UnknownNameError : not a node.
    InvalidInputError : `hops` or `top` out of range.
    """
    if not 1 <= hops <= 6:
        raise InvalidInputError("a picture goes 1 to 6 hops far", received=hops)
    if not 1 <= top <= 60:
        raise InvalidInputError("a picture shows 1 to 60 neighbours of a relation", received=top)
    focus = int(graph.positions([curie(node)])[0])
    chosen = choose(graph, focus, hops, top)
    shown = tuple(dict.fromkeys(_shown(graph, chosen)))
    styles, colours = _styles(graph, chosen)
    scene = lay_out(graph, chosen, styles)
    if not shown:
        scene.marks.append(Mark("", texts=[Text(0, 52, (("", "no edge of this graph leads here"),), "soft", "middle")]))
        scene.cover(-110, 0, 110, 64)
    title = graph.labels[focus].split(", ")[0] or graph.ids[focus]
    _caption(scene, graph, chosen, styles, shown, hops)
    x, y = scene.left - _MARGIN, scene.top - _MARGIN
    w, h = scene.right - scene.left + 2 * _MARGIN, scene.bottom - scene.top + 2 * _MARGIN
    values: dict[str, Any] = {"x": round(x), "y": round(y), "w": round(w), "h": round(h), "scene": scene, "colours": colours}
    description = f"{graph.ids[focus]} in the graph {graph.name}: {len(shown):,} edges up to {hops} hops away"
    svg = _render("picture.svg.j2", n=_number, title=title, description=description, **values)
    rows = [(r, *(_named(graph, e) for e in (s, o))) for s, r, o in shown]
    page = _render("picture.html.j2", title=title, svg=svg[svg.index("<svg") :], rows=rows, description=description)
    return Picture(graph.ids[focus], title, svg, page, (round(w), round(h)), shown, _hidden(chosen))


def save_picture(picture: Picture, out: str | os.PathLike[str]) -> None:
    """Write a picture as `.svg`, as an `.html` page with a table of the edges, or as `.png`; a file that is there is replaced.

    Raises
    ------
    InvalidInputError : another suffix, or a folder that cannot be written.
    MissingDataError : a PNG, and there is no browser to draw it.
    """
    path = Path(out)
    suffix = check_suffix(path)
    with atomic_file(path) as temporary:
        if suffix == ".png":
            w, h = picture.size
            page = f'<!doctype html><meta charset="utf-8"><body style="margin:0">{picture.svg}'
            options = [f"--window-size={w},{h}", "--force-device-scale-factor=2", "--hide-scrollbars"]
            print_page(page, temporary, what="PNG", options=options, instead="write .svg")
            return
        temporary.write_text(picture.svg if suffix == ".svg" else picture.page, encoding="utf-8", newline="\n")


def check_suffix(out: Path) -> str:
    """Return the suffix of a picture's file; raise InvalidInputError for one that is none, before any work."""
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise InvalidInputError("a picture is an .svg, .html or .png file", received=out.name, remedy="end its name so")
    return suffix


def find_node(graph: KnowledgeGraph, text: str) -> str:
    """Return the id of a node by id, bare wnid or name.

    Raises
    ------
    UnknownNameError : no node has that id or name, or several have the name; they are listed with their glosses.
    """
    from kgzsl.graphs.link import link, words

    if text in graph:
        return text
    try:
        identifier = curie(text)
    except InvalidInputError:
        identifier = ""
    if identifier in graph:
        return identifier
    candidates, end = _with_lemma(graph, text), None
    if not candidates and words(text):
        found = link([text], graph)[0]
        candidates, end = (found.candidates, None) if found.score == 1 else ((), found.node)
    if not candidates:
        near = f" ({_told(graph, end)} has the end of it)" if end else ""
        raise UnknownNameError(
            f"a node of {graph.name} is asked for by id or by name",
            received=f"{text!r}, which is neither{near}",
            remedy="`kgzsl graph query` finds nodes by their words",
        )
    if len(candidates) > 1:
        listed = "\n    ".join(_told(graph, c) for c in candidates[:12])
        more = f"\n    and {len(candidates) - 12:,} more" if len(candidates) > 12 else ""
        raise UnknownNameError(
            "a name is that of one node",
            received=f"{text!r}, which {len(candidates):,} nodes have:\n    {listed}{more}",
            remedy="give the id of the one that is meant",
        )
    return candidates[0]


def _with_lemma(graph: KnowledgeGraph, text: str) -> tuple[str, ...]:
    """Return the nodes with a lemma of just these letters, whatever their case: those that name it first, then by id."""
    wanted = text.strip()
    if not wanted or "\\E" in wanted:
        return ()
    labels = pa.array(graph.labels, pa.string())
    found = pc.match_substring_regex(labels, rf"(^|, )\Q{wanted}\E(, |$)", ignore_case=True)
    places = np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist()
    lemmas = {i: [lemma.lower() for lemma in graph.labels[i].split(", ")] for i in places}
    rank = {i: found.index(wanted.lower()) if wanted.lower() in found else len(found) for i, found in lemmas.items()}
    return tuple(graph.ids[i] for i in sorted(places, key=lambda i: (rank[i], i)))


def _told(graph: KnowledgeGraph, identifier: str) -> str:
    i = int(graph.positions([identifier])[0])
    gloss = graph.texts[i]
    return f"{identifier}  {graph.labels[i]}" + (f": {gloss[:80]}{'…' if len(gloss) > 80 else ''}" if gloss else "")


def _shown(graph: KnowledgeGraph, chosen: Neighbourhood) -> Iterator[tuple[str, str, str]]:
    def edge(owner: int, item: Item) -> tuple[str, str, str]:
        ends = (owner, item.node) if item.outward else (item.node, owner)
        return graph.ids[ends[0]], graph.relations[item.relation].id, graph.ids[ends[1]]

    def walk(owner: int, items: tuple[Item, ...]) -> Iterator[tuple[str, str, str]]:
        for item in items:
            yield edge(owner, item)
            yield from walk(item.node, item.items)

    for child, parent, relation, outward in chosen.above:
        yield edge(child, Item(parent, relation, outward, 1.0))
    yield from walk(chosen.focus, chosen.below)
    for group in (*chosen.left, *chosen.right):
        yield from walk(chosen.focus if group.anchor is None else group.anchor, group.items)


def _hidden(chosen: Neighbourhood) -> int:
    own: list[Group] = [g for g in (*chosen.left, *chosen.right) if g.anchor is None]
    return chosen.more_below + chosen.more_above.get(chosen.focus, 0) + sum(g.more for g in own) + sum(n for *_, n in chosen.unseen)


def _styles(graph: KnowledgeGraph, chosen: Neighbourhood) -> tuple[dict[int, str], list[tuple[str, str, str]]]:
    """A colour per relation that is shown, those of the focus's cards first; lines of a second round of colours are dashed."""
    order: dict[int, None] = {}
    for group in (*chosen.right, *chosen.left):
        order.setdefault(group.relation)
    for group in (*chosen.right, *chosen.left):
        for item in group.items:
            for inner in item.items:
                order.setdefault(inner.relation)
    styles, colours = {}, [("t0", *_SLATE)]
    for code, relation in enumerate(graph.relations):
        if relation.id in TAXONOMIC or relation.id in INVERSES:
            styles[code] = {"instance": "t0 dash", "inferred": "t0 dot"}.get(relation.id.split("_")[0], "t0")
    others = [code for code in order if code not in styles]
    for place, code in enumerate(others):
        hue = place % len(_HUES)
        styles[code] = f"r{hue}" + ("", " dash", " dot")[min(place // len(_HUES), 2)]
        if place < len(_HUES):
            colours.append((f"r{hue}", *_HUES[hue]))
    return styles, colours


def _caption(
    scene: Scene, graph: KnowledgeGraph, chosen: Neighbourhood, styles: dict[int, str], shown: tuple[tuple[str, str, str], ...], hops: int
) -> None:
    """Name, lemmas and gloss above the drawing; the legend and where it is from below it."""
    focus = chosen.focus
    if scene.right - scene.left < 560:
        middle = (scene.right + scene.left) / 2
        scene.cover(middle - 280, 0, middle + 280, 0)
    left, room = scene.left, scene.right - scene.left
    first, *others = graph.labels[focus].split(", ")
    lines = [("name", clip(first or graph.ids[focus], 26, room, bold=True), 32.0)]
    said = [", ".join(others), graph.ids[focus]] if others else [graph.ids[focus]]
    lines.append(("lemmas", clip("  ·  ".join(said), 14, room), 20.0))
    lines += [("gloss", line, 20.0) for line in wrap(graph.texts[focus], 14, min(room, 900), 3)]
    high = sum(step for *_, step in lines) + 26
    y = scene.top - high
    scene.cover(left, y, left, y)
    mark = Mark("")
    for style, text, step in lines:
        y += step
        mark.texts.append(Text(left, y - 8, (("", text),), style))
    scene.marks.append(mark)
    _legend(scene, graph, chosen, styles, shown, hops, left, room)


def _legend(
    scene: Scene,
    graph: KnowledgeGraph,
    chosen: Neighbourhood,
    styles: dict[int, str],
    shown: tuple[tuple[str, str, str], ...],
    hops: int,
    left: float,
    room: float,
) -> None:
    x, y = left, scene.bottom + 44
    count = Counter(r for _, r, _ in shown)
    mark = Mark("")
    for code, style in styles.items():
        relation = graph.relations[code]
        if not count[relation.id]:
            continue
        label = f"{relation.label or relation.id} ({count[relation.id]:,})"
        wide = 34 + width(label, 12) + 26
        if x > left and x + wide > left + room:
            x, y = left, y + 22
        scene.lines.append(Line(f"M{x:.1f} {y - 4:.1f}h24", style))
        if relation.id in TAXONOMIC:
            label = f"{label} ↑"
            wide += 14
        mark.texts.append(Text(x + 32, y, (("", label),), "soft"))
        x += wide
    notes = []
    if chosen.unseen:
        names = ", ".join(f"{graph.relations[r].label or graph.relations[r].id} ({n:,})" for r, _, n in chosen.unseen)
        notes.append(f"no room for: {names}")
    count_said = "edge" if len(shown) == 1 else "edges"
    notes.append(
        f"{graph.name}: {len(graph):,} nodes, {len(graph.subject):,} edges, digest {graph.digest[:12]}  ·  {len(shown):,} {count_said}"
        f" within {hops} hop{'s' if hops > 1 else ''}"
    )
    if any(text.strip().startswith("+") for m in scene.marks for t in m.texts for _, text in t.parts):
        notes.append("+n: n more that are not drawn")
    for note in notes:
        y += 6
        for line in wrap(note, 12, room, 3):
            y += 18
            mark.texts.append(Text(left, y, (("", line),), "soft"))
    scene.marks.append(mark)
    scene.cover(left, y, left, y)


def _named(graph: KnowledgeGraph, identifier: str) -> tuple[str, str, str]:
    i = int(graph.positions([identifier])[0])
    return identifier, graph.labels[i], graph.texts[i]


def _number(value: float) -> str:
    text = f"{value:.1f}"
    return "0" if text in ("-0.0", "0.0") else text.removesuffix(".0")


def _render(template: str, **values: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return _NOT_XML.sub("\ufffd", environment.get_template(template).render(**values))
