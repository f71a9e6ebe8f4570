"""The seen–unseen curves as lines of a drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kgzsl.experiments.cell import method_of
from kgzsl.experiments.leaderboard import semantics_of

#: Curves in one drawing: as many as can be told apart by their dashes.
CURVES = 5


class Curve(NamedTuple):
    """A line: S and U in per cent, the point that was chosen (or none), and what is written beside it."""

    label: str
    points: Sequence[tuple[float, float]]
    chosen: tuple[float, float] | None
    note: str


def curve_of(result: Mapping[str, Any]) -> Curve | None:
    """Return the curve of a result's first protocol that has one; None where there is none."""
    for name, protocol in result.get("evidence", {}).get("protocols", {}).items():
        if protocol.get("curve"):
            chosen = protocol.get("chosen")
            area = result["summary"].get(name, {}).get("AUSUC")
            notes = [f"AUSUC {100 * area['mean']:.1f}{' over all runs' if area['runs'] > 1 else ''}"] if area else []
            notes += [f"chosen: S {100 * chosen[0]:.1f}, U {100 * chosen[1]:.1f}"] if chosen else []
            return Curve(
                label=f"{method_of(result['cell'])['name']}, {semantics_of(result)}",
                points=[(100 * s, 100 * u) for s, u in protocol["curve"]],
                chosen=(100 * chosen[0], 100 * chosen[1]) if chosen else None,
                note="; ".join(notes),
            )
    return None


def drawing(curves: Sequence[Curve]) -> dict[str, Any] | None:
    """Return the lines in a square of 100 × 100 (up is down there), its axes' numbers, and what each line is.

    Both axes end at the same number, a round one above the largest value, so that small accuracies fill the square too.
    """
    if not curves:
        return None
    largest = max(value for curve in curves for point in curve.points for value in point)
    step = next((s for s in (2.5, 5, 10) if largest <= 4 * s), 25)
    end = step * max(1, math.ceil(largest / step - 1e-9))
    lines = []
    for kind, curve in enumerate(curves):
        points = " ".join(f"{100 * s / end:.1f},{100 - 100 * u / end:.1f}" for s, u in curve.points)
        at = (100 * curve.chosen[0] / end, 100 - 100 * curve.chosen[1] / end) if curve.chosen else None
        lines.append({"kind": kind, "label": curve.label, "note": curve.note, "points": points, "at": at})
    ticks = [(f"{step * k:g}", 100 * step * k / end) for k in range(round(end / step) + 1)]
    return {"lines": lines, "ticks": ticks}
