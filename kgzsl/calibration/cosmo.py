"""COSMO: two experts under a soft gate, smoothed where the gate doubts them (Atzmon and Chechik, 2019)."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy import special

from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows, check_fitted
from kgzsl.calibration.temperature import fit_temperature, minimise, softmax
from kgzsl.errors import InvalidInputError

#: What the held-out H chooses from; 1 and 1 are the paper's smoothing and the gate as it was fitted.
SMOOTHINGS = (1.0, 0.5, 0.0)
SOFTNESSES = (1.0, 0.3, 3.0)
#: Thresholds of the gate that are tried, as quantiles of the held-out rows' logits.
_THRESHOLDS = 65


def combine(seen: np.ndarray, unseen: np.ndarray, gate: np.ndarray, smoothing: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return p(y | x) of seen and of unseen classes by total probability, each expert smoothed.

    An expert that the gate gives g is mixed with the uniform distribution by λ = smoothing · (1 − g): where an expert is
    probably not in charge, its confidence means nothing.

    Parameters
    ----------
    seen, unseen : the experts' p(y | x, domain), `[rows, seen]` and `[rows, unseen]`; rows sum to 1.
    gate : p(seen | x), `[rows]` in 0…1.
    smoothing : 1 is the paper's adaptive smoothing, 0 none.

    Returns
    -------
    Two arrays of those shapes; both together sum to 1 in every row.
    """
    parts = []
    for expert, own in ((seen, gate[:, None]), (unseen, 1 - gate[:, None])):
        doubt = smoothing * (1 - own)
        parts.append(own * ((1 - doubt) * expert + doubt / expert.shape[1]))
    return parts[0], parts[1]


def fit_gate(confidences: np.ndarray, of_seen_class: np.ndarray) -> np.ndarray:
    """Return weights `[dim + 1]`, the last one the bias, of a logistic regression of seen against unseen.

    Both kinds of rows weigh the same in total, as they do in H; the weights (not the bias) carry an L2 penalty of ½‖w‖².

    Parameters
    ----------
    confidences : `[rows, dim]`.
    of_seen_class : bool `[rows]`.
    """
    design = np.hstack([confidences, np.ones((len(confidences), 1))])
    sign = np.where(of_seen_class, 1.0, -1.0)
    share = np.where(of_seen_class, 0.5 / of_seen_class.sum(), 0.5 / (~of_seen_class).sum())
    penalised = np.append(np.ones(confidences.shape[1]), 0.0) / len(confidences)

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (design @ w)
        loss = -(share * special.log_expit(margin)).sum() + 0.5 * (penalised * w * w).sum()
        slope = -share * sign * special.expit(-margin)
        return float(loss), design.T @ slope + penalised * w

    return minimise(objective, np.zeros(design.shape[1]).tolist(), [(None, None)] * design.shape[1])


