"""A composition bundle in a fresh process, with a fine-tuned and with a packaged backbone; what it refuses; what it ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kgzsl
from kgzsl.classifiers.compositions.finetuning import FineTuning
from kgzsl.composition_bundle import CompositionBundle
from kgzsl.errors import ArtifactError, DigestMismatchError, IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.features import extract, make_backbone
from kgzsl.matrices import Features
from kgzsl.testing.compositions import few_photographs

pytestmark = pytest.mark.data
SETTINGS = {"hidden": 32, "embedding": 8, "graph_hidden": 16, "epochs": 6, "batch_size": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def few():
    return few_photographs(4)


@pytest.fixture(scope="module")
def tuned(few) -> CompositionBundle:
    tuning = FineTuning(height=64, width=48, epochs=1, batch_size=16, learning_rate=1e-4, device="cpu")
    return kgzsl.fit_compositions(few, settings=SETTINGS, finetune=tuning)


@pytest.fixture(scope="module")
def saved(tuned, tmp_path_factory) -> Path:
    return tuned.save(tmp_path_factory.mktemp("bundles") / "few.bundle")


def test_it_scores_the_same_in_a_fresh_process(tuned, saved, few, tmp_path):
    files = [str(p) for p in few.paths[:8]]
    code = (
        "import json, sys; from kgzsl import CompositionBundle; b = CompositionBundle.load(sys.argv[1], device='cpu');"
        "r = b.rank('red watch', sys.argv[2:], top=8); print(json.dumps([[m.image, m.share, m.answer] for m in r.matches]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(saved), *files], capture_output=True, text=True, check=True, timeout=300)
    here = kgzsl.compose("red watch", files, model=tuned, top=8)
    found = json.loads(done.stdout)
    assert [m[0] for m in found] == [m.image for m in here.matches] and [m[2] for m in found] == [m.answer for m in here.matches]
    assert np.allclose([m[1] for m in found], [m.share for m in here.matches], atol=1e-5)
    assert {p.suffix for p in saved.rglob("*") if p.is_file()} <= {".json", ".safetensors"}


def test_a_ranking_is_by_share_and_says_what_was_seen(tuned, few):
    ranking = tuned.rank("black t-shirt", list(few.paths), top=1000)
    shares = [m.share for m in ranking.matches]
    assert shares == sorted(shares, reverse=True) and len(shares) == ranking.images == len(few) and 0 <= shares[-1] < shares[0] <= 1
    assert (ranking.state, ranking.object) == ("Black", "Tshirts")
    listed = {(few.space.states[s], few.space.objects[o]): bool(k) for (s, o), k in zip(few.space.pairs, few.space.seen, strict=True)}
    for state in few.space.states:
        for obj in few.space.objects:
            assert tuned.rank(f"{state}/{obj}", list(few.paths[:2])).seen == listed.get((state, obj), False)


def test_shares_do_not_depend_on_how_many_images_are_ranked(tuned, few):
    alone = tuned.rank("blue shirt", few.paths[3]).matches[0]
    among = next(m for m in tuned.rank("blue shirt", list(few.paths), top=1000).matches if m.image == alone.image)
    assert among.share == pytest.approx(alone.share, abs=1e-5)


def test_features_of_another_backbone_are_refused(tuned, few):
    rows = extract([str(p) for p in few.paths[:2]], make_backbone("efficientnet-lite0", device="cpu"))
    with pytest.raises(IncompatibleError, match="same backbone"):
        tuned.rank("red shirt", rows)
    with pytest.raises(InvalidInputError, match="fine-tuned backbone"):
        tuned.features_of(few.paths[0], backbone="efficientnet-lite0")


def test_names_are_checked_before_images_are_read(saved):
    with pytest.raises(UnknownNameError, match="Shirts"):
        kgzsl.compose("red shrt", "/nowhere", model=saved)
    with pytest.raises(InvalidInputError, match="top is at least 1"):
        CompositionBundle.load(saved).rank("red shirt", "/nowhere", top=0)


def test_a_frozen_backbone_is_named_by_the_recipe(few, tmp_path):
    rows = extract([str(p) for p in few.paths], make_backbone("efficientnet-lite0", device="cpu"))
    bundle = kgzsl.fit_compositions(few, settings={**SETTINGS, "embedding": 0}, features=rows)
    again = CompositionBundle.load(bundle.save(tmp_path / "frozen.bundle"))
    assert again.network is None
    assert np.allclose(again.scores(rows, few.space.pairs), bundle.scores(rows, few.space.pairs), atol=1e-6)
    assert [m.image for m in again.rank("white shirt", rows).matches] == [m.image for m in bundle.rank("white shirt", rows).matches]


def test_rows_that_are_not_those_of_the_images_are_refused(few):
    rows = extract([str(p) for p in few.paths[:3]], make_backbone("efficientnet-lite0", device="cpu"))
    with pytest.raises(IncompatibleError, match="a row for every image"):
        kgzsl.fit_compositions(few, features=rows)
    with pytest.raises(InvalidInputError, match="frozen backbone"):
        kgzsl.fit_compositions(few)
    with pytest.raises(InvalidInputError, match="recipe"):
        kgzsl.fit_compositions(few, features=Features(rows.ids, rows.matrix))


@pytest.mark.parametrize("name", ["classifier.safetensors", "backbone.safetensors"])
def test_changed_bytes_are_noticed(saved, tmp_path, name):
    folder = tmp_path / "changed.bundle"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DigestMismatchError, match=name):
        CompositionBundle.load(folder)


def test_other_folders_are_refused(tmp_path, saved, tuned):
    with pytest.raises(ArtifactError, match="manifest"):
        CompositionBundle.load(tmp_path)
    from kgzsl.bundle import Bundle

    with pytest.raises(ArtifactError, match="composition-bundle"):
        Bundle.load(saved)
    with pytest.raises(InvalidInputError, match="never overwritten"):
        tuned.save(saved)
