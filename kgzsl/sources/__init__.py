"""Readers of knowledge sources: files on disk → statements and node texts."""

from kgzsl.registry import Resolver
from kgzsl.sources.attributes import Attributes
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.compositions import Compositions
from kgzsl.sources.triples import Triples
from kgzsl.sources.wordnet import WordNet

#: Readers by name; third parties add theirs under the entry-point group `kgzsl.sources`.
readers: Resolver[Reader] = Resolver("sources", Reader, [Attributes, Compositions, Triples, WordNet])  # type: ignore[type-abstract]

__all__ = ["Attributes", "Compositions", "Reader", "Relation", "SourceInfo", "Statements", "Triples", "WordNet", "readers"]
