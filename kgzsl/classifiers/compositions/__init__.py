"""Composition classifiers, by name: recognise `old dog` after `old car` and `young dog`."""

from __future__ import annotations

from kgzsl.classifiers.compositions.base import CompositionClassifier, Knowledge, PairFeatures
from kgzsl.classifiers.compositions.cge import CGE
from kgzsl.classifiers.compositions.cocge import CoCGE
from kgzsl.classifiers.compositions.graph_gp import CompositionGP
from kgzsl.classifiers.compositions.joint_heads import JointHeads
from kgzsl.registry import Resolver

#: Third parties add theirs through the entry-point group `kgzsl.composition-classifiers`.
COMPOSITION_CLASSIFIERS: Resolver[CompositionClassifier] = Resolver(
    "composition-classifiers",
    CompositionClassifier,  # type: ignore[type-abstract]
    [CGE, CoCGE, CompositionGP, JointHeads],
)

__all__ = ["COMPOSITION_CLASSIFIERS", "CompositionClassifier", "Knowledge", "PairFeatures"]
