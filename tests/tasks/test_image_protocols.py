"""Image protocols on the carnivores: what is counted, what γ may see, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import kgzsl.classifiers.base as base
from kgzsl.classifiers import ConSE, WeightRegression
from kgzsl.datasets import Split
from kgzsl.errors import IncompatibleError, InvalidInputError, UnknownNameError
from kgzsl.front import fit
from kgzsl.matrices import ClassEmbeddings, Features
from kgzsl.metrics import KS
from kgzsl.tasks.image import bundle_metrics, calibration_split, gamma_from_seen, hit_metrics, joint_scores, run_holdout, run_hop_sets
from kgzsl.tasks.methods import make_method


@pytest.fixture(scope="module")
def split(halves):
    return Split("carnivores", "1", *halves)


@pytest.fixture(scope="module")
def nearest(world):
    return make_method(world, "nearest_text", {"neighbours": 3})


def test_hits_are_those_of_a_slow_loop(world, rows):
    rng = np.random.default_rng(0)
    noisy = replace(rows, matrix=rows.matrix + 0.6 * rng.standard_normal(rows.matrix.shape))
    head = WeightRegression.of_weights(world.weights)
    scores = head.scores(noisy.matrix)
    ranks = [
        sorted(world.weights.ids, key=lambda i: -row[world.weights.ids.index(i)]).index(y)
        for row, y in zip(scores, noisy.labels, strict=True)
    ]
    metrics = hit_metrics(head, noisy)
    for k in KS:
        assert metrics[f"hit@{k}"] == pytest.approx(np.mean([r < k for r in ranks]))
    assert 0.2 < metrics["hit@1"] < 1
    by_class = {c: np.mean([r == 0 for r, y in zip(ranks, noisy.labels, strict=True) if y == c]) for c in world.weights.ids}
    assert metrics["per_class_top1"] == pytest.approx(np.mean(list(by_class.values())))
    assert (metrics["images"], metrics["classes_with_images"], metrics["candidates"]) == (316, 158, 158)


@pytest.mark.parametrize("values", [9_999, 60_000])
def test_block_size_changes_no_result(world, split, rows, monkeypatch, values):
    noisy = replace(rows, matrix=rows.matrix + 0.6 * np.random.default_rng(0).standard_normal(rows.matrix.shape))
    methods = [make_method(world, name) for name in ("oracle", "conse")]
    whole = [run_holdout(method, noisy, split, truth=world.weights) for method in methods]
    monkeypatch.setattr(base, "BLOCK_VALUES", values)
    for before, method in zip(whole, methods, strict=True):
        after = run_holdout(method, noisy, split, truth=world.weights)
        for protocol, metrics in before.items():
            assert after[protocol] == pytest.approx(metrics, abs=1e-6), protocol


def test_an_image_of_no_candidate_is_an_error(world, halves, rows):
    head = WeightRegression.of_weights(world.weights.select(halves[0]))
    with pytest.raises(UnknownNameError, match="80 unknown"):
        hit_metrics(head, rows)
    with pytest.raises(UnknownNameError, match="the candidates"):
        joint_scores(head, rows, halves[0])


@pytest.mark.parametrize("seed", range(5))
def test_calibration_splits_the_seen_classes_and_takes_half_of_their_images(halves, rows, seed):
    images = rows.of_classes(halves[0])
    made = calibration_split(images, halves[0], seed=seed)
    assert sorted(made.pseudo_seen + made.pseudo_unseen) == sorted(halves[0])
    assert len(made.pseudo_unseen) == round(len(halves[0]) * 0.2)
    label = dict(zip(images.ids, images.labels, strict=True))
    assert {i for i, y in label.items() if y in set(made.pseudo_unseen)} <= made.images <= set(label)
    assert len(made.images) == len(images) // 2
    assert made == calibration_split(images, halves[0], seed=seed)
    assert made != calibration_split(images, halves[0], seed=seed + 1)


def test_no_calibration_image_is_tested_on(world, split, rows, nearest, monkeypatch):
    tested: list[set[str]] = []
    import kgzsl.tasks.image as image

    original = image.joint_scores
    monkeypatch.setattr(image, "joint_scores", lambda c, f, s: (tested.append(set(f.ids)), original(c, f, s))[1])
    result = run_holdout(nearest, rows, split, truth=world.weights, seed=3)
    chosen, judged = tested
    assert chosen == calibration_split(rows.of_classes(split.seen), split.seen, seed=3).images
    assert not chosen & judged and len(chosen | judged) == len(rows)
    assert result["gzsl"]["images"] == len(judged)


def test_images_and_weights_of_unseen_classes_cannot_move_gamma(world, split, rows, nearest):
    clean = run_holdout(nearest, rows, split, truth=world.weights)
    unseen = np.isin(np.array(rows.labels), np.array(split.unseen))
    poisoned = replace(rows, matrix=np.where(unseen[:, None], -100 * rows.matrix[::-1], rows.matrix))
    dirty = run_holdout(nearest, poisoned, split, truth=world.weights)
    assert dirty["gzsl"]["gamma"] == clean["gzsl"]["gamma"]
    assert dirty["unseen-only"]["hit@1"] != clean["unseen-only"]["hit@1"]
    weights = np.array(world.weights.matrix)
    weights[[world.weights.ids.index(i) for i in split.unseen]] = 1e5
    blind = make_method(replace(world, weights=replace(world.weights, matrix=weights)), "nearest_text", {"neighbours": 3})
    again = run_holdout(blind, rows, split, truth=world.weights)
    assert again == clean


def test_gamma_never_asks_for_an_unseen_class(split, rows, nearest):
    asked: set[str] = set()

    def spy(seen, candidates):
        asked.update(seen, candidates)
        return nearest(seen, candidates)

    images = rows.of_classes(split.seen)
    gamma_from_seen(spy, images, calibration_split(images, split.seen))
    assert asked == set(split.seen)


def test_holdout_reports_every_protocol(world, split, rows, nearest):
    result = run_holdout(nearest, rows, split, truth=world.weights)
    assert set(result) == {"unseen-only", "gzsl", "weights"}
    gzsl = result["gzsl"]
    assert gzsl["H"] == pytest.approx(2 * gzsl["S"] * gzsl["U"] / (gzsl["S"] + gzsl["U"]))
    assert result["unseen-only"]["candidates"] == result["weights"]["candidates"] == len(split.unseen)
    assert "weights" not in run_holdout(make_method(world, "conse"), rows, split, truth=world.weights)
    oracle = run_holdout(make_method(world, "oracle"), rows, split, truth=world.weights)
    assert oracle["weights"]["hit@1"] == 1 and oracle["unseen-only"]["hit@1"] > result["unseen-only"]["hit@1"]


@pytest.mark.data
def test_on_real_images_the_graph_knows_more_than_chance_and_less_than_the_oracle(world, split, photographs, nearest):
    guess = run_holdout(nearest, photographs, split, truth=world.weights)
    oracle = run_holdout(make_method(world, "oracle"), photographs, split, truth=world.weights)
    assert 4 / len(split.unseen) < guess["unseen-only"]["hit@1"] < oracle["unseen-only"]["hit@1"]
    assert oracle["unseen-only"]["hit@1"] > 0.85 and guess["gzsl"]["H"] < oracle["gzsl"]["H"]


def test_hop_sets_are_scored_alone_and_with_the_seen(world, split, rows, nearest):
    near, wide = split.unseen[:10], split.unseen
    for method in (nearest, make_method(world, "conse")):
        result = run_hop_sets(method, rows, split.seen, {"near": near, "wide": wide})
        sizes = {name: (m["candidates"], m["images"]) for name, m in result.items()}
        assert sizes == {"near": (10, 20), "near+1K": (128, 20), "wide": (40, 80), "wide+1K": (158, 80)}
        assert result["wide+1K"]["hit@1"] <= result["wide"]["hit@1"] <= 1
    with pytest.raises(InvalidInputError, match="feature row"):
        run_hop_sets(nearest, rows.of_classes(split.seen), split.seen, {"near": near})
    with pytest.raises(InvalidInputError, match="at least one"):
        run_hop_sets(nearest, rows, split.seen, {"near": near, "empty": ()})


@pytest.fixture(scope="module")
def bundle(world, split, rows):
    return fit(
        world.graph,
        weights=world.weights.select(split.seen),
        classes=world.weights.ids,
        encoder="nearest_text",
        vectors=world.vectors,
        calibrate=rows.of_classes(split.seen),
    )


def test_a_bundle_is_evaluated_by_protocol(world, split, rows, bundle):
    only, more = (bundle_metrics(bundle, rows, p) for p in ("unseen-only", "+1K"))
    assert (only["candidates"], more["candidates"]) == (40, 158)
    assert only["images"] == more["images"] == 80 and only["images_of_other_classes"] == 236
    joint = bundle_metrics(bundle, rows, "gzsl")
    assert joint["gamma"] == bundle.gamma > 0 and joint["images"] == 316
    answers = [a[0].id for a in bundle.predict(rows, top=1)]
    right = {c: [a == y for a, y in zip(answers, rows.labels, strict=True) if y == c] for c in rows.labels}
    assert joint["U"] == pytest.approx(np.mean([np.mean(right[c]) for c in split.unseen]))
    assert joint["S"] == pytest.approx(np.mean([np.mean(right[c]) for c in split.seen]))
    assert bundle_metrics(bundle, rows, "unseen-only", split.unseen[:5])["candidates"] == 5


def test_a_bundle_refuses_what_it_cannot_evaluate(split, rows, bundle):
    with pytest.raises(InvalidInputError, match=r"choose from: unseen-only, \+1K, gzsl"):
        bundle_metrics(bundle, rows, "hits")
    with pytest.raises(InvalidInputError, match="seen classes of the bundle"):
        bundle_metrics(bundle, rows, "unseen-only", [*split.unseen, split.seen[0]])
    with pytest.raises(UnknownNameError, match="n00000001"):
        bundle_metrics(bundle, rows, "unseen-only", ["wn30:n00000001"])
    with pytest.raises(InvalidInputError, match="labelled"):
        bundle_metrics(bundle, rows.of_classes(split.seen), "unseen-only")
    with pytest.raises(InvalidInputError, match="rows of seen and of unseen"):
        bundle_metrics(bundle, rows.of_classes(split.seen), "gzsl")
    with pytest.raises(InvalidInputError, match="without labels"):
        bundle_metrics(bundle, Features(rows.ids, rows.matrix, rows.meta), "+1K")
    with pytest.raises(IncompatibleError, match="backbone"):
        bundle_metrics(bundle, replace(rows, meta={"recipe": {"backbone": "another"}}), "+1K")


def test_methods_are_checked_before_any_work(world):
    with pytest.raises(UnknownNameError, match=r"choose from: .*conse.*oracle"):
        make_method(world, "consé")
    for name in ("conse", "oracle", "nearest_text"):
        with pytest.raises(InvalidInputError, match="tops"):
            make_method(world, name, {"tops": 3})


def test_conse_among_unseen_classes_only_combines_the_seen_ones(world, halves, rows):
    head = make_method(world, "conse", {"top": 5})(*halves)
    axis = halves[1] + halves[0]
    own = ConSE(top=5).fit(world.weights.select(halves[0]), ClassEmbeddings(axis, world.vectors.rows(axis)))
    assert head.classes == halves[1]
    np.testing.assert_array_equal(head.scores(rows.matrix), own.scores(rows.matrix)[:, : len(halves[1])])
