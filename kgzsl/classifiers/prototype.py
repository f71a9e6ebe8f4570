"""Baselines: class means predicted from embeddings by ridge regression; nearest mean, or Gaussians of one covariance."""

from __future__ import annotations

import numpy as np

from kgzsl.classifiers._kernels import Kernel, check_kernel
from kgzsl.classifiers.features import LinearClassifier, PrototypeClassifier, SeenData, check_positive
from kgzsl.errors import InvalidInputError


class MeanRegression:
    """Kernel ridge regression of class means on embeddings, through the mean of the means.

        p(e) = m̄ + k(e, S) (K_SS + λI)⁻¹ (M − m̄)

    Parameters
    ----------
    lam : λ.
    kernel, sharpness : see `_kernels.Kernel`.
    """

    def __init__(self, lam: float, kernel: str, sharpness: float) -> None:
        check_positive(lam=lam, sharpness=sharpness)
        self.lam, self.kernel, self.sharpness = lam, check_kernel(kernel), sharpness

    def fit(self, seen: SeenData) -> None:
        """Learn from the seen classes' embeddings `[seen, semantics]` and feature means `[seen, dim]`."""
        from scipy.linalg import solve

        means = seen.means()
        self._middle, self._known = means.mean(axis=0), seen.embeddings
        self._kernel = Kernel(self.kernel, self.sharpness, seen.embeddings)
        gram = self._kernel(seen.embeddings, seen.embeddings)
        self._coefficients = solve(gram + self.lam * np.eye(len(gram)), means - self._middle, assume_a="pos")

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the predicted means of `embeddings` `[classes, semantics]`, `[classes, dim]`."""
        predicted: np.ndarray = self._middle + self._kernel(embeddings, self._known) @ self._coefficients
        return predicted


class Prototype(PrototypeClassifier):
    """Class means predicted from embeddings by kernel ridge regression; the nearest one wins.

    Parameters
    ----------
    lam, kernel, sharpness : of the regression, see `MeanRegression`.
    distance : see `PrototypeClassifier`.
    """

    name = "prototype"
    source = "baseline; predicting visual exemplars by kernel regression: Changpinyo, Chao, Sha, ICCV 2017, section 3"

    def __init__(
        self,
        *,
        lam: float = 0.03,
        kernel: str = "rbf",
        sharpness: float = 0.3,
        distance: str = "euclidean",
        feature_scaling: str = "standardise",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        super().__init__(distance=distance, feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        self._means = MeanRegression(lam, kernel, sharpness)

    def _learn(self, seen: SeenData) -> None:
        self._means.fit(seen)

    def _prototypes(self, embeddings: np.ndarray) -> np.ndarray:
        return self._means(embeddings)


class GaussianPrototype(LinearClassifier):
    """Gaussians around predicted class means with the seen classes' pooled covariance (linear discriminants).

    The score is the log-density of a class up to what a row's classes share: `μᵀΣ⁻¹x − ½ μᵀΣ⁻¹μ`.

    Parameters
    ----------
    shrinkage : share, in 0…1, of the covariance that is replaced by its mean variance times I.
    lam, kernel, sharpness : of the regression, see `MeanRegression`.
    """

    name = "gaussian"
    source = "baseline; linear discriminants (Fisher, 1936) with shrinkage towards the identity (Ledoit and Wolf, 2004)"

    def __init__(
        self,
        *,
        shrinkage: float = 0.5,
        lam: float = 0.03,
        kernel: str = "rbf",
        sharpness: float = 0.3,
        feature_scaling: str = "standardise",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        super().__init__(feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        if not 0 < shrinkage <= 1:
            raise InvalidInputError("shrinkage is a share above 0 and at most 1", received=shrinkage)
        self.shrinkage = shrinkage
        self._means = MeanRegression(lam, kernel, sharpness)

    def _learn(self, seen: SeenData) -> None:
        self._means.fit(seen)
        means = seen.means()
        within = (seen.gram() - (seen.counts[:, None] * means).T @ means) / len(seen.features)
        # one image per class leaves nothing within the classes: the spread of the means then stands in
        spread = np.trace(within) / len(within)
        if spread <= 1e-12 * np.trace(seen.gram()):
            within = np.cov(means.T, bias=True).reshape(len(within), -1)
            spread = np.trace(within) / len(within)
        self._covariance = (1 - self.shrinkage) * within + self.shrinkage * spread * np.eye(len(within))

    def _weights(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from scipy.linalg import solve

        means = self._means(embeddings)
        weights: np.ndarray = solve(self._covariance, means.T, assume_a="pos").T
        return weights, -0.5 * (weights * means).sum(axis=1)
