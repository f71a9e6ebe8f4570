"""Graph embeddings as class semantics: of classes that stand in a graph, or are attached to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy import sparse

from kgzsl.classifiers import WeightRegression
from kgzsl.classifiers.scaling import Scaling
from kgzsl.classifiers.softmax import softmax_regression
from kgzsl.datasets.class_links import class_links, links_of
from kgzsl.encoders import ENCODERS, Encoder, UnsupervisedEncoder
from kgzsl.encoders.base import unit_rows
from kgzsl.errors import InvalidInputError, UnknownNameError, first_five
from kgzsl.graphs import attach, rename_nodes, undirected
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Features, Vectors
from kgzsl.registry import parameters
from kgzsl.vectors import TextEncoder, embed_texts

if TYPE_CHECKING:
    from kgzsl.datasets import FeatureSet
    from kgzsl.graphs import KnowledgeGraph

#: Scalings that a linear classifier can take into its weights.
AFFINE = ("none", "centre", "standardise")
_WITHOUT_TRAINING = ("text", "propagated")
#: What an encoder gives: the weights that it predicts of a class, or its embedding of the class's node.
SPACES = ("weights", "nodes")


def knowledge_graph_of(dataset: str, graph: KnowledgeGraph) -> KnowledgeGraph:
    """Return `graph` with the classes of a benchmark attached by its shipped links (`cub`, `snips`).

    The recipes `birds` and `intents` hold all parents that these links name, and so does `wordnet-nouns`.

    Raises
    ------
    UnknownNameError : no links ship for this benchmark, or the graph lacks a parent.
    InvalidInputError : the classes are nodes of the graph already.
    """
    links = class_links(dataset)
    return attach(graph, links.classes, links.source)


def graph_of_classes(classes: Sequence[str], graph: KnowledgeGraph) -> KnowledgeGraph:
    """Return `graph` with every class of a benchmark as a node.

    Classes that are nodes are left where they are (recipes `cub`, `awa`). Those of Animals with Attributes are synsets of WordNet:
    where a graph has these (K-ZSL's, WordNet's own), they take the classes' ids. Others are attached by the links that ship.

    Raises
    ------
    MissingDataError : K-ZSL's list of AwA's classes and their synsets is not on this machine.
    UnknownNameError : no links ship for this benchmark, or the graph lacks a parent.
    """
    if all(c in graph for c in classes):
        return graph
    if all(c.startswith("awa:") for c in classes):
        from kgzsl.datasets.kzsl import kzsl_names

        nodes = {f"awa:{name}": node for node, name in kzsl_names("AwA").items()}
        absent = [c for c in classes if nodes.get(c, "") not in graph]
        if absent:
            raise UnknownNameError(
                f"every class has its synset in {graph.name}", received=f"{len(absent):,} have none: {first_five(absent)}"
            )
        return rename_nodes(graph, {nodes[c]: c for c in classes})
    links = links_of(classes)
    return attach(graph, links.select(classes), links.source)


@dataclass(frozen=True, eq=False)
class GraphSemantics:
    """Training rows of seen classes, and any classes of a graph → class embeddings.

    Attributes
    ----------
    graph : holds all classes as nodes.
    text_encoder : an encoder of node texts or its name.
    encoder : `text`, a class's own text vector; `propagated`, the mean of text vectors over the graph, `hops` times; or a
        name of `kgzsl list encoders`, which is fitted on the seen classes' softmax regression and predicts the weights of
        every class, `[classes, features + 1]`. Only the last kind looks at the training rows.
    space : of an encoder that needs no weights (`kggan`, `ontozsl`, `transe`, …): `weights`, or `nodes` for its embeddings
        themselves, which condition generators and classifiers and never see a training row.
    settings : of the encoder; `propagated` takes `hops` (2).
    template : the node text; None takes the text encoder's own.
    feature_scaling : `none`, `centre` or `standardise`, with the training rows' statistics. The regression works on scaled
        features; the weights that are returned score unscaled ones.
    penalty : of the regression.

    Raises
    ------
    UnknownNameError : no such encoder.
    InvalidInputError : settings that it does not take, or another scaling.
    """

    graph: KnowledgeGraph
    text_encoder: TextEncoder | str = "minilm-l6-v2"
    encoder: str = "propagated"
    settings: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None
    feature_scaling: str = "standardise"
    penalty: float = 1e-2
    space: str = "weights"

    def __post_init__(self) -> None:
        names = [entry.name for entry in ENCODERS]
        if self.encoder in names:
            ENCODERS.make(self.encoder, self.settings)
        elif self.encoder not in _WITHOUT_TRAINING:
            raise UnknownNameError(
                "class semantics come from a known encoder",
                received=repr(self.encoder),
                remedy=f"choose from: {', '.join(sorted([*names, *_WITHOUT_TRAINING]))}",
            )
        elif unknown := sorted(set(self.settings) - ({"hops"} if self.encoder == "propagated" else set())):
            raise InvalidInputError(
                f"`{self.encoder}` takes {'`hops`' if self.encoder == 'propagated' else 'no settings'}", received=unknown
            )
        if self.space not in SPACES:
            raise InvalidInputError("an encoder gives weights or embeddings of nodes", received=repr(self.space), remedy="weights or nodes")
        if self.space == "nodes" and not (self.encoder in names and issubclass(ENCODERS.lookup(self.encoder), UnsupervisedEncoder)):
            known = [n for n in names if issubclass(ENCODERS.lookup(n), UnsupervisedEncoder)]
            raise InvalidInputError(
                "embeddings of nodes come from encoders that need no weights",
                received=repr(self.encoder),
                remedy=f"choose from: {', '.join(known)}",
            )
        if not (isinstance(self._hops, int) and self._hops >= 0):
            raise InvalidInputError("hops is a whole number of at least 0", received=repr(self._hops))
        if self.feature_scaling not in AFFINE:
            raise InvalidInputError(
                "weights score unscaled features only after an affine scaling",
                received=repr(self.feature_scaling),
                remedy=f"choose from: {', '.join(AFFINE)}",
            )

    def __call__(self, train: Features, classes: Sequence[str]) -> ClassEmbeddings:
        """Return the embeddings of `classes`, `[classes, text dim]`, `[classes, node dim]` or `[classes, features + 1]`.

        Parameters
        ----------
        train : labelled rows of seen classes only.

        Raises
        ------
        UnknownNameError : a class, or a training row's class, is not a node of the graph.
        InvalidInputError : an encoder is fitted, and the rows have no labels.
        """
        if self.encoder in _WITHOUT_TRAINING:
            return self._propagated(classes, self._hops)
        if self.space == "nodes":
            view = self._encoder.view(self.graph)
            return cast(UnsupervisedEncoder, self._encoder).learn(view, self._vectors).embed(view, classes)
        scaling, targets = seen_weights(train, self.feature_scaling, self.penalty)
        return _unscaled(self._predicted(targets, classes), scaling)

    def classifier(self, train: Features, classes: Sequence[str]) -> WeightRegression:
        """Return the classifier whose weights are the predicted ones, and for seen classes their own, all of length 1 on
        scaled features; it scores unscaled features.

        Raises
        ------
        InvalidInputError : the encoder does not predict weights; what `__call__` raises.
        """
        if not self.predicts_weights:
            raise InvalidInputError(
                f"`{self.encoder}` gives vectors, not weights", remedy="fit a classifier on features and these embeddings"
            )
        scaling, targets = seen_weights(train, self.feature_scaling, self.penalty)
        rows = np.array(self._predicted(targets, classes).matrix)
        own = [i for i, c in enumerate(classes) if c in set(targets.ids)]
        if own:
            rows[own] = unit_rows(targets.rows([classes[i] for i in own]))
        scaled = ClassEmbeddings(tuple(classes), rows)
        return WeightRegression.of_rows(ClassifierWeights(tuple(classes), _unscaled(scaled, scaling).matrix))

    def seeded(self, seed: int) -> GraphSemantics:
        """Return the same with the encoder's seed, where it draws at random."""
        if self.drawn and "seed" in parameters(ENCODERS.lookup(self.encoder)):
            return replace(self, settings={**self.settings, "seed": seed})
        return self

    @property
    def predicts_weights(self) -> bool:
        """Whether the embeddings are classifier weights, fitted on training rows."""
        return self.encoder not in _WITHOUT_TRAINING and self.space == "weights"

    @property
    def drawn(self) -> bool:
        """Whether the embeddings depend on a seed or on training rows, and so are made anew in every run."""
        return self.encoder not in _WITHOUT_TRAINING

    def on(self, data: FeatureSet, seed: int) -> FeatureSet:
        """Return the set with the embeddings of one seed, for those that no training row decides.

        Raises
        ------
        InvalidInputError : the embeddings are weights, fitted on training rows.
        """
        if self.predicts_weights:
            raise InvalidInputError(
                f"`{self.encoder}` predicts weights from training rows", remedy="take its embeddings of nodes: space nodes, or text"
            )
        return data.with_embeddings(self.seeded(seed)(data.train, data.split.classes))

    @property
    def _hops(self) -> Any:
        return self.settings.get("hops", 2) if self.encoder == "propagated" else 0

    def _propagated(self, classes: Sequence[str], hops: int) -> ClassEmbeddings:
        """`(D⁻¹(A + I))^hops X` at `classes`; no text beyond the receptive field is encoded."""
        at = self.graph.positions(classes)
        step = undirected(self.graph, self_loops=True, norm="row").adjacency[0]
        weight = sparse.identity(len(self.graph), dtype=np.float32, format="csr")[at]
        for _ in range(hops):
            weight = weight @ step
        inside = np.unique(weight.indices)
        vectors = embed_texts(_Part.of(self.graph, inside), self.text_encoder, template=self.template)
        meta = {"encoder": self.encoder, "settings": dict(self.settings), "graph": self.graph.digest, "vectors": dict(vectors.meta)}
        return ClassEmbeddings(tuple(classes), weight[:, inside] @ vectors.matrix, meta)

    def _predicted(self, targets: ClassifierWeights, classes: Sequence[str]) -> ClassEmbeddings:
        view = self._encoder.view(self.graph)
        return self._encoder.fit(view, self._vectors, targets).encode(view, self._vectors, classes)

    @cached_property
    def _encoder(self) -> Encoder:
        """Fitted anew each time; what needs no weights is learned once."""
        return ENCODERS.make(self.encoder, self.settings)

    @cached_property
    def _vectors(self) -> Vectors:
        return embed_texts(self.graph, self.text_encoder, template=self.template)


