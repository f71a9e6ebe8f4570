"""Graph view + vectors (+ targets) → class embeddings."""

from kgzsl.encoders.base import Encoder, load_encoder
from kgzsl.encoders.dgp import DGP
from kgzsl.encoders.ensemble import Ensemble
from kgzsl.encoders.gcnz import GCNZ
from kgzsl.encoders.graph_gp import GraphGP
from kgzsl.encoders.nearest_text import NearestText
from kgzsl.encoders.sgcn import SGCN
from kgzsl.encoders.structural_bias import StructuralBias
from kgzsl.registry import Resolver

ENCODERS: Resolver[Encoder] = Resolver("encoders", Encoder, [DGP, Ensemble, GCNZ, GraphGP, NearestText, SGCN, StructuralBias])  # type: ignore[type-abstract]

__all__ = ["DGP", "ENCODERS", "GCNZ", "SGCN", "Encoder", "Ensemble", "GraphGP", "NearestText", "StructuralBias", "load_encoder"]
