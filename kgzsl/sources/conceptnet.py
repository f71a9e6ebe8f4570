"""ConceptNet's assertions dump (`conceptnet-assertions-5.7.0.csv`, gzipped or not): one pass, and memory for what is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.artifacts import sha256_file
from kgzsl.engines import Engine, open_engine
from kgzsl.errors import InvalidInputError, KgzslError, SourceError, UnknownNameError, first_five
from kgzsl.ids import curies, read_ids
from kgzsl.sources._assertion_columns import Edges, Found, collect
from kgzsl.sources._assertions import REMEDY, UNSTATED, Filter, problem
from kgzsl.sources._lines import check_body, check_head, first_bad
from kgzsl.sources._synonyms import representatives
from kgzsl.sources._terms import joined, relation_label, words
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.vocabulary import Stated, vocabulary

#: Relations that ConceptNet takes from DBPedia; none is in the vocabulary, so each keeps a name of its own.
DBPEDIA = ("capital", "field", "genre", "genus", "influencedBy", "knownFor", "language", "leader", "occupation", "product")
PARTS_OF_SPEECH = ("n", "v", "a", "s", "r", UNSTATED)
SYNONYM = "Synonym"
_NAMES = 20


class ConceptNet(Reader):
    """The assertions of ConceptNet 5; ids are `cn:mountain_lion`, in other languages than English `cn-fr:puma`.

    Parameters
    ----------
    languages : languages of both ends, none = all.
    relations : ConceptNet's names of the relations to keep (`IsA`), none = all.
    drop_relations : names of relations to leave out.
    minimum_weight : the least weight of an assertion that is kept.
    datasets : which of its sources to keep (`wordnet`, `/d/wiktionary/en`), none = all.
    parts_of_speech : of both ends: n, v, a, s (satellite adjective), r (adverb), and `unstated`, which most are; none = all.
    senses : `merge` makes `/c/en/mountain_lion/n/wn/animal` the node `cn:mountain_lion`, `keep` `cn:mountain_lion/n/wn/animal`.
    external_urls : `keep` makes the URLs of `ExternalURL` nodes of the kind `external`, `drop` leaves them out.
    synonyms : `merge` makes the connected components of `Synonym` one node each: that of the highest degree, of equal ones the
        first. Its label names the twenty of highest degree. Of components with classes of `around`, see `kgzsl.sources._synonyms`.
    around : ids, or the path of a class list from the dump's folder, of whose neighbourhood the statements are kept, none = all.
    hops : how far the neighbourhood goes, in both directions of edges.
    surface_texts : of how many assertions, the heaviest first, the sentence is kept as the text of its start.
    version : for the manifest; the dump does not state it.

    Raises
    ------
    InvalidInputError : an unknown value.
    UnknownNameError : an unknown relation.
    """

    name: ClassVar[str] = "conceptnet"
    source: ClassVar[str] = "Speer, Chin, Havasi (2017), ConceptNet 5.5: An Open Multilingual Graph of General Knowledge"

    def __init__(
        self,
        languages: Sequence[str] = ("en",),
        relations: Sequence[str] = (),
        drop_relations: Sequence[str] = (),
        minimum_weight: float = 0.0,
        datasets: Sequence[str] = (),
        parts_of_speech: Sequence[str] = (),
        senses: str = "merge",
        external_urls: str = "drop",
        synonyms: str = "keep",
        around: Sequence[str] | str = (),
        hops: int = 2,
        surface_texts: int = 0,
        version: str = "5.7",
    ) -> None:
        for what, given, known in (
            ("senses", (senses,), ("merge", "keep")),
            ("external_urls", (external_urls,), ("drop", "keep")),
            ("synonyms", (synonyms,), ("keep", "merge")),
            ("parts_of_speech", parts_of_speech, PARTS_OF_SPEECH),
        ):
            if wrong := [g for g in given if g not in known]:
                raise InvalidInputError(
                    f"conceptnet: {what} has known values", received=repr(wrong[0]), remedy=f"choose from: {', '.join(known)}"
                )
        known_relations = {*vocabulary().conceptnet, *(f"dbpedia/{d}" for d in DBPEDIA)}
        if unknown := sorted({*relations, *drop_relations} - known_relations):
            raise UnknownNameError(
                "relations have ConceptNet's names",
                received=", ".join(unknown),
                remedy=f"choose from: {', '.join(sorted(known_relations))}",
            )
        for what, number in (("minimum_weight", minimum_weight), ("hops", hops), ("surface_texts", surface_texts)):
            if not number >= 0:
                raise InvalidInputError(f"conceptnet: {what} is not negative", received=number)
        self.merge, self.around, self.hops, self.surface_texts, self.version = synonyms == "merge", around, hops, surface_texts, version
        self.keeps_synonyms = SYNONYM not in drop_relations and (not relations or SYNONYM in relations)
        self.filter = Filter(
            languages=tuple(languages),
            # Synonyms that are merged are read whether or not they are wanted as edges.
            relations=tuple(dict.fromkeys((*relations, *([SYNONYM] if self.merge else [])))) if relations else (),
            without=tuple(r for r in drop_relations if not (self.merge and r == SYNONYM)),
            minimum_weight=minimum_weight,
            datasets=tuple(d.strip("/").removeprefix("d/") for d in datasets),
            parts_of_speech=tuple(parts_of_speech),
            senses=senses == "keep",
            external=external_urls == "keep",
            texts=surface_texts > 0,
        )

    def read(self, path: Path, engine: Engine | None = None) -> Statements:
        """Read the dump at `path` on an engine, by default DuckDB.

        Nodes are in the order of their ids, edges in that of subject, relation, object and weight, whatever the engine. Labels
        are the words, texts empty or the surface texts, kinds `concept` or `external`; relations are those of the vocabulary,
        turned where ConceptNet reads them from the other end (`PartOf` becomes `part_meronym`). `dropped` counts statements by
        the first reason of `kgzsl.sources._assertions.REASONS` that holds, then those that merging and `around` leave out.

        Raises
        ------
        MissingDataError : no such file.
        UnknownNameError : an id of `around` is in no statement that is kept.
        SourceError : not the dump, or one that is cut, damaged or edited: columns, UTF-8, JSON or a weight that is not a
            positive number; the line is named.
        """
        with nullcontext(engine) if engine else open_engine() as opened:  # one of our own lets go of the file at the end
            found, digest = self._found(path, opened)
        ids, edges, dropped = found.ids, found.edges, found.dropped
        classes = self._classes(path, ids)
        labels = _labels(ids)
        if self.merge:
            synonym = found.names.index(SYNONYM) if SYNONYM in found.names else -1
            edges, labels = _merged(edges, labels, classes, synonym, dropped)
            if not self.keeps_synonyms:  # those left are between classes that stay apart
                left = edges.relation == synonym
                dropped["relation"] += int(left.sum())
                edges = edges.where(~left)
        if classes.any():
            edges = edges.near(classes, self.hops, dropped)
        used = np.zeros(len(ids), dtype=bool)
        used[edges.start], used[edges.end], used[classes] = True, True, True
        relations, code, flip = _relations(found.names, edges.relation)
        texts = _texts(edges, self.surface_texts, len(ids))
        place = (np.cumsum(used) - 1).astype(np.int32)
        subject, target = (np.where(flip, b, a) for a, b in ((edges.start, edges.end), (edges.end, edges.start)))
        columns = place[subject], code, place[target], edges.weight
        order = np.lexsort(columns[::-1])
        keep = pa.array(used)
        ids = ids.filter(keep)
        return Statements(
            ids=ids,
            kinds=pc.if_else(pc.match_substring(ids, "://"), "external", "concept"),
            labels=labels.filter(keep),
            texts=texts.filter(keep),
            relations=relations,
            subject=columns[0][order],
            relation=columns[1][order],
            object=columns[2][order],
            weight=columns[3][order],
            info=SourceInfo(self.name, self.version, found.licence, {path.name: digest}),
            dropped={reason: n for reason, n in dropped.items() if n},
            prefixes=_prefixes(ids),
        )

    def _found(self, path: Path, engine: Engine) -> tuple[Found, str]:
        """Return what the engine finds, and the file's SHA-256; a file that is not whole is an error even where the engine reads it."""
        check_head(path, "the assertions dump", REMEDY)
        with ThreadPoolExecutor(1) as pool:  # both let go of the interpreter, so they run beside the engine
            body = pool.submit(check_body, path, engine.name != "duckdb")
            digest = pool.submit(sha256_file, path)
            try:
                found = collect(engine, path, self.filter)
            except KgzslError:
                raise
            except Exception as error:
                body.result()
                first_bad(path, problem, REMEDY)
                raise SourceError("the assertions dump can be read", received=f"{path}: {str(error)[:300]}", remedy=REMEDY) from error
            body.result()
        return found, digest.result()

    def _classes(self, path: Path, ids: pa.StringArray) -> np.ndarray:
        """Return which ids are those of `around`, bool `[nodes]`."""
        wanted = read_ids(str(path.parent / self.around)) if isinstance(self.around, str) else curies(self.around)
        place = pc.index_in(pa.array(wanted, pa.string()), ids)
        if place.null_count:
            absent = [w for w, p in zip(wanted, place.to_pylist(), strict=True) if p is None]
            raise UnknownNameError(
                f"the classes of `around` are among the {len(ids):,} nodes of the statements that are kept",
                received=f"{len(absent):,} of {len(wanted):,} are not: {first_five(absent)}",
                remedy="write them as ConceptNet does (`cn:polar_bear`), leave them out, or keep more statements",
            )
        classes = np.zeros(len(ids), dtype=bool)
        classes[np.asarray(place)] = True
        return classes


