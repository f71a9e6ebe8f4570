"""`kgzsl fit --compositions` and `kgzsl compose` as a person runs them, on real photographs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import kgzsl
from kgzsl.classifiers.compositions.finetuning import FineTuning
from kgzsl.cli.fit_compositions import read_tuning
from kgzsl.cli.main import app
from kgzsl.errors import InvalidInputError, KgzslError
from kgzsl.testing.compositions import few_photographs

pytestmark = pytest.mark.data


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def few():
    return few_photographs(4)


@pytest.fixture(scope="module")
def bundle(few, tmp_path_factory) -> Path:
    settings = {"hidden": 32, "embedding": 0, "epochs": 30, "batch_size": 32, "device": "cpu"}
    made = kgzsl.fit_compositions(few, settings=settings, finetune=FineTuning(height=64, width=48, epochs=0, device="cpu"))
    return made.save(tmp_path_factory.mktemp("compose") / "few.bundle")


@pytest.fixture
def folder(few, tmp_path) -> Path:
    """Twelve photographs of the test part."""
    root = tmp_path / "photos"
    root.mkdir()
    for row in few.rows("test")[:12]:
        (root / few.paths[row].name).write_bytes(few.paths[row].read_bytes())
    return root


def test_a_page_shows_the_pictures_and_loads_nothing(bundle, folder, tmp_path):
    page = tmp_path / "page.html"
    done = run("compose", "black watch", folder, "--model", bundle, "--top", 5, "-o", page)
    assert done.exit_code == 0, (done.output, done.exception)
    text = page.read_text(encoding="utf-8")
    pictures = re.findall(r'<img src="(data:image/jpeg;base64,[^"]+)" alt="([^"]+)"', text)
    assert len(pictures) == 5 and all("Black Watches" in alt for _, alt in pictures)
    assert not re.search(r'(src|href)="(?!data:)', text) and "default-src 'none'" in text
    assert "Black Watches" in done.output and "page.html" in done.output.replace("\n", "")


def test_json_is_the_ranking(bundle, folder):
    done = run("compose", "black watch", folder, "--model", bundle, "--top", 3, "--json")
    content = json.loads(done.stdout)
    assert [content["state"], content["object"], content["images"]] == ["Black", "Watches", 12] and content["page"] is None
    assert [m["share"] for m in content["matches"]] == sorted((m["share"] for m in content["matches"]), reverse=True)
    assert {m["image"] for m in content["matches"]} <= {p.name for p in folder.iterdir()}


def test_what_is_asked_for_comes_first(bundle, few):
    """Among training photographs of all pairs the model has learned, those of the pair lead."""
    train = few.rows("train")
    pair = next(p for p in range(len(few.space)) if few.space.seen[p])
    name = f"{few.space.states[few.space.pairs[pair][0]]}/{few.space.objects[few.space.pairs[pair][1]]}"
    own = {few.paths[row].name for row in train if few.labels[row] == pair}
    done = run("compose", name, *(few.paths[row] for row in train), "--model", bundle, "--top", len(own), "--json")
    found = [m["image"] for m in json.loads(done.stdout)["matches"]]
    assert len(own.intersection(found)) >= len(own) / 2


def test_unreadable_files_stop_it_or_are_listed(bundle, folder, tmp_path):
    (folder / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    done = run("compose", "red top", folder, "--model", bundle)
    assert done.exit_code != 0 and isinstance(done.exception, InvalidInputError) and "torn.jpg" in str(done.exception)
    page = tmp_path / "page.html"
    done = run("compose", "red top", folder, "--model", bundle, "--on-error", "skip", "-o", page)
    assert done.exit_code == 0 and "torn.jpg" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["red tops and bottoms"], "object"),
        (["crimson top"], "states"),
        (["red top", "--top", "0"], "top is at least 1"),
        (["red top", "-o", "page.pdf"], ".html"),
    ],
)
def test_mistakes_are_told_before_images_are_read(bundle, folder, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (folder / "torn.jpg").write_bytes(b"")
    done = run("compose", arguments[0], folder, "--model", bundle, *arguments[1:])
    assert done.exit_code != 0 and isinstance(done.exception, KgzslError)
    assert said in str(done.exception) and "torn" not in str(done.exception)
    assert not (tmp_path / "page.pdf").exists()


def test_texts_are_escaped(bundle, folder, tmp_path):
    odd = folder / "<script>alert(1)<.jpg"
    next(folder.glob("*.jpg")).rename(odd)
    page = tmp_path / "page.html"
    assert run("compose", "red top", folder, "--model", bundle, "-o", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text


def test_options_of_classes_and_of_compositions_do_not_mix(tmp_path):
    done = run("fit", "--compositions", "fashion", "--encoder", "sgcn", "--seen", "x", "-o", tmp_path / "b")
    assert isinstance(done.exception, InvalidInputError) and "--encoder, --seen" in str(done.exception)
    done = run("fit", "--method", "cge", "-o", tmp_path / "b")
    assert isinstance(done.exception, InvalidInputError) and "--method" in str(done.exception)


def test_changes_of_a_configuration_are_checked():
    found = read_tuning("small", ["epochs=2", "height=128", "flip=0"], None)
    assert found is not None and (found.epochs, found.height, found.augmentation.flip) == (2, 128, 0)
    assert read_tuning(None, None, None) is None
    for finetune, tune in ((None, ["epochs=2"]), ("huge", None), ("small", ["epoch=2"]), ("small", ["epochs=two"]), ("small", ["flip=7"])):
        with pytest.raises(InvalidInputError):
            read_tuning(finetune, tune, None)
