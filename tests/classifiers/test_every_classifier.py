"""Every registered classifier passes the behaviour template; the meta test fails when one has no case."""

from __future__ import annotations

import inspect
import sys

import pytest
from classifiers.cases import ClassifierCase, FeatureClassifierCase, WeightClassifierCase

from kgzsl.classifiers import CLASSIFIERS, FeatureClassifier, WeightClassifier, feature_classifier, weight_classifier
from kgzsl.encoders import NearestText
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import ClassEmbeddings

RANKING = {"epochs": 20, "batch_size": 32, "device": "cpu"}
LANDMARKS = {"landmarks": 150}
INJECTION = {"epochs": 30, "hidden": 128, "latent": 64, "learning_rate": 3e-3, "device": "cpu"}
CPU = {"device": "cpu"}
NETWORK = {"epochs": 30, "batch_size": 32, "hidden": 64, "device": "cpu"}


class TestALE(FeatureClassifierCase):
    name = "ale"
    settings = RANKING


class TestDEM(FeatureClassifierCase):
    name = "dem"
    settings = NETWORK


class TestDeViSE(FeatureClassifierCase):
    name = "devise"
    settings = RANKING


class TestESZSL(FeatureClassifierCase):
    name = "eszsl"


class TestGaussianPrototype(FeatureClassifierCase):
    name = "gaussian"


class TestKernelESZSL(FeatureClassifierCase):
    name = "kernel_eszsl"
    settings = LANDMARKS


class TestPSR(FeatureClassifierCase):
    name = "psr"
    settings = NETWORK


class TestPrototype(FeatureClassifierCase):
    name = "prototype"


class TestSAE(FeatureClassifierCase):
    name = "sae"


class TestSJE(FeatureClassifierCase):
    name = "sje"
    settings = RANKING


class TestSoftmaxConSE(FeatureClassifierCase):
    name = "softmax_conse"
    settings = CPU


class TestSynC(FeatureClassifierCase):
    name = "sync"
    settings = CPU


class TestConSE(WeightClassifierCase):
    name = "conse"


class TestICIS(WeightClassifierCase):
    name = "icis"
    settings = INJECTION


class TestWeightRegression(WeightClassifierCase):
    name = "weight_regression"

    @pytest.fixture(scope="class")
    @classmethod
    def embeddings(cls, world, halves, weights):
        """Weight regression takes its embeddings from an encoder that regresses weights."""
        axis, encoder = halves[0] + halves[1], NearestText()
        view = encoder.view(world.graph)
        predicted = encoder.fit(view, world.vectors, weights.select(halves[0])).encode(view, world.vectors, axis)
        return ClassEmbeddings(axis, predicted.matrix, predicted.meta)


class TestRefinedRegression(TestWeightRegression):
    name = "refined_regression"


def test_no_classifier_is_without_a_case():
    members = inspect.getmembers(sys.modules[__name__], inspect.isclass)
    cases = {c.name for _, c in members if issubclass(c, ClassifierCase) and "name" in vars(c)}
    assert cases == {entry.name for entry in CLASSIFIERS}


def test_a_classifier_is_fitted_on_weights_or_on_features_and_says_on_which():
    for entry in CLASSIFIERS:
        classifier = CLASSIFIERS.make(entry.name)
        on_weights, on_features = isinstance(classifier, WeightClassifier), isinstance(classifier, FeatureClassifier)
        assert on_weights != on_features
        right, wrong = (weight_classifier, feature_classifier) if on_weights else (feature_classifier, weight_classifier)
        assert type(right(entry.name)) is type(classifier)
        with pytest.raises(InvalidInputError, match="learns from"):
            wrong(entry.name)
