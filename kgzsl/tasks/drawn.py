"""Classifier weights of classes without images, drawn by a generator.

Where there is one image per class or none, no generator can learn what rows of a class look like. What a backbone has of every seen
class is its classifier weights, one row `[weight, bias]` of length 1 each: they serve as the seen classes' rows. A generator that is
conditioned on what a graph or a text says of a class learns from these rows and draws some of every unseen class; their mean is the
class's prototype, at length 1, and takes the place that an encoder's prediction has in `tasks.methods`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kgzsl.classifiers import Classifier, WeightRegression
from kgzsl.encoders import ENCODERS, Encoder, UnsupervisedEncoder
from kgzsl.encoders.base import unit_rows
from kgzsl.errors import InvalidInputError
from kgzsl.generators import GENERATORS, Generator, Training
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights
from kgzsl.registry import parameters
from kgzsl.tasks.methods import Knowledge, Method
from kgzsl.tasks.retrieval import retrieval_metrics

#: Seen classes, all classes → what the generator is conditioned on, in the order of the latter.
Condition = Callable[[Sequence[str], Sequence[str]], ClassEmbeddings]
#: Parts that seen classes are divided into where an encoder that is fitted on them conditions a generator.
PARTS = 5
#: Share of the seen classes that choose settings and epochs.
HELD_OUT = 0.2


def condition_of(
    knowledge: Knowledge, encoder: str = "text", settings: Mapping[str, Any] | None = None, space: str = "weights"
) -> Condition:
    """Return what conditions a generator on a graph or on texts.

    Parameters
    ----------
    encoder : `text`, the classes' own vectors; or a name of `kgzsl list encoders`.
    space : `nodes` takes an encoder's embeddings of nodes, which no weight decides (`kggan`, `ontozsl`, …); `weights` what it
        predicts. A prediction for a seen class comes from an encoder that was fitted without it, in five parts: else seen classes
        would be conditioned on the very rows that are to be learned, and unseen ones on a guess.

    Raises
    ------
    UnknownNameError, InvalidInputError : no such encoder, setting or space.
    """
    if encoder == "text":
        if settings:
            raise InvalidInputError("`text` takes no settings", received=", ".join(sorted(settings)))
        return lambda seen, classes: ClassEmbeddings(tuple(classes), knowledge.vectors.rows(classes), knowledge.vectors.meta)
    made = ENCODERS.make(encoder, settings)
    if space == "nodes":
        if not isinstance(made, UnsupervisedEncoder):
            raise InvalidInputError("embeddings of nodes come from encoders that need no weights", received=repr(encoder))
        return lambda seen, classes: _nodes(made, knowledge, classes)
    return lambda seen, classes: _predictions(made, knowledge, seen, classes)


def _nodes(encoder: UnsupervisedEncoder, knowledge: Knowledge, classes: Sequence[str]) -> ClassEmbeddings:
    view = encoder.view(knowledge.graph)
    return encoder.learn(view, knowledge.vectors).embed(view, classes)


def _predictions(encoder: Encoder, knowledge: Knowledge, seen: Sequence[str], classes: Sequence[str]) -> ClassEmbeddings:
    view, vectors = encoder.view(knowledge.graph), knowledge.vectors
    rows: dict[str, np.ndarray] = {}
    for part in range(PARTS):
        left_out = list(seen[part::PARTS])
        others = [c for c in seen if c not in set(left_out)]
        predicted = encoder.fit(view, vectors, knowledge.weights.select(others)).encode(view, vectors, left_out)
        rows |= dict(zip(left_out, unit_rows(predicted.matrix), strict=True))
    unseen = [c for c in classes if c not in rows]
    if unseen:
        predicted = encoder.fit(view, vectors, knowledge.weights.select(seen)).encode(view, vectors, unseen)
        rows |= dict(zip(unseen, unit_rows(predicted.matrix), strict=True))
    return ClassEmbeddings(tuple(classes), np.stack([rows[c] for c in classes]), {"encoder": encoder.name})


@dataclass(frozen=True, eq=False)
class DrawnWeights:
    """The method (`tasks.methods.Method`): fits a generator on seen classes' weights and draws those of the others.

    Settings and the number of epochs are chosen on a fifth of the seen classes: by how often the prototype drawn of one is nearest
    to its true weights among those held out. Seen classes keep their own weights.

    Attributes
    ----------
    knowledge : its weights are those of a backbone.
    name, settings : from `GENERATORS`; the settings' `epochs` are the most that are trained.
    condition : see `condition_of`.
    grid : setting → values.
    per_class : rows whose mean is a prototype.
    evaluate_every, patience : in epochs, see `kgzsl.tasks.generation.Use`.
    seed : of generators and of the classes that are held out.
    """

    knowledge: Knowledge
    name: str
    settings: Mapping[str, Any]
    condition: Condition
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    per_class: int = 100
    evaluate_every: int = 5
    patience: int = 0
    seed: int = 0

    def __call__(self, seen: Sequence[str], candidates: Sequence[str]) -> Classifier:
        """Return the classifier of `candidates`."""
        targets = self.knowledge.weights.select(seen)
        axis = list(dict.fromkeys([*seen, *candidates]))
        embeddings = self.condition(seen, axis)
        generator = self._fitted(seen, embeddings, *self._chosen(seen, embeddings))
        own = set(seen)
        drawn = self._prototypes(generator, [c for c in candidates if c not in own])
        rows = dict(zip(drawn.ids, drawn.matrix, strict=True)) | dict(zip(seen, unit_rows(targets.matrix), strict=True))
        return WeightRegression().fit(targets, ClassEmbeddings(tuple(candidates), np.stack([rows[c] for c in candidates])))

    def _chosen(self, seen: Sequence[str], embeddings: ClassEmbeddings) -> tuple[dict[str, Any], int]:
        """The settings and epochs that did best on held-out seen classes."""
        order = np.random.default_rng(self.seed).permutation(len(seen))
        held = max(2, round(len(seen) * HELD_OUT))
        hidden, kept = ([seen[i] for i in np.sort(part)] for part in (order[:held], order[held:]))
        truth = self.knowledge.weights.select(hidden)

        def score(generator: Generator, epoch: int) -> float:
            return retrieval_metrics(self._prototypes(generator, hidden), truth)["hit@1"]

        found = []
        for values in itertools.product(*self.grid.values()):
            settings = {**self.settings, **dict(zip(self.grid, values, strict=True))}
            history = self._fitted(kept, embeddings, settings, None, score).history
            found.append((history.validation[history.best_epoch], settings, history.best_epoch))
        _, settings, epochs = max(found, key=lambda point: point[0])  # the first one among equals
        return settings, epochs

    def _fitted(
        self,
        seen: Sequence[str],
        embeddings: ClassEmbeddings,
        settings: Mapping[str, Any],
        epochs: int | None,
        validation: Callable[[Generator, int], float] | None = None,
    ) -> Generator:
        seeded = {"seed": self.seed} if "seed" in parameters(GENERATORS.lookup(self.name)) else {}
        generator = GENERATORS.make(self.name, {**settings, **seeded, **({"epochs": epochs} if epochs else {})})
        training = Training(evaluate_every=min(self.evaluate_every, generator.schedule.epochs), patience=self.patience)
        rows = unit_rows(self.knowledge.weights.rows(seen))
        return generator.fit(rows, list(seen), embeddings, validation=validation, training=training)

    def _prototypes(self, generator: Generator, classes: Sequence[str]) -> ClassifierWeights:
        """The means of drawn rows at length 1, `[classes, features + 1]`."""
        means = [
            block.matrix.reshape(-1, self.per_class, block.dim).mean(axis=1)
            for block in generator.synthesise(classes, self.per_class, seed=self.seed)
        ]
        matrix = np.concatenate(means) if means else np.empty((0, generator.dim), np.float32)
        return ClassifierWeights(tuple(classes), unit_rows(matrix) if len(matrix) else matrix, self.knowledge.weights.meta)


def drawn_method(
    knowledge: Knowledge,
    entry: Mapping[str, Any],
    semantics: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Method:
    """Return the method of a cell: `entry` is its `generator`, `semantics` what conditions it, with a seed each where it has one."""
    said = dict(semantics or {"encoder": "text"})
    name, settings = said["encoder"], dict(said.get("settings", {}))
    if name != "text" and "seed" in parameters(ENCODERS.lookup(name)):
        settings["seed"] = seed
    condition = condition_of(knowledge, name, settings, said.get("space", "weights"))
    further = {key: entry[key] for key in ("grid", "per_class", "evaluate_every", "patience") if key in entry}
    return DrawnWeights(knowledge, entry["name"], entry.get("settings", {}), condition, seed=seed, **further)
