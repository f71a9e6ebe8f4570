"""RDF into columns: a compiled parser (pyoxigraph) writes N-Triples, and Arrow cuts and encodes them block by block.

No Python object is made per triple beyond pyoxigraph's own, and peak memory is that of the columns plus the distinct terms.
"""

from __future__ import annotations

import io
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kgzsl.errors import KgzslError, SourceError, require
from kgzsl.sources.rdf_files import Stream, XmlGuard, detect, is_plain, open_stream

if TYPE_CHECKING:
    import rdflib

_BLOCK = 8 << 20
_FORMATS = {
    "rdfxml": "RDF_XML",
    "turtle": "TURTLE",
    "ntriples": "N_TRIPLES",
    "nquads": "N_QUADS",
    "n3": "N3",
    "trig": "TRIG",
    "jsonld": "JSON_LD",
}


@dataclass(frozen=True)
class TripleColumns:
    """Triples as integers.

    Attributes
    ----------
    subject, predicate, object : positions in `terms`, int32 `[triples]`, in the file's order. Named graphs are merged.
    terms : distinct terms in N-Triples syntax (`<iri>`, `_:b`, `"text"@en`), by first use, string `[terms]`.
    prefixes : prefix → IRI as the document declares them.
    """

    subject: np.ndarray
    predicate: np.ndarray
    object: np.ndarray
    terms: pa.StringArray
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of triples."""
        return len(self.subject)


def read_triples(
    path: Path, syntax: str = "auto", *, base: str | None = None, lenient: bool = False, rename_blank: bool = False
) -> TripleColumns:
    """Read a file of RDF, gzipped or not.

    Parameters
    ----------
    syntax : one of `kgzsl.sources.rdf_files.TRIPLES`, or `auto`: from the first bytes, then the extension.
    base : IRI that relative ones are resolved against where the document does not say.
    lenient : accept IRIs and language tags that break the standard.
    rename_blank : give blank nodes fresh names, for files that are joined.

    Raises
    ------
    SourceError : the file is malformed; the message says where.
    MissingDataError : there is no such file.
    """
    found = detect(path, syntax)
    if found not in _FORMATS:
        raise SourceError("a file of triples is needed", received=f"{path} states axioms ({found})", remedy="the reader `owl` reads it")
    options = {"base_iri": base, "lenient": lenient, "rename_blank_nodes": rename_blank}
    if is_plain(path, found):
        return _parse(None, found, options, path)
    with open_stream(path, found) as stream:
        return _parse(stream, found, options, path)


def parse_document(document: bytes, syntax: str, origin: Path) -> TripleColumns:
    """Read a document in memory that was made from the file `origin`; see `read_triples`."""
    stream = io.BytesIO(document)
    return _parse(XmlGuard(stream, origin) if syntax == "rdfxml" else stream, syntax, {"rename_blank_nodes": True}, origin, located=False)


def from_rdflib(graph: rdflib.Graph) -> TripleColumns:
    """Return the triples of an rdflib graph (of a dataset: of all its graphs), with the prefixes bound in it."""
    oxigraph: Any = require("pyoxigraph", "graphs")
    sink = _Columns()
    document = graph.serialize(format="nquads" if getattr(graph, "context_aware", False) else "nt", encoding="utf-8")
    parser = oxigraph.parse(document, oxigraph.RdfFormat.N_QUADS)
    oxigraph.serialize(map(operator.attrgetter("triple"), parser), sink, oxigraph.RdfFormat.N_TRIPLES)
    return sink.finish({str(prefix): str(iri) for prefix, iri in graph.namespaces()})


def concatenate(parts: Iterable[TripleColumns]) -> TripleColumns:
    """Return several sets of triples as one, over one list of terms; the first document's prefixes come first."""
    parts = list(parts)
    columns = _Columns()
    prefixes: dict[str, str] = {}
    for part in parts:
        codes = np.stack([part.subject, part.predicate, part.object], axis=1).reshape(-1)
        columns.chunks.append(pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), part.terms))
        prefixes = {**part.prefixes, **prefixes}
    return columns.finish(prefixes)


def _parse(stream: Stream | None, syntax: str, options: Mapping[str, Any], path: Path, *, located: bool = True) -> TripleColumns:
    oxigraph: Any = require("pyoxigraph", "graphs")
    kind = getattr(oxigraph.RdfFormat, _FORMATS[syntax])
    sink = _Columns()
    try:
        parser = oxigraph.parse(stream, kind, **options) if stream is not None else oxigraph.parse(path=path, format=kind, **options)
        statements: Iterable[Any] = parser
        if syntax == "n3":  # what stands in a formula { … } is not asserted
            statements = (quad.triple for quad in parser if isinstance(quad.graph_name, oxigraph.DefaultGraph))
        elif kind.supports_datasets:
            statements = map(operator.attrgetter("triple"), parser)
        oxigraph.serialize(statements, sink, oxigraph.RdfFormat.N_TRIPLES)
        prefixes = dict(parser.prefixes)
    except (KgzslError, MemoryError):
        raise
    except (SyntaxError, ValueError, OSError) as error:
        raise SourceError(
            f"a file of {kind.name} follows its grammar",
            received=f"{path}{_place(error, path, syntax, options) if located else ''}: {_words(error)}",
            remedy=_remedy(str(error)),
        ) from error
    if isinstance(stream, XmlGuard):
        prefixes = stream.namespaces
    return sink.finish(prefixes)


