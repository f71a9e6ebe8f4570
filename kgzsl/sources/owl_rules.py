"""The table axiom → edge of the OWL reader, by profile; the page that lists it is made of it, and so are tests.

`taxonomy` states what is a kind of what, and only what the axioms entail. `existential` adds what every member of a class is
related to, and the facts about individuals; all of it is entailed. `full` adds what the axioms say about their ends without
entailing that one is related to the other (only, at most, or, not), and nodes and edges of the properties themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

PROFILES = ("taxonomy", "existential", "full")


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes
    ----------
    profile : the first profile that has these edges; later ones have them too.
    axiom : in functional syntax; classes A to D, properties r to t, individuals a to c.
    edges : `subject relation object`; relations of the vocabulary, `owl:` terms, or the property itself.
    """

    profile: str
    axiom: str
    edges: tuple[str, ...]


RULES = (
    Rule("taxonomy", "SubClassOf(:A :B)", ("A hypernym B",)),
    Rule("taxonomy", "SubClassOf(:A ObjectIntersectionOf(:B :C))", ("A hypernym B", "A hypernym C")),
    Rule("taxonomy", "SubClassOf(ObjectUnionOf(:A :B) :C)", ("A hypernym C", "B hypernym C")),
    Rule("taxonomy", "EquivalentClasses(:A :B)", ("A equivalent B",)),
    Rule("taxonomy", "EquivalentClasses(:A ObjectIntersectionOf(:B :C))", ("A hypernym B", "A hypernym C")),
    Rule("taxonomy", "EquivalentClasses(:A ObjectUnionOf(:B :C))", ("B hypernym A", "C hypernym A")),
    Rule("taxonomy", "EquivalentClasses(:A ObjectOneOf(:a :b))", ("a instance_hypernym A", "b instance_hypernym A")),
    Rule("taxonomy", "ClassAssertion(:A :a)", ("a instance_hypernym A",)),
    Rule("taxonomy", "ClassAssertion(ObjectIntersectionOf(:A :B) :a)", ("a instance_hypernym A", "a instance_hypernym B")),
    Rule("existential", "SubClassOf(:A ObjectSomeValuesFrom(:r :B))", ("A r B",)),
    Rule("existential", "SubClassOf(:A ObjectSomeValuesFrom(:r ObjectIntersectionOf(:B :C)))", ("A r B", "A r C")),
    Rule("existential", "SubClassOf(:A ObjectIntersectionOf(ObjectSomeValuesFrom(:r :B) ObjectSomeValuesFrom(:s :C)))", ("A r B", "A s C")),
    Rule("existential", "EquivalentClasses(:A ObjectSomeValuesFrom(:r :B))", ("A r B",)),
    Rule("existential", "SubClassOf(ObjectUnionOf(:A :B) ObjectSomeValuesFrom(:r :C))", ("A r C", "B r C")),
    Rule("existential", "SubClassOf(:A ObjectMinCardinality(1 :r :B))", ("A r B",)),
    Rule("existential", "SubClassOf(:A ObjectExactCardinality(2 :r :B))", ("A r B",)),
    Rule("existential", "SubClassOf(:A ObjectHasValue(:r :a))", ("A r a",)),
    Rule("existential", "SubClassOf(:A ObjectHasSelf(:r))", ("A r A",)),
    Rule("existential", "ClassAssertion(ObjectSomeValuesFrom(:r :B) :a)", ("a r B",)),
    Rule("existential", "ObjectPropertyAssertion(:r :a :b)", ("a r b",)),
    Rule("existential", "SameIndividual(:a :b)", ("a equivalent b",)),
    Rule("full", "SubClassOf(:A ObjectAllValuesFrom(:r :B))", ("A r B",)),
    Rule("full", "SubClassOf(:A ObjectMaxCardinality(2 :r :B))", ("A r B",)),
    Rule("full", "SubClassOf(:A ObjectSomeValuesFrom(:r ObjectUnionOf(:B :C)))", ("A r B", "A r C")),
    Rule("full", "SubClassOf(:A ObjectSomeValuesFrom(:r ObjectOneOf(:a :b)))", ("A r a", "A r b")),
    Rule("full", "SubClassOf(:A ObjectAllValuesFrom(:r ObjectUnionOf(:B :C)))", ("A r B", "A r C")),
    Rule("full", "SubClassOf(:A ObjectSomeValuesFrom(ObjectInverseOf(:r) :B))", ("B r A",)),
    Rule("full", "SubClassOf(:A ObjectUnionOf(:B :C))", ("A owl:unionOf B", "A owl:unionOf C")),
    Rule("full", "SubClassOf(:A ObjectComplementOf(:B))", ("A disjoint B",)),
    Rule("full", "EquivalentClasses(:A ObjectComplementOf(:B))", ("A disjoint B",)),
    Rule("full", "DisjointClasses(:A :B)", ("A disjoint B",)),
    Rule("full", "DisjointClasses(:A :B :C)", ("A disjoint B", "A disjoint C", "B disjoint C")),
    Rule("full", "DisjointUnion(:D :A :B)", ("A disjoint B",)),
    Rule("full", "DifferentIndividuals(:a :b)", ("a distinct b",)),
    Rule("full", "DifferentIndividuals(:a :b :c)", ("a distinct b", "a distinct c", "b distinct c")),
    Rule("full", "ObjectPropertyDomain(:r :A)", ("r domain A",)),
    Rule("full", "ObjectPropertyRange(:r ObjectUnionOf(:A :B))", ("r range A", "r range B")),
    Rule("full", "SubObjectPropertyOf(:r :s)", ("r sub_relation s",)),
    Rule("full", "EquivalentObjectProperties(:r :s)", ("r equivalent_relation s",)),
    Rule("full", "InverseObjectProperties(:r :s)", ("r inverse_relation s",)),
    Rule("full", "DisjointObjectProperties(:r :s)", ("r disjoint s",)),
    Rule(
        "full",
        "SubObjectPropertyOf(ObjectPropertyChain(:r :s) :t)",
        ("t owl:propertyChainAxiom r", "t owl:propertyChainAxiom s"),
    ),
)

