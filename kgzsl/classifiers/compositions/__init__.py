"""Composition classifiers, by name: recognise `old dog` after `old car` and `young dog`."""

from __future__ import annotations

from kgzsl.classifiers.compositions.base import CompositionClassifier, Knowledge, PairFeatures
from kgzsl.classifiers.compositions.cge import CGE
from kgzsl.classifiers.compositions.cocge import CoCGE
from kgzsl.classifiers.compositions.compcos import CompCos
from kgzsl.classifiers.compositions.csp import CSP
from kgzsl.classifiers.compositions.fusion import Fusion
from kgzsl.classifiers.compositions.graph_gp import CompositionGP
from kgzsl.classifiers.compositions.joint_heads import JointHeads
from kgzsl.classifiers.compositions.le_plus import LabelEmbedPlus
from kgzsl.classifiers.compositions.symnet import SymNet
from kgzsl.classifiers.compositions.visual_product import VisualProduct
from kgzsl.registry import Resolver

#: Third parties add theirs through the entry-point group `kgzsl.composition-classifiers`.
COMPOSITION_CLASSIFIERS: Resolver[CompositionClassifier] = Resolver(
    "composition-classifiers",
    CompositionClassifier,  # type: ignore[type-abstract]
    [CGE, CSP, CoCGE, CompCos, CompositionGP, Fusion, JointHeads, LabelEmbedPlus, SymNet, VisualProduct],
)

__all__ = ["COMPOSITION_CLASSIFIERS", "CompositionClassifier", "Knowledge", "PairFeatures"]
