"""Syntaxes that state axioms (OWL/XML, functional, Manchester, OBO) into the triples that OWL 2 maps them to.

The parsers (py-horned-owl, fastobo) are compiled and recurse, so they run in a process of their own with limits on time and
memory; see `_axioms_to_rdf`. What they cannot read but the standards allow is put into words that they can.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin

from kgzsl.errors import SourceError, require
from kgzsl.sources.obo import instance_frames, with_standard_relations
from kgzsl.sources.owl_index import OWL, RDF, RDFS, XSD
from kgzsl.sources.rdf import TripleColumns, concatenate, parse_document
from kgzsl.sources.rdf_files import XmlGuard, open_stream

_CHILD = Path(__file__).with_name("_axioms_to_rdf.py")
_STANDARD = {"owl": OWL, "rdf": RDF, "rdfs": RDFS, "xsd": XSD}
_NAMES = {"owx": "OWL/XML", "ofn": "OWL functional syntax", "omn": "Manchester syntax", "obo": "OBO"}
_FLOOR = 4 << 30
_QUOTED = r'"(?:[^"\\]|\\.)*"|<[^<>\s]*>|#[^\n]*'
#: `max 1 and …`: the parser takes the word after the number for a class.
_UNQUALIFIED = re.compile(_QUOTED + r"|\b(?:min|max|exactly)\s+\d+(?=\s+(?:and|or)\b)", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL)
_POSITION = re.compile(r"(?:BytePosition\(|ByteSpan\()(\d+)")
_LINE = re.compile(r"line_col: Pos\(\((\d+), (\d+)\)\)")


def read_axioms(path: Path, syntax: str, *, time_limit: float = 300) -> TripleColumns:
    """Read a file of axioms, gzipped or not, as triples.

    Parameters
    ----------
    syntax : `owx`, `ofn`, `omn` or `obo`.
    time_limit : seconds that the parser may take.

    Raises
    ------
    SourceError : the file is malformed, nests too deep for the parser or takes it too long.
    """
    require("fastobo" if syntax == "obo" else "pyhornedowl", "graphs")
    text, prefixes, inserted = _prepared(path, syntax)
    document = text.encode()
    memory = max(_FLOOR, 400 * len(document))
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_CHILD), syntax, str(memory)], input=document, capture_output=True, timeout=time_limit, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _refusal(path, syntax, f"not read within {time_limit:g} seconds", "simplify it, or set a longer `time_limit`") from error
    if done.returncode == 3:
        raise _error(path, syntax, text, inserted, json.loads(done.stderr.splitlines()[-1]))
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        received = f"the parser gave up with status {done.returncode} ({words[0][:200]})"
        raise _refusal(path, syntax, received, "expressions nest too deep, or the file is far too big for this syntax: convert it to RDF")
    triples = parse_document(done.stdout, "rdfxml", path)
    if syntax == "obo":
        frames = parse_document(instance_frames(text).encode(), "ntriples", path)
        return with_standard_relations(concatenate([triples, frames]))
    return TripleColumns(triples.subject, triples.predicate, triples.object, triples.terms, prefixes)


def _prepared(path: Path, syntax: str) -> tuple[str, dict[str, str], int]:
    """Return the text for the parser, the prefixes it declares, and how many characters were put before its first line."""
    with open_stream(path, syntax) as stream:
        parts = []
        while part := stream.read(1 << 16):
            parts.append(part)
        raw = b"".join(parts)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refusal(path, syntax, f"line {line}: {error.reason} at byte {error.start}", "save the file as UTF-8") from error
    if isinstance(stream, XmlGuard):
        plain = _without_entities(text, stream)
        return _absolute(plain, stream), _xml_prefixes(plain), 0
    if syntax == "obo":
        return text, {}, 0
    pattern = r"Prefix\s*\(\s*([\w.-]*)\s*:\s*=\s*<([^<>\s]*)>" if syntax == "ofn" else r"Prefix:\s*([\w.-]*):\s*<([^<>\s]*)>"
    prefixes = dict(re.findall(pattern, text))
    # The specifications use these four without declaring them, and so do files.
    form = "Prefix({}:=<{}>) " if syntax == "ofn" else "Prefix: {}: <{}> "
    head = "".join(form.format(p, i) for p, i in _STANDARD.items() if p not in prefixes)
    if syntax == "omn":
        text = _UNQUALIFIED.sub(lambda m: m[0] if m[0][0] in '"<#' else f"{m[0]} owl:Thing", text)
    return head + text, prefixes, len(head)


def _without_entities(text: str, guard: XmlGuard) -> str:
    """Return XML with its entities, which the guard found harmless, written out; line numbers stay."""
    if not guard.entities:
        return text
    doctype = _DOCTYPE.search(text)
    end = doctype.end() if doctype else 0
    body = re.sub(r"&([\w.:-]+);", lambda m: guard.entities.get(m[1], m[0]), text[end:])
    return text[: doctype.start() if doctype else 0] + "\n" * text.count("\n", doctype.start() if doctype else 0, end) + body


def _absolute(text: str, guard: XmlGuard) -> str:
    """Return OWL/XML with its relative IRIs resolved against `xml:base`, which the parser does not heed."""
    base = guard.base or guard.ontology
    if not base:
        return text
    attribute = re.sub(r'(\sIRI\s*=\s*")([^":]*)"', lambda m: f'{m[1]}{urljoin(base, m[2])}"', text)
    return re.sub(r"<IRI>([^<:]*)</IRI>", lambda m: f"<IRI>{urljoin(base, m[1].strip())}</IRI>", attribute)


def _xml_prefixes(text: str) -> dict[str, str]:
    found = {}
    for tag in re.findall(r"<(?:owl:)?Prefix\s[^>]*>", text):
        name, iri = re.search(r'\sname\s*=\s*"([^"]*)"', tag), re.search(r'\sIRI\s*=\s*"([^"]*)"', tag)
        if name and iri:
            found[name[1]] = iri[1]
    return found


def _error(path: Path, syntax: str, text: str, inserted: int, said: dict[str, object]) -> SourceError:
    message = str(said["message"]).removeprefix("Failed to open ontology: ")
    line, column = said["line"], said["column"]
    if place := _LINE.search(message):
        line, column = int(place[1]), int(place[2])
    elif place := _POSITION.search(message):
        before = text.encode()[: int(place[1])].decode(errors="replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    if line == 1 and isinstance(column, int):
        column = max(1, column - inserted)
    where = f"line {line}, column {column}: " if line else ""
    expected = re.search(r"positives: \[([^\]]*)\]", message)
    plain = f"expected one of: {expected[1]}" if expected else re.sub(r", Byte\w+\(.*|\w+Error\(|\)+$", "", message)
    return _refusal(path, syntax, f"{where}{plain[:200]}", "correct the file, or set `format` if it is in another syntax")


def _refusal(path: Path, syntax: str, received: str, remedy: str) -> SourceError:
    return SourceError(f"a file of {_NAMES[syntax]} follows its grammar", received=f"{path}, {received}", remedy=remedy)
