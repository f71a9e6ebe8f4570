"""Class expressions → edges, over arrays: all expressions of one form are taken apart at once."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from kgzsl.errors import SourceError
from kgzsl.sources.owl_edges import Edges
from kgzsl.sources.owl_index import BLANK, IRI, LITERAL, OWL, RDF, RDFS, SKOS, SWRL, XSD, TripleIndex
from kgzsl.sources.owl_rules import PROFILES

_MAX_DEPTH = 200
_MAX_PARTS = 2_000_000
_CLASSES = (OWL + "Class", RDFS + "Class", OWL + "DeprecatedClass", SKOS + "Concept")
CHARACTERISTICS = ("Functional", "InverseFunctional", "Reflexive", "Irreflexive", "Symmetric", "Asymmetric", "Transitive")
OBJECT_PROPERTIES = (
    OWL + "ObjectProperty",
    RDF + "Property",
    OWL + "DeprecatedProperty",
    *(f"{OWL}{c}Property" for c in CHARACTERISTICS),
)
_EVERYTHING = -2  # filler of a cardinality without a class
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


class Expressions:
    """Takes class expressions apart.

    Attributes
    ----------
    index : the ontology.
    edges : where the edges go.
    named, thing, data, annotation, datatype : terms that are a name outside RDF and OWL, `owl:Thing`, a data property, an
        annotation property, a data type or literal; bool `[terms]`.
    classes, properties, individuals : terms found to be one so far.
    """

    def __init__(self, index: TripleIndex, profile: str) -> None:
        self.index = index
        self.edges = Edges(PROFILES.index(profile))
        form = index.form
        self.named = (form == IRI) & ~index.among(RDF, RDFS, OWL, XSD, SWRL)
        self.thing = np.zeros(len(form), dtype=bool)
        self.thing[[c for c in index.codes([OWL + "Thing", RDFS + "Resource"]) if c >= 0]] = True
        self.data = index.instances(OWL + "DatatypeProperty")
        self.annotation = index.instances(OWL + "AnnotationProperty", OWL + "OntologyProperty") & ~index.instances(OWL + "ObjectProperty")
        self.datatype = index.instances(RDFS + "Datatype", OWL + "DataRange") | index.among(XSD) | (form == LITERAL)
        for iri in (RDFS + "Literal", RDF + "PlainLiteral", RDF + "langString", RDF + "XMLLiteral", OWL + "real", OWL + "rational"):
            if (code := index.code(iri)) >= 0:
                self.datatype[code] = True
        self.value = {name: index.value(OWL + name) for name in _EXPRESSIONS}
        self.classes = index.instances(*_CLASSES) & self.named
        self.properties = np.zeros(len(form), dtype=bool)
        self.individuals = np.zeros(len(form), dtype=bool)

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
        if count > max(50 * len(self.index.subject), _MAX_PARTS):
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
