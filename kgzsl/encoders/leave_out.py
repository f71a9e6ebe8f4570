"""Hyper-parameters of graph_gp from seen classes alone: closed-form leave-group-out, two questions.

The seen classes are split into five groups. With one left out, eq. (1) of `graph_gp.py` is solved in closed form
on the rest and predicts the group. The true weight of a held-out class c, as a query, must then find

1. **itself** among the held-out classes of its group: recognising a class never seen; and
2. **its hypernyms** that are not seen classes, among all unseen hypernyms of seen classes and random other nodes:
   an example of c is an example of them, so a seen class tells what a good classifier of an unseen, more general
   class is. This is the only seen-class evidence about such classes.

Both are softmax cross-entropies with a temperature of their own. Mixture, scales and ridge answer the first, by Adam:
what tells siblings apart (a gloss, a description) seldom names a parent, so the second would only take it away. The
head of eq. (2) then answers both, by L-BFGS: general classes must be found, and not at the cost of specific ones.
No weight, text score or image of an unseen class takes part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import functional

from kgzsl.encoders.kernels import NodeKernels, combine
from kgzsl.errors import InvalidInputError
from kgzsl.progress import track

GROUPS = 5
#: Random other nodes among the candidates of the second question; thousands stand there when ImageNet-21K is predicted.
DISTRACTORS = 1500
LEARNING_RATE = 0.1
#: Pull of log weights and log scales towards their start, so that few classes do not decide too much.
PULL = 3e-3
#: Most L-BFGS iterations on η, μ and the temperature once the kernels are fixed.
HEAD_STEPS = 20


@dataclass(frozen=True)
class Hyperparameters:
    """What leave-group-out chose.

    Attributes
    ----------
    log_weights, log_scales : of the kernels, `[kernels]` and `[kernels, 2]`.
    ridge : λ > 0.
    generality : η, the exponent of a node's size.
    pooling : μ in 0…1, how far a classifier moves towards its hyponyms'.
    """

    log_weights: torch.Tensor
    log_scales: torch.Tensor
    ridge: float
    generality: float
    pooling: float

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the values as arrays for saving."""
        head = np.array([self.ridge, self.generality, self.pooling])
        return {"log_weights": self.log_weights.numpy(), "log_scales": self.log_scales.numpy(), "head": head}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], kernels: int) -> Hyperparameters:
        """Take back what `arrays` returned; raises InvalidInputError for another number of kernels."""
        weights, scales = (torch.from_numpy(np.array(arrays[name])) for name in ("log_weights", "log_scales"))
        if weights.shape != (kernels,) or scales.shape != (kernels, 2):
            raise InvalidInputError("the state has one weight and two scales per kernel", received=f"{weights.shape}, {scales.shape}")
        ridge, generality, pooling = (float(v) for v in arrays["head"])
        return cls(weights, scales, ridge, generality, pooling)


@dataclass(frozen=True)
class _Task:
    """The left-out groups and the candidates of the second question.

    `rows` are the seen classes, then the candidates: unseen hypernyms of seen classes, then distractors.
    `above[c, h]` is 1 where candidate h is a hypernym of seen class c, `[seen, candidates]`.
    """

    rows: np.ndarray
    above: torch.Tensor
    log_size: torch.Tensor
    groups: list[torch.Tensor]
    rest: list[torch.Tensor]


class Questions:
    """Everything about the two questions that does not depend on the weights: made once for several backbones.

    Parameters
    ----------
    features : base similarities with the seen classes.
    parents : hypernym edges, row = child, `[nodes, nodes]`.
    names : kernels of the mixture.
    seed : draws the groups and the distractors.
    """

    def __init__(self, features: NodeKernels, parents: sp.csr_matrix, names: Sequence[str], seed: int) -> None:
        self.features, self.names = features, tuple(names)
        self.task = _task(features, parents, seed)
        self.hyponyms = sp.csr_matrix(parents.T)[self.task.rows]
        self.rows = np.unique(np.concatenate([self.task.rows, self.hyponyms.indices]))
        self.among_seen = features.similarities(features.seen)

    @cached_property
    def to_seen(self) -> dict[str, torch.Tensor]:
        """Base similarities of the task's rows and of their hyponyms."""
        return self.features.similarities(self.rows)


