"""What a reader of a feature set is: settings in the constructor, `read()` gives the checked set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from kgzsl.datasets.feature_set import FeatureSet
from kgzsl.errors import InvalidInputError


class FeatureSetReader(ABC):
    """A benchmark of feature rows, by name.

    Attributes
    ----------
    name : the name in the resolver, and what a cell's `dataset:` says.
    source : the paper.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def read(self) -> FeatureSet:
        """Return the set with its published counts asserted.

        Raises
        ------
        MissingDataError : a file is missing; the message says which file goes where.
        SourceError, InvalidInputError : a file is not the published one; the rule that it breaks is named.
        """


def one_of(what: str, value: str, choices: tuple[str, ...]) -> str:
    """Return `value`, or raise InvalidInputError that lists the choices."""
    if value not in choices:
        raise InvalidInputError(f"{what} is one of {', '.join(choices)}", received=repr(value))
    return value
