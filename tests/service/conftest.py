"""Real server processes on loopback, with a small bundle of real weights: the carnivores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import LEFT_OUT, Running, running

from kgzsl.bundle import Bundle
from kgzsl.front import fit
from kgzsl.service.client import Client


@pytest.fixture(scope="session")
def bundle(world, halves) -> Bundle:
    """All carnivores but two, which are nodes that can be added."""
    classes = [i for i in world.graph.ids if i not in LEFT_OUT]
    return fit(world.graph, weights=world.weights.select(halves[0]), classes=classes, vectors=world.vectors, settings={"steps": 3})


@pytest.fixture(scope="session")
def artifacts(world, bundle, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    world.graph.save(folder / "carnivores.kg")
    bundle.save(folder / "carnivores.bundle")
    return folder


@pytest.fixture(scope="session")
def service(artifacts, tmp_path_factory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("service")
    with running(str(artifacts), "--state", str(home / "state"), "--query-seconds", "2", log=home / "log.txt") as one:
        yield one


@pytest.fixture
def client(service) -> Iterator[Client]:
    with service.client() as one:
        yield one
