"""Worker processes on one socket, and the process that watches them.

The parent binds the socket and starts the workers; one that dies is started again, and its artifacts are the same files. SIGHUP
reaches every worker, which opens what has changed and goes on answering meanwhile; SIGTERM and SIGINT let requests end first.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from kgzsl.errors import InvalidInputError, require
from kgzsl.service.settings import Settings

#: Seconds that running requests have to end.
GRACE = 20
#: A worker that ends sooner than this after its start is started again after a pause.
_SOON = 5.0
_BACKLOG = 2048


def serve(settings: Settings) -> int:
    """Serve until a signal ends it; return the exit status."""
    require("uvicorn", "service")
    listening = bind(settings.host, settings.port)
    if settings.workers == 1:
        return run_worker(settings, listening)
    return _Parent(settings, listening).run()


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; 0 as the port takes a free one.

    Raises
    ------
    InvalidInputError : the address is taken or not of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        raise InvalidInputError(
            "the service binds an address", received=f"{host}:{port}: {error}", remedy="choose another --port"
        ) from error
    made.set_inheritable(True)
    return made


def run_worker(settings: Settings, listening: socket.socket) -> int:
    """Answer on a socket in this process until a signal ends it."""
    import uvicorn

    from kgzsl.service.app import make_app

    app = make_app(settings)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE, server_header=False, timeout_keep_alive=30
    )
    server = uvicorn.Server(config)

    def ended(number: int, frame: FrameType | None) -> None:
        """uvicorn raises the signal again once it has shut down in order: then this process simply ends, with status 0."""
        if not server.started:
            raise SystemExit(0)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, ended)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        kept: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(app.state.service.load())
            kept.add(task)
            task.add_done_callback(kept.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        await server.serve(sockets=[listening])

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())
    return 0 if server.started else 3


class _Parent:
    """Starts the workers, starts again those that die, and passes signals on."""

    def __init__(self, settings: Settings, listening: socket.socket) -> None:
        self.settings, self.listening = settings, listening
        self.workers: list[tuple[subprocess.Popen[bytes], float]] = []
        self.ending = False

    def run(self) -> int:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._end)
        signal.signal(signal.SIGHUP, self._pass_on)
        self.workers = [self._start() for _ in range(self.settings.workers)]
        while not self.ending:
            time.sleep(0.1)
            self.workers = [self._again(*one) for one in self.workers]
        for process, _ in self.workers:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE + 5
        for process, _ in self.workers:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        return 0

    def _start(self) -> tuple[subprocess.Popen[bytes], float]:
        command = [sys.executable, "-m", "kgzsl.service.worker", str(self.listening.fileno())]
        environment = {**os.environ, "KGZSL_SERVICE": self.settings.to_json()}
        # a group of its own: Ctrl-C reaches the parent alone, which then ends the workers in order
        process = subprocess.Popen(command, pass_fds=[self.listening.fileno()], env=environment, start_new_session=True)
        return process, time.monotonic()

    def _again(self, process: subprocess.Popen[bytes], started: float) -> tuple[subprocess.Popen[bytes], float]:
        if process.poll() is None or self.ending:
            return process, started
        print(f"kgzsl: worker {process.pid} ended with {process.returncode}; another one starts", file=sys.stderr, flush=True)
        if time.monotonic() - started < _SOON:
            time.sleep(1.0)
        return self._start()

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ending = True

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        for process, _ in self.workers:
            if process.poll() is None:
                process.send_signal(number)


def default_artifacts() -> tuple[list[str], list[str]]:
    """Return what the quickstart made in this folder: folders of bundles, and graphs.

    Raises
    ------
    InvalidInputError : it made nothing here.
    """
    bundles = [str(p) for p in (Path("runs/quickstart"),) if p.is_dir()]
    graphs = [str(p) for p in (Path("graphs/imagenet.kg"),) if p.is_dir()]
    if not bundles:
        raise InvalidInputError(
            "without arguments, what the quickstart made is served",
            received="no runs/quickstart here",
            remedy="run ./scripts/quickstart.sh first, or name folders: kgzsl serve my.bundle --graph my.kg",
        )
    return bundles, graphs
