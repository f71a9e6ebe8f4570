"""`KnowledgeGraph`: nodes, relations and edges as columns, and their artifact `NAME.kg`."""

from __future__ import annotations

import hashlib
import operator
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kgzsl.artifacts import atomic_directory, read_manifest, write_manifest
from kgzsl.errors import ArtifactError, DigestMismatchError, InvalidInputError, UnknownNameError
from kgzsl.ids import PREFIXES, curie, positions
from kgzsl.sources.base import Relation

_SCHEMAS = {
    "nodes": pa.schema([(c, pa.string()) for c in ("id", "kind", "label", "text", "source")]),
    "relations": pa.schema(
        [("id", pa.string()), ("label", pa.string()), ("symmetric", pa.bool_()), ("inverse", pa.string()), ("source", pa.string())]
    ),
    "edges": pa.schema(
        [("subject", pa.int32()), ("relation", pa.int32()), ("object", pa.int32()), ("weight", pa.float32()), ("source", pa.int32())]
    ),
}


@dataclass(frozen=True, eq=False)
class KnowledgeGraph:
    """A compiled knowledge graph; nodes are sorted by id, edges by (subject, relation, object).

    Attributes
    ----------
    ids, kinds, labels, texts : one string per node, `[nodes]`.
    node_sources : name of the source that first named each node, `[nodes]`.
    relations : `[relations]`, sorted by id; `relation_sources` names the first source of each.
    subject, object : positions of nodes, int64 `[edges]`. A hypernym edge goes from the child (subject) to the parent (object).
    relation : positions of relations, int64 `[edges]`.
    weight : float32 `[edges]`.
    edge_source : position in `source_names`, int64 `[edges]`.
    manifest : recipe, sources with versions and SHA-256, counts, what was dropped and why.

    Raises
    ------
    InvalidInputError : columns of different lengths, ids not sorted or not unique, or an edge out of range.
    """

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    node_sources: tuple[str, ...]
    relations: tuple[Relation, ...]
    relation_sources: tuple[str, ...]
    subject: np.ndarray
    relation: np.ndarray
    object: np.ndarray
    weight: np.ndarray
    edge_source: np.ndarray
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nodes = {len(c) for c in (self.ids, self.kinds, self.labels, self.texts, self.node_sources)}
        edges = {len(c) for c in (self.subject, self.relation, self.object, self.weight, self.edge_source)}
        if len(nodes) != 1 or len(edges) != 1 or len(self.relations) != len(self.relation_sources):
            raise InvalidInputError("columns of one table have one length", received=f"nodes {sorted(nodes)}, edges {sorted(edges)}")
        if not all(map(operator.lt, self.ids, self.ids[1:])):
            raise InvalidInputError("node ids are sorted and unique", received="they are not")
        for name, column, end in (
            ("subject", self.subject, len(self.ids)),
            ("object", self.object, len(self.ids)),
            ("relation", self.relation, len(self.relations)),
        ):
            if len(column) and not (column.min() >= 0 and column.max() < end):
                raise InvalidInputError(f"every {name} is a position below {end:,}", received=f"{column.min()} to {column.max()}")

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.ids)

    def __repr__(self) -> str:
        return f"KnowledgeGraph({self.name!r}, {len(self.ids):,} nodes, {len(self.subject):,} edges, digest {self.digest[:12]})"

    @property
    def name(self) -> str:
        """Name from the recipe."""
        return str(self.manifest.get("name", "graph"))

    @property
    def source_names(self) -> tuple[str, ...]:
        """Names of the sources, in the recipe's order; `edge_source` counts in it."""
        return tuple(s["name"] for s in self.manifest.get("sources", ()))

    @property
    def prefixes(self) -> dict[str, str]:
        """Prefix → IRI: those of the manifest, over `kgzsl.ids.PREFIXES`."""
        return {**PREFIXES, **self.manifest.get("prefixes", {})}

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the content (nodes, relations, edges), whatever library version wrote the files."""
        hasher = hashlib.sha256()
        relations = [f"{r.id}\t{r.label}\t{r.symmetric}\t{r.inverse}" for r in self.relations]
        for texts in (self.ids, self.kinds, self.labels, self.texts, relations):
            block = "\x00".join(texts).encode()
            hasher.update(b"%d %d\n" % (len(texts), len(block)))
            hasher.update(block)
        for column in (self.subject, self.relation, self.object):
            hasher.update(np.ascontiguousarray(column, dtype="<i8").data)
        hasher.update(np.ascontiguousarray(self.weight, dtype="<f4").data)
        return hasher.hexdigest()

    @cached_property
    def _index(self) -> dict[str, int]:
        return {identifier: i for i, identifier in enumerate(self.ids)}

    def __contains__(self, identifier: str) -> bool:
        """Return whether an id is a node."""
        return identifier in self._index

    def positions(self, ids: Sequence[str]) -> np.ndarray:
        """Return where each id stands on the node axis, int64 `[ids]`; unknown ids raise UnknownNameError and are named."""
        try:
            return np.fromiter((self._index[i] for i in ids), dtype=np.int64, count=len(ids))
        except KeyError:
            return positions(ids, self.ids, f"the graph {self.name}")

    def edges_of(self, relation: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return subject, object (int64) and weight (float32) of one relation's edges, `[edges of it]` each.

        Raises
        ------
        UnknownNameError : the graph has no such relation; the choices are listed.
        """
        names = [r.id for r in self.relations]
        if relation not in names:
            raise UnknownNameError("a relation of the graph is needed", received=repr(relation), remedy=f"choose from: {', '.join(names)}")
        mask = self.relation == names.index(relation)
        return self.subject[mask], self.object[mask], self.weight[mask]

    def neighbours(self, identifier: str) -> list[tuple[str, str, str]]:
        """Return the edges at a node as (direction, relation, id): `out` where it is the subject, `in` where it is the object."""
        node = int(self.positions([curie(identifier)])[0])
        found = []
        for direction, here, there in (("out", self.subject, self.object), ("in", self.object, self.subject)):
            for e in np.flatnonzero(here == node):
                found.append((direction, self.relations[self.relation[e]].id, self.ids[there[e]]))
        return found

    def counts(self) -> dict[str, Any]:
        """Return the counts of nodes, edges, edges per relation and nodes per kind."""
        per_relation = np.bincount(self.relation, minlength=len(self.relations))
        per_kind = Counter(self.kinds)
        return {
            "nodes": len(self.ids),
            "edges": len(self.subject),
            "relations": {r.id: int(n) for r, n in zip(self.relations, per_relation, strict=True)},
            "kinds": {k: per_kind[k] for k in sorted(per_kind)},
        }

    def tables(self) -> dict[str, pa.Table]:
        """Return the nodes, relations and edges as Arrow tables, as the artifact holds them."""
        columns: dict[str, list[Any]] = {
            "nodes": [list(c) for c in (self.ids, self.kinds, self.labels, self.texts, self.node_sources)],
            "relations": [
                [r.id for r in self.relations],
                [r.label for r in self.relations],
                [r.symmetric for r in self.relations],
                [r.inverse for r in self.relations],
                list(self.relation_sources),
            ],
            "edges": [self.subject, self.relation, self.object, self.weight, self.edge_source],
        }
        return {
            name: pa.Table.from_arrays([pa.array(c, type=f.type) for c, f in zip(columns[name], schema, strict=True)], schema=schema)
            for name, schema in _SCHEMAS.items()
        }

    def write(self, folder: Path) -> dict[str, Any]:
        """Write tables and manifest into an existing empty folder and return the manifest (see `save`)."""
        for name, table in self.tables().items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        content = {k: v for k, v in self.manifest.items() if k not in ("kind", "format_version", "files", "digest")}
        return write_manifest(
            folder, "graph", {**content, "prefixes": self.prefixes, "counts": self.counts(), "content_digest": self.digest}
        )

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the artifact folder, whole or not at all."""
        with atomic_directory(path, overwrite=overwrite) as folder:
            self.write(folder)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Self:
        """Read an artifact folder.

        Parameters
        ----------
        verify : compare every file and the content with the digests in the manifest.

        Raises
        ------
        ArtifactError : not a graph artifact, or its tables are not those of one.
        DigestMismatchError : changed since it was written.
        """
        manifest = read_manifest(path, "graph", verify=verify)
        nodes, relations, edges = (_read_table(Path(path), name) for name in _SCHEMAS)
        try:
            graph = cls(
                ids=tuple(nodes["id"].to_pylist()),
                kinds=tuple(nodes["kind"].to_pylist()),
                labels=tuple(nodes["label"].to_pylist()),
                texts=tuple(nodes["text"].to_pylist()),
                node_sources=tuple(nodes["source"].to_pylist()),
                relations=tuple(Relation(r["id"], r["label"], r["symmetric"], r["inverse"]) for r in relations.to_pylist()),
                relation_sources=tuple(relations["source"].to_pylist()),
                subject=edges["subject"].to_numpy().astype(np.int64),
                relation=edges["relation"].to_numpy().astype(np.int64),
                object=edges["object"].to_numpy().astype(np.int64),
                weight=edges["weight"].to_numpy().astype(np.float32),
                edge_source=edges["source"].to_numpy().astype(np.int64),
                manifest=manifest,
            )
        except InvalidInputError as error:
            raise ArtifactError("a graph artifact holds a graph", received=f"{path}: {error}", remedy="build it again") from error
        if verify and graph.digest != manifest.get("content_digest"):
            raise DigestMismatchError("a graph's content must match its digest", received=str(path), remedy="build it again")
        return graph


def _read_table(folder: Path, name: str) -> pa.Table:
    try:
        table = pq.read_table(folder / f"{name}.parquet")
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError("a graph artifact holds three Parquet tables", received=f"{folder / name}.parquet: {error}") from error
    if table.schema.names != _SCHEMAS[name].names or table.schema.types != _SCHEMAS[name].types:
        raise ArtifactError(f"{name}.parquet has the columns {_SCHEMAS[name].names}", received=str(table.schema.names))
    return table
