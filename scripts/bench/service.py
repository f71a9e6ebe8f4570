"""The service under load on loopback: rates, latencies, memory, and what adding a class costs.

    python scripts/bench/service.py runs/quickstart --graph graphs/imagenet.kg --workers 2

Starts `kgzsl serve` itself. The load comes from processes of their own with raw sockets and kept connections, on the same
machine: what they take, the service has not. Requests differ from one another: names of the graph, ids of classes, real feature rows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from kgzsl.bundle import Bundle
from kgzsl.errors import KgzslError
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.matrices import Features
from kgzsl.service.client import Client

#: Connections that each load process keeps busy in turn.
DEPTH = 8


@dataclass(frozen=True)
class Measured:
    """What one kind of request came to: per second, milliseconds at the median and the 99th percentile, and failures.

    `cpu` is the milliseconds of processor time that the service took per request: on a machine that does other work as well, what
    the rates are bounded by.
    """

    what: str
    requests: int
    rate: float
    median: float
    p99: float
    failed: int
    cpu: float


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="a bundle, or a folder with one")
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--features", type=Path, help="feature artifact of the bundle's backbone; without it, rows of the bundle's weights")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=2, help="load processes (default: 2)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--requests", type=int, default=50_000, help="of the memory measurement")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        port = _free_port()
        command = [sys.executable, "-m", "kgzsl", "serve", *map(str, args.folders), "--graph", str(args.graph)]
        started = time.perf_counter()
        options = ["--port", str(port), "--workers", str(args.workers), "--state", state]
        service = subprocess.Popen([*command, *options], env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            report = _measure(args, port, service.pid, started)
        finally:
            service.terminate()
            service.wait(30)
    _print(report, args)


def _print(report: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps({**report, "measured": [vars(m) for m in report["measured"]]}, indent=1))
        return
    who = f"{args.workers} workers, {args.clients} load processes, {os.cpu_count()} cores"
    print(f"ready after {report['start']:.1f} s, {report['start_cpu']:.1f} s of processor time; {who}")
    for one in report["measured"]:
        times = f"median {one.median:6.1f} ms  p99 {one.p99:6.1f} ms  processor {one.cpu:5.2f} ms"
        print(f"{one.what:30} {one.rate:7,.0f}/s  {times}  {one.failed} of {one.requests:,} failed")
    for how, times in report["adding"].items():
        print(f"adding a class {how}: {times}")
    print(f"memory of parent and workers (MiB), at first and after each half of {args.requests:,} requests: {report['memory']}")


def _measure(args: argparse.Namespace, port: int, parent: int, started: float) -> dict[str, Any]:
    client = Client(f"http://127.0.0.1:{port}", timeout=120)
    while not client.ready():
        time.sleep(0.02)
    start, start_cpu = time.perf_counter() - started, _cpu(parent)
    bundle = next(b for b in client.bundles() if b.can_add)
    graph = str(bundle.graph)
    opened = KnowledgeGraph.load(args.graph)
    folder = next(p for f in args.folders for p in (f, *sorted(f.glob("*.bundle"))) if p.suffix == ".bundle")
    weights = Bundle.load(folder, mapped=True).weights
    rows = Features.load(args.features).matrix if args.features else weights.weight[:2000]
    adding = _adding(client, bundle.name, opened, set(weights.ids))  # waits for the warming too
    requests = _requests(bundle.name, graph, opened, list(weights.ids), rows)
    measured = []
    for what, made in requests.items():
        _load(parent, port, made, args.clients, 1.0)
        measured.append(_load(parent, port, made, args.clients, args.seconds, what))
    mixed = [one for made in requests.values() for one in made]
    random.Random(0).shuffle(mixed)  # noqa: S311
    memory = [_memory(parent)]
    share = args.requests // args.clients // 2
    _load(parent, port, mixed, args.clients, 600.0, "mixed", share)
    memory.append(_memory(parent))
    measured.append(_load(parent, port, mixed, args.clients, 600.0, "all kinds mixed", share))
    memory.append(_memory(parent))
    return {"start": start, "start_cpu": start_cpu, "measured": measured, "adding": adding, "memory": memory}


def _requests(bundle: str, graph: str, opened: KnowledgeGraph, known: list[str], rows: np.ndarray) -> dict[str, list[bytes]]:
    draw = random.Random(0)  # noqa: S311
    labels = [label.split(", ")[0] for label in opened.labels]
    begun = [name[: draw.randint(2, max(2, len(name)))] for name in draw.sample(labels, min(4000, len(labels)))]
    typed = [name.replace(draw.choice(name), draw.choice("aeiou"), 1) for name in draw.sample(labels, min(2000, len(labels)))]
    ids = draw.sample(list(opened.ids), min(2000, len(opened)))
    classes = draw.sample(known, min(2000, len(known)))
    return {
        "search, beginning of a word": [_get(f"/v1/graphs/{graph}/search?q={quote(q)}&limit=10") for q in begun],
        "search, wrong letters": [_get(f"/v1/graphs/{graph}/search?q={quote(q)}&mode=fuzzy&limit=10") for q in typed],
        "neighbours of a node": [_get(f"/v1/graphs/{graph}/nodes/{quote(i)}/neighbours") for i in ids],
        "embedding of a class, base64": [
            _post(f"/v1/embeddings/{bundle}", json.dumps({"classes": [i], "format": "base64"}).encode(), "application/json")
            for i in classes
        ],
        "features → 5 of all classes": [_rows_of(bundle, row[None]) for row in rows[:1000]],
        "8 rows of features at once": [_rows_of(bundle, rows[i : i + 8]) for i in range(0, min(len(rows), 800), 8)],
    }


def _rows_of(bundle: str, rows: np.ndarray) -> bytes:
    return _post(f"/v1/bundles/{bundle}/predict/features?top=5", rows.astype("<f4").tobytes(), "application/octet-stream")


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def _post(path: str, body: bytes, kind: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _load(
    parent: int, port: int, requests: Sequence[bytes], clients: int, seconds: float, what: str = "", count: int | None = None
) -> Measured:
    """Send requests from several processes, for so long or so many from each."""
    with ProcessPoolExecutor(clients) as pool:
        list(pool.map(_nothing, range(clients)))  # the processes are there before the clock runs
        began, taken = time.perf_counter(), _cpu(parent)
        parts = list(pool.map(_send, *zip(*[(port, list(requests[k::clients]), seconds, count) for k in range(clients)], strict=True)))
        spent, taken = time.perf_counter() - began, _cpu(parent) - taken
    times = np.concatenate([np.array(p[0]) for p in parts]) * 1000
    median, worst = np.percentile(times, [50, 99])
    failed = sum(part[1] for part in parts)
    return Measured(what, len(times), len(times) / spent, float(median), float(worst), failed, 1000 * taken / len(times))


def _nothing(_: int) -> None:
    time.sleep(0.05)


def _send(port: int, requests: Sequence[bytes], seconds: float, count: int | None) -> tuple[list[float], int]:
    """Keep `DEPTH` connections busy; return the seconds of every request, and how many failed."""
    selector, failed, sent = selectors.DefaultSelector(), 0, 0
    times: list[float] = []
    for _ in range(DEPTH):
        wire = socket.create_connection(("127.0.0.1", port))
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.sendall(requests[sent % len(requests)])
        sent += 1
        selector.register(wire, selectors.EVENT_READ, _Sent(wire, time.perf_counter()))
    end = time.perf_counter() + seconds
    while selector.get_map():
        for key, _ in selector.select(5.0):
            one: _Sent = key.data
            data = one.wire.recv(262_144)
            one.got += data
            if data and not _whole(one.got):
                continue
            now = time.perf_counter()
            times.append(now - one.begun)
            failed += not one.got.startswith(b"HTTP/1.1 200")
            if now > end or (count is not None and sent >= count) or not data:
                selector.unregister(one.wire)
                one.wire.close()
                continue
            one.begun, one.got = now, b""
            one.wire.sendall(requests[sent % len(requests)])
            sent += 1
    return times, failed


@dataclass
class _Sent:
    """A connection, when its request began, and what has come of the answer."""

    wire: socket.socket
    begun: float
    got: bytes = b""


def _whole(got: bytes) -> bool:
    """Whether an answer has come completely."""
    head = got.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = got.lower().find(b"content-length:", 0, head)
    return len(got) >= head + 4 + int(got[at + 15 : got.index(b"\r\n", at)])


def _adding(client: Client, bundle: str, opened: KnowledgeGraph, known: set[str]) -> dict[str, str]:
    """Milliseconds of a request that adds one class: the first, then the median and the worst of the others."""
    draw = random.Random(1)  # noqa: S311
    stems = [label.split(", ")[0] for label in opened.labels]
    names = [{"name": f"unheard-of {k} {draw.choice(stems)}"} for k in range(60)]
    nodes = [i for i in draw.sample(list(opened.ids), 400) if i not in known]
    out = {}
    for what, entries in (("by name", names), ("by node", [{"node": i} for i in nodes])):
        times: list[float] = []
        for entry in entries:
            began = time.perf_counter()
            try:
                client.add_classes(bundle, [entry])
            except KgzslError:  # two names of one node
                continue
            times.append((time.perf_counter() - began) * 1000)
            if len(times) == 50:
                break
        rest = times[5:]
        out[what] = f"first {times[0]:,.0f} ms; then median {np.median(rest):.1f}, worst {max(rest):.1f} ms of {len(rest)}"
    for one in client.added_classes(bundle):
        client.remove_class(bundle, one.id)
    return out


def _cpu(parent: int) -> float:
    """Seconds of processor time of the service's processes, helpers included."""
    import psutil

    processes = [psutil.Process(parent), *psutil.Process(parent).children(recursive=True)]
    return float(sum(t.user + t.system for t in (p.cpu_times() for p in processes)))


def _memory(parent: int) -> list[int]:
    """MiB of each worker's own memory (unique set size), helpers aside."""
    import psutil

    found = []
    for process in [psutil.Process(parent), *psutil.Process(parent).children()]:
        if any("kgzsl.service.worker" in part for part in process.cmdline()) or process.pid == parent:
            found.append(round(process.memory_full_info().uss / 2**20))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
