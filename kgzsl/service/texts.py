"""Texts as vectors: nodes by meaning, and names that nobody listed."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from kgzsl.errors import MissingDataError
from kgzsl.service.state import State
from kgzsl.service.store import ServedGraph

#: The text encoder of searches by meaning.
ENCODER = "minilm-l6-v2"


@lru_cache(maxsize=4)
def encoder(name: str = ENCODER) -> Any:
    """Return a text encoder, loaded once per process on one device."""
    from kgzsl.vectors.resolver import make_text_encoder

    return make_text_encoder(name)


class TextSpace:
    """The nodes of a graph by what their texts mean.

    Parameters
    ----------
    vectors : of all nodes, `[nodes, dim]`.
    model : name of the text encoder that made them.
    """

    def __init__(self, served: ServedGraph, vectors: np.ndarray, model: str) -> None:
        self.served, self.vectors, self.model = served, vectors, model

    @cached_property
    def unit(self) -> np.ndarray:
        """Rows at length 1, float32 `[nodes, dim]`; a row of zeros stays."""
        norms = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        # MiniLM's rows are of length 1 already: then the mapped ones will do
        return self.vectors if np.allclose(norms, 1, atol=1e-5) else self.vectors / np.maximum(norms, 1e-12)

    def encode(self, texts: list[str]) -> np.ndarray:
        """Return the vectors of texts, float32 `[texts, dim]`; one without a known word is a row of zeros."""
        return np.asarray(encoder(self.model).encode(texts, oov="zero"))

    def search(self, query: str, limit: int) -> list[tuple[int, float]]:
        """Return `(node, cosine)` of the nodes nearest in meaning."""
        return self.served.index.meaning(self.encode([query])[0], self.unit, limit)


def text_space(state: State, served: ServedGraph) -> TextSpace:
    """Return the text vectors of a graph: those that a bundle of it carries.

    Raises
    ------
    MissingDataError : no bundle of this graph carries them.
    """

    def make() -> TextSpace:
        for one in state.store.bundles.values():
            adding = one.bundle.adding
            if one.graph is served and adding is not None and adding.vectors.shape[1:] and "descriptions" not in adding.vectors_meta:
                return TextSpace(served, adding.vectors, str(adding.vectors_meta.get("encoder", ENCODER)))
        raise MissingDataError(
            "searches by meaning need the vectors of the graph's texts",
            received=f"no served bundle of {served.name} carries them",
            remedy="serve a bundle that `kgzsl fit --encoder graph_gp` made from this graph",
        )

    found: TextSpace = state.once("texts", served.key, make)
    return found