def asked_rows(parents: sp.csr_matrix, seen: np.ndarray, seed: int) -> np.ndarray:
    """Return the positions of all nodes that the questions need: seen classes, candidates and the hyponyms of both."""
    hypernyms, distractors = _candidates(parents, seen, np.random.default_rng(seed))
    rows = np.concatenate([seen, hypernyms, distractors])
    return np.unique(np.concatenate([rows, sp.csr_matrix(parents.T)[rows].indices]))


def learn(questions: Questions, weights: Sequence[np.ndarray], steps: int) -> list[Hyperparameters]:
    """Return the hyper-parameters that answer both questions best (see the module's docstring), those of each backbone.

    With several backbones the mixture, scales and ridge are theirs together (the mean of their losses), as is every solve;
    the heads are their own.

    Parameters
    ----------
    weights : of each backbone, the L2-normalised classifier weights of the seen classes, `[seen, features + 1]`.
    """
    task, names = questions.task, questions.names
    backbones = [_Backbone(torch.from_numpy(w)) for w in weights]
    start_weights = torch.full((len(names),), -math.log(len(names)))
    start_scales = torch.tensor([2.0, 1.0]).log().repeat(len(names), 1)
    log_weights, log_scales = start_weights.clone().requires_grad_(), start_scales.clone().requires_grad_()
    log_ridge = torch.tensor(math.log(0.5), requires_grad=True)
    optimiser = torch.optim.Adam([log_weights, log_scales, log_ridge, *(b.temperature for b in backbones)], lr=LEARNING_RATE)
    for step in track(range(steps), "graph_gp: leave-group-out"):
        optimiser.zero_grad()
        kernel = combine(questions.among_seen, names, log_weights, log_scales)
        loss = PULL * ((log_weights - start_weights).square().sum() + (log_scales - start_scales).square().sum())
        for g in (step % GROUPS, (step + 2) % GROUPS):
            coefficients = _coefficients(task.groups[g], task.rest[g], kernel, log_ridge.exp())
            for backbone in backbones:
                loss = loss + _find_itself(task.groups[g], task.rest[g], coefficients, backbone) / (2 * len(backbones))
        loss.backward()
        optimiser.step()
    log_weights, log_scales, ridge = log_weights.detach(), log_scales.detach(), float(log_ridge.detach().exp())
    heads = [_head(questions, backbone, (log_weights, log_scales, ridge)) for backbone in backbones]
    return [Hyperparameters(log_weights, log_scales, ridge, eta, mu) for eta, mu in heads]


class _Backbone:
    """Inner products of one backbone's weights, and its temperature (a log)."""

    def __init__(self, targets: torch.Tensor) -> None:
        self.targets = targets
        self.queries = functional.normalize(targets[:, :-1])
        self.gram, self.overlap = targets @ targets.T, self.queries @ targets[:, :-1].T
        self.temperature = torch.tensor(3.0, requires_grad=True)


