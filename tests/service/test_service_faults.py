"""What goes wrong while requests run: workers that die, artifacts that are broken or exchanged, a service that is ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import psutil
import pytest
from serving import running, wait_until

from kgzsl.artifacts import read_manifest
from kgzsl.errors import KgzslError
from kgzsl.service.client import Client, ServiceProblem


class Load:
    """Predicts from several threads until it is told to stop, and keeps what came of it."""

    def __init__(self, url: str, row, threads: int = 3) -> None:
        self.url, self.row = url, row
        self.answers: list[str] = []
        self.problems: list[Exception] = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        client = Client(self.url, timeout=30)
        while not self.stop.is_set():
            try:
                (one,) = client.predict_features("carnivores", self.row, top=1)
                self.answers.append(one.answers[0].id)
            except (KgzslError, OSError) as error:
                self.problems.append(error)


@contextmanager
def loaded(url: str, row) -> Iterator[Load]:
    load = Load(url, row)
    for thread in load.threads:
        thread.start()
    try:
        wait_until(lambda: len(load.answers) > 20, 30)
        yield load
    finally:
        load.stop.set()
        for thread in load.threads:
            thread.join(40)


def workers_of(parent: int) -> list[psutil.Process]:
    """The living workers of a service."""
    found = []
    for child in psutil.Process(parent).children():
        try:
            if "kgzsl.service.worker" in child.cmdline():
                found.append(child)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


@pytest.fixture
def folder(artifacts, tmp_path):
    """A copy that the test may break."""
    return shutil.copytree(artifacts, tmp_path / "artifacts")


def test_a_worker_that_is_killed_is_started_again(folder, tmp_path, rows):
    with running(str(folder), "--workers", "2", "--state", str(tmp_path / "state"), log=tmp_path / "log") as service:
        workers = partial(workers_of, service.process.pid)
        wait_until(lambda: len(workers()) == 2, 20)
        with loaded(service.url, rows.matrix[:1]) as load:
            victim = workers()[0].pid
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: len(workers()) == 2 and victim not in [w.pid for w in workers()], 30)
            before = len(load.answers)
            wait_until(lambda: len(load.answers) > before + 50, 30)
        assert len(set(load.answers)) == 1
        assert len(load.problems) <= 3, load.problems  # at most those that the dead one was answering
        with service.client() as client:
            (added,) = client.add_classes("carnivores", ["flying fox"])
        for _ in range(10):  # whichever worker answers knows it
            with service.client() as client:
                assert [c.id for c in client.added_classes("carnivores")] == [added.id]
        assert service.end() == 0
        assert not psutil.pid_exists(victim) and "another one starts" in service.log.read_text()


def test_broken_artifacts_are_listed_and_the_rest_served_and_reloads_drop_nothing(folder, tmp_path, rows, artifacts, bundle):
    shutil.copytree(folder / "carnivores.bundle", folder / "other.bundle")
    matrix = folder / "other.bundle" / "matrix.safetensors"
    data = bytearray(matrix.read_bytes())
    data[-100] ^= 1
    matrix.write_bytes(data)
    (folder / "empty.bundle").mkdir()
    (folder / "strange.kg").mkdir()
    (folder / "strange.kg" / "manifest.json").write_text('{"kind": "graph"')
    with running(str(folder), "--state", str(tmp_path / "state"), log=tmp_path / "log") as service, service.client() as client:
        told = {b.name: b for b in client.bundles()}
        assert told["carnivores"].status == "ready" and told["other"].status == told["empty"].status == "broken"
        assert "SHA-256" in told["other"].problem
        assert {g.name: g.status for g in client.graphs()} == {"carnivores": "ready", "strange": "broken"}
        with pytest.raises(ServiceProblem, match="must be whole"):
            client.predict_features("other", rows.matrix[:1])
        with loaded(service.url, rows.matrix[:1]) as load:
            shutil.rmtree(folder / "other.bundle")
            shutil.copytree(artifacts / "carnivores.bundle", folder / "other.bundle")
            told = client.reload()
            assert (told.bundles, told.broken) == (2, 2)
            for _ in range(3):
                service.process.send_signal(signal.SIGHUP)
                time.sleep(0.2)
            shutil.rmtree(folder / "carnivores.bundle")  # the open files stay until the reload
            other = replace(bundle, gamma=1e-6).save(folder / "carnivores.bundle")
            client.reload()
            assert client.version().artifacts["bundles"]["carnivores"] == read_manifest(other, "bundle")["digest"]
            before = len(load.answers)
            wait_until(lambda: len(load.answers) > before + 20, 30)
        assert load.problems == [] and len(set(load.answers)) == 1
        assert client.predict_features("other", rows.matrix[:1], top=1)[0].answers[0].id == load.answers[0]


def test_requests_end_before_the_service_does(folder, tmp_path, rows):
    with running(str(folder), "--state", str(tmp_path / "state"), "--query-seconds", "3", log=tmp_path / "log") as service:
        found: list[object] = []

        def slow() -> None:
            with service.client() as client:
                try:
                    found.append(client.sparql("carnivores", "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"))
                except ServiceProblem as problem:
                    found.append(problem.status)

        with service.client() as client:
            client.sparql("carnivores", "ASK {}")
        thread = threading.Thread(target=slow)
        thread.start()
        time.sleep(0.5)
        helpers = psutil.Process(service.process.pid).children(recursive=True)
        assert service.end() == 0
        thread.join(30)
        assert found == [422]  # it was answered, not cut off
        wait_until(lambda: not any(h.is_running() and h.status() != psutil.STATUS_ZOMBIE for h in helpers), 10)
        assert "Traceback" not in service.log.read_text()


def test_an_address_that_is_taken_is_said(service, artifacts):
    port = service.url.rsplit(":", 1)[1]
    for arguments, said in (([str(artifacts), "--port", port], "choose another --port"), (["nowhere"], "nowhere")):
        done = subprocess.run([sys.executable, "-m", "kgzsl", "serve", *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
