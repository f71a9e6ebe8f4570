"""Features of entities, from training triples and texts: what relations that were never seen are recognised in.

Two blocks, each of mean squared length 1 over the seen entities, side by side:

* structure: either the roles that an entity has in training (head or tail of which relations, weighted by rarity, in their principal
  directions), or the vectors of a link model of PyKEEN trained on the same triples;
* text: the vector of the entity's text. Of an entity without training triples, the structure is what a ridge regression on texts says.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

from kgzsl.completion.base import TrainingFacts
from kgzsl.completion.links import LINK_MODELS
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, Triples
from kgzsl.errors import InvalidInputError
from kgzsl.vectors import embed_texts

#: What the structure may be beside a name of `LINK_MODELS`.
ROLES, NONE = "roles", "none"
#: Ridge of the regression of structure on texts, relative to the mean squared text.
_RIDGE = 1.0


def entity_words(facts: Triples) -> tuple[str, ...]:
    """Return a text for each entity: its own, else words of a name such as `concept:city:new_york` (`new york, city`), else nothing."""
    texts = facts.entity_texts or ("",) * len(facts.entities)
    return tuple(text or _words(name) for name, text in zip(facts.entities, texts, strict=True))


def _words(name: str) -> str:
    parts = name.split(":")
    if len(parts) < 3:
        return ""
    kind, own = parts[1].replace("_", " ").strip(), " ".join(parts[2:]).replace("_", " ").strip()
    return f"{own}, {kind}" if own else kind


@dataclass(frozen=True)
class _Named:
    """Entities as `embed_texts` reads them."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    texts: tuple[str, ...]


def text_vectors(facts: Triples, encoder: str = "minilm-l6-v2", characters: int = 100) -> np.ndarray:
    """Return the vector of every entity's text, float32 `[entities, dim]`, cached on disk; zero where there is none.

    Parameters
    ----------
    characters : of each text, its first ones; glosses say the most first, and long ones cost the most.
    """
    words = tuple(text[:characters] for text in entity_words(facts))
    if not any(words):
        return np.zeros((len(words), 0), dtype=np.float32)
    named = _Named(facts.entities, words, ("",) * len(words))
    return embed_texts(named, encoder, template="{lemmas}", oov="zero").matrix


def role_matrix(facts: Triples) -> sparse.csr_matrix:
    """Return how often each entity is head, and tail, of each relation, float64 `[entities, 2 · relations]`, sparse."""
    rows, n = facts.triples, len(facts.relations)
    entity = np.concatenate([rows[:, HEAD], rows[:, TAIL]])
    role = np.concatenate([rows[:, RELATION], n + rows[:, RELATION]])
    return sparse.coo_matrix((np.ones(len(entity)), (entity, role)), shape=(len(facts.entities), 2 * n)).tocsr()


def role_vectors(facts: Triples, dim: int) -> np.ndarray:
    """Return the principal directions of entities' roles, float32 `[entities, dim]`.

    Counts are ln(1 + n), weighted by ln(entities / entities that have the role), scaled to length 1 per entity; the Gram matrix of
    roles is small, so that its eigenvectors give the directions exactly.
    """
    counts = role_matrix(facts)
    having = np.maximum(np.asarray((counts > 0).sum(axis=0)).ravel(), 1)
    weighted = counts.log1p().multiply(np.log(len(facts.entities) / having)[None, :]).tocsr()
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    unit = sparse.diags(1 / np.maximum(length, 1e-12)) @ weighted
    _, directions = np.linalg.eigh((unit.T @ unit).toarray())
    return np.asarray(unit @ directions[:, ::-1][:, :dim], dtype=np.float32)