def seen_weights(train: Features, feature_scaling: str = "standardise", penalty: float = 1e-2) -> tuple[Scaling, ClassifierWeights]:
    """Return the scaling of the training rows, and a softmax regression's weights on scaled rows, `[seen, features + 1]`.

    Raises
    ------
    InvalidInputError : rows without labels.
    """
    if not train.labels:
        raise InvalidInputError("seen classes' weights are fitted on labelled rows", received="features without labels")
    seen = tuple(sorted(set(train.labels)))
    scaling = Scaling.of(feature_scaling, train.matrix)
    weights = softmax_regression(scaling(train.matrix), positions(train.labels, seen, "the seen classes"), seen, penalty=penalty)
    return scaling, weights


def _unscaled(embeddings: ClassEmbeddings, scaling: Scaling) -> ClassEmbeddings:
    """The weights `[classes, features + 1]` that score unscaled features as `embeddings` score scaled ones."""
    rows = embeddings.matrix.astype(np.float64)
    weight = rows[:, :-1] / scaling.deviation
    bias = rows[:, -1] - weight @ scaling.mean
    return replace(embeddings, matrix=np.concatenate([weight, bias[:, None]], axis=1))


@dataclass(frozen=True)
class _Part:
    """Some nodes of a graph, as `embed_texts` reads them."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, graph: KnowledgeGraph, at: np.ndarray) -> _Part:
        ids, labels, texts = (tuple(column[i] for i in at.tolist()) for column in (graph.ids, graph.labels, graph.texts))
        return cls(ids, labels, texts)
