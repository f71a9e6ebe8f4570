"""Readers of knowledge sources: files on disk → statements and node texts."""

from kgzsl.registry import Resolver
from kgzsl.sources.attributes import Attributes
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.class_links import ClassLinks
from kgzsl.sources.compositions import Compositions
from kgzsl.sources.conceptnet import ConceptNet
from kgzsl.sources.owl import Owl
from kgzsl.sources.schemas import ConceptTexts
from kgzsl.sources.senses import Senses, sense_order, sense_ranks
from kgzsl.sources.triples import Triples
from kgzsl.sources.wordnet import WordNet

#: Readers by name; third parties add theirs under the entry-point group `kgzsl.sources`.
readers: Resolver[Reader] = Resolver(
    "sources",
    Reader,  # type: ignore[type-abstract]
    [
        Attributes,
        ClassLinks,
        Compositions,
        ConceptNet,
        ConceptTexts,
        Owl,
        Triples,
        WordNet,
    ],
)

__all__ = [
    "Attributes",
    "ClassLinks",
    "Compositions",
    "ConceptNet",
    "ConceptTexts",
    "Owl",
    "Reader",
    "Relation",
    "Senses",
    "SourceInfo",
    "Statements",
    "Triples",
    "WordNet",
    "readers",
    "sense_order",
    "sense_ranks",
]
