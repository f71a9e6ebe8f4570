"""Class embeddings + seen classes → class scores."""

from collections.abc import Mapping
from typing import Any

from kgzsl.classifiers.ale import ALE
from kgzsl.classifiers.base import Classifier, WeightClassifier
from kgzsl.classifiers.conse import ConSE
from kgzsl.classifiers.dem import DEM
from kgzsl.classifiers.devise import DeViSE
from kgzsl.classifiers.eszsl import ESZSL
from kgzsl.classifiers.features import FeatureClassifier
from kgzsl.classifiers.icis import ICIS
from kgzsl.classifiers.kernel_eszsl import KernelESZSL
from kgzsl.classifiers.prototype import GaussianPrototype, Prototype
from kgzsl.classifiers.psr import PSR
from kgzsl.classifiers.refined_regression import RefinedRegression
from kgzsl.classifiers.sae import SAE
from kgzsl.classifiers.sje import SJE
from kgzsl.classifiers.softmax import SoftmaxConSE
from kgzsl.classifiers.sync import SynC
from kgzsl.classifiers.weight_regression import WeightRegression
from kgzsl.errors import InvalidInputError
from kgzsl.registry import Resolver

CLASSIFIERS: Resolver[Classifier] = Resolver(
    "classifiers",
    Classifier,  # type: ignore[type-abstract]
    [
        ALE,
        ConSE,
        DEM,
        DeViSE,
        ESZSL,
        GaussianPrototype,
        ICIS,
        KernelESZSL,
        PSR,
        Prototype,
        RefinedRegression,
        SAE,
        SJE,
        SoftmaxConSE,
        SynC,
        WeightRegression,
    ],
)


def weight_classifier(name: str, settings: Mapping[str, Any] | None = None) -> WeightClassifier:
    """Return an instance of the classifier called `name`; one that learns from features raises InvalidInputError."""
    classifier = CLASSIFIERS.make(name, settings)
    if not isinstance(classifier, WeightClassifier):
        raise InvalidInputError(
            f"`{name}` learns from labelled features, not from weights", remedy="call feature_classifier, or fit it on features"
        )
    return classifier


def regression_classifier(name: str, settings: Mapping[str, Any] | None = None) -> WeightRegression:
    """Return an instance of the classifier called `name`; one that does not score by predicted weights raises InvalidInputError."""
    classifier = CLASSIFIERS.make(name, settings)
    if not isinstance(classifier, WeightRegression):
        known = [entry.name for entry in CLASSIFIERS if issubclass(CLASSIFIERS.lookup(entry.name), WeightRegression)]
        raise InvalidInputError(
            "an encoder's predicted weights are scored by weight regression", received=name, remedy=f"choose from: {', '.join(known)}"
        )
    return classifier


def feature_classifier(name: str, settings: Mapping[str, Any] | None = None) -> FeatureClassifier:
    """Return an instance of the classifier called `name`; one that learns from weights raises InvalidInputError."""
    classifier = CLASSIFIERS.make(name, settings)
    if not isinstance(classifier, FeatureClassifier):
        raise InvalidInputError(
            f"`{name}` learns from classifier weights, not from features", remedy="fit softmax_regression first, and pass its weights"
        )
    return classifier


__all__ = [
    "ALE",
    "CLASSIFIERS",
    "DEM",
    "ESZSL",
    "ICIS",
    "PSR",
    "SAE",
    "SJE",
    "Classifier",
    "ConSE",
    "DeViSE",
    "FeatureClassifier",
    "GaussianPrototype",
    "KernelESZSL",
    "Prototype",
    "RefinedRegression",
    "SoftmaxConSE",
    "SynC",
    "WeightClassifier",
    "WeightRegression",
    "feature_classifier",
    "regression_classifier",
    "weight_classifier",
]