def _candidates(parents: sp.csr_matrix, seen: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Unseen hypernyms of seen classes, and random other unseen nodes."""
    unseen = np.setdiff1d(np.arange(parents.shape[0]), seen)
    hypernyms = np.intersect1d(parents[seen].indices, unseen)
    others = np.setdiff1d(unseen, hypernyms)
    return hypernyms, rng.choice(others, min(DISTRACTORS, len(others)), replace=False)


def _task(features: NodeKernels, parents: sp.csr_matrix, seed: int) -> _Task:
    rng = np.random.default_rng(seed)
    seen = features.seen
    hypernyms, distractors = _candidates(parents, seen, rng)
    above = np.hstack([(parents[seen][:, hypernyms] != 0).toarray(), np.zeros((len(seen), len(distractors)), dtype=bool)])
    groups = [np.sort(part) for part in np.array_split(rng.permutation(len(seen)), GROUPS)]
    rows = np.concatenate([seen, hypernyms, distractors])
    return _Task(
        rows=rows,
        above=torch.from_numpy(above),
        log_size=torch.from_numpy(np.log(features.size[rows]).astype(np.float32)),
        groups=[torch.from_numpy(g) for g in groups],
        rest=[torch.from_numpy(np.setdiff1d(np.arange(len(seen)), g)) for g in groups],
    )


def _coefficients(group: torch.Tensor, rest: torch.Tensor, kernel: torch.Tensor, ridge: torch.Tensor) -> torch.Tensor:
    """Of the predictions for `group`, left out: coefficients @ Y_rest, `[group, rest]`."""
    columns = kernel.index_select(1, rest)  # its gradient is cheaper than that of kernel[rows][:, rest]
    factor = torch.linalg.cholesky(columns.index_select(0, rest) + ridge * torch.eye(len(rest)))
    return torch.cholesky_solve(columns.index_select(0, group).T, factor).T


def _find_itself(group: torch.Tensor, rest: torch.Tensor, coefficients: torch.Tensor, backbone: _Backbone) -> torch.Tensor:
    """Cross-entropy of the first question with `group` left out; predictions enter through inner products only."""
    lengths = ((coefficients @ backbone.gram[rest][:, rest]) * coefficients).sum(dim=1).clamp_min(1e-8).sqrt()
    scores = backbone.overlap[group][:, rest] @ coefficients.T / lengths
    return functional.cross_entropy(scores * backbone.temperature.exp(), torch.arange(len(group)))


def _find_hypernym(logits: torch.Tensor, above: torch.Tensor) -> torch.Tensor:
    """−log of the softmax mass on the true hypernyms, mean over the classes that have any; 0 when none has."""
    has = above.any(dim=1)
    if not has.any():
        return logits.sum() * 0.0
    mass = torch.log_softmax(logits[has], dim=1).masked_fill(~above[has], -math.inf)
    return -torch.logsumexp(mass, dim=1).mean()


def _head(questions: Questions, backbone: _Backbone, kernel: tuple[torch.Tensor, torch.Tensor, float]) -> tuple[float, float]:
    """Return η and μ from both questions with the kernels fixed and hyponyms pooled as in eq. (2)."""
    task = questions.task
    if not task.above.any():
        return 0.0, 0.0
    prepared = []
    for g, (own, pooled) in enumerate(_pooled_predictions(questions, backbone.targets, kernel)):
        query, cosine, has = backbone.queries[task.groups[g]], (own * pooled).sum(dim=1), (pooled != 0).any(dim=1)
        prepared.append((query @ own[:, :-1].T, query @ pooled[:, :-1].T, cosine, has, task.groups[g]))
    # η, then μ = sigmoid of the second value (½ at the start), then the log temperatures
    head = torch.tensor([0.0, 0.0, 3.0, 3.0], requires_grad=True)
    optimiser = torch.optim.LBFGS([head], max_iter=HEAD_STEPS, line_search_fn="strong_wolfe")
    seen = task.above.shape[0]

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = torch.zeros(())
        for own_scores, pooled_scores, cosine, has, group in prepared:
            mu = torch.sigmoid(head[1]) * has
            length = ((1 - mu).square() + mu.square() + 2 * mu * (1 - mu) * cosine).sqrt()  # of a mix of unit rows
            scores = ((1 - mu) * own_scores + mu * pooled_scores) / length * (head[0] * task.log_size).exp()
            itself = functional.cross_entropy(scores[:, group] * head[2].exp(), torch.arange(len(group)))
            total = total + (itself + _find_hypernym(scores[:, seen:] * head[3].exp(), task.above[group])) / GROUPS
        total.backward()
        return total

    optimiser.step(loss)
    return float(head[0].detach()), float(torch.sigmoid(head[1].detach()))


def _pooled_predictions(
    questions: Questions, targets: torch.Tensor, kernel: tuple[torch.Tensor, torch.Tensor, float]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Per left-out group: unit predictions of the task's rows and of their hyponyms' mean, `[rows, dim]` each."""
    log_weights, log_scales, ridge = kernel
    task, names, rows, seen = questions.task, questions.names, questions.rows, questions.features.seen
    members = (questions.hyponyms[:, rows] != 0).astype(np.float32)
    at_rows = torch.from_numpy(np.searchsorted(rows, task.rows))
    among_seen = combine(questions.among_seen, names, log_weights, log_scales)
    to_seen = combine(questions.to_seen, names, log_weights, log_scales)
    found = []
    for rest in task.rest:
        system = among_seen.index_select(0, rest).index_select(1, rest) + ridge * torch.eye(len(rest))
        predicted = functional.normalize(to_seen.index_select(1, rest) @ torch.linalg.solve(system, targets[rest]))
        _, at_row, at_rest = np.intersect1d(rows, seen[rest.numpy()], return_indices=True)
        below = predicted.clone()
        below[torch.from_numpy(at_row)] = targets[rest[torch.from_numpy(at_rest)]]
        found.append((predicted[at_rows], functional.normalize(torch.from_numpy(np.asarray(members @ below.numpy())))))
    return found
