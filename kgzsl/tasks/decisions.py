"""Calibrations side by side: what each does to one classifier's scores.

All learn from the same held-out rows of seen classes, some of which are treated as unseen, and none sees a test label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.calibration import (
    CALIBRATIONS,
    Answers,
    BackOff,
    Calibration,
    CHiLS,
    HeldOut,
    JointScores,
    ScoredRows,
    SubclassSets,
    choose_gamma,
    evaluate,
)
from kgzsl.calibration import Temperature as Plain
from kgzsl.errors import InvalidInputError
from kgzsl.metrics import (
    back_off_metrics,
    expected_calibration_error,
    harmonic_interval,
    harmonic_mean,
    hierarchical_distance,
    negative_log_likelihood,
)

if TYPE_CHECKING:
    from kgzsl.classifiers import Classifier
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View
    from kgzsl.matrices import Features, IdMatrix

#: Calibrations that answer along a graph; they decide among unseen classes. The others decide between seen and unseen.
HIERARCHICAL = ("loki", "chils", "backoff")


@dataclass(frozen=True)
class Choice:
    """A calibration by name with its settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name, with the settings where there are any."""
        return self.name if not self.settings else f"{self.name} ({', '.join(f'{k} {v}' for k, v in self.settings.items())})"

    @classmethod
    def of(cls, entry: str | Mapping[str, Any]) -> Choice:
        """Read `name`, or `{name: …, settings: {…}}`."""
        return cls(entry) if isinstance(entry, str) else cls(entry["name"], dict(entry.get("settings", {})))


def check_calibrations(choices: Sequence[Choice], *, on_images: bool) -> None:
    """Raise UnknownNameError or InvalidInputError for a name or a setting that does not exist, before long work.

    Cells on images have a graph, but classifiers of weights and so no training rows; those on feature sets have it the other way.
    """
    from kgzsl.registry import parameters

    for choice in choices:
        known = parameters(CALIBRATIONS.lookup(choice.name)) - {"distances", "sets", "view", "prototypes"}
        unknown = sorted(set(choice.settings) - known)
        if unknown:
            raise InvalidInputError(
                f"settings of `{choice.name}` must be parameters it has", received=", ".join(unknown), remedy=f"it takes: {sorted(known)}"
            )
        if choice.name in HIERARCHICAL and not on_images:
            raise InvalidInputError(f"`{choice.name}` answers along a graph, which this task has none of", remedy="leave it out")
        if choice.name == "boundary" and on_images:
            raise InvalidInputError("`boundary` needs class means of training rows, which this task has none of", remedy="leave it out")


def scored(classifier: Classifier, rows: Features, seen: Sequence[str] = ()) -> HeldOut:
    """Return the scores of labelled rows on the classifier's class axis, of which `seen` are seen."""
    scores = np.concatenate([block for _, block in classifier.blocks(rows.matrix)])
    return HeldOut(classifier.classes, tuple(seen), scores, rows.matrix, labels=rows.labels)


def generalised(
    held_out: HeldOut, test: HeldOut, choices: Sequence[Choice] = (), *, prototypes: IdMatrix | None = None, seed: int = 0
) -> tuple[dict[str, dict[str, float]], Answers]:
    """Return S, U and H of the plain answers, of calibrated stacking, of the best γ there is, and of further calibrations.

    Parameters
    ----------
    held_out : rows of seen classes, `seen` holding only those the classifier of these scores was fitted on.
    test : rows of all classes, scored by the classifier that was fitted on all seen ones; labels are only compared with.
    choices : calibrations beside stacking, in order.
    prototypes : class means in feature space, `[seen, dim]`, for `boundary`.
    seed : of the bootstrap.

    Returns
    -------
    protocols : `gzsl` (stacking, with AUSUC and γ), `gzsl argmax` (no calibration), `gzsl oracle` (the γ with the best H **on
        the test rows**: a ceiling of stacking, not a result), and `gzsl NAME` of each choice. `H_low` and `H_high` bound a 95 %
        bootstrap interval over rows; ECE and NLL are there where a calibration gives probabilities.
    answers : those of stacking.
    """
    joint = JointScores.from_scores(test.scores, test.truth, test.is_seen)
    gamma = choose_gamma(JointScores.from_scores(held_out.scores, held_out.truth, held_out.is_seen))
    _, seen, unseen = joint.curve()
    h = np.array([harmonic_mean(s, u) for s, u in zip(seen, unseen, strict=True)])
    best = int(h.argmax())
    stacked = Answers.of_scores(test.classes, test.scores - np.float32(gamma) * test.is_seen)
    plain = Answers.of_scores(test.classes, test.scores)
    ausuc = evaluate(joint, gamma)["AUSUC"]
    protocols = {
        "gzsl": {**_seen_unseen(test, stacked, seed), "AUSUC": ausuc, "gamma": gamma},
        "gzsl argmax": _seen_unseen(test, plain, seed),
        "gzsl oracle": {"S": float(seen[best]), "U": float(unseen[best]), "H": float(h[best])},
    }
    for choice in choices:
        if choice.name in HIERARCHICAL or choice.name == "stacking":
            continue
        settings = dict(choice.settings) | ({"prototypes": prototypes} if choice.name == "boundary" else {})
        calibration = CALIBRATIONS.make(choice.name, settings).fit(held_out)
        metrics = _seen_unseen(test, calibration.decide(test), seed)
        protocols[f"gzsl {choice.label}"] = metrics | _probability_metrics(calibration, test)
    return protocols, stacked


