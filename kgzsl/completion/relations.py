"""Semantics of relations: one vector for each, seen in training or not, from its text and from its place in the schema's graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kgzsl.completion.base import TrainingFacts
from kgzsl.datasets.readers import one_of
from kgzsl.encoders import ENCODERS, UnsupervisedEncoder
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.matrices import ClassifierWeights
from kgzsl.registry import parameters
from kgzsl.vectors import embed_texts, make_text_encoder

if TYPE_CHECKING:
    from kgzsl.graphs import KnowledgeGraph

_HIERARCHY, _CONSTRAINTS = ("sub_relation", "hypernym"), ("domain", "range")
#: Characteristics (`rdf:type owl:SymmetricProperty`) and inverses; property chains are no edges and take part in `AxiomAnswers` alone.
_AXIOMS = ("instance_hypernym", "inverse_relation")
#: Kind → the relations of the schema's graph that are read, and whether texts are.
KINDS: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "text": ((), True),
    "hierarchy": (_HIERARCHY, False),
    "constraints": (_CONSTRAINTS, False),
    "rdfs": ((*_HIERARCHY, *_CONSTRAINTS), False),
    "rdfs+literals": ((*_HIERARCHY, *_CONSTRAINTS), True),
    "axioms": ((*_HIERARCHY, *_CONSTRAINTS, *_AXIOMS), True),
}
USUAL_ENCODER = "random_walk"


@dataclass(frozen=True)
class RelationSemantics:
    """What relations are known by.

    Attributes
    ----------
    kind : `text` (label and comment), `hierarchy` (sub-properties and subclasses), `constraints` (domain and range), `rdfs` (both),
        `rdfs+literals` (with texts), `axioms` (with characteristics and inverses besides).
    encoder : a name of `kgzsl list encoders` for the graph. One that reads no text stands beside the text where the kind reads it;
        one that needs targets (`trgcn`, `compgcn`, `graph_gp`, …) is fitted on those of the seen relations and predicts all.
    settings : of the encoder.
    text_encoder : a name of `kgzsl list text-encoders`.
    without_text : `error` refuses relations without a text where texts are read; `names` takes their names instead.

    Raises
    ------
    UnknownNameError, InvalidInputError : no such kind or encoder, or settings that it does not take.
    """

    kind: str = "text"
    encoder: str = USUAL_ENCODER
    settings: Mapping[str, Any] = field(default_factory=dict)
    text_encoder: str = "minilm-l6-v2"
    without_text: str = "error"

    def __post_init__(self) -> None:
        one_of("a semantics of relations", self.kind, tuple(KINDS))
        one_of("without_text", self.without_text, ("error", "names"))
        ENCODERS.make(self.encoder, self.settings)
        if self.kind == "text" and (self.settings or self.encoder != USUAL_ENCODER):
            raise InvalidInputError("semantics of texts alone have no graph to encode", received=f"encoder {self.encoder}")

    @property
    def needs_graph(self) -> bool:
        """Whether the schema's graph takes part."""
        return self.kind != "text"

    @property
    def needs_targets(self) -> bool:
        """Whether the encoder is fitted on targets of the seen relations."""
        return self.needs_graph and not issubclass(ENCODERS.lookup(self.encoder), UnsupervisedEncoder)

    def __call__(
        self, training: TrainingFacts, graph: KnowledgeGraph | None = None, targets: np.ndarray | None = None, *, seed: int = 0
    ) -> np.ndarray:
        """Return a vector for each relation, float32 `[relations, dim]`; every block of it has length 1.

        Parameters
        ----------
        graph : of the recipe `training.schema`.
        targets : of the seen relations, ascending, `[seen, columns]`, for encoders that need them.

        Raises
        ------
        InvalidInputError : relations without a text, no graph, or no targets, where they are needed.
        """
        blocks = [self._text(training)] if KINDS[self.kind][1] else []
        if self.needs_graph:
            if graph is None or not training.relation_nodes:
                raise InvalidInputError(
                    f"semantics `{self.kind}` come from a schema of the relations", received="a set without one", remedy="use `text`"
                )
            encoded = self._encoded(training, graph, targets, seed)
            blocks = [encoded] if self._reads_text else [encoded, *blocks]
        return np.ascontiguousarray(np.concatenate([_unit(block) for block in blocks], axis=1), dtype=np.float32)

    @property
    def _reads_text(self) -> bool:
        """Whether the encoder makes the texts a part of its vectors."""
        cls = ENCODERS.lookup(self.encoder)
        return KINDS[self.kind][1] and (self.needs_targets or (issubclass(cls, UnsupervisedEncoder) and cls.reads_text))

    def _text(self, training: TrainingFacts) -> np.ndarray:
        facts = training.facts
        bare = facts.without_text()
        if bare and self.without_text == "error":
            raise InvalidInputError(
                f"semantics `{self.kind}` need a text of every relation",
                received=f"{len(bare):,} have none: {first_five(bare)}",
                remedy="add their texts, or pass without_text='names'",
            )
        texts = facts.relation_texts or ("",) * len(facts.relations)
        words = [text or _name_in_words(name) for name, text in zip(facts.relations, texts, strict=True)]
        return make_text_encoder(self.text_encoder).encode(words)

    def _encoded(self, training: TrainingFacts, graph: KnowledgeGraph, targets: np.ndarray | None, seed: int) -> np.ndarray:
        cls, nodes = ENCODERS.lookup(self.encoder), training.relation_nodes
        known = {r.id for r in graph.relations}
        settings = dict(self.settings)
        if "seed" in parameters(cls):
            settings["seed"] = seed
        if "relations" in parameters(cls) and "relations" not in settings:
            settings["relations"] = [r for r in KINDS[self.kind][0] if r in known]
        encoder = ENCODERS.make(self.encoder, settings)
        view, vectors = encoder.view(graph), embed_texts(graph, self.text_encoder, oov="zero")
        if not self.needs_targets:
            return cast(UnsupervisedEncoder, encoder).learn(view, vectors).embed(view, nodes).matrix
        if targets is None:
            raise InvalidInputError(f"`{self.encoder}` is fitted on targets of the seen relations", received="none")
        seen = tuple(nodes[r] for r in training.seen_relations().tolist())
        fitted = encoder.fit(view, vectors, ClassifierWeights(seen, np.ascontiguousarray(targets, dtype=np.float32)))
        return fitted.encode(view, vectors, nodes).matrix


def _name_in_words(name: str) -> str:
    return name.rpartition(":")[2].replace("_", " ").replace("/", " ").replace(".", " ").strip() or name


def _unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return scaled
