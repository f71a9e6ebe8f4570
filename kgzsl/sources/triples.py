"""Plain triples: a tab- or comma-separated file of subject, relation, object and, where there is one, weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.sources._layout import Layout, Nodes, codes_of, encoded, plain
from kgzsl.sources._lines import first_bad
from kgzsl.sources._rules import BY_RELATIONS, Rules, kinds_by_relations
from kgzsl.sources._terms import Terms, blank, joined, literal_ids, relation_label
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.vocabulary import Stated, vocabulary

ROLES = ("subject", "relation", "object", "weight")
VOCABULARIES = ("conceptnet", "iris", "none")
LITERALS = ("labels", "nodes", "drop")
_SEPARATORS = {"tab": "\t", "comma": ","}
_EDGE, _LABEL, _TEXT = 0, 1, 2
_PAIRS = Layout(("subject", "object"))


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
        self.roles = dict.fromkeys(label_relations, _LABEL) | dict.fromkeys(text_relations, _TEXT)
        self.layout = Layout(tuple(columns), _SEPARATORS[separator], header, quotes, frozenset(self.roles))
        self.title = name
        self.literals, self.keep_blank, self.kind = literals, blank_nodes == "keep", kind
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
        nodes = Nodes()
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
            prefixes=self.terms.used(pa.concat_arrays([ids, pa.array([r.id for r in relations], pa.string())])),
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
        table = self.layout.read(path)
        columns = {r: encoded(table[r]) for r in ROLES[:3]}
        weight = np.ones(len(table), dtype=np.float32)
        if "weight" in self.layout.columns:
            with np.errstate(over="ignore"):
                weight = table["weight"].to_numpy().astype(np.float32)
        literal = _among(columns["relation"], self._role) != _EDGE
        empty = (_among(columns[r], _empty) & ~(literal & (r == "object")) for r in ROLES[:3])
        if any(e.any() for e in empty) or not (np.isfinite(weight) & (weight > 0)).all():
            self.layout.explain(path, "a field is empty or a weight is not a positive number")
        first = [columns[r][0].as_py() for r in ROLES[:3]]
        if not self.layout.header and [f.lower() for f in first] == list(ROLES[:3]):
            raise SourceError("the first line is a statement", received=f"{path}, line 1: {' '.join(first)}", remedy="set `header: true`")
        return columns, weight

    def _role(self, relations: pa.StringArray) -> np.ndarray:
        return np.asarray([self.roles.get(r, _EDGE) for r in relations.to_pylist()], dtype=np.int8)

    # ---- names

    def _ids(self, names: pa.StringArray, path: Path) -> pa.StringArray:
        ids = self.terms.ids(names)
        if ids.null_count:
            first = names.filter(pc.is_null(ids))[0].as_py()

            def check(line: str) -> str | None:
                return f"names {first!r}, which has no known prefix" if first in self.layout.fields(line) else None

            first_bad(path, check, "set `prefix`, or declare the file's prefixes in `prefixes`")
            raise SourceError("names have a known prefix", received=f"{path}: {first!r}", remedy="set `prefix`")
        return self.rules.rewrite(ids)

    def _relations(self, column: pa.DictionaryArray, edge: np.ndarray, path: Path) -> tuple[tuple[Relation, ...], np.ndarray, np.ndarray]:
        """Return the relations of the edges, the position of each edge's among them, and which edges are to be turned."""
        codes = codes_of(column)[edge]
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
        said = joined(len(ids), subject[rows], texts.take(pa.array(codes_of(column)[rows])))
        if not self.tables[role]:
            return said
        file = path.parent / str(self.tables[role])
        table = _PAIRS.read(file)
        names, texts = plain(table["subject"]), pc.utf8_trim_whitespace(plain(table["object"]))
        node = np.asarray(pc.fill_null(pc.index_in(self.rules.rewrite(self.terms.ids(names)), ids), -1))
        found = node >= 0
        dropped[f"{'label' if role == _LABEL else 'text'} of a node in no statement"] = int((~found).sum())
        found &= np.asarray(pc.not_equal(texts, ""))
        return pc.coalesce(joined(len(ids), node[found], texts.filter(pa.array(found))), said)


def _stated(target: str) -> Stated:
    return Stated(vocabulary()[target.removeprefix("^")], target.startswith("^"))


def _among(column: pa.DictionaryArray, test: Callable[[pa.StringArray], np.ndarray]) -> np.ndarray:
    return test(column.dictionary)[codes_of(column)]


def _empty(names: pa.StringArray) -> np.ndarray:
    return np.asarray(pc.equal(pc.utf8_trim_whitespace(names), ""), dtype=bool)