@dataclass(frozen=True)
class EntityFeatures:
    """Which features entities have.

    Attributes
    ----------
    structure : `roles`, `none`, or one of `kgzsl list link-models`.
    dim : columns of the structure.
    text : a name of `kgzsl list text-encoders`, or `none`.
    text_weight : length of the text block beside the structure's 1.
    link : settings of the link model.
    """

    structure: str = ROLES
    dim: int = 64
    text: str = "minilm-l6-v2"
    text_weight: float = 1.0
    link: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.structure == NONE and self.text == NONE:
            raise InvalidInputError("entities have a structure, texts, or both", received="neither")
        if self.dim < 1 or not 0 < self.text_weight < np.inf:
            raise InvalidInputError("dim is at least 1 and text_weight positive", received=f"{self.dim}, {self.text_weight}")
        if self.structure not in (ROLES, NONE):
            LINK_MODELS.make(self.structure, {"dim": self.dim, **self.link})
        elif self.link:
            raise InvalidInputError("settings of a link model need one", received=f"structure {self.structure}")

    def __call__(self, training: TrainingFacts, *, seed: int = 0, device: str = "cpu") -> np.ndarray:
        """Return the features of every entity, float32 `[entities, dim]`.

        Raises
        ------
        InvalidInputError : nothing is known of entities: no structure, and no entity has a text.
        """
        facts, seen = training.facts, training.seen_entities()
        text = text_vectors(facts, self.text) if self.text != NONE else np.zeros((len(facts.entities), 0), dtype=np.float32)
        blocks = [self.text_weight * _scaled(text, seen)] if text.shape[1] else []
        if self.structure != NONE:
            structure = _scaled(self._structure(training, seed, device), seen)
            unseen = np.setdiff1d(np.arange(len(facts.entities)), seen)
            structure[unseen] = ridge_of(text[seen], structure[seen], text[unseen]) if text.shape[1] else 0
            blocks = [structure, *blocks]
        if not blocks:
            raise InvalidInputError("texts of entities are there where nothing else is known of them", received="no entity has one")
        return np.ascontiguousarray(np.concatenate(blocks, axis=1), dtype=np.float32)

    def _structure(self, training: TrainingFacts, seed: int, device: str) -> np.ndarray:
        if self.structure == ROLES:
            return role_vectors(training.facts, self.dim)
        settings = tuple(sorted({"dim": self.dim, **self.link}.items()))
        return np.array(_link_vectors(_Keyed(training), self.structure, settings, seed, device))


class _Keyed:
    """Training facts that are equal where their triples are, for the cache."""

    def __init__(self, training: TrainingFacts) -> None:
        self.training = training
        parts = (training.facts.triples, training.valid)
        self.key = hashlib.sha256(b"".join(np.ascontiguousarray(rows).tobytes() for rows in parts)).digest()

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and self.key == other.key


@lru_cache(maxsize=2)
def _link_vectors(keyed: _Keyed, name: str, settings: tuple[tuple[str, Any], ...], seed: int, device: str) -> np.ndarray:
    """Return a link model's entities; several models of relations, and points of a grid, share one training."""
    model = LINK_MODELS.make(name, dict(settings))
    return model.fit(keyed.training, seed=seed, device=device).entity_vectors()


def _scaled(block: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return a block centred on the seen entities, whose mean squared length becomes 1."""
    if not block.shape[1]:
        return block
    centred = block - block[seen].mean(axis=0)
    scaled: np.ndarray = centred / max(float(np.sqrt((centred[seen] ** 2).sum(axis=1).mean())), 1e-12)
    return scaled


def ridge_of(known: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the ridge regression of `values` `[rows, columns]` on `known` `[rows, dim]`, at `asked`."""
    inputs = known.astype(np.float64)
    gram = inputs.T @ inputs
    gram += _RIDGE * max(np.trace(gram) / len(gram), 1e-12) / 100 * np.eye(len(gram))
    found: np.ndarray = asked @ np.linalg.solve(gram, inputs.T @ values.astype(np.float64))
    return found


@dataclass(frozen=True)
class Whitening:
    """Principal directions of features, in which the entities of training triples have covariance I.

    Attributes
    ----------
    mean, directions : `[columns]` and `[columns, dim]`.
    """

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, entities: np.ndarray, dim: int) -> Whitening:
        """Return the whitening by the entities given, each as often as it is there; directions without variance are left out."""
        counts = np.bincount(entities, minlength=len(features)).astype(np.float64)
        counts /= counts.sum()
        mean = counts @ features
        at = np.flatnonzero(counts)
        centred = features[at] - mean
        values, directions = np.linalg.eigh((centred * counts[at][:, None]).T @ centred)
        values, directions = values[::-1][:dim], directions[:, ::-1][:, :dim]
        kept = values > 1e-6 * max(float(values[0]), 1e-12)
        return cls(mean, directions[:, kept] / np.sqrt(values[kept]))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return whitened features, float32 `[rows, dim]`."""
        return np.asarray((features - self.mean) @ self.directions, dtype=np.float32)