def _labels(ids: pa.StringArray) -> pa.StringArray:
    """The words of concepts, without their sense; a URL as it is."""
    return pc.if_else(pc.match_substring(ids, "://"), ids, words(pc.replace_substring_regex(ids, r"^([^:]*:[^/]+)/.*$", r"\1")))


def _merged(edges: Edges, labels: pa.StringArray, classes: np.ndarray, synonym: int, dropped: Counter[str]) -> tuple[Edges, pa.StringArray]:
    """Return the edges and labels of nodes that stand for all their synonyms."""
    nodes = len(labels)
    pairs = edges.where(edges.relation == synonym)
    degree = np.bincount(edges.start, minlength=nodes) + np.bincount(edges.end, minlength=nodes)
    stands = representatives(nodes, pairs.start, pairs.end, degree, classes)
    edges = replace(edges, start=stands[edges.start], end=stands[edges.end])
    inside = edges.start == edges.end
    dropped["between merged synonyms"] = int(inside.sum())
    order = np.lexsort((np.arange(nodes), -degree, stands != np.arange(nodes), stands))
    group = stands[order]
    order = order[np.arange(nodes) - np.searchsorted(group, group) < _NAMES]
    return edges.where(~inside), pc.coalesce(joined(nodes, stands[order], labels.take(pa.array(order))), labels)


