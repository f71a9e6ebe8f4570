"""Ordinary classifiers on real rows of seen and synthetic rows of unseen classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import numpy as np
import torch

from kgzsl.classifiers._descent import Minibatches
from kgzsl.classifiers.base import Classifier, check_features, check_fitted
from kgzsl.classifiers.scaling import Scaling, check_scaling, unit
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.generators.base import Generator
from kgzsl.ids import check_unique, positions
from kgzsl.matrices import Features
from kgzsl.registry import Resolver

#: Rows `[rows, columns]` with the class id of each.
Labelled = tuple[np.ndarray, Sequence[str]]


class Head(Classifier):
    """An ordinary classifier: labelled rows of every class it answers with → scores.

    Rows are those of `Generator.represented`. Which of them are real is nothing that a head knows.
    """

    def fit(self, blocks: Iterable[Labelled], classes: Sequence[str]) -> Self:
        """Learn from blocks of labelled rows; the class axis becomes `classes`.

        Raises
        ------
        InvalidInputError : no class or one twice, a class without rows, rows and labels that disagree, NaN.
        UnknownNameError : a label that is none of the classes.
        DivergedError : training produced numbers that are not finite.
        """
        check_unique(classes, "the classes of a head")
        self.classes = ()
        counts = np.zeros(len(classes), dtype=np.int64)
        self._learn(_checked(blocks, tuple(classes), counts), len(classes))
        bare = [c for c, count in zip(classes, counts, strict=True) if not count]
        if bare:
            raise InvalidInputError("a head learns from rows of every class it answers with", received=f"none of {first_five(bare)}")
        self.classes = tuple(classes)
        return self

    def scores(self, features: np.ndarray) -> np.ndarray:
        check_fitted(self.classes)
        rows = np.asarray(features)
        check_features(rows, self._columns())
        return self._score(rows.astype(np.float32, copy=False)).astype(np.float32, copy=False)

    @abstractmethod
    def _learn(self, blocks: Iterator[tuple[np.ndarray, np.ndarray]], classes: int) -> None:
        """Learn from float32 rows `[rows, columns]` and the position of each one's class `[rows]`, block after block."""

    @abstractmethod
    def _columns(self) -> int:
        """Return the columns of the rows learned from."""

    @abstractmethod
    def _score(self, rows: np.ndarray) -> np.ndarray:
        """Return scores `[rows, classes]` of float32 rows `[rows, columns]`."""


