"""Graph view + vectors (+ targets) → class embeddings."""

from kgzsl.encoders.base import Encoder, load_encoder
from kgzsl.encoders.compgcn import CompGCN
from kgzsl.encoders.dgp import DGP
from kgzsl.encoders.ensemble import Ensemble
from kgzsl.encoders.gat import GAT
from kgzsl.encoders.gcn import GCN
from kgzsl.encoders.gcnii import GCNII
from kgzsl.encoders.gcnz import GCNZ
from kgzsl.encoders.graph_gp import GraphGP
from kgzsl.encoders.lstm import LSTM
from kgzsl.encoders.nearest_text import NearestText
from kgzsl.encoders.rgcn import RGCN
from kgzsl.encoders.sgcn import SGCN
from kgzsl.encoders.structural_bias import StructuralBias
from kgzsl.encoders.trgcn import TrGCN
from kgzsl.registry import Resolver

ENCODERS: Resolver[Encoder] = Resolver(
    "encoders",
    Encoder,  # type: ignore[type-abstract]
    [CompGCN, DGP, Ensemble, GAT, GCN, GCNII, GCNZ, GraphGP, LSTM, NearestText, RGCN, SGCN, StructuralBias, TrGCN],
)

__all__ = [
    "DGP",
    "ENCODERS",
    "GAT",
    "GCN",
    "GCNII",
    "GCNZ",
    "LSTM",
    "RGCN",
    "SGCN",
    "CompGCN",
    "Encoder",
    "Ensemble",
    "GraphGP",
    "NearestText",
    "StructuralBias",
    "TrGCN",
    "load_encoder",
]
