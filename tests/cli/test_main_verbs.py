"""`kgzsl fit`, `predict`, `eval`, `embed`, `list`, `doctor` as a person runs them, on real photographs and a real backbone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

import kgzsl
from kgzsl.bundle import Bundle
from kgzsl.cli.listing import NOUNS
from kgzsl.cli.main import app, main
from kgzsl.datasets import packaged_photos
from kgzsl.errors import ArtifactError, IncompatibleError, InvalidInputError, MissingDataError, SourceError, UnknownNameError
from kgzsl.matrices import ClassEmbeddings, Features


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def good(*arguments: object) -> Any:
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def shelf(world, halves, rows, tmp_path_factory) -> Path:
    """A folder with what the verbs take: graph, weights, features, class lists, a photograph."""
    folder = tmp_path_factory.mktemp("shelf")
    world.graph.save(folder / "carnivores.kg")
    world.weights.save(folder / "lite0.weights")
    rows.save(folder / "rows.features")
    rows.of_classes(halves[0]).save(folder / "seen.features")
    (folder / "all.txt").write_text("\n".join(world.graph.ids) + "\n")
    (folder / "hidden.txt").write_text("".join(f"{i.removeprefix('wn30:')}\n" for i in halves[1]))
    (folder / "seen.txt").write_text("".join(f"{i}\n" for i in halves[0]))
    photos = [p for p in packaged_photos() if p.label == "tabby"] or list(packaged_photos())
    (folder / f"photo{photos[0].path.suffix}").write_bytes(photos[0].path.read_bytes())
    return folder


@pytest.fixture(scope="module")
def photo(shelf) -> Path:
    return next(shelf.glob("photo*"))


def fit(shelf: Path, out: Path, *more: object) -> list[object]:
    given = ["--graph", shelf / "carnivores.kg", "--encoder", "nearest_text", "--weights", shelf / "lite0.weights"]
    return ["fit", *given, "--hide", shelf / "hidden.txt", "--classes", shelf / "all.txt", "-o", out, *more]


@pytest.fixture(scope="module")
def bundle(shelf) -> Path:
    result = good(*fit(shelf, shelf / "carnivores.bundle", "--calibrate", shelf / "seen.features"))
    assert "366 classes, 118 of them seen" in result.stdout
    return shelf / "carnivores.bundle"


def test_fit_and_its_json(shelf, bundle, halves, tmp_path):
    made = Bundle.load(bundle)
    assert made.gamma > 0 and {i for i, s in zip(made.weights.ids, made.seen, strict=True) if s} == set(halves[0])
    report = json.loads(good(*fit(shelf, tmp_path / "b", "--set", "neighbours=3", "--json")).stdout)
    assert (report["classes"], report["seen"], report["gamma"]) == (366, 118, 0.0)
    assert report["recipe"]["backbone"] == "efficientnet-lite0"
    assert Bundle.load(tmp_path / "b").meta["settings"] == {"neighbours": 3}


def test_descriptions_stand_beside_the_texts(shelf, bundle, halves, tmp_path):
    described = tmp_path / "described.json"
    described.write_text(json.dumps({i: [f"an animal that looks like number {k}"] for k, i in enumerate((*halves[0], *halves[1]))}))
    good(*fit(shelf, tmp_path / "b", "--descriptions", described))
    assert not np.allclose(Bundle.load(tmp_path / "b").weights.matrix, Bundle.load(bundle).weights.matrix)
    described.write_text(json.dumps({halves[1][0]: []}))
    assert isinstance(run(*fit(shelf, tmp_path / "c", "--descriptions", described)).exception, SourceError)
    assert not (tmp_path / "c").exists()


def test_seen_classes_by_list_from_the_backbones_own_head(shelf, tmp_path):
    given = ["--graph", shelf / "carnivores.kg", "--encoder", "nearest_text", "--classes", shelf / "hidden.txt"]
    outside = run("fit", *given, "-o", tmp_path / "b")
    assert isinstance(outside.exception, UnknownNameError) and "--seen" in str(outside.exception)
    report = json.loads(good("fit", *given, "--seen", shelf / "seen.txt", "-o", tmp_path / "b", "--json").stdout)
    assert (report["classes"], report["seen"]) == (158, 118)


def test_a_bundle_is_fitted_with_the_classifier_that_was_asked_for(shelf, bundle, photo, tmp_path):
    good(*fit(shelf, tmp_path / "b", "--classifier", "refined_regression"))
    assert Bundle.load(tmp_path / "b").meta["classifier"]["name"] == "refined_regression"
    found, plain = (json.loads(good("predict", b, photo, "--explain", "--json").stdout)["records"][0] for b in (tmp_path / "b", bundle))
    assert found["explanation"]["carriers"] and found["answers"] != plain["answers"]
    assert isinstance(run(*fit(shelf, tmp_path / "c", "--classifier", "conse")).exception, InvalidInputError)
    assert not (tmp_path / "c").exists()


def test_predict_a_photograph(bundle, photo):
    text = good("predict", bundle, photo, "--top", "3", "--explain").stdout
    assert text.startswith(photo.name) and "never seen]" in text and "is a kind of: " in text and "carried by seen classes: " in text
    report = json.loads(good("predict", bundle, photo, "--explain", "--json", "--candidates", "unseen").stdout)
    (record,) = report["records"]
    assert record["input"] == photo.name and len(record["answers"]) == 5 and report["skipped"] == {}
    assert not any(a["seen"] for a in record["answers"])
    assert record["explanation"]["parents"] and record["explanation"]["carriers"][0].keys() == {"name", "contribution"}


def test_predict_features(bundle, shelf, rows, photo):
    report = json.loads(good("predict", bundle, shelf / "rows.features", "--top", "1", "--json").stdout)
    assert [r["input"] for r in report["records"]] == list(rows.ids)
    assert isinstance(run("predict", bundle, shelf / "rows.features", photo).exception, InvalidInputError)
    assert isinstance(run("predict", bundle, shelf / "rows.features", "--backbone", "efficientnet-lite0").exception, InvalidInputError)


def test_predict_refuses_another_backbone_before_reading_images(bundle, photo, rows, tmp_path):
    result = run("predict", bundle, photo, "--backbone", "efficientnet-lite2")
    assert isinstance(result.exception, IncompatibleError) and "efficientnet-lite2" in str(result.exception)
    other = replace(rows, meta={"recipe": {"backbone": "another"}}).save(tmp_path / "f")
    assert isinstance(run("predict", bundle, other).exception, IncompatibleError)
    assert isinstance(run("predict", bundle, photo, "--backbone", "resnet-9000").exception, UnknownNameError)
    assert len(json.loads(good("predict", bundle, photo, "--backbone", "efficientnet-lite0", "--json").stdout)["records"]) == 1


def test_predict_asks_for_the_folder_of_a_transformers_model(bundle, photo, tmp_path):
    made = Bundle.load(bundle)
    foreign = replace(made, weights=replace(made.weights, meta={"recipe": {"backbone": "transformers:vit"}})).save(tmp_path / "b")
    result = run("predict", foreign, photo)
    assert isinstance(result.exception, MissingDataError) and "--backbone FOLDER" in str(result.exception)


def test_broken_images_among_good_ones(bundle, photo, tmp_path):
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / photo.name).write_bytes(photo.read_bytes())
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("not an image")
    (folder / "torn.png").write_bytes(photo.read_bytes()[:2_000])
    result = run("predict", bundle, folder)
    assert isinstance(result.exception, InvalidInputError) and "3 of 4 are not" in str(result.exception) and not result.stdout
    for name in ("empty.jpg", "notes.txt", "torn.png"):
        assert name in str(result.exception)
    skipped = good("predict", bundle, folder, "--on-error", "skip")
    assert photo.name in skipped.stdout and "skipped empty.jpg: the file has zero bytes" in skipped.stderr
    report = json.loads(good("predict", bundle, folder, "--on-error", "skip", "--json").stdout)
    assert set(report["skipped"]) == {"empty.jpg", "notes.txt", "torn.png"} and len(report["records"]) == 1


@pytest.mark.parametrize("protocol", ["unseen-only", "+1K", "gzsl"])
def test_eval(bundle, shelf, protocol):
    given = ["eval", "image", bundle, shelf / "rows.features", "--protocol", protocol]
    metrics = json.loads(good(*given, "--json").stdout)["metrics"]
    shown = good(*given).stdout
    assert all(name in shown for name in metrics) and metrics["images"] == (316 if protocol == "gzsl" else 80)
    among = json.loads(good(*given, "--classes", shelf / "hidden.txt", "--json").stdout)["metrics"]
    assert among["images"] == metrics["images"]


@pytest.mark.data
def test_eval_on_real_images(bundle, photographs, tmp_path):
    features = photographs.save(tmp_path / "f")
    metrics = json.loads(good("eval", "image", bundle, features, "--json").stdout)["metrics"]
    assert metrics["images"] == 40 and metrics["hit@5"] > 0.1


def test_embed(shelf, tmp_path, halves):
    given = ["embed", "--graph", shelf / "carnivores.kg", "--encoder", "nearest_text", "--weights", shelf / "lite0.weights"]
    good(*given, "--hide", shelf / "hidden.txt", "--classes", shelf / "hidden.txt", "-o", tmp_path / "e")
    made = ClassEmbeddings.load(tmp_path / "e")
    assert made.ids == halves[1] and made.dim == 1281 and made.meta["encoder"] == "nearest_text"
    report = json.loads(good(*given, "--classes", shelf / "hidden.txt", "-o", tmp_path / "e2", "--json").stdout)
    assert report["classes"] == 40 and report["encoder"] == "nearest_text"


def class_list(tmp_path: Path, text: str) -> Path:
    (tmp_path / "list.txt").write_text(text)
    return tmp_path / "list.txt"


@pytest.mark.parametrize(
    ("option", "text", "kind", "message"),
    [
        ("--classes", "# nothing\n", InvalidInputError, "at least one"),
        ("--classes", "n02084071\nwn30:n02084071\n", InvalidInputError, "twice"),
        ("--classes", "n00000001\n", UnknownNameError, "n00000001"),
        ("--classes", "dog\n", InvalidInputError, "CURIE"),
        ("--hide", "", InvalidInputError, "at least one"),
        ("--hide", "n00000001\n", UnknownNameError, "--hide.*n00000001"),
        ("--seen", "n00000001\n", UnknownNameError, "n00000001"),
    ],
)
def test_bad_class_lists(shelf, tmp_path, option, text, kind, message):
    result = run(*fit(shelf, tmp_path / "b", option, class_list(tmp_path, text)))
    assert isinstance(result.exception, kind) and not (tmp_path / "b").exists()
    import re

    assert re.search(message, str(result.exception), re.DOTALL)


def test_what_fails_early(shelf, bundle, tmp_path):
    """Wrong arguments are told before any graph is opened or text encoded."""
    nowhere = ["--graph", tmp_path / "no.kg"]
    for arguments, kind in [
        (["fit", *nowhere, "-o", bundle], InvalidInputError),  # is there already
        (["fit", *nowhere, "-o", tmp_path / "b", "--classes", shelf / "all.txt", "--encoder", "gnc"], UnknownNameError),
        (
            ["fit", *nowhere, "-o", tmp_path / "b", "--classes", shelf / "all.txt", "--encoder", "sgcn", "--set", "epocs=1"],
            InvalidInputError,
        ),
        (["fit", *nowhere, "-o", tmp_path / "b", "--classes", shelf / "all.txt", "--set", "epochs"], InvalidInputError),
        (fit(shelf, tmp_path / "b", "--backbone", "efficientnet-lite0"), InvalidInputError),  # and --weights
        (fit(shelf, tmp_path / "b", "--hide", shelf / "all.txt"), UnknownNameError),
        (fit(shelf, tmp_path / "b", "--seen", shelf / "hidden.txt"), InvalidInputError),  # nothing left
        (fit(shelf, tmp_path / "b", "--calibrate", shelf / "lite0.weights"), ArtifactError),
        (["predict", tmp_path, shelf / "all.txt"], ArtifactError),
        (["predict", bundle, tmp_path / "none.jpg"], MissingDataError),
        (["eval", "features", "nothing"], UnknownNameError),
        (["eval", "features", "cub", "svm"], UnknownNameError),
        (["eval", "features", "cub", "eszsl", "--calibration", "loki"], InvalidInputError),
        (["eval", "features", "cub", "eszsl", "sje", "--set", "gamma=2"], InvalidInputError),
        (["eval", "image", shelf / "carnivores.kg", shelf / "rows.features"], ArtifactError),
        (["eval", "image", bundle, shelf / "rows.features", "--protocol", "all"], InvalidInputError),
        (["list", "encoder"], UnknownNameError),
    ]:
        result = run(*arguments)
        assert isinstance(result.exception, kind), (arguments, result.exception, result.output)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("noun", NOUNS)
def test_list(noun):
    entries = json.loads(good("list", noun, "--json").stdout)
    shown = good("list", noun).stdout
    assert entries and all(e["name"] in shown and e["summary"] and e["source"] for e in entries)
    assert json.loads(good("list", "--json").stdout)[noun] == [e["name"] for e in entries]
    assert entries[0]["name"] in good("list").stdout


def test_doctor():
    report = json.loads(good("doctor", "--json").stdout)
    assert report["kgzsl"] == kgzsl.__version__ and {"packages", "devices", "data", "KGZSL_DATA"} <= set(report)
    shown = good("doctor").stdout
    assert all(name in shown for name in report["packages"]) and all(d["name"] in shown for d in report["data"])


def test_version():
    assert good("--version").stdout == f"kgzsl {kgzsl.__version__}\n"
    done = subprocess.run([sys.executable, "-m", "kgzsl", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"kgzsl {kgzsl.__version__}\n"


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))
    if not hasattr(command, "commands"):
        yield path


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_help_shows_an_example(path):
    text = " ".join(good(*path, "--help").stdout.split())
    assert "Example" in text and f"kgzsl {' '.join(path)}" in text


@pytest.fixture
def end(monkeypatch, capsys) -> Callable[..., tuple[object, str]]:
    """Run `main()` like the installed command; return its exit status and standard error."""

    def call(*arguments: object) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["kgzsl", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr().err

    return call


def test_errors_are_told_in_words(end, tmp_path, bundle, shelf):
    code, said = end("list", "encoder")
    assert (
        code == 1
        and said.startswith("error: ")
        and "received: 'encoder'" in said
        and "remedy: choose from: sources, recipes, relations, encoders" in said
    )
    code, said = end("predict", tmp_path, "x.jpg")
    assert code == 1 and "a bundle artifact is a folder" in said and "Traceback" not in said
    assert end("predict")[0] == 2
    assert end("--version")[0] == 0
    assert "kgzsl doctor" in good("--help").stdout


def test_the_operating_systems_refusals_are_told_in_words(end, monkeypatch, bundle, shelf):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "secret")

    monkeypatch.setattr(Features, "load", refuse)
    code, said = end("eval", "image", bundle, shelf / "rows.features")
    assert code == 1 and "Permission denied" in said and "Traceback" not in said


def test_an_interruption_ends_with_130(end, monkeypatch, bundle, shelf):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Features, "load", interrupt)
    code, said = end("eval", "image", bundle, shelf / "rows.features")
    assert code == 130 and "interrupted" in said