def _relations(names: list[str], codes: np.ndarray) -> tuple[tuple[Relation, ...], np.ndarray, np.ndarray]:
    """Return the relations, the position of every edge's among them, and which edges are to be turned."""
    used = np.unique(codes)
    stated = [vocabulary().conceptnet.get(names[i]) or Stated(Relation(f"cn:{names[i]}", relation_label(names[i]))) for i in used]
    relations = tuple(sorted({s.relation for s in stated}))
    index = np.zeros(len(names), dtype=np.int32)
    flip = np.zeros(len(names), dtype=bool)
    index[used] = [relations.index(s.relation) for s in stated]
    flip[used] = [s.reversed for s in stated]
    return relations, index[codes], flip[codes]


def _texts(edges: Edges, count: int, nodes: int) -> pa.StringArray:
    """Return for every node the sentences of its `count` heaviest assertions, without their marks; else empty, `[nodes]`."""
    said = np.flatnonzero(np.asarray(pc.is_valid(edges.text)) & (count > 0))
    if not len(said):
        return pa.array(np.full(nodes, ""), pa.string())
    text = pc.replace_substring_regex(edges.text.take(pa.array(said)), r"^\*+|\[\[|\]\]", "")
    alphabet = np.asarray(pc.rank(text, tiebreaker="dense")).astype(np.int64)
    order = np.lexsort((alphabet, -edges.weight[said], edges.start[said]))
    node, alphabet = edges.start[said][order], alphabet[order]
    twice = np.zeros(len(node), dtype=bool)
    twice[1:] = (node[1:] == node[:-1]) & (alphabet[1:] == alphabet[:-1])
    order, node = order[~twice], node[~twice]
    rank = np.arange(len(node)) - np.searchsorted(node, node)
    chosen = rank < count
    return pc.fill_null(joined(nodes, node[chosen], text.take(pa.array(order[chosen])), "; "), "")


def _prefixes(ids: pa.StringArray) -> dict[str, str]:
    found = pc.unique(pc.struct_field(pc.extract_regex(ids, r"^cn-(?P<language>[^:]+):"), "language")).drop_null()
    return {f"cn-{language}": f"http://conceptnet.io/c/{language}/" for language in sorted(found.to_pylist())}
