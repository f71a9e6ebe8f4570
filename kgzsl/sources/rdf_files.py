"""Files of RDF and OWL as clean UTF-8 streams: their syntax found, gzip and other encodings undone, hostile XML refused.

What is guarded here is what the compiled parsers behind do not guard themselves: pyoxigraph expands nested entities without
bound, needs quadratic time for deeply nested RDF/XML and overflows its stack on deeply nested RDF 1.2 triple terms.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol
from xml.parsers import expat

from kgzsl.errors import InvalidInputError, MissingDataError, SourceError

#: Extension → syntax. `.owl`, `.rdf` and `.xml` may hold any of the XML syntaxes; what the file begins with decides.
EXTENSIONS = {
    "owl": "rdfxml",
    "rdf": "rdfxml",
    "xml": "rdfxml",
    "rdfs": "rdfxml",
    "ttl": "turtle",
    "nt": "ntriples",
    "nq": "nquads",
    "n3": "n3",
    "trig": "trig",
    "jsonld": "jsonld",
    "json": "jsonld",
    "owx": "owx",
    "ofn": "ofn",
    "fss": "ofn",
    "omn": "omn",
    "obo": "obo",
}
#: Syntaxes that state triples, then those that state axioms.
TRIPLES, AXIOMS = ("rdfxml", "turtle", "ntriples", "nquads", "n3", "trig", "jsonld"), ("owx", "ofn", "omn", "obo")
SYNTAXES = TRIPLES + AXIOMS
_XML = {"rdfxml", "owx"}

#: Elements inside elements: lists of RDF/XML may nest one level per member, class expressions of OWL/XML do not.
MAX_DEPTH = {"rdfxml": 5000, "owx": 500}
MAX_ENTITIES, MAX_ENTITY = 256, 256
MAX_TRIPLE_TERMS = 1000

#: What the first bytes say whatever the extension is; tried in order after comments and an XML prolog.
_SIGNATURES = [
    (re.compile(rb"<(?:\w+:)?RDF[\s>/]"), "rdfxml"),
    (re.compile(rb"<(?:owl:)?Ontology[\s>/]"), "owx"),
    (re.compile(rb"(?:Prefix|Ontology)\s*\("), "ofn"),
    (re.compile(rb"(?:Prefix|Ontology)\s*:"), "omn"),
    (re.compile(rb"format-version\s*:|\[Term\]"), "obo"),
    (re.compile(rb"@prefix\s|@base\s|PREFIX\s|BASE\s", re.IGNORECASE), "turtle"),
]
_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_DECLARED = re.compile(rb"""^(\s*<\?xml[^>]*?encoding\s*=\s*["'])([\w.:-]+)(["'])""")
_BOMS = [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")]
_BOMS += [(codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]


class Stream(Protocol):
    """What a parser reads from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


def detect(path: Path, syntax: str = "auto") -> str:
    """Return the syntax of a file: the one asked for, else what its first bytes say, else what its extension says.

    Raises
    ------
    InvalidInputError : `syntax` is not a known one.
    MissingDataError : there is no such file.
    SourceError : the file is empty, an HTML page, a broken gzip file or nothing that is known.
    """
    if syntax != "auto" and syntax not in SYNTAXES:
        raise InvalidInputError(
            "a syntax of RDF or OWL is needed", received=repr(syntax), remedy=f"choose from: auto, {', '.join(SYNTAXES)}"
        )
    with open_stream(path, "turtle") as stream:
        head = _fill(stream, 1 << 16)
    if not head.strip():
        raise SourceError("a source file holds something", received=f"{path} is empty", remedy="get the file again")
    body = _body(head)
    if _HTML.match(head.lstrip()) or _HTML.match(body):
        raise SourceError(
            "an ontology file is not an HTML page",
            received=f"{path} begins as HTML",
            remedy="the download was answered with a web page: get the file itself (the `raw` link) again",
        )
    if syntax != "auto":
        return syntax
    extension = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    named = EXTENSIONS.get(extension)
    for pattern, said in _SIGNATURES:
        if pattern.match(body):
            return named if said == "turtle" and named in ("n3", "trig") else said
    if named:
        return named
    if body.startswith((b"{", b"[{")):
        return "jsonld"
    raise SourceError(
        "the syntax of a file shows in its extension or its first bytes",
        received=f"{path} begins with {head[:40]!r}",
        remedy=f"set `format` to one of: {', '.join(SYNTAXES)}",
    )


def _body(head: bytes) -> bytes:
    """Return what follows white space, comments and an XML prolog."""
    while True:
        head = head.lstrip()
        if head.startswith(b"#"):
            end = b"\n"
        elif head.startswith(b"<!--"):
            end = b"-->"
        elif head.startswith(b"<?"):
            end = b"?>"
        elif head.startswith(b"<!DOCTYPE") and not _HTML.match(head):
            inside = head.partition(b">")[0]
            end = b"]" if b"[" in inside else b">"
            after = head.partition(end)[2]
            head = after.lstrip().removeprefix(b">") if end == b"]" else after
            continue
        else:
            return head
        head = head.partition(end)[2]


def is_plain(path: Path, syntax: str) -> bool:
    """Return whether a parser may read the file itself, which is faster: UTF-8 without byte order mark, not zipped, harmless.

    Raises
    ------
    SourceError : it holds more RDF 1.2 triple terms than a parser bears.
    """
    if syntax in _XML:
        return False
    with path.open("rb") as raw:
        head = raw.read(4)
        if head.startswith(b"\x1f\x8b") or any(head.startswith(bom) for bom, _ in _BOMS):
            return False
        raw.seek(0)
        stream = _TermGuard(raw, path)
        while syntax != "jsonld" and stream.read(4 << 20):
            pass
    return True


@contextmanager
def open_stream(path: Path, syntax: str) -> Iterator[Stream]:
    """Open a file as UTF-8 bytes without byte order mark: unzipped, transcoded, and guarded where its syntax needs it.

    Raises
    ------
    MissingDataError : there is no such file.
    SourceError : from `read`, when the file is a broken gzip file, of an encoding that is not what it says, or hostile.
    """
    try:
        raw: IO[bytes] = path.open("rb")
    except OSError as error:
        raise MissingDataError(
            "a source file is needed", received=f"{path}: {error.strerror}", remedy="check `path` in the recipe"
        ) from error
    with raw:
        stream: Stream = raw
        if raw.read(2) == b"\x1f\x8b":
            raw.seek(0)
            stream = _Unzipped(raw, path)
        else:
            raw.seek(0)
        stream = _transcoded(stream, path)
        if syntax in _XML:
            stream = XmlGuard(stream, path, MAX_DEPTH[syntax])
        elif syntax in ("turtle", "ntriples", "nquads", "n3", "trig"):
            stream = _TermGuard(stream, path)
        yield stream


def _fill(stream: Stream, size: int) -> bytes:
    parts, length = [], 0
    while length < size and (part := stream.read(size - length)):
        parts.append(part)
        length += len(part)
    return b"".join(parts)


class _Unzipped:
    def __init__(self, raw: IO[bytes], path: Path) -> None:
        self._stream, self._path = gzip.GzipFile(fileobj=raw), path

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except (EOFError, OSError, zlib.error) as error:
            raise SourceError(
                "a gzip file is whole", received=f"{self._path}: {error}", remedy="the file was cut or damaged on its way: get it again"
            ) from error


class _Headed:
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1, /) -> bytes:
        if not self._head:
            return self._rest.read(size)
        end = len(self._head) if size < 0 else size
        part, self._head = self._head[:end], self._head[end:]
        return part + self._rest.read() if size < 0 else part


class _Decoded:
    """UTF-8 from another encoding."""

    def __init__(self, stream: Stream, encoding: str, path: Path) -> None:
        self._stream, self._decoder, self._path = stream, codecs.getincrementaldecoder(encoding)(), path
        self._ready = b""

    def read(self, size: int = -1, /) -> bytes:
        while size < 0 or not self._ready:
            part = self._stream.read(max(size, 1 << 16))
            try:
                text = self._decoder.decode(part, final=not part)
            except UnicodeError as error:
                raise SourceError(
                    "a file is in the encoding it declares", received=f"{self._path}: {error}", remedy="save it as UTF-8"
                ) from error
            self._ready += text.encode("utf-8", "replace")
            if not part:
                break
        end = len(self._ready) if size < 0 else size
        part, self._ready = self._ready[:end], self._ready[end:]
        return part


def _transcoded(stream: Stream, path: Path) -> Stream:
    head = _fill(stream, 1024)
    rest: Stream = _Headed(head, stream)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            if encoding == "utf-8":
                return _Headed(head[len(bom) :], stream)
            head = _fill(decoded := _Decoded(rest, encoding, path), 1024)
            return _Headed(_DECLARED.sub(rb"\1UTF-8\3", head), decoded)
    declared = _DECLARED.match(head)
    if declared is None or declared[2].lower() in (b"utf-8", b"utf8", b"us-ascii", b"ascii"):
        return rest
    try:
        codecs.lookup(declared[2].decode()).incrementaldecoder  # noqa: B018
    except LookupError as error:
        raise SourceError("an XML file declares a known encoding", received=f"{path}: {error}", remedy="save it as UTF-8") from error
    head = _fill(decoded := _Decoded(rest, declared[2].decode(), path), 1024)
    return _Headed(_DECLARED.sub(rb"\1UTF-8\3", head), decoded)


class _TermGuard:
    """Refuses many RDF 1.2 triple terms, whose nesting overflows the parser's stack."""

    def __init__(self, stream: Stream, path: Path) -> None:
        self._stream, self._path, self._count, self._last = stream, path, 0, b""

    def read(self, size: int = -1, /) -> bytes:
        part = self._stream.read(size)
        self._count += part.count(b"<<") + (self._last == b"<" == part[:1])
        self._last = part[-1:]
        if self._count > MAX_TRIPLE_TERMS:
            raise SourceError(
                f"a file holds at most {MAX_TRIPLE_TERMS:,} RDF 1.2 triple terms (<<( … )>>)",
                received=f"{self._path} holds more",
                remedy="statements about statements are no edges: leave them out of the file",
            )
        return part


class XmlGuard:
    """Passes XML on only after expat has found it well formed, not too deep and without entities that expand.

    Attributes
    ----------
    namespaces, base, ontology : prefix → IRI, `xml:base` and `ontologyIRI` of the root element, as far as it has them.
    entities : internal entities that the document declares, name → value. They stand for namespaces in many ontologies.
    line : line up to which the document was read.
    """

    def __init__(self, stream: Stream, path: Path, depth: int = MAX_DEPTH["rdfxml"]) -> None:
        self._stream, self._path, self._depth, self._limit = stream, path, 0, depth
        self.namespaces: dict[str, str] = {}
        self.base = self.ontology = ""
        self.entities: dict[str, str] = {}
        parser: Any = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.EntityDeclHandler, parser.StartDoctypeDeclHandler = self._entity, self._doctype
        self._parser = parser

    @property
    def line(self) -> int:
        return self._parser.CurrentLineNumber

    def read(self, size: int = -1, /) -> bytes:
        part = self._stream.read(size)
        try:
            self._parser.Parse(part, not part or size < 0)
        except expat.ExpatError as error:
            raise SourceError(
                "XML must be well formed",
                received=f"{self._path}, line {error.lineno}, column {error.offset + 1}: {expat.ErrorString(error.code)}",
                remedy="the file is truncated, damaged, of another encoding or no XML: get it again",
            ) from error
        return part

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self.base, self.ontology = attributes.get("xml:base", ""), attributes.get("ontologyIRI", "")
            self.namespaces = {k.partition(":")[2]: v for k, v in attributes.items() if k == "xmlns" or k.startswith("xmlns:")}
        if self._depth > self._limit:
            raise self._refusal(f"XML elements nest at most {self._limit:,} deep", "one deeper")

    def _end(self, name: str) -> None:
        self._depth -= 1

    def _doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        if system or public:
            raise self._refusal("a document type definition is inside its file", f"an external one, {system or public}")

    def _entity(self, name: str, parameter: bool, value: str | None, base: Any, system: str | None, *_: Any) -> None:
        self.entities[name] = value or ""
        if parameter or value is None:
            raise self._refusal("XML entities are internal", f"`{name}`, {'a parameter entity' if parameter else f'external: {system}'}")
        if "&" in value or "%" in value or len(value) > MAX_ENTITY or len(self.entities) > MAX_ENTITIES:
            raise self._refusal(
                f"XML entities stand for plain text, {MAX_ENTITIES} of up to {MAX_ENTITY} characters",
                f"`{name}` = {value[:60]!r} ({len(value):,} characters, number {len(self.entities)})",
            )

    def _refusal(self, rule: str, received: str) -> SourceError:
        place = f"{self._path}, line {self.line}, column {self._parser.CurrentColumnNumber + 1}"
        return SourceError(
            rule, received=f"{place}: {received}", remedy="write the text out instead of the construct, or do not trust the file"
        )
