"""Plain triples: a tab- or comma-separated file of subject, relation, object and, where there is one, weight."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.sources._lines import check_head, cut, first_bad, is_gzip
from kgzsl.sources._rules import BY_RELATIONS, Rules, kinds_by_relations
from kgzsl.sources._terms import Terms, blank, joined, literal_ids, relation_label, words
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.vocabulary import Stated, vocabulary

ROLES = ("subject", "relation", "object", "weight")
VOCABULARIES = ("conceptnet", "iris", "none")
LITERALS = ("labels", "nodes", "drop")
_SEPARATORS = {"tab": "\t", "comma": ","}
_REMEDY = "correct the line, or the settings columns, separator, header and quotes"
_EDGE, _LABEL, _TEXT = 0, 1, 2


class Triples(Reader):
    """A file with one statement per line, gzipped or not.

    Parameters
    ----------
    name : name of the source in the graph; two sources of one graph have two names.
    columns : what the columns are, in the file's order: subject, relation, object, weight (may be absent), or `-` for one that
        is not read.
    separator : tab or comma.
    header : whether the first line names the columns.
    quotes : whether fields may stand in double quotes, as in CSV; without, a quote is a character like any other.
    prefix : prefix of names without one: `play on ice` becomes `cn:play_on_ice`. A name with a colon whose prefix is not declared
        counts as one without.
    prefixes : prefix → IRI of the file's CURIEs and of `prefix`, beyond those of kgzsl, RDF, RDFS, OWL and SKOS.
    vocabulary : how relations are named, so that they become those of the vocabulary: `iris` (`rdfs:subClassOf`), `conceptnet`
        (`UsedFor`, `cn:usedFor`), both in a list, or none.
    relations : relation as the file names it → id of a relation of the vocabulary, `^` before it when it reads from object to
        subject (`_member_of_domain_usage: ^domain_usage`); goes before `vocabulary`.
    literals : what becomes of the objects of `label_relations` and `text_relations`: labels and texts of their subjects, nodes of
        the kind `text`, or nothing.
    blank_nodes : keep or drop the statements about nodes without a name (`_:y2`).
    labels, texts : files beside the triples, `name TAB text` in each line, with the labels and texts of nodes.
    kind : kind of the nodes; `by_relations` takes what the vocabulary says of the relations' ends (what has a `domain` is a
        relation, what a class `has_attribute` an attribute), else concept.
    kinds : pattern → kind of the ids that it covers; goes before `kind`.
    ids : pattern → what the ids that it covers become, once they are CURIEs: `{'AwA:(n\\d{8})': 'wn30:\\1', 'AwA:(.*)': 'awa:\\1'}`.
        The first that covers an id counts; relations that the vocabulary does not have are treated alike.
    nodes : pattern of the ids (after `ids`) that statements may be about; others are dropped and counted.
    version, licence : for the manifest.

    Raises
    ------
    InvalidInputError : an unknown value, or a prefix without an IRI.
    UnknownNameError : `relations` names a relation that is not in the vocabulary.
    """

    name: ClassVar[str] = "triples"
    source: ClassVar[str] = "subject, relation, object: the format of the knowledge-graph completion benchmarks"

    def __init__(
        self,
        name: str = "triples",
        columns: Sequence[str] = ROLES[:3],
        separator: str = "tab",
        header: bool = False,
        quotes: bool = False,
        prefix: str = "",
        prefixes: Mapping[str, str] | None = None,
        vocabulary: str | Sequence[str] = "none",
        relations: Mapping[str, str] | None = None,
        literals: str = "labels",
        label_relations: Sequence[str] = ("rdfs:label",),
        text_relations: Sequence[str] = ("rdfs:comment",),
        blank_nodes: str = "drop",
        labels: str | None = None,
        texts: str | None = None,
        kind: str = "concept",
        kinds: Mapping[str, str] | None = None,
        ids: Mapping[str, str] | None = None,
        nodes: str = "",
        version: str = "",
        licence: str = "not stated",
    ) -> None:
        vocabularies = (vocabulary,) if isinstance(vocabulary, str) else tuple(vocabulary)
        for what, given, known in (
            ("separator", (separator,), _SEPARATORS),
            ("vocabulary", vocabularies, VOCABULARIES),
            ("literals", (literals,), LITERALS),
            ("blank_nodes", (blank_nodes,), ("drop", "keep")),
            ("columns", columns, (*ROLES, "-")),
        ):
            if wrong := [g for g in given if g not in known]:
                raise InvalidInputError(
                    f"triples: {what} has known values", received=repr(wrong[0]), remedy=f"choose from: {', '.join(known)}"
                )
        if any(list(columns).count(r) != 1 for r in ROLES[:3]) or list(columns).count("weight") > 1:
            raise InvalidInputError("triples: columns name subject, relation and object once", received=", ".join(columns))
        self.terms = Terms(prefix, prefixes or {})
        self.given = {r: _stated(target) for r, target in (relations or {}).items()}
        self.vocabularies = vocabularies
        self.rules = Rules(ids, kinds, nodes)
        self.title, self.columns, self.header, self.quotes = name, tuple(columns), header, quotes
        self.separator = _SEPARATORS[separator]
        self.literals, self.keep_blank, self.kind = literals, blank_nodes == "keep", kind
        self.roles = dict.fromkeys(label_relations, _LABEL) | dict.fromkeys(text_relations, _TEXT)
        self.tables = {_LABEL: labels, _TEXT: texts}
        self.version, self.licence = version, licence

    def read(self, path: Path, engine: object = None) -> Statements:
        """Read the file at `path`.

        Nodes are in the order of their ids. A label is that of the file `labels`, else what the triples state (several are
        joined by commas), else the words of the id.

        Raises
        ------
        MissingDataError : no such file.
        SourceError : an empty, cut, foreign or wrongly encoded file, another number of columns, an empty name, a weight that
            is not a positive number, a name without prefix where none is set; the line is named.
        """
        columns, weight = self._columns(path)
        role = _among(columns["relation"], self._role)
        dropped: dict[str, int] = {}
        kept = np.ones(len(role), dtype=bool)
        if not self.keep_blank:
            kept = ~(_among(columns["subject"], blank) | (_among(columns["object"], blank) & (role == _EDGE)))
            dropped["blank node"] = int((~kept).sum())
        if self.rules.selects:
            inside = _among(columns["subject"], self._inside) & ((role != _EDGE) | _among(columns["object"], self._inside))
            dropped["statement about a node outside `nodes`"] = int((kept & ~inside).sum())
            kept &= inside
        if self.literals == "drop":
            dropped["literal"] = int((kept & (role != _EDGE)).sum())
            kept &= role == _EDGE
        empty = kept & (role != _EDGE) & _among(columns["object"], _empty)
        dropped["empty literal"] = int(empty.sum())
        kept &= ~empty
        text = kept & (role != _EDGE) & (self.literals == "nodes")
        stated = kept & (role != _EDGE) & ~text
        nodes = _Nodes()
        subject = nodes.add(columns["subject"], kept, lambda n: self._ids(n, path))
        target = nodes.add(columns["object"], kept & (role == _EDGE), lambda n: self._ids(n, path))
        literal = nodes.add(columns["object"], text, lambda n: pa.array(literal_ids(n.to_pylist()), pa.string()), is_text=True)
        ids = nodes.join()
        said = {r: self._said(r, path, ids, nodes.rank(subject), columns["object"], stated & (role == r), dropped) for r in (_LABEL, _TEXT)}
        edge = kept & ~stated
        relations, relation, flip = self._relations(columns["relation"], edge, path)
        one, two = nodes.rank(subject)[edge], nodes.rank(np.where(text, literal, target))[edge]
        ends = np.where(flip, two, one).astype(np.int32), relation, np.where(flip, one, two).astype(np.int32)
        return Statements(
            ids=ids,
            kinds=pc.if_else(pa.array(nodes.text), "text", self._kinds(ids, relations, *ends)),
            labels=pc.coalesce(said[_LABEL], nodes.labels()),
            texts=pc.coalesce(said[_TEXT], ""),
            relations=relations,
            subject=ends[0],
            relation=relation,
            object=ends[2],
            weight=weight[edge],
            info=SourceInfo(self.title, self.version, self.licence, {p.name: sha256_file(p) for p in self._files(path)}),
            dropped={reason: n for reason, n in dropped.items() if n},
            prefixes=self.terms.used([*ids.to_pylist(), *(r.id for r in relations)]),
        )

    def _kinds(
        self, ids: pa.StringArray, relations: tuple[Relation, ...], subject: np.ndarray, relation: np.ndarray, obj: np.ndarray
    ) -> pa.StringArray:
        if self.kind == BY_RELATIONS:
            return self.rules.kinds(ids, kinds_by_relations(len(ids), relations, subject, relation, obj))
        return self.rules.kinds(ids, pa.array([self.kind] * len(ids), pa.string()))

    def _inside(self, names: pa.StringArray) -> np.ndarray:
        return self.rules.inside(self.terms.ids(names))

    def _files(self, path: Path) -> list[Path]:
        return [path, *(path.parent / t for t in self.tables.values() if t)]

    # ---- reading

    def _columns(self, path: Path) -> tuple[dict[str, pa.DictionaryArray], np.ndarray]:
        """Return subject, relation and object as dictionary columns, and the weights."""
        table = self._table(path, self.columns, skip=int(self.header))
        columns = {r: _encoded(table[r]) for r in ROLES[:3]}
        weight = np.ones(len(table), dtype=np.float32)
        if "weight" in self.columns:
            weight = table["weight"].to_numpy().astype(np.float32)
        literal = _among(columns["relation"], self._role) != _EDGE
        empty = (_among(columns[r], _empty) & ~(literal & (r == "object")) for r in ROLES[:3])
        if any(e.any() for e in empty) or not (np.isfinite(weight) & (weight > 0)).all():
            self._explain(path, self.columns, int(self.header), "a field is empty or a weight is not a positive number")
        if not self.header and [v.lower() for v in self._first(columns)] == list(ROLES[:3]):
            raise SourceError(
                "the first line is a statement", received=f"{path}, line 1: {' '.join(self._first(columns))}", remedy="set `header: true`"
            )
        return columns, weight

    def _role(self, relations: pa.StringArray) -> np.ndarray:
        return np.asarray([self.roles.get(r, _EDGE) for r in relations.to_pylist()], dtype=np.int8)

    def _first(self, columns: Mapping[str, pa.DictionaryArray]) -> list[str]:
        return [columns[r][0].as_py() for r in ROLES[:3]]

    def _table(self, path: Path, columns: Sequence[str], skip: int = 0) -> pa.Table:
        check_head(path, "a table of triples", "get the file again")
        names = [c if c != "-" else f"- {i}" for i, c in enumerate(columns)]
        try:
            with pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None) as stream:
                table = pa.csv.read_csv(
                    stream,
                    read_options=pa.csv.ReadOptions(column_names=names, skip_rows=skip),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=self.separator, quote_char='"' if self.quotes else False, newlines_in_values=self.quotes
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        include_columns=[n for n in names if not n.startswith("- ")],
                        column_types={n: pa.float64() if n == "weight" else pa.dictionary(pa.int32(), pa.string()) for n in names},
                        null_values=[],
                    ),
                )
        except pa.ArrowInvalid as error:
            self._explain(path, columns, skip, str(error))
        except OSError as error:
            raise cut(path, None, error) from error
        if not len(table):
            raise SourceError("a table of triples holds at least one line", received=f"{path} holds none", remedy="get the file again")
        return table

    def _explain(self, path: Path, columns: Sequence[str], skip: int, problem: str) -> None:
        """Raise SourceError for the first line that is wrong, or with `problem` where no single line is."""

        def check(line: str) -> str | None:
            fields = next(csv.reader([line], delimiter=self.separator), []) if self.quotes else line.split(self.separator)
            if len(fields) != len(columns):
                return f"has {len(columns)} fields, not {len(fields)}"
            named = {c: f.strip() for c, f in zip(columns, fields, strict=True) if c != "-"}
            if not all(f or (c == "object" and named.get("relation") in self.roles) for c, f in named.items()):
                return "has an empty field"
            return _weight_problem(fields[columns.index("weight")]) if "weight" in columns else None

        first_bad(path, check, _REMEDY, skip)
        raise SourceError("a table of triples is readable", received=f"{path}: {problem}", remedy=_REMEDY)

    # ---- names

    def _ids(self, names: pa.StringArray, path: Path) -> pa.StringArray:
        ids = self.terms.ids(names)
        if ids.null_count:
            first = names.filter(pc.is_null(ids))[0].as_py()

            def check(line: str) -> str | None:
                return f"names {first!r}, which has no known prefix" if first in line else None

            first_bad(path, check, "set `prefix`, or declare the file's prefixes in `prefixes`")
            raise SourceError("names have a known prefix", received=f"{path}: {first!r}", remedy="set `prefix`")
        return self.rules.rewrite(ids)

    def _relations(self, column: pa.DictionaryArray, edge: np.ndarray, path: Path) -> tuple[tuple[Relation, ...], np.ndarray, np.ndarray]:
        """Return the relations of the edges, the position of each edge's among them, and which edges are to be turned."""
        codes = _codes(column)[edge]
        used = np.flatnonzero(np.bincount(codes, minlength=len(column.dictionary)))
        names = column.dictionary.take(pa.array(used))
        stated = [self._stated(n, i, path) for n, i in zip(names.to_pylist(), self.terms.ids(names).to_pylist(), strict=True)]
        relations = tuple(sorted({s.relation for s in stated}))
        index = np.zeros(len(column.dictionary), dtype=np.int32)
        flip = np.zeros(len(column.dictionary), dtype=bool)
        index[used] = [relations.index(s.relation) for s in stated]
        flip[used] = [s.reversed for s in stated]
        return relations, index[codes], flip[codes]

    def _stated(self, name: str, identifier: str | None, path: Path) -> Stated:
        if name in self.given:
            return self.given[name]
        prefix, local = identifier.split(":", 1) if identifier else ("cn", name)
        known = vocabulary() if self.vocabularies != ("none",) else None
        if known and "iris" in self.vocabularies and (iri := self.terms.known.get(prefix, f"{prefix}:") + local) in known.iris:
            return known.iris[iri]
        if known and "conceptnet" in self.vocabularies and prefix in ("cn", self.terms.prefix):
            found = known.conceptnet.get(local[:1].upper() + local[1:])
            if found:
                return found
        if identifier is None:
            raise SourceError("relations have a known prefix", received=f"{path}: {name!r}", remedy="set `prefix`")
        return Stated(Relation(self.rules.rewrite(pa.array([identifier]))[0].as_py(), relation_label(name)))

    # ---- what is said of nodes

    def _said(
        self, role: int, path: Path, ids: pa.StringArray, subject: np.ndarray, column: pa.DictionaryArray, rows: np.ndarray, dropped: dict
    ) -> pa.StringArray:
        """Return the labels or texts of nodes, null where nothing is said: of the file where it names the node, else of the triples."""
        texts = column.dictionary
        if role == _LABEL:
            texts = pc.replace_substring(texts, "_", " ")
        said = joined(len(ids), subject[rows], texts.take(pa.array(_codes(column)[rows])))
        if not self.tables[role]:
            return said
        file = path.parent / str(self.tables[role])
        table = self._table(file, ("subject", "object"))
        node = np.asarray(pc.fill_null(pc.index_in(self._ids(_plain(table["subject"]), file), ids), -1))
        found = node >= 0
        what = "label" if role == _LABEL else "text"
        dropped[f"{what} of a node in no statement"] = int((~found).sum())
        return pc.coalesce(joined(len(ids), node[found], _plain(table["object"]).filter(pa.array(found))), said)


