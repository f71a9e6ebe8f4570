"""Calibrated stacking: subtract γ from the scores of seen classes (Chao et al., 2016, eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows, check_fitted
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.generalised import area_under_curve, bias_sweep, harmonic_mean


@dataclass(frozen=True)
class JointScores:
    """The best seen and unseen answer of every row, all that calibrated stacking needs.

    Attributes
    ----------
    margin : best seen score − best unseen score, `[rows]`, in the units of γ.
    right_seen, right_unseen : 1 where the best seen (unseen) class is the true one, `[rows]`.
    of_seen_class : True where the row's true class is a seen one, `[rows]`.
    labels : class index of each row, `[rows]`.
    """

    margin: np.ndarray
    right_seen: np.ndarray
    right_unseen: np.ndarray
    of_seen_class: np.ndarray
    labels: np.ndarray

    @classmethod
    def from_scores(cls, scores: np.ndarray, truth: np.ndarray, seen: np.ndarray) -> JointScores:
        """Reduce `scores` `[rows, classes]` with true columns `truth` `[rows]` and the seen columns' mask `[classes]`."""
        seen_columns, unseen_columns = np.flatnonzero(seen), np.flatnonzero(~seen)
        if len(seen_columns) == 0 or len(unseen_columns) == 0:
            raise InvalidInputError(
                "calibrated stacking needs seen and unseen classes", received=f"{len(seen_columns)} and {len(unseen_columns)}"
            )
        rows = np.arange(len(scores))
        best_seen = seen_columns[scores[:, seen_columns].argmax(axis=1)]
        best_unseen = unseen_columns[scores[:, unseen_columns].argmax(axis=1)]
        return cls(
            margin=(scores[rows, best_seen] - scores[rows, best_unseen]).astype(np.float64),
            right_seen=(best_seen == truth).astype(np.float64),
            right_unseen=(best_unseen == truth).astype(np.float64),
            of_seen_class=seen[truth],
            labels=np.asarray(truth),
        )

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return `(gammas, S, U)`, per-class accuracies at every γ where a decision changes."""
        s, u = self.of_seen_class, ~self.of_seen_class
        if not s.any() or not u.any():
            raise InvalidInputError("S and U need rows of seen and of unseen classes", received=f"{s.sum()} and {u.sum()} rows")
        return bias_sweep(
            self.margin[s],
            self.right_seen[s],
            self.margin[u],
            self.right_unseen[u],
            _per_class_weights(self.labels[s]),
            _per_class_weights(self.labels[u]),
        )


def _per_class_weights(labels: np.ndarray) -> np.ndarray:
    """Weights `[rows]` under which a sum of hits is the mean over classes of class means."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return 1.0 / (counts[inverse] * len(counts))


def choose_gamma(held_out: JointScores) -> float:
    """Return the γ with the best H on held-out **seen** classes, some of them treated as unseen.

    The middle of the best stretch between two change points is taken, so that no single row decides.
    """
    gammas, seen, unseen = held_out.curve()
    h = np.array([harmonic_mean(s, u) for s, u in zip(seen, unseen, strict=True)])
    best = int(h.argmax())
    low = gammas[best] if np.isfinite(gammas[best]) else gammas[1] - 1.0
    high = gammas[best + 1] if best + 1 < len(gammas) else low
    return float((low + high) / 2)


def evaluate(scores: JointScores, gamma: float) -> dict[str, float]:
    """Return per-class S, U and H at `gamma` and the AUSUC over all γ; values in 0…1."""
    gammas, seen, unseen = scores.curve()
    at = int(np.searchsorted(gammas, gamma, side="right")) - 1
    s, u = float(seen[at]), float(unseen[at])
    return {"S": s, "U": u, "H": harmonic_mean(s, u), "AUSUC": area_under_curve(seen, unseen)}


class CalibratedStacking(Calibration):
    """Seen classes' scores are lowered by γ, the value with the best H on held-out seen classes.

    Parameters
    ----------
    gamma : γ in the scores' units, where it is known already; `fit` sets it.
    """

    name = "stacking"
    source = "Chao, Changpinyo, Gong, Sha, An Empirical Study and Analysis of Generalized Zero-Shot Learning, ECCV 2016, eq. 3"

    def __init__(self, *, gamma: float | None = None) -> None:
        self.gamma = gamma

    def fit(self, held_out: HeldOut) -> Self:
        """Choose γ on rows of seen classes and of classes treated as unseen (see `choose_gamma`)."""
        self.gamma = choose_gamma(JointScores.from_scores(held_out.scores, held_out.truth, held_out.is_seen))
        return self

    def decide(self, rows: ScoredRows) -> Answers:
        check_fitted(self.gamma, self)
        return Answers.of_scores(rows.classes, rows.scores - self.gamma * rows.is_seen)
