"""Readers of knowledge sources: files on disk → statements and node texts."""

from kgzsl.registry import Resolver
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.senses import Senses, sense_ranks
from kgzsl.sources.wordnet import WordNet

#: Readers by name; third parties add theirs under the entry-point group `kgzsl.sources`.
readers: Resolver[Reader] = Resolver("sources", Reader, [WordNet])  # type: ignore[type-abstract]

__all__ = ["Reader", "Relation", "Senses", "SourceInfo", "Statements", "WordNet", "readers", "sense_ranks"]
