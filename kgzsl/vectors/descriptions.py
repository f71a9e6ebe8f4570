"""Descriptions of classes beside the nodes' own texts: what a class looks like, in several short texts each.

A node's description vector is the mean of its texts' unit vectors. Only some nodes have one, so `join` keeps it in
columns of its own, zero where a node has none; `blocks` takes the columns apart again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError, UnknownNameError, first_five
from kgzsl.ids import positions
from kgzsl.matrices import Vectors
from kgzsl.vectors.base import TextEncoder
from kgzsl.vectors.resolver import make_text_encoder
from kgzsl.vectors.text import HasTexts

#: The blocks of joined vectors, in the order of their columns.
TEXT, DESCRIPTIONS = "text", "descriptions"


def embed_descriptions(graph: HasTexts, descriptions: Mapping[str, Sequence[str]], encoder: TextEncoder | str = "minilm-l6-v2") -> Vectors:
    """Return the mean unit vector of every node's descriptions, `[nodes, dim]`; rows of zeros where a node has none.

    Raises
    ------
    UnknownNameError : no described class is a node of the graph.
    InvalidInputError : the encoder knows no word of some description.
    """
    model = make_text_encoder(encoder) if isinstance(encoder, str) else encoder
    nodes = set(graph.ids)
    known = [i for i in descriptions if i in nodes]
    if not known:
        raise UnknownNameError(
            "some described class must be a node of the graph", received=f"{len(descriptions):,} others: {first_five(descriptions)}"
        )
    texts = [text for i in known for text in descriptions[i]]
    vectors = _unit(model.encode(texts))
    counts = np.array([len(descriptions[i]) for i in known])
    sums = np.add.reduceat(vectors, np.concatenate([[0], np.cumsum(counts)[:-1]]))
    matrix = np.zeros((len(graph.ids), vectors.shape[1]), dtype=np.float32)
    matrix[positions(known, graph.ids, "the graph")] = sums / counts[:, None]
    meta = {**model.meta(), "descriptions_digest": digest({i: list(descriptions[i]) for i in known})}
    return Vectors(tuple(graph.ids), matrix, {**meta, "described": len(known), "not_in_graph": len(descriptions) - len(known)})


def join(text: Vectors, descriptions: Vectors) -> Vectors:
    """Return both kinds side by side, `[nodes, text dim + descriptions dim]`, each with unit rows or rows of zeros.

    Encoders that take one matrix see the concatenation; `graph_gp` gives the descriptions a kernel of their own.

    Raises
    ------
    InvalidInputError : they name other nodes, or `text` is joined already.
    """
    if text.ids != descriptions.ids or "blocks" in text.meta:
        raise InvalidInputError(
            "vectors are joined once, with descriptions of the same nodes", received=f"{len(text):,} and {len(descriptions):,} nodes"
        )
    meta = {**text.meta, "blocks": [[TEXT, text.dim], [DESCRIPTIONS, descriptions.dim]], DESCRIPTIONS: dict(descriptions.meta)}
    return Vectors(text.ids, np.hstack([_unit(text.matrix), _unit(descriptions.matrix)]), meta)


def blocks(vectors: Vectors) -> dict[str, np.ndarray]:
    """Return the kinds of text by name, each `[nodes, its dim]`; vectors that were not joined are one block, `text`."""
    named = vectors.meta.get("blocks", [[TEXT, vectors.dim]])  # a list, as the manifest sorts keys and the order is that of the columns
    names, widths = zip(*named, strict=True)
    if sum(widths) != vectors.dim:
        raise InvalidInputError("the blocks of joined vectors make up their columns", received=f"{named} of {vectors.dim}")
    return dict(zip(names, np.split(vectors.matrix, np.cumsum(widths)[:-1], axis=1), strict=True))


def _unit(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
