"""Sizes, in pixels, and how nodes and edges are called."""

from __future__ import annotations

from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.picture.choose import Item

#: Height of a node, of the focus, from row to row.
PILL, FOCUS, ROW = 30.0, 44.0, 80.0
#: Height of a line of a list and of a heading; indent of a list in a list; between columns; between lanes.
LINE, HEAD, INDENT, GAP, LANE = 21.0, 30.0, 15.0, 24.0, 9.0
#: Font sizes.
SIZE, SMALL = 13.0, 12.0
#: Widest label of a node, widest card.
LABEL, CARD = 176.0, 280.0
#: Half the width of rows that cards stand beside; wider ones they stand below.
BESIDE = 260.0


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
