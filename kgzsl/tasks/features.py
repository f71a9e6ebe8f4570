"""Zero-shot classification of feature rows, for any classifier and any class semantics.

Protocols
---------
``zsl``          candidates are the unseen classes; T1 = top-1 per class, hit@k per row.
``gzsl``         all classes are candidates; S, U, H per class under calibrated stacking, and AUSUC.
``gzsl NAME``    the same under another calibration, `gzsl argmax` under none, `gzsl oracle` at the best γ on the test rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kgzsl.calibration import HeldOut, JointScores
from kgzsl.classifiers import CLASSIFIERS, Classifier, FeatureClassifier, feature_classifier, weight_classifier
from kgzsl.classifiers.scaling import Scaling
from kgzsl.classifiers.selection import choose
from kgzsl.datasets import FeatureSet
from kgzsl.errors import InvalidInputError
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings, Features, IdMatrix
from kgzsl.metrics import hit_at_k, hits, mean_interval, per_class_mean, rank_bounds
from kgzsl.tasks.decisions import Choice, generalised, scored
from kgzsl.tasks.evidence import Evidence
from kgzsl.tasks.methods import Restricted
from kgzsl.tasks.semantics import GraphSemantics, seen_weights

#: Training rows of seen classes, candidate classes → class embeddings in the candidates' order.
Semantics = Callable[[Features, Sequence[str]], ClassEmbeddings]
#: Values of k for hit@k; many feature benchmarks have ten unseen classes or fewer.
KS = (1, 5)


def own_semantics(data: FeatureSet) -> Semantics:
    """Return the semantics that come with the set: attributes or sentence vectors, whatever is trained on."""
    return lambda train, classes: data.embeddings.select(classes)


@dataclass(frozen=True)
class FeatureMethod:
    """A classifier by name, on feature rows.

    A classifier of weights (`icis`, `conse`) gets those of a softmax regression on the training rows, standardised by their own
    statistics; `weight_regression` takes the weights that an encoder predicts (`GraphSemantics`).

    Parameters
    ----------
    name, settings : from `CLASSIFIERS`.
    semantics : class embeddings, made anew for every fit from its training rows.

    Raises
    ------
    UnknownNameError, InvalidInputError : no such classifier or setting, or `weight_regression` without an encoder of weights.
    """

    name: str
    settings: Mapping[str, Any]
    semantics: Semantics = field(repr=False)

    def __post_init__(self) -> None:
        CLASSIFIERS.make(self.name, self.settings)
        if self.name == "weight_regression":
            _predicting(self.semantics)

    def fit(self, train: Features, classes: Sequence[str]) -> Classifier:
        """Return the classifier of `classes`, fitted on rows of seen classes; the seen ones are among `classes`."""
        if self.name == "weight_regression":
            return _predicting(self.semantics).classifier(train, classes)
        embeddings = self.semantics(train, classes)
        if issubclass(CLASSIFIERS.lookup(self.name), FeatureClassifier):
            return feature_classifier(self.name, self.settings).fit(train.matrix, train.labels, embeddings)
        scaling, weights = seen_weights(train)
        classifier = weight_classifier(self.name, self.settings).fit(weights, embeddings)
        return _Scaled(classifier, scaling)


def _predicting(semantics: Semantics) -> GraphSemantics:
    if not isinstance(semantics, GraphSemantics) or not semantics.predicts_weights:
        raise InvalidInputError(
            "weight regression takes the weights that an encoder predicts from a graph",
            received="embeddings of another kind",
            remedy="name an encoder as semantics (sgcn, dgp, gcnz, graph_gp), or take another classifier",
        )
    return semantics


class _Scaled(Classifier):
    """A classifier of weights behind the scaling of the rows that the weights were learned on."""

    name = "scaled"
    source = "plumbing"

    def __init__(self, classifier: Classifier, scaling: Scaling) -> None:
        self._classifier, self._scaling = classifier, scaling
        self.classes = classifier.classes

    def row_values(self) -> int:
        return self._classifier.row_values()

    def scores(self, features: np.ndarray) -> np.ndarray:
        return self._classifier.scores(self._scaling(features.astype(np.float32, copy=False)))


@dataclass(frozen=True)
class FeatureTask:
    """Everything that a run on a feature set needs, its seed apart.

    Attributes
    ----------
    data : the set; one that sets no seen rows aside gets a fifth of each seen class's held out per seed (`with_test_seen`).
    name, settings : the classifier.
    grid : setting → values; the best point on held-out seen classes is taken (`classifiers.selection.choose`).
    choices : calibrations beside stacking.
    semantics : None takes the set's own embeddings.
    """

    data: FeatureSet
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    semantics: Semantics | None = None

    def run(self, seed: int, evidence: Evidence | None = None) -> dict[str, dict[str, float]]:
        """Run `zsl` and `gzsl` with one seed; the numbers are in 0…1 (see the module's protocols).

        All rows of seen classes train the classifier for `zsl`; for `gzsl` those that are tested on do not. Settings and
        γ are chosen without either's test rows.
        """
        if isinstance(self.semantics, GraphSemantics) and not self.semantics.predicts_weights:
            return replace(self, data=self.semantics.on(self.data, seed), semantics=None).run(seed, evidence)
        data = self.data if self.data.test_seen_rows else self.data.with_test_seen(seed=seed)
        method = self._method(data, seed)
        conventional = Restricted(method.fit(self.data.train, data.split.classes), data.split.unseen)
        pseudo = data.with_pseudo_unseen(seed)
        rehearsed, joint = (method.fit(d.train, d.split.classes) for d in (pseudo, data))
        return protocols(conventional, joint, data, rehearsed, pseudo, self.choices, seed, evidence)

    def _method(self, data: FeatureSet, seed: int) -> FeatureMethod:
        """The classifier with its settings, those of the grid chosen on seen classes of the training rows."""
        from kgzsl.registry import parameters

        settings = dict(self.settings)
        if "seed" in parameters(CLASSIFIERS.lookup(self.name)):
            settings["seed"] = seed
        if self.grid:
            if self.semantics is not None:
                raise InvalidInputError("a grid is tried on embeddings that do not depend on training rows", received="encoder semantics")
            fixed = {key: [value] for key, value in settings.items()}
            train = data.train
            settings = choose(self.name, {**fixed, **self.grid}, train.matrix, train.labels, data.embeddings, seed).settings
        semantics = self.semantics.seeded(seed) if isinstance(self.semantics, GraphSemantics) else self.semantics
        return FeatureMethod(self.name, settings, semantics or own_semantics(data))


def zsl_metrics(classifier: Classifier, rows: Features, *, seed: int = 0) -> dict[str, float]:
    """Return T1 with its 95 % bootstrap interval over classes, hit@k and counts, of rows whose classes are all candidates."""
    truth = positions(rows.labels, classifier.classes, "the candidates")
    greater, equal = np.empty(len(truth), dtype=np.int64), np.empty(len(truth), dtype=np.int64)
    for part, scores in classifier.blocks(rows.matrix):
        greater[part], equal[part] = rank_bounds(scores, truth[part])
    right = hits(greater, equal, 1)
    interval = mean_interval(right, np.array(rows.labels), per_class=True, over="classes", seed=seed)
    return {
        "T1": per_class_mean(right, truth),
        "T1_low": interval.low,
        "T1_high": interval.high,
        **hit_at_k(greater, equal, [k for k in KS if k < len(classifier.classes)]),
        "rows": len(truth),
        "candidates": len(classifier.classes),
    }


def protocols(
    conventional: Classifier,
    joint: Classifier,
    data: FeatureSet,
    rehearsed: Classifier,
    pseudo: FeatureSet,
    choices: Sequence[Choice] = (),
    seed: int = 0,
    evidence: Evidence | None = None,
) -> dict[str, dict[str, float]]:
    """Return `zsl`, `gzsl` and its variants (see the module).

    Parameters
    ----------
    conventional, joint : score the unseen classes of `data`, and all of them.
    rehearsed : scores all classes of `pseudo`, `data.with_pseudo_unseen()`, and was fitted on its training rows; γ and the other
        calibrations learn from its scores of the rows that `pseudo` tests on.
    """
    held_out, test = _tested(rehearsed, pseudo), _tested(joint, data)
    boundary = any(c.name == "boundary" for c in choices)
    further, answers = generalised(held_out, test, choices, prototypes=_prototypes(data, pseudo) if boundary else None, seed=seed)
    rows = data.test_unseen
    if evidence is not None:
        best = np.concatenate([scores.argmax(axis=1) for _, scores in conventional.blocks(rows.matrix)])
        evidence.add("zsl", rows.ids, rows.labels, [conventional.classes[i] for i in best], data.split.seen)
        ids = [*data.test_seen_rows, *data.test_unseen_rows]
        evidence.add("gzsl", ids, test.labels, answers.ids, frozenset(data.split.seen))
        evidence.add_curve("gzsl", JointScores.from_scores(test.scores, test.truth, test.is_seen), further["gzsl"]["gamma"])
    return {"zsl": zsl_metrics(conventional, rows, seed=seed), **further}


def _tested(classifier: Classifier, data: FeatureSet) -> HeldOut:
    """The scores of the rows that `data` tests on, seen ones first."""
    return scored(classifier, data.features.select([*data.test_seen_rows, *data.test_unseen_rows]), data.split.seen)


def _prototypes(data: FeatureSet, pseudo: FeatureSet) -> IdMatrix:
    """Class means `[seen, dim]` over the training rows that calibrate nothing."""
    held = set(pseudo.test_seen_rows)
    rows = data.features.select([i for i in data.train_rows if i not in held])
    where = positions(rows.labels, data.split.seen, "the seen classes")
    sums = np.zeros((len(data.split.seen), rows.dim))
    np.add.at(sums, where, rows.matrix.astype(np.float64))
    means = sums / np.bincount(where, minlength=len(sums))[:, None]
    return IdMatrix(data.split.seen, means.astype(np.float32), {})
