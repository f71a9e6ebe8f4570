"""Composition classifiers, by name: recognise `old dog` after `old car` and `young dog`."""

from __future__ import annotations

from kgzsl.classifiers.compositions.base import CompositionClassifier, Knowledge, PairFeatures

__all__ = ["CompositionClassifier", "Knowledge", "PairFeatures"]
