"""What a benchmark of knowledge-graph completion is here: triples in parts, split by nothing, by relation or by entity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.ids import check_unique

HEAD, RELATION, TAIL = 0, 1, 2


@dataclass(frozen=True)
class Triples:
    """Facts `(head, relation, tail)` about named entities.

    Attributes
    ----------
    entities, relations : names as the benchmark writes them, sorted, unique.
    triples : positions of head, relation and tail, int64 `[triples, 3]`.
    entity_texts, relation_texts : text of each, empty where there is none; no texts at all may be an empty tuple.

    Raises
    ------
    InvalidInputError : names twice, positions outside the names, texts of another number.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    triples: np.ndarray
    entity_texts: tuple[str, ...] = ()
    relation_texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, names, texts in (("entities", self.entities, self.entity_texts), ("relations", self.relations, self.relation_texts)):
            check_unique(names, f"the {what} of triples")
            if texts and len(texts) != len(names):
                raise InvalidInputError(f"{what} have one text each", received=f"{len(names):,} names, {len(texts):,} texts")
        rows = self.triples
        if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype != np.int64:
            raise InvalidInputError("triples are int64 [triples, 3]", received=f"{rows.dtype} {list(rows.shape)}")
        limits = np.array([len(self.entities), len(self.relations), len(self.entities)])
        if len(rows) and (rows.min() < 0 or (rows >= limits).any()):
            raise InvalidInputError("triples are positions of entities and relations", received=f"up to {rows.max(axis=0).tolist()}")

    def __len__(self) -> int:
        return len(self.triples)

    def named(self, rows: np.ndarray) -> str:
        """Return the first five of some triples, `[rows, 3]`, in words."""
        return first_five(f"({self.entities[h]}, {self.relations[r]}, {self.entities[t]})" for h, r, t in rows[:6].tolist())

    def without_text(self) -> tuple[str, ...]:
        """Return the relations that have no text."""
        texts = self.relation_texts or ("",) * len(self.relations)
        return tuple(r for r, text in zip(self.relations, texts, strict=True) if not text)


@dataclass(frozen=True)
class CandidateLists:
    """Which entities an answer is sought among: a list of entities for every evaluated triple.

    Attributes
    ----------
    rule : how the lists came to be: `published, per triple`, `published, per relation`, `types of the range`.
    entities : positions of entities, int64 `[entries]`, list after list; within a list ascending and unique.
    offsets : where each list begins, and the end, int64 `[lists + 1]`.
    of : the list of each triple of the part, int64 `[triples]`; −1 where the protocol does not ask for the triple.
    """

    rule: str
    entities: np.ndarray
    offsets: np.ndarray
    of: np.ndarray

    def missing(self, tails: np.ndarray) -> np.ndarray:
        """Return which triples have a list that lacks their tail, bool `[triples]`."""
        size = int(max(self.entities.max(initial=0), tails.max(initial=0))) + 1
        owner = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        return (self.of >= 0) & ~np.isin(self.of * size + tails, owner * size + self.entities)


