"""The reader of ontologies: any syntax of RDF and OWL, and OBO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, SourceError, UnknownNameError
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.owl_edges import Projected
from kgzsl.sources.owl_imports import CATALOGUE, Catalogue, closure
from kgzsl.sources.owl_index import IRI, OWL, TripleIndex
from kgzsl.sources.owl_names import LABELS, SYNONYMS, TEXTS, Words, curies, from_name, prefix_map
from kgzsl.sources.owl_projection import INFERRED, Projection
from kgzsl.sources.owl_rules import PROFILES
from kgzsl.sources.owl_syntaxes import read_axioms
from kgzsl.sources.rdf import TripleColumns, read_triples
from kgzsl.sources.rdf_files import AXIOMS, detect
from kgzsl.sources.reasoning import REASONERS, classify
from kgzsl.sources.vocabulary import vocabulary

if TYPE_CHECKING:
    from kgzsl.engines import Engine


class Owl(Reader):
    """Ontologies and RDF in any syntax, and OBO; axioms become edges by a profile's table.

    Parameters
    ----------
    profile : `taxonomy`, `existential` or `full`; see `kgzsl.sources.owl_rules`.
    format : the syntax; `auto` takes it from the file.
    languages : tags of labels and texts in order of preference, `""` for those without one.
    synonyms : append exact synonyms to labels, as WordNet's labels list all lemmas.
    prefixes : prefix → IRI for ids, beyond the document's own.
    annotation_edges : annotation properties (IRIs) whose IRI values become edges in every profile; others are dropped.
    deprecated : `drop` or `keep` what is marked `owl:deprecated`.
    base : IRI that relative ones are resolved against where the document does not say.
    lenient : accept IRIs that break the standard.
    imports : `follow` reads imported ontologies from the catalogue, `ignore` leaves them out and counts them.
    catalogue : folder or OASIS XML catalogue of imported ontologies, relative to the file's folder; by default the
        `catalog-v001.xml` there, if any. Nothing is ever fetched.
    reasoner : `hermit` or `pellet` add what they infer as edges of the relation `inferred_hypernym`; a recipe that wants them
        to be like those stated renames it to `hypernym`.
    time_limit : seconds that a parser of axioms may take, and a reasoner.
    name, version, licence : for the manifest; by default the file's name without extension and what the ontology says of itself.

    Raises
    ------
    UnknownNameError : an unknown profile.
    InvalidInputError : another setting that makes no sense.
    """

    name: ClassVar[str] = "owl"
    source: ClassVar[str] = "W3C (2012), OWL 2 Web Ontology Language: Mapping to RDF Graphs"

    def __init__(
        self,
        profile: str = "taxonomy",
        format: str = "auto",
        languages: Sequence[str] = ("en", ""),
        synonyms: bool = True,
        prefixes: Mapping[str, str] | None = None,
        annotation_edges: Sequence[str] = (),
        deprecated: str = "drop",
        base: str | None = None,
        lenient: bool = False,
        name: str | None = None,
        version: str | None = None,
        licence: str | None = None,
        imports: str = "follow",
        catalogue: str | None = None,
        reasoner: str = "none",
        time_limit: float = 300,
    ) -> None:
        if profile not in PROFILES:
            raise UnknownNameError("a projection has a profile", received=repr(profile), remedy=f"choose from: {', '.join(PROFILES)}")
        if deprecated not in ("drop", "keep"):
            raise InvalidInputError("what is deprecated is dropped or kept", received=repr(deprecated), remedy="`drop` or `keep`")
        self.profile, self.format, self.languages, self.synonyms = profile, format, tuple(languages), synonyms
        self.prefixes = dict(prefixes or {})
        self.annotation_edges, self.deprecated = tuple(annotation_edges), deprecated
        self.base, self.lenient = base, lenient
        self.said = {"name": name, "version": version, "licence": licence}
        if isinstance(languages, str) or isinstance(annotation_edges, str):
            raise InvalidInputError(
                "`languages` and `annotation_edges` are lists", received=repr((languages, annotation_edges)), remedy="[en]"
            )
        if isinstance(time_limit, bool) or not isinstance(time_limit, int | float) or not time_limit > 0:
            raise InvalidInputError("a time limit is a number of seconds above 0", received=repr(time_limit))
        if imports not in ("follow", "ignore"):
            raise InvalidInputError("imports are followed or ignored", received=repr(imports), remedy="`follow` or `ignore`")
        if reasoner not in ("none", *REASONERS):
            raise UnknownNameError(
                "a known reasoner is needed", received=repr(reasoner), remedy=f"choose from: none, {', '.join(REASONERS)}"
            )
        self.reasoner = reasoner
        self.imports, self.catalogue, self.time_limit = imports, catalogue, time_limit
        prefix_map({}, self.prefixes)

    def read(self, path: Path, engine: Engine | None = None) -> Statements:
        """Read the ontology at `path`.

        Nodes are the named classes (kind `concept`), individuals (`individual`) and, in the profile `full`, properties
        (`relation`); anonymous classes never are: the table says what becomes of them.

        Parameters
        ----------
        engine : not used; triples go into columns without one.

        Raises
        ------
        MissingDataError : there is no such file.
        SourceError : it is malformed, imports what is not in the catalogue, states axioms of which none makes an edge, or is
            inconsistent under the reasoner.
        """
        triples, files, left_out = closure(path, self._triples, self._catalogue(path), self.imports == "follow")
        return self.project(triples, _digests(files), path.name, {"import not followed": left_out})

    def _triples(self, path: Path, imported: bool = False) -> TripleColumns:
        syntax = detect(path, "auto" if imported else self.format)
        if syntax in AXIOMS:
            return read_axioms(path, syntax, time_limit=self.time_limit)
        return read_triples(path, syntax, base=self.base, lenient=self.lenient, rename_blank=imported)

    def _catalogue(self, path: Path) -> Catalogue | None:
        if self.catalogue is not None:
            return Catalogue(path.parent / self.catalogue)
        return Catalogue(path.parent / CATALOGUE) if (path.parent / CATALOGUE).is_file() else None

    def project(self, triples: TripleColumns, files: Mapping[str, str], name: str, left_out: Mapping[str, int] | None = None) -> Statements:
        """Project triples that were read (or made from an rdflib graph) already; see `read`."""
        index = TripleIndex(triples)
        projection = Projection(index, self.profile, self.annotation_edges)
        projected = projection.run(classify(index, self.reasoner, self.time_limit, name) if self.reasoner != "none" else ())
        dropped = projected.dropped + Counter(left_out or {})
        nodes = self._nodes(index, projected, dropped)
        place = np.full(len(index.form), -1, dtype=np.int64)
        words = Words(index, self.languages)
        names = _names(index, nodes, words, self.synonyms, prefix_map(triples.prefixes, self.prefixes))
        place[names.codes] = np.arange(len(names.codes))
        relations, back, prefixes = _relations(index, projected, words, prefix_map(triples.prefixes, self.prefixes))
        unique = _rows(projected, place, back, dropped)
        if not len(unique) and projected.axioms:
            raise SourceError(
                "axioms make edges",
                received=f"{name}: {projected.axioms:,} axioms and no edge in the profile `{self.profile}`: "
                + "; ".join(f"{n:,} × {reason}" for reason, n in dropped.most_common(5)),
                remedy=f"choose another profile ({', '.join(PROFILES)}), or another file",
            )
        if not len(names.codes):
            raise SourceError("an ontology names something", received=f"{name} names no class, individual or relation")
        kinds = np.where(projected.classes, "concept", np.where(projected.properties, "relation", "individual"))[names.codes]
        used, kinds_of_edge = np.unique(unique[:, 1], return_inverse=True)
        return Statements(
            ids=pa.array(names.ids, pa.string()),
            kinds=pa.array(kinds.tolist(), pa.string()),
            labels=pa.array(names.labels, pa.string()),
            texts=pa.array(names.texts, pa.string()),
            relations=tuple(relations[i] for i in used.tolist()),
            subject=unique[:, 0].astype(np.int32),
            relation=kinds_of_edge.astype(np.int32),
            object=unique[:, 2].astype(np.int32),
            weight=np.ones(len(unique), dtype=np.float32),
            info=self._info(index, files, name),
            dropped={reason: int(n) for reason, n in sorted(dropped.items()) if n},
            prefixes=dict(sorted({**names.prefixes, **prefixes}.items())),
        )

    def _nodes(self, index: TripleIndex, projected: Projected, dropped: Counter[str]) -> np.ndarray:
        ends = np.zeros(len(index.form), dtype=bool)
        ends[projected.subject] = ends[projected.object] = True
        keep = projected.classes | projected.individuals | (ends & projected.properties)
        if self.profile == "full":
            keep |= projected.properties
        if self.deprecated == "drop":
            subject, obj = index.rows(OWL + "deprecated")
            said = [text.startswith(('"true"', '"1"')) for text in index.texts(obj).to_pylist()]
            old = np.zeros(len(keep), dtype=bool)
            old[subject[np.asarray(said, dtype=bool)]] = True
            old |= index.instances(OWL + "DeprecatedClass")
            dropped["node that is deprecated"] += int((keep & old).sum())
            keep &= ~old
        return np.flatnonzero(keep & (index.form == IRI))

    def _info(self, index: TripleIndex, files: Mapping[str, str], name: str) -> SourceInfo:
        ontology = np.flatnonzero(index.instances(OWL + "Ontology"))
        stated = _ontology_says(index, ontology, (OWL + "versionIRI", OWL + "versionInfo"))
        return SourceInfo(
            name=self.said["name"] or name.split(".")[0],
            version=self.said["version"] or stated or "unversioned",
            licence=self.said["licence"] or _ontology_says(index, ontology, _LICENCES) or "not stated",
            files=dict(files),
        )


def _rows(projected: Projected, place: np.ndarray, back: np.ndarray, dropped: Counter[str]) -> np.ndarray:
    """Return subject, relation and object of every edge once, sorted, int64 `[edges, 3]`."""
    subject, obj, relation = place[projected.subject], place[projected.object], back[projected.relation, 0]
    swapped = back[projected.relation, 1] == 1
    subject, obj = np.where(swapped, obj, subject), np.where(swapped, subject, obj)
    inside = (subject >= 0) & (obj >= 0)
    rows = np.stack([subject, relation, obj], axis=1)[inside]
    unique = np.unique(rows, axis=0) if len(rows) else rows.reshape(0, 3)
    dropped["end that is deprecated"] += int((~inside).sum())
    dropped["edge stated more than once"] += len(rows) - len(unique)
    return unique


def _digests(files: Sequence[Path]) -> dict[str, str]:
    """Return file name → SHA-256; files of one name in several folders are told apart by their order."""
    found: dict[str, str] = {}
    for file in files:
        name = file.name if file.name not in found else f"{file.name} ({len(found)})"
        found[name] = sha256_file(file)
    return found


_LICENCES = (
    "http://purl.org/dc/terms/license",
    "http://purl.org/dc/terms/rights",
    "http://purl.org/dc/elements/1.1/rights",
    "http://creativecommons.org/ns#license",
)


def _ontology_says(index: TripleIndex, ontology: np.ndarray, properties: Sequence[str]) -> str:
    for iri in properties:
        subject, obj = index.rows(iri)
        values = index.texts(obj[np.isin(subject, ontology)]).to_pylist()
        if values:
            text = min(values)
            plain = text[1 : text.rindex('"')] if text.startswith('"') else text[1:-1]
            return plain.partition("\\n")[0][:100]
    return ""


@dataclass(frozen=True)
class _Names:
    """Nodes in the order of their ids: codes of terms, and their strings."""

    codes: np.ndarray
    ids: list[str]
    labels: list[str]
    texts: list[str]
    prefixes: dict[str, str]


def _names(index: TripleIndex, nodes: np.ndarray, words: Words, synonyms: bool, prefixes: Mapping[str, str]) -> _Names:
    shortened, used = curies(index.texts(nodes), prefixes)
    ids = shortened.to_pylist()
    order = sorted(range(len(ids)), key=ids.__getitem__)
    labels, further, texts = words.first(LABELS), words.every(SYNONYMS) if synonyms else {}, words.first(TEXTS)
    codes = nodes[np.asarray(order, dtype=np.int64)] if len(nodes) else nodes
    ids = [ids[i] for i in order]
    named = []
    for code, identifier in zip(codes.tolist(), ids, strict=True):
        label = labels.get(code) or from_name(identifier)
        named.append(", ".join([label, *(s for s in further.get(code, ()) if s != label)]))
    return _Names(codes, ids, named, [texts.get(c, "") for c in codes.tolist()], used)


def _relations(
    index: TripleIndex, projected: Projected, words: Words, prefixes: Mapping[str, str]
) -> tuple[list[Relation], np.ndarray, dict[str, str]]:
    """Return the relations sorted by id, and per projected relation its place and whether it reads from object to subject."""
    stated = vocabulary().iris
    shortened, used = curies(pa.array([f"<{iri}>" for iri in projected.relations], pa.string()), prefixes)
    own = dict(zip(projected.relations, shortened.to_pylist(), strict=True))
    codes = dict(zip(projected.relations, index.codes(projected.relations), strict=True)) if projected.relations else {}
    labels = words.first(LABELS)
    symmetric = index.instances(OWL + "SymmetricProperty")
    inverses: dict[int, int] = {}
    for a, b in sorted(zip(*(c.tolist() for c in index.rows(OWL + "inverseOf")), strict=True)):
        if index.form[a] == IRI and index.form[b] == IRI:
            inverses.setdefault(a, b)
            inverses.setdefault(b, a)
    found: dict[str, tuple[Relation, bool]] = {}
    for iri, code in codes.items():
        if iri == INFERRED:
            found[iri] = (vocabulary()["inferred_hypernym"], False)
            continue
        if iri in stated:
            found[iri] = (stated[iri].relation, stated[iri].reversed)
            continue
        inverse = ""
        if code in inverses:
            inverse = curies(index.texts(np.asarray([inverses[code]])), prefixes)[0][0].as_py()
        label = labels.get(code) or from_name(iri)
        found[iri] = (Relation(own[iri], label, bool(code >= 0 and symmetric[code]), inverse), False)
    relations = sorted({r for r, _ in found.values()})
    place = {r: i for i, r in enumerate(relations)}
    back = np.asarray([(place[found[iri][0]], found[iri][1]) for iri in projected.relations], dtype=np.int64).reshape(-1, 2)
    kept = {own[iri].partition(":")[0] for iri in own if iri not in stated and iri != INFERRED}
    return relations, back, {p: i for p, i in used.items() if p in kept}
