"""Compositional zero-shot recognition: `old dog` after `old car` and `young dog`, in the closed and in the open world.

Protocols
---------
``closed``          candidates are the seen pairs and the unseen ones of the test part; AUC, best HM, S and U of the exact bias sweep, the
                    AUC of the first two and three (AUC@2, AUC@3), and how often the best pair has the true state, object (no bias).
``closed czsl-20``  the same sweep on the published evaluators' twenty biases, for comparison with old tables.
``closed chosen``   S, U, HM at the one bias that is best on the validation part: what a user gets.
``open``            candidates are all states × all objects.
``open feasible``   the same without the unseen pairs below a feasibility that the validation part chooses.
``validation``      AUC and HM of the validation part in the closed world: what settings and epochs are chosen by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS, CompositionClassifier, Knowledge, PairFeatures
from kgzsl.classifiers.compositions.feasibility import feasibility
from kgzsl.classifiers.compositions.pair_graph import all_pairs
from kgzsl.datasets.composition_set import CompositionSet
from kgzsl.errors import InvalidInputError
from kgzsl.metrics import harmonic_mean
from kgzsl.metrics.compositional import PairOutcomes, Sweep, pair_outcomes, sweep
from kgzsl.registry import parameters
from kgzsl.sources.compositions import pair_ids
from kgzsl.tasks.evidence import Evidence, Neighbours

WORLDS = ("closed", "open")
#: Top-k curves beside that of the best pair.
TOPS = (1, 2, 3)
#: Scores that are asked for, and looked at, at a time, in numbers: 512 and 16 MiB of float32.
SCORED, LOOKED_AT = 2**27, 2**22
#: Shares of the unseen pairs, the most feasible ones, that a threshold may keep.
KEPT = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.075, 0.05, 0.03, 0.02, 0.01)


@dataclass(frozen=True)
class World:
    """What images are told apart among.

    Attributes
    ----------
    pairs, seen : int64 `[pairs, 2]` and bool `[pairs]`.
    candidates : positions in `pairs` of those that are answers, int64 `[candidates]`, ascending.
    place : position in `pairs` of every pair of the space, int64 `[pairs of the space]`.
    """

    pairs: np.ndarray
    seen: np.ndarray
    candidates: np.ndarray
    place: np.ndarray


def closed_world(data: CompositionSet, part: str) -> World:
    """Return the world of the seen pairs and of the part's own unseen ones."""
    return World(data.space.pairs, data.space.seen, data.candidates[part], np.arange(len(data.space)))


def open_world(data: CompositionSet) -> World:
    """Return the world of all states × all objects; every pair without training images is unseen."""
    states, objects = len(data.space.states), len(data.space.objects)
    place = data.space.pairs[:, 0] * objects + data.space.pairs[:, 1]
    seen = np.zeros(states * objects, dtype=bool)
    seen[place[data.space.seen]] = True
    return World(all_pairs(states, objects), seen, np.arange(states * objects), place)


