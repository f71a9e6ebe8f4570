"""A method under test: seen classes and candidate classes → a fitted classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kgzsl.classifiers import CLASSIFIERS, Classifier, WeightRegression, regression_classifier, weight_classifier
from kgzsl.encoders import ENCODERS, Encoder
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors
from kgzsl.registry import parameters

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph

#: Fits on the first classes (seen), scores the second ones (candidates).
Method = Callable[[Sequence[str], Sequence[str]], Classifier]


@dataclass(frozen=True)
class Knowledge:
    """What every method may use: a graph, its nodes' vectors `[nodes, dim]` and a backbone's weights."""

    graph: KnowledgeGraph
    vectors: Vectors
    weights: ClassifierWeights


@dataclass(frozen=True)
class Scoring:
    """By which kind of weight regression an encoder's predicted weights are scored, and its settings."""

    name: str = WeightRegression.name
    settings: Mapping[str, Any] = field(default_factory=dict)

    def classifier(self) -> WeightRegression:
        """Return a new classifier; raises what is wrong with name or settings."""
        return regression_classifier(self.name, self.settings)


def encoder_method(knowledge: Knowledge, name: str, settings: Mapping[str, Any] | None = None, scored_by: Scoring | None = None) -> Method:
    """Return the method that fits an encoder on the seen classes' weights and regresses all candidates'.

    One encoder is fitted anew by every call, so that what needs no weights (`UnsupervisedEncoder.learn`) is learned once.
    """
    encoder: Encoder = ENCODERS.make(name, settings)
    scoring = scored_by or Scoring()

    def fit(seen: Sequence[str], candidates: Sequence[str]) -> Classifier:
        view = encoder.view(knowledge.graph)
        targets = knowledge.weights.select(seen)
        encoder.fit(view, knowledge.vectors, targets)
        return scoring.classifier().fit(targets, encoder.encode(view, knowledge.vectors, candidates))

    return fit


def text_method(knowledge: Knowledge, name: str, settings: Mapping[str, Any] | None = None) -> Method:
    """Return a classifier of weights (`conse`, `icis`) on the nodes' semantic vectors: no graph."""

    def fit(seen: Sequence[str], candidates: Sequence[str]) -> Classifier:
        axis = list(dict.fromkeys([*candidates, *seen]))
        embeddings = ClassEmbeddings(tuple(axis), knowledge.vectors.rows(axis), knowledge.vectors.meta)
        classifier = weight_classifier(name, settings).fit(knowledge.weights.select(seen), embeddings)
        return Restricted(classifier, candidates) if len(axis) > len(candidates) else classifier

    return fit


def oracle_method(knowledge: Knowledge) -> Method:
    """Return the ceiling: every candidate's true classifier weights."""

    def fit(seen: Sequence[str], candidates: Sequence[str]) -> Classifier:
        return WeightRegression.of_weights(knowledge.weights.select(candidates))

    return fit


#: Classifiers of weights that take text vectors as they are.
ON_TEXT = ("conse", "icis")


def check_method(name: str, settings: Mapping[str, Any] | None = None, scored_by: Scoring | None = None) -> None:
    """Check a method's name and settings without any data, before long work.

    Raises
    ------
    UnknownNameError : no such method; the choices are listed.
    InvalidInputError : a setting that the method does not have.
    """
    names = [entry.name for entry in ENCODERS]
    if scored_by is not None:
        scored_by.classifier()
        if name in [*ON_TEXT, "oracle"]:
            raise InvalidInputError("only an encoder's predicted weights are scored by a classifier of one's choice", received=f"`{name}`")
    if name in names:
        ENCODERS.make(name, settings)
    elif name in ON_TEXT:
        CLASSIFIERS.make(name, settings)
    elif name != "oracle":
        raise UnknownNameError(
            "a known method is needed", received=repr(name), remedy=f"choose from: {', '.join(sorted([*names, *ON_TEXT, 'oracle']))}"
        )
    elif settings:
        raise InvalidInputError(f"`{name}` takes no settings", received=", ".join(sorted(settings)))


def make_method(knowledge: Knowledge, name: str, settings: Mapping[str, Any] | None = None, scored_by: Scoring | None = None) -> Method:
    """Return the method called `name`: an encoder's name, one of `ON_TEXT` or `oracle`; see `check_method` for what is refused."""
    check_method(name, settings, scored_by)
    if name == "oracle":
        return oracle_method(knowledge)
    return text_method(knowledge, name, settings) if name in ON_TEXT else encoder_method(knowledge, name, settings, scored_by)


def takes_seed(name: str) -> bool:
    """Return whether the method called `name` draws at random, and so takes a seed."""
    if name == "oracle":
        return False
    cls: type = CLASSIFIERS.lookup(name) if name in ON_TEXT else ENCODERS.lookup(name)
    return "seed" in parameters(cls)


class Restricted(Classifier):
    """The same classifier with some of its classes on the axis."""

    name = "restricted"
    source = "plumbing"

    def __init__(self, classifier: Classifier, classes: Sequence[str]) -> None:
        from kgzsl.ids import positions

        self._classifier = classifier
        self._columns = positions(classes, classifier.classes, "the classifier")
        self.classes = tuple(classes)

    def row_values(self) -> int:
        return self._classifier.row_values()  # which scores all its classes first

    def scores(self, features: Any) -> Any:
        return self._classifier.scores(features)[:, self._columns]
