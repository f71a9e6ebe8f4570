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
from kgzsl.encoders.kggan import KGGAN
from kgzsl.encoders.link_models import ComplEx, RotatE, TransE
from kgzsl.encoders.lstm import LSTM
from kgzsl.encoders.nearest_text import NearestText
from kgzsl.encoders.ontozsl import OntoZSL
from kgzsl.encoders.random_walk import RandomWalk
from kgzsl.encoders.rgcn import RGCN
from kgzsl.encoders.sgcn import SGCN
from kgzsl.encoders.structural_bias import StructuralBias
from kgzsl.encoders.trgcn import TrGCN
from kgzsl.encoders.unsupervised import UnsupervisedEncoder
from kgzsl.registry import Resolver

_TRAINED: list[type[Encoder]] = [CompGCN, DGP, GAT, GCN, GCNII, GCNZ, LSTM, RGCN, SGCN, TrGCN]
_CLOSED_FORM: list[type[Encoder]] = [Ensemble, GraphGP, NearestText, StructuralBias]
_UNSUPERVISED: list[type[Encoder]] = [ComplEx, KGGAN, OntoZSL, RandomWalk, RotatE, TransE]

ENCODERS: Resolver[Encoder] = Resolver("encoders", Encoder, [*_TRAINED, *_CLOSED_FORM, *_UNSUPERVISED])  # type: ignore[type-abstract]

__all__ = [
    "DGP",
    "ENCODERS",
    "GAT",
    "GCN",
    "GCNII",
    "GCNZ",
    "KGGAN",
    "LSTM",
    "RGCN",
    "SGCN",
    "CompGCN",
    "ComplEx",
    "Encoder",
    "Ensemble",
    "GraphGP",
    "NearestText",
    "OntoZSL",
    "RandomWalk",
    "RotatE",
    "StructuralBias",
    "TrGCN",
    "TransE",
    "UnsupervisedEncoder",
    "load_encoder",
]
