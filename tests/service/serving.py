"""Service processes for tests, and what the small bundle leaves out."""

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

from kgzsl.service.client import Client

#: Nodes of the graph that are no classes of the bundle: the ocelot and the Alaskan brown bear.
LEFT_OUT = ("wn30:n02125494", "wn30:n02132788")


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
