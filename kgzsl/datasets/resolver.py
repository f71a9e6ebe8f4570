"""The resolver of feature sets: what a cell's `dataset:` may name."""

from __future__ import annotations

from typing import Any

from kgzsl.datasets.awa import Awa1, Awa1Proposed
from kgzsl.datasets.cub import Cub, CubProposed, CubSentences
from kgzsl.datasets.feature_set import FeatureSet
from kgzsl.datasets.own import OwnFolder
from kgzsl.datasets.readers import FeatureSetReader
from kgzsl.datasets.snips import Snips
from kgzsl.datasets.xlsa17 import Awa2, Xlsa17Apy, Xlsa17Awa1, Xlsa17Awa2, Xlsa17Cub, Xlsa17Flo, Xlsa17Sun
from kgzsl.registry import Entry, Resolver

#: Third parties add theirs through the entry-point group `kgzsl.feature-sets`.
FEATURE_SETS: Resolver[FeatureSetReader] = Resolver(
    "feature-sets",
    FeatureSetReader,  # type: ignore[type-abstract]
    [
        Awa1,
        Awa1Proposed,
        Awa2,
        Cub,
        CubProposed,
        CubSentences,
        OwnFolder,
        Snips,
        Xlsa17Apy,
        Xlsa17Awa1,
        Xlsa17Awa2,
        Xlsa17Cub,
        Xlsa17Flo,
        Xlsa17Sun,
    ],
)


def list_feature_sets() -> tuple[Entry, ...]:
    """Return name, summary and source of every feature set, sorted by name."""
    return tuple(FEATURE_SETS)


def read_feature_set(name: str, **settings: Any) -> FeatureSet:
    """Return a feature set by name, its published counts asserted.

    Parameters
    ----------
    name : one of `list_feature_sets()`.
    settings : parameters of its reader: `path` everywhere, `split`, `semantics`, … where there is a choice.

    Raises
    ------
    UnknownNameError : not a known name; the choices are listed.
    InvalidInputError : settings that its reader does not take.
    MissingDataError : a file is not there; the message says which file goes where.
    """
    return FEATURE_SETS.make(name, settings).read()
