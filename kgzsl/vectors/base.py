"""What a text encoder is, and the policy for texts it has no words for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from kgzsl.errors import InvalidInputError, first_five
from kgzsl.vectors.text import LEMMAS_GLOSS

OovPolicy = Literal["error", "zero", "mean"]


class TextEncoder(ABC):
    """Texts → float32 rows.

    Attributes
    ----------
    name : the name in the resolver.
    source : the paper.
    template : the node text it is meant for (see `kgzsl.vectors.text`).
    """

    name: ClassVar[str]
    source: ClassVar[str]
    template: ClassVar[str] = LEMMAS_GLOSS

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 over everything of the model that the vectors depend on."""

    @abstractmethod
    def meta(self) -> dict[str, Any]:
        """Return the model and its settings as JSON; part of the cache key and of the vectors' manifest."""

    @abstractmethod
    def _encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrix `[texts, dim]` and `[texts]` booleans: false where no word is known (that row is ignored)."""

    def encode(self, texts: Sequence[str], *, oov: OovPolicy = "error") -> np.ndarray:
        """Return the vectors of `texts`, float32 `[texts, dim]`.

        Parameters
        ----------
        oov : what becomes of a text without any known word: `error`, `zero` (a row of zeros) or `mean` (the mean of
            the other rows of this call).

        Raises
        ------
        InvalidInputError : no text, or out-of-vocabulary texts under `error`; count and first five are named.
        """
        return self.encode_with_counts(texts, oov=oov)[0]

    def encode_with_counts(self, texts: Sequence[str], *, oov: OovPolicy = "error") -> tuple[np.ndarray, dict[str, Any]]:
        """Return `encode(texts)` and the counts that belong in a manifest: policy, texts, out of vocabulary, first five."""
        if oov not in get_args(OovPolicy):
            raise InvalidInputError("the out-of-vocabulary policy is error, zero or mean", received=repr(oov))
        if isinstance(texts, str) or not len(texts):
            raise InvalidInputError("at least one text is needed", received=repr(texts))
        matrix, found = self._encode(texts)
        unknown = [text for text, known in zip(texts, found, strict=True) if not known]
        counts = {"policy": oov, "texts": len(texts), "out_of_vocabulary": len(unknown), "first": [t[:80] for t in unknown[:5]]}
        if unknown and oov == "error":
            raise InvalidInputError(
                f"{self.name} must know a word of every text",
                received=f"{len(unknown):,} of {len(texts):,} texts are out of vocabulary: {first_five(repr(t[:60]) for t in unknown)}",
                remedy="choose a policy (`oov` zero or mean), or an encoder without a vocabulary such as minilm-l6-v2",
            )
        if unknown:
            matrix = matrix.copy()
            matrix[~found] = matrix[found].mean(axis=0) if oov == "mean" and found.any() else 0.0
        return np.ascontiguousarray(matrix, dtype=np.float32), counts
