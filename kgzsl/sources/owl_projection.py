"""Axioms → edges, over arrays: the table is `kgzsl.sources.owl_rules.RULES`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kgzsl.errors import SourceError
from kgzsl.ids import PREFIXES
from kgzsl.sources.owl_edges import Projected
from kgzsl.sources.owl_expressions import CHARACTERISTICS, OBJECT_PROPERTIES, Expressions
from kgzsl.sources.owl_index import BLANK, IRI, LITERAL, OWL, RDF, RDFS, SKOS, SWRL, TripleIndex, ranges
from kgzsl.sources.owl_names import from_name
from kgzsl.sources.vocabulary import vocabulary

#: Relation of inferred edges, of kgzsl's own vocabulary.
INFERRED = PREFIXES["kgzsl"] + "inferred_hypernym"
_MAX_PAIRS = 5_000_000
#: Vocabularies whose properties annotate where the document does not declare them.
_ANNOTATING = (
    "http://purl.org/dc/elements/1.1/",
    "http://purl.org/dc/terms/",
    "http://www.geneontology.org/formats/oboInOwl#",
    "http://purl.org/vocab/vann/",
    "http://creativecommons.org/ns#",
    "http://protege.stanford.edu/plugins/owl/protege#",
)


class Projection(Expressions):
    """Projects one ontology; call `run` once.

    Parameters
    ----------
    annotation_edges : IRIs of annotation properties whose IRI values become edges.
    """

    def __init__(self, index: TripleIndex, profile: str, annotation_edges: tuple[str, ...] = ()) -> None:
        super().__init__(index, profile)
        self.annotation_edges = annotation_edges
        self.ontologies = index.instances(OWL + "Ontology")

    def run(self, inferred: Iterable[tuple[str, str]] = ()) -> Projected:
        """Project every axiom, and pairs of subclass and superclass (IRIs) that a reasoner inferred and none of them states."""
        self._declared()
        self._subclasses()
        self._definitions()
        self._types()
        self._disjointness()
        self._properties()
        self._assertions()
        self._annotations()
        self._inferred(list(inferred))
        return self._finish()

    def _inferred(self, pairs: list[tuple[str, str]]) -> None:
        if not pairs:
            return
        iris = sorted({iri for pair in pairs for iri in pair})
        code = dict(zip(iris, self.index.codes(iris), strict=True))
        codes = np.asarray([(code[a], code[b]) for a, b in pairs if code[a] >= 0 and code[b] >= 0], dtype=np.int64).reshape(-1, 2)
        stated = [np.empty((0, 2), np.int64)]
        edges = self.edges
        for iri, both in ((RDFS + "subClassOf", False), (OWL + "equivalentClass", True)):
            for s, r, o in zip(edges.subject, edges.relation, edges.object, strict=True):
                mine = r == edges.relations.get(iri, -1)
                stated.append(np.stack([s[mine], o[mine]], axis=1))
                if both:
                    stated.append(np.stack([o[mine], s[mine]], axis=1))
        size = len(self.index.form)
        known = np.concatenate(stated)
        new = codes[~np.isin(codes[:, 0] * size + codes[:, 1], known[:, 0] * size + known[:, 1])]
        edges.emit(new[:, 0], INFERRED, new[:, 1], "taxonomy", "inferred")

    # ---- declarations

    def _declared(self) -> None:
        index = self.index
        self.properties |= (index.instances(*OBJECT_PROPERTIES) | self.data) & self.named & ~self.annotation
        self.individuals |= index.instances(OWL + "NamedIndividual") & self.named
        _, kinds = index.rows(RDF + "type")
        for name in CHARACTERISTICS:
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

    # ---- individuals

    def _types(self) -> None:
        subject, kind = self.index.rows(RDF + "type")
        # What is a skos:Concept is a concept, not an individual of that class.
        meta = np.isin(kind, [c for c in self.index.codes([SKOS + n for n in ("Concept", "ConceptScheme", "Collection")]) if c >= 0])
        subject, kind = subject[~meta], kind[~meta]
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
        if self.edges.leaves_out("full"):  # as many pairs as there may be, none is made
            self.edges.drop(f"{what} (in the profile `full`)", int(later.sum()))
            return
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
        mine = self.annotation | index.among(SKOS, RDFS + "seeAlso", RDFS + "isDefinedBy", *_ANNOTATING)
        # Those that the vocabulary knows, such as skos:broader, are relations whatever the document says of them.
        stated = vocabulary().iris
        for iri, code in index.predicates.items():
            if mine[code] and iri in stated and not iri.startswith(RDFS):
                subject, obj = index.rows(iri)
                named = self.named[subject] & self.named[obj]
                profile = "taxonomy" if stated[iri].relation.id == "hypernym" else "full"
                self.edges.emit(subject[named], iri, obj[named], profile, from_name(iri))
                mine[code] = False
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
            subject=columns[0],
            relation=columns[1],
            object=columns[2],
            relations=list(edges.relations),
            classes=self.classes,
            individuals=self.individuals & ~self.classes & ~self.properties,
            properties=self.properties & ~self.classes,
            dropped=+edges.dropped,
            axioms=edges.axioms,
        )
