"""What is served: graphs and bundles, opened once per process; a broken one is listed with its reason, and the rest served."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from kgzsl.artifacts import MANIFEST
from kgzsl.bundle import Bundle
from kgzsl.errors import ArtifactError, KgzslError, UnknownNameError
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.service.problems import ConflictError
from kgzsl.service.search import SearchIndex, plain
from kgzsl.service.settings import Settings, artifacts_in
from kgzsl.service.walking import Walk


@dataclass(frozen=True)
class Broken:
    """An artifact that could not be opened.

    Attributes
    ----------
    name, path, kind : `graph` or `bundle`.
    problem : what is wrong, and what to do.
    """

    name: str
    path: Path
    kind: str
    problem: str


class ServedGraph:
    """A graph with what searches and walks need."""

    def __init__(self, name: str, path: Path, key: str) -> None:
        self.name, self.path, self.key = name, path, key
        self.graph = KnowledgeGraph.load(path)
        self.index = SearchIndex(self.graph)
        self.walk = Walk(self.graph)

    @cached_property
    def counts(self) -> dict[str, Any]:
        return self.graph.counts()

    def place(self, identifier: str) -> int:
        """Return where a node stands; UnknownNameError where it is none."""
        return int(self.graph.positions([identifier])[0])

    def summary(self) -> dict[str, Any]:
        """Return what a list says of the graph."""
        return {
            "name": self.name,
            "status": "ready",
            "problem": None,
            "nodes": len(self.graph),
            "edges": len(self.graph.subject),
            "digest": self.graph.digest,
        }

    def describe(self) -> dict[str, Any]:
        """Return the summary, counts per relation and kind, and the sources."""
        sources = [{k: s.get(k) for k in ("name", "version", "licence")} for s in self.graph.manifest.get("sources", ())]
        return {**self.summary(), "relations": self.counts["relations"], "kinds": self.counts["kinds"], "sources": sources}


class ServedBundle:
    """A bundle, its weights mapped from the file, and the graph that it was made from where that is served too."""

    def __init__(self, name: str, path: Path, key: str, graphs: Mapping[str, ServedGraph]) -> None:
        self.name, self.path, self.key = name, path, key
        self.bundle = Bundle.load(path, mapped=True)
        wanted = self.bundle.meta.get("graph")
        self.graph = next((g for g in graphs.values() if g.graph.digest == wanted), None)

    @cached_property
    def index(self) -> dict[str, int]:
        """Class id → its place."""
        return {identifier: i for i, identifier in enumerate(self.bundle.weights.ids)}

    @cached_property
    def names(self) -> list[str]:
        """Names as searches compare them."""
        return [plain(name) for name in self.bundle.names]

    def place(self, identifier: str) -> int:
        """Return where a class stands; UnknownNameError where it is none."""
        if identifier not in self.index:
            raise UnknownNameError(
                f"a class of {self.name} is needed", received=identifier, remedy=f"GET /v1/bundles/{self.name}/classes lists them"
            )
        return self.index[identifier]

    def summary(self) -> dict[str, Any]:
        """Return what a list says of the bundle."""
        bundle = self.bundle
        return {
            "name": self.name,
            "status": "ready",
            "problem": None,
            "classes": len(bundle.names),
            "seen": int(bundle.seen.sum()),
            "backbone": str(bundle.recipe.get("backbone")),
            "encoder": bundle.meta.get("encoder"),
            "graph": self.graph.name if self.graph else None,
            "can_add": self.graph is not None and bundle.adding is not None,
        }

    def describe(self) -> dict[str, Any]:
        """Return the summary and how the bundle was made."""
        meta = self.bundle.meta
        return {
            **self.summary(),
            "digest": self.key,
            "features": self.bundle.weights.dim - 1,
            "gamma": self.bundle.gamma,
            "recipe": dict(self.bundle.recipe),
            "settings": meta.get("settings"),
            "graph_digest": meta.get("graph"),
            "classifier": meta.get("classifier", {"name": "weight_regression"}),
        }


@dataclass
class Store:
    """Everything that is served at one moment. A reload makes another one; requests that began keep theirs."""

    settings: Settings
    graphs: dict[str, ServedGraph] = field(default_factory=dict)
    bundles: dict[str, ServedBundle] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def open(cls, settings: Settings, before: Store | None = None) -> Store:
        """Open all artifacts; what has not changed since `before` is taken from it."""
        started = time.perf_counter()
        store = cls(settings)
        found = artifacts_in([*settings.folders, *settings.graphs])
        graphs = [p for p in found if _kind(p) == "graph"]
        for path in graphs:
            store._open(path, "graph", store.graphs, before.graphs if before else {}, ServedGraph)
        for path in found:
            if _kind(path) == "bundle":
                store._open(path, "bundle", store.bundles, before.bundles if before else {}, store._bundle)
        store.seconds = time.perf_counter() - started
        return store

    def _bundle(self, name: str, path: Path, key: str) -> ServedBundle:
        return ServedBundle(name, path, key, self.graphs)

    def _open(self, path: Path, kind: str, into: dict[str, Any], before: Mapping[str, Any], make: Callable[[str, Path, str], Any]) -> None:
        name = _free_name(path.stem, into)
        try:
            key = _digest(path)
            old = before.get(name)
            same = old is not None and old.path == path and old.key == key and getattr(old, "graph", None) is not None
            if same and isinstance(old, ServedBundle):
                same = old.graph in self.graphs.values()
            into[name] = old if same else make(name, path, key)
        except (KgzslError, OSError, ValueError, KeyError, TypeError) as error:
            self.broken.append(Broken(name, path, kind, _in_words(error)))

    def graph(self, name: str) -> ServedGraph:
        """Return a graph; UnknownNameError where there is none, ConflictError where it is broken."""
        return self._one(name, "graph", self.graphs)

    def bundle(self, name: str) -> ServedBundle:
        """Return a bundle; see `graph`."""
        return self._one(name, "bundle", self.bundles)

    def _one(self, name: str, kind: str, among: Mapping[str, Any]) -> Any:
        if name in among:
            return among[name]
        broken = next((b for b in self.broken if b.name == name and b.kind == kind), None)
        if broken is not None:
            raise ConflictError(
                f"the {kind} must be whole to be used", received=broken.problem, remedy="build it again, then POST /v1/reload"
            )
        raise UnknownNameError(
            f"no such {kind} is served", received=name[:200], remedy=f"served: {', '.join(among) or 'none'} (GET /v1/{kind}s)"
        )

    def listed(self, kind: str) -> list[dict[str, Any]]:
        """Return the summaries of all graphs or bundles, the broken ones last."""
        sound = (self.graphs if kind == "graph" else self.bundles).values()
        broken = [{"name": b.name, "status": "broken", "problem": b.problem} for b in self.broken if b.kind == kind]
        return [*(one.summary() for one in sound), *broken]


def _kind(path: Path) -> str:
    """What an artifact is, by its manifest, else by its suffix; only graphs and bundles are served."""
    try:
        kind = json.loads((path / MANIFEST).read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        kind = "graph" if path.suffix == ".kg" else "bundle"
    return str(kind)


def _digest(path: Path) -> str:
    """The digest in the manifest: another one is another artifact."""
    try:
        return str(json.loads((path / MANIFEST).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError("an artifact is a folder with a manifest.json", received=f"{path.name}: {error}") from error


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    number = 2
    chosen = name
    while chosen in taken:
        chosen, number = f"{name}-{number}", number + 1
    return chosen


def _in_words(error: Exception) -> str:
    if isinstance(error, KgzslError):
        return "; ".join(part for part in (error.rule, f"received: {error.received}" if error.received else "", error.remedy or "") if part)
    return f"{type(error).__name__}: {error}"
