"""Predictions over HTTP, against the bundle itself."""

from __future__ import annotations

import asyncio
import io
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from kgzsl.datasets import packaged_photos
from kgzsl.features import extract, make_backbone
from kgzsl.service.batching import Batcher
from kgzsl.service.client import ServiceProblem
from kgzsl.service.problems import BusyError


def same(predictions, expected) -> None:
    assert len(predictions) == len(expected)
    for one, want in zip(predictions, expected, strict=True):
        assert [(a.id, a.name, a.seen) for a in one.answers] == [(a.id, a.name, a.seen) for a in want]
        np.testing.assert_allclose([a.score for a in one.answers], [a.score for a in want], atol=2e-6)


def test_bundles_are_listed_and_described(client, bundle):
    (one,) = client.bundles()
    assert (one.name, one.status, one.classes, one.seen) == ("carnivores", "ready", len(bundle.names), int(bundle.seen.sum()))
    assert one.can_add and one.graph == "carnivores" and one.backbone == "efficientnet-lite0"
    assert client.bundle("carnivores").features == 1280


def test_classes_are_listed_by_name(client, bundle):
    found = client.classes("carnivores", "terrier", limit=1000)
    assert found.total == len(found.classes) == sum("terrier" in name.lower() for name in bundle.names)
    assert all(c.seen for c in client.classes("carnivores", seen=True).classes)


@pytest.mark.parametrize("candidates", ["all", "seen", "unseen"])
def test_rows_are_predicted_as_the_bundle_predicts_them(client, bundle, rows, candidates):
    few = rows.select(rows.ids[::10])
    same(client.predict_features("carnivores", few.matrix, top=4, candidates=candidates), bundle.predict(few, top=4, candidates=candidates))


def test_a_restricted_prediction_answers_with_those_classes_only(client, bundle, rows):
    chosen = list(bundle.weights.ids[::7])
    (one,) = client.predict_features("carnivores", rows.matrix[:1], top=100, classes=chosen)
    assert sorted(a.id for a in one.answers) == sorted(chosen)
    assert sum(a.confidence for a in one.answers) == pytest.approx(1.0, abs=1e-5)
    every = {a.id: a.score for a in bundle.predict(rows.select(rows.ids[:1]), top=len(bundle.names))[0]}
    for answer in one.answers:
        assert answer.score == pytest.approx(every[answer.id], abs=2e-6)


def test_many_at_once_get_their_own_answers(service, bundle, rows):
    want = bundle.predict(rows.select(rows.ids[:60]), top=1)

    def ask(i: int) -> str:
        with service.client() as client:
            return client.predict_features("carnivores", rows.matrix[i : i + 1], top=1)[0].answers[0].id

    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(ask, range(60)))
    assert found == [best[0].id for best in want]


def test_explanations_say_what_carried_the_answer(client, bundle, world, rows):
    row = rows.matrix[:1]
    (one,) = client.predict_features("carnivores", row, candidates="unseen", explain=True)
    why, best = one.explanation, one.answers[0]
    want = bundle.explain(row[0], best.id)
    assert tuple(why.parents) == want.parents and tuple(why.children) == want.children
    positive = [(name, value) for name, value in want.carriers if value > 0]
    assert [name for name, _ in why.carriers] == [name for name, _ in positive]
    total = sum(value for _, value in positive)
    np.testing.assert_allclose([share for _, share in why.carriers], [value / total for _, value in positive], atol=1e-5)
    assert why.path.nodes[0].id == best.id and why.path.nodes[-1].label == why.carriers[0][0]
    assert one.backoff.confidence >= 0.5 and one.backoff.id in world.graph


def test_back_off_adds_up_what_is_below(client, world, rows):
    (one,) = client.predict_features("carnivores", rows.matrix[:1], top=100, explain=True)
    below = set()
    frontier = {one.backoff.id}
    while frontier:
        below |= frontier
        frontier = {i for f in frontier for way, _, i in world.graph.neighbours(f) if way == "in"} - below
    told = sum(a.confidence for a in one.answers if a.id in below)
    assert one.backoff.confidence == pytest.approx(told, abs=0.02)  # the hundred best of all hold nearly all confidence


