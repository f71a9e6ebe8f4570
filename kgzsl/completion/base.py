"""What a model of knowledge-graph completion is: fitted on facts and what is known of relations, it scores entities as answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from kgzsl.datasets.completion_set import HEAD, TAIL, CompletionSet, Triples
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import Queries


@dataclass(frozen=True)
class TrainingFacts:
    """What a model may see of a completion set: the names and texts of all entities and relations, triples of training and validation.

    Attributes
    ----------
    facts : the training triples over the set's whole vocabulary.
    valid : triples of validation, int64 `[valid, 3]`; of other relations than training's where the set is split by relation.
    support : what is known of unseen entities when the test asks about them (the second graph of a set split by entity), int64
        `[support, 3]`; a model may read it when it answers, never train on it.
    relation_nodes, schema : the relations' nodes in the graph of this recipe; empty where there is none.
    """

    facts: Triples
    valid: np.ndarray
    support: np.ndarray
    relation_nodes: tuple[str, ...] = ()
    schema: str = ""

    @classmethod
    def of(cls, data: CompletionSet) -> TrainingFacts:
        """Return a completion set without its test triples."""
        whole = data.facts
        train = Triples(whole.entities, whole.relations, data.triples("train"), whole.entity_texts, whole.relation_texts)
        support = data.triples("facts") if "facts" in data.PARTS else np.zeros((0, 3), dtype=np.int64)
        return cls(train, data.triples("valid"), support, data.relation_nodes, data.schema)

    def seen_relations(self) -> np.ndarray:
        """Return the positions of the relations with training triples, ascending."""
        return np.unique(self.facts.triples[:, 1])

    def seen_entities(self) -> np.ndarray:
        """Return the positions of the entities with training triples, ascending."""
        return np.unique(self.facts.triples[:, [HEAD, TAIL]])


class CompletionModel(ABC):
    """A model of completion: settings in the constructor, then `fit`, then `score`.

    Attributes
    ----------
    name : the name in a resolver.
    source : the paper.
    uses_relations : whether it needs a vector for each relation (from the schema's graph, or texts): what makes unseen ones possible.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    uses_relations: ClassVar[bool] = False

    @abstractmethod
    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> CompletionModel:
        """Fit and return itself.

        Parameters
        ----------
        relations : one vector per relation of the vocabulary, unseen ones included, float32 `[relations, dim]`.
        """

    @abstractmethod
    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray | torch.Tensor:
        """Return how well entities answer queries, higher is better, finite, `[queries, columns]`.

        Parameters
        ----------
        queries : a block of one side, as large as the evaluation chooses; of one relation where candidates are lists.
        columns : positions of the entities asked about, ascending; None asks about all.
        """

    def check_relations(self, training: TrainingFacts, relations: np.ndarray | None) -> None:
        """Raise InvalidInputError unless there is a finite vector for every relation where the model needs one."""
        if not self.uses_relations:
            return
        if relations is None or relations.ndim != 2 or len(relations) != len(training.facts.relations) or not np.isfinite(relations).all():
            received = "none" if relations is None else f"shape {list(relations.shape)}"
            raise InvalidInputError(
                f"{self.name} needs a finite vector for each of {len(training.facts.relations):,} relations", received=received
            )
