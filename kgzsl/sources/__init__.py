"""Readers of knowledge sources: files on disk → statements and node texts."""

from kgzsl.registry import Resolver
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.owl import Owl
from kgzsl.sources.wordnet import WordNet

#: Readers by name; third parties add theirs under the entry-point group `kgzsl.sources`.
readers: Resolver[Reader] = Resolver("sources", Reader, [Owl, WordNet])  # type: ignore[type-abstract]

__all__ = ["Owl", "Reader", "Relation", "SourceInfo", "Statements", "WordNet", "readers"]
