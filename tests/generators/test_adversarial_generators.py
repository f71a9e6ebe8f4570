"""LisGAN, LsrGAN, CIZSL, DASCN, CE-GZSL and DSP against slow code written from their equations, and what their losses bring about."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from small_cub import QUICK, small_cub
from small_generators import few, make

from kgzsl.errors import InvalidInputError
from kgzsl.generators import GENERATORS, Batch, Generator, SeenRows
from kgzsl.generators.lisgan import soul_samples
from kgzsl.generators.losses import instance_contrast, nearest_soul

pytestmark = pytest.mark.data


def _rng(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- the losses


def test_nearest_soul_is_the_least_squared_distance_of_the_own_class():
    rng = _rng()
    rows, souls = torch.randn(6, 4, generator=rng, requires_grad=True), torch.randn(3, 2, 4, generator=rng)
    labels = torch.tensor([2, 0, 0, 1, 2, 2])
    slow = sum(min(((row - soul) ** 2).sum() for soul in souls[c]) for row, c in zip(rows, labels, strict=True)) / 6
    fast = nearest_soul(rows, labels, souls)
    torch.testing.assert_close(fast, slow)
    torch.testing.assert_close(*(torch.autograd.grad(loss, rows)[0] for loss in (fast, slow)))


def test_instance_contrast_is_the_papers_sum_over_pairs():
    points = torch.nn.functional.normalize(torch.randn(7, 3, generator=_rng(), dtype=torch.float64)).requires_grad_(True)
    labels = [1, 0, 1, 2, 1, 0, 4]  # 2 and 4 have no company
    each = []
    for i in range(7):
        others = [j for j in range(7) if j != i]
        positives = [j for j in others if labels[j] == labels[i]]
        total = sum(torch.exp(points[i] @ points[k] / 0.2) for k in others)
        if positives:
            each.append(-sum(torch.log(torch.exp(points[i] @ points[j] / 0.2) / total) for j in positives) / len(positives))
    slow = sum(each) / len(each)
    fast = instance_contrast(points, torch.tensor(labels), 0.2)
    torch.testing.assert_close(fast.double(), slow, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(*(torch.autograd.grad(loss, points)[0] for loss in (fast, slow)), rtol=1e-4, atol=1e-5)
    lonely = torch.eye(3, requires_grad=True)
    for count in (1, 3):  # nobody has company, or nobody else is there
        loss = instance_contrast(lonely[:count], torch.arange(count), 0.1)
        assert loss.item() == 0 and not torch.autograd.grad(loss, lonely)[0].isnan().any()


# ---- the generators: one batch, the same random numbers, one row at a time


@pytest.fixture(scope="module")
def task():
    """Real rows of the first classes with their embeddings."""
    return few()


def _fitted(name: str, task, **settings) -> tuple[Generator, Batch]:
    """A generator after a few steps, and a batch of rows of four classes, some of them several times."""
    generator = make(name, feature_scaling="standardise", end="linear", epochs=2, **settings).fit(*task)
    features, labels, _ = task
    at = np.array([0, 1, 16, 31, 2, 46])
    where = torch.tensor([generator.seen.index(labels[i]) for i in at])
    known = generator._scaled(generator.embeddings.rows(generator.seen))
    generator.networks.requires_grad_(True)
    return generator, Batch(torch.from_numpy(generator.scaling(features[at])), where, known[where])


def _same(generator: Generator, fast, slow, *networks: str) -> None:
    """Both losses and their gradients towards the networks agree when both draw the same random numbers."""
    found = []
    for loss in (fast, slow):
        generator.rng.manual_seed(11)
        value = loss()
        moved = [p for key in networks for p in generator.networks[key].parameters()]
        found.append((value, torch.autograd.grad(value, moved)))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def _base(g: Generator, fake: torch.Tensor, batch: Batch, embeddings: torch.Tensor | None = None) -> torch.Tensor:
    """f-CLSWGAN's loss of drawn rows, row by row."""
    total = torch.zeros(())
    for row, label, embedding in zip(fake, batch.labels, batch.embeddings if embeddings is None else embeddings, strict=True):
        logits = g.networks["classifier"](row[None])[0]
        total = total - g.class_weight * torch.log(torch.exp(logits[label]) / torch.exp(logits).sum())
        total = total - g.networks["critic"](row[None], embedding[None])[0]
    return total / len(fake)


