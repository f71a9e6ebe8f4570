"""What all tests share: no network beyond this machine, and benchmark data only where it is."""

from __future__ import annotations

import os
import sys

import pytest

_LOOPBACK = {"127.0.0.1", "::1", "localhost", ""}


def _refuse_network(event: str, arguments: tuple) -> None:
    """An audit hook: a socket that leaves this machine fails the test that opened it."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and str(address[0]) not in _LOOPBACK:
        raise AssertionError(f"a test opened a socket to {address}: the library must not use the network unasked")


sys.addaudithook(_refuse_network)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("KGZSL_DATA"):
        return
    skip = pytest.mark.skip(reason="KGZSL_DATA, the folder of real benchmark data, is not set")
    for item in items:
        if item.get_closest_marker("data"):  # a folder called data is a keyword too
            item.add_marker(skip)


@pytest.fixture(scope="session")
def world():
    """The carnivores: a small real graph with texts and classifier weights."""
    from kgzsl.testing import carnivores

    return carnivores()


@pytest.fixture(scope="session")
def halves():
    """`(seen, unseen)` carnivores."""
    from kgzsl.testing import hidden_carnivores

    return hidden_carnivores()


@pytest.fixture(scope="session")
def rows(world):
    """Feature rows where no images are: every class's own weight vector, twice (the second less sharp), with its label."""
    import numpy as np

    from kgzsl.matrices import Features

    weight = world.weights.weight
    ids = world.weights.ids
    blunt = weight + 0.5 * weight.mean(axis=0)
    return Features(
        ids=tuple(f"{i}#{k}" for k in (0, 1) for i in ids),
        matrix=np.concatenate([weight, blunt]),
        meta={"recipe": world.weights.meta["recipe"]},
        labels=ids + ids,
    )


@pytest.fixture(scope="session")
def photographs(world):
    """Features of the real sample images of the carnivores, one per class (mark the test `data`)."""
    from kgzsl.datasets import samples
    from kgzsl.features import make_backbone
    from kgzsl.workspace import Workspace

    return Workspace().features(samples().of_classes(world.weights.ids), make_backbone("efficientnet-lite0"))
