"""Axioms → edges, over arrays: the table is `kgzsl.sources.owl_rules.RULES`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from kgzsl.errors import SourceError
from kgzsl.sources.owl_index import BLANK, IRI, LITERAL, OWL, RDF, RDFS, SKOS, SWRL, XSD, TripleIndex, ranges
from kgzsl.sources.owl_rules import PROFILES

_MAX_DEPTH = 200
_MAX_PAIRS = 5_000_000
_EVERYTHING = -2  # filler of a cardinality without a class
_CLASSES = (OWL + "Class", RDFS + "Class", OWL + "DeprecatedClass", SKOS + "Concept")
_CHARACTERISTICS = ("Functional", "InverseFunctional", "Reflexive", "Irreflexive", "Symmetric", "Asymmetric", "Transitive")
_OBJECT_PROPERTIES = (
    OWL + "ObjectProperty",
    RDF + "Property",
    OWL + "DeprecatedProperty",
    *(f"{OWL}{c}Property" for c in _CHARACTERISTICS),
)
#: Vocabularies whose properties annotate where the document does not declare them.
_ANNOTATING = (
    "http://purl.org/dc/elements/1.1/",
    "http://purl.org/dc/terms/",
    "http://www.geneontology.org/formats/oboInOwl#",
    "http://purl.org/vocab/vann/",
    "http://creativecommons.org/ns#",
    "http://protege.stanford.edu/plugins/owl/protege#",
)
_SKOS_RELATIONS = {name: "taxonomy" for name in ("broader", "narrower")} | {
    name: "full" for name in ("related", "exactMatch", "closeMatch")
}


@dataclass
class Projected:
    """Edges over terms, and what was left out.

    Attributes
    ----------
    subject, object : positions in the terms, int64 `[edges]`.
    relation : positions in `relations`, int64 `[edges]`.
    relations : IRI of the property that states each kind of edge.
    classes, individuals, properties : terms that are one, bool `[terms]`.
    dropped : reason → how many axioms (or parts of one) made no edge.
    """

    subject: np.ndarray
    relation: np.ndarray
    object: np.ndarray
    relations: list[str]
    classes: np.ndarray
    individuals: np.ndarray
    properties: np.ndarray
    dropped: Counter[str]
    axioms: int


@dataclass
class _Edges:
    """Growing columns of edges, and counts of what was dropped."""

    level: int
    subject: list[np.ndarray] = field(default_factory=list)
    relation: list[np.ndarray] = field(default_factory=list)
    object: list[np.ndarray] = field(default_factory=list)
    relations: dict[str, int] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    axioms: int = 0

    def number(self, iri: str) -> int:
        return self.relations.setdefault(iri, len(self.relations))

    def drop(self, reason: str, count: int, *, axiom: bool = True) -> None:
        if count:
            self.dropped[reason] += count
            self.axioms += count if axiom else 0

    def emit(self, subject: np.ndarray, iri: str, obj: np.ndarray, profile: str, what: str) -> None:
        """Keep edges of a named relation, or count them where the profile leaves them out."""
        self.emit_each(subject, np.full(len(subject), self.number(iri)) if len(subject) else subject, obj, profile, what)

    def emit_each(self, subject: np.ndarray, relation: np.ndarray, obj: np.ndarray, profile: str, what: str) -> None:
        if PROFILES.index(profile) > self.level:
            self.drop(f"{what} (in the profile `{profile}`)", len(subject))
            return
        self.axioms += len(subject)
        self.subject.append(np.asarray(subject, np.int64))
        self.relation.append(np.asarray(relation, np.int64))
        self.object.append(np.asarray(obj, np.int64))


class Projection:
    """Projects one ontology; call `run` once."""

    def __init__(self, index: TripleIndex, profile: str, annotation_edges: tuple[str, ...] = ()) -> None:
        self.index, self.annotation_edges = index, annotation_edges
        self.edges = _Edges(PROFILES.index(profile))
        form = index.form
        self.named = (form == IRI) & ~index.among(RDF, RDFS, OWL, XSD, SWRL)
        self.thing = np.zeros(len(form), dtype=bool)
        self.thing[[c for c in index.codes([OWL + "Thing", RDFS + "Resource"]) if c >= 0]] = True
        self.data = index.instances(OWL + "DatatypeProperty")
        self.annotation = index.instances(OWL + "AnnotationProperty", OWL + "OntologyProperty") & ~index.instances(*_OBJECT_PROPERTIES[:1])
        self.datatype = index.instances(RDFS + "Datatype", OWL + "DataRange") | index.among(XSD) | (form == LITERAL)
        for iri in (RDFS + "Literal", RDF + "PlainLiteral", RDF + "langString", RDF + "XMLLiteral", OWL + "real", OWL + "rational"):
            if (code := index.code(iri)) >= 0:
                self.datatype[code] = True
        self.value = {name: index.value(OWL + name) for name in _EXPRESSIONS}
        self.classes = index.instances(*_CLASSES) & self.named
        self.properties = np.zeros(len(form), dtype=bool)
        self.individuals = np.zeros(len(form), dtype=bool)
        self.ontologies = index.instances(OWL + "Ontology")

    def run(self) -> Projected:
        """Project every axiom."""
        self._declared()
        self._subclasses()
        self._definitions()
        self._types()
        self._disjointness()
        self._properties()
        self._assertions()
        self._annotations()
        return self._finish()

    # ---- declarations

    def _declared(self) -> None:
        index = self.index
        self.properties |= (index.instances(*_OBJECT_PROPERTIES) | self.data) & self.named & ~self.annotation
        self.individuals |= index.instances(OWL + "NamedIndividual") & self.named
        types, kinds = index.rows(RDF + "type")
        for name in _CHARACTERISTICS:
            if name != "Symmetric":  # kept as a trait of the relation
                self.edges.drop(f"{name}Property", int((kinds == index.code(f"{OWL}{name}Property")).sum()))
        for name, reason in (("NegativePropertyAssertion", "negative assertion"), ("Axiom", "annotation of an axiom")):
            self.edges.drop(reason, int((kinds == index.code(OWL + name)).sum()), axiom=name != "Axiom")
        self.edges.drop("key", len(index.rows(OWL + "hasKey")[0]))
        self.edges.drop("rule (SWRL)", int((kinds == index.code(SWRL + "Imp")).sum()))

    # ---- classes

    def _subclasses(self) -> None:
        subject, obj = self.index.rows(RDFS + "subClassOf")
        self.classes[subject[self.named[subject]]] = True
        self.classes[obj[self.named[obj]]] = True
        self._below(subject, obj)

    def _below(self, subject: np.ndarray, obj: np.ndarray) -> None:
        """`subject` ⊑ `obj`, where the subject may be a union."""
        subject, obj = self._flat(subject, obj, "unionOf")
        named = self.named[subject]
        self.edges.drop("general axiom on an anonymous class", int((~named).sum()))
        self._decompose(subject[named], obj[named], RDFS + "subClassOf")

    def _flat(self, left: np.ndarray, right: np.ndarray, constructor: str) -> tuple[np.ndarray, np.ndarray]:
        """Replace on the left each anonymous class of the constructor by its members."""
        heads = self.value[constructor]
        for _ in range(_MAX_DEPTH):
            open_ = (self.index.form[left] == BLANK) & (heads[left] >= 0)
            if not open_.any():
                break
            owner, members = self.index.members(heads[left[open_]])
            left = np.concatenate([left[~open_], members])
            right = np.concatenate([right[~open_], right[open_][owner]])
            self._bounded(len(left))
        return left, right

    def _bounded(self, count: int) -> None:
        if count > 50 * max(len(self.index.subject), 1000):
            raise SourceError(
                "class expressions are trees",
                received="expressions that share parts or contain themselves, and so unfold without bound",
                remedy="the file was made by faulty software: write it with the OWL API (Protégé) again",
            )

    def _decompose(self, subject: np.ndarray, expression: np.ndarray, above: str) -> None:
        """Edges of `subject` ⊑ `expression`; `above` is the property for a named class (subclass or type)."""
        expression, subject = self._flat(expression, subject, "intersectionOf")
        named, everything = self.named[expression], self.thing[expression]
        what = "subclass axiom" if above == RDFS + "subClassOf" else "class assertion"
        self.edges.emit(subject[named], above, expression[named], "taxonomy", what)
        self.classes[expression[named]] = True
        self.edges.drop("subclass of everything", int(everything.sum()))
        rest = ~named & ~everything
        subject, expression = subject[rest], expression[rest]
        blank = self.index.form[expression] == BLANK
        restriction = blank & (self.value["onProperty"][expression] >= 0)
        self._restrictions(subject[restriction], expression[restriction])
        left = ~restriction
        for constructor, handle in (("unionOf", self._union), ("complementOf", self._complement), ("oneOf", self._enumeration)):
            mine = left & blank & (self.value[constructor][expression] >= 0)
            handle(subject[mine], expression[mine])
            left &= ~mine
        self.edges.drop("subclass or instance of a term of RDF or OWL", int((left & ~blank).sum()))
        self.edges.drop("class expression of an unknown form", int((left & blank).sum()))

    def _union(self, subject: np.ndarray, expression: np.ndarray) -> None:
        owner, members = self.index.members(self.value["unionOf"][expression])
        named = self.named[members]
        self.edges.emit(subject[owner[named]], OWL + "unionOf", members[named], "full", "union")
        self.classes[members[named]] = True
        self.edges.drop("union with an anonymous class", int((~named).sum()))

    def _complement(self, subject: np.ndarray, expression: np.ndarray) -> None:
        of = self.value["complementOf"][expression]
        named = self.named[of]
        self.edges.emit(subject[named], OWL + "disjointWith", of[named], "full", "complement")
        self.edges.drop("subclass of a complement", int((~named).sum()))

    def _enumeration(self, subject: np.ndarray, expression: np.ndarray) -> None:
        self.edges.drop("subclass of an enumeration", len(subject))

    # ---- restrictions

    def _restrictions(self, subject: np.ndarray, node: np.ndarray) -> None:
        prop = self.value["onProperty"][node]
        inverse = self.value["inverseOf"][prop]
        flipped = (self.index.form[prop] == BLANK) & (inverse >= 0)
        prop = np.where(flipped, inverse, prop)
        filler, profile, none = self._fillers(subject, node)
        self.edges.drop("cardinality of none", int(none.sum()))
        data = ~none & (self.data[prop] | ((filler >= 0) & self.datatype[filler]))
        self.edges.drop("restriction to data", int(data.sum()))
        everything = ~none & ~data & (filler == _EVERYTHING)
        self.edges.drop("restriction to everything", int(everything.sum()))
        odd = ~none & ~data & ~everything & ((filler < 0) | ~self.named[prop])
        self.edges.drop("restriction of an unknown form", int(odd.sum()))
        keep = ~(none | data | everything | odd)
        rows = np.stack([subject, prop, profile, flipped], axis=1)[keep].astype(np.int64)
        self._fill(rows, filler[keep].astype(np.int64))

    def _fillers(self, subject: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return filler, level of the profile and whether the restriction asks for none, per restriction."""
        filler = np.full(len(node), -1, dtype=np.int64)
        profile = np.full(len(node), PROFILES.index("existential"))
        for name, level in (("someValuesFrom", 1), ("hasValue", 1), ("allValuesFrom", 2)):
            found = self.value[name][node]
            profile[(filler < 0) & (found >= 0)] = level
            filler = np.where((filler < 0) & (found >= 0), found, filler)
        filler = np.where((filler < 0) & (self.value["hasSelf"][node] >= 0), subject, filler)
        counted = np.where(self.value["onClass"][node] >= 0, self.value["onClass"][node], self.value["onDataRange"][node])
        counted = np.where(counted >= 0, counted, _EVERYTHING)  # unqualified
        none = np.zeros(len(node), dtype=bool)
        for name, level in _CARDINALITIES.items():
            count = self.value[name][node]
            stated = (count >= 0) & (filler == -1)
            numbers = self._numbers(count[stated])
            none[stated] |= numbers == 0
            profile[stated] = level
            filler = np.where(stated, counted, filler)
        return filler, profile, none

    def _numbers(self, codes: np.ndarray) -> np.ndarray:
        texts = pc.extract_regex(self.index.texts(codes), r'^"\s*\+?(?P<n>[0-9]{1,9})\s*"')
        return np.asarray(pc.fill_null(pc.cast(pc.struct_field(texts, "n"), "int64"), -1)) if len(codes) else np.empty(0, np.int64)

    def _fill(self, rows: np.ndarray, filler: np.ndarray) -> None:
        """Emit the edges of restrictions; `rows` holds subject, property, level and whether the property is inverted."""
        for _ in range(_MAX_DEPTH):
            anonymous = self.index.form[filler] == BLANK
            both, either = self.value["intersectionOf"][filler], self.value["unionOf"][filler]
            one = self.value["oneOf"][filler]
            heads = np.where(both >= 0, both, np.where(either >= 0, either, one))
            open_ = anonymous & (heads >= 0)
            if not open_.any():
                break
            owner, members = self.index.members(heads[open_])
            inside = rows[open_].copy()
            inside[both[open_] < 0, 2] = PROFILES.index("full")
            rows = np.concatenate([rows[~open_], inside[owner]])
            filler = np.concatenate([filler[~open_], members])
            self._bounded(len(filler))
        negated = (self.index.form[filler] == BLANK) & (self.value["complementOf"][filler] >= 0)
        nested = (self.index.form[filler] == BLANK) & (self.value["onProperty"][filler] >= 0)
        self.edges.drop("restriction to a complement", int(negated.sum()))
        self.edges.drop("restriction to another restriction", int(nested.sum()))
        self.edges.drop("restriction to everything", int(self.thing[filler].sum()))
        self.edges.drop("restriction to data", int(self.datatype[filler].sum()))
        named = self.named[filler] & ~self.datatype[filler]
        self.edges.drop(
            "restriction of an unknown form", int((~(named | negated | nested | self.thing[filler] | self.datatype[filler])).sum())
        )
        rows, filler = rows[named], filler[named]
        rows[rows[:, 3] == 1, 2] = PROFILES.index("full")
        subject = np.where(rows[:, 3] == 1, filler, rows[:, 0])
        obj = np.where(rows[:, 3] == 1, rows[:, 0], filler)
        relation = self._relations(rows[:, 1])
        for level in (1, 2):
            mine = rows[:, 2] == level
            what = "existential restriction" if level == 1 else "universal, inverse or alternative restriction"
            self.edges.emit_each(subject[mine], relation[mine], obj[mine], PROFILES[level], what)

    def _relations(self, codes: np.ndarray) -> np.ndarray:
        """Return the relation's number per property."""
        used, back = np.unique(codes, return_inverse=True)
        numbers = np.asarray([self.edges.number(t[1:-1]) for t in self.index.texts(used).to_pylist()], dtype=np.int64)
        return numbers[back] if len(codes) else np.empty(0, np.int64)

    # ---- definitions

    def _definitions(self) -> None:
        left, right = self.index.rows(OWL + "equivalentClass")
        types = self.datatype[left] | self.datatype[right]
        self.edges.drop("datatype definition", int(types.sum()))
        left, right = left[~types], right[~types]
        swap = ~self.named[left] & self.named[right]
        left, right = np.where(swap, right, left), np.where(swap, left, right)
        both = self.named[left] & self.named[right]
        self.edges.emit(left[both], OWL + "equivalentClass", right[both], "taxonomy", "equivalence")
        self.classes[left[both]] = self.classes[right[both]] = True
        one = self.named[left] & ~both
        self.edges.drop("general axiom on an anonymous class", int((~one & ~both).sum()))
        self._defined(left[one], right[one])
        # OWL 1 files state a definition on the class itself: `A owl:unionOf (B C)`.
        for constructor in ("intersectionOf", "unionOf", "complementOf", "oneOf"):
            subject, heads = self.index.rows(OWL + constructor)
            mine = self.named[subject] & ~self.datatype[subject]
            self._constructed(subject[mine], heads[mine], constructor)
        union, heads = self.index.rows(OWL + "disjointUnionOf")
        self._constructed(union[self.named[union]], heads[self.named[union]], "unionOf")

    def _defined(self, subject: np.ndarray, expression: np.ndarray) -> None:
        """`subject` ≡ `expression`, an anonymous class."""
        self.classes[subject] = True
        rest = np.ones(len(subject), dtype=bool)
        for constructor in ("unionOf", "oneOf"):
            heads = self.value[constructor][expression]
            mine = rest & (heads >= 0)
            self._constructed(subject[mine], heads[mine], constructor)
            rest &= ~mine
        self._decompose(subject[rest], expression[rest], RDFS + "subClassOf")

    def _constructed(self, subject: np.ndarray, heads: np.ndarray, constructor: str) -> None:
        self.classes[subject] = True
        if constructor == "complementOf":
            named = self.named[heads]
            self.edges.emit(subject[named], OWL + "disjointWith", heads[named], "full", "complement")
            self.edges.drop("subclass of a complement", int((~named).sum()))
            return
        owner, members = self.index.members(heads)
        owners = subject[owner]
        if constructor == "intersectionOf":
            self._decompose(owners, members, RDFS + "subClassOf")
        elif constructor == "unionOf":
            self._below(members, owners)
        else:
            named = self.named[members]
            self.edges.emit(members[named], RDF + "type", owners[named], "taxonomy", "class assertion")
            self.individuals[members[named]] = True
            self.edges.drop("anonymous individual", int((~named).sum()))

    # ---- individuals

    def _types(self) -> None:
        subject, kind = self.index.rows(RDF + "type")
        blank = self.index.form[kind] == BLANK
        mine = (self.named[kind] | blank) & ~self.ontologies[subject]
        anonymous = mine & ~self.named[subject]
        self.edges.drop("anonymous individual", int((anonymous & ~blank).sum()))
        mine &= self.named[subject]
        self.individuals[subject[mine]] = True
        self._decompose(subject[mine], kind[mine], RDF + "type")
        everything = self.thing[kind] & self.named[subject]
        self.individuals[subject[everything]] = True

    def _assertions(self) -> None:
        for iri, profile, what in (
            (OWL + "sameAs", "existential", "same individual"),
            (OWL + "differentFrom", "full", "different individual"),
        ):
            subject, obj = self.index.rows(iri)
            named = self.named[subject] & self.named[obj]
            self.edges.emit(subject[named], iri, obj[named], profile, what)
            self.edges.drop("anonymous individual", int((~named & (self.index.form[obj] != LITERAL)).sum()))
            self.edges.drop("annotation with a literal", int((self.index.form[obj] == LITERAL).sum()), axiom=False)
        self._pairwise("AllDifferent", ("members", "distinctMembers"), OWL + "differentFrom", "different individual")
        index = self.index
        builtin = ~self.named | self.annotation | index.among(SKOS, *_ANNOTATING)
        statement = ~builtin[index.predicate] & ~self.ontologies[index.subject]
        subject, prop, obj = index.subject[statement], index.predicate[statement], index.object[statement]
        literal = index.form[obj] == LITERAL
        facts = literal & self.data[prop]
        self.edges.drop("data property assertion", int(facts.sum()))
        self.edges.drop("annotation with a literal", int((literal & ~facts).sum()), axiom=False)
        named = ~literal & self.named[subject] & self.named[obj]
        self.edges.drop("anonymous individual", int((~literal & ~named).sum()))
        self.edges.emit_each(subject[named], self._relations(prop[named]), obj[named], "existential", "property assertion")
        # Declared relations hold between individuals; what an undeclared one relates may be anything, here a concept.
        declared = index.instances(OWL + "ObjectProperty")[prop] & named
        self.individuals[subject[declared]] = self.individuals[obj[declared]] = True

    # ---- disjointness

    def _disjointness(self) -> None:
        subject, obj = self.index.rows(OWL + "disjointWith")
        named = self.named[subject] & self.named[obj]
        self.edges.emit(subject[named], OWL + "disjointWith", obj[named], "full", "disjointness")
        self.edges.drop("disjointness with an anonymous class", int((~named).sum()))
        self._pairwise("AllDisjointClasses", ("members",), OWL + "disjointWith", "disjointness")
        self._pairwise("AllDisjointProperties", ("members",), OWL + "disjointWith", "disjoint properties")
        self._pairs(self.index.rows(OWL + "disjointUnionOf")[1], OWL + "disjointWith", "disjointness")

    def _pairwise(self, kind: str, lists: tuple[str, ...], iri: str, what: str) -> None:
        nodes = self.index.instances(OWL + kind)
        for name in lists:
            subject, heads = self.index.rows(OWL + name)
            self._pairs(heads[nodes[subject]], iri, what)

    def _pairs(self, heads: np.ndarray, iri: str, what: str) -> None:
        owner, members = self.index.members(heads)
        named = self.named[members]
        self.edges.drop(f"{what} with an anonymous class" if what == "disjointness" else "anonymous individual", int((~named).sum()))
        owner, members = owner[named], members[named]
        # Each member with every later one of its list.
        ends = np.searchsorted(owner, owner, side="right")
        later = ends - np.arange(len(owner)) - 1
        if later.sum() > _MAX_PAIRS:
            raise SourceError(
                f"lists of disjoint or different things make at most {_MAX_PAIRS:,} pairs",
                received=f"{int(later.sum()):,}",
                remedy="leave the longest lists out of the file",
            )
        left = np.repeat(np.arange(len(owner)), later)
        right = ranges(np.arange(len(owner)) + 1, later)
        self.edges.emit(members[left], iri, members[right], "full", what)

    # ---- properties

    def _properties(self) -> None:
        for iri, what in (
            (RDFS + "subPropertyOf", "sub-property"),
            (OWL + "equivalentProperty", "equivalent properties"),
            (OWL + "inverseOf", "inverse properties"),
            (OWL + "propertyDisjointWith", "disjoint properties"),
        ):
            subject, obj = self.index.rows(iri)
            annotation = self.annotation[subject] | self.annotation[obj]
            self.edges.drop("axiom on annotation properties", int(annotation.sum()), axiom=False)
            named = self.named[subject] & self.named[obj] & ~annotation
            inside = (self.index.form[subject] == BLANK) if iri == OWL + "inverseOf" else np.zeros(len(subject), dtype=bool)
            self.properties[subject[named]] = self.properties[obj[named]] = True
            relation = OWL + "disjointWith" if what == "disjoint properties" else iri
            self.edges.emit(subject[named], relation, obj[named], "full", what)
            self.edges.drop(f"{what} with an end that is no node", int((~named & ~inside & ~annotation).sum()))
        for iri in (RDFS + "domain", RDFS + "range"):
            self._ends(iri)
        subject, heads = self.index.rows(OWL + "propertyChainAxiom")
        owner, members = self.index.members(heads)
        owners = subject[owner]
        named = self.named[members] & self.named[owners]
        self.edges.emit(owners[named], OWL + "propertyChainAxiom", members[named], "full", "property chain")
        self.properties[owners[named]] = self.properties[members[named]] = True
        self.edges.drop("property chain with an end that is no node", int((~named).sum()))

    def _ends(self, iri: str) -> None:
        prop, end = self.index.rows(iri)
        annotation = self.annotation[prop]
        self.edges.drop("axiom on annotation properties", int(annotation.sum()), axiom=False)
        end, prop = self._flat(end[~annotation], prop[~annotation], "intersectionOf")
        end, prop = self._flat(end, prop, "unionOf")
        data, everything = self.datatype[end], self.thing[end]
        self.edges.drop("range that is data", int(data.sum()))
        self.edges.drop("domain or range that is everything", int(everything.sum()))
        named = self.named[end] & self.named[prop] & ~data
        self.edges.drop("domain or range that is an anonymous class", int((~named & ~data & ~everything).sum()))
        self.edges.emit(prop[named], iri, end[named], "full", iri.rpartition("#")[2])
        self.properties[prop[named]] = True
        self.classes[end[named]] = True

    # ---- annotations

    def _annotations(self) -> None:
        index = self.index
        for name, profile in _SKOS_RELATIONS.items():
            subject, obj = index.rows(SKOS + name)
            named = self.named[subject] & self.named[obj]
            self.edges.emit(subject[named], SKOS + name, obj[named], profile, f"skos:{name}")
        mine = self.annotation | index.among(SKOS, RDFS + "seeAlso", RDFS + "isDefinedBy", *_ANNOTATING)
        mine[[c for c in index.codes([SKOS + name for name in _SKOS_RELATIONS]) if c >= 0]] = False
        kept = np.zeros(len(mine), dtype=bool)
        kept[[c for c in index.codes(list(self.annotation_edges)) if c >= 0]] = True
        rows = np.flatnonzero((mine | kept)[index.predicate] & ~self.ontologies[index.subject] & (index.form[index.object] == IRI))
        subject, prop, obj = index.subject[rows], index.predicate[rows], index.object[rows]
        chosen = kept[prop] & self.named[subject] & self.named[obj]
        self.edges.emit_each(subject[chosen], self._relations(prop[chosen]), obj[chosen], "taxonomy", "annotation")
        self.edges.drop("annotation to an IRI", int((~chosen).sum()), axiom=False)

    def _finish(self) -> Projected:
        edges = self.edges
        columns = [np.concatenate(c) if c else np.empty(0, np.int64) for c in (edges.subject, edges.relation, edges.object)]
        ends = np.zeros(len(self.named), dtype=bool)
        ends[columns[0]] = ends[columns[2]] = True
        self.classes |= ends & ~self.individuals & ~self.properties
        return Projected(
            *columns,
            relations=list(edges.relations),
            classes=self.classes,
            individuals=self.individuals & ~self.classes & ~self.properties,
            properties=self.properties & ~self.classes,
            dropped=+edges.dropped,
            axioms=edges.axioms,
        )


_CARDINALITIES = {
    "minQualifiedCardinality": 1,
    "qualifiedCardinality": 1,
    "maxQualifiedCardinality": 2,
    "minCardinality": 1,
    "cardinality": 1,
    "maxCardinality": 2,
}
_EXPRESSIONS = (
    "intersectionOf",
    "unionOf",
    "complementOf",
    "oneOf",
    "onProperty",
    "someValuesFrom",
    "allValuesFrom",
    "hasValue",
    "hasSelf",
    "onClass",
    "onDataRange",
    "inverseOf",
    *_CARDINALITIES,
)
