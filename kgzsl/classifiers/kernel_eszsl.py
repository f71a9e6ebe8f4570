"""ESZSL in the space of a kernel, with landmarks where the rows are many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kgzsl.classifiers._kernels import Kernel, check_kernel
from kgzsl.classifiers.eszsl import one_against_all, solve_bilinear
from kgzsl.classifiers.features import FeatureClassifier, SeenData, check_positive
from kgzsl.errors import InvalidInputError

#: Directions of the landmarks' kernel below this share of the largest are rounding.
NEGLIGIBLE = 1e-10


class KernelESZSL(FeatureClassifier):
    """ESZSL on centred kernel features: `φ(x) = K_LL^{−½} k(L, x) − mean`, exact when every row is a landmark.

    With all rows as landmarks this is the dual solution under the ridge of the kernel's own space, and with the linear kernel
    on centred features it is ESZSL; with fewer it is the Nyström approximation. What all rows share is taken away, because
    an RBF kernel's features are mostly that, and it says nothing about classes.

    Parameters
    ----------
    kernel, sharpness : see `_kernels.Kernel`.
    gamma, lam : the ridges on the feature side and on the embedding side.
    landmarks : most rows that may be landmarks; of more rows a seeded sample is taken.
    seed : draws the landmarks.
    """

    name = "kernel_eszsl"
    source = "Romera-Paredes and Torr, ICML 2015, section 3 (kernelised); Williams and Seeger, Nyström method, NeurIPS 2001"

    def __init__(
        self,
        *,
        kernel: str = "rbf",
        sharpness: float = 0.1,
        gamma: float = 0.3,
        lam: float = 1.0,
        landmarks: int = 2000,
        seed: int = 0,
        feature_scaling: str = "standardise",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        super().__init__(feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        check_positive(sharpness=sharpness, gamma=gamma, lam=lam)
        if landmarks < 1:
            raise InvalidInputError("at least one row is a landmark", received=landmarks)
        self.kernel, self.sharpness = check_kernel(kernel), sharpness
        self.gamma, self.lam, self.landmarks, self.seed = gamma, lam, landmarks, seed

    def row_values(self) -> int:
        return max(len(self.classes), len(self._chosen))  # the kernel's rows are as long as there are landmarks

    def _learn(self, seen: SeenData) -> None:
        rows = len(seen.features)
        chosen = np.arange(rows)
        if rows > self.landmarks:
            chosen = np.sort(np.random.default_rng(self.seed).choice(rows, self.landmarks, replace=False))
        self._chosen = seen.features[chosen].astype(np.float64)
        self._kernel = Kernel(self.kernel, self.sharpness, seen.features)
        values, vectors = np.linalg.eigh(self._kernel(self._chosen, self._chosen))
        kept = values > NEGLIGIBLE * values[-1]
        self._root = vectors[:, kept] / np.sqrt(values[kept])
        mapped = self._kernel(seen.features.astype(np.float64), self._chosen) @ self._root
        self._middle = mapped.mean(axis=0)
        centred = replace(seen, features=mapped - self._middle)
        self._bilinear = solve_bilinear(centred.gram(), one_against_all(centred.sums()), seen.embeddings, self.gamma, self.lam)

    def _take(self, embeddings: np.ndarray) -> None:
        directions = self._bilinear @ embeddings.T
        self._expansion, self._offset = self._root @ directions, self._middle @ directions

    def _score(self, features: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self._kernel(features.astype(np.float64), self._chosen) @ self._expansion - self._offset
        return scores