@dataclass(frozen=True)
class CompletionSet:
    """Triples in parts.

    Attributes
    ----------
    name, version : the dataset; a set whose training part is not the published one says so in both.
    facts : all triples of all parts over one vocabulary.
    parts : position of each triple's part in `PARTS`, int8 `[triples]`.
    licence : what is known of it.
    candidates : part → the lists that tails are sought in; a part without is evaluated among all entities.
    relation_nodes : node of each relation in the graph of `schema`, `[relations]`; empty where there is no schema.
    schema : the recipe of the relations' ontology, or nothing.
    coverage : what of the published benchmark is here, counted.
    dropped : what was left out and why, counted.

    Raises
    ------
    InvalidInputError : a part without triples, a triple in two parts, or what a kind of split forbids.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("train", "valid", "test")
    #: What the split keeps apart.
    KIND: ClassVar[str] = "links"

    name: str
    version: str
    facts: Triples
    parts: np.ndarray
    licence: str = "not stated"
    candidates: Mapping[str, CandidateLists] = field(default_factory=dict)
    relation_nodes: tuple[str, ...] = ()
    schema: str = ""
    coverage: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.parts.shape != (len(self.facts),):
            raise InvalidInputError("every triple is in one part", received=f"{len(self.facts):,} triples, parts {self.parts.shape}")
        empty = [part for part in self.PARTS if not len(self.rows(part))]
        if empty:
            raise InvalidInputError(
                f"every part of {self.name} holds triples",
                received=f"{', '.join(empty)} holds none",
                remedy="give the part triples; an empty one can be neither trained on nor evaluated",
            )
        keys, counts = np.unique(self.facts.triples, axis=0, return_counts=True) if len(self.facts) < 1 << 14 else self._counted()
        if (counts > 1).any():
            raise InvalidInputError(
                f"a triple of {self.name} is in one part, once",
                received=f"{int((counts > 1).sum()):,} are there again: {self.facts.named(keys[counts > 1])}",
                remedy="keep it in one part",
            )
        self._check_split()

    def _counted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the different triples and how often each is there, by one number per triple (rows are slow to sort)."""
        rows = self.facts.triples
        key = (rows[:, HEAD] * len(self.facts.relations) + rows[:, RELATION]) * len(self.facts.entities) + rows[:, TAIL]
        _, first, counts = np.unique(key, return_index=True, return_counts=True)
        return rows[first], counts

    def _check_split(self) -> None:
        """Raise InvalidInputError where the parts share what the kind of split keeps apart."""

    def __len__(self) -> int:
        return len(self.facts)

    def rows(self, part: str) -> np.ndarray:
        """Return the positions of a part's triples, int64 `[rows]`."""
        if part not in self.PARTS:
            raise InvalidInputError(f"a part of {self.name} is one of {', '.join(self.PARTS)}", received=repr(part))
        return np.flatnonzero(self.parts == self.PARTS.index(part))

    def triples(self, part: str) -> np.ndarray:
        """Return the triples of a part, int64 `[rows, 3]`."""
        return self.facts.triples[self.rows(part)]

    def entities_of(self, *parts: str) -> np.ndarray:
        """Return the positions of the entities that parts speak of, ascending."""
        return np.unique(np.concatenate([self.triples(part)[:, [HEAD, TAIL]].reshape(-1) for part in parts]))

    def relations_of(self, *parts: str) -> np.ndarray:
        """Return the positions of the relations that parts speak of, ascending."""
        return np.unique(np.concatenate([self.triples(part)[:, RELATION] for part in parts]))

    def new_entities(self, part: str) -> int:
        """Return how many entities of a part no training triple speaks of."""
        return len(np.setdiff1d(self.entities_of(part), self.entities_of("train")))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over name, version, kind, vocabulary, triples, parts and candidates (not over the texts)."""
        facts = self.facts
        arrays = {"triples": facts.triples, "parts": self.parts.astype(np.int64)}
        for part, lists in self.candidates.items():
            arrays |= {f"{part} {what}": getattr(lists, what) for what in ("entities", "offsets", "of")}
        hashed = {what: hashlib.sha256(np.ascontiguousarray(a, dtype="<i8").tobytes()).hexdigest() for what, a in arrays.items()}
        named = {"entities": facts.entities, "relations": facts.relations, "part names": self.PARTS}
        return digest({"name": self.name, "version": self.version, "kind": self.KIND, **named, **hashed})

    def counts(self) -> dict[str, int]:
        """Return how many entities, relations, and triples of each part there are, and what is counted of coverage and loss."""
        per_part = {f"{part} triples": len(self.rows(part)) for part in self.PARTS}
        missed = {
            f"{part} triples whose candidates miss the true tail": int(lists.missing(self.triples(part)[:, TAIL]).sum())
            for part, lists in self.candidates.items()
        }
        named = {"entities": len(self.facts.entities), "relations": len(self.facts.relations)}
        return {**named, **per_part, **missed, **self.coverage, **{f"dropped: {why}": n for why, n in self.dropped.items() if n}}

    def validate(self, **expected: int) -> CompletionSet:
        """Check counts (`entities=14541`, `relations=237`, `train=272115`, …); return the set itself.

        Raises
        ------
        InvalidInputError : another number.
        """
        for what, want in expected.items():
            have = len(getattr(self.facts, what)) if what in ("entities", "relations") else len(self.rows(what))
            if have != want:
                said = what if what in ("entities", "relations") else f"triples in {what}"
                raise InvalidInputError(
                    f"{self.name} {self.version} has {want:,} {said}", received=f"{have:,}", remedy=f"get {self.name} again"
                )
        return self


class UnseenRelations(CompletionSet):
    """Triples split by relation: a relation of validation or test occurs in no other part."""

    KIND: ClassVar[str] = "relations"

    def _check_split(self) -> None:
        found = [set(self.relations_of(part).tolist()) for part in self.PARTS]
        for i, one in enumerate(self.PARTS):
            for j in range(i):
                both = sorted(found[i] & found[j])
                if both:
                    raise InvalidInputError(
                        f"{self.name} is split by relation: a relation is in one part",
                        received=f"in {self.PARTS[j]} and in {one}: {first_five(self.facts.relations[r] for r in both)}",
                        remedy="give all its triples to one of them",
                    )


class UnseenEntities(CompletionSet):
    """Triples split by entity (Teru et al., ICML 2020): trained on one graph, asked about another one of the same relations.

    `train`, `valid` and `test_seen` are of the first graph; `facts` are what is known of the second one when `test` (or
    `valid_unseen`) asks about it.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("train", "valid", "test_seen", "facts", "valid_unseen", "test")
    KIND: ClassVar[str] = "entities"
    #: The parts of the two graphs.
    GRAPHS: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]] = (PARTS[:3], PARTS[3:])

    def _check_split(self) -> None:
        both = np.intersect1d(self.entities_of(*self.GRAPHS[0]), self.entities_of(*self.GRAPHS[1]))
        if len(both):
            raise InvalidInputError(
                f"{self.name} is split by entity: an entity is in one of two graphs",
                received=f"{len(both):,} are in both: {first_five(self.facts.entities[e] for e in both)}",
            )
        new = np.setdiff1d(self.relations_of(*self.GRAPHS[1]), self.relations_of("train"))
        if len(new):
            raise InvalidInputError(
                f"{self.name} asks about relations that were trained",
                received=f"{len(new):,} were not: {first_five(self.facts.relations[r] for r in new)}",
            )
