"""SAE: a linear autoencoder whose code is the class embedding (Kodirov et al., 2017)."""

from __future__ import annotations

import numpy as np

from kgzsl.classifiers.features import FeatureClassifier, SeenData, check_positive
from kgzsl.classifiers.scaling import unit
from kgzsl.errors import InvalidInputError

#: Eigenvalues below this share of the largest are rounding.
NEGLIGIBLE = 1e-10
#: What is compared with what, by cosine.
DIRECTIONS = ("feature_to_semantic", "semantic_to_feature")


class SAE(FeatureClassifier):
    """Tied linear encoder and decoder, found by a Sylvester equation; nearest class by cosine.

    With X the features and S the embeddings of their classes, one column per row of the data,

        min_W ‖X − WᵀS‖² + λ‖WX − S‖²,  so  (SSᵀ) W + W (λXXᵀ) = (1 + λ) SXᵀ.

    Parameters
    ----------
    lam : λ, the weight of the encoder.
    direction : `feature_to_semantic` compares Wx with the embeddings, `semantic_to_feature` Wᵀs with the features.
    """

    name = "sae"
    source = "Kodirov, Xiang, Gong, Semantic Autoencoder for Zero-Shot Learning, CVPR 2017, section 3"

    def __init__(
        self,
        *,
        lam: float = 0.03,
        direction: str = "semantic_to_feature",
        feature_scaling: str = "standardise",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        super().__init__(feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        check_positive(lam=lam)
        if direction not in DIRECTIONS:
            raise InvalidInputError("a direction of SAE", received=repr(direction), remedy=f"choose from: {', '.join(DIRECTIONS)}")
        self.lam, self.direction = lam, direction

    def _learn(self, seen: SeenData) -> None:
        codes = seen.embeddings.T @ (seen.counts[:, None] * seen.embeddings)
        self._encoder = solve_symmetric_sylvester(codes, self.lam * seen.gram(), (1 + self.lam) * seen.embeddings.T @ seen.sums())

    def _take(self, embeddings: np.ndarray) -> None:
        self._directions = unit(embeddings if self.direction == DIRECTIONS[0] else embeddings @ self._encoder).astype(np.float32)

    def _score(self, features: np.ndarray) -> np.ndarray:
        rows = features @ self._encoder.T.astype(np.float32) if self.direction == DIRECTIONS[0] else features
        cosines: np.ndarray = unit(rows) @ self._directions.T
        return cosines


def solve_symmetric_sylvester(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the smallest W with `A W + W B = C`, `[m, n]`, for symmetric A `[m, m]` and B `[n, n]` without negative eigenvalues.

    Where an eigenvalue of A and one of B are both 0 the data say nothing, and W gets nothing. `scipy.linalg.solve_sylvester`
    divides rounding by rounding there, which happens with fewer rows than columns and fewer classes than attributes.
    """
    (of_a, left), (of_b, right) = np.linalg.eigh(a), np.linalg.eigh(b)
    sums = of_a[:, None] + of_b
    known = sums > NEGLIGIBLE * (of_a[-1] + of_b[-1])
    solved: np.ndarray = left @ np.where(known, (left.T @ c @ right) / np.where(known, sums, 1.0), 0.0) @ right.T
    return solved