class _Nodes:
    """The node axis: names are added column by column, then joined; equal ids are one node."""

    def __init__(self) -> None:
        self._ids: list[pa.StringArray] = []
        self._words: list[pa.StringArray] = []
        self._text: list[np.ndarray] = []
        self._rank = np.zeros(0, dtype=np.int64)
        self._first = np.zeros(0, dtype=np.int64)
        self.text = np.zeros(0, dtype=bool)

    def add(
        self, column: pa.DictionaryArray, rows: np.ndarray, ids: Callable[[pa.StringArray], pa.StringArray], is_text: bool = False
    ) -> np.ndarray:
        """Add the names in the chosen rows; return the number of each row's name, -1 in the rows not chosen."""
        codes = _codes(column)
        used = np.zeros(len(column.dictionary), dtype=bool)
        used[codes[rows]] = True
        names = column.dictionary.filter(pa.array(used))
        number = np.cumsum(used) - 1 + sum(map(len, self._ids))
        self._ids.append(ids(names))
        self._words.append(names if is_text else words(self._ids[-1]))
        self._text.append(np.full(len(names), is_text))
        return np.where(rows, number[codes], -1)

    def join(self) -> pa.StringArray:
        """Return the sorted ids, `[nodes]`."""
        encoded = pa.concat_arrays(self._ids).dictionary_encode()
        codes = _codes(encoded)
        order = np.asarray(pc.array_sort_indices(encoded.dictionary), dtype=np.int64)
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        self._rank = place[codes]
        self._first = np.empty(len(order), dtype=np.int64)
        self._first[self._rank[::-1]] = np.arange(len(codes))[::-1]
        self.text = np.concatenate(self._text)[self._first]
        return encoded.dictionary.take(pa.array(order))

    def rank(self, numbers: np.ndarray) -> np.ndarray:
        """Return the positions of what `add` returned; rows that were not chosen have no meaning."""
        return self._rank[numbers] if len(self._rank) else numbers

    def labels(self) -> pa.StringArray:
        """Return the words of every id, or the text where a node is one, `[nodes]`."""
        return pa.concat_arrays(self._words).take(pa.array(self._first))


def _stated(target: str) -> Stated:
    return Stated(vocabulary()[target.removeprefix("^")], target.startswith("^"))


def _weight_problem(field: str) -> str | None:
    try:
        value = float(field)
    except ValueError:
        return "has a number as its weight"
    return None if math.isfinite(value) and value > 0 else "has a positive weight"


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return one array over one dictionary without duplicates."""
    return column.unify_dictionaries().combine_chunks()


def _plain(column: pa.ChunkedArray) -> pa.StringArray:
    return _encoded(column).dictionary_decode()


def _codes(column: pa.DictionaryArray) -> np.ndarray:
    return np.asarray(column.indices)


def _among(column: pa.DictionaryArray, test: Callable[[pa.StringArray], np.ndarray]) -> np.ndarray:
    return test(column.dictionary)[_codes(column)]


def _empty(names: pa.StringArray) -> np.ndarray:
    return np.asarray(pc.equal(pc.utf8_trim_whitespace(names), ""), dtype=bool)