def _seen_unseen(test: HeldOut, answers: Answers, seed: int) -> dict[str, float]:
    right = np.array([a == b for a, b in zip(answers.ids, test.labels, strict=True)], dtype=float)
    found = harmonic_interval(right, np.array(test.labels), test.of_seen_class(), seed=seed)
    return {**{name: found[name].value for name in ("S", "U", "H")}, "H_low": found["H"].low, "H_high": found["H"].high}


def _probability_metrics(calibration: Calibration, test: HeldOut) -> dict[str, float]:
    """ECE and NLL of calibrations whose scores are p(class | row)."""
    if not hasattr(calibration, "probabilities"):
        return {}
    probabilities = calibration.probabilities(test)
    return {
        "ECE": expected_calibration_error(probabilities, test.truth),
        "NLL": negative_log_likelihood(probabilities, test.truth),
    }


@dataclass(frozen=True)
class AlongGraph:
    """Decisions among unseen classes that use the hypernym graph; the graph's tops are joined under one root.

    Parameters
    ----------
    graph : with every class as a node.
    choices : those of `HIERARCHICAL` are used.
    """

    graph: KnowledgeGraph
    choices: tuple[Choice, ...]

    @property
    def wanted(self) -> tuple[Choice, ...]:
        """The calibrations that answer along the graph."""
        return tuple(c for c in self.choices if c.name in HIERARCHICAL)

    def subclasses(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the nodes below `classes` that CHiLS scores beside them; none where it is not asked for."""
        if not any(c.name == "chils" for c in self.wanted):
            return ()
        own = set(classes)
        return tuple(i for i in SubclassSets.of_view(self._view, classes).scored if i not in own)

    def run(self, held_out: HeldOut, test: HeldOut, below: ScoredRows | None = None) -> dict[str, dict[str, float]]:
        """Return hit@1 and tree distance of the likeliest class and of each calibration, by protocol `unseen-only NAME`.

        Parameters
        ----------
        held_out : rows of classes treated as unseen, scored among those.
        test : rows of unseen classes, scored among those.
        below : the same test rows scored on `classes + subclasses(classes)`, for CHiLS.
        """
        plain = Plain().fit(held_out)
        protocols = {"unseen-only argmax": self._metrics(test, plain.decide(test)) | _probability_metrics(plain, test)}
        for choice in self.wanted:
            calibration = self._make(choice, held_out, test).fit(held_out)
            rows = below if isinstance(calibration, CHiLS) and below is not None else test
            answers = calibration.decide(rows)
            metrics = self._metrics(test, answers)
            if isinstance(calibration, BackOff):
                metrics |= back_off_metrics(calibration.hierarchy(test.classes), answers.ids, test.labels)
            protocols[f"unseen-only {choice.label}"] = metrics
        return protocols

    def _make(self, choice: Choice, held_out: HeldOut, test: HeldOut) -> Calibration:
        from kgzsl.graphs import shortest_paths

        settings = dict(choice.settings)
        if choice.name == "loki":
            # the temperature is chosen among the held-out classes, and the answers are among the test's
            both = tuple(dict.fromkeys([*held_out.classes, *test.classes]))
            settings = {"unscored": False} | settings | {"distances": shortest_paths(self._view, both)}
        elif choice.name == "chils":
            settings["sets"] = SubclassSets.of_view(self._view, test.classes)
        else:
            settings = {"control": "expectation"} | settings | {"view": self._view}
        return CALIBRATIONS.make(choice.name, settings)

    def _metrics(self, test: HeldOut, answers: Answers) -> dict[str, float]:
        from kgzsl.graphs import shortest_paths

        answered = tuple(dict.fromkeys(answers.ids))
        distances = shortest_paths(self._view, tuple(dict.fromkeys(test.labels)), answered)
        hit = float(np.mean([a == b for a, b in zip(answers.ids, test.labels, strict=True)]))
        return {"hit@1": hit, **hierarchical_distance(distances, answers.ids, test.labels), "rows": len(test)}

    @cached_property
    def _view(self) -> View:
        from kgzsl.graphs import directed, rooted

        return rooted(directed(self.graph))
