"""OntoZSL for knowledge-graph completion: features of pairs are generated from a relation's vector (Geng et al., 2021; Qin et al., 2020).

Method
------
Features of pairs. An entity is known by its features and by its neighbourhood, the mean over its training triples of the other ends'
features (published: of at most 50 of them, here of all; the triple in question is left out). `f(h, t) = [a, b, a ⊙ b]` (`pairs.py`) is
trained on seen relations: with references r* of the same relation, true pairs lie a margin of 10 above pairs with another tail,

    max(0, 10 + s(h, t′) − s(h, t)),      s(h, t) = f(h, t) · mean over r* of f(r*).                                  (1)

The published extractor mixes both ends by a perceptron of the concatenation, which costs a pass per candidate; here the product
`a ⊙ b` does, so that all candidates are three products of matrices.

Generation. A Wasserstein generator G of noise (15 columns) and the relation's vector, against a critic of features (gradient penalty 10,
five steps to one), with two further terms: a hinge by which generated features are more similar to the centre of their own relation's
features than to other relations' centres, and 3 times the distance of a batch's mean from its relation's centre (visual pivot):

    L_G = −D(x̃) + hinge + 3 · pivot.                                                                                 (2)

Answers. A pair's score is the mean cosine of its features with 20 generated features of the relation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional

from kgzsl.completion.base import TrainingFacts
from kgzsl.completion.pairs import PairEncoder, PairModel, PairSampler, hinge
from kgzsl.completion.projection import score_pairs
from kgzsl.datasets.completion_set import HEAD, TAIL
from kgzsl.devices import resolve_device
from kgzsl.errors import DivergedError, InvalidInputError
from kgzsl.generators.losses import pivot, wasserstein
from kgzsl.generators.networks import Critic, perceptron
from kgzsl.metrics.filtered_ranking import Queries
from kgzsl.progress import track

#: Relations and triples of each that a step of the extractor looks at.
RELATIONS_PER_STEP = 16


class Neighbourhoods:
    """Sums of the other ends' features over an entity's training triples, and how many these are.

    Parameters
    ----------
    features : `[entities, columns]`.
    triples : int64 `[triples, 3]`.
    """

    def __init__(self, features: np.ndarray, triples: np.ndarray, device: torch.device) -> None:
        ends, others = (np.concatenate([triples[:, one], triples[:, two]]) for one, two in ((HEAD, TAIL), (TAIL, HEAD)))
        met = sparse.coo_matrix((np.ones(len(ends), dtype=np.float32), (ends, others)), shape=(len(features),) * 2).tocsr()
        self.features = torch.from_numpy(features).to(device)
        self.sums = torch.from_numpy(np.ascontiguousarray(met @ features)).to(device)
        self.counts = torch.from_numpy(np.asarray(met.sum(axis=1)).ravel()).to(device)

    def all(self) -> torch.Tensor:
        """Return every entity's features and mean neighbour, `[entities, 2 · columns]`; that of one without triples is 0."""
        return torch.cat([self.features, self.sums / self.counts.clamp_min(1)[:, None]], dim=1)

    def without(self, entities: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Return the same of entities `[…]`, without one triple with each of `others`, `[…, 2 · columns]`."""
        left = (self.counts[entities] - 1).clamp_min(0)[..., None]
        means = (self.sums[entities] - self.features[others]) / left.clamp_min(1)
        return torch.cat([self.features[entities], means * (left > 0)], dim=-1)


class OntoZSLCompletion(PairModel):
    """OntoZSL's zero-shot completion: a Wasserstein generator of pair features from relation vectors (Geng et al. 2021).

    Parameters
    ----------
    pair_columns : a third of a pair's features.
    extractor_steps, extractor_learning_rate, references, margin : of equation 1.
    steps, critic_steps, batch_size, learning_rate : of the generator; critic steps to one of the generator.
    noise, hidden, penalty : columns of noise, of the hidden layers, and the weight of the gradient penalty.
    class_margin, class_weight, pivot_weight : of the hinge and of the pivot in equation 2.
    samples : generated features of each relation.
    structure, structure_dim, text, text_weight, link, columns, unit, familiarity : see `PairModel`.
    """

    name = "ontozsl_kgc"
    source = "Geng et al., OntoZSL, WWW 2021; Qin et al., AAAI 2020; the extractor mixes both ends by a product"

    def __init__(
        self,
        *,
        pair_columns: int = 64,
        extractor_steps: int = 500,
        extractor_learning_rate: float = 2e-3,
        references: int = 16,
        margin: float = 10.0,
        steps: int = 400,
        critic_steps: int = 5,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        noise: int = 15,
        hidden: int = 256,
        penalty: float = 10.0,
        class_margin: float = 0.2,
        class_weight: float = 1.0,
        pivot_weight: float = 3.0,
        samples: int = 20,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        counts = (pair_columns, extractor_steps, references, steps, critic_steps, batch_size, noise, hidden, samples)
        reals = (extractor_learning_rate, margin, learning_rate)
        weights = (penalty, class_margin, class_weight, pivot_weight)
        if min(counts) < 1 or min(reals) <= 0 or min(weights) < 0:
            raise InvalidInputError(
                "counts are at least 1, rates and margin positive, weights 0 or more", received=f"{counts}, {reals}, {weights}"
            )
        self.pair_columns, self.extractor_steps, self.references, self.steps, self.critic_steps = counts[:5]
        self.batch_size, self.noise, self.hidden, self.samples = counts[5:]
        self.extractor_learning_rate, self.margin, self.learning_rate = reals
        self.penalty, self.class_margin, self.class_weight, self.pivot_weight = weights

    def _learn(self, training: TrainingFacts, relations: np.ndarray, seed: int, device: str) -> None:
        """Train the extractor, then the generator (see `PairModel`).

        Raises
        ------
        DivergedError : a loss that is not finite.
        """
        where = resolve_device(device)
        generator = torch.Generator(where).manual_seed(seed)
        near = Neighbourhoods(self.whitened(training, seed, device), training.facts.triples, where)
        sampler = PairSampler(training.facts.triples, len(near.features), len(relations), generator)
        pairs = self._extractor(near, sampler)
        vectors = torch.from_numpy(relations).to(where)
        made = self._generator(pairs, near, sampler, vectors, training.seen_relations())
        with torch.no_grad():
            every = near.all()
            self._heads, self._tails = pairs.heads(every), pairs.tails(every)
            drawn = generated(made, vectors.repeat_interleave(self.samples, dim=0), self.noise, generator)
            self._generated = functional.normalize(drawn, dim=1).view(len(vectors), self.samples, -1).mean(dim=1)

    def learned(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return mean cosines with the generated features; see `CompletionModel.score`."""
        return score_pairs(self._heads, self._tails, self._generated, queries, columns, cosine=True)

    def _extractor(self, near: Neighbourhoods, sampler: PairSampler) -> PairEncoder:
        pairs = PairEncoder(2 * near.features.shape[1], self.pair_columns, sampler.generator)
        optimiser = torch.optim.Adam(pairs.parameters(), lr=self.extractor_learning_rate)
        for _ in track(range(self.extractor_steps), f"{self.name}: pairs"):
            rows = sampler.of(sampler.some_relations(RELATIONS_PER_STEP)[:, None].expand(-1, 2 * self.references))
            optimiser.zero_grad(set_to_none=True)
            loss = extractor_loss(pairs, near, sampler, rows, self.margin)
            loss.backward()
            optimiser.step()
            self._check(loss)
        return pairs.requires_grad_(False)

    def _generator(
        self, pairs: PairEncoder, near: Neighbourhoods, sampler: PairSampler, vectors: torch.Tensor, seen: np.ndarray
    ) -> nn.Sequential:
        generator, width = sampler.generator, 3 * self.pair_columns
        network = perceptron([vectors.shape[1] + self.noise, self.hidden, width], generator)
        critic = Critic(width, 0, self.hidden, generator)
        optimisers = [torch.optim.Adam(net.parameters(), lr=self.learning_rate, betas=(0.5, 0.9)) for net in (network, critic)]
        centres = relation_centres(pairs, near, sampler, torch.from_numpy(seen).to(vectors.device), len(vectors))
        for _ in track(range(self.steps), f"{self.name}: generator"):
            for _ in range(self.critic_steps):
                chosen = sampler.some_relations(self.batch_size)
                rows = sampler.of(chosen)
                with torch.no_grad():
                    real = pair_rows(pairs, near, rows)
                    fake = generated(network, vectors[chosen], self.noise, generator)
                optimisers[1].zero_grad(set_to_none=True)
                wasserstein(critic, real, fake, None, self.penalty, generator).backward()
                optimisers[1].step()
            chosen = sampler.some_relations(self.batch_size)
            optimisers[0].zero_grad(set_to_none=True)
            drawn = generated(network, vectors[chosen], self.noise, generator)
            loss = -critic(drawn).mean() + self.pivot_weight * pivot(drawn, chosen, centres)
            loss = loss + self.class_weight * class_hinge(drawn, chosen, centres, seen, self.class_margin)
            loss.backward()
            optimisers[0].step()
            self._check(loss)
        return network.requires_grad_(False)

    def _check(self, loss: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            raise DivergedError("the training loss must stay finite", received=self.name, remedy="lower the learning rate")


def generated(network: nn.Module, vectors: torch.Tensor, noise: int, generator: torch.Generator) -> torch.Tensor:
    """Return a generated feature for each row of relation vectors, `[rows, columns]`."""
    drawn = torch.randn(len(vectors), noise, generator=generator, device=vectors.device)
    found: torch.Tensor = network(torch.cat([vectors, drawn], dim=1))
    return found


def pair_rows(pairs: PairEncoder, near: Neighbourhoods, rows: torch.Tensor, given: torch.Tensor | None = None) -> torch.Tensor:
    """Return the features of triples' pairs, `[…, 3 · columns]`.

    Parameters
    ----------
    rows : training triples, each left out of its ends' neighbourhoods.
    given : the same triples with another tail: what is encoded in their place. Of its tail, nothing is left out but a like share.
    """
    head, tail = rows[..., HEAD], rows[..., TAIL]
    heads = near.without(head, tail)
    if given is None:
        found: torch.Tensor = pairs(heads, near.without(tail, head))
        return found
    other = given[..., TAIL]
    means = near.sums[other] / near.counts[other].clamp_min(1)[..., None]
    found = pairs(heads, torch.cat([near.features[other], means], dim=-1))
    return found


def extractor_loss(pairs: PairEncoder, near: Neighbourhoods, sampler: PairSampler, rows: torch.Tensor, margin: float) -> torch.Tensor:
    """Return equation 1 of triples of some relations, `[relations, references and as many asked, 3]`; true negatives do not count."""
    half = rows.shape[1] // 2
    asked = rows[:, half:]
    reference = pair_rows(pairs, near, rows[:, :half]).mean(dim=1, keepdim=True)
    wrong = sampler.wrong(asked, TAIL)
    right, other = ((pair_rows(pairs, near, asked, w) * reference).sum(dim=-1) for w in (None, wrong))
    return hinge(right, other, margin, ~sampler.is_true(wrong))


def relation_centres(pairs: PairEncoder, near: Neighbourhoods, sampler: PairSampler, seen: torch.Tensor, relations: int) -> torch.Tensor:
    """Return the mean features of up to 200 drawn triples of each seen relation, `[relations, 3 · columns]`; 0 for unseen ones."""
    with torch.no_grad():
        means = pair_rows(pairs, near, sampler.of(seen[:, None].expand(-1, 200))).mean(dim=1)
        centres = torch.zeros(relations, means.shape[1], device=means.device)
        centres[seen] = means
    return centres


def class_hinge(drawn: torch.Tensor, chosen: torch.Tensor, centres: torch.Tensor, seen: np.ndarray, margin: float) -> torch.Tensor:
    """Return the hinge of generated rows' cosines with their own centre against those with the other seen relations' centres."""
    known = torch.from_numpy(seen).to(drawn.device)
    similar = functional.normalize(drawn, dim=1) @ functional.normalize(centres[known], dim=1).T
    own = torch.searchsorted(known, chosen)[:, None]
    return hinge(similar.gather(1, own), similar, margin, torch.ones_like(similar).scatter(1, own, 0.0))
