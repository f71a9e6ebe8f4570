"""A graph in the formats of other tools: GraphML, GEXF, RDF, TSV, tensors, node-link JSON."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.artifacts import atomic_directory, atomic_file, check_target, write_manifest
from kgzsl.errors import ArtifactError, InvalidInputError, UnknownNameError, require
from kgzsl.graphs.convert import edge_source_names, to_networkx
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.graphs.rdf import count_triples, prefixes_of, serializable, triples
from kgzsl.progress import track

if TYPE_CHECKING:
    from torch_geometric.data import Data

#: What XML 1.0 cannot hold in any form, and what parsers change on reading.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes
    ----------
    summary : what it holds and what opens it.
    suffix : of its file; empty when it is a folder.
    write : writes a graph to a path and returns what of the graph the format does not hold, one sentence each.
    """

    summary: str
    suffix: str
    write: Callable[[KnowledgeGraph, Path, bool], list[str]]


@dataclass(frozen=True)
class Exported:
    """What `export_graph` wrote: the path, the format's name, and what of the graph is not in it, one sentence each."""

    path: Path
    format: str
    left_out: tuple[str, ...]


def export_graph(
    graph: KnowledgeGraph,
    out: str | os.PathLike[str],
    format: str | None = None,
    *,
    weights: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Write a graph for another tool, whole or not at all; the same graph gives the same bytes.

    Parameters
    ----------
    out : file to write, or folder for `tsv` and `pyg`.
    format : a name of `FORMATS`; None takes it from the suffix of `out`.
    weights : in RDF, state the weight of every edge whose weight is not 1 (see `kgzsl.graphs.rdf`); the other formats always hold it.
    overwrite : replace what is there.

    Raises
    ------
    UnknownNameError : no such format, or a suffix that belongs to none.
    InvalidInputError : `out` exists or cannot be written, or ids that differ only in characters that the format cannot hold.
    MissingDependencyError : the `graphs` extra is not installed.
    """
    name = format or _format_of(Path(out))
    if name not in FORMATS:
        raise UnknownNameError("a graph is exported in a known format", received=repr(name), remedy=f"choose from: {', '.join(FORMATS)}")
    chosen, path = FORMATS[name], Path(out)
    if not chosen.suffix:
        check_target(path, overwrite=overwrite)
        with atomic_directory(path, overwrite=overwrite) as folder:
            left_out = chosen.write(graph, folder, weights)
            write_manifest(folder, f"graph-{name}", {"name": graph.name, "content_digest": graph.digest, "prefixes": graph.prefixes})
        return Exported(path, name, tuple(left_out))
    if path.is_dir() or (path.exists() and not overwrite):
        raise InvalidInputError(
            f"an export to {name} is one new file", received=f"{path}, which exists", remedy="choose another path or pass --overwrite"
        )
    with atomic_file(path) as temporary:
        left_out = chosen.write(graph, temporary, weights)
    return Exported(path, name, tuple(left_out))


def _format_of(path: Path) -> str:
    found = [name for name, f in FORMATS.items() if f.suffix and path.name.lower().endswith(f.suffix)]
    if not found:
        raise UnknownNameError(
            "the suffix of the file says the format, or --format does",
            received=path.name,
            remedy=f"suffixes: {', '.join(f.suffix for f in FORMATS.values() if f.suffix)}; formats: {', '.join(FORMATS)}",
        )
    return found[0]


# ---- XML, through networkx


def _writable(graph: KnowledgeGraph) -> tuple[KnowledgeGraph, list[str]]:
    """Return the graph with what XML cannot hold replaced by U+FFFD, and what was replaced."""
    columns = ("ids", "kinds", "labels", "texts", "node_sources")
    cleaned = {c: tuple(_NOT_XML.sub("\ufffd", t).replace("\r\n", "\n").replace("\r", "\n") for t in getattr(graph, c)) for c in columns}
    changed = sum(a != b for c in columns for a, b in zip(cleaned[c], getattr(graph, c), strict=True))
    if not changed:
        return graph, []
    if len(set(cleaned["ids"])) != len(graph) or list(cleaned["ids"]) != sorted(cleaned["ids"]):
        raise InvalidInputError(
            "node ids differ in characters that XML can hold", received="some do not", remedy="export to ntriples, tsv or pyg"
        )
    return replace(graph, **cleaned), [f"{changed:,} texts had control characters, which XML cannot hold: each is now U+FFFD"]  # type: ignore[arg-type]


def _numbered(graph: KnowledgeGraph) -> Any:
    """Return the graph as networkx has it, edges keyed e0, e1 …: in XML a key is an id, and stands once."""
    networkx: Any = require("networkx", "graphs")
    keyed = to_networkx(graph)
    result = networkx.MultiDiGraph(name=graph.name, digest=graph.digest)
    for node, values in keyed.nodes(data=True):
        result.add_node(node, **{k: v for k, v in values.items() if v})
    labels = {r.id: r.label for r in graph.relations}
    edges = track(keyed.edges(keys=True, data=True), "converting", total=keyed.number_of_edges())
    for number, (s, o, relation, values) in enumerate(edges):
        shown = {"relation": relation, "relation_label": labels[relation], **{k: v for k, v in values.items() if v != ""}}
        result.add_edge(s, o, key=f"e{number}", **shown)
    return result


def _graphml(graph: KnowledgeGraph, path: Path, weights: bool) -> list[str]:
    networkx: Any = require("networkx", "graphs")
    writable, left_out = _writable(graph)
    numbered = _numbered(writable)
    numbered.graph["digest"] = graph.digest
    networkx.write_graphml_xml(numbered, path)
    return left_out


def _gexf(graph: KnowledgeGraph, path: Path, weights: bool) -> list[str]:
    gexf: Any = require("networkx.readwrite.gexf", "graphs")
    graph, left_out = _writable(graph)
    numbered = _numbered(graph)
    numbered.graph.clear()  # GEXF gives a graph no attributes of its own but a few
    numbered.graph["name"] = graph.name
    for _, _, key, values in numbered.edges(keys=True, data=True):
        values["id"] = key
        values["label"] = values.pop("relation_label")
    writer = gexf.GEXFWriter(version="1.2draft")
    writer.add_graph(numbered)
    for meta in [e for e in writer.xml if e.tag == "meta"]:
        meta.attrib.pop("lastmodifieddate", None)  # the same graph, the same bytes
    writer.write(path)
    return left_out


# ---- RDF


def _rdf(format: str) -> Callable[[KnowledgeGraph, Path, bool], list[str]]:
    def write(graph: KnowledgeGraph, path: Path, weights: bool) -> list[str]:
        ox: Any = require("pyoxigraph", "graphs")
        statements = track(triples(graph, weights=weights), "writing triples", total=count_triples(graph))
        prefixes = serializable(prefixes_of(graph)) if format == "TURTLE" else None
        with open(path, "wb") as stream:
            ox.serialize(statements, _SortedPrefixes(stream) if prefixes else stream, getattr(ox.RdfFormat, format), prefixes=prefixes)
        left_out = ["the source of each node and edge is not in RDF"]
        if not weights and (other := int((graph.weight != 1).sum())):
            left_out.append(f"the weights of {other:,} edges, which are not 1, are left out: --weights states them")
        return left_out

    return write


class _SortedPrefixes:
    """Passes bytes on, the `@prefix` lines at their head sorted: the serializer has them in another order each time."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.head: bytes | None = b""

    def write(self, block: bytes) -> int:
        if self.head is None:
            return int(self.stream.write(block))
        self.head += bytes(block)
        lines = self.head.splitlines(keepends=True)
        first = next((i for i, line in enumerate(lines) if not line.startswith(b"@prefix")), None)
        if first is not None and (len(lines[first]) >= len(b"@prefix") or first + 1 < len(lines)):
            self._pass(sorted(lines[:first]) + lines[first:])
        return len(block)

    def flush(self) -> None:
        if self.head is not None and self.head:
            self._pass(sorted(self.head.splitlines(keepends=True)))
        self.stream.flush()

    def _pass(self, lines: list[bytes]) -> None:
        self.stream.write(b"".join(lines))
        self.head = None


# ---- tables and tensors


def _tsv(graph: KnowledgeGraph, folder: Path, weights: bool) -> list[str]:
    """Nodes, relations and edges with a header line; fields with tabs, newlines or quotes stand in double quotes, as CSV has them."""
    duckdb: Any = require("duckdb", "graphs")
    tables = graph.tables()
    edges = tables["edges"]
    ids = tables["nodes"]["id"].combine_chunks()
    sources = pa.array(edge_source_names(graph), pa.string())
    tables["edges"] = pa.table(
        {
            "subject": ids.take(edges["subject"]),
            "relation": tables["relations"]["id"].combine_chunks().take(edges["relation"]),
            "object": ids.take(edges["object"]),
            "weight": edges["weight"],
            "source": sources.take(edges["source"]) if len(edges) else pa.array([], pa.string()),
        }
    )
    lost = 0
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        for name, table in tables.items():
            for place, column in enumerate(table.schema):
                if pa.types.is_string(column.type):
                    plain = pc.replace_substring(table[column.name], "\x00", "\ufffd")  # no CSV reader takes a NUL
                    lost += pc.sum(pc.not_equal(plain, table[column.name])).as_py() or 0
                    table = table.set_column(place, column.name, plain)
            connection.from_arrow(table).write_csv(str(folder / f"{name}.tsv"), sep="\t", header=True, quotechar='"', escapechar='"')
    return [f"{lost:,} texts had NUL characters, which no table reader takes: each is now U+FFFD"] if lost else []


def _pyg(graph: KnowledgeGraph, folder: Path, weights: bool) -> list[str]:
    """Tensors in `graph.safetensors`, names in `graph.json`; `read_pyg` makes a `torch_geometric` graph of them."""
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray] = {
        "edge_index": np.stack([graph.subject, graph.object]).astype(np.int64),
        "edge_type": graph.relation.astype(np.int64),
        "edge_weight": graph.weight.astype(np.float32),
    }
    save_file(tensors, folder / "graph.safetensors")
    names = {
        "num_nodes": len(graph),
        "node_ids": graph.ids,
        "node_kinds": graph.kinds,
        "node_labels": graph.labels,
        "node_texts": graph.texts,
        "relation_ids": [r.id for r in graph.relations],
        "relation_labels": [r.label for r in graph.relations],
    }
    with open(folder / "graph.json", "w", encoding="utf-8") as stream:
        json.dump(names, stream, ensure_ascii=False)
    return ["the source of each node and edge is not in the tensors"]


