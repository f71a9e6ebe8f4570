"""Which nodes of the sources enter a graph: members, classes, and the climb between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kgzsl import data
from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.graphs.recipe import RULES_SCHEMA, Recipe, read_yaml
from kgzsl.ids import curies, positions, read_ids


class Selector:
    """Selects nodes over one axis of ids and the edges between them.

    Parameters
    ----------
    ids : the node axis, `[nodes]`.
    edges : relation id → (subject, object) positions on the axis.
    """

    def __init__(self, ids: Sequence[str], edges: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        self.ids, self.edges = ids, edges
        #: name → SHA-256 of every list that was read from the data catalogue.
        self.lists: dict[str, str] = {}

    def select(self, recipe: Recipe) -> np.ndarray:
        """Return which nodes the recipe keeps, bool `[nodes]`; without `select`, all.

        Members are in whatever happens. Classes climb the relation `climb` and take what they meet, until they meet a member:
        it belongs to the structure already, so nothing above it is added on their account.

        Raises
        ------
        UnknownNameError : an id is in no source; the first five are named.
        """
        wanted = recipe.content.get("select")
        if not wanted:
            return np.ones(len(self.ids), dtype=bool)
        members = self._any(wanted.get("members", ()), recipe.folder)
        classes = self._any(wanted.get("classes", ()), recipe.folder)
        if climb := wanted.get("climb"):
            subject, obj = self._relation(climb)
            classes = spread(classes, subject, obj, stop=members)
        return members | classes

    def _any(self, items: Sequence[Mapping[str, Any]], folder: Path) -> np.ndarray:
        mask = np.zeros(len(self.ids), dtype=bool)
        for item in items:
            if "rules" in item:
                mask |= self.rules(folder / item["rules"])
            else:
                mask[positions(self._list(item, folder), self.ids, "the sources")] = True
        return mask

    def _list(self, item: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
        if "ids" in item:
            return curies(item["ids"])
        if "data" in item:
            file = data.locate(item["data"]) / item["file"]
            self.lists[f"{item['data']}/{item['file']}"] = sha256_file(file)
            return read_ids(str(file))
        return read_ids(str(folder / item["file"]))

    def rules(self, path: Path) -> np.ndarray:
        """Return the nodes that a rule file names, bool `[nodes]`; a wrong count raises SourceError."""
        rules = read_yaml(path, RULES_SCHEMA, "rule file")
        subject, obj = self._relation(rules["relation"])
        mask = np.zeros(len(self.ids), dtype=bool)
        mask[positions(curies(rules["subtrees"]), self.ids, "the sources")] = True
        mask = spread(mask, obj, subject)
        mask[positions(curies(rules["singles"]), self.ids, "the sources")] = True
        expected = rules.get("expands_to")
        if expected is not None and mask.sum() != expected:
            raise SourceError(
                f"{path.name} must expand to {expected:,} ids", received=f"{int(mask.sum()):,}", remedy="the sources are of another version"
            )
        return mask

    def _relation(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in self.edges:
            raise InvalidInputError(
                "a recipe selects along relations that its sources bring",
                received=repr(name),
                remedy=f"choose from: {', '.join(self.edges)}",
            )
        return self.edges[name]


def spread(start: np.ndarray, origin: np.ndarray, target: np.ndarray, stop: np.ndarray | None = None) -> np.ndarray:
    """Return the nodes reached from `start` along edges `origin` → `target`, `start` included; safe on cycles.

    Parameters
    ----------
    start : bool `[nodes]`.
    origin, target : positions, `[edges]`.
    stop : bool `[nodes]`; such nodes are reached but not left.
    """
    reached, frontier = start.copy(), start if stop is None else start & ~stop
    while frontier.any():
        new = np.zeros_like(reached)
        new[target[frontier[origin]]] = True
        new &= ~reached
        reached |= new
        frontier = new if stop is None else new & ~stop
    return reached
