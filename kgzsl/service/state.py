"""What one worker process holds, and the way to exchange it without dropping a request."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from kgzsl.service.adding import AddedClasses, folder_of
from kgzsl.service.guard import Metrics
from kgzsl.service.helper import Helper
from kgzsl.service.predicting import Predictor
from kgzsl.service.settings import Settings
from kgzsl.service.store import ServedBundle, ServedGraph, Store


class State:
    """The store of this moment with what works on it.

    Parameters
    ----------
    settings : how the service was started.
    metrics : what is counted.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.store = Store(settings)
        self.ready = False
        self.generation = 0
        #: Work that would hold up other requests: searches by meaning, linking, explanations, exports.
        self.threads = ThreadPoolExecutor(4, thread_name_prefix="kgzsl")
        #: Waiting for helper processes, which one slow image or query must not do in place of everyone else.
        self.helpers = ThreadPoolExecutor(16, thread_name_prefix="kgzsl-helper")
        self._made: dict[tuple[str, str], Any] = {}
        self._making: dict[tuple[str, str], threading.Lock] = {}
        self._reloading = asyncio.Lock()

    async def load(self) -> None:
        """Open the artifacts, or open them again; who asked before is answered from what was there."""
        async with self._reloading:
            loop = asyncio.get_running_loop()
            before = self.store if self.ready else None
            store = await loop.run_in_executor(None, Store.open, self.settings, before)
            self._forget(store)
            self.store = store
            for kind, sound in (("graph", store.graphs), ("bundle", store.bundles)):
                self.metrics.artifacts.labels(kind, "ready").set(len(sound))
                self.metrics.artifacts.labels(kind, "broken").set(sum(b.kind == kind for b in store.broken))
            self.ready = True
            self.generation += 1

    def _forget(self, store: Store) -> None:
        """Drop what was made for artifacts that are no longer served, and for bundles whose graph was exchanged."""
        keys = {b.key for b in store.bundles.values()} | {g.key for g in store.graphs.values()}
        unchanged = {b.key for b in store.bundles.values() if b in self.store.bundles.values()}
        for kind, key in list(self._made):
            stale = key.partition("-")[0] not in keys or (kind in ("predictor", "ladder", "newcomers") and key not in unchanged)
            if stale and kind != "reader":
                self._made.pop((kind, key))  # requests that still hold it are answered; with the last one it ends by itself

    async def run(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `work` returns, from a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    def once(self, kind: str, key: str, make: Callable[[], Any]) -> Any:
        """Return what was made for `key`, made now where it was not; who asks meanwhile waits."""
        if (kind, key) not in self._made:
            with self._making.setdefault((kind, key), threading.Lock()):
                if (kind, key) not in self._made:
                    self._made[kind, key] = make()
        return self._made[kind, key]

    def predictor(self, served: ServedBundle) -> Predictor:
        """Return what predicts with a bundle."""
        found: Predictor = self.once("predictor", served.key, lambda: Predictor(served, self.settings.limits.waiting))
        return found

    def added(self, served: ServedBundle) -> AddedClasses:
        """Return the classes added to a bundle."""
        folder = folder_of(self.settings.state, served.key)
        found: AddedClasses = self.once("added", served.key, lambda: AddedClasses(folder, served.bundle.weights.dim))
        return found

    def count_rows(self, bundle: str, rows: int) -> None:
        """Count predicted rows."""
        self.metrics.rows.labels(bundle).inc(rows)

    async def query(self, served: ServedGraph, text: str, rows: int) -> dict[str, Any]:
        """Return the answer to a SPARQL query."""
        helper = self.querier(served)
        request = orjson.dumps({"query": text.encode("utf-8", "replace").decode(), "limit": rows})
        return orjson.loads(await asyncio.get_running_loop().run_in_executor(self.helpers, helper.ask, request))

    def querier(self, served: ServedGraph) -> Helper:
        """Return what answers SPARQL over a graph."""
        seconds = self.settings.limits.query_seconds
        found: Helper = self.once("sparql", served.key, lambda: Helper("sparql", {"path": str(served.path)}, seconds, "a query"))
        return found

    def tell_others(self) -> None:
        """Have the other workers reload as well: the parent passes the signal on to all, this one aside by being done already."""
        if self.settings.workers > 1:
            os.kill(os.getppid(), signal.SIGHUP)

    def warm(self) -> None:
        """Prepare in the background what first requests would wait for: networks, linking, kernels, helpers."""
        from kgzsl.service.warming import warm

        self.threads.submit(warm, self)

    def close(self) -> None:
        """End the threads; their work is done, or nobody waits for it."""
        for pool in (self.threads, self.helpers):
            pool.shutdown(wait=False, cancel_futures=True)
        for made in self._made.values():
            if hasattr(made, "close"):
                made.close()
