"""Real server processes on loopback, with a small bundle of real weights: the carnivores."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kgzsl.bundle import Bundle
from kgzsl.front import fit
from kgzsl.service.client import Client


@dataclass
class Running:
    """A service process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, **options) -> Client:
        return Client(self.url, timeout=60, **options)

    def end(self) -> int:
        """End it as a service manager does, and return the status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(*arguments: str, log: Path) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "kgzsl", "serve", *arguments, "--port", str(port)]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"})
    one = Running(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until(lambda: process.poll() is not None or one.client().ready(), 60)
        assert process.poll() is None, log.read_text()
        yield one
    finally:
        if process.poll() is None:
            one.end()


def wait_until(true: Callable[[], object], seconds: float) -> None:
    """Wait until something holds; fail when it never does."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def bundle(world, halves) -> Bundle:
    """All carnivores but two, which are nodes that can be added."""
    classes = [i for i in world.graph.ids if i not in LEFT_OUT]
    return fit(world.graph, weights=world.weights.select(halves[0]), classes=classes, vectors=world.vectors, settings={"steps": 3})


#: Nodes of the graph that are no classes of the bundle: the ocelot and the Alaskan brown bear.
LEFT_OUT = ("wn30:n02125494", "wn30:n02132788")


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
