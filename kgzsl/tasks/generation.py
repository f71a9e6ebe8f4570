"""Zero-shot classification of feature rows by generators: protocols and numbers are those of `tasks.features`.

One training on held-out seen classes, treated as unseen, chooses the number of epochs and γ; one on all seen classes, of that many
epochs, serves `zsl` and `gzsl`. A head learns from synthetic rows of the unseen classes for `zsl`, and beside them from the real
training rows of the seen ones for `gzsl`. Published numbers of generators are those of `gzsl argmax`.

Two bounds run through the same protocols: `seen_only` knows nothing of unseen classes, and `oracle` has half of their real rows in
place of synthetic ones and is tested on the other half.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kgzsl.classifiers import Classifier
from kgzsl.datasets import FeatureSet
from kgzsl.errors import InvalidInputError
from kgzsl.generators import GENERATORS, Generator, Training
from kgzsl.generators.heads import HEADS, GeneratedClassifier, Head
from kgzsl.matrices import Features
from kgzsl.registry import Resolver, parameters
from kgzsl.tasks.decisions import Choice
from kgzsl.tasks.evidence import Evidence
from kgzsl.tasks.features import Semantics, own_semantics, protocols, zsl_metrics
from kgzsl.tasks.semantics import GraphSemantics

#: What stands beside generators in a table: knowing nothing of unseen classes, and having real rows of them.
BOUNDS = ("seen_only", "oracle")
#: Synthetic rows of a class that a validation draws: enough to rank epochs by, at a fraction of the cost.
VALIDATION_ROWS = 60


@dataclass(frozen=True)
class Use:
    """What is done with a generator.

    Attributes
    ----------
    head, head_settings : from `HEADS`.
    per_class : synthetic rows of each unseen class.
    evaluate_every, patience : of the training that chooses the epochs, in epochs; a patience of 0 lets it run to its end.
    """

    head: str = "softmax"
    head_settings: Mapping[str, Any] = field(default_factory=dict)
    per_class: int = 300
    evaluate_every: int = 5
    patience: int = 0

    def __post_init__(self) -> None:
        HEADS.make(self.head, self.head_settings)
        if self.per_class < 1 or self.evaluate_every < 1 or self.patience < 0:
            raise InvalidInputError(
                "per_class and evaluate_every are at least 1, patience is not negative",
                received=f"{self.per_class}, {self.evaluate_every} and {self.patience}",
            )

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Use:
        """Read the keys of a cell's `generator:` beside its name and settings; `head` is a name, or one with settings."""
        head = entry.get("head", cls.head)
        named: Mapping[str, Any] = {"name": head} if isinstance(head, str) else head
        further = {key: entry[key] for key in ("per_class", "evaluate_every", "patience") if key in entry}
        return cls(named["name"], dict(named.get("settings", {})), **further)

    def made(self, seed: int) -> Head:
        """Return a head that is not fitted."""
        return HEADS.make(self.head, _seeded(HEADS, self.head, self.head_settings, seed))


def check_generator(name: str, settings: Mapping[str, Any]) -> None:
    """Raise UnknownNameError or InvalidInputError for a generator, bound or setting that there is not, before long work."""
    if name not in BOUNDS:
        GENERATORS.make(name, settings)
    elif settings:
        raise InvalidInputError(f"the bound `{name}` takes no settings", received=", ".join(sorted(settings)))


@dataclass(frozen=True)
class GenerationTask:
    """Everything that a run needs, its seed apart.

    Attributes
    ----------
    data : the set; one that sets no seen rows aside gets a fifth of each seen class's held out per seed (`with_test_seen`).
    name, settings : from `GENERATORS`, or one of `BOUNDS`; the settings' `epochs` are the most that are trained.
    use : the head and what it learns from.
    choices : calibrations beside stacking.
    semantics : None takes the set's own embeddings.
    grid : setting of the generator → values; of their combinations, each trained on held-out seen classes, the best one is taken.
    """

    data: FeatureSet
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    use: Use = Use()
    choices: tuple[Choice, ...] = ()
    semantics: Semantics | None = None
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for point in self.points():
            check_generator(self.name, point)

    def points(self) -> list[dict[str, Any]]:
        """Return the settings of every combination of the grid."""
        return [{**self.settings, **dict(zip(self.grid, values, strict=True))} for values in itertools.product(*self.grid.values())]

    def run(self, seed: int, evidence: Evidence | None = None) -> dict[str, dict[str, float]]:
        """Run `zsl` and `gzsl` with one seed; the numbers are in 0…1 (see `tasks.features`), and epochs stand beside them.

        The rows of seen classes that are tested on train nothing, for `zsl` neither.
        """
        if isinstance(self.semantics, GraphSemantics) and not self.semantics.predicts_weights:
            return replace(self, data=self.semantics.on(self.data, seed), semantics=None).run(seed, evidence)
        data = self.data if self.data.test_seen_rows else self.data.with_test_seen(seed=seed)
        if self.name == "oracle":
            data = _with_half(data, seed)
        pseudo = data.with_pseudo_unseen(seed)
        if self.name == "oracle":
            pseudo = _with_half(pseudo, seed)
        rehearsals = [(*self._source(pseudo, seed, None, point), point) for point in self.points()]
        rehearsal, epochs, settings = max(rehearsals, key=lambda found: found[0].score())  # the first one among equals
        final, _ = self._source(data, seed, epochs, settings)
        rehearsed, joint = rehearsal.joint(pseudo), final.joint(data)
        found = protocols(final.conventional(data), joint, data, rehearsed, pseudo, self.choices, seed, evidence)
        if epochs:
            found["zsl"]["epochs"] = epochs
        return found

    def _source(self, data: FeatureSet, seed: int, epochs: int | None, settings: Mapping[str, Any]) -> tuple[Source, int]:
        """What gives rows of the unseen classes of `data`, and the epochs of its training; None chooses them by those classes' rows."""
        if self.name in BOUNDS:
            return _Real(self.use, seed, _half(data, seed) if self.name == "oracle" else None), 0
        settings = _seeded(GENERATORS, self.name, settings, seed)
        generator = GENERATORS.make(self.name, settings if epochs is None else {**settings, "epochs": epochs})
        semantics = self.semantics.seeded(seed) if isinstance(self.semantics, GraphSemantics) else self.semantics
        embeddings = (semantics or own_semantics(data))(data.train, data.split.classes)
        found = _Drawn(self.use, seed, generator)
        most = generator.schedule.epochs
        training = Training(evaluate_every=min(self.use.evaluate_every, most), patience=self.use.patience)
        validation = found.validation(data) if epochs is None else None
        generator.fit(data.train.matrix, data.train.labels, embeddings, validation=validation, training=training)
        return found, generator.history.best_epoch


