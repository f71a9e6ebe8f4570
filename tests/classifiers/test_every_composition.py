"""Every registered composition classifier passes the behaviour template; the meta test fails when one has no case."""

from __future__ import annotations

import inspect
import sys
from typing import ClassVar

import numpy as np
import pytest
import torch
from classifiers.clip_folder import image_rows, save_clip
from classifiers.composition_cases import CompositionCase, TrainedCase, candidates, knowledge, small

from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS, PairFeatures
from kgzsl.classifiers.compositions.feasibility import concept_vectors
from kgzsl.classifiers.compositions.trained import TrainedCompositions
from kgzsl.errors import InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.metrics.compositional import bias_sweep

pytestmark = pytest.mark.data
QUICK = {"epochs": 6, "batch_size": 64, "device": "cpu"}


class TestCGE(CompositionCase):
    name = "cge"
    settings: ClassVar = {
        **QUICK,
        "embedding": 32,
        "image_hidden": [64],
        "encoder": {"name": "sgcn", "hidden": [64]},
        "learning_rate": 3e-3,
    }


class TestCoCGE(TestCGE):
    name = "cocge"
    settings: ClassVar = {**TestCGE.settings, "epochs": 15}


class TestCompCos(TrainedCase):
    name = "compcos"
    settings: ClassVar = {**QUICK, "embedding": 64, "image_hidden": [128], "learning_rate": 3e-3, "dropout": 0.2}


class TestCompCosOpen(TestCompCos):
    settings: ClassVar = {**TestCompCos.settings, "world": "open", "margin_epochs": 3}


class TestCompositionGP(CompositionCase):
    name = "graph_gp"
    settings: ClassVar = {"steps": 5}
    needs_knowledge = False


class TestFusion(CompositionCase):
    name = "fusion"
    settings: ClassVar = {
        "members": [{"name": "visual_product", **QUICK, "learning_rate": 3e-3}, {"name": "compcos", **TestCompCos.settings}],
        "device": "cpu",
    }

    def test_it_is_the_weighted_sum_of_its_members_and_better_than_its_worst_on_validation_rows(self, fitted):
        space, parts = self.data()
        train, val = parts["train"], parts["val"]
        some, truth, seen = candidates(space, val.labels)
        total, aucs = 0.0, []
        for weight, member in zip(fitted.weights, self.settings["members"], strict=True):
            alone = COMPOSITION_CLASSIFIERS.make(member["name"], {k: v for k, v in member.items() if k != "name"})
            alone.fit(train, space, knowledge(), val)
            spread = alone.scores(train.matrix, space.pairs[space.seen]).std(axis=1).mean()  # fewer rows than are taken at most
            total = total + weight / spread * alone.scores(val.matrix, space.pairs[some])
            aucs.append(bias_sweep(alone.scores(val.matrix, space.pairs[some]), truth, seen).auc)
        found = fitted.scores(val.matrix, space.pairs[some])
        self.close(found, total)
        assert bias_sweep(found, truth, seen).auc >= min(aucs) and fitted.weights.max() > 0

    def test_members_that_are_none_are_refused(self):
        for members in ([], [{"name": "cge"}], "cge", {"name": "cge"}, [{"name": "cge"}, {"seed": 1}], ["cge", "compcos"]):
            with pytest.raises(InvalidInputError, match="two methods or more"):
                COMPOSITION_CLASSIFIERS.make("fusion", {"members": members})
        with pytest.raises(UnknownNameError):
            COMPOSITION_CLASSIFIERS.make("fusion", {"members": [{"name": "cge"}, {"name": "nothing"}]})


class TestJointHeads(CompositionCase):
    name = "joint_heads"
    settings: ClassVar = {**QUICK, "hidden": 64, "embedding": 32, "graph_hidden": 64}
    needs_knowledge = False


class TestLabelEmbedPlus(TrainedCase):
    name = "le_plus"
    settings: ClassVar = {**QUICK, "embedding": 64, "image_hidden": [128], "pair_hidden": [64], "learning_rate": 3e-3, "negatives": 8}


class TestSymNet(TrainedCase):
    name = "symnet"
    settings: ClassVar = {**QUICK, "embedding": 48, "hidden": 48, "learning_rate": 3e-3}


class TestVisualProduct(TrainedCase):
    name = "visual_product"
    settings: ClassVar = {**QUICK, "learning_rate": 3e-3, "state_power": None}
    needs_knowledge = False


class TestCSP(TrainedCase):
    name = "csp"
    needs_knowledge = False
    least_auc = 0.001  # a model with random weights has little to say; random scores reach 0.0004

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def folder(cls, tmp_path_factory):
        pytest.importorskip("transformers")
        cls.home = save_clip(tmp_path_factory.mktemp("clip"))
        cls.settings = {**QUICK, "model": str(cls.home), "learning_rate": 3e-2}

    @classmethod
    def data(cls):
        space, parts, files = small()
        return space, {k: PairFeatures(image_rows(str(cls.home), tuple(files[k])), parts[k].labels) for k in parts}

    def test_without_a_model_there_is_nothing_to_prompt(self, tmp_path):
        space, parts = self.data()
        for model in (None, str(tmp_path / "nowhere"), str(tmp_path)):
            with pytest.raises(MissingDataError, match="CLIP-like"):
                self.make(model=model).fit(parts["train"], space, None)


def test_no_composition_classifier_is_without_a_case():
    members = inspect.getmembers(sys.modules[__name__], inspect.isclass)
    cases = {c.name: c for _, c in members if issubclass(c, CompositionCase) and hasattr(c, "name")}
    assert set(cases) == {entry.name for entry in COMPOSITION_CLASSIFIERS}
    for name, case in cases.items():
        assert issubclass(COMPOSITION_CLASSIFIERS.lookup(name), TrainedCompositions) <= issubclass(case, TrainedCase)


def test_the_small_space_has_what_the_cases_need():
    space, parts, _ = small()
    assert len(space) > 40
    assert not space.seen.all() and space.seen[parts["train"].labels].all()
    assert not space.seen[parts["val"].labels].all() and np.isfinite(parts["val"].matrix).all()


@pytest.mark.parametrize("case", [TestCompCos, TestCompCosOpen, TestLabelEmbedPlus, TestSymNet, TestVisualProduct])
def test_no_tensor_is_left_on_another_device(case):
    """On torch's `meta` device a stray CPU tensor fails."""
    space, parts, _ = small()
    method = case.make(device="meta", dropout=0.0)
    words = concept_vectors(space, knowledge()) if method.needs_words else None
    columns = parts["train"].matrix.shape[1]
    method._standardise(parts["train"].matrix)
    method._start(space, columns, words)
    rows = method.prepared(parts["train"].matrix[:6])
    scores = method.compatibility(rows, method.embedded(method._seen_pairs))
    states, objects = method.primitive_logits(rows)
    assert scores.shape == (6, int(space.seen.sum())) and states.shape == (6, 8) and objects.shape == (6, 10)
    (scores.sum() + states.sum() + objects.sum()).backward()
    assert {t.device.type for t in (rows, scores, states, objects)} == {"meta"}
    assert any(p.grad is not None and p.grad.device.type == "meta" for p in method.modules().parameters())
    with pytest.raises(RuntimeError, match="device"):  # the check itself can fail
        method.compatibility(torch.zeros(6, columns), method.embedded(method._seen_pairs))
