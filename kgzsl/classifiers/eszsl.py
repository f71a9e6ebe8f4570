"""ESZSL: a bilinear compatibility in closed form (Romera-Paredes and Torr, 2015)."""

from __future__ import annotations

import numpy as np

from kgzsl.classifiers.features import LinearClassifier, SeenData, check_positive


def solve_bilinear(gram: np.ndarray, targets: np.ndarray, embeddings: np.ndarray, gamma: float, lam: float) -> np.ndarray:
    """Return `V = (XᵀX + γI)⁻¹ XᵀY S (SᵀS + λI)⁻¹`, `[dim, semantics]`.

    Parameters
    ----------
    gram : `XᵀX`, `[dim, dim]`.
    targets : `XᵀY`, `[dim, seen]`.
    embeddings : S, `[seen, semantics]`.
    """
    from scipy.linalg import solve

    left = solve(gram + gamma * np.eye(len(gram)), targets @ embeddings, assume_a="pos")
    right: np.ndarray = solve(embeddings.T @ embeddings + lam * np.eye(embeddings.shape[1]), left.T, assume_a="pos")
    return right.T


def one_against_all(sums: np.ndarray) -> np.ndarray:
    """Return `XᵀY`, `[dim, seen]`, for labels Y of 1 in a row's class and −1 elsewhere, from the classes' sums `[seen, dim]`."""
    return 2 * sums.T - sums.sum(axis=0)[:, None]


class ESZSL(LinearClassifier):
    """Bilinear map between features and embeddings by ridge regression, in closed form.

    Parameters
    ----------
    gamma, lam : γ and λ of the paper's Ω, the ridges on the feature side and on the embedding side.
    """

    name = "eszsl"
    source = "Romera-Paredes and Torr, An Embarrassingly Simple Approach to Zero-Shot Learning, ICML 2015, section 3"

    def __init__(
        self, *, gamma: float = 1e3, lam: float = 1.0, feature_scaling: str = "standardise", embedding_scaling: str = "centre_l2"
    ) -> None:
        super().__init__(feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        check_positive(gamma=gamma, lam=lam)
        self.gamma, self.lam = gamma, lam

    def _learn(self, seen: SeenData) -> None:
        self._map = solve_bilinear(seen.gram(), one_against_all(seen.sums()), seen.embeddings, self.gamma, self.lam)

    def _weights(self, embeddings: np.ndarray) -> tuple[np.ndarray, float]:
        return embeddings @ self._map.T, 0.0
