"""Vectorised losses equal slow loops, and every trained part stays on its device."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from kgzsl.classifiers import ALE, SJE, DeViSE
from kgzsl.classifiers._network import perceptron
from kgzsl.classifiers.dem import squared_distance
from kgzsl.classifiers.icis import CrossAutoencoder
from kgzsl.classifiers.psr import relation_loss
from kgzsl.classifiers.sync import LOSSES, crammer_singer, one_vs_other

RANKING = [DeViSE, SJE, ALE]


def slow_devise(hinges: list[float]) -> float:
    return math.fsum(hinges)


def slow_sje(hinges: list[float]) -> float:
    return max([0.0, *hinges])


def slow_ale(hinges: list[float]) -> float:
    rank = sum(h > 0 for h in hinges)
    return sum(1 / i for i in range(1, rank + 1)) / rank * math.fsum(hinges) if rank else 0.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 7), st.floats(0.05, 3), st.booleans())
def test_ranking_losses_are_the_double_loop(seed, rows, classes, margin, tied):
    rng = np.random.default_rng(seed)
    scores, labels = 2 * rng.standard_normal((rows, classes)), rng.integers(0, classes, rows)
    if tied:
        scores = np.rint(scores)
    for cls, slow in zip(RANKING, (slow_devise, slow_sje, slow_ale), strict=True):
        total = 0.0
        for n in range(rows):
            own = scores[n, labels[n]]
            total += slow([max(0.0, margin + scores[n, y] - own) for y in range(classes) if y != labels[n]])
        found = cls.loss(torch.from_numpy(scores), torch.from_numpy(labels), margin)
        assert float(found) == pytest.approx(total / rows, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 7))
def test_sync_losses_are_the_double_loop(seed, rows, classes):
    rng = np.random.default_rng(seed)
    scores, labels = 2 * rng.standard_normal((rows, classes)), rng.integers(0, classes, rows)
    margins = np.abs(rng.standard_normal((classes, classes))) * (1 - np.eye(classes))
    one = structured = 0.0
    for n in range(rows):
        one += sum(max(0.0, 1 - (1 if c == labels[n] else -1) * scores[n, c]) ** 2 for c in range(classes))
        structured += max(max(0.0, margins[labels[n], c] + scores[n, c] - scores[n, labels[n]]) for c in range(classes)) ** 2
    arguments = torch.from_numpy(scores), torch.from_numpy(labels), torch.from_numpy(margins)
    assert float(one_vs_other(*arguments)) == pytest.approx(one / rows)
    assert float(crammer_singer(*arguments)) == pytest.approx(structured / rows)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(-0.9, 0.9))
def test_relation_loss_is_the_double_loop(seed, classes, threshold):
    rng = np.random.default_rng(seed)
    embeddings, points = rng.standard_normal((classes, 3)), rng.standard_normal((classes, 4))

    def cosine(a, b):
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    total = 0.0
    for i in range(classes):
        for j in range(classes):
            if i != j:
                wanted, found = cosine(embeddings[i], embeddings[j]), cosine(points[i], points[j])
                total += max(0.0, wanted - found if wanted >= threshold else found - wanted)
    loss = relation_loss(torch.from_numpy(embeddings), torch.from_numpy(points), threshold)
    assert float(loss) == pytest.approx(total / classes / (classes - 1), abs=1e-9)


def test_points_that_keep_every_relation_cost_nothing():
    embeddings = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert float(relation_loss(embeddings, 3 * embeddings, 0.2)) == pytest.approx(0, abs=1e-6)


def test_the_loss_of_icis_is_two_reconstructions_and_two_crossings():
    network = CrossAutoencoder(4, 6, 8, 5, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    embeddings, weights = torch.randn(3, 4, generator=generator), torch.randn(3, 6, generator=generator)

    def distance(a, b):
        return np.mean([1 - (p @ q / p.norm() / q.norm()).item() for p, q in zip(a, b, strict=True)])

    total = 0.0
    for encode, source in ((network.encode_embedding, embeddings), (network.encode_weight, weights)):
        total += distance(network.decode_weight(encode(source)), weights)
        total += distance(network.decode_embedding(encode(source)), embeddings)
    assert network.loss(embeddings, weights).item() == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("cls", RANKING)
def test_ranking_losses_stay_on_their_device(cls):
    with FakeTensorMode():
        scores = torch.empty(5, 4, device="meta", requires_grad=True)
        labels = torch.zeros(5, dtype=torch.int64, device="meta")
        assert cls.loss(scores, labels, 1.0).device.type == "meta"
        with pytest.raises((RuntimeError, AssertionError), match="device"):  # the check itself can fail
            cls.loss(scores, labels.cpu(), 1.0)


@pytest.mark.parametrize("name", LOSSES)
def test_sync_losses_stay_on_their_device(name):
    with FakeTensorMode():
        scores, labels = torch.empty(5, 4, device="meta"), torch.zeros(5, dtype=torch.int64, device="meta")
        assert LOSSES[name](scores, labels, torch.empty(4, 4, device="meta")).device.type == "meta"
        with pytest.raises((RuntimeError, AssertionError), match="device"):
            LOSSES[name](scores, labels.cpu(), torch.empty(4, 4, device="meta"))


def test_networks_and_their_losses_stay_on_their_device():
    generator = torch.Generator().manual_seed(0)
    network, injector = perceptron([4, 8, 6], generator), CrossAutoencoder(4, 6, 8, 5, generator)
    with FakeTensorMode(allow_non_fake_inputs=True):
        network, injector = network.to("meta"), injector.to("meta")
        embeddings, features = torch.empty(3, 4, device="meta"), torch.empty(3, 6, device="meta")
        points = network(embeddings)
        losses = squared_distance(points, features), relation_loss(embeddings, points, 0.3), injector.loss(embeddings, features)
        assert all(loss.device.type == "meta" for loss in losses)
        sum(losses).backward()
        parameters = [*network.parameters(), *injector.parameters()]
        assert all(p.grad is not None and p.grad.device.type == "meta" for p in parameters)
        with pytest.raises((RuntimeError, AssertionError), match="device"):
            network(torch.empty(3, 4, device="cpu"))
