"""Shared losses of generators against slow, independent implementations."""

from __future__ import annotations

import pytest
import torch

from kgzsl.generators.losses import class_means, gradient_penalty, pivot, wasserstein
from kgzsl.generators.networks import Critic


def _rng(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _slow(critic, real, fake, embeddings, weight, share) -> torch.Tensor:
    """WGAN-GP as the paper's algorithm 1 says it: one row, one second backward pass at a time."""
    total = torch.zeros(())
    for x, z, a, e in zip(real, fake, embeddings, share, strict=True):
        between = (e * x + (1 - e) * z).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between[None], a[None])[0], between, create_graph=True)
        total = total + critic(z[None], a[None])[0] - critic(x[None], a[None])[0] + weight * (slope.square().sum().sqrt() - 1) ** 2
    return total / len(real)


@pytest.mark.parametrize("semantics", [0, 4])
def test_closed_form_of_the_penalty_is_the_second_backward_pass(semantics):
    rng = _rng()
    critic = Critic(6, semantics, 9, rng, deviation=0.7)
    real, fake, embeddings = (torch.randn(5, n, generator=rng) for n in (6, 6, 4))
    slow = _slow(critic, real, fake, embeddings, 10.0, torch.rand(5, 1, generator=_rng(1)))
    expected = torch.autograd.grad(slow, list(critic.parameters()), allow_unused=True)
    fast = wasserstein(critic, real, fake, embeddings if semantics else None, 10.0, _rng(1))
    torch.testing.assert_close(fast, slow)
    for name, got, want in zip(
        dict(critic.named_parameters()), torch.autograd.grad(fast, list(critic.parameters())), expected, strict=True
    ):
        torch.testing.assert_close(got, want if want is not None else torch.zeros_like(got), msg=name, rtol=1e-4, atol=1e-5)


def test_penalty_by_second_backward_pass_agrees_with_one_row_at_a_time():
    rng = _rng()
    critic = torch.nn.Sequential(
        torch.nn.Linear(6, 9), torch.nn.LeakyReLU(0.2), torch.nn.Linear(9, 9), torch.nn.Tanh(), torch.nn.Linear(9, 1)
    )
    real, fake = torch.randn(5, 6, generator=rng), torch.randn(5, 6, generator=rng)
    share = torch.rand(5, 1, generator=_rng(1))
    slow = torch.stack(
        [
            (torch.func.jacrev(lambda v: critic(v)[0])(e * x + (1 - e) * z).norm() - 1) ** 2
            for x, z, e in zip(real, fake, share, strict=True)
        ]
    ).mean()
    torch.testing.assert_close(gradient_penalty(lambda x: critic(x)[:, 0], real, fake, _rng(1)), slow)


def test_mixed_precision_changes_the_critics_loss_by_rounding_only():
    rng = _rng()
    critic = Critic(200, 30, 256, rng, deviation=0.05)
    real, fake, embeddings = (torch.randn(64, n, generator=rng) for n in (200, 200, 30))
    exact = wasserstein(critic, real, fake, embeddings, 10.0, _rng(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = wasserstein(critic, real, fake.bfloat16(), embeddings, 10.0, _rng(1))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=2e-2, atol=2e-2)
    gradients = [torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(critic.parameters()))]) for loss in (exact, rounded)]
    assert torch.cosine_similarity(*gradients, dim=0) > 0.999


def test_pivot_is_the_mean_distance_of_class_means():
    rng = _rng()
    drawn, centres = torch.randn(7, 3, generator=rng, requires_grad=True), torch.randn(5, 3, generator=rng)
    labels = torch.tensor([4, 0, 4, 1, 0, 4, 1])
    distances = []
    for c in range(5):
        own = [row for row, label in zip(drawn, labels, strict=True) if label == c]
        if own:
            distances.append((sum(own) / len(own) - centres[c]).square().sum().sqrt())
    slow = sum(distances) / len(distances)
    fast = pivot(drawn, labels, centres)
    torch.testing.assert_close(fast, slow)
    torch.testing.assert_close(*(torch.autograd.grad(loss, drawn)[0] for loss in (fast, slow)))
    means, counts = class_means(drawn, labels, 5)
    assert counts.tolist() == [2, 2, 0, 0, 3] and not means[2:4].any()
