"""What every composition classifier is: labelled features of seen pairs + what is known of states and objects → scores of pairs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSpace
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.matrices import Vectors


@dataclass(frozen=True)
class PairFeatures:
    """Features of labelled images.

    Attributes
    ----------
    matrix : float32 `[rows, dim]`.
    labels : position of each row's pair in the space's pairs, int64 `[rows]`.
    """

    matrix: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Knowledge:
    """What is known of states, objects and pairs apart from images.

    Attributes
    ----------
    graph : states, objects and pairs as nodes (see `kgzsl.sources.compositions`), with any outside knowledge that the recipe joins.
    vectors : semantic vectors of all its nodes, `[nodes, dim]`.
    """

    graph: KnowledgeGraph
    vectors: Vectors


class CompositionClassifier(ABC):
    """Scores features against pairs of a state and an object, seen or not.

    Hyper-parameters and epochs are chosen on `validation` by the AUC of the bias sweep, never on test rows.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def fit(
        self, train: PairFeatures, space: CompositionSpace, knowledge: Knowledge | None, validation: PairFeatures | None = None
    ) -> Self:
        """Learn from the features of seen pairs.

        Parameters
        ----------
        train, validation : labels are positions in `space.pairs`; validation rows are of seen pairs and of the part's unseen ones.
        knowledge : None for methods that need no words or graph.
        """

    @abstractmethod
    def scores(self, features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Return float32 scores `[rows, pairs]` of `features` `[rows, dim]` for `pairs`, int64 `[pairs, 2]`; higher is better.

        The pairs need not be in the space that `fit` saw (open world), but their states and objects are.
        """

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values; with `state` they are what a bundle keeps."""
        raise _not_kept(self.name)

    def state(self) -> dict[str, np.ndarray]:
        """Return what `fit` learned as named arrays: all that `scores` needs, without images, graph or vectors."""
        raise _not_kept(self.name)

    def load_state(self, state: Mapping[str, np.ndarray], space: CompositionSpace) -> None:
        """Take back what `state()` returned, for the space that `fit` saw; raises InvalidInputError when a name or shape is off."""
        raise _not_kept(self.name)


def _not_kept(name: str) -> InvalidInputError:
    return InvalidInputError(
        "a method that is kept in a bundle gives its state", received=f"`{name}`, which does not", remedy="choose another method"
    )
