"""Softmax regression on the seen classes, and ConSE on top of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from kgzsl.classifiers._descent import lbfgs
from kgzsl.classifiers.conse import check_top, convex_combination
from kgzsl.classifiers.features import FeatureClassifier, SeenData, check_positive
from kgzsl.classifiers.scaling import unit
from kgzsl.devices import resolve_device
from kgzsl.matrices import ClassifierWeights


def softmax_regression(
    features: np.ndarray,
    labels: np.ndarray,
    ids: Sequence[str],
    *,
    penalty: float = 1e-2,
    steps: int = 200,
    device: str | torch.device = "auto",
) -> ClassifierWeights:
    """Return the weights that minimise `mean_n cross-entropy + penalty/2 ‖W‖²`, `[classes, dim + 1]`; the bias is free.

    Parameters
    ----------
    features : `[rows, dim]`, best at one scale.
    labels : position among `ids` of each row's class, int64 `[rows]`.
    ids : the classes, `[classes]`.
    penalty : positive: the weights of classes that a line can part would grow without end.
    steps : most L-BFGS iterations.

    Raises
    ------
    InvalidInputError : the penalty or the steps are not positive.
    DivergedError : the loss is not finite.
    """
    check_positive(penalty=penalty, steps=steps)
    place = resolve_device(device)
    rows, truth = torch.from_numpy(features.astype(np.float32)).to(place), torch.from_numpy(labels).to(place)
    weight = torch.zeros(len(ids), rows.shape[1] + 1, device=place, requires_grad=True)

    def loss() -> torch.Tensor:
        logits = torch.addmm(weight[:, -1], rows, weight[:, :-1].T)
        return torch.nn.functional.cross_entropy(logits, truth) + 0.5 * penalty * weight[:, :-1].square().sum()

    lbfgs([weight], loss, steps, "softmax regression")
    return ClassifierWeights(tuple(ids), weight.detach().cpu().numpy())


class SoftmaxConSE(FeatureClassifier):
    """ConSE on labelled features: softmax regression on the seen classes, then their convex combination.

    Parameters
    ----------
    top : T, the number of seen classes that are combined.
    penalty, steps, device : see `softmax_regression`.
    """

    name = "softmax_conse"
    source = "Norouzi et al., Zero-Shot Learning by Convex Combination of Semantic Embeddings, ICLR 2014, eq. 3-4"

    def __init__(
        self,
        *,
        top: int = 10,
        penalty: float = 1e-2,
        steps: int = 200,
        device: str | torch.device = "auto",
        feature_scaling: str = "standardise",
        embedding_scaling: str = "centre_l2",
    ) -> None:
        super().__init__(feature_scaling=feature_scaling, embedding_scaling=embedding_scaling)
        check_positive(penalty=penalty, steps=steps)
        self.top = check_top(top)
        self.penalty, self.steps, self.device = penalty, steps, device

    def row_values(self) -> int:
        return max(len(self.classes), len(self._known), min(self.top, len(self._known)) * self._known.shape[1])

    def _learn(self, seen: SeenData) -> None:
        self._known = seen.embeddings.astype(np.float32)
        self._softmax = softmax_regression(seen.features, seen.labels, seen.ids, penalty=self.penalty, steps=self.steps, device=self.device)

    def _take(self, embeddings: np.ndarray) -> None:
        self._directions = unit(embeddings).astype(np.float32)

    def _score(self, features: np.ndarray) -> np.ndarray:
        logits = features @ self._softmax.weight.T + self._softmax.bias
        return convex_combination(logits, self._known, self._directions, self.top)
