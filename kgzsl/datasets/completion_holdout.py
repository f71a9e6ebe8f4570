"""Relations held out of FB15k-237 and WN18RR: zero-shot relations on benchmarks that everybody has in full.

The split is made once, by `make_holdout`, and shipped as `relation_splits/NAME-DIGEST.json`: relations by part, how they were
chosen, and the digest of the benchmark that it splits.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from kgzsl.artifacts import digest
from kgzsl.datasets.completion_readers import CompletionSetReader, Fb15k237, Wn18rr
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, CompletionSet, Triples, UnseenRelations
from kgzsl.datasets.readers import one_of
from kgzsl.errors import IncompatibleError, InvalidInputError, SourceError, first_five

PARTS = UnseenRelations.PARTS


@dataclass(frozen=True)
class HoldoutPlan:
    """How relations are held out.

    Attributes
    ----------
    seed : of the order in which relations are drawn, which is that of the SHA-256 of `seed:relation`.
    valid, test : so many relations are held out for each.
    strata : relations are drawn alike from so many strata of equal size by frequency.
    overlap : two relations whose pairs of entities, in the same or the reversed order, share this much of the smaller one's are
        near-duplicates or inverses; with all that are linked so they stay in one part.
    largest_group : larger groups of such relations stay in training, where they cannot fill a part with one thing.
    largest_share : a relation with more than this share of the triples stays in training, because entities are known from it.
    """

    seed: int = 0
    valid: int = 15
    test: int = 30
    strata: int = 5
    overlap: float = 0.3
    largest_group: int = 3
    largest_share: float = 0.2


#: The shipped splits: set → (benchmark, plan).
PLANS: Mapping[str, tuple[type[CompletionSetReader], HoldoutPlan]] = {
    "fb15k-237-relations": (Fb15k237, HoldoutPlan()),
    "wn18rr-relations": (Wn18rr, HoldoutPlan(valid=2, test=3, strata=3)),
}


@dataclass(frozen=True)
class Holdout:
    """Relations by part.

    Attributes
    ----------
    name : of the set that it makes.
    benchmark, benchmark_digest : what it splits.
    relations : part → names, sorted.
    plan : how they were chosen.
    """

    name: str
    benchmark: str
    benchmark_digest: str
    relations: Mapping[str, tuple[str, ...]]
    plan: HoldoutPlan

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return digest(self.content())

    @property
    def file_name(self) -> str:
        """The file that it is shipped as."""
        return f"{self.name}-{self.digest[:12]}.json"

    def content(self) -> dict[str, Any]:
        """Return what the file holds."""
        parts = {part: list(self.relations[part]) for part in PARTS}
        named = {"name": self.name, "benchmark": self.benchmark, "benchmark_digest": self.benchmark_digest}
        return {**named, "plan": vars(self.plan), "relations": parts}


def overlap_of_relations(facts: Triples) -> np.ndarray:
    """Return how much two relations' pairs of entities coincide, float64 `[relations, relations]`, in 0…1, symmetric.

    The number of pairs that both have, or that one has and the other one reversed, whichever is more, over the smaller number.
    """
    rows, n = facts.triples, len(facts.entities)
    pairs, column = np.unique(np.concatenate([rows[:, HEAD] * n + rows[:, TAIL], rows[:, TAIL] * n + rows[:, HEAD]]), return_inverse=True)
    shape = len(facts.relations), len(pairs)
    forth, back = (
        coo_matrix((np.ones(len(rows)), (rows[:, RELATION], side)), shape=shape).tocsr() for side in np.split(column.reshape(-1), 2)
    )
    shared = np.maximum((forth @ forth.T).toarray(), (forth @ back.T).toarray())
    size = np.bincount(rows[:, RELATION], minlength=len(facts.relations))
    return shared / np.maximum(np.minimum(size[:, None], size[None, :]), 1)


def make_holdout(name: str, whole: CompletionSet, plan: HoldoutPlan) -> Holdout:
    """Hold relations out; the same benchmark and plan give the same split anywhere.

    Raises
    ------
    InvalidInputError : there are not enough relations that may be held out.
    """
    facts = whole.facts
    size = np.bincount(facts.triples[:, RELATION], minlength=len(facts.relations))
    close = overlap_of_relations(facts) >= plan.overlap
    _, group = connected_components(close, directed=False)
    members = np.bincount(group)
    too_frequent = np.bincount(group, weights=size > plan.largest_share * len(facts)) > 0
    free = np.flatnonzero((members <= plan.largest_group) & ~too_frequent)
    frequency = np.bincount(group, weights=size) / members
    ordered = sorted(free.tolist(), key=lambda g: (frequency[g], facts.relations[int(np.flatnonzero(group == g)[0])]))
    strata = [sorted(part.tolist(), key=lambda g: _draw(plan.seed, facts, group, g)) for part in np.array_split(ordered, plan.strata)]
    parts = np.zeros(len(members), dtype=np.int8)
    for part, wanted in ((2, plan.test), (1, plan.valid)):
        taken, turn = 0, 0
        while taken < wanted and any(strata):
            stratum = strata[turn % plan.strata]
            turn += 1
            fits = [g for g in stratum if members[g] <= wanted - taken]
            if fits:
                stratum.remove(fits[0])
                parts[fits[0]] = part
                taken += int(members[fits[0]])
            elif turn > plan.strata * len(members):
                break
        if taken < wanted:
            raise InvalidInputError(
                f"{wanted} relations of {whole.name} can be held out for {PARTS[part]}",
                received=f"{taken}, with {len(free)} groups of relations that are neither near another one nor too frequent",
                remedy="hold out fewer, or allow a larger overlap",
            )
    of_relation = parts[group]
    relations = {part: tuple(r for r, own in zip(facts.relations, of_relation, strict=True) if own == k) for k, part in enumerate(PARTS)}
    return Holdout(name, whole.name, whole.digest, relations, plan)


def _draw(seed: int, facts: Triples, group: np.ndarray, which: int) -> str:
    first = facts.relations[int(np.flatnonzero(group == which)[0])]
    return hashlib.sha256(f"{seed}:{first}".encode()).hexdigest()


def apply_holdout(holdout: Holdout, whole: CompletionSet) -> UnseenRelations:
    """Return all triples of the benchmark's three parts by relation.

    The entities are those of training: triples of validation and test about another one are left out and counted.

    Raises
    ------
    IncompatibleError : the benchmark is not the one that was split.
    """
    if whole.digest != holdout.benchmark_digest:
        raise IncompatibleError(
            f"{holdout.name} splits one version of {holdout.benchmark}",
            received=f"digest {whole.digest[:12]}…",
            remedy="use the published files",
        )
    facts = whole.facts
    part_of = {relation: k for k, part in enumerate(PARTS) for relation in holdout.relations[part]}
    absent = [r for r in facts.relations if r not in part_of]
    if absent:
        raise IncompatibleError(f"{holdout.name} places every relation", received=first_five(absent))
    part = np.array([part_of[r] for r in facts.relations], dtype=np.int8)[facts.triples[:, RELATION]]
    known = np.zeros(len(facts.entities), dtype=bool)
    known[facts.triples[part == 0][:, [HEAD, TAIL]]] = True
    kept = known[facts.triples[:, HEAD]] & known[facts.triples[:, TAIL]]
    dropped = {f"{PARTS[k]} triples of entities that training does not know": int(np.count_nonzero(~kept & (part == k))) for k in (1, 2)}
    place = np.cumsum(known) - 1
    rows = facts.triples[kept]
    less = Triples(
        tuple(e for e, own in zip(facts.entities, known, strict=True) if own),
        facts.relations,
        np.stack([place[rows[:, HEAD]], rows[:, RELATION], place[rows[:, TAIL]]], axis=1),
        tuple(t for t, own in zip(facts.entity_texts, known, strict=True) if own) if facts.entity_texts else (),
        facts.relation_texts,
    )
    return UnseenRelations(holdout.name, holdout.digest[:12], less, part[kept], licence=whole.licence, dropped=dropped)


def shipped_holdout(name: str) -> Holdout:
    """Return the shipped split of a name in `PLANS`.

    Raises
    ------
    SourceError : the file's content is not what its name promises.
    """
    one_of("a shipped split of relations", name, tuple(PLANS))
    folder = files("kgzsl.datasets") / "relation_splits"
    (file,) = [f for f in folder.iterdir() if f.name.startswith(f"{name}-")]
    content = json.loads(file.read_text(encoding="utf-8"))
    relations = {part: tuple(content["relations"][part]) for part in PARTS}
    found = Holdout(content["name"], content["benchmark"], content["benchmark_digest"], relations, HoldoutPlan(**content["plan"]))
    if found.file_name != file.name:
        raise SourceError(
            "a shipped split is as its name says", received=f"{file.name} holds {found.file_name}", remedy="install kgzsl again"
        )
    return found


class _HeldOut(CompletionSetReader):
    """All triples of a benchmark, split by relation.

    Parameters
    ----------
    path : the benchmark's folder; None looks below `KGZSL_DATA`.
    """

    source: ClassVar[str] = "split of kgzsl"
    COUNTS: ClassVar[Mapping[str, int]]

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = path

    def read(self) -> CompletionSet:
        """Return the set; see `CompletionSetReader.read`."""
        whole = PLANS[self.name][0](self.path)  # type: ignore[call-arg]
        return apply_holdout(shipped_holdout(self.name), whole.read()).validate(**self.COUNTS)


class Fb15k237Relations(_HeldOut):
    __doc__ = (_HeldOut.__doc__ or "").replace(
        "All triples of a benchmark, split by relation.",
        "FB15k-237 split by relation: 192 relations of training, 15 of validation, 30 of test that are no inverses or copies.",
    )
    name: ClassVar[str] = "fb15k-237-relations"
    COUNTS: ClassVar[Mapping[str, int]] = {"relations": 237}


class Wn18rrRelations(_HeldOut):
    __doc__ = (_HeldOut.__doc__ or "").replace(
        "All triples of a benchmark, split by relation.", "WN18RR split by relation: 6 relations of training, 2 of validation, 3 of test."
    )
    name: ClassVar[str] = "wn18rr-relations"
    COUNTS: ClassVar[Mapping[str, int]] = {"relations": 11}
