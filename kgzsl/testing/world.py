"""A small real world: WordNet's carnivores, their texts, and a real backbone's weights for those in ImageNet-1k."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kgzsl.tasks.methods import Knowledge


@functools.cache
def carnivores() -> Knowledge:
    """Return the carnivores' graph (about 360 nodes), MiniLM vectors and EfficientNet-lite0 weights of 158 classes.

    Raises
    ------
    MissingDataError : WordNet or a model is not on this machine; says what to run.
    """
    from kgzsl.features import make_backbone
    from kgzsl.graphs.compile import compile_graph
    from kgzsl.tasks.methods import Knowledge
    from kgzsl.vectors import embed_texts

    graph = compile_graph(Path(__file__).with_name("recipes") / "carnivores.yaml")
    weights = make_backbone("efficientnet-lite0", device="cpu").classifier()
    known = set(graph.ids)
    return Knowledge(graph, embed_texts(graph, "minilm-l6-v2"), weights.select([i for i in weights.ids if i in known]))


def hidden_carnivores() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return `(seen, unseen)` ids of the carnivores with weights: every fourth one is unseen."""
    ids = carnivores().weights.ids
    return tuple(i for n, i in enumerate(ids) if n % 4), ids[::4]