def scored_blocks(classifier: CompositionClassifier, matrix: np.ndarray, pairs: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of the rows and their scores `[rows, pairs]`; never more than `SCORED` numbers are held."""
    large, small = (max(1, numbers // max(1, len(pairs))) for numbers in (SCORED, LOOKED_AT))
    for start in range(0, len(matrix), large):
        scores = classifier.scores(matrix[start : start + large], pairs)
        for first in range(0, len(scores), small):
            yield slice(start + first, start + min(first + small, len(scores))), scores[first : first + small]


def outcomes_in(
    classifier: CompositionClassifier, images: PairFeatures, world: World, tops: Sequence[int] = (1,), bias: float | None = None
) -> tuple[dict[int, PairOutcomes], np.ndarray]:
    """Return the outcomes of images in a world for every k of `tops`, and their answers under a bias.

    Parameters
    ----------
    bias : is added to the scores of unseen pairs for the answers; None gives none.

    Returns
    -------
    outcomes by k; positions of the answers in `world.pairs`, int64 `[images]` (`[0]` without a bias).
    """
    parts: dict[int, list[PairOutcomes]] = {k: [] for k in tops}
    answers = []
    truth, chosen = world.place[images.labels], world.pairs[world.candidates]
    shift = None if bias is None else np.where(world.seen[world.candidates], np.float32(0), np.float32(bias))
    for rows, scores in scored_blocks(classifier, images.matrix, chosen):
        for k in tops:
            parts[k].append(pair_outcomes(scores, truth[rows], world.pairs, world.seen, world.candidates, top=k))
        if shift is not None:
            answers.append(world.candidates[(scores + shift).argmax(axis=1)])
    return {k: PairOutcomes.gather(found) for k, found in parts.items()}, np.concatenate(answers or [np.zeros(0, dtype=np.int64)])


def feasible_world(classifier: CompositionClassifier, validation: PairFeatures, world: World, table: np.ndarray) -> tuple[World, float]:
    """Return the world without the unseen pairs below a threshold, and the threshold: the one with the best AUC on validation images.

    Parameters
    ----------
    table : feasibility of all pairs, `[states, objects]`. Seen pairs stay, whatever it says.
    """
    value = table[tuple(world.pairs.T)]
    unseen = np.sort(value[~world.seen])[::-1]
    thresholds = sorted({float(unseen[max(0, round(share * len(unseen)) - 1)]) for share in KEPT})
    kept = [np.flatnonzero(world.seen | (value >= t)) for t in thresholds]
    parts: list[list[PairOutcomes]] = [[] for _ in thresholds]
    truth = world.place[validation.labels]
    for rows, scores in scored_blocks(classifier, validation.matrix, world.pairs):
        for found, columns in zip(parts, kept, strict=True):
            found.append(pair_outcomes(scores[:, columns], truth[rows], world.pairs, world.seen, columns))
    aucs = [sweep(PairOutcomes.gather(found)).auc for found in parts]
    best = int(np.argmax(aucs))  # of equally good ones the lowest: it rules out least
    return replace(world, candidates=kept[best]), thresholds[best]


@dataclass(frozen=True)
class CompositionTask:
    """Everything that a run needs, its seed and the images' features apart.

    Attributes
    ----------
    data : the benchmark.
    name, settings : from `COMPOSITION_CLASSIFIERS`.
    grid : setting → values; the point with the best closed-world AUC on the validation part is taken.
    knowledge : for methods that need words or a graph.
    worlds : `closed`, `open` or both.
    feasibility : which one may rule pairs out of the open world (`classifiers.compositions.feasibility`); None rules out nothing.
    """

    data: CompositionSet
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    knowledge: Knowledge | None = None
    worlds: tuple[str, ...] = WORLDS
    feasibility: str | None = None

    def __post_init__(self) -> None:
        check_method(self.name, self.settings, self.grid)
        if not self.worlds or not set(self.worlds) <= set(WORLDS):
            raise InvalidInputError(f"worlds are {' and '.join(WORLDS)}", received=", ".join(self.worlds) or "none")
        if self.feasibility is not None and ("open" not in self.worlds or self.knowledge is None):
            raise InvalidInputError("a feasibility is for the open world, of a method with a graph and vectors", received=self.feasibility)

    def part(self, matrix: np.ndarray, part: str) -> PairFeatures:
        """Return the features of a part's images, of `matrix` `[images, dim]`."""
        rows = self.data.rows(part)
        return PairFeatures(matrix[rows], self.data.labels[rows])

    def fit(self, matrix: np.ndarray, seed: int) -> CompositionClassifier:
        """Return the method fitted on the training part; settings of the grid and epochs are chosen on the validation part."""
        train, validation = self.part(matrix, "train"), self.part(matrix, "val")
        own = {**self.settings, **({"seed": seed} if "seed" in parameters(COMPOSITION_CLASSIFIERS.lookup(self.name)) else {})}
        best: tuple[float, CompositionClassifier] | None = None
        for values in product(*self.grid.values()):
            classifier = COMPOSITION_CLASSIFIERS.make(self.name, {**own, **dict(zip(self.grid, values, strict=True))})
            classifier.fit(train, self.data.space, self.knowledge, validation)
            auc = self._validated(classifier, validation).auc if self.grid else 0.0
            if best is None or auc > best[0]:
                best = auc, classifier
        assert best is not None
        return best[1]

    def run(
        self, matrix: np.ndarray, seed: int, evidence: Evidence | None = None, classifier: CompositionClassifier | None = None
    ) -> dict[str, dict[str, float]]:
        """Fit with one seed and return the numbers of every protocol, in 0…1 (see the module's protocols).

        Parameters
        ----------
        matrix : features of all images, float32 `[images, dim]`. Test rows are scored, and nothing else.
        classifier : one that is fitted already.
        """
        if len(matrix) != len(self.data):
            raise InvalidInputError("every image of a composition set has its features", received=f"{len(matrix):,} of {len(self.data):,}")
        fitted = classifier if classifier is not None else self.fit(matrix, seed)
        validation, test = self.part(matrix, "val"), self.part(matrix, "test")
        held = self._validated(fitted, validation)
        protocols = {"validation": {"AUC": held.auc, "HM": held.harmonic_mean, "images": len(validation.labels)}}
        if "closed" in self.worlds:
            protocols |= self._closed(fitted, test, held.bias, evidence)
        if "open" in self.worlds:
            protocols |= self._open(fitted, validation, test)
        return protocols

    def _validated(self, classifier: CompositionClassifier, validation: PairFeatures) -> Sweep:
        return sweep(outcomes_in(classifier, validation, closed_world(self.data, "val"))[0][1])

    def _closed(
        self, classifier: CompositionClassifier, test: PairFeatures, bias: float, evidence: Evidence | None
    ) -> dict[str, dict[str, float]]:
        world = closed_world(self.data, "test")
        outcomes, answers = outcomes_in(classifier, test, world, TOPS, bias)
        seen, right = world.seen[test.labels], answers == test.labels
        s, u = float(right[seen].mean()), float(right[~seen].mean())
        state, obj = (world.pairs[answers] == world.pairs[test.labels]).mean(axis=0)
        if evidence is not None:
            self._add(evidence, test, answers, sweep(outcomes[1]), (s, u))
        grid = sweep(outcomes[1], grid=True)
        return {
            "closed": world_metrics(outcomes, world),
            "closed czsl-20": curve_metrics(grid),
            "closed chosen": {"S": s, "U": u, "HM": harmonic_mean(s, u), "state": float(state), "object": float(obj), "bias": bias},
        }

    def _open(self, classifier: CompositionClassifier, validation: PairFeatures, test: PairFeatures) -> dict[str, dict[str, float]]:
        world = open_world(self.data)
        found = {"open": world_metrics(outcomes_in(classifier, test, world, TOPS)[0], world)}
        if self.feasibility is not None:
            assert self.knowledge is not None
            table = feasibility(self.feasibility, self.data.space, self.knowledge)
            smaller, threshold = feasible_world(classifier, validation, world, table)
            numbers = world_metrics(outcomes_in(classifier, test, smaller, TOPS)[0], smaller)
            found["open feasible"] = {**numbers, "threshold": threshold}
        return found

    def _add(self, evidence: Evidence, test: PairFeatures, answers: np.ndarray, found: Sweep, chosen: tuple[float, float]) -> None:
        """Keep what a report draws: the answers at the validation part's bias, and the curve."""
        data, (ids, _) = self.data, pair_names(self.data)
        names = [data.paths[i].relative_to(data.root).as_posix() for i in data.rows("test")]
        seen = frozenset(ids[i] for i in np.flatnonzero(data.space.seen))
        evidence.add("closed", names, [ids[i] for i in test.labels], [ids[i] for i in answers], seen)
        evidence.add_points("closed", found.curve[:, 0], found.curve[:, 1], chosen)


def check_method(name: str, settings: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> None:
    """Raise what is wrong with a method's name or settings, without any data; every value of the grid is tried."""
    for values in product(*grid.values()):
        COMPOSITION_CLASSIFIERS.make(name, {**settings, **dict(zip(grid, values, strict=True))})


def curve_metrics(found: Sweep) -> dict[str, float]:
    """Return AUC, HM, S and U of a sweep."""
    return {"AUC": found.auc, "HM": found.harmonic_mean, "S": found.seen, "U": found.unseen}


def world_metrics(outcomes: Mapping[int, PairOutcomes], world: World) -> dict[str, float]:
    """Return the sweep's numbers, top-k AUCs, state and object accuracy, and how many candidates and images there were."""
    best = outcomes[1]
    return {
        **curve_metrics(sweep(best)),
        "state": float(best.state.mean()),
        "object": float(best.object.mean()),
        **{f"AUC@{k}": sweep(found).auc for k, found in outcomes.items() if k > 1},
        "candidates": len(world.candidates),
        "images": len(best.seen),
    }


def pair_names(data: CompositionSet) -> tuple[list[str], list[str]]:
    """Return the node ids of the space's pairs and their words, in order."""
    space = data.space
    return pair_ids(space.prefix, space.states, space.objects, space.pairs)


def related_pairs(data: CompositionSet) -> Neighbours:
    """Return the neighbours function of pairs: those with the same object, and those with the same state."""
    (ids, labels), pairs = pair_names(data), data.space.pairs
    place = {identifier: i for i, identifier in enumerate(ids)}

    def neighbours(identifier: str) -> list[tuple[str, str, str]]:
        at = place[identifier]
        found = []
        for column, relation in ((1, "same object"), (0, "same state")):
            alike = np.flatnonzero(pairs[:, column] == pairs[at, column])
            found += [(ids[i], labels[i], relation) for i in alike.tolist() if i != at]
        return found

    return neighbours
