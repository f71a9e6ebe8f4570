"""The variational generators against slow code written from their equations, and what their drawn and represented rows are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from kgzsl.errors import InvalidInputError
from kgzsl.generators import GENERATORS, Batch, Generator, SeenRows
from kgzsl.generators.networks import Critic
from kgzsl.generators.scaling import ColumnScaling
from kgzsl.generators.variational import DiagonalGaussian, WarmUp, bernoulli, gaussian, laplace
from kgzsl.matrices import ClassEmbeddings

TINY = {
    "cadavae": {"feature_hidden": [7, 6], "embedding_hidden": [5, 8], "noise": 3},
    "fvaegan": {"hidden": 7, "noise": 4},
    "tfvaegan": {"hidden": 7, "noise": 4, "semantic_weight": 0.3, "feedback": 0.7, "feedback_drawn": 0.4},
    "gdan": {
        "encoder_hidden": [8, 6],
        "generator_hidden": 7,
        "regressor_hidden": 5,
        "discriminator_hidden": 9,
        "noise": 3,
        "pretraining": 2,
        "cycle_weight": 0.4,
        "regression_weight": 0.3,
        "dual_weight": 0.2,
    },
}
NAMES = sorted(TINY)
Rows = list[list[float]]


def made(name: str, **further) -> Generator:
    return GENERATORS.make(name, {"device": "cpu", "epochs": 2, "batch_size": 8, **TINY[name], **further})


@pytest.fixture(scope="module")
def taught(rows, world):
    """`(features, labels, embeddings)`: eight real weight columns of 12 carnivores, six others as their embeddings."""
    ids = world.weights.ids[:12]
    some = rows.of_classes(ids)
    return some.matrix[:, :8], some.labels, ClassEmbeddings(world.weights.ids, world.weights.weight[:, 20:26], {})


def ready(name: str, taught, **further) -> tuple[Generator, SeenRows, Batch]:
    """A generator as its training begins, its networks' weights larger than they start so that no term is lost in rounding."""
    features, labels, embeddings = taught
    generator = made(name, **further)
    ids = tuple(sorted(set(labels)))
    where = torch.tensor([ids.index(c) for c in labels])
    generator.dim, generator.semantics = features.shape[1], embeddings.dim
    generator.rng = torch.Generator().manual_seed(1)
    scaled = torch.from_numpy(ColumnScaling.of(generator.feature_scaling, features)(features))
    known = torch.nn.functional.normalize(torch.from_numpy(embeddings.rows(ids).astype(np.float32)))
    seen = SeenRows(ids, scaled, where, known, known[:0])
    generator.networks = generator.build(seen)
    with torch.no_grad():
        for p in generator.networks.parameters():
            p.copy_(torch.randn(p.shape, generator=generator.rng) * 0.5)
    return generator, seen, Batch(scaled[:6], where[:6], known[where[:6]])


# ---- slow code: rows and columns one by one, in Python floats


def forward(network: torch.nn.Sequential, rows: Rows, slope: float) -> Rows:
    """A perceptron with a leaky ReLU between its layers."""
    layers = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    for number, layer in enumerate(layers):
        weight, bias = layer.weight.tolist(), layer.bias.tolist()
        rows = [[sum(w * x for w, x in zip(line, row, strict=True)) + b for line, b in zip(weight, bias, strict=True)] for row in rows]
        if number < len(layers) - 1:
            rows = leaky(rows, slope)
    return rows


def opinions(critic: Critic, features: Rows, embeddings: Rows) -> Rows:
    """A critic as one perceptron of features beside embeddings."""
    weight = joined(critic.features.weight.tolist(), critic.condition.weight.tolist())
    hidden = [
        [sum(w * x for w, x in zip(line, row, strict=True)) + b for line, b in zip(weight, critic.features.bias.tolist(), strict=True)]
        for row in joined(features, embeddings)
    ]
    return forward(torch.nn.Sequential(critic.out), leaky(hidden, critic.slope), 0.2)


