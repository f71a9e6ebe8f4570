"""What a reader of a composition set is: settings in the constructor, `read()` gives the checked set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from kgzsl.datasets.composition_set import CompositionSet


class CompositionSetReader(ABC):
    """A compositional benchmark, by name.

    Attributes
    ----------
    name : the name in the resolver, and what a cell's `dataset:` says.
    source : the paper.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def read(self) -> CompositionSet:
        """Return the set, validated, with its published counts asserted where it is a published one.

        Raises
        ------
        MissingDataError : a file is missing; the message says which file goes where.
        SourceError, InvalidInputError : a file is not the published one; the rule that it breaks is named.
        """
