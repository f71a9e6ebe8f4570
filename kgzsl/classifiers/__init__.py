"""Class embeddings + seen classes → class scores."""

from kgzsl.classifiers.base import Classifier
from kgzsl.classifiers.conse import ConSE
from kgzsl.classifiers.weight_regression import WeightRegression
from kgzsl.registry import Resolver

CLASSIFIERS: Resolver[Classifier] = Resolver("classifiers", Classifier, [ConSE, WeightRegression])  # type: ignore[type-abstract]

__all__ = ["CLASSIFIERS", "Classifier", "ConSE", "WeightRegression"]
