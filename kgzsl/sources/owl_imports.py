"""`owl:imports` from a local catalogue, and never from the network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from kgzsl.errors import MissingDataError, SourceError, first_five
from kgzsl.sources.owl_index import IRI, OWL, TripleIndex
from kgzsl.sources.rdf import TripleColumns, concatenate
from kgzsl.sources.rdf_files import EXTENSIONS, XmlGuard, open_stream

#: Where Protégé and ROBOT keep an OASIS XML catalogue.
CATALOGUE = "catalog-v001.xml"


class Catalogue:
    """IRIs of ontologies → local files: an OASIS XML catalogue, or a folder.

    A folder is searched through its `catalog-v001.xml`, then for a file named like the end of the IRI, whatever its extension.

    Raises
    ------
    MissingDataError : there is no such file or folder.
    SourceError : the catalogue is malformed or points to the network.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._exact: dict[str, Path] = {}
        self._starts: dict[str, Path] = {}
        if not path.exists():
            raise MissingDataError("a catalogue of imports is a file or a folder", received=f"no {path}", remedy="check `catalogue`")
        file = path / CATALOGUE if path.is_dir() else path
        if file.is_file():
            self._load(file)

    def _load(self, file: Path) -> None:
        for element, attributes in _elements(file):
            if element == "uri" and {"name", "uri"} <= attributes.keys():
                self._exact[attributes["name"]] = _local(file, attributes["uri"])
            elif element == "rewriteURI" and {"uriStartString", "rewritePrefix"} <= attributes.keys():
                self._starts[attributes["uriStartString"]] = _local(file, attributes["rewritePrefix"])

    def find(self, iri: str) -> Path | None:
        """Return the file of an ontology, or None."""
        for name in (iri, iri.rstrip("#/"), iri + "#", iri + "/"):
            if name in self._exact:
                return self._exact[name]
        for start in sorted(self._starts, key=len, reverse=True):
            if iri.startswith(start):
                # What follows is a name inside the folder, and never a way out of it.
                rest = [part for part in iri[len(start) :].split("/") if part not in ("", ".", "..")]
                return self._starts[start].joinpath(*rest)
        return self._named(iri) if self.path.is_dir() else None

    def _named(self, iri: str) -> Path | None:
        end = re.split(r"[/#:]", iri.rstrip("#/"))[-1]
        stem, _, extension = end.rpartition(".")
        stems = {end} | ({stem} if extension in EXTENSIONS else set())
        for candidate in sorted(self.path.iterdir()):
            name = candidate.name.removesuffix(".gz")
            begin, _, last = name.rpartition(".")
            if candidate.is_file() and (name == end or (last in EXTENSIONS and begin in stems)):
                return candidate
        return None


def _elements(file: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    found: list[tuple[str, Mapping[str, str]]] = []

    class Collector(XmlGuard):
        def _start(self, name: str, attributes: Mapping[str, str]) -> None:
            super()._start(name, attributes)
            found.append((name.rpartition(":")[2], attributes))

    with open_stream(file, "plain") as stream:
        guard = Collector(stream, file)
        while guard.read(1 << 16):
            pass
    yield from found


def _local(file: Path, uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise SourceError(
            "a catalogue names local files", received=f"{file}: {uri}", remedy="fetch the ontology once by hand and name the file instead"
        )
    return file.parent / unquote(parts.path)


def closure(
    path: Path, read: Callable[[Path, bool], TripleColumns], catalogue: Catalogue | None, follow: bool
) -> tuple[TripleColumns, list[Path], int]:
    """Read an ontology and what it imports, each file once; imports may be cyclic.

    Parameters
    ----------
    read : called with a file, and whether to give its blank nodes fresh names.
    follow : False leaves imports out.

    Returns
    -------
    The triples of all files, the files, and how many imports were left out.

    Raises
    ------
    SourceError : an import is in no catalogue, or its file is not there; the IRI is named.
    """
    parts, files, left_out = [read(path, False)], [path], 0
    seen = {path.resolve()}
    known: set[str] = set()
    for part in parts:  # grows while it is walked
        index = TripleIndex(part)
        own, wanted = _header(index)
        known |= own
        for iri in wanted:
            if iri in known:
                continue
            if not follow:
                left_out += 1
                continue
            known.add(iri)
            file = _found(iri, files[0], catalogue, wanted)
            if file.resolve() not in seen:
                seen.add(file.resolve())
                files.append(file)
                parts.append(read(file, True))
    return (concatenate(parts) if len(parts) > 1 else parts[0]), files, left_out


def _found(iri: str, path: Path, catalogue: Catalogue | None, wanted: list[str]) -> Path:
    file = catalogue.find(iri) if catalogue else None
    if file is not None and file.is_file():
        return file
    where = (
        f"{catalogue.path} has {'it as ' + str(file) + ', which is not there' if file else 'no entry for it'}"
        if catalogue
        else "no catalogue"
    )
    raise SourceError(
        "imported ontologies come from a local catalogue, never from the network",
        received=f"{path} imports <{iri}>: {where} (imports: {first_five(wanted)})",
        remedy="save it in a folder and set `catalogue` to the folder or to its catalog-v001.xml, or set `imports: ignore`",
    )


def _header(index: TripleIndex) -> tuple[set[str], list[str]]:
    """Return the IRIs of the ontology itself, and of what it imports, sorted."""
    own = index.texts(np.flatnonzero(index.instances(OWL + "Ontology") & (index.form == IRI))).to_pylist()
    own += index.texts(index.rows(OWL + "versionIRI")[1]).to_pylist()
    wanted = index.texts(index.rows(OWL + "imports")[1]).to_pylist()
    return {text[1:-1] for text in own}, sorted({text[1:-1] for text in wanted if text.startswith("<")})