@dataclass(frozen=True)
class _Drawn:
    """Rows of unseen classes are drawn."""

    use: Use
    seed: int
    generator: Generator

    def score(self) -> float:
        """The best T1 of a validation."""
        return max(self.generator.history.validation.values())

    def conventional(self, data: FeatureSet, per_class: int | None = None) -> Classifier:
        """The classifier among unseen classes."""
        head = GeneratedClassifier(self.generator, self.use.made(self.seed))
        return head.fit(None, data.split.unseen, per_class or self.use.per_class, seed=self.seed)

    def joint(self, data: FeatureSet) -> Classifier:
        """The classifier among all classes."""
        return GeneratedClassifier(self.generator, self.use.made(self.seed)).fit(
            data.train, data.split.unseen, self.use.per_class, seed=self.seed
        )

    def validation(self, data: FeatureSet) -> Callable[[Generator, int], float]:
        """Return T1 of the classes that play unseen, by the head that is used in the end."""

        def score(generator: Generator, epoch: int) -> float:
            classifier = replace(self, generator=generator).conventional(data, min(self.use.per_class, VALIDATION_ROWS))
            return zsl_metrics(classifier, data.test_unseen, seed=self.seed)["T1"]

        return score


@dataclass(frozen=True)
class _Real:
    """Rows of unseen classes are real, or there are none."""

    use: Use
    seed: int
    unseen: Features | None

    def score(self) -> float:
        return 0.0

    def conventional(self, data: FeatureSet) -> Classifier:
        return self._fitted(self._own(), data.split.unseen)

    def joint(self, data: FeatureSet) -> Classifier:
        return self._fitted([data.train, *self._own()], data.split.classes)

    def _own(self) -> list[Features]:
        return [] if self.unseen is None else [self.unseen]

    def _fitted(self, rows: Sequence[Features], classes: Sequence[str]) -> Classifier:
        known = {label for part in rows for label in part.labels}
        head = self.use.made(self.seed)
        if known:
            head.fit(((part.matrix, part.labels) for part in rows), [c for c in classes if c in known])
        return _Widened(head, classes)


Source = _Drawn | _Real


class _Widened(Classifier):
    """A head, and classes that it has never heard of: all of these score the same, below what it knows."""

    name = "widened"
    source = "plumbing"

    def __init__(self, head: Head, classes: Sequence[str]) -> None:
        self._head, self.classes = head, tuple(classes)
        self._known = [self.classes.index(c) for c in head.classes]

    def row_values(self) -> int:
        return max(len(self.classes), self._head.row_values() if self._known else 0)

    def scores(self, features: np.ndarray) -> np.ndarray:
        found = np.zeros((len(features), len(self.classes)), dtype=np.float32)
        if self._known:
            scores = self._head.scores(features)
            found[:] = scores.min(axis=1, keepdims=True) - 1
            found[:, self._known] = scores
        return found


def _seeded(resolver: Resolver[Any], name: str, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The settings with the run's seed, where there is such a setting."""
    return {**settings, **({"seed": seed} if "seed" in parameters(resolver.lookup(name)) else {})}


def _halves(data: FeatureSet, seed: int) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the two halves of each unseen class's rows, drawn as `FeatureSet.with_test_seen` draws."""
    label = dict(zip(data.features.ids, data.features.labels, strict=True))
    by_class: dict[str, list[str]] = {}
    unseen = set(data.split.unseen)
    rows = [i for i, c in label.items() if c in unseen]
    for row in sorted(rows, key=lambda i: hashlib.sha256(f"{seed} half {i}".encode()).digest()):
        by_class.setdefault(label[row], []).append(row)
    small = [c for c, found in by_class.items() if len(found) < 2]
    if small:
        raise InvalidInputError("the oracle needs two rows of every unseen class", received=f"one of {', '.join(sorted(small)[:5])}")
    for found in by_class.values():
        yield found[: len(found) // 2], found[len(found) // 2 :]


def _half(data: FeatureSet, seed: int) -> Features:
    """The rows of unseen classes that the oracle learns from."""
    return data.features.select([i for learned, _ in _halves(data, seed) for i in learned])


def _with_half(data: FeatureSet, seed: int) -> FeatureSet:
    """The set that tests the other half."""
    tested = {i for _, kept in _halves(data, seed) for i in kept}
    return replace(data, test_unseen_rows=tuple(i for i in data.test_unseen_rows if i in tested), published={})
