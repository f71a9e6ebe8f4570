"""A bundle is everything needed to predict, and refuses what it cannot predict."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgzsl.artifacts import write_manifest
from kgzsl.bundle import Bundle, carriers_by_cosine, carriers_from_influence, neighbour_labels
from kgzsl.classifiers import WeightRegression
from kgzsl.datasets import packaged_photos
from kgzsl.errors import ArtifactError, DigestMismatchError, IncompatibleError, InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.front import embed, fit
from kgzsl.matrices import ClassifierWeights, Features


@pytest.fixture(scope="module")
def bundle(world, halves) -> Bundle:
    return fit(world.graph, weights=world.weights.select(halves[0]), classes=world.graph.ids, encoder="nearest_text", vectors=world.vectors)


@pytest.fixture(scope="module")
def saved(bundle, tmp_path_factory) -> Path:
    return bundle.save(tmp_path_factory.mktemp("bundles") / "carnivores.bundle")


def test_saved_and_loaded_is_the_same(bundle, saved, rows):
    again = Bundle.load(saved)
    for name in ("names", "gamma", "parents", "children", "recipe"):
        assert getattr(again, name) == getattr(bundle, name), name
    for name in ("seen", "carriers", "shares"):
        np.testing.assert_array_equal(getattr(again, name), getattr(bundle, name))
    np.testing.assert_array_equal(again.weights.matrix, bundle.weights.matrix)
    assert dict(again.meta) == json.loads(json.dumps(dict(bundle.meta))) and again.meta["graph"]
    assert again.predict(rows, top=3) == bundle.predict(rows, top=3)


def test_same_bundle_same_bytes(bundle, saved, tmp_path):
    again = bundle.save(tmp_path / "b")
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {p.name: p.read_bytes() for p in saved.iterdir()}


def test_a_fresh_process_predicts_with_core_dependencies_only(saved, bundle, rows, tmp_path):
    features = rows.select(rows.ids[:3])
    code = (
        "import sys\nfrom kgzsl import Bundle, Features\n"
        f"b = Bundle.load({str(saved)!r}); f = Features.load({str(features.save(tmp_path / 'f'))!r})\n"
        "a = b.predict(f, top=2); w = b.explain(f.matrix[0], a[0][0].id)\n"
        "heavy = {'torch_geometric', 'sentence_transformers', 'transformers', 'nltk', 'PIL', 'networkx', 'rdflib', 'torchvision'}\n"
        "print(sorted(heavy & set(sys.modules)), [x.id for row in a for x in row])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == f"[] {[x.id for row in bundle.predict(features, top=2) for x in row]}"


def test_answers_are_the_classifiers_scores_less_gamma(bundle, rows):
    calibrated = replace(bundle, gamma=0.05)
    scores = WeightRegression.of_weights(bundle.weights).scores(rows.matrix) - np.where(bundle.seen, np.float32(0.05), 0)
    for row, answers in zip(scores, calibrated.predict(rows, top=7), strict=True):
        assert [a.score for a in answers] == pytest.approx(np.sort(row)[::-1][:7], abs=1e-6)
        where = [bundle.weights.ids.index(a.id) for a in answers]
        assert len(set(where)) == 7 and [a.score for a in answers] == pytest.approx(row[where], abs=1e-6)
        assert [(a.name, a.seen) for a in answers] == [(bundle.names[c], bool(bundle.seen[c])) for c in where]


@pytest.mark.parametrize("top", [1, 2, 5])
def test_ties_do_not_depend_on_top(bundle, rows, top):
    """Nearest text gives sisters the same weight; the first answers are the same however many are asked for."""
    many = bundle.predict(rows, top=9)
    assert [a[:top] for a in many] == bundle.predict(rows, top=top)
    assert any(a[0].score == a[1].score for a in bundle.predict(rows, top=2, candidates="unseen"))


def test_candidates(bundle, rows, halves):
    some = rows.select(rows.ids[:4])
    assert all(not a.seen for row in bundle.predict(some, top=99, candidates="unseen") for a in row)
    seen = bundle.predict(some, top=99_999, candidates="seen")
    assert {a.id for a in seen[0]} == set(halves[0])
    with pytest.raises(InvalidInputError, match="all, unseen or seen"):
        bundle.predict(some, candidates="new")
    for top in (0, -1):
        with pytest.raises(InvalidInputError, match="at least 1"):
            bundle.predict(some, top=top)
    only_seen = replace(bundle, seen=np.ones_like(bundle.seen))
    with pytest.raises(InvalidInputError, match="unseen classes"):
        only_seen.predict(some, candidates="unseen")


def test_features_of_another_backbone_are_refused(bundle, rows):
    recipe = {**rows.meta["recipe"], "backbone": "efficientnet-lite2"}
    with pytest.raises(IncompatibleError, match="efficientnet-lite2"):
        bundle.predict(replace(rows, meta={"recipe": recipe}))
    with pytest.raises(IncompatibleError, match="weights_sha256"):
        bundle.predict(replace(rows, meta={"recipe": {**rows.meta["recipe"], "weights_sha256": "0"}}))
    with pytest.raises(IncompatibleError, match="None"):
        bundle.predict(Features(rows.ids, rows.matrix))


def test_explanations_name_neighbours_and_seen_classes(bundle, world, rows, halves):
    np.testing.assert_allclose(bundle.shares.sum(axis=1), 1, atol=1e-6)
    assert (bundle.shares >= 0).all() and bundle.seen[bundle.carriers].all()
    unseen = halves[1][5]
    why = bundle.explain(rows.matrix[0], unseen)
    parent_ids = [world.graph.ids[p] for c, p, _ in zip(*world.graph.edges_of("hypernym"), strict=True) if world.graph.ids[c] == unseen]
    assert parent_ids and set(why.parents) == {world.graph.labels[world.graph.ids.index(p)] for p in parent_ids}
    assert [v for _, v in why.carriers] == sorted((v for _, v in why.carriers), reverse=True)
    seen_names = {n for n, s in zip(bundle.names, bundle.seen, strict=True) if s}
    assert {n for n, _ in why.carriers} <= seen_names
    itself = bundle.explain(rows.matrix[0], halves[0][0])
    label = bundle.names[bundle.weights.ids.index(halves[0][0])]
    assert max(itself.carriers, key=lambda c: abs(c[1]))[0] == label
    with pytest.raises(UnknownNameError, match="n00000001"):
        bundle.explain(rows.matrix[0], "wn30:n00000001")


def test_neighbours_are_the_graphs(world):
    parents, children = neighbour_labels(world.graph, world.graph.ids)
    assert sum(map(len, parents)) == sum(map(len, children)) == len(world.graph.edges_of("hypernym")[0])


def test_shares_sum_to_one_also_where_nothing_speaks_for_a_class():
    influence = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-3, -1, -2], [0, 0, 0], [4, 1, -1]])
    carriers, shares = carriers_from_influence(influence, np.arange(3), count=2)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert carriers[3][shares[3].argmax()] == 1
    assert dict(zip(carriers[5].tolist(), shares[5].tolist(), strict=True)) == pytest.approx({0: 0.8, 1: 0.2})
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((9, 4))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    carriers, shares = carriers_by_cosine(weights, np.array([2, 5, 7]))
    assert carriers.shape == (9, 3) and set(carriers.ravel()) == {2, 5, 7}
    assert [carriers[i][shares[i].argmax()] for i in (2, 5, 7)] == [2, 5, 7]
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", ["classes.parquet", "matrix.safetensors", "ids.txt", "manifest.json"])
def test_truncated_and_changed_files_are_refused(bundle, tmp_path, name):
    path = bundle.save(tmp_path / "b")
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtifactError):
        Bundle.load(path)
    with pytest.raises((ArtifactError, InvalidInputError)):  # also when digests are not looked at
        Bundle.load(path, verify=False)
    if name != "manifest.json":
        (path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(DigestMismatchError, match=name):
            Bundle.load(path)
        (path / name).unlink()
        with pytest.raises(ArtifactError, match="missing"):
            Bundle.load(path)


def test_foreign_folders_are_refused(world, tmp_path):
    with pytest.raises(ArtifactError, match="kind 'weights'"):
        Bundle.load(world.weights.save(tmp_path / "w"))
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        Bundle.load(tmp_path / "nothing")
    hollow = tmp_path / "hollow"
    hollow.mkdir()
    write_manifest(hollow, "bundle", {"gamma": 0.0, "weights": {}, "meta": {}})
    with pytest.raises(ArtifactError, match=r"classes\.parquet"):
        Bundle.load(hollow)


def test_nan_in_a_foreign_bundle_is_refused(bundle, tmp_path):
    from safetensors.numpy import save_file

    path = bundle.save(tmp_path / "b")
    matrix = bundle.weights.matrix.copy()
    matrix[3, 3] = np.nan
    save_file({"matrix": matrix}, path / "matrix.safetensors")
    content = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").unlink()
    write_manifest(path, "bundle", {k: content[k] for k in ("weights", "gamma", "meta", "classes")})
    with pytest.raises((ArtifactError, InvalidInputError), match="NaN"):
        Bundle.load(path)


def test_parts_of_another_length_and_weights_without_recipe_are_refused(bundle, world, halves):
    with pytest.raises(InvalidInputError, match="one entry per class"):
        replace(bundle, names=bundle.names[1:])
    with pytest.raises(InvalidInputError, match="recipe"):
        replace(bundle, weights=replace(bundle.weights, meta={}))
    bare = ClassifierWeights(world.weights.ids, world.weights.matrix)
    with pytest.raises(InvalidInputError, match="recipe"):
        fit(world.graph, weights=bare, classes=halves[1], encoder="nearest_text", vectors=world.vectors)


def test_the_front_doors_fail_before_fitting(world, halves):
    seen = world.weights.select(halves[0])
    more = ClassifierWeights((*seen.ids, "wn30:n00000001"), np.vstack([seen.matrix, seen.matrix[:1]]), seen.meta)
    for door in (lambda **k: fit(world.graph, **k), lambda **k: embed(world.graph, **{"targets": k.pop("weights"), **k})):
        with pytest.raises(InvalidInputError, match="at least one"):
            door(weights=seen, classes=[])
        with pytest.raises(InvalidInputError, match="twice"):
            door(weights=seen, classes=["n02084071", "wn30:n02084071"])
        with pytest.raises(UnknownNameError, match="n00000001"):
            door(weights=seen, classes=["n00000001"])
        with pytest.raises(UnknownNameError, match="1 of 119 are not: wn30:n00000001"):
            door(weights=more, classes=halves[1])
        with pytest.raises(UnknownNameError, match="choose from"):
            door(weights=seen, classes=halves[1], encoder="gnc", vectors=world.vectors)
        with pytest.raises(InvalidInputError, match="neighbors"):
            door(weights=seen, classes=halves[1], encoder="nearest_text", settings={"neighbors": 3}, vectors=world.vectors)


def test_gamma_is_chosen_on_images_of_seen_classes_only(world, halves, rows):
    options = {"weights": world.weights.select(halves[0]), "classes": halves[1], "encoder": "nearest_text", "vectors": world.vectors}
    made = fit(world.graph, calibrate=rows, **options)
    unseen = np.isin(np.array(rows.labels), np.array(halves[1]))
    poisoned = replace(rows, matrix=np.where(unseen[:, None], np.float32(9), rows.matrix))
    assert fit(world.graph, calibrate=poisoned, **options).gamma == made.gamma > 0
    assert "118 seen classes" in made.meta["gamma_selected_on"]
    with pytest.raises(IncompatibleError):
        fit(world.graph, calibrate=replace(rows, meta={"recipe": {"backbone": "another"}}), **options)


def test_images_go_straight_in(bundle):
    tabby = next((p for p in packaged_photos() if p.label == "tabby"), None)
    if tabby is None:
        pytest.skip("scikit-image, which carries the cat, is not installed")
    answers = bundle.predict(tabby.path, top=5)
    assert len(answers) == 1 and any("cat" in a.name or "tabby" in a.name for a in answers[0])
    with pytest.raises(MissingDataError, match="missing"):
        bundle.predict(tabby.path.with_name("none.jpg"))
    with pytest.raises(IncompatibleError, match="lite2"):
        bundle.features_of(tabby.path, backbone="efficientnet-lite2")


def test_a_transformers_backbone_is_named_by_its_folder(world, bundle, tmp_path):
    transformers = pytest.importorskip("transformers")
    import torch
    from PIL import Image

    from kgzsl.features import make_backbone

    def save(folder: Path, seed: int) -> Path:
        torch.manual_seed(seed)
        config = transformers.ViTConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=16, patch_size=8
        )
        transformers.ViTModel(config).save_pretrained(folder)
        transformers.ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
        return folder

    folder = save(tmp_path / "vit", 0)
    weights = ClassifierWeights(bundle.weights.ids, bundle.weights.matrix[:, :9], {"recipe": make_backbone(str(folder)).recipe()})
    own = replace(bundle, weights=weights)
    photo = tmp_path / "x.png"
    Image.open(packaged_photos()[0].path).save(photo)
    with pytest.raises(MissingDataError, match="--backbone FOLDER"):
        own.predict(photo)
    assert len(own.predict(own.features_of(photo, backbone=str(folder)))) == 1
    with pytest.raises(IncompatibleError, match="weights_sha256"):
        own.features_of(photo, backbone=str(save(tmp_path / "other", 1)))
