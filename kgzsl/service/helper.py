"""A child process for work that cannot be interrupted: SPARQL, and decoding what strangers call an image.

Requests and answers are frames on its pipes: eight bytes of length, then bytes; an answer begins with `1`, a refusal with `0`. The
child sets an alarm before it works and leaves it at its default, so the kernel ends it when the time is over, also when the parent
has died; the next request starts another one. Its memory is bounded.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO

import orjson

from kgzsl.errors import InvalidInputError, KgzslError
from kgzsl.service.problems import BusyError, TooSlowError

#: Bytes of memory that a child may ask for.
MEMORY = 6 * 2**30
#: Seconds that a child may take to start.
_START = 120.0
#: Requests that may wait for one child.
_WAITING = 32


class Helper:
    """Starts the child when it is needed, and again when it was ended.

    Parameters
    ----------
    kind : a name of `_KINDS`.
    arguments : for the child, JSON values.
    seconds : that one request may take.
    what : what took too long, for the message.
    """

    def __init__(self, kind: str, arguments: dict[str, object], seconds: float, what: str) -> None:
        self._command = [sys.executable, "-m", "kgzsl.service.helper", kind, json.dumps({**arguments, "seconds": seconds})]
        self._seconds, self._what = seconds, what
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._waiting = 0

    def start(self) -> None:
        """Start the child if none runs."""
        with self._lock:
            self._running()

    def ask(self, request: bytes) -> bytes:
        """Return the child's answer; blocks, so it is called in a thread.

        Raises
        ------
        TooSlowError : it took too long and was ended.
        InvalidInputError : the child refused; says why.
        BusyError : too many wait.
        """
        if self._waiting >= _WAITING:
            raise BusyError("only so much may wait at a time", received=f"{self._waiting} requests do", remedy="come back in a second")
        self._waiting += 1
        try:
            with self._lock:
                process = self._running()
                answer = self._exchanged(process, request)
        finally:
            self._waiting -= 1
        if answer[:1] == b"1":
            return answer[1:]
        refused = orjson.loads(answer[1:])
        raise InvalidInputError(refused["rule"], received=refused["received"], remedy=refused["remedy"])

    def _exchanged(self, process: subprocess.Popen[bytes], request: bytes) -> bytes:
        assert process.stdin is not None and process.stdout is not None
        try:
            _write(process.stdin, request)
            return _read(process.stdout)
        except (EOFError, OSError) as error:
            status = self._ended()
            if status == -signal.SIGALRM:
                rule = f"{self._what} takes at most {self._seconds:g} seconds"
                raise TooSlowError(rule, received="more, and was ended", remedy="ask for less") from error
            raise TooSlowError(f"{self._what} runs to its end", received=f"it took too much memory, or failed ({status})") from error

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._ended()
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            assert self._process.stdout is not None
            timer = threading.Timer(_START, self._process.kill)
            timer.start()
            try:
                _read(self._process.stdout)  # it says when it is ready
            except (EOFError, OSError) as error:
                raise KgzslError(
                    "a helper process starts", received=f"status {self._ended()}", remedy="the service's log says more"
                ) from error
            finally:
                timer.cancel()
        return self._process

    def _ended(self) -> int | None:
        """End the child and return its status."""
        process, self._process = self._process, None
        if process is None:
            return None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            return process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self) -> None:
        """End the child, whatever it does."""
        process = self._process
        if process is not None:
            process.kill()


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes:
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    data = stream.read(int.from_bytes(head, "little"))
    if len(data) < int.from_bytes(head, "little"):
        raise EOFError
    return data


# ---- in the child


def _decoder(arguments: dict[str, object]) -> Callable[[bytes], bytes]:
    """Bytes of an image file → the network's input, float32."""
    import numpy as np

    from kgzsl.features import make_backbone
    from kgzsl.features.images import UnreadableImageError, rgb_of

    backbone = make_backbone(str(arguments["backbone"]))
    pixels = int(str(arguments["pixels"]))

    def decoded(data: bytes) -> bytes:
        try:
            tensor = backbone.preprocess(rgb_of(data, pixels=pixels))
        except UnreadableImageError as error:
            raise InvalidInputError(
                "an image can be read", received=str(error), remedy="send a JPEG, PNG, WebP, GIF, BMP or TIFF"
            ) from error
        return np.ascontiguousarray(tensor.numpy(), dtype="<f4").tobytes()

    return decoded


def _querier(arguments: dict[str, object]) -> Callable[[bytes], bytes]:
    """JSON of a query → JSON of its answer."""
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.query import GraphStore

    store = GraphStore(KnowledgeGraph.load(str(arguments["path"]), verify=False))
    store.query("ASK {}", seconds=None)

    def answered(request: bytes) -> bytes:
        asked = orjson.loads(request)
        found = store.query(asked["query"], limit=asked["limit"], seconds=None)
        return orjson.dumps({"kind": found.kind, "columns": found.columns, "rows": found.rows, "truncated": found.truncated})

    return answered


_KINDS: dict[str, Callable[[dict[str, object]], Callable[[bytes], bytes]]] = {"image": _decoder, "sparql": _querier}


def main() -> int:
    """Work off frames until the parent closes the pipe."""
    arguments = json.loads(sys.argv[2])
    # what libraries print must not come between the frames
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    work = _KINDS[sys.argv[1]](arguments)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _write(answers, b"ready")
    while True:
        try:
            request = _read(requests)
        except EOFError:
            return 0
        signal.setitimer(signal.ITIMER_REAL, arguments["seconds"])
        try:
            answer = b"1" + work(request)
        except KgzslError as error:
            answer = b"0" + orjson.dumps({"rule": error.rule, "received": str(error.received), "remedy": error.remedy})
        except MemoryError:
            answer = b"0" + orjson.dumps({"rule": "it fits into memory", "received": "too much of it", "remedy": "ask for less"})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        _write(answers, answer)


if __name__ == "__main__":
    sys.exit(main())