def _place(error: Exception, path: Path, syntax: str, options: Mapping[str, Any]) -> str:
    """Return `, line L, column C`; where the parser does not say, the line is found by giving it the file line by line."""
    if getattr(error, "lineno", None):
        return f", line {error.lineno}, column {error.offset}"  # type: ignore[attr-defined]
    oxigraph: Any = require("pyoxigraph", "graphs")
    with open_stream(path, syntax) as stream:
        lines = _Lines(stream)
        try:
            for _ in oxigraph.parse(lines, getattr(oxigraph.RdfFormat, _FORMATS[syntax]), **options):
                pass
        except (SyntaxError, ValueError, OSError):
            return f", by line {lines.count}"
    return ""


class _Lines:
    """Hands out at most one line at a time and counts them."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._ready, self.count = stream, b"", 0

    def read(self, size: int = -1, /) -> bytes:
        while b"\n" not in self._ready:
            part = self._stream.read(1 << 16)
            if not part:
                break
            self._ready += part
        end = self._ready.find(b"\n") + 1 or len(self._ready)
        end = end if size < 0 else min(end, size)
        line, self._ready = self._ready[:end], self._ready[end:]
        self.count += 1 if line else 0
        return line


def _words(error: Exception) -> str:
    return re.sub(
        r"^Parser error at line \d+ (?:between columns? \d+ and \d+|columns? \d+)(?: and line \d+ column \d+)?: ", "", str(error)
    )[:300]


def _remedy(message: str) -> str:
    if "variables are not allowed" in message:
        return "rules and variables of N3 are no statements: leave them out of the file"
    if "No scheme found" in message:
        return "the document has relative IRIs and no base: set `base` to the IRI it was published at"
    if "IRI" in message or "language" in message.lower():
        return "correct the file, or set `lenient: true` to accept such IRIs"
    return "correct the file, get it again, or set `format` if it is in another syntax"


class _Columns:
    """A sink that cuts N-Triples into subject, predicate and object and encodes them as integers."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.chunks: list[pa.DictionaryArray] = []

    def write(self, part: bytes) -> int:
        self._parts.append(part)
        self._size += len(part)
        if self._size >= _BLOCK:
            self._flush(last=False)
        return len(part)

    def flush(self) -> None:
        """Nothing: blocks are cut by size."""

    def _flush(self, last: bool) -> None:
        block = b"".join(self._parts)
        end = len(block) if last else block.rfind(b"\n") + 1
        self._parts, self._size = [block[end:]], len(block) - end
        if end:
            self.chunks.append(_encode(block[:end]))

    def finish(self, prefixes: Mapping[str, str]) -> TripleColumns:
        self._flush(last=True)
        kind = pa.dictionary(pa.int32(), pa.string())
        joined = pa.chunked_array(self.chunks, kind).unify_dictionaries()
        codes = np.concatenate([np.asarray(c.indices) for c in joined.chunks] or [np.empty(0, np.int32)]).reshape(-1, 3)
        terms = joined.chunk(0).dictionary if joined.num_chunks else pa.array([], pa.string())
        subject, predicate, obj = (np.ascontiguousarray(codes[:, k], dtype=np.int32) for k in range(3))
        return TripleColumns(subject, predicate, obj, terms, dict(prefixes))


def _encode(block: bytes) -> pa.DictionaryArray:
    """Return the terms of whole lines `S P O .` in order, `[3 · lines]`.

    A subject or predicate holds no space and a line ends in ` .`, so the two first spaces of a line part its terms.
    """
    letters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(letters == 10)
    spaces = np.flatnonzero(letters == 32)
    starts = np.concatenate([[0], ends[:-1] + 1])
    first = np.searchsorted(spaces, starts)
    one, two = spaces[first], spaces[first + 1]
    broken = (letters[two - 1] != 62) | (two >= ends - 2)
    if broken.any():
        line = int(np.flatnonzero(broken)[0])
        raise SourceError("an IRI holds no space", received=block[starts[line] : ends[line]][:200].decode(errors="replace"))
    # Terms and what parts them, as one array over the same bytes: nothing is copied before it is encoded.
    bounds = np.stack([starts, one, one + 1, two, two + 1, ends - 2], axis=1).reshape(-1)
    offsets = np.append(bounds, len(block)).astype(np.int32)
    pieces = pa.StringArray.from_buffers(len(bounds), pa.py_buffer(offsets), pa.py_buffer(block)).dictionary_encode()
    codes = np.asarray(pieces.indices).reshape(-1, 6)[:, ::2].reshape(-1)
    used, codes = np.unique(codes, return_inverse=True)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pieces.dictionary.take(pa.array(used)))
