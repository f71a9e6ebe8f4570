"""Node texts → semantic vectors, with an explicit out-of-vocabulary policy."""

from kgzsl.vectors.base import TextEncoder
from kgzsl.vectors.descriptions import blocks, embed_descriptions, join
from kgzsl.vectors.embed import embed_texts, precomputed
from kgzsl.vectors.glove import GloVe
from kgzsl.vectors.resolver import TEXT_ENCODERS, make_text_encoder
from kgzsl.vectors.sentence import MiniLM, SentenceTransformerEncoder
from kgzsl.vectors.text import node_texts

__all__ = [
    "TEXT_ENCODERS",
    "GloVe",
    "MiniLM",
    "SentenceTransformerEncoder",
    "TextEncoder",
    "blocks",
    "embed_descriptions",
    "embed_texts",
    "join",
    "make_text_encoder",
    "node_texts",
    "precomputed",
]
