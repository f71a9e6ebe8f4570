"""Edges of an ontology as they are collected, and counts of what made none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from kgzsl.sources.owl_rules import PROFILES


@dataclass
class Projected:
    """Edges over terms, and what was left out.

    Attributes
    ----------
    subject, object : positions in the terms, int64 `[edges]`.
    relation : positions in `relations`, int64 `[edges]`.
    relations : IRI of the property that states each kind of edge.
    classes, individuals, properties : terms that are one, bool `[terms]`.
    dropped : reason → how many axioms (or parts of one) made no edge.
    """

    subject: np.ndarray
    relation: np.ndarray
    object: np.ndarray
    relations: list[str]
    classes: np.ndarray
    individuals: np.ndarray
    properties: np.ndarray
    dropped: Counter[str]
    axioms: int


@dataclass
class Edges:
    """Growing columns of edges, and counts of what was dropped."""

    level: int
    subject: list[np.ndarray] = field(default_factory=list)
    relation: list[np.ndarray] = field(default_factory=list)
    object: list[np.ndarray] = field(default_factory=list)
    relations: dict[str, int] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    axioms: int = 0

    def number(self, iri: str) -> int:
        return self.relations.setdefault(iri, len(self.relations))

    def leaves_out(self, profile: str) -> bool:
        """Return whether edges that this profile is the first to have are left out."""
        return PROFILES.index(profile) > self.level

    def drop(self, reason: str, count: int, *, axiom: bool = True) -> None:
        if count:
            self.dropped[reason] += count
            self.axioms += count if axiom else 0

    def emit(self, subject: np.ndarray, iri: str, obj: np.ndarray, profile: str, what: str) -> None:
        """Keep edges of a named relation, or count them where the profile leaves them out."""
        self.emit_each(subject, np.full(len(subject), self.number(iri)) if len(subject) else subject, obj, profile, what)

    def emit_each(self, subject: np.ndarray, relation: np.ndarray, obj: np.ndarray, profile: str, what: str) -> None:
        if self.leaves_out(profile):
            self.drop(f"{what} (in the profile `{profile}`)", len(subject))
            return
        self.axioms += len(subject)
        self.subject.append(np.asarray(subject, np.int64))
        self.relation.append(np.asarray(relation, np.int64))
        self.object.append(np.asarray(obj, np.int64))
