"""How well the meaning of a name agrees with the gloss of a node: what `kgzsl.graphs.link` chooses senses by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kgzsl.errors import InvalidInputError
from kgzsl.vectors.base import TextEncoder
from kgzsl.vectors.resolver import make_text_encoder
from kgzsl.vectors.text import HasTexts, node_texts

#: A node's company is its mean cosine with so many of the nearest nodes whose names are not in doubt.
COMPANY = 5
#: Weight of a bare name beside the company; a description counts 1.
NAME_WEIGHT = 0.5


class GlossSimilarity:
    """Agreement of names with nodes: the cosine of the name's text and the node's, and the company that the node is in.

    The names of one list are of a kind (animals, kitchen things), so a meaning near those of the names that are not in doubt is
    likelier. It counts most where a name has no description of its own.

    Parameters
    ----------
    names : all names of the list, `[names]`.
    descriptions : what is said of some names.
    sure : places of nodes whose names have one candidate only; may be empty.
    encoder : a text encoder or its name.

    Raises
    ------
    InvalidInputError : a described name that is not among the names.
    """

    def __init__(
        self,
        graph: HasTexts,
        names: Sequence[str],
        descriptions: Mapping[str, Sequence[str]] | None = None,
        sure: Sequence[int] = (),
        encoder: TextEncoder | str = "minilm-l6-v2",
    ) -> None:
        said = dict(descriptions or {})
        unknown = sorted(set(said) - set(names))
        if unknown:
            raise InvalidInputError("a described name is one of the names to link", received=", ".join(unknown[:5]))
        self._model = make_text_encoder(encoder) if isinstance(encoder, str) else encoder
        self._names = [f"{n}: {'; '.join(said[n])}" if n in said else n for n in names]
        self._weights = np.asarray([1.0 if n in said else NAME_WEIGHT for n in names])
        self._nodes = node_texts(graph)
        self._sure = sorted(set(sure))

    def __call__(self, names: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the agreement of each pair, float64 `[pairs]`; see `kgzsl.graphs.link.Similarity`."""
        which_name, name = np.unique(names, return_inverse=True)
        which_node, node = np.unique(nodes, return_inverse=True)
        ours = self._encode([self._names[i] for i in which_name.tolist()])
        theirs = self._encode([self._nodes[i] for i in which_node.tolist()])
        agreement = self._weights[names] * np.einsum("pd,pd->p", ours[name], theirs[node])
        if self._sure:
            company = np.sort(theirs @ self._encode([self._nodes[i] for i in self._sure]).T, axis=1)[:, -COMPANY:].mean(axis=1)
            agreement = agreement + company[node]
        return np.asarray(agreement, dtype=np.float64)

    def _encode(self, texts: list[str]) -> np.ndarray:
        vectors = self._model.encode(texts, oov="zero").astype(np.float64)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