def _checked(blocks: Iterable[Labelled], classes: tuple[str, ...], counts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the blocks with labels as positions, and count the rows of each class on the way."""
    columns = None
    for rows, labels in blocks:
        rows = np.asarray(rows)
        if rows.ndim != 2 or len(rows) != len(labels):
            raise InvalidInputError("rows are [rows, columns] with one label per row", received=f"{rows.shape}, {len(labels):,} labels")
        columns = columns or rows.shape[1]
        check_features(rows, columns)
        where = positions(labels, classes, "the classes of the head")
        counts += np.bincount(where, minlength=len(classes))
        yield rows.astype(np.float32, copy=False), where
    if columns is None:
        raise InvalidInputError("a head learns from rows", received="none")


def _collected(blocks: Iterator[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    rows, labels = zip(*blocks, strict=True)
    return np.concatenate(rows), np.concatenate(labels)


class SoftmaxHead(Head):
    """Softmax regression by Adam on minibatches, as the generators' papers train their final classifier.

    Parameters
    ----------
    epochs, batch_size, learning_rate, weight_decay : see `_descent.Minibatches`; the rate falls along half a cosine.
    scaling : of the rows, with their own statistics (`classifiers.scaling.SCALINGS`).
    seed : of the order of rows.
    """

    name = "softmax"
    source = "Xian et al., Feature Generating Networks for Zero-Shot Learning, CVPR 2018, equation 6"

    def __init__(
        self,
        *,
        epochs: int = 20,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        scaling: str = "standardise",
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        self.descent = Minibatches(epochs, batch_size, learning_rate, weight_decay, seed, device)
        self.scaling = check_scaling(scaling)

    def _learn(self, blocks: Iterator[tuple[np.ndarray, np.ndarray]], classes: int) -> None:
        found, labels = _collected(blocks)
        device = resolve_device(self.descent.device)
        self._scaled = Scaling.of(self.scaling, found)
        rows, truth = torch.from_numpy(self._scaled(found)).to(device), torch.from_numpy(labels).to(device)
        weight = torch.zeros(classes, rows.shape[1], device=device, requires_grad=True)
        bias = torch.zeros(classes, device=device, requires_grad=True)

        def loss(at: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(torch.addmm(bias, rows[at], weight.T), truth[at])

        self.descent.descend([weight, bias], loss, len(rows), self.descent.generator(), "softmax head")
        self._weight, self._bias = weight.detach().cpu().numpy(), bias.detach().cpu().numpy()

    def _columns(self) -> int:
        return int(self._weight.shape[1])

    def _score(self, rows: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self._scaled(rows) @ self._weight.T + self._bias
        return scores


class MeanHead(Head):
    """The nearest mean of a class's rows; holds one row per class, however many are drawn.

    Parameters
    ----------
    distance : `euclidean`, or `cosine` for rows brought to length 1 first.
    """

    name = "prototype"
    source = "Snell, Swersky, Zemel, Prototypical Networks for Few-shot Learning, NeurIPS 2017, equation 1"

    def __init__(self, *, distance: str = "euclidean") -> None:
        self.distance = _check_distance(distance)

    def _learn(self, blocks: Iterator[tuple[np.ndarray, np.ndarray]], classes: int) -> None:
        sums, counts = np.zeros((classes, 0)), np.zeros(classes)
        for rows, labels in blocks:
            sums = sums if sums.size else np.zeros((classes, rows.shape[1]))
            order = np.argsort(labels, kind="stable")
            found, starts = np.unique(labels[order], return_index=True)
            sums[found] += np.add.reduceat(self._placed(rows)[order].astype(np.float64), starts, axis=0)
            counts += np.bincount(labels, minlength=classes)
        self._means = self._placed(sums / np.maximum(counts, 1)[:, None]).astype(np.float32)

    def _placed(self, rows: np.ndarray) -> np.ndarray:
        return unit(rows) if self.distance == "cosine" else rows

    def _columns(self) -> int:
        return int(self._means.shape[1])

    def _score(self, rows: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self._placed(rows) @ self._means.T - 0.5 * (self._means**2).sum(axis=1)
        return scores


class NearestHead(Head):
    """The class of the nearest row, by exact search.

    The score of a class is minus half the squared distance to its nearest row, up to what a row's classes share.

    Parameters
    ----------
    distance : `euclidean`, or `cosine` for rows brought to length 1 first.
    """

    name = "nearest"
    source = "Cover and Hart, Nearest Neighbor Pattern Classification, IEEE Transactions on Information Theory, 1967"

    def __init__(self, *, distance: str = "euclidean") -> None:
        self.distance = _check_distance(distance)

    def row_values(self) -> int:
        return len(self._rows)

    def _learn(self, blocks: Iterator[tuple[np.ndarray, np.ndarray]], classes: int) -> None:
        rows, labels = _collected(blocks)
        order = np.argsort(labels, kind="stable")
        _, self._starts = np.unique(labels[order], return_index=True)  # every class has rows, or `fit` refuses
        rows = unit(rows) if self.distance == "cosine" else rows
        self._middle = rows.mean(axis=0)  # distances from near the origin keep more of their digits
        self._rows = rows[order] - self._middle
        self._halves = 0.5 * (self._rows**2).sum(axis=1)

    def _columns(self) -> int:
        return int(self._rows.shape[1])

    def _score(self, rows: np.ndarray) -> np.ndarray:
        rows = (unit(rows) if self.distance == "cosine" else rows) - self._middle
        near: np.ndarray = np.maximum.reduceat(rows @ self._rows.T - self._halves, self._starts, axis=1)
        return near


def _check_distance(distance: str) -> str:
    if distance not in ("euclidean", "cosine"):
        raise InvalidInputError("a distance is euclidean or cosine", received=repr(distance))
    return distance


HEADS: Resolver[Head] = Resolver("heads", Head, [MeanHead, NearestHead, SoftmaxHead])  # type: ignore[type-abstract]


class GeneratedClassifier(Classifier):
    """A head in the space of a generator, fitted on real rows of seen and synthetic rows of unseen classes.

    Parameters
    ----------
    generator : fitted.
    head : not fitted.
    """

    name = "generated"
    source = "plumbing"

    def __init__(self, generator: Generator, head: Head) -> None:
        self._generator, self._head = generator, head

    def fit(self, real: Features | None, unseen: Sequence[str], per_class: int, *, seed: int = 0) -> Self:
        """Learn from labelled real rows of seen classes (None for none) and `per_class` synthetic rows of each unseen class.

        Raises
        ------
        InvalidInputError : a class is seen and unseen, or what `Head.fit` refuses.
        UnknownNameError : an unseen class without embedding.
        """
        seen = tuple(dict.fromkeys(real.labels)) if real is not None else ()
        both = sorted(set(seen) & set(unseen))
        if both:
            raise InvalidInputError("rows are drawn of classes that have no real ones", received=f"real rows of {first_five(both)}")

        def blocks() -> Iterator[Labelled]:
            if real is not None:
                yield self._generator.represented_training(real.matrix, seed), real.labels
            for drawn in self._generator.synthesise(unseen, per_class, seed=seed, represented=True):
                yield drawn.matrix, drawn.labels

        self._head.fit(blocks(), [*seen, *unseen])
        self.classes = self._head.classes
        return self

    def row_values(self) -> int:
        return max(self._head.row_values(), self._generator.widest())

    def scores(self, features: np.ndarray) -> np.ndarray:
        check_fitted(self.classes)
        check_features(np.asarray(features), self._generator.dim)
        return self._head.scores(self._generator.represented(features))
