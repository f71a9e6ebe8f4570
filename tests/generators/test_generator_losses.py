"""Shared losses of generators against slow, independent implementations."""

from __future__ import annotations

import math

import pytest
import torch

from kgzsl.generators.losses import class_means, gradient_penalty, pivot, relation, sharma_mittal, wasserstein
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


def _cosine(a, b) -> float:
    return float(sum(x * y for x, y in zip(a, b, strict=True)) / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b)))


@pytest.mark.parametrize("own", [None, torch.tensor([2, 0, 4, 4, 1])])
def test_relation_is_the_papers_two_hinges_over_the_nearest_seen_classes(own):
    rng = _rng()
    drawn, embeddings, centres, known = (torch.randn(5, n, generator=rng) for n in (7, 4, 7, 4))
    total = 0.0
    for row in range(5):
        stated = [_cosine(embeddings[row], known[c]) for c in range(5)]
        allowed = [c for c in range(5) if own is None or c != own[row]]
        for c in sorted(allowed, key=lambda c: -stated[c])[:3]:
            shown = _cosine(drawn[row], centres[c])
            total += max(0.0, shown - (stated[c] + 0.1)) ** 2 + max(0.0, (stated[c] - 0.1) - shown) ** 2
    loss = relation(drawn, embeddings, centres, known, 3, 0.1, own)
    assert total > 0 and float(loss) == pytest.approx(total / 5, rel=1e-4)
    assert float(relation(centres, known, centres, known, 3, 2.0)) == 0  # everything is free
    assert torch.isfinite(relation(drawn, embeddings, centres, known, 20, 0.1, own))  # more neighbours than there are classes


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (1.0, 0.5), (0.5, 1.0), (2.0, 2.0), (0.5, 0.5), (0.7, 1.6)])
def test_sharma_mittal_is_the_limit_of_its_definition(alpha, beta):
    chances = torch.randn(6, 5, generator=_rng(), dtype=torch.float64).softmax(dim=1)

    def defined(p, a, b) -> float:
        total = sum(float(x) ** a * (1 / 5) ** (1 - a) for x in p)
        return (total ** ((1 - b) / (1 - a)) - 1) / (b - 1)

    off = 1e-6  # the definition has gaps at 1
    slow = [defined(p, alpha + off * (alpha == 1), beta + 2 * off * (beta == 1)) for p in chances]
    torch.testing.assert_close(sharma_mittal(chances.log(), alpha, beta), torch.tensor(slow, dtype=torch.float64), rtol=1e-4, atol=1e-6)
    even = torch.full((1, 5), 0.2)
    assert float(sharma_mittal(even.log(), alpha, beta)) == pytest.approx(0, abs=1e-6)
