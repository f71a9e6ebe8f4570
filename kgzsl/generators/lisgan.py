"""LisGAN: f-CLSWGAN whose drawn features stay near one of a few soul samples of their class, the invariant side of it."""

from __future__ import annotations

import warnings
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from kgzsl.errors import InvalidInputError
from kgzsl.generators.base import SeenRows
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.losses import nearest_soul
from kgzsl.generators.training import Batch


class LisGAN(FCLSWGAN):
    """LisGAN: drawn rows, and means of several drawn rows of a class, are held near the nearest soul sample of the class.

    The soul samples are the means of k groups of a class's rows, one for each of its views, found by k-means before training. The
    cascade of two classifiers with which the paper recognises test rows is the head `cascade`, which any generator may have.

    Parameters
    ----------
    souls : k, soul samples of a class.
    soul_weight : weight of the distance of drawn rows to the nearest soul sample (L_R1).
    mean_weight : weight of that of means of drawn rows (L_R2).
    mean_rows : rows of a mean.
    mean_classes : classes of which a step takes means, drawn without replacement; 0 takes all, as published.
    class_weight : β, weight of the classification loss; the default is that of the published code.
    settings : see `FCLSWGAN`.
    """

    name = "lisgan"
    source = "Li et al., Leveraging the Invariant Side of Generative Zero-Shot Learning, CVPR 2019"

    def __init__(
        self,
        *,
        souls: int = 3,
        soul_weight: float = 0.01,
        mean_weight: float = 0.01,
        mean_rows: int = 20,
        mean_classes: int = 0,
        class_weight: float = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(class_weight=class_weight, **settings)
        if min(souls, mean_rows) < 1 or min(soul_weight, mean_weight, mean_classes) < 0:
            raise InvalidInputError(
                "souls and mean_rows are at least 1, soul_weight, mean_weight and mean_classes not negative",
                received=f"{souls}, {mean_rows}, {soul_weight}, {mean_weight}, {mean_classes}",
            )
        self.souls, self.mean_rows, self.mean_classes = souls, mean_rows, mean_classes
        self.soul_weight, self.mean_weight = soul_weight, mean_weight

    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return the networks of f-CLSWGAN, and the soul samples beside the embeddings of their classes."""
        networks = super().build(seen)
        networks["souls"] = Souls(soul_samples(seen, self.souls, self.seed), seen.embeddings)
        return networks

    def drawn_loss(self, fake: torch.Tensor, batch: Batch) -> torch.Tensor:
        """f-CLSWGAN's loss, and equations 5 (L_R1) and 7 (L_R2)."""
        souls = cast(Souls, self.networks["souls"])
        loss = super().drawn_loss(fake, batch) + self.soul_weight * nearest_soul(fake, batch.labels, souls.samples)
        return loss + self.mean_weight * self.stray_means(souls) if self.mean_weight else loss

    def stray_means(self, souls: Souls) -> torch.Tensor:
        """Return the mean squared distance of means of `mean_rows` drawn rows (equation 6) to the nearest soul sample of their class."""
        which = torch.randperm(len(souls.embeddings), generator=self.rng, device=self.rng.device)
        which = which[: self.mean_classes or None]
        labels = which.repeat_interleave(self.mean_rows)
        drawn = self.draw(souls.embeddings[labels], self.gaussian(len(labels)))
        return nearest_soul(drawn.float().unflatten(0, (len(which), self.mean_rows)).mean(dim=1), which, souls.samples)


class Souls(nn.Module):
    """What stays as it is while the generator learns.

    Parameters
    ----------
    samples : soul samples, `[seen, souls, dim]`.
    embeddings : of the seen classes, `[seen, semantics]`.
    """

    samples: torch.Tensor
    embeddings: torch.Tensor

    def __init__(self, samples: torch.Tensor, embeddings: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("samples", samples)
        self.register_buffer("embeddings", embeddings.clone())


def soul_samples(seen: SeenRows, souls: int, seed: int) -> torch.Tensor:
    """Return the means of `souls` groups of each seen class's rows, `[seen, souls, dim]`, float32, on the device of the rows.

    A class with fewer distinct rows has these themselves, some several times; so is a group repeated where k-means leaves one empty.
    """
    from scipy.cluster.vq import kmeans2

    rows = seen.features.cpu().double().numpy()
    order = np.argsort(seen.labels.cpu().numpy(), kind="stable")
    counts = torch.bincount(seen.labels, minlength=len(seen.ids)).tolist()
    rng = np.random.default_rng(seed)
    found = []
    for own in np.split(rows[order], np.cumsum(counts)[:-1]):
        distinct, groups = np.unique(own, axis=0, return_inverse=True)
        if len(distinct) > souls:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an empty group
                _, groups = kmeans2(own, souls, iter=30, minit="++", seed=rng)
        _, groups, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        means = np.eye(len(sizes))[groups].T @ own / sizes[:, None]
        found.append(np.resize(means, (souls, rows.shape[1])))
    return torch.from_numpy(np.stack(found).astype(np.float32)).to(seen.features.device)