def read_pyg(folder: str | os.PathLike[str]) -> Data:
    """Return the `torch_geometric.data.Data` of a folder that `export_graph(…, format="pyg")` wrote.

    Returns
    -------
    `edge_index` `[2, edges]`, `edge_type` `[edges]`, `edge_weight` `[edges]`, `num_nodes`, and the lists `node_ids`, `node_kinds`,
    `node_labels`, `node_texts` `[nodes]`, `relation_ids`, `relation_labels` `[relations]`.

    Raises
    ------
    ArtifactError : not such a folder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from kgzsl.artifacts import read_manifest

    geometric: Any = require("torch_geometric.data", "graphs")
    read_manifest(folder, "graph-pyg")
    try:
        names = json.loads((Path(folder) / "graph.json").read_text(encoding="utf-8"))
        return geometric.Data(**load_file(Path(folder) / "graph.safetensors"), **names)
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise ArtifactError("a pyg export holds graph.safetensors and graph.json", received=f"{folder}: {error}") from error


def _node_link(graph: KnowledgeGraph, path: Path, weights: bool) -> list[str]:
    if not np.isfinite(graph.weight).all():
        raise InvalidInputError(
            "JSON holds finite numbers",
            received=f"{int((~np.isfinite(graph.weight)).sum()):,} weights that are not",
            remedy="export to pyg or tsv",
        )
    networkx: Any = require("networkx", "graphs")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(networkx.node_link_data(to_networkx(graph), edges="edges"), stream, ensure_ascii=False, allow_nan=False)
    return []


#: Name → format.
FORMATS: Mapping[str, Format] = {
    "graphml": Format("GraphML, for Gephi, yEd, Cytoscape, networkx, igraph", ".graphml", _graphml),
    "gexf": Format("GEXF 1.2, for Gephi", ".gexf", _gexf),
    "ntriples": Format("N-Triples, for every RDF tool; the fastest of these to read", ".nt", _rdf("N_TRIPLES")),
    "turtle": Format("Turtle, RDF that a person can read", ".ttl", _rdf("TURTLE")),
    "tsv": Format("a folder of nodes.tsv, relations.tsv, edges.tsv, for pandas, spreadsheets, DuckDB", "", _tsv),
    "pyg": Format("a folder of graph.safetensors and graph.json, for PyTorch Geometric (kgzsl.graphs.export.read_pyg)", "", _pyg),
    "networkx-json": Format("node-link JSON, for networkx and d3", ".json", _node_link),
}
