"""Prepares, in the background after the start, what first requests would otherwise wait for."""

from __future__ import annotations

import logging

from kgzsl.errors import KgzslError
from kgzsl.service.explaining import Ladder
from kgzsl.service.newcomers import newcomers
from kgzsl.service.reading import Reader
from kgzsl.service.state import State
from kgzsl.service.store import ServedBundle

log = logging.getLogger("kgzsl.service")


def warm(state: State) -> None:
    """Load networks, kernels and helpers of everything that is served; what fails is told to who asks for it."""
    for served in list(state.store.bundles.values()):
        try:
            _warm(state, served)
        except KgzslError as error:
            log.info("%s: %s", served.name, error)
    for graph in list(state.store.graphs.values()):
        graph.index.fuzzy("first search", 1)


def _warm(state: State, served: ServedBundle) -> None:
    graph = served.graph
    if graph is not None:
        state.once("ladder", served.key, lambda: Ladder(served, graph))
    if graph is not None and served.bundle.adding is not None:
        newcomers(state, served).texts.encode(["a first text"])
    reader: Reader = state.once("reader", str(served.bundle.recipe), lambda: Reader(served, state.settings.limits))
    reader.warm()
