"""What carries an answer of a learned model: known facts between its two ends, and the most similar facts of its relation."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, Triples
from kgzsl.errors import InvalidInputError, UnknownNameError, first_five

#: Names that an error suggests, and how many are compared letter by letter at most.
_SUGGESTED, _COMPARED = 5, 20_000
_CLOSE = 0.6
Fact = tuple[str, str, str]


@dataclass(frozen=True)
class Evidence:
    """Known facts that speak for an answer.

    Attributes
    ----------
    between : facts of any relation between the answer's two ends, the answered one left out.
    similar : facts of the relation with ends like the answer's, and how alike, in 0…1: the product of both cosines.
    """

    between: tuple[Fact, ...]
    similar: tuple[tuple[Fact, float], ...]


def label_of(text: str) -> str:
    """Return the part of an entity's text that names it: what comes before its first comma, semicolon or tab."""
    for mark in ",;\t":
        text = text.split(mark)[0]
    return text.strip()


def find_entity(wanted: str, facts: Triples) -> int:
    """Return the position of the entity that a name, or the beginning of a text, stands for.

    Raises
    ------
    InvalidInputError : the text is that of several entities, whose names are listed.
    UnknownNameError : there is none; near names are listed.
    """
    place = _place(facts.entities, wanted)
    if place is not None:
        return place
    key = wanted.strip().casefold()
    texts = facts.entity_texts
    named = [i for i, text in enumerate(texts) if text and key in (text.casefold(), label_of(text).casefold())]
    named = named or [i for i, name in enumerate(facts.entities) if name.casefold() == key]
    if len(named) == 1:
        return named[0]
    if named:
        listed = first_five(f"{facts.entities[i]} ({texts[i][:60]})" if texts else facts.entities[i] for i in named)
        raise InvalidInputError("a text stands for one entity", received=f"{wanted!r} for {len(named)}: {listed}", remedy="give its name")
    near = _near(wanted, facts.entities, texts)
    raise UnknownNameError(
        f"an entity is one of {len(facts.entities):,}, by its name or its text",
        received=repr(wanted),
        remedy=f"did you mean {'; '.join(near)}?" if near else f"such as {first_five(facts.entities)}",
    )


def find_relation(wanted: str, facts: Triples) -> int:
    """Return the position of a relation, by its name, or by what follows its last colon or slash where that is one relation's alone.

    Raises
    ------
    UnknownNameError : there is none; near ones are listed, and all where they are few.
    """
    place = _place(facts.relations, wanted)
    if place is not None:
        return place
    short = [i for i, name in enumerate(facts.relations) if wanted.casefold() in (name.casefold(), _end(name).casefold())]
    if len(short) == 1:
        return short[0]
    near = [facts.relations[i] for i in short] or _near(wanted, facts.relations, facts.relation_texts)
    every = ", ".join(facts.relations) if len(facts.relations) <= 60 else first_five(facts.relations)
    raise UnknownNameError(
        f"a relation is one of {len(facts.relations):,}",
        received=repr(wanted),
        remedy=(f"did you mean {'; '.join(near)}? " if near else "") + f"there are: {every}",
    )


def _end(name: str) -> str:
    """Return what follows the last colon or slash of a relation's name, without underscores before it."""
    return name.replace("/", ":").rpartition(":")[2].lstrip("_")


def _place(names: Sequence[str], wanted: str) -> int | None:
    try:
        return names.index(wanted)
    except ValueError:
        return None


def _near(wanted: str, names: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return names like a wanted one, those whose text it is like with the text."""
    key = wanted.strip().casefold()
    labels: dict[str, str] = {}
    for name, text in zip(names, texts or ("",) * len(names), strict=True):
        labels.setdefault(name.casefold(), name)
        if text:
            label = label_of(text)
            labels.setdefault(label.casefold(), name if label.casefold() == name.casefold() else f"{name} ({label})")
    pool = list(labels)
    if len(pool) > _COMPARED:  # letter by letter is slow: those that share a beginning, or hold it
        pool = [p for p in pool if key and (key in p or p[:2] == key[:2])][:_COMPARED]
    holding = [p for p in pool if len(key) > 2 and key in p][:_SUGGESTED]
    close = difflib.get_close_matches(key, pool, n=_SUGGESTED, cutoff=_CLOSE)
    return list(dict.fromkeys(labels[p] for p in (*close, *holding)))[:_SUGGESTED]


class Carriers:
    """Finds evidence among known facts.

    Parameters
    ----------
    known : what the model saw.
    vectors : of all entities, `[entities, dim]`; without them there are no similar facts.
    """

    def __init__(self, known: Triples, vectors: np.ndarray | None = None) -> None:
        self.known = known
        self._unit = None
        if vectors is not None:
            self._unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

    def of(self, head: int, relation: int, tail: int, most: int = 3) -> Evidence:
        """Return at most `most` facts of each kind, most similar first."""
        rows = self.known.triples
        same = (rows[:, HEAD] == head) & (rows[:, RELATION] == relation) & (rows[:, TAIL] == tail)
        ends = ((rows[:, HEAD] == head) & (rows[:, TAIL] == tail)) | ((rows[:, HEAD] == tail) & (rows[:, TAIL] == head))
        between = tuple(self._named(row) for row in rows[ends & ~same][:most])
        own = rows[(rows[:, RELATION] == relation) & ~same]
        if self._unit is None or not len(own):
            return Evidence(between, ())
        alike = np.clip(self._unit[own[:, HEAD]] @ self._unit[head], 0, 1) * np.clip(self._unit[own[:, TAIL]] @ self._unit[tail], 0, 1)
        best = np.argsort(-alike, kind="stable")[:most]
        return Evidence(between, tuple((self._named(own[i]), float(alike[i])) for i in best if alike[i] > 0))

    def _named(self, row: np.ndarray) -> Fact:
        return self.known.entities[row[HEAD]], self.known.relations[row[RELATION]], self.known.entities[row[TAIL]]
