"""Where everything stands: rows above the focus, cards at its sides, columns below it. No two labels overlap, by construction.

The focus is at (0, 0). Ancestors stand in rows by their longest way from it, ordered by the mean place of what leads to them
(Sugiyama, Tagawa and Toda 1981); lines through a row pass it at a place of their own. Descendants hang in columns, as in charts of
organisations. Neighbours by other relations are in cards, a line of its own colour to each, nested so that no two of a side cross.
"""

from __future__ import annotations

from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.picture.cards import draw_panel
from kgzsl.graphs.picture.choose import Neighbourhood
from kgzsl.graphs.picture.columns import draw_columns
from kgzsl.graphs.picture.rows import Rows
from kgzsl.graphs.picture.scene import Box, Mark, Scene, Text, clip, width
from kgzsl.graphs.picture.words import BESIDE, FOCUS, Words


def lay_out(graph: KnowledgeGraph, chosen: Neighbourhood, styles: dict[int, str]) -> Scene:
    """Return the drawing of a neighbourhood.

    Parameters
    ----------
    styles : position of a relation → class of its colour.
    """
    words, scene = Words(graph, styles), Scene()
    name = clip(words.name(chosen.focus), 18, 420, bold=True)
    half = max(width(name, 18, bold=True) / 2 + 24, 56.0)
    focus = Mark(words.tip(chosen.focus), [Box(-half, -FOCUS / 2, 2 * half, FOCUS, 22, "focus")])
    focus.texts.append(Text(0, 6.5, (("", name),), "focus-name", "middle"))
    scene.mark(focus)
    rows = Rows(words, chosen)
    rows.draw(scene)
    # narrow rows have the cards beside them, wide ones above them
    middle = max(half, rows.half) if rows.half <= BESIDE else half
    bottom = max(
        draw_panel(scene, words, chosen, chosen.left, rows, middle, half, left=True),
        draw_panel(scene, words, chosen, chosen.right, rows, middle, half, left=False),
        FOCUS / 2,
    )
    draw_columns(scene, words, chosen, bottom)
    return scene