#: Axioms that make no edge in any profile, and how `dropped` counts them.
NEVER = {
    "SubClassOf(:A owl:Thing)": "subclass of everything",
    "SubClassOf(:A ObjectSomeValuesFrom(:r owl:Thing))": "restriction to everything",
    "SubClassOf(:A ObjectSomeValuesFrom(:r ObjectSomeValuesFrom(:s :B)))": "restriction to another restriction",
    "SubClassOf(:A ObjectAllValuesFrom(:r ObjectComplementOf(:B)))": "restriction to a complement",
    "SubClassOf(:A ObjectMaxCardinality(0 :r :B))": "cardinality of none",
    "SubClassOf(:A ObjectMinCardinality(0 :r :B))": "cardinality of none",
    "SubClassOf(:A DataSomeValuesFrom(:d xsd:string))": "restriction to data",
    'SubClassOf(:A DataHasValue(:d "x"))': "restriction to data",
    "SubClassOf(:A ObjectOneOf(:a :b))": "subclass of an enumeration",
    "SubClassOf(:A ObjectComplementOf(ObjectSomeValuesFrom(:r :B)))": "subclass of a complement",
    "SubClassOf(:A ObjectUnionOf(ObjectSomeValuesFrom(:r :B) ObjectSomeValuesFrom(:r :C)))": "union with an anonymous class",
    "SubClassOf(ObjectSomeValuesFrom(:r :A) :B)": "general axiom on an anonymous class",
    "ObjectPropertyRange(:r ObjectSomeValuesFrom(:s :B))": "domain or range that is an anonymous class",
    "DisjointClasses(:A ObjectSomeValuesFrom(:r :B))": "disjointness with an anonymous class",
    "DataPropertyRange(:d xsd:string)": "range that is data",
    'DataPropertyAssertion(:d :a "x")': "data property assertion",
    "NegativeObjectPropertyAssertion(:r :a :b)": "negative assertion",
    "HasKey(:A (:r) ())": "key",
    "TransitiveObjectProperty(:r)": "TransitiveProperty",
    "FunctionalObjectProperty(:r)": "FunctionalProperty",
    "DatatypeDefinition(:t xsd:string)": "datatype definition",
}


def table() -> str:
    """Return the table as Markdown, for the pages that explain it."""
    lines = ["| profile | axiom | edges |", "|---|---|---|"]
    lines += [f"| `{r.profile}` | `{r.axiom}` | {', '.join(f'`{e}`' for e in r.edges)} |" for r in RULES]
    lines += [f"| none | `{axiom}` | dropped as *{reason}* |" for axiom, reason in NEVER.items()]
    return "\n".join(lines)
