"""What every calibration is: scores of all classes, and held-out rows of seen classes → answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from kgzsl.errors import InvalidInputError
from kgzsl.ids import check_unique, positions


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows with a score for every class; which rows belong to which class is not known here.

    Attributes
    ----------
    classes : ids on the class axis, `[classes]`.
    seen : ids of those that are seen, `[seen]`; the others are unseen.
    scores : `[rows, classes]`, finite, higher is better. Columns of seen classes may come from one classifier and
        those of unseen classes from another, where a calibration says that it treats them as two experts.
    features : feature rows, `[rows, dim]`; only calibrations that look at features need them.

    Raises
    ------
    InvalidInputError : shapes disagree, a score or feature is not finite, or an id repeats.
    UnknownNameError : a seen class is not on the class axis.
    """

    classes: tuple[str, ...]
    seen: tuple[str, ...]
    scores: np.ndarray
    features: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_unique(self.classes, "the class axis of scores")
        if self.scores.ndim != 2 or self.scores.shape[1] != len(self.classes):
            raise InvalidInputError("scores are [rows, classes]", received=f"{self.scores.shape} for {len(self.classes):,} classes")
        if not np.isfinite(self.scores).all():
            raise InvalidInputError("scores must be finite", received="NaN or infinity", remedy="check the classifier weights and features")
        if self.features is not None and (self.features.ndim != 2 or len(self.features) != len(self.scores)):
            raise InvalidInputError("features are [rows, dim], a row per row of scores", received=self.features.shape)
        if self.features is not None and not np.isfinite(self.features).all():
            raise InvalidInputError("features must be finite", received="NaN or infinity", remedy="drop or repair those rows")
        _ = self.is_seen

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: np.ndarray) -> Self:
        """Return the rows at the positions `rows`, in that order."""
        return replace(self, scores=self.scores[rows], features=None if self.features is None else self.features[rows])

    @cached_property
    def is_seen(self) -> np.ndarray:
        """True at the columns of seen classes, bool `[classes]`."""
        mask = np.zeros(len(self.classes), dtype=bool)
        mask[positions(self.seen, self.classes, "the class axis of scores")] = True
        return mask

    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of the seen and of the unseen classes; none on either side raises InvalidInputError."""
        seen, unseen = np.flatnonzero(self.is_seen), np.flatnonzero(~self.is_seen)
        if len(seen) == 0 or len(unseen) == 0:
            raise InvalidInputError(
                "deciding between seen and unseen needs classes of both kinds",
                received=f"{len(seen):,} and {len(unseen):,}",
                remedy="score the joint class axis",
            )
        return seen, unseen


@dataclass(frozen=True, eq=False)
class HeldOut(ScoredRows):
    """Rows of seen classes that were kept out of training, with their classes: all that a calibration learns from.

    Where a calibration has to know what unseen classes look like, `seen` holds only the classes that the classifier
    was fitted on, and the other seen classes stand on the axis as if they were unseen (see `tasks.image.calibration_split`).

    Attributes
    ----------
    labels : class id of every row, `[rows]`; each is on the class axis.

    Raises
    ------
    InvalidInputError : no row, or another number of labels than rows.
    UnknownNameError : a label is not on the class axis.
    """

    labels: tuple[str, ...] = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.labels) != len(self.scores) or not self.labels:
            raise InvalidInputError(
                "held-out rows have one label each, and there is at least one",
                received=f"{len(self.labels):,} labels, {len(self.scores):,} rows",
            )
        _ = self.truth

    def take(self, rows: np.ndarray) -> Self:
        """Return the rows at the positions `rows`, in that order, with their labels."""
        features = None if self.features is None else self.features[rows]
        return replace(self, scores=self.scores[rows], features=features, labels=tuple(self.labels[i] for i in rows))

    @cached_property
    def truth(self) -> np.ndarray:
        """The column of every row's own class, int64 `[rows]`."""
        return positions(self.labels, self.classes, "the class axis of scores")

    def of_seen_class(self) -> np.ndarray:
        """Return True where a row's class is seen, bool `[rows]`; rows of only one kind raise InvalidInputError."""
        mask: np.ndarray = self.is_seen[self.truth]
        if mask.all() or not mask.any():
            raise InvalidInputError(
                "this calibration is fitted on rows of seen classes and of classes treated as unseen",
                received=f"{int(mask.sum()):,} and {int((~mask).sum()):,} rows",
                remedy="leave some seen classes out of the classifier and name the others in `seen`",
            )
        return mask


@dataclass(frozen=True, eq=False)
class Answers:
    """The decision for every row.

    Attributes
    ----------
    candidates : ids that could be answered, `[candidates]`; not always the classes that were scored.
    chosen : position of the answer among the candidates, int64 `[rows]`.
    scores : `[rows, candidates]` that rank the candidates, the answer highest, or None where no ranking is made.
    """

    candidates: tuple[str, ...]
    chosen: np.ndarray
    scores: np.ndarray | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The id answered for every row, `[rows]`."""
        return tuple(self.candidates[i] for i in self.chosen)

    @classmethod
    def of_scores(cls, candidates: tuple[str, ...], scores: np.ndarray) -> Self:
        """Answer with the highest score, the first among equals."""
        return cls(candidates, scores.argmax(axis=1), scores)


class Calibration(ABC):
    """Scores → answers.

    A subclass states `name`, `source` (its paper), takes settings and knowledge (a graph's distances, prototypes) in the
    constructor, learns from held-out rows of seen classes in `fit`, and never receives the classes of the rows it decides.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def fit(self, held_out: HeldOut) -> Self:
        """Learn what there is to learn from held-out rows of seen classes."""

    @abstractmethod
    def decide(self, rows: ScoredRows) -> Answers:
        """Return the answer for every row.

        Raises
        ------
        InvalidInputError : called before `fit`.
        """


def check_fitted(value: object, calibration: Calibration) -> None:
    """Raise InvalidInputError when what `fit` sets is still None."""
    if value is None:
        raise InvalidInputError(f"`{calibration.name}` decides after fit", remedy="call fit(held_out) first")


def check_share(value: float, what: str) -> float:
    """Return `value` when it lies strictly between 0 and 1, else raise InvalidInputError."""
    if not 0 < value < 1:
        raise InvalidInputError(f"{what} lies between 0 and 1, both excluded", received=value)
    return value


def check_features(rows: ScoredRows, columns: int, calibration: Calibration) -> np.ndarray:
    """Return the rows' features, `[rows, columns]`, in float64; raise InvalidInputError when they are absent or of another width."""
    if rows.features is None or rows.features.shape[1] != columns:
        raise InvalidInputError(
            f"`{calibration.name}` looks at features with {columns:,} columns",
            received="none" if rows.features is None else rows.features.shape,
            remedy="pass features=… with the scores, of the same space as the prototypes",
        )
    return rows.features.astype(np.float64)