def _drawn(g: Generator, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    return torch.stack([g.networks["generator"](torch.cat([z, a])) for z, a in zip(noise, embeddings, strict=True)])


def _penalised(
    critic, pairs: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]], shares: torch.Tensor, weight: float
) -> torch.Tensor:
    """The critic's loss by `(real, fake, embedding)`, with a second backward pass for each."""
    total = torch.zeros(())
    for (real, fake, embedding), share in zip(pairs, shares, strict=True):
        condition = None if embedding is None else embedding[None]
        between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between[None], condition)[0], between, create_graph=True)
        total = total + critic(fake[None], condition)[0] - critic(real[None], condition)[0] + weight * (slope.norm() - 1) ** 2
    return total / len(pairs)


def _mean_distance(rows: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Over the classes of a batch, how far the mean of their rows is from its target."""
    found = []
    for c in sorted(set(labels.tolist())):
        own = [row for row, label in zip(rows, labels, strict=True) if label == c]
        found.append((sum(own) / len(own) - targets[c]).square().sum().sqrt())
    return sum(found) / len(found)


def test_lisgan_adds_both_distances_to_soul_samples(task):
    g, batch = _fitted("lisgan", task, soul_weight=0.3, mean_weight=0.2, mean_rows=3, mean_classes=5)
    souls = g.networks["souls"].samples

    def slow() -> torch.Tensor:
        fake = _drawn(g, batch.embeddings, g.gaussian(len(batch.features)))
        loss = _base(g, fake, batch)
        loss = loss + 0.3 * sum(min(((x - s) ** 2).sum() for s in souls[c]) for x, c in zip(fake, batch.labels, strict=True)) / len(fake)
        chosen = torch.randperm(len(g.seen), generator=g.rng)[:5]
        noise = g.gaussian(15)
        for n, c in enumerate(chosen):
            embedding = g._scaled(g.embeddings.rows([g.seen[c]]))
            mean = _drawn(g, embedding.expand(3, -1), noise[3 * n : 3 * n + 3]).mean(dim=0)
            loss = loss + 0.2 * min(((mean - s) ** 2).sum() for s in souls[c]) / 5
        return loss

    _same(g, lambda: g.generator_loss(batch, 1), slow, "generator")


def test_soul_samples_are_the_means_of_k_groups(task):
    features, labels, _ = task
    ids = sorted(set(labels))
    where = torch.tensor([ids.index(c) for c in labels])
    rows = torch.from_numpy(features.astype(np.float32))
    seen = SeenRows(tuple(ids), rows, where, torch.zeros(len(ids), 2), torch.zeros(0, 2))
    souls = soul_samples(seen, 3, seed=0)
    assert souls.shape == (len(ids), 3, features.shape[1]) and souls.dtype == torch.float32
    torch.testing.assert_close(souls, soul_samples(seen, 3, seed=0), rtol=0, atol=0)
    for c in range(len(ids)):
        own = features[where.numpy() == c].astype(np.float64)
        nearest = ((own[:, None] - souls[c].numpy()) ** 2).sum(axis=2)
        groups = nearest.argmin(axis=1)
        for k in range(3):  # k-means has come to rest
            np.testing.assert_allclose(souls[c, k], own[groups == k].mean(axis=0), rtol=1e-4, atol=1e-4)
        best = KMeans(3, n_init=20, random_state=0).fit(own).inertia_
        assert nearest.min(axis=1).sum() < 1.25 * best < ((own - own.mean(axis=0)) ** 2).sum()
    torch.testing.assert_close(soul_samples(seen, 1, seed=0)[2, 0], rows[where == 2].mean(dim=0))
    scarce = SeenRows(tuple(ids[:2]), rows[:3], torch.tensor([0, 0, 1]), torch.zeros(2, 2), torch.zeros(0, 2))
    first = sorted([0, 1], key=lambda i: rows[i].tolist())
    torch.testing.assert_close(soul_samples(scarce, 4, seed=0), torch.stack([rows[first * 2], rows[[2, 2, 2, 2]]]))
    equal = SeenRows(tuple(ids[:1]), rows[[0] * 9], torch.zeros(9, dtype=torch.int64), torch.zeros(1, 2), torch.zeros(0, 2))
    torch.testing.assert_close(soul_samples(equal, 3, seed=0), rows[[0, 0, 0]][None])


def test_dascns_four_players(task):
    g, batch = _fitted("dascn", task, dual_hidden=9, semantic_weight=0.3, pivot_weight=0.2, class_weight=0.5)
    back = g.networks["dual_generator"]
    known = g._scaled(g.embeddings.rows(g.seen))
    rows = len(batch.features)

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        noise = g.gaussian(rows), g.gaussian(rows)
        again = torch.stack([back(x) for x in batch.features]).detach()
        return _drawn(g, batch.embeddings, noise[0]), _drawn(g, again, noise[1])

    def critic() -> torch.Tensor:
        plain, again = both()
        pairs = [(x, y.detach(), a) for fake in (plain, again) for x, y, a in zip(batch.features, fake, batch.embeddings, strict=True)]
        return _penalised(g.networks["critic"], pairs, torch.rand(2 * rows, 1, generator=g.rng), 10.0)

    def generator() -> torch.Tensor:
        plain, again = both()
        loss = _base(g, plain, batch) / 2 + _base(g, again, batch) / 2
        loss = loss + 0.2 * sum(_mean_distance(fake, batch.labels, g.centres) for fake in (plain, again)) / 2
        return loss + 0.3 * _mean_distance(torch.stack([back(x) for x in plain]), batch.labels, known)

    def reconstructed() -> tuple[torch.Tensor, torch.Tensor]:
        fake = _drawn(g, batch.embeddings, g.gaussian(rows)).detach()
        return torch.stack([back(x) for x in batch.features]), torch.stack([back(x) for x in fake])

    def dual_critic() -> torch.Tensor:
        pairs = [(a, s.detach(), None) for fake in reconstructed() for a, s in zip(batch.embeddings, fake, strict=True)]
        return _penalised(g.networks["dual_critic"], pairs, torch.rand(2 * rows, 1, generator=g.rng), 10.0)

    def dual_generator() -> torch.Tensor:
        found = reconstructed()
        pleasing = sum(g.networks["dual_critic"](s[None])[0] for fake in found for s in fake) / (2 * rows)
        return 0.3 * sum(_mean_distance(fake, batch.labels, known) for fake in found) - pleasing

    _same(g, lambda: g.critic_loss(batch, 1), critic, "critic")
    _same(g, lambda: g.generator_loss(batch, 1), generator, "generator")
    _same(g, lambda: g.dual_critic_loss(batch, 1), dual_critic, "dual_critic")
    _same(g, lambda: g.dual_generator_loss(batch, 1), dual_generator, "dual_generator")


def _compared(g: Generator, embedded: torch.Tensor) -> torch.Tensor:
    """CE-GZSL's comparator on every row beside every seen class's embedding, as one perceptron on both."""
    f = g.networks["comparator"]
    weight = torch.cat([f.features.weight, f.condition.weight], dim=1)
    found = []
    for h in embedded:
        for a in g._scaled(g.embeddings.rows(g.seen)):
            hidden = weight @ torch.cat([h, a]) + f.features.bias
            found.append(f.out.weight[0] @ torch.where(hidden > 0, hidden, 0.2 * hidden) + f.out.bias[0])
    return torch.stack(found).view(len(embedded), -1)


@pytest.mark.parametrize("kept", [2**20, 200])
def test_cegzsls_contrasts(task, kept, monkeypatch):
    monkeypatch.setattr("kgzsl.generators.cegzsl.KEPT_VALUES", kept)  # all at once, or two rows at a time
    settings = {"instance_weight": 0.4, "class_contrast_weight": 0.3, "instance_temperature": 0.5, "class_temperature": 0.2}
    g, batch = _fitted("cegzsl", task, class_weight=0.1, **settings)

    def points(h: torch.Tensor) -> torch.Tensor:
        z = g.networks["projector"](h)
        return z / z.square().sum(dim=1, keepdim=True).sqrt()

    def classes(h: torch.Tensor) -> torch.Tensor:
        scores = torch.exp(_compared(g, h) / 0.2)
        return -sum(torch.log(s[c] / s.sum()) for s, c in zip(scores, batch.labels, strict=True)) / len(h)

    def instances(z: torch.Tensor, labels: list[int]) -> torch.Tensor:
        found = []
        for i in range(len(z)):
            total = sum(torch.exp(z[i] @ z[k] / 0.5) for k in range(len(z)) if k != i)
            own = [torch.log(torch.exp(z[i] @ z[j] / 0.5) / total) for j in range(len(z)) if j != i and labels[j] == labels[i]]
            found += [-sum(own) / len(own)] if own else []
        return sum(found) / len(found)

    def critic() -> torch.Tensor:
        fake = _drawn(g, batch.embeddings, g.gaussian(len(batch.features))).detach()
        pairs = list(zip(batch.features, fake, batch.embeddings, strict=True))
        loss = _penalised(g.networks["critic"], pairs, torch.rand(len(pairs), 1, generator=g.rng), 10.0)
        h = g.networks["embedder"](batch.features)
        return loss + instances(points(h), batch.labels.tolist()) + classes(h)

    def generator() -> torch.Tensor:
        fake = _drawn(g, batch.embeddings, g.gaussian(len(batch.features)))
        h = g.networks["embedder"](fake)
        together = torch.cat([points(h), points(g.networks["embedder"](batch.features)).detach()])
        return _base(g, fake, batch) + 0.4 * instances(together, batch.labels.tolist() * 2) + 0.3 * classes(h)

    _same(g, lambda: g.critic_loss(batch, 1), critic, "critic", "embedder", "projector", "comparator")
    _same(g, lambda: g.generator_loss(batch, 1), generator, "generator")


@pytest.mark.parametrize("evolutions", [1, 2])
def test_dsps_evolving_prototypes(task, evolutions):
    g, batch = _fitted("dsp", task, alpha=0.7, evolutions=evolutions, cycle_weight=0.4, evolution_weight=0.3, class_weight=0.5)
    evolver, reader = g.networks["evolver"], g.networks["reader"]

    def moved() -> torch.Tensor:
        found = []
        for z in batch.embeddings:
            for _ in range(evolutions):
                z = 0.7 * z + 0.3 * (z + evolver(z))
            found.append(z)
        return torch.stack(found).detach()

    def critic() -> torch.Tensor:
        fake = _drawn(g, moved(), g.gaussian(len(batch.features))).detach()
        pairs = list(zip(batch.features, fake, moved(), strict=True))
        return _penalised(g.networks["critic"], pairs, torch.rand(len(pairs), 1, generator=g.rng), 10.0)

    def generator() -> torch.Tensor:
        fake = _drawn(g, moved(), g.gaussian(len(batch.features)))
        loss = _base(g, fake, batch, moved())
        for x, y, z in zip(batch.features, fake, batch.embeddings, strict=True):
            cycle = (reader(x) - z).abs().sum() + (reader(y) - z).abs().sum()
            loss = loss + (0.4 * cycle + 0.3 * (z + evolver(z) - reader(y).detach()).abs().sum()) / len(fake)
        return loss

    _same(g, lambda: g.critic_loss(batch, 1), critic, "critic")
    _same(g, lambda: g.generator_loss(batch, 1), generator, "generator", "reader", "evolver")
    noise = g.gaussian(len(batch.features))
    torch.testing.assert_close(g.draw(batch.embeddings, noise), _drawn(g, moved(), noise), rtol=1e-4, atol=1e-5)


def test_lsrgan_relates_rows_of_seen_and_of_other_classes(task):
    g, batch = _fitted("lsrgan", task, relation_weight=0.6, slack=0.05, neighbours=3)
    known, others = g._scaled(g.embeddings.rows(g.seen)), g.unseen_embeddings()
    assert len(others) == len(g.embeddings) - len(g.seen) > 0

    def strayed(row: torch.Tensor, embedding: torch.Tensor, own: int | None) -> torch.Tensor:
        stated = {c: torch.cosine_similarity(embedding, known[c], dim=0) for c in range(len(known)) if c != own}
        nearest = sorted(stated, key=lambda c: -float(stated[c]))[:3]
        off = [(torch.cosine_similarity(row, g.centres[c], dim=0) - stated[c]).abs() - 0.05 for c in nearest]
        return sum(o.clamp(min=0) ** 2 for o in off)

    def slow() -> torch.Tensor:
        fake = _drawn(g, batch.embeddings, g.gaussian(len(batch.features)))
        loss = _base(g, fake, batch)
        own = [strayed(x, a, int(c)) for x, a, c in zip(fake, batch.embeddings, batch.labels, strict=True)]
        unseen = others[torch.randint(len(others), (len(fake),), generator=g.rng)]
        strange = [strayed(x, a, None) for x, a in zip(_drawn(g, unseen, g.gaussian(len(fake))), unseen, strict=True)]
        return loss + 0.6 * sum(own) / len(fake) + 0.6 * sum(strange) / len(fake)

    _same(g, lambda: g.generator_loss(batch, 1), slow, "generator")


def test_cizsl_imagines_classes_between_two(task):
    g, batch = _fitted("cizsl", task, creativity=0.5, alpha=2.0, beta=0.5)
    seen = len(g.seen)

    def slow() -> torch.Tensor:
        order = torch.randperm(len(batch.features), generator=g.rng)
        share = 0.2 + 0.6 * torch.rand(len(batch.features), 1, generator=g.rng)
        imagined = share * batch.embeddings + (1 - share) * batch.embeddings[order]
        strange = _drawn(g, imagined, g.gaussian(len(batch.features)))
        loss = _base(g, _drawn(g, batch.embeddings, g.gaussian(len(batch.features))), batch)
        for row, embedding in zip(strange, imagined, strict=True):
            chances = g.networks["classifier"](row).softmax(dim=0)
            mass = sum(p**2.0 * (1 / seen) ** -1.0 for p in chances)
            divergence = (mass ** ((1 - 0.5) / (1 - 2.0)) - 1) / (0.5 - 1)
            loss = loss + 0.5 * (divergence - g.networks["critic"](row[None], embedding[None])[0]) / len(strange)
        return loss

    _same(g, lambda: g.generator_loss(batch, 1), slow, "generator")


# ---- what they bring about, on real rows


@pytest.fixture(scope="module")
def trained():
    """A generator that learned from thirty classes of CUB, by name and settings."""
    data, made = small_cub(), {}

    def get(name: str, **settings) -> Generator:
        key = (name, *sorted(settings.items()))
        if key not in made:
            made[key] = GENERATORS.make(name, {**QUICK, "device": "cpu", **settings}).fit(
                data.train.matrix, data.train.labels, data.embeddings
            )
        return made[key]

    return get


NARROW = {
    "lisgan": {"mean_rows": 5, "mean_classes": 6},
    "dascn": {"dual_hidden": 64},
    "cegzsl": {"embedding": 64, "projection": 32, "comparator_hidden": 32},
    "dsp": {"reader_hidden": 64, "evolver_hidden": 64},
    "lsrgan": {},
    "cizsl": {},
}


@pytest.mark.parametrize("name", NARROW)
def test_birds_never_seen_are_told_apart_by_drawn_rows(name, trained):
    data, generator = small_cub(), trained(name, **NARROW[name], pivot_weight=3.0)
    drawn = next(generator.synthesise(data.split.unseen, 30, represented=True)).matrix.reshape(len(data.split.unseen), 30, -1).mean(axis=1)
    asked = generator.represented(data.test_unseen.matrix)
    best = ((asked[:, None] - drawn) ** 2).sum(axis=2).argmin(axis=1)
    right = np.mean([data.split.unseen[i] == c for i, c in zip(best, data.test_unseen.labels, strict=True)])
    assert right > 2 / len(data.split.unseen), right


def test_soul_samples_draw_rows_near(trained):
    data, off = small_cub(), {}
    for weight in (0.0, 0.1):
        g = trained("lisgan", **NARROW["lisgan"], soul_weight=weight, mean_weight=weight)
        rows = torch.from_numpy(g.scaling(next(g.synthesise(g.seen, 10)).matrix))
        off[weight] = float(nearest_soul(rows, torch.arange(len(g.seen)).repeat_interleave(10), g.networks["souls"].samples))
    real = torch.from_numpy(g.scaling(data.train.matrix))
    within = float(nearest_soul(real, torch.tensor([g.seen.index(c) for c in data.train.labels]), g.networks["souls"].samples))
    assert off[0.1] < 0.9 * off[0.0] and off[0.1] < 1.5 * within, (off, within)


def test_dascn_reads_embeddings_back_off_drawn_rows(trained):
    data = small_cub()
    g = trained("dascn", **NARROW["dascn"], semantic_weight=1.0)
    drawn = torch.from_numpy(g.scaling(next(g.synthesise(data.split.unseen, 20)).matrix))
    read = g.reconstructed(drawn).view(len(data.split.unseen), 20, -1).mean(dim=1)
    known = g._scaled(g.embeddings.rows(data.split.unseen))
    assert (torch.cdist(read, known).argmin(dim=1) == torch.arange(len(known))).float().mean() > 0.6


def test_cegzsls_space_draws_rows_of_a_class_together(trained):
    data = small_cub()
    labels = np.array(data.test_unseen.labels)
    same = (labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)

    def apart(rows: np.ndarray) -> float:
        """How much longer a distance between classes is than within one."""
        far = np.sqrt(((rows[:, None] - rows) ** 2).sum(axis=2))
        return float(far[labels[:, None] != labels].mean() / far[same].mean())

    g = trained("cegzsl", **NARROW["cegzsl"])
    assert apart(g.represented(data.test_unseen.matrix)) > apart(g.scaling(data.test_unseen.matrix)) > 1


def test_dsps_prototypes_evolve_towards_what_is_read_off_drawn_rows(trained):
    data = small_cub()
    g = trained("dsp", **NARROW["dsp"], alpha=0.5)
    known = g._scaled(g.embeddings.rows(data.split.seen))
    read = g.read(torch.from_numpy(g.scaling(data.train.matrix)))
    labels = torch.tensor([data.split.seen.index(c) for c in data.train.labels])
    means = torch.stack([read[labels == c].mean(dim=0) for c in range(len(known))])
    before, after = ((at - means).abs().sum(dim=1).mean() for at in (known, g.prototypes(known)))
    assert after < before
    assert g.represented(data.test_unseen.matrix).shape[1] == g.dim + g.semantics


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lisgan", {"souls": 0}),
        ("lisgan", {"soul_weight": -1.0}),
        ("lisgan", {"mean_rows": 0}),
        ("dascn", {"dual_hidden": 0}),
        ("dascn", {"semantic_weight": -0.1}),
        ("cegzsl", {"instance_temperature": 0.0}),
        ("cegzsl", {"projection": 0}),
        ("cegzsl", {"class_contrast_weight": -1.0}),
        ("dsp", {"alpha": 1.2}),
        ("dsp", {"evolutions": 0}),
        ("dsp", {"cycle_weight": -1.0}),
        ("lsrgan", {"slack": 2.0}),
        ("cizsl", {"alpha": 0.0}),
    ],
)
def test_settings_are_checked(name, settings):
    with pytest.raises(InvalidInputError, match=next(iter(settings))):
        make(name, **settings)
