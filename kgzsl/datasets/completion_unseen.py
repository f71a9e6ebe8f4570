"""NELL-ZS and Wiki-ZS: relations that training never shows, in the layout that Qin et al. (AAAI 2020) and Geng et al. published.

`train_tasks.json`, `dev_tasks.json` and `test_tasks.json` hold the triples of each relation. The protocol is that of
`test_candidates.json`: for every relation of the test part, each query `head TAB relation TAB tail` (NELL-ZS) or `head TAB
relation` (Wiki-ZS) has a list whose first entity is the true tail and whose others are of the relation's tail types and no true
tails themselves; the rank of the first within its list counts, over all queries alike (MRR, which the published code prints as
MAP, and hits at 10, 5 and 1). The published code leaves out queries and candidates without a trained embedding and breaks ties
against the true tail in effect (it reverses an ascending argsort); here nothing is left out, and ties are a stated rule.

Training files that are not the published ones give sets of other names (`nell-zs-partial`, `nell-zs-recon`), so that results on
them never stand beside the published ones unmarked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.datasets.completion_readers import CompletionSetReader
from kgzsl.datasets.completion_schema import RelationSchema, read_schema
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, CandidateLists, CompletionSet, Triples, UnseenRelations
from kgzsl.datasets.completion_tables import NamedTriples, check_texts, join_parts, positions_in, read_json
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.datasets.readers import one_of
from kgzsl.errors import InvalidInputError, SourceError, first_five

#: Setting `training` → file.
TRAINING = {"published": "train_tasks.json", "recon": "train_tasks_recon.json", "partial": "train_tasks_partial.json"}
PUBLISHED, PER_RELATION = "test_candidates.json", ("rel2candidates_all.json", "rel2candidates.json")
#: How NELL-995 writes an entity, and how NELL-ZS does.
_UNDERSCORED = r"^concept_([a-z0-9]+)_(.+)$", r"concept:\1:\2"


class _Unseen(CompletionSetReader):
    """What both have in common.

    Parameters
    ----------
    path : the folder; None looks below `KGZSL_DATA`.
    training : `published` (`train_tasks.json`), `recon` (`train_tasks_recon.json`, relations of NELL-995 in the place of those that
        are lost) or `partial` (`train_tasks_partial.json`, what is left of the true ones); None takes the first that is there.
    candidates : `published`, `types` or `all` entities; None takes the published lists where they are there, else the types.
    without_text : `error` refuses relations without a text in the schema, `drop` leaves those of training out and counts their
        triples, `keep` keeps them.
    """

    source: ClassVar[str] = "Qin et al. (AAAI 2020); ontology of Geng et al. (WWW 2021)"
    HOME: ClassVar[str]
    SCHEMA_FILE: ClassVar[str]
    SCHEMA: ClassVar[str]
    PREFIX: ClassVar[str]
    LICENCE: ClassVar[str]
    #: Relations of train, dev and test; triples of dev and test once duplicates are gone; entities and triples of all.
    RELATIONS: ClassVar[tuple[int, int, int]]
    TRIPLES: ClassVar[tuple[int, int]]
    WHOLE: ClassVar[tuple[int, int]]
    #: Setting `training` → relations and triples of that file, where it is one that is known.
    KNOWN: ClassVar[Mapping[str, tuple[int, int]]]
    CANDIDATES: ClassVar[tuple[str, ...]] = ("published", "all")

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        training: str | None = None,
        candidates: str | None = None,
        without_text: str = "error",
    ) -> None:
        self.folder = BenchmarkFolder(self.HOME, path)
        self.training = training if training is None else one_of("training", training, tuple(TRAINING))
        self.candidates = candidates if candidates is None else one_of("candidates", candidates, self.CANDIDATES)
        self.without_text = one_of("without_text", without_text, ("error", "drop", "keep"))

    def read(self) -> CompletionSet:
        """Return the set; see `CompletionSetReader.read`."""
        training, tasks = self._tasks()
        schema = self.relation_schema()
        bare = [r for r in tasks["train"] if self.without_text == "drop" and not schema.texts.get(self._local(r))]
        left_out = {relation: _listed(tasks["train"].pop(relation)) for relation in bare}
        parts = self._spelled({part: _triples(found, f"{self.name} {part}") for part, found in tasks.items()})
        facts, number, again = join_parts(parts, UnseenRelations.PARTS, None, lambda r: schema.texts.get(self._local(r), ""))
        check_texts(facts, "keep" if self.without_text == "keep" else "error", self.name)
        whole = training == "published"
        found = UnseenRelations(
            self.name if whole else f"{self.name}-{training}",
            "2020" if whole else f"2020, training: {len(tasks['train'])} relations, {np.count_nonzero(number == 0)} triples",
            facts,
            number,
            licence=self.LICENCE,
            relation_nodes=tuple(f"{self.PREFIX}:{self._local(r)}" for r in facts.relations),
            schema=self.SCHEMA,
            dropped={**again, "train triples of relations without a text": sum(map(len, left_out.values()))},
        )
        self._check_counts(found, training if not left_out else "less")
        return replace(found, coverage=self._coverage(found), candidates=self._candidates(found, schema))

    def relation_schema(self) -> RelationSchema:
        """Return the ontology of the relations; see `kgzsl.datasets.completion_schema.read_schema`."""
        return read_schema(self.folder.file(self.SCHEMA_FILE))

    def _tasks(self) -> tuple[str, dict[str, dict[str, Any]]]:
        names = list(TRAINING) if self.training is None else [self.training]
        there = [n for n in names if self.folder.has(TRAINING[n]) or self.folder.has(TRAINING[n] + ".gz")]
        training = (there or names)[0]
        files = {"train": TRAINING[training], "valid": "dev_tasks.json", "test": "test_tasks.json"}
        return training, {part: read_json(self.folder.file(file, f"{file}.gz")) for part, file in files.items()}

    def _local(self, relation: str) -> str:
        """Return the name of a relation in the schema."""
        return relation.rpartition(":")[2]

    def _spelled(self, parts: dict[str, NamedTriples]) -> dict[str, NamedTriples]:
        """Return the parts with every entity spelled in one way."""
        return parts

    def _check_counts(self, found: CompletionSet, training: str) -> None:
        found.validate(valid=self.TRIPLES[0], test=self.TRIPLES[1])
        relations, triples = (self.RELATIONS[0], None) if training == "published" else self.KNOWN.get(training, (None, None))
        have = tuple(len(found.relations_of(part)) for part in found.PARTS)
        want = (relations if relations is not None else have[0], *self.RELATIONS[1:])
        if have != want:
            raise InvalidInputError(f"{found.name} has {want} relations in train, dev and test", received=str(have))
        if triples is not None:
            found.validate(train=triples)

    def _coverage(self, found: CompletionSet) -> dict[str, int]:
        """Return what of the published benchmark there is, and what of the test can be known from this training."""
        known, test = found.entities_of("train"), found.triples("test")
        heads, tails = np.isin(test[:, HEAD], known), np.isin(test[:, TAIL], known)
        return {
            "relations of training": len(found.relations_of("train")),
            "relations of training as published": self.RELATIONS[0],
            "entities as published": self.WHOLE[0],
            "triples as published": self.WHOLE[1],
            "test triples whose head training knows": int(heads.sum()),
            "test triples whose tail training knows": int(tails.sum()),
            "test triples whose head and tail training knows": int((heads & tails).sum()),
        }

    def _candidates(self, found: CompletionSet, schema: RelationSchema) -> dict[str, CandidateLists]:
        has = [name for name in (PUBLISHED, *PER_RELATION) if self.folder.has(name) or self.folder.has(f"{name}.gz")]
        rule = self.candidates or ("published" if has else self.CANDIDATES[-2] if "types" in self.CANDIDATES else "all")
        if rule == "all":
            return {}
        if rule == "types":
            return {part: self._of_types(found.facts, found.triples(part), schema) for part in ("valid", "test")}
        if not has:
            self.folder.file(PUBLISHED, *PER_RELATION)
        lists = {part: read_json(self.folder.file(name, f"{name}.gz")) for part, name in (("test", has[0]),) if has}
        if PUBLISHED in has:
            return {"test": published_lists(found, "test", lists["test"])}
        return {part: lists_by_relation(found, part, lists["test"]) for part in ("valid", "test")}

    def _of_types(self, facts: Triples, rows: np.ndarray, schema: RelationSchema) -> CandidateLists:
        raise NotImplementedError


class NellZs(_Unseen):
    __doc__ = (_Unseen.__doc__ or "").replace(
        "What both have in common.",
        """NELL-ZS: 32 relations that training never shows, of 181; their ontology is the recipe `nell-zs-schema`.

    Candidates by `types` are, for each relation, the entities whose type (the middle of `concept:TYPE:NAME`) is its range in the
    schema or a class below; tails of other types are missed, and counted.""",
    )

    name: ClassVar[str] = "nell-zs"
    HOME: ClassVar[str] = "kgc/nell-zs"
    SCHEMA_FILE: ClassVar[str] = "Schema-NELL.csv"
    SCHEMA: ClassVar[str] = "nell-zs-schema"
    PREFIX: ClassVar[str] = "nell"
    LICENCE: ClassVar[str] = "NELL: CC BY 3.0"
    RELATIONS: ClassVar[tuple[int, int, int]] = (139, 10, 32)
    TRIPLES: ClassVar[tuple[int, int]] = (1_856, 5_483)
    WHOLE: ClassVar[tuple[int, int]] = (65_567, 188_392)
    KNOWN: ClassVar[Mapping[str, tuple[int, int]]] = {"partial": (27, 45_894), "recon": (180, 177_786)}
    CANDIDATES: ClassVar[tuple[str, ...]] = ("published", "types", "all")

    def _spelled(self, parts: dict[str, NamedTriples]) -> dict[str, NamedTriples]:
        """Return the parts with `concept_TYPE_NAME`, as NELL-995 writes it, spelled `concept:TYPE:NAME`."""
        ends = {part: [found.columns[k].dictionary for k in (0, 2)] for part, found in parts.items()}
        every = pc.unique(pa.concat_arrays([names for both in ends.values() for names in both]))
        colons: dict[str, str] = {}
        for name in every.filter(pc.starts_with(every, "concept:")).to_pylist():
            if colons.setdefault(name.replace(":", "_"), name) != name:
                raise SourceError(
                    "names that differ stay different when NELL-995 writes them",
                    received=f"{colons[name.replace(':', '_')]!r} and {name!r}",
                )
        lower = every.filter(pc.starts_with(every, "concept_"))
        if not len(lower):
            return parts
        spelled = pc.replace_substring_regex(lower, *_UNDERSCORED).to_pylist()
        names = {name: colons.get(name, other) for name, other in zip(lower.to_pylist(), spelled, strict=True)}
        return {part: found.with_entities(names) for part, found in parts.items()}

    def _of_types(self, facts: Triples, rows: np.ndarray, schema: RelationSchema) -> CandidateLists:
        types = [name.split(":")[1] if name.count(":") >= 2 else "" for name in facts.entities]
        kinds = sorted(set(types))
        of_entity = positions_in(kinds, types)
        wanted, of = np.unique(rows[:, RELATION], return_inverse=True)
        found = []
        for relation in wanted.tolist():  # tens of relations
            ranges = frozenset(c for r, c in schema.ranges if r == self._local(facts.relations[relation]))
            inside = np.isin(kinds, sorted(schema.below(ranges))) if ranges else np.ones(len(kinds), dtype=bool)
            found.append(np.flatnonzero(inside[of_entity]))
        return _lists("types of the range", found, of.astype(np.int64))


class WikiZs(_Unseen):
    __doc__ = (
        (_Unseen.__doc__ or "")
        .replace(
            "What both have in common.",
            "Wiki-ZS: 48 relations that training never shows, of 537; their ontology is the recipe `wiki-zs-schema`.",
        )
        .replace("`published`, `types` or `all` entities", "`published` or `all` entities")
        .replace("else the types.", "else all entities.")
    )

    name: ClassVar[str] = "wiki-zs"
    HOME: ClassVar[str] = "kgc/wiki-zs"
    SCHEMA_FILE: ClassVar[str] = "Schema-Wiki.csv"
    SCHEMA: ClassVar[str] = "wiki-zs-schema"
    PREFIX: ClassVar[str] = "wikidata"
    LICENCE: ClassVar[str] = "Wikidata CC0"
    RELATIONS: ClassVar[tuple[int, int, int]] = (469, 20, 48)
    TRIPLES: ClassVar[tuple[int, int]] = (7_236, 15_608)
    WHOLE: ClassVar[tuple[int, int]] = (605_812, 724_967)
    KNOWN: ClassVar[Mapping[str, tuple[int, int]]] = {"partial": (58, 100_118)}


def _listed(found: Any) -> Any:
    """Return the triples of a relation, which stand-ins give with their source."""
    return found.get("triples") if isinstance(found, dict) else found


def _triples(tasks: Mapping[str, Any], what: str) -> NamedTriples:
    """Return the triples of all relations of a tasks file; each is of the relation that it is listed under."""
    rows: list[Sequence[str]] = []
    relations: list[str] = []
    for relation, found in tasks.items():
        listed = _listed(found)
        if not isinstance(listed, list) or not listed:
            raise SourceError(f"{what}: a relation has a list of triples that is not empty", received=relation)
        rows.extend(listed)
        relations += [relation] * len(listed)
    triples = NamedTriples.of(rows, what)
    other = pc.not_equal(triples.columns[1].dictionary_decode(), pa.array(relations, pa.string()))
    if pc.any(other).as_py():
        i = int(np.flatnonzero(np.asarray(other))[0])
        raise SourceError(f"{what}: a triple is listed under its own relation", received=f"under {relations[i]}: {rows[i]}")
    return triples


def _lists(rule: str, entities: Sequence[np.ndarray], of: np.ndarray) -> CandidateLists:
    offsets = np.concatenate([[0], np.cumsum([len(e) for e in entities])]).astype(np.int64)
    joined = np.concatenate(entities).astype(np.int64) if len(entities) else np.zeros(0, dtype=np.int64)
    return CandidateLists(rule, joined, offsets, of)


def published_lists(found: CompletionSet, part: str, content: Mapping[str, Any]) -> CandidateLists:
    """Return the lists of `test_candidates.json`; a triple that no query asks about is marked −1.

    Raises
    ------
    SourceError : not a mapping of relations to queries to lists, a query whose triple is not in the part.
    """
    queries: list[tuple[str, str, str]] = []
    listed: list[list[str]] = []
    for relation, asked in content.items():
        for query, names in asked.items() if isinstance(asked, dict) else [(str(asked)[:40], None)]:
            if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
                raise SourceError(f"{PUBLISHED} has a list of entities for each query", received=f"{relation}: {query!r}")
            queries.append((query.split("\t")[0], relation, names[0]))
            listed.append(names)
    facts, rows = found.facts, found.triples(part)
    ends = [positions_in(axis, [q[k] for q in queries]) for k, axis in enumerate((facts.entities, facts.relations, facts.entities))]
    sizes = len(facts.entities), len(facts.relations)
    keys = {key: i for i, key in enumerate(_keys(np.stack(ends, axis=1), *sizes).tolist())}
    of = np.array([keys.get(key, -1) for key in _keys(rows, *sizes).tolist()], dtype=np.int64)
    unknown = len(queries) - len(np.unique(of[of >= 0]))
    if unknown:
        raise SourceError(
            f"every query of {PUBLISHED} is a triple of {part}", received=f"{unknown:,} are not", remedy="get both files again"
        )
    lengths = np.array([len(names) for names in listed])
    flat = positions_in(facts.entities, [name for names in listed for name in names])
    return _unique_lists("published, per triple", flat, np.repeat(np.arange(len(listed)), lengths), len(listed), of)


def lists_by_relation(found: CompletionSet, part: str, content: Mapping[str, Any]) -> CandidateLists:
    """Return the lists of a file that has one for each relation."""
    wanted, of = np.unique(found.triples(part)[:, RELATION], return_inverse=True)
    names = [found.facts.relations[r] for r in wanted.tolist()]
    absent = [n for n in names if not isinstance(content.get(n), list) or not content[n]]
    if absent:
        raise SourceError("every relation has a list of candidates", received=f"{len(absent):,} have none: {first_five(absent)}")
    flat = positions_in(found.facts.entities, [entity for n in names for entity in content[n]])
    owner = np.repeat(np.arange(len(names)), [len(content[n]) for n in names])
    return _unique_lists("published, per relation", flat, owner, len(names), of.astype(np.int64))


def _unique_lists(rule: str, entities: np.ndarray, owner: np.ndarray, lists: int, of: np.ndarray) -> CandidateLists:
    """Return lists without duplicates and without entities that no triple speaks of (of which nothing can be known)."""
    size = int(entities.max(initial=0)) + 1
    keys = np.unique((owner * size + entities)[entities >= 0])
    return CandidateLists(rule, keys % size, np.searchsorted(keys, np.arange(lists + 1) * size), of)


def _keys(rows: np.ndarray, entities: int, relations: int) -> np.ndarray:
    """Return one number per triple, −1 where a name is unknown."""
    keys = (rows[:, HEAD] * relations + rows[:, RELATION]) * entities + rows[:, TAIL]
    return np.where((rows < 0).any(axis=1), -1, keys)
