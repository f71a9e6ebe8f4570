"""Zero-shot image classification: protocols, by name.

Protocols
---------
``unseen-only``  candidates are the unseen classes; hit@k per image, and top-1 per class.
``+1K``          candidates are the unseen and the seen classes (the published ImageNet setting).
``gzsl``         all classes; per-class S, U, H with γ from held-out seen classes, and AUSUC.
``gzsl NAME``, ``unseen-only NAME``  the same candidates under another calibration (see `kgzsl.tasks.decisions`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.calibration import JointScores, choose_gamma, evaluate
from kgzsl.classifiers import Classifier, WeightRegression
from kgzsl.datasets import Split
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.ids import check_unique, positions
from kgzsl.matrices import ClassifierWeights, Features, check_same_recipe
from kgzsl.metrics import KS, hit_at_k, hits, per_class_mean, rank_bounds
from kgzsl.tasks.decisions import AlongGraph, Choice, generalised, scored
from kgzsl.tasks.evidence import Evidence
from kgzsl.tasks.methods import Method, Restricted
from kgzsl.tasks.retrieval import retrieval_metrics

if TYPE_CHECKING:
    from kgzsl.bundle import Bundle
    from kgzsl.graphs.graph import KnowledgeGraph


def hit_metrics(classifier: Classifier, features: Features, ks: Sequence[int] = KS) -> dict[str, float]:
    """Return hit@k per image, top-1 per class, and the counts behind them; accuracies in 0…1.

    Scores are made and reduced block by block, so memory does not grow with the number of images.

    Raises
    ------
    UnknownNameError : an image's class is not among the candidates.
    """
    truth = positions(features.labels, classifier.classes, "the candidates")
    greater, equal = np.empty(len(truth), dtype=np.int64), np.empty(len(truth), dtype=np.int64)
    for rows, scores in classifier.blocks(features.matrix):
        greater[rows], equal[rows] = rank_bounds(scores, truth[rows])
    return {
        **hit_at_k(greater, equal, ks),
        "per_class_top1": per_class_mean(hits(greater, equal, 1), truth),
        "images": len(truth),
        "classes_with_images": len(np.unique(truth)),
        "candidates": len(classifier.classes),
    }


def joint_scores(classifier: Classifier, features: Features, seen: Sequence[str]) -> JointScores:
    """Reduce the scores of all images to the best seen and unseen answers, block by block."""
    truth = positions(features.labels, classifier.classes, "the candidates")
    mask = np.isin(np.array(classifier.classes), np.array(list(seen)))
    parts = [JointScores.from_scores(scores, truth[rows], mask) for rows, scores in classifier.blocks(features.matrix)]
    names = ("margin", "right_seen", "right_unseen", "of_seen_class", "labels")
    return JointScores(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class CalibrationSplit:
    """Seen classes and images set aside to choose γ; none of these images is tested on.

    Attributes
    ----------
    pseudo_seen, pseudo_unseen : a partition of the seen classes.
    images : row ids of seen classes' images that choose γ.
    """

    pseudo_seen: tuple[str, ...]
    pseudo_unseen: tuple[str, ...]
    images: frozenset[str]


def calibration_split(features: Features, seen: Sequence[str], *, share: float = 0.2, seed: int = 0) -> CalibrationSplit:
    """Treat `share` of the seen classes as unseen, with their images; take images of the others up to half of all.

    With 800 seen and 200 unseen classes, 640 and 160 keep the proportion.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(seen))
    held = max(1, round(len(seen) * share))
    pseudo_unseen = tuple(sorted(seen[i] for i in order[:held]))
    pseudo_seen = tuple(sorted(seen[i] for i in order[held:]))
    hidden, visible = set(pseudo_unseen), set(pseudo_seen)
    images = [i for i, label in zip(features.ids, features.labels, strict=True) if label in hidden]
    others = [i for i, label in zip(features.ids, features.labels, strict=True) if label in visible]
    extra = max(1, (len(images) + len(others)) // 2 - len(images))
    chosen = rng.permutation(len(others))[: min(extra, len(others))]
    return CalibrationSplit(pseudo_seen, pseudo_unseen, frozenset(images) | {others[i] for i in chosen})


def gamma_from_seen(method: Method, features: Features, calibration: CalibrationSplit) -> float:
    """Fit `method` without the pseudo-unseen classes and return the γ with the best H on the calibration images."""
    classes = calibration.pseudo_seen + calibration.pseudo_unseen
    classifier = method(calibration.pseudo_seen, classes)
    images = features.select([i for i in features.ids if i in calibration.images])
    return choose_gamma(joint_scores(classifier, images, calibration.pseudo_seen))


def run_holdout(
    method: Method,
    features: Features,
    split: Split,
    *,
    truth: ClassifierWeights,
    seed: int = 0,
    choices: Sequence[Choice] = (),
    graph: KnowledgeGraph | None = None,
    evidence: Evidence | None = None,
) -> dict[str, Any]:
    """Run `unseen-only` and `gzsl` on one split, and the image-free retrieval where the method predicts weights.

    Parameters
    ----------
    truth : the true weights of all classes; only compared with, after fitting.
    choices : calibrations to run beside stacking; those along a graph need `graph`.
    evidence : collects what a report draws.

    Returns
    -------
    `{"unseen-only": {...}, "gzsl": {...}, "weights": {...}}` with the γ used, and a protocol for every calibration.
    """
    classes = split.seen + split.unseen
    classifier = method(split.seen, classes)
    unseen_only = _restrict(classifier, split.unseen)
    calibration = calibration_split(features.of_classes(split.seen), split.seen, seed=seed)
    without = method(calibration.pseudo_seen, calibration.pseudo_seen + calibration.pseudo_unseen)
    held_out = features.select([i for i in features.ids if i in calibration.images])
    gamma = choose_gamma(joint_scores(without, held_out, calibration.pseudo_seen))
    wanted = set(classes)
    tested = features.select(
        [i for i, label in zip(features.ids, features.labels, strict=True) if label in wanted and i not in calibration.images]
    )
    unseen_images, joint = features.of_classes(split.unseen), joint_scores(classifier, tested, split.seen)
    results: dict[str, Any] = {
        "unseen-only": hit_metrics(unseen_only, unseen_images),
        "gzsl": {**evaluate(joint, gamma), "gamma": gamma, "images": len(tested)},
    }
    if evidence is not None:
        seen = frozenset(split.seen)
        evidence.add("unseen-only", unseen_images.ids, unseen_images.labels, answers_of(unseen_only, unseen_images), seen)
        evidence.add("gzsl", tested.ids, tested.labels, answers_of(classifier, tested, seen, gamma), seen)
        evidence.add_curve("gzsl", joint, gamma)
    if choices:
        further, _ = generalised(
            scored(without, held_out, calibration.pseudo_seen), scored(classifier, tested, split.seen), choices, seed=seed
        )
        results |= {name: metrics for name, metrics in further.items() if name != "gzsl"}
    if graph is not None and (along := AlongGraph(graph, tuple(choices))).wanted:
        hidden = _restrict(without, calibration.pseudo_unseen)
        below = along.subclasses(split.unseen)
        results |= along.run(
            scored(hidden, features.of_classes(calibration.pseudo_unseen), ()),
            scored(unseen_only, unseen_images, ()),
            scored(method(split.seen, split.unseen + below), unseen_images, ()) if below else None,
        )
    if isinstance(unseen_only, WeightRegression):
        results["weights"] = retrieval_metrics(unseen_only.weights, truth.select(split.unseen))
    return results


def answers_of(classifier: Classifier, features: Features, seen: Collection[str] = (), gamma: float = 0.0) -> list[str]:
    """Return the id of every row's best class, γ taken off the scores of `seen` ones, block by block."""
    bias = np.float32(gamma) * np.array([c in seen for c in classifier.classes], dtype=np.float32)
    best = np.concatenate([(scores - bias).argmax(axis=1) for _, scores in classifier.blocks(features.matrix)])
    return [classifier.classes[i] for i in best]


def run_hop_sets(
    method: Method,
    features: Features,
    seen: Sequence[str],
    hop_sets: Mapping[str, Sequence[str]],
    evidence: Evidence | None = None,
) -> dict[str, dict[str, float]]:
    """Fit on all seen classes; test on the images of each hop set, `unseen-only` and `+1K`.

    Returns
    -------
    `{"2-hops": {...}, "2-hops+1K": {...}, …}`.
    """
    for name, classes in hop_sets.items():  # before the fit, not after it
        check_unique(classes, f"the hop set {name}")
        features.of_classes(classes)
    everything = list(dict.fromkeys([*seen, *(c for classes in hop_sets.values() for c in classes)]))
    classifier = method(seen, everything)
    results: dict[str, dict[str, float]] = {}
    for name, classes in hop_sets.items():
        images = features.of_classes(classes)
        results[name] = hit_metrics(_restrict(classifier, classes), images)
        results[f"{name}+1K"] = hit_metrics(_restrict(classifier, [*classes, *seen]), images)
        if evidence is not None:
            evidence.add(name, images.ids, images.labels, answers_of(_restrict(classifier, classes), images), frozenset(seen))
    return results


def _restrict(classifier: Classifier, classes: Sequence[str]) -> Classifier:
    """Return the classifier with only `classes` on its axis."""
    if not classes:
        raise InvalidInputError("a protocol needs at least one candidate class", received="none")
    if isinstance(classifier, WeightRegression):  # fewer rows to multiply with
        return classifier.select(classes)
    return Restricted(classifier, classes)


def bundle_metrics(bundle: Bundle, features: Features, protocol: str, unseen: Sequence[str] | None = None) -> dict[str, float]:
    """Evaluate a bundle on labelled features under `unseen-only`, `+1K` or `gzsl`.

    Parameters
    ----------
    unseen : the unseen candidates; None takes all unseen classes of the bundle.

    Raises
    ------
    InvalidInputError : unknown protocol, no image of a candidate class, or a seen class among `unseen`.
    IncompatibleError : the features come from another backbone than the bundle's.
    """
    check_same_recipe(features.meta.get("recipe", {}), bundle.recipe)
    seen = [i for i, s in zip(bundle.weights.ids, bundle.seen, strict=True) if s]
    hidden = list(unseen) if unseen is not None else [i for i, s in zip(bundle.weights.ids, bundle.seen, strict=True) if not s]
    overlap = sorted(set(hidden) & set(seen))
    if overlap:
        raise InvalidInputError("unseen candidates must not be seen classes of the bundle", received=first_five(overlap))
    axes = {"unseen-only": hidden, "+1K": [*hidden, *seen], "gzsl": [*seen, *hidden]}
    if protocol not in axes:
        raise InvalidInputError("a known protocol is needed", received=repr(protocol), remedy=f"choose from: {', '.join(axes)}")
    classifier = bundle.classifier.select(axes[protocol])
    images = features.of_classes(axes["gzsl"] if protocol == "gzsl" else hidden)
    counts = {"images": len(images), "images_of_other_classes": len(features) - len(images)}
    if protocol == "gzsl":
        return {**evaluate(joint_scores(classifier, images, seen), bundle.gamma), "gamma": bundle.gamma, **counts}
    return {**hit_metrics(classifier, images), **counts}
