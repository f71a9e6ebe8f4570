"""The loss over all answers: every question of training, `(head, relation, ?)` or `(?, relation, tail)`, against all entities at once.

Cross-entropy of Lacroix et al., Canonical Tensor Decomposition for Knowledge Base Completion, ICML 2018 (equation 1), with their
weighted nuclear 3-norm (equation 5). Questions that several triples ask are scored once, which gives the same sum; batches are
therefore batches of questions, and all answers of one are learned together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL
from kgzsl.errors import InvalidInputError


class _LogSumExp(torch.autograd.Function):
    """ln Σ exp of `queries @ entities.T` along entities, float32 `[queries]`; dense products in a type, only the softmax is kept."""

    @staticmethod
    def forward(ctx: Any, queries: torch.Tensor, entities: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        q, e = queries.to(dtype), entities.to(dtype)
        logits = q @ e.T
        top = logits.amax(dim=1).float()
        share = logits.softmax(dim=1)
        ctx.save_for_backward(q, e, share)
        return top - share.amax(dim=1).float().log()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        q, e, share = ctx.saved_tensors
        weighted = share.mul_(gradient[:, None].to(share.dtype))
        return (weighted @ e).float(), (weighted.T @ q).float(), None


def log_sum_exp(queries: torch.Tensor, entities: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return ln Σ_e exp(q · e) for each query, float32 `[queries]`, differentiable once."""
    found: torch.Tensor = _LogSumExp.apply(queries, entities, dtype)
    return found


class Questions:
    """The different questions of some triples, and the answers of each.

    Attributes
    ----------
    given, relation : what a question states, int64 `[questions]`.
    asks_head : whether it asks for the head, bool `[questions]`.
    offsets, answers : its answers are `answers[offsets[i] : offsets[i + 1]]`.
    """

    def __init__(self, triples: np.ndarray, device: torch.device) -> None:
        if not len(triples):
            raise InvalidInputError("links are learned from at least one triple", received="none")
        sides = [_grouped(triples, HEAD, TAIL), _grouped(triples, TAIL, HEAD)]
        given, relation, counts, answers = (np.concatenate([side[k] for side in sides]) for k in range(4))
        of_head = np.repeat([False, True], [len(side[0]) for side in sides])
        offsets = np.concatenate([[0], np.cumsum(counts)])
        self.given, self.relation, self.asks_head, self.offsets, self.answers = (
            torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (given, relation, of_head, offsets, answers)
        )

    def __len__(self) -> int:
        return len(self.given)

    def batches(self, size: int, generator: torch.Generator) -> list[torch.Tensor]:
        """Return all questions in a random order, in batches of at most `size`; those for tails first in each."""
        order = torch.randperm(len(self), generator=generator, device=self.given.device)
        return [batch[self.asks_head[batch].int().argsort(stable=True)] for batch in order.split(size)]

    def answers_of(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the place in the batch and the entity of every answer, each int64 `[answers]`."""
        first = self.offsets[batch]
        counts = self.offsets[batch + 1] - first
        row = torch.repeat_interleave(counts)
        within = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        return row, self.answers[first[row] + within]


def _grouped(triples: np.ndarray, given: int, answer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return given entity, relation and number of answers of each question, and all answers, question after question."""
    order = np.lexsort((triples[:, answer], triples[:, RELATION], triples[:, given]))
    rows = triples[order]
    new = np.flatnonzero(np.r_[True, (np.diff(rows[:, [given, RELATION]], axis=0) != 0).any(axis=1)])
    return rows[new, given], rows[new, RELATION], np.diff(np.r_[new, len(rows)]), rows[:, answer]


def answers_loss(model: Any, questions: Questions, batch: torch.Tensor, regularisation: float, dtype: torch.dtype) -> torch.Tensor:
    """Return the mean over the answers of a batch of −ln of the true one's share, plus the 3-norm of what the answers use.

    Parameters
    ----------
    model : a `DotLinks` in training.
    """
    entities, relations = model._whole()
    row, answer = questions.answers_of(batch)
    used = functional.embedding(torch.cat([questions.given[batch], answer]), entities)  # one gradient for both uses
    given, true = used[: len(batch)], used[len(batch) :]
    relation = functional.embedding(questions.relation[batch], relations)
    tails = int((~questions.asks_head[batch]).sum())
    query = torch.cat(
        [model.query(given[part], relation[part], side) for part, side in ((slice(tails), "tail"), (slice(tails, None), "head"))]
    )
    counts = torch.bincount(row, minlength=len(batch)).float()
    likelihood = (query[row] * true).sum() - counts @ log_sum_exp(query, entities, dtype)
    cubes = counts @ (model.cubed(given) + model.cubed(relation)) + model.cubed(true).sum()
    return (regularisation * cubes - likelihood) / len(row)