def test_images_are_predicted_as_their_features(client, bundle):
    photos = [p.path for p in packaged_photos()][:3]
    features = extract(photos, make_backbone("efficientnet-lite0"))
    found = client.predict_images("carnivores", photos, top=3)
    for one, want in zip(found, bundle.predict(features, top=3), strict=True):
        assert [a.id for a in one.answers] == [a.id for a in want]
        np.testing.assert_allclose([a.score for a in one.answers], [a.score for a in want], atol=1e-4)


def test_an_unreadable_image_does_not_spoil_the_others(client):
    photo = packaged_photos()[0].path
    good, bad = client.predict_images("carnivores", [photo, b"not an image"], top=1)
    assert good.answers and good.problem is None and bad.answers == [] and bad.problem == "not an image"
    with pytest.raises(ServiceProblem, match="an image can be read"):
        client.predict_images("carnivores", [b"\xff\xd8\xff broken"])


def bomb() -> bytes:
    """Few bytes that would be 400 million pixels."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


def test_a_decompression_bomb_is_refused(client):
    data = bomb()
    assert len(data) < 100_000
    with pytest.raises(ServiceProblem, match="bomb"):
        client.predict_images("carnivores", [data])
    assert client.predict_images("carnivores", [packaged_photos()[0].path])[0].answers


def test_an_interpreter_is_no_image_format(client):
    with pytest.raises(ServiceProblem, match="not an image"):
        client.predict_images("carnivores", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"rows": 3}',
        b'{"rows": []}',
        b'{"rows": [[1, 2]]}',
        b'{"rows": [[1], [2, 3]]}',
        b'{"rows": [["a"]]}',
        b'{"rows": [[1e400]]}',
        b'{"rows": [[NaN]]}',
        json.dumps({"rows": [[1.0] * 1280], "top": 0}).encode(),
        json.dumps({"rows": [[1.0] * 1280], "top": True}).encode(),
        json.dumps({"rows": [[1e39] * 1280]}).encode(),
        json.dumps({"rows": [[1.0] * 1280], "classes": "wn30:n02084071"}).encode(),
        json.dumps({"rows": [[1.0] * 1280], "classes": []}).encode(),
        json.dumps({"rows": [[1.0] * 1280], "candidates": ["all"]}).encode(),
        json.dumps({"rows": [[[1.0]] * 1280]}).encode(),
    ],
)
def test_malformed_rows_are_refused_with_a_reason(service, body):
    answer = httpx.post(f"{service.url}/v1/bundles/carnivores/predict/features", content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500 and answer.json()["detail"], answer.text


def test_a_batcher_puts_together_what_waits_and_refuses_too_much():
    sizes = []

    def work(batch):
        sizes.append(len(batch))
        return [2 * x for x in batch]

    async def run():
        batcher = Batcher(work, lambda _: 1, 8, 20, "test")
        assert await asyncio.gather(*(batcher.ask(i) for i in range(20))) == [2 * i for i in range(20)]
        found = await asyncio.gather(*(batcher.ask(i) for i in range(30)), return_exceptions=True)
        batcher.close()
        return found

    found = asyncio.run(run())
    assert max(sizes) == 8 and sizes[0] <= 8
    assert sum(isinstance(f, BusyError) for f in found) == 10


def test_a_batch_that_fails_is_told_to_everyone_and_the_next_one_works():
    def work(batch):
        if 0 in batch:
            raise ValueError("zero")
        return batch

    async def run():
        batcher = Batcher(work, lambda _: 1, 4, 100, "test")
        first = await asyncio.gather(*(batcher.ask(i) for i in range(4)), return_exceptions=True)
        second = await batcher.ask(5)
        batcher.close()
        return first, second

    first, second = asyncio.run(run())
    assert all(isinstance(f, ValueError) for f in first) and second == 5