class COSMO(Calibration):
    """A gate p(seen | x) on the experts' confidences combines a seen and an unseen expert, each smoothed by the gate's doubt.

    Columns of seen and of unseen classes are two experts: each has a softmax and a temperature of its own, so their scores
    need not share a scale. Departures from the authors' code: the experts' temperatures are fitted, not set to 3, and the gate
    is trained on all held-out rows, not on two thirds.

    Parameters
    ----------
    top : K, how many of each expert's highest probabilities the gate sees (5 in the authors' code).
    """

    name = "cosmo"
    source = "Atzmon, Chechik, Adaptive Confidence Smoothing for Generalized Zero-Shot Learning, CVPR 2019"

    def __init__(self, *, top: int = 5) -> None:
        if top < 1:
            raise InvalidInputError("the gate sees at least one probability of each expert", received=top)
        self.top = top
        self.gate: np.ndarray | None = None

    def fit(self, held_out: HeldOut) -> Self:
        """Fit temperatures, gate and smoothing on rows of seen classes and of classes treated as unseen.

        The gate's threshold and softness and the amount of smoothing are those with the best held-out H.
        """
        of_seen = held_out.of_seen_class()
        self.temperatures = tuple(
            _own_temperature(held_out, columns, rows) for columns, rows in zip(held_out.sides(), (of_seen, ~of_seen), strict=True)
        )
        experts = self._experts(held_out)
        confidences = self._confidences(*experts)
        self.gate = fit_gate(confidences, of_seen)
        logits = confidences @ self.gate[:-1] + self.gate[-1]
        self.threshold, self.softness, self.smoothing = _best_gate(held_out, experts, logits, of_seen)
        return self

    def gates(self, rows: ScoredRows) -> np.ndarray:
        """Return p(seen | x), float64 `[rows]`."""
        check_fitted(self.gate, self)
        assert self.gate is not None
        confidences = self._confidences(*self._experts(rows))
        return _gate(confidences @ self.gate[:-1] + self.gate[-1], self.threshold, self.softness)

    def decide(self, rows: ScoredRows) -> Answers:
        """Return answers with p(y | x) as their scores, `[rows, classes]`."""
        gate = self.gates(rows)
        scores = np.empty(rows.scores.shape)
        parts = combine(*self._experts(rows), gate, self.smoothing)
        for columns, part in zip(rows.sides(), parts, strict=True):
            scores[:, columns] = part
        return Answers.of_scores(rows.classes, scores)

    def _experts(self, rows: ScoredRows) -> tuple[np.ndarray, np.ndarray]:
        seen, unseen = rows.sides()
        return softmax(rows.scores[:, seen], self.temperatures[0]), softmax(rows.scores[:, unseen], self.temperatures[1])

    def _confidences(self, *experts: np.ndarray) -> np.ndarray:
        """The K highest probabilities of each expert, highest first, `[rows, 2 K]`; an expert of fewer classes is filled with 0."""
        parts = []
        for expert in experts:
            k = min(self.top, expert.shape[1])
            highest = -np.sort(-np.partition(expert, -k, axis=1)[:, -k:], axis=1)
            parts.append(np.pad(highest, ((0, 0), (0, self.top - k))))
        return np.hstack(parts)


def _own_temperature(held_out: HeldOut, columns: np.ndarray, rows: np.ndarray) -> float:
    place = np.empty(len(held_out.classes), dtype=np.int64)
    place[columns] = np.arange(len(columns))
    return fit_temperature(held_out.scores[np.ix_(rows, columns)], place[held_out.truth[rows]])


def _gate(logits: np.ndarray, threshold: float, softness: float) -> np.ndarray:
    return np.asarray(special.expit((logits - threshold) / softness))


def _best_gate(
    held_out: HeldOut, experts: tuple[np.ndarray, np.ndarray], logits: np.ndarray, of_seen: np.ndarray
) -> tuple[float, float, float]:
    """Return the threshold, softness and smoothing with the best held-out H; earlier choices win ties, thresholds by their middle.

    Smoothing changes no order within an expert, so every row is its best seen and its best unseen class.
    """
    thresholds = np.unique(np.append(np.quantile(logits, np.linspace(0, 1, _THRESHOLDS)), 0.0))
    tops = [expert.max(axis=1) for expert in experts]
    sizes = [expert.shape[1] for expert in experts]
    right = [columns[e.argmax(axis=1)] == held_out.truth for columns, e in zip(held_out.sides(), experts, strict=True)]
    _, inverse, counts = np.unique(held_out.truth, return_inverse=True, return_counts=True)
    weights = 1.0 / counts[inverse]
    weights = weights / np.where(of_seen, weights[of_seen].sum(), weights[~of_seen].sum())
    best, found = -1.0, (0.0, 1.0, 1.0)
    for smoothing in SMOOTHINGS:
        for softness in SOFTNESSES:
            g = special.expit((logits - thresholds[:, None]) / softness)
            seen, unseen = (
                own * ((1 - smoothing * (1 - own)) * top + smoothing * (1 - own) / size)
                for own, top, size in zip((g, 1 - g), tops, sizes, strict=True)
            )
            answers_seen = seen >= unseen
            s = (answers_seen * (right[0] & of_seen)) @ weights
            u = (~answers_seen * (right[1] & ~of_seen)) @ weights
            h = 2 * s * u / np.maximum(s + u, 1e-300)
            if h.max() > best + 1e-12:
                level = np.flatnonzero(h >= h.max() - 1e-12)
                best, found = float(h.max()), (float(thresholds[level[len(level) // 2]]), softness, smoothing)
    return found
