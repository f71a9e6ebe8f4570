"""Which nodes of the sources enter a graph: members, classes, and the climb between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kgzsl import data
from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.graphs.recipe import Recipe, read_yaml
from kgzsl.graphs.recipe_schema import RULES_SCHEMA
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
        it belongs to the structure already, so nothing above it is added on their account. Then all that is within `hops` edges of
        a class comes in, along the relations `along` (all by default), whatever their direction.

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
        if hops := wanted.get("hops"):
            subject, obj = self._edges(wanted.get("along") or list(self.edges))
            classes = spread(classes, np.concatenate([subject, obj]), np.concatenate([obj, subject]), steps=hops)
        if "members" not in wanted and "classes" not in wanted:
            return np.ones(len(self.ids), dtype=bool)
        return members | classes

    def _any(self, items: Sequence[Mapping[str, Any]], folder: Path) -> np.ndarray:
        mask = np.zeros(len(self.ids), dtype=bool)
        for item in items:
            if "rules" in item:
                mask |= self.rules(folder / item["rules"])
            elif "prefix" in item:
                mask |= self._of_prefix(item["prefix"])
            else:
                mask[self._positions(self._list(item, folder))] = True
        return mask

    def _of_prefix(self, prefix: str) -> np.ndarray:
        """Return the nodes whose ids have this prefix, at least one."""
        mask = np.fromiter((i.startswith(f"{prefix}:") for i in self.ids), dtype=bool, count=len(self.ids))
        if not mask.any():
            found = sorted({i.partition(":")[0] for i in self.ids})
            raise InvalidInputError(
                "a recipe selects a prefix that its sources' ids have",
                received=repr(prefix),
                remedy=f"choose from: {', '.join(found[:20])}",
            )
        return mask

    def _list(self, item: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
        if "ids" in item:
            return curies(item["ids"])
        if "benchmark" in item:
            file = data.benchmark_path(item["benchmark"])
            self.lists[item["benchmark"]] = sha256_file(file)
            return read_ids(str(file))
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
        mask[self._positions(curies(rules["subtrees"]))] = True
        mask = spread(mask, obj, subject)
        mask[self._positions(curies(rules["singles"]))] = True
        expected = rules.get("expands_to")
        if expected is not None and mask.sum() != expected:
            raise SourceError(
                f"{path.name} must expand to {expected:,} ids", received=f"{int(mask.sum()):,}", remedy="the sources are of another version"
            )
        return mask

    @cached_property
    def _index(self) -> dict[str, int]:
        return {identifier: i for i, identifier in enumerate(self.ids)}

    def _positions(self, wanted: Sequence[str]) -> np.ndarray:
        try:
            return np.fromiter((self._index[w] for w in wanted), dtype=np.int64, count=len(wanted))
        except KeyError:
            return positions(wanted, self.ids, "the sources")  # which says what is missing

    def _edges(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        subject, obj = zip(*(self._relation(name) for name in names), strict=True)
        return np.concatenate(subject), np.concatenate(obj)

    def _relation(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in self.edges:
            raise InvalidInputError(
                "a recipe selects along relations that its sources bring",
                received=repr(name),
                remedy=f"choose from: {', '.join(self.edges)}",
            )
        return self.edges[name]


def spread(
    start: np.ndarray, origin: np.ndarray, target: np.ndarray, stop: np.ndarray | None = None, steps: int | None = None
) -> np.ndarray:
    """Return the nodes reached from `start` along edges `origin` → `target`, `start` included; safe on cycles.

    Parameters
    ----------
    start : bool `[nodes]`.
    origin, target : positions, `[edges]`.
    stop : bool `[nodes]`; such nodes are reached but not left.
    steps : how many edges away at most; None = any number.
    """
    reached, frontier = start.copy(), start if stop is None else start & ~stop
    done = 0
    while frontier.any() and (steps is None or done < steps):
        done += 1
        new = np.zeros_like(reached)
        new[target[frontier[origin]]] = True
        new &= ~reached
        reached |= new
        frontier = new if stop is None else new & ~stop
    return reached
