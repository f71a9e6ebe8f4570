"""Losses that several generators share."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from kgzsl.encoders.precision import exact
from kgzsl.generators.networks import Critic


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, fake: torch.Tensor, rng: torch.Generator
) -> torch.Tensor:
    """Return the mean of `(‖∇ critic(x̂)‖ − 1)²` at points `x̂` on straight lines between rows of `real` and `fake`, `[rows, dim]`.

    For critics of any shape, by a second backward pass for all rows at once; `wasserstein` knows a shorter way for a `Critic`.

    Source: Gulrajani et al., Improved Training of Wasserstein GANs, 2017, algorithm 1, line 7.
    """
    share = torch.rand(len(real), 1, generator=rng, device=rng.device)
    between = torch.lerp(fake.detach().to(real.dtype), real, share).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return _off_one(gradient)


def wasserstein(
    critic: nn.Module,
    real: torch.Tensor,
    fake: torch.Tensor,
    embeddings: torch.Tensor | None,
    penalty: float,
    rng: torch.Generator,
) -> torch.Tensor:
    """Return what a critic minimises: its mean opinion of `fake` less that of `real`, plus `penalty` times the gradient penalty.

    Of a `Critic`, `∇ₓ w·σ(Ux + Va + b) = Uᵀ(w ∘ σ′)`, and σ′ of LeakyReLU is piecewise constant: the penalty is an ordinary
    first-order graph without a second backward pass. The layer is affine, so at points between two rows it lies between theirs too,
    and those points cost no forward product. Values and gradients are those of `gradient_penalty`.

    Parameters
    ----------
    critic : of features and embeddings, returns `[rows]`; one that is no `Critic` takes the way of `gradient_penalty`.
    real, fake : `[rows, dim]`; `fake` gets no gradient.
    embeddings : condition of both, `[rows, semantics]`, or None for a critic without one.
    """
    fake = fake.detach()
    if not isinstance(critic, Critic):
        opinions = (
            critic(torch.cat([real, fake.to(real.dtype)]), None if embeddings is None else embeddings.repeat(2, 1))
            .float()
            .view(2, -1)
            .mean(dim=1)
        )
        return opinions[1] - opinions[0] + penalty * gradient_penalty(lambda x: critic(x, embeddings), real, fake, rng)
    before = critic.hidden(torch.cat([real, fake.to(real.dtype)]), None).view(2, len(real), -1)
    if critic.condition is not None:
        before = before + critic.condition(embeddings)
    opinions = critic.opinion(before).float().mean(dim=1)
    with torch.no_grad():
        share = torch.rand(len(real), 1, generator=rng, device=rng.device)
        slopes = torch.where(torch.lerp(before[1].float(), before[0].float(), share) > 0, 1.0, critic.slope)
    gradient = slopes @ (critic.out.weight.T * critic.features.weight)  # w at the weights: its gradient costs no product over rows
    return opinions[1] - opinions[0] + penalty * _off_one(gradient)


def class_means(rows: torch.Tensor, labels: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean of each class's rows, float32 `[classes, dim]` (0 without rows), and how many rows it has, `[classes]`."""
    belongs = functional.one_hot(labels, classes).T.float()
    counts = belongs.sum(dim=1)
    with exact(rows.device):
        return (belongs @ rows.float()) / counts.clamp(min=1)[:, None], counts


def pivot(drawn: torch.Tensor, labels: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return the mean distance, over the classes of a batch, between the mean of a class's drawn rows and its centre.

    Source: Zhu et al., A Generative Adversarial Approach for Zero-Shot Learning from Noisy Texts, CVPR 2018, visual pivot
    regularisation; lengths, not their squares, as in the published code.

    Parameters
    ----------
    drawn, labels : `[rows, dim]` and each one's class `[rows]`.
    centres : means of the real rows, `[classes, dim]`.
    """
    means, counts = class_means(drawn, labels, len(centres))
    return ((means - centres).norm(dim=1) * (counts > 0)).sum() / (counts > 0).sum()


def relation(
    drawn: torch.Tensor,
    embeddings: torch.Tensor,
    centres: torch.Tensor,
    known: torch.Tensor,
    neighbours: int,
    slack: float,
    own: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return how far similarities to seen classes' means stray from those of embeddings, squared, summed over neighbours.

    A row's neighbours are the seen classes with the most similar embeddings. Both similarities are cosines; a difference below
    `slack` is free.

    Source: Vyas et al., LsrGAN, ECCV 2020, equations 5 to 7.

    Parameters
    ----------
    drawn, embeddings : rows `[rows, dim]` and the embeddings that they were drawn for, `[rows, semantics]`.
    centres, known : means `[seen, dim]` and embeddings `[seen, semantics]` of the seen classes.
    own : position of each row's class among the seen ones, which is no neighbour, `[rows]`; None for classes never seen.
    """
    stated = functional.normalize(embeddings) @ functional.normalize(known).T
    if own is not None:
        stated = stated.scatter(1, own[:, None], -torch.inf)
    nearest, which = stated.topk(min(neighbours, len(known) - (own is not None)), dim=1)
    shown = (functional.normalize(drawn.float()) @ functional.normalize(centres).T).gather(1, which)
    return ((shown - nearest).abs() - slack).clamp(min=0).square().sum(dim=1).mean()


def sharma_mittal(log_chances: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """Return each row's Sharma–Mittal divergence from equal chances, `[rows]`, at least 0, of logarithms of chances `[rows, classes]`.

    `((Σ pᵅ q¹⁻ᵅ)^((1−β)/(1−α)) − 1) / (β − 1)`; its limits are Rényi's divergence (β = 1) and Kullback and Leibler's (both 1), and
    `α = 1` alone gives `(exp((β − 1) KL) − 1) / (β − 1)`.

    Source: Elhoseiny, Elfeki, ICCV 2019, equation 5.
    """
    classes = log_chances.shape[1]
    if alpha == 1:
        mass = (log_chances.exp() * log_chances).sum(dim=1) + math.log(classes)  # Kullback and Leibler's, which Rényi's nears
    else:
        mass = (torch.logsumexp(alpha * log_chances, dim=1) - (1 - alpha) * math.log(classes)) / (alpha - 1)
    return mass if beta == 1 else torch.expm1((beta - 1) * mass) / (beta - 1)


def _off_one(gradients: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of the rows' lengths from 1."""
    return ((gradients.float().norm(dim=1) - 1) ** 2).mean()
