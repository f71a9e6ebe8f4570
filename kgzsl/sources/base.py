"""What every reader returns: columns of nodes, columns of edges, and where they came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from kgzsl.errors import SourceError, first_five

if TYPE_CHECKING:
    from kgzsl.engines import Engine


@dataclass(frozen=True)
class SourceInfo:
    """Which files were read: name, version, licence, and SHA-256 per file name."""

    name: str
    version: str
    licence: str
    files: Mapping[str, str]


@dataclass(frozen=True, order=True)
class Relation:
    """A kind of edge. `inverse` is the id of the relation read from object to subject, or empty."""

    id: str
    label: str
    symmetric: bool = False
    inverse: str = ""


@dataclass(frozen=True)
class Statements:
    """Statements of one source.

    Attributes
    ----------
    ids, kinds, labels, texts : string columns `[nodes]`; ids are CURIEs and unique.
    relations : the kinds of edges, `[relations]`.
    subject, object : positions in `ids`, int32 `[edges]`.
    relation : positions in `relations`, int32 `[edges]`.
    weight : float32 `[edges]`.
    dropped : reason → how many statements of the source were left out for it.
    prefixes : prefix → IRI of the prefixes in `ids` and in the ids of relations, beyond `kgzsl.ids.PREFIXES`.

    Raises
    ------
    SourceError : columns of different lengths, a kind that the vocabulary does not have, or an edge that points outside the tables.
    """

    ids: pa.StringArray
    kinds: pa.StringArray
    labels: pa.StringArray
    texts: pa.StringArray
    relations: tuple[Relation, ...]
    subject: np.ndarray
    relation: np.ndarray
    object: np.ndarray
    weight: np.ndarray
    info: SourceInfo
    dropped: Mapping[str, int] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nodes = {len(self.ids), len(self.kinds), len(self.labels), len(self.texts)}
        edges = {len(self.subject), len(self.relation), len(self.object), len(self.weight)}
        if len(nodes) != 1 or len(edges) != 1:
            raise SourceError("columns of one table have one length", received=f"nodes {sorted(nodes)}, edges {sorted(edges)}")
        for name, column, end in (
            ("subject", self.subject, len(self.ids)),
            ("object", self.object, len(self.ids)),
            ("relation", self.relation, len(self.relations)),
        ):
            if len(column) and not (column.min() >= 0 and column.max() < end):
                raise SourceError(f"every {name} is a position below {end:,}", received=f"{column.min()} to {column.max()}")
        _check_kinds(self.kinds)


def _check_kinds(kinds: pa.StringArray) -> None:
    """Raise SourceError unless every word is a kind of nodes of the vocabulary."""
    from kgzsl.sources.vocabulary import vocabulary  # its relations are this module's

    known = vocabulary().kinds
    unknown = sorted({str(word) for word in kinds.unique().to_pylist()} - {*known})
    if unknown:
        raise SourceError(
            "a node's kind is one of the vocabulary's (ontologies/kgzsl.ttl and composition.ttl)",
            received=first_five(map(repr, unknown)),
            remedy=f"choose from: {', '.join(sorted(known))}",
        )


class Reader(ABC):
    """Reads one kind of knowledge source; its constructor takes the settings of a recipe."""

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def read(self, path: Path, engine: Engine | None = None) -> Statements:
        """Read the file or folder at `path`; a malformed one raises SourceError.

        Parameters
        ----------
        engine : runs the relational work of a reader that has some; None = DuckDB.
        """
