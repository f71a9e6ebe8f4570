"""Classes added while the service runs: in a folder that its workers share, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kgzsl.artifacts import atomic_file
from kgzsl.errors import ArtifactError, KgzslError, UnknownNameError
from kgzsl.mapped import mapped_arrays

#: Changes nearer to each other than this may carry one time stamp.
_TICK = 50_000_000


@dataclass(frozen=True)
class Added:
    """A class that was added.

    Attributes
    ----------
    id, name : as predictions give them.
    node : the node that it is, or is a kind of.
    weight : its row, float32 `[features + 1]`.
    carriers, shares : places of the seen classes that its weight is made of, and their shares, as in `Bundle`.
    parents, children : labels.
    record : what was told when it was added, JSON values.
    """

    id: str
    name: str
    node: str
    weight: np.ndarray = field(repr=False)
    carriers: np.ndarray = field(repr=False)
    shares: np.ndarray = field(repr=False)
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)


class AddedClasses:
    """The added classes of one bundle, by its digest; every worker sees what any of them adds or takes away.

    Parameters
    ----------
    folder : of this bundle; made when the first class comes.
    columns : length of a weight row.
    """

    def __init__(self, folder: Path, columns: int) -> None:
        self._folder, self._columns = folder, columns
        self._known: dict[str, Added] = {}
        self._listed: tuple[Added, ...] = ()
        self._stamp = -1
        self._lock = threading.Lock()

    def all(self) -> tuple[Added, ...]:
        """Return the added classes, in the order in which they came."""
        try:
            stamp = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            stamp = -1
        if stamp == self._stamp:
            return self._listed
        with self._lock:
            self._read()
            # a change within one tick of the clock would not be seen: read again until the stamp is old
            self._stamp = stamp if time.time_ns() - stamp > _TICK else -2
        return self._listed

    def _read(self) -> None:
        names = sorted(p.name for p in self._folder.glob("*.safetensors")) if self._folder.is_dir() else []
        for name in names:
            if name not in self._known:
                try:
                    self._known[name] = self._open(self._folder / name)
                except (KgzslError, OSError):
                    continue  # taken away meanwhile, or not ours
        self._known = {name: self._known[name] for name in names if name in self._known}
        self._listed = tuple(self._known.values())

    def _open(self, path: Path) -> Added:
        arrays = mapped_arrays(path)
        try:
            record = json.loads(bytes(arrays["record"]))
            weight = np.array(arrays["weight"], dtype=np.float32)
            if weight.shape != (self._columns,):
                raise ValueError(f"a weight of {weight.shape}")
            return Added(
                record["id"],
                record["name"],
                record["node"],
                weight,
                np.array(arrays["carriers"]),
                np.array(arrays["shares"]),
                tuple(record["parents"]),
                tuple(record["children"]),
                record["told"],
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ArtifactError("an added class is one that this version wrote", received=f"{path.name}: {error!r}") from error

    def add(self, new: Added) -> None:
        """Write a class; from now on every worker predicts it."""
        from safetensors.numpy import save_file

        record = {
            "id": new.id,
            "name": new.name,
            "node": new.node,
            "parents": new.parents,
            "children": new.children,
            "told": dict(new.record),
        }
        arrays: dict[str, np.ndarray] = {
            "weight": new.weight.astype(np.float32),
            "carriers": new.carriers.astype(np.int64),
            "shares": new.shares.astype(np.float32),
            "record": np.frombuffer(json.dumps(record).encode(), dtype=np.uint8),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        # the time keeps the order; the id's digest keeps every path inside the folder
        with atomic_file(self._folder / f"{time.time_ns():020d}-{_key(new.id)}.safetensors") as temporary:
            save_file(arrays, temporary)
        self._stamp = -2

    def remove(self, identifier: str) -> None:
        """Take a class away; UnknownNameError where it was not added."""
        found = [one for one in self.all() if one.id == identifier]
        if not found:
            raise UnknownNameError("an added class is needed", received=identifier[:200], remedy="GET …/classes/added lists them")
        for path in self._folder.glob(f"*-{_key(identifier)}.safetensors"):
            path.unlink(missing_ok=True)
        self._stamp = -2


def _key(identifier: str) -> str:
    return hashlib.sha256(identifier.encode()).hexdigest()[:24]


def folder_of(state: str, digest: str) -> Path:
    """Return the folder of a bundle's added classes."""
    return Path(state).expanduser() / "added" / digest[:32]
