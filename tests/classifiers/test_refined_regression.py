"""Refined queries: equal to the slow formula, dependent on the image and the seen classes alone, and saved in bundles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from kgzsl.bundle import Bundle
from kgzsl.classifiers import CLASSIFIERS, RefinedRegression, WeightRegression, regression_classifier
from kgzsl.classifiers.refined_regression import refine
from kgzsl.encoders import GraphGP
from kgzsl.errors import ArtifactError, InvalidInputError
from kgzsl.experiments.cell import CELLS, load_cell
from kgzsl.experiments.leaderboard import rows_of
from kgzsl.experiments.results import read_result
from kgzsl.front import fit
from kgzsl.matrices import ClassEmbeddings
from kgzsl.tasks.methods import Scoring, check_method, make_method


@pytest.fixture(scope="module")
def predicted(world, halves) -> ClassEmbeddings:
    encoder = GraphGP(steps=3)
    view = encoder.view(world.graph)
    return encoder.fit(view, world.vectors, world.weights.select(halves[0])).encode(view, world.vectors, halves[1] + halves[0])


@pytest.fixture(scope="module")
def bundle(world, halves) -> Bundle:
    seen, ids = world.weights.select(halves[0]), world.graph.ids
    return fit(world.graph, weights=seen, classes=ids, encoder="nearest_text", vectors=world.vectors, classifier="refined_regression")


def _slow(features, seen, weights, evidence, power, damping):
    """Eq. (1) row by row in float64."""
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    moment = sum(np.outer(w, w) for w in seen) * seen.shape[1] / len(seen)
    found = []
    for row in features.astype(np.float64):
        image = np.append(row, 1.0)
        image /= np.linalg.norm(image)
        combined = sum((max(image @ w, 0.0) ** power * w for w in seen), np.zeros_like(image))
        whitened = (1 + damping) * np.linalg.solve(moment + damping * np.eye(len(moment)), image)
        found.append(weights @ (whitened + evidence * combined / np.linalg.norm(combined)))
    return np.array(found)


@pytest.mark.parametrize(("evidence", "power", "damping"), [(0.2, 3.0, 10.0), (0.7, 1.5, 0.5)])
def test_scores_are_those_of_the_slow_formula(world, halves, rows, predicted, evidence, power, damping):
    seen = world.weights.select(halves[0])
    head = RefinedRegression(evidence=evidence, power=power, damping=damping).fit(seen, predicted)
    wanted = _slow(rows.matrix[:20], seen.matrix.astype(np.float64), head.weights.matrix.astype(np.float64), evidence, power, damping)
    np.testing.assert_allclose(head.scores(rows.matrix[:20]), wanted, atol=1e-5)
    np.testing.assert_allclose(head.queries(rows.matrix[:20]) @ head.weights.matrix.T, wanted, atol=1e-5)


def test_without_both_steps_it_is_weight_regression(world, halves, rows, predicted):
    seen = world.weights.select(halves[0])
    plain = WeightRegression().fit(seen, predicted)
    found = RefinedRegression(evidence=0, damping=None).fit(seen, predicted)
    np.testing.assert_allclose(found.scores(rows.matrix), plain.scores(rows.matrix), atol=1e-6)
    np.testing.assert_allclose(plain.queries(rows.matrix) @ plain.weights.matrix.T, plain.scores(rows.matrix), atol=1e-6)
    mild = RefinedRegression(evidence=0, damping=1e6).fit(seen, predicted)
    np.testing.assert_allclose(mild.scores(rows.matrix), plain.scores(rows.matrix), atol=1e-4)


def test_neither_other_images_nor_other_candidates_matter(world, halves, rows, predicted):
    head = RefinedRegression().fit(world.weights.select(halves[0]), predicted)
    whole = head.scores(rows.matrix)
    np.testing.assert_allclose(head.scores(rows.matrix[7:8]), whole[7:8], atol=1e-6)
    fewer = head.select(halves[1][:9])
    np.testing.assert_allclose(fewer.scores(rows.matrix), whole[:, :9], atol=1e-6)
    assert len(head.classes) == len(predicted) and fewer.classes == halves[1][:9]


def test_an_image_that_no_seen_class_answers_keeps_finite_scores(world, halves, predicted):
    head = RefinedRegression(power=60).fit(world.weights.select(halves[0]), predicted)
    against = -world.weights.select(halves[0]).weight.mean(axis=0)[None]
    assert np.isfinite(head.scores(100 * against)).all()


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"evidence": -0.1}, "evidence"), ({"evidence": np.nan}, "evidence"), ({"power": 0.5}, "power"), ({"damping": 0}, "damping")],
)
def test_settings_outside_their_range_are_refused(settings, named):
    with pytest.raises(InvalidInputError, match=named):
        RefinedRegression(**settings)


def test_refinement_stays_on_its_device():
    with FakeTensorMode():
        on = {"device": torch.device("meta")}
        queries = refine(torch.empty(5, 7, **on), torch.empty(3, 8, **on), torch.empty(8, 8, **on), 0.2, 3.0)
        assert queries.device.type == "meta" and queries.shape == (5, 8)
        with pytest.raises((RuntimeError, AssertionError), match="device"):  # the check itself can fail
            refine(torch.empty(5, 7, **on), torch.empty(3, 8), None, 0.2, 3.0)


def test_a_bundle_keeps_its_classifier(bundle, rows, halves, tmp_path):
    assert bundle.meta["classifier"] == {"name": "refined_regression", "settings": RefinedRegression().settings()}
    again = Bundle.load(bundle.save(tmp_path / "refined.bundle"))
    head = RefinedRegression().on_rows(bundle.weights, bundle.weights.matrix[bundle.seen])
    for row, answers in zip(head.scores(rows.matrix[:9]), again.predict(rows, top=5)[:9], strict=True):
        assert [a.score for a in answers] == pytest.approx(np.sort(row)[::-1][:5], abs=1e-6)
    plain = replace(bundle, meta={key: value for key, value in bundle.meta.items() if key != "classifier"})
    assert plain.predict(rows, top=5) != again.predict(rows, top=5)


def test_a_bundles_explanation_adds_up_to_what_the_image_scores_for_each_carrier(bundle, rows, halves):
    why = bundle.explain(rows.matrix[3], halves[1][5])
    at = bundle.weights.ids.index(halves[1][5])
    scores = bundle.classifier.scores(rows.matrix[3:4])[0, bundle.carriers[at]]
    assert sorted((value for _, value in why.carriers), reverse=True) == pytest.approx(
        sorted(bundle.shares[at] * scores, reverse=True), abs=1e-6
    )


@pytest.mark.parametrize("chosen", [{"name": "conse"}, {"name": "unheard_of"}, {"name": "refined_regression", "settings": {"a": 1}}, {}, 3])
def test_a_bundle_with_an_unknown_classifier_is_refused(bundle, rows, chosen):
    with pytest.raises(ArtifactError, match="classifier"):
        replace(bundle, meta={**bundle.meta, "classifier": chosen}).predict(rows)


def test_only_an_encoder_takes_a_classifier_and_only_a_regression(world):
    for name in ("conse", "oracle"):
        with pytest.raises(InvalidInputError, match="only an encoder"):
            check_method(name, scored_by=Scoring("refined_regression"))
    with pytest.raises(InvalidInputError, match="weight_regression"):
        make_method(world, "nearest_text", scored_by=Scoring("conse"))
    kinds = {e.name for e in CLASSIFIERS if issubclass(CLASSIFIERS.lookup(e.name), WeightRegression)}
    assert kinds == {"weight_regression", "refined_regression"} == {regression_classifier(name).name for name in kinds}


def test_a_cell_names_its_classifier(world, halves):
    cell = load_cell("kgzsl2026_graph-gp-refined_imagenet-folds")
    assert cell.classifier == "refined_regression" and load_cell("kgzsl2026_graph-gp_imagenet-folds").classifier is None
    shipped = [read_result(CELLS.parent / "results" / f"{name}.json") for name in (cell.name, "kgzsl2026_graph-gp_imagenet-folds")]
    assert {row.method for row in rows_of(shipped, "image-holdout")} == {"graph_gp", "graph_gp + refined"}
    method = make_method(world, "nearest_text", None, Scoring(cell.classifier, cell.classifier_settings))
    assert isinstance(method(halves[0], halves[0] + halves[1]), RefinedRegression)
