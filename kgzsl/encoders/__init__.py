"""Graph view + vectors (+ targets) → class embeddings."""

from kgzsl.encoders.base import Encoder, load_encoder
from kgzsl.encoders.dgp import DGP
from kgzsl.encoders.gcnz import GCNZ
from kgzsl.encoders.graph_gp import GraphGP
from kgzsl.encoders.nearest_text import NearestText
from kgzsl.encoders.sgcn import SGCN
from kgzsl.registry import Resolver

ENCODERS: Resolver[Encoder] = Resolver("encoders", Encoder, [DGP, GCNZ, GraphGP, NearestText, SGCN])  # type: ignore[type-abstract]

__all__ = ["DGP", "ENCODERS", "GCNZ", "SGCN", "Encoder", "GraphGP", "NearestText", "load_encoder"]