def leaky(rows: Rows, slope: float) -> Rows:
    return [[x if x > 0 else slope * x for x in row] for row in rows]


def joined(*parts: Rows) -> Rows:
    return [[x for row in some for x in row] for some in zip(*parts, strict=True)]


def halves(rows: Rows) -> tuple[Rows, Rows]:
    return [r[: len(r) // 2] for r in rows], [r[len(r) // 2 :] for r in rows]


def latents(mean: Rows, log_variance: Rows, noise: Rows) -> Rows:
    return [[m + math.exp(v / 2) * e for m, v, e in zip(*some, strict=True)] for some in zip(mean, log_variance, noise, strict=True)]


def kl(mean: Rows, log_variance: Rows) -> float:
    each = [-0.5 * sum(1 + v - m * m - math.exp(v) for m, v in zip(*some, strict=True)) for some in zip(mean, log_variance, strict=True)]
    return sum(each) / len(each)


def sigmoid(rows: Rows) -> Rows:
    return [[1 / (1 + math.exp(-x)) for x in row] for row in rows]


def over_rows(function, *rows: Rows) -> float:
    """Mean over rows of the sum over columns of a function of single values."""
    each = [sum(function(*values) for values in zip(*some, strict=True)) for some in zip(*rows, strict=True)]
    return sum(each) / len(each)


def absolute(a: Rows, b: Rows) -> float:
    return over_rows(lambda x, y: abs(x - y), a, b)


def squared(a: Rows, b: Rows) -> float:
    return over_rows(lambda x, y: (x - y) ** 2, a, b)


def entropy(rows: Rows, drawn: Rows) -> float:
    return over_rows(lambda x, p: -(x * math.log(p) + (1 - x) * math.log(1 - p)), rows, drawn)


def mean_of(column: Rows) -> float:
    return sum(row[0] for row in column) / len(column)


def penalty(critic: Critic, real: Rows, fake: Rows, embeddings: Rows, shares: list[float]) -> float:
    """Gradient penalty with the gradient by central differences, each column of each row on its own."""
    step, total = 1e-5, 0.0
    for x, y, a, share in zip(real, fake, embeddings, shares, strict=True):
        point = [share * u + (1 - share) * v for u, v in zip(x, y, strict=True)]
        length = 0.0
        for column in range(len(point)):
            ends = []
            for sign in (1, -1):
                moved = list(point)
                moved[column] += sign * step
                ends.append(opinions(critic, [moved], [a])[0][0])
            length += ((ends[0] - ends[1]) / (2 * step)) ** 2
        total += (math.sqrt(length) - 1) ** 2
    return total / len(real)


def value(loss: torch.Tensor) -> float:
    return float(loss.detach())


def dice(seed: int):
    """The noise of a training, drawn in the same order."""
    rng = torch.Generator().manual_seed(seed)
    return lambda rows, columns: torch.randn(rows, columns, generator=rng).tolist(), rng


# ---- the pieces


def _two_gaussians() -> tuple[DiagonalGaussian, DiagonalGaussian]:
    rng = torch.Generator().manual_seed(0)
    return tuple(DiagonalGaussian.of(torch.randn(5, 8, generator=rng)) for _ in range(2))  # type: ignore[return-value]


def test_divergence_is_that_of_torch_and_of_a_sum_over_single_columns():
    q, _ = _two_gaussians()
    other = torch.distributions.kl_divergence(torch.distributions.Normal(q.mean, q.deviation), torch.distributions.Normal(0.0, 1.0))
    assert float(q.divergence()) == pytest.approx(float(other.sum(dim=1).mean()), rel=1e-5)
    assert float(q.divergence()) == pytest.approx(kl(q.mean.tolist(), q.log_variance.tolist()), rel=1e-5)


def test_wasserstein_distance_is_the_one_between_full_gaussians():
    """The general formula with matrix roots (Givens and Shortt 1984), one row after the other."""
    p, q = _two_gaussians()
    total = 0.0
    for m, s, n, t in zip(p.mean, p.deviation, q.mean, q.deviation, strict=True):
        first, second = np.diag(s.double().numpy() ** 2), np.diag(t.double().numpy() ** 2)
        root = scipy.linalg.sqrtm(second)
        cross = np.real(scipy.linalg.sqrtm(root @ first @ root))
        total += math.sqrt(float(((m - n).double() ** 2).sum()) + np.trace(first + second - 2 * cross))
    assert float(p.wasserstein(q)) == pytest.approx(total / len(p.mean), rel=1e-4)


def test_equal_distributions_are_at_distance_0_with_a_finite_gradient():
    encoded = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    apart = DiagonalGaussian.of(encoded).wasserstein(DiagonalGaussian.of(encoded.detach()))
    (gradient,) = torch.autograd.grad(apart, encoded)
    assert float(apart.detach()) == 0 and torch.isfinite(gradient).all()


def test_latents_have_the_stated_moments_and_pass_gradients_on():
    encoded = torch.tensor([[0.5, -2.0, math.log(4.0), math.log(0.25)]], requires_grad=True)
    q = DiagonalGaussian.of(encoded)
    drawn = q.at(torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(drawn.mean(0), torch.tensor([0.5, -2.0]), atol=0.05)
    assert torch.allclose(drawn.std(0), torch.tensor([2.0, 0.5]), rtol=0.03)
    noise = torch.tensor([[0.3, -0.7]])
    (gradient,) = torch.autograd.grad(q.at(noise).sum(), encoded)
    assert torch.allclose(gradient, torch.tensor([[1.0, 1.0, 0.3, -0.175]]))


def test_likelihoods_are_those_of_torch_up_to_their_constants():
    rng = torch.Generator().manual_seed(0)
    decoded, rows = torch.randn(4, 6, generator=rng), torch.rand(4, 6, generator=rng)
    columns = rows.shape[1]
    known = torch.distributions.Laplace(decoded, 1.0).log_prob(rows).sum(1).mean()
    assert float(laplace(decoded, rows)) == pytest.approx(-float(known) - columns * math.log(2), rel=1e-5)
    known = torch.distributions.Normal(decoded, 1.0).log_prob(rows).sum(1).mean()
    assert float(gaussian(decoded, rows)) == pytest.approx(-float(known) - columns * 0.5 * math.log(2 * math.pi), rel=1e-5)
    assert float(bernoulli(decoded, rows)) == pytest.approx(entropy(rows.tolist(), sigmoid(decoded.tolist())), rel=1e-5)
    assert torch.isfinite(bernoulli(torch.tensor([[200.0, -200.0]]), torch.tensor([[0.0, 1.0]])))


def test_weights_warm_up_along_a_line():
    warm = WarmUp.of(2.37, [21, 75])
    assert [warm(e) for e in (1, 21, 75, 100)] == [0, 0, 2.37, 2.37]
    assert warm(22) == pytest.approx(0.0439, abs=1e-4)  # the rate per epoch that the paper states
    assert WarmUp.of(0.25, [0, 93])(1) == pytest.approx(0.0027, abs=1e-4)
    for weight, epochs in ((1.0, [5]), (1.0, [5, 5]), (1.0, [-1, 3]), (-1.0, [1, 2])):
        with pytest.raises(InvalidInputError, match="warms up"):
            WarmUp.of(weight, epochs)


# ---- the methods' losses


@pytest.mark.parametrize("epoch", [1, 15, 40, 100])
def test_loss_of_cadavae(taught, epoch):
    generator, _, batch = ready("cadavae", taught)
    x, a, nets = batch.features.tolist(), batch.embeddings.tolist(), generator.networks
    noise, _ = dice(5)
    of_x, of_a = halves(forward(nets["encode_features"], x, 0)), halves(forward(nets["encode_embeddings"], a, 0))
    z_x, z_a = latents(*of_x, noise(6, 3)), latents(*of_a, noise(6, 3))
    own = absolute(x, forward(nets["decode_features"], z_x, 0)) + absolute(a, forward(nets["decode_embeddings"], z_a, 0))
    crossed = absolute(x, forward(nets["decode_features"], z_a, 0)) + absolute(a, forward(nets["decode_embeddings"], z_x, 0))
    means = [sum((p - q) ** 2 for p, q in zip(*some, strict=True)) for some in zip(of_x[0], of_a[0], strict=True)]
    spreads = [
        sum((math.exp(p / 2) - math.exp(q / 2)) ** 2 for p, q in zip(*some, strict=True)) for some in zip(of_x[1], of_a[1], strict=True)
    ]
    apart = sum(math.sqrt(m + s) for m, s in zip(means, spreads, strict=True)) / 6
    beta = 0.25 * min(1, epoch / 93)
    gamma = 2.37 * min(1, max(0, (epoch - 21) / 54))
    delta = 8.13 * min(1, max(0, (epoch - 6) / 16))
    expected = own + beta * (kl(*of_x) + kl(*of_a)) + gamma * crossed + delta * apart
    generator.rng.manual_seed(5)
    assert value(generator.loss(batch, epoch)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("encoded", [True, False])
def test_losses_of_fvaegan(taught, encoded):
    generator, _, batch = ready("fvaegan", taught, encoded_noise=encoded, adversarial_weight=3.0)
    x, a, nets = batch.features.tolist(), batch.embeddings.tolist(), generator.networks
    noise, rng = dice(5)
    of_x = halves(forward(nets["encoder"], joined(x, a), 0.2))
    first = noise(6, 4)
    fake = sigmoid(forward(nets["generator"], joined(latents(*of_x, first) if encoded else first, a), 0.2))
    shares = torch.rand(6, 1, generator=rng)[:, 0].tolist()
    distance = mean_of(opinions(nets["critic"], x, a)) - mean_of(opinions(nets["critic"], fake, a))
    generator.rng.manual_seed(5)
    expected = 10 * penalty(nets["critic"], x, fake, a, shares) - distance
    assert value(generator.critic_loss(batch, 1)) == pytest.approx(expected, rel=1e-3)

    noise, _ = dice(6)
    again = sigmoid(forward(nets["generator"], joined(latents(*of_x, noise(6, 4)), a), 0.2))
    drawn = again if encoded else sigmoid(forward(nets["generator"], joined(noise(6, 4), a), 0.2))
    expected = kl(*of_x) + entropy(x, again) - 3 * mean_of(opinions(nets["critic"], drawn, a))
    generator.rng.manual_seed(6)
    assert value(generator.generator_loss(batch, 1)) == pytest.approx(expected, rel=1e-4)


def test_fvaegan_draws_standardised_rows_as_they_leave_the_generator(taught):
    generator, _, batch = ready("fvaegan", taught, encoded_noise=True, feature_scaling="standardise")
    x, a, nets = batch.features.tolist(), batch.embeddings.tolist(), generator.networks
    noise, _ = dice(6)
    of_x = halves(forward(nets["encoder"], joined(x, a), 0.2))
    drawn = forward(nets["generator"], joined(latents(*of_x, noise(6, 4)), a), 0.2)
    expected = kl(*of_x) + 0.5 * squared(x, drawn) - 10 * mean_of(opinions(nets["critic"], drawn, a))
    generator.rng.manual_seed(6)
    assert value(generator.generator_loss(batch, 1)) == pytest.approx(expected, rel=1e-4)
    assert batch.features.min() < 0


def _hidden(network: torch.nn.Sequential, rows: Rows) -> Rows:
    return leaky(forward(network[:1], rows, 0.2), 0.2)


def _semantics_read(network: torch.nn.Sequential, rows: Rows) -> Rows:
    read = forward(network, rows, 0.2)
    return [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in read]


def _drawn_with_feedback(nets: torch.nn.ModuleDict, z: Rows, a: Rows, strength: float) -> Rows:
    first = sigmoid(forward(nets["generator"], joined(z, a), 0.2))
    back = leaky(forward(nets["feedback"], _hidden(nets["decoder"], first), 0.2), 0.2)
    inside = _hidden(nets["generator"], joined(z, a))
    inside = [[h + strength * f for h, f in zip(*some, strict=True)] for some in zip(inside, back, strict=True)]
    return sigmoid(forward(nets["generator"][2:3], inside, 0.2))


@pytest.mark.parametrize("epoch", [1, 2])
def test_losses_of_tfvaegan(taught, epoch):
    generator, _, batch = ready("tfvaegan", taught)
    x, a, nets = batch.features.tolist(), batch.embeddings.tolist(), generator.networks
    expected = absolute(_semantics_read(nets["decoder"], x), a)
    assert value(generator.decoder_loss(batch, epoch)) == pytest.approx(expected, rel=1e-4)

    noise, _ = dice(6)
    of_x = halves(forward(nets["encoder"], joined(x, a), 0.2))
    z = latents(*of_x, noise(6, 4))
    drawn = sigmoid(forward(nets["generator"], joined(z, a), 0.2)) if epoch == 1 else _drawn_with_feedback(nets, z, a, 0.7)
    expected = kl(*of_x) + entropy(x, drawn) - 10 * mean_of(opinions(nets["critic"], drawn, a))
    expected += 0.3 * absolute(_semantics_read(nets["decoder"], drawn), a)
    generator.rng.manual_seed(6)
    assert value(generator.generator_loss(batch, epoch)) == pytest.approx(expected, rel=1e-4)


def test_tfvaegan_draws_with_feedback_and_widens_rows(taught):
    generator, _, batch = ready("tfvaegan", taught)
    z, a = torch.randn(6, 4, generator=torch.Generator().manual_seed(2)), batch.embeddings
    expected = _drawn_with_feedback(generator.networks, z.tolist(), a.tolist(), 0.4)
    drawn = generator.draw(a, z)
    assert np.allclose(drawn.detach(), expected, atol=1e-5)
    wide = joined(drawn.tolist(), _hidden(generator.networks["decoder"], drawn.tolist()))
    assert np.allclose(generator.represent(drawn).detach(), wide, atol=1e-4)


@pytest.mark.parametrize("epoch", [2, 3])
def test_loss_of_gdan(taught, epoch):
    generator, _, batch = ready("gdan", taught)
    x, a, nets = batch.features.tolist(), batch.embeddings.tolist(), generator.networks
    noise, _ = dice(5)
    of_x = halves(forward(nets["encoder"], x, 0))
    drawn = forward(nets["generator"], joined(latents(*of_x, noise(6, 3)), a), 0)
    read = forward(nets["regressor"], x, 0)
    expected = 0.5 * squared(x, drawn) + kl(*of_x) + 0.3 * squared(read, a) / 6  # six columns of embeddings
    if epoch > 2:
        again = forward(nets["generator"], joined(latents(*of_x, noise(6, 3)), read), 0)
        expected += 0.4 * (squared(forward(nets["regressor"], drawn, 0), a) / 6 + squared(again, x) / 8)
        expected += squared(forward(nets["discriminator"], joined(drawn, a), 0), [[1.0]] * 6)
        expected += 0.2 * squared(forward(nets["discriminator"], joined(x, read), 0), [[1.0]] * 6)
    generator.rng.manual_seed(5)
    assert value(generator.generator_loss(batch, epoch)) == pytest.approx(expected, rel=1e-4)


def test_discriminator_of_gdan(taught):
    generator, seen, batch = ready("gdan", taught)
    x, a, nets = batch.features.tolist(), batch.embeddings.tolist(), generator.networks
    noise, rng = dice(5)
    fake = forward(nets["generator"], joined(latents(*halves(forward(nets["encoder"], x, 0)), noise(6, 3)), a), 0)
    shifts = torch.randint(1, len(seen.ids), (6,), generator=rng).tolist()
    others = [seen.embeddings[(label + shift) % len(seen.ids)].tolist() for label, shift in zip(batch.labels.tolist(), shifts, strict=True)]
    assert all(o != own for o, own in zip(others, a, strict=True))

    def to(target: float, features: Rows, embeddings: Rows) -> float:
        return squared(forward(nets["discriminator"], joined(features, embeddings), 0), [[target]] * 6)

    expected = to(1, x, a) + to(0, fake, a) + to(0, x, others) + 0.2 * to(0, x, forward(nets["regressor"], x, 0))
    generator.rng.manual_seed(5)
    assert value(generator.discriminator_loss(batch, 1, seen.embeddings)) == pytest.approx(expected, rel=1e-4)


# ---- training and use


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bits_and_the_spaces_agree(name, taught):
    features, labels, embeddings = taught
    first, second = (made(name).fit(features, labels, embeddings) for _ in range(2))
    wanted = embeddings.ids[-3:]
    blocks = [np.concatenate([b.matrix for b in g.synthesise(wanted, 5, seed=4, represented=r)]) for g in (first, second) for r in (0, 1)]
    assert np.array_equal(blocks[0], blocks[2]) and np.array_equal(blocks[1], blocks[3])
    drawn, represented = blocks[:2]
    assert drawn.shape == (15, 8) and np.isfinite(represented).all()
    real = first.represented(features)
    assert real.shape == (len(features), represented.shape[1]) == first.represented_training(features).shape
    if name != "cadavae":  # which draws latents rather than encode drawn features
        assert np.allclose(first.represented(drawn), represented, atol=1e-4)
        assert np.array_equal(first.represented_training(features), real)


def test_latents_of_cadavae_are_drawn_by_the_encoder_of_embeddings(taught):
    features, labels, embeddings = taught
    generator = made("cadavae", epochs=30).fit(features, labels, embeddings)
    wanted = embeddings.ids[-2:]
    (block,) = generator.synthesise(wanted, 4000, represented=True)
    unit = torch.nn.functional.normalize(torch.from_numpy(embeddings.rows(wanted).astype(np.float32)))
    q = generator.posterior("embeddings", unit)
    for k in range(2):
        mine = block.matrix[k * 4000 : (k + 1) * 4000]
        assert np.allclose(mine.mean(0), q.mean[k], atol=0.1) and np.allclose(mine.std(0), q.deviation[k], rtol=0.1)
    (decoded,) = generator.synthesise(wanted, 4000)
    with torch.no_grad():
        back = generator.networks["decode_features"](torch.from_numpy(block.matrix)).numpy()
    assert np.allclose(decoded.matrix, generator.scaling.back(back), atol=1e-4)
    repeated = np.repeat(features[:1], 4000, axis=0)
    views = generator.represented_training(repeated, seed=3)
    row = generator.posterior("features", torch.from_numpy(generator.scaling(features[:1])))
    assert np.allclose(views.std(0), row.deviation[0], rtol=0.1) and np.allclose(generator.represented(features[:1]), row.mean, atol=1e-6)
    assert np.array_equal(views, generator.represented_training(repeated, seed=3))
    assert not np.array_equal(views, generator.represented_training(repeated, seed=4))


def test_feedback_learns_in_every_second_epoch_at_its_own_rate(taught):
    features, labels, embeddings = taught

    def weight(**settings) -> torch.Tensor:
        return made("tfvaegan", **settings).fit(features, labels, embeddings).networks["feedback"][0].weight

    untouched = weight(epochs=1)
    slow, fast = weight(epochs=2, feedback_rate=1e-6), weight(epochs=2, feedback_rate=1e-3)
    moved = [float((w - untouched).abs().max()) for w in (slow, fast)]
    assert 0 < moved[0] < 1e-5 < moved[1]  # Adam moves a parameter by at most about its rate in each of the three steps


def test_a_frozen_decoder_moves_in_its_own_steps_only(taught):
    generator, seen, _ = ready("tfvaegan", taught, freeze_decoder=True)
    assert {p.name: p.networks for p in generator.players(seen)}["generator"] == ("encoder", "generator", "feedback")
    assert "decoder" in {p.name: p.networks for p in ready("tfvaegan", taught)[0].players(seen)}["generator"]


@pytest.mark.parametrize("name", NAMES)
def test_class_means_are_recovered_where_they_follow_from_the_embeddings(name):
    """Six seen classes and two between them on a plane, features a linear map of the embedding and a little noise."""
    rng = np.random.default_rng(0)
    corners = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, -1], [0.5, 0.5], [-0.5, 0.4]])
    ids = tuple(f"c{k}" for k in range(8))
    mix = np.array([[2.0, 0.0, 1.0, -1.0], [0.0, 3.0, 1.0, 1.0]])
    means = corners @ mix
    labels = [c for c in ids[:6] for _ in range(40)]
    rows = np.repeat(means[:6], 40, axis=0) + 0.1 * rng.standard_normal((240, 4))
    warm = {"cross_epochs": [2, 10], "distribution_epochs": [2, 10]}
    wide = {
        "cadavae": {"feature_hidden": [32, 32], "embedding_hidden": [32, 32], "kl_weight": 0.003, "noise": 8, **warm},
        "gdan": {"encoder_hidden": [32], "generator_hidden": 32, "pretraining": 15, "noise": 2, "weight_decay": 0.0},
    }.get(name, {"hidden": 32, "noise": 2, "adversarial_weight": 0.1, "critic_steps": 2})
    settings = {"device": "cpu", "epochs": 30, "batch_size": 20, "learning_rate": 5e-3, "embedding_scaling": "none", **wide}
    generator = GENERATORS.make(name, settings).fit(rows.astype(np.float32), labels, ClassEmbeddings(ids, corners.astype(np.float32), {}))
    (drawn,) = generator.synthesise(ids, 200)
    found = drawn.matrix.reshape(8, 200, 4).mean(axis=1)
    off = np.linalg.norm(found[:, None] - means[None], axis=2)
    assert off.argmin(axis=1).tolist() == list(range(8)), off.diagonal()
    assert off.diagonal()[:6].max() < 0.9 and off.diagonal()[6:].max() < 1.3  # the means of two classes are 1.8 apart or more


@pytest.mark.parametrize(
    ("name", "settings", "rule"),
    [
        ("cadavae", {"feature_hidden": [5]}, "two numbers"),
        ("cadavae", {"embedding_hidden": [0, 5]}, "two numbers"),
        ("cadavae", {"cross_epochs": [9, 3]}, "warms up"),
        ("cadavae", {"kl_weight": -0.1}, "warms up"),
        ("fvaegan", {"hidden": 0}, "hidden"),
        ("fvaegan", {"adversarial_weight": -1}, "adversarial_weight"),
        ("tfvaegan", {"feedback": -1}, "not negative"),
        ("tfvaegan", {"decoder_rate": 0}, "positive"),
        ("gdan", {"encoder_hidden": []}, "encoder a layer"),
        ("gdan", {"regressor_hidden": 0}, "at least one column"),
        ("gdan", {"pretraining": -1}, "not negative"),
        ("gdan", {"noise": -1}, "noise"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name, settings, rule):
    with pytest.raises(InvalidInputError, match=rule):
        GENERATORS.make(name, settings)
