"""Answers of axioms: each kind by hand, against a slow closure, and on NELL-ZS with its own ontology."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.completion import AxiomAnswers, TrainingFacts, combined
from kgzsl.datasets import Triples, read_completion_set, read_relation_schema
from kgzsl.datasets.completion_schema import RelationSchema, read_schema
from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.metrics.filtered_ranking import Queries


def schema(**stated: object) -> RelationSchema:
    """Return a schema that states little."""
    nothing: dict = dict.fromkeys(("sub_properties", "sub_classes", "domains", "ranges", "inverses", "chains"), ())
    return RelationSchema(**{"texts": {}, "symmetric": frozenset(), **nothing, **stated})


FACTS = Triples(
    ("ann", "bob", "cat", "dan"),
    ("family:childOf", "family:father", "family:grandparent", "family:parent", "family:spouse"),
    np.array([[0, 1, 1], [1, 1, 2], [2, 0, 3], [0, 4, 3]]),  # ann father bob, bob father cat, cat childOf dan, ann spouse dan
)
FAMILY = schema(
    sub_properties=(("father", "parent"),),
    inverses=(("childOf", "parent"),),
    symmetric=frozenset({"spouse"}),
    chains=((("parent", "parent"), "grandparent"),),
)


def pairs(answers: AxiomAnswers, relation: str) -> set[tuple[int, int]]:
    """Return what is derived."""
    return set(zip(*(axis.tolist() for axis in answers.derived(relation).nonzero()), strict=True))


def test_each_kind_of_axiom_by_hand() -> None:
    answers = AxiomAnswers(FACTS, FAMILY)
    assert pairs(answers, "family:parent") == {(0, 1), (1, 2), (3, 2)}  # of its sub-property, and of its inverse, turned
    assert pairs(answers, "family:spouse") == {(3, 0)}
    assert pairs(answers, "family:grandparent") == {(0, 2)}
    assert pairs(answers, "family:father") == set()
    assert pairs(answers, "family:childOf") == {(1, 0), (2, 1)}
    assert answers.derivable() == ("family:childOf", "family:grandparent", "family:parent", "family:spouse")


def test_proofs_name_the_facts_and_the_axioms() -> None:
    (proof,) = AxiomAnswers(FACTS, FAMILY).explain("ann", "family:grandparent", "cat")
    assert proof.facts == (("ann", "family:father", "bob"), ("bob", "family:father", "cat"))
    assert [str(axiom) for axiom in proof.axioms] == ["father ⊑ parent", "father ⊑ parent", "parent ∘ parent ⊑ grandparent"]
    (proof,) = AxiomAnswers(FACTS, FAMILY).explain("dan", "family:parent", "cat")
    assert str(proof) == "(cat, family:childOf, dan) with childOf ≡ inverse of parent"
    assert AxiomAnswers(FACTS, FAMILY).explain("cat", "family:parent", "ann") == []
    with pytest.raises(InvalidInputError, match="an entity is one of"):
        AxiomAnswers(FACTS, FAMILY).explain("eve", "family:parent", "ann")
    with pytest.raises(InvalidInputError, match="a relation is one of"):
        AxiomAnswers(FACTS, FAMILY).explain("ann", "family:aunt", "bob")


def test_scores_are_the_derivations_of_both_sides() -> None:
    answers = AxiomAnswers(FACTS, FAMILY)
    tails = answers.score(Queries("tail", np.array([0, 1]), np.array([3, 2])), None)
    assert np.allclose(tails, np.log1p([[0, 1, 0, 0], [0, 0, 0, 0]]))
    heads = answers.score(Queries("head", np.array([2]), np.array([3])), np.array([1, 3]))
    assert np.allclose(heads, np.log1p([[1, 1]]))


def test_learned_scores_and_axioms_add_up() -> None:
    answers, queries = AxiomAnswers(FACTS, FAMILY), Queries("tail", np.array([0]), np.array([3]))
    learned = np.array([[4.0, 3, 2, 1]], dtype=np.float32)
    columns = np.array([1, 3])
    found = combined(lambda q, c: learned if c is None else learned[:, c], answers, 10.0)
    assert np.allclose(found(queries, None), learned + 10 * np.log([[1, 2, 1, 1]]))
    assert np.allclose(found(queries, columns), learned[:, columns] + 10 * np.log([[2, 1]]))
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="the weight of axioms"):
            combined(answers.score, answers, weight)


NAMES = tuple("abcd")
ANY = st.sampled_from(NAMES)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12, unique=True),
    st.lists(st.tuples(ANY, ANY), max_size=4),
    st.lists(st.tuples(ANY, ANY), max_size=3),
    st.sets(ANY, max_size=2),
    st.lists(st.tuples(st.tuples(ANY, ANY), ANY), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_derivations_are_those_of_a_slow_closure(rows: list, sub: list, inverse: list, symmetric: set, chains: list) -> None:
    facts = Triples(("w", "x", "y", "z"), NAMES, np.array(rows, dtype=np.int64))
    stated = schema(sub_properties=tuple(sub), inverses=tuple(inverse), symmetric=frozenset(symmetric), chains=tuple(chains))
    answers = AxiomAnswers(facts, stated)

    def closed(known: set[tuple[int, str, int]]) -> set[tuple[int, str, int]]:
        while True:
            new = {(h, q, t) for h, p, t in known for a, q in sub if a == p}
            new |= {(t, q, h) for h, p, t in known for a, q in inverse if a == p}
            new |= {(t, p, h) for h, q, t in known for p, b in inverse if b == q}
            new |= {(t, p, h) for h, p, t in known if p in symmetric}
            if new <= known:
                return known
            known = known | new

    simple = closed({(h, NAMES[r], t) for h, r, t in rows})
    by_chain = {
        (h, q, t) for (one, two), q in chains for (h, a, m), (n, b, t) in itertools.product(simple, repeat=2) if (a, b, m) == (one, two, n)
    }
    every = closed(simple | by_chain)
    known = {(h, NAMES[r], t) for h, r, t in rows}
    for name in NAMES:
        found = pairs(answers, name) | {(h, t) for h, r, t in known if r == name}
        assert found == {(h, t) for h, r, t in every if r == name}
        for h, t in pairs(answers, name):
            assert answers.explain(facts.entities[h], name, facts.entities[t])


def test_two_relations_of_one_name_in_the_schema_are_refused() -> None:
    facts = Triples(("x", "y"), ("a:r", "b:r"), np.array([[0, 0, 1]]))
    with pytest.raises(InvalidInputError, match="name of its own"):
        AxiomAnswers(facts, schema())


def test_a_chain_whose_list_breaks_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "Schema.csv"
    lines = ["Subject\tMeta-Relation\tObject", "N:a\trdf:first\t_:y1", "_:y2\trdf:rest\t_:y1", "_:y1\towl:propertyChainAxiom\tN:b"]
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(SourceError, match="a list that ends"):
        read_schema(file)


@pytest.mark.data
def test_schemas_as_published() -> None:
    nell, wiki = (read_relation_schema(name) for name in ("nell-zs", "wiki-zs"))
    with pytest.raises(InvalidInputError, match="nell-zs or wiki-zs"):
        read_relation_schema("umls")
    assert (len(nell.chains), len(nell.sub_properties), len(nell.inverses)) == (20, 935, 0)
    assert (len(wiki.chains), len(wiki.sub_properties), len(wiki.inverses)) == (7, 208, 39)
    assert len(nell.symmetric) + len(wiki.symmetric) == 45
    assert (("athletehomestadium", "teammember"), "teamhomestadium") not in nell.chains
    assert (("teammember", "athletehomestadium"), "teamhomestadium") in nell.chains
    assert wiki.texts["P1000"].startswith("record held: notable record")


@pytest.mark.data
def test_nell_answers_hold_in_its_test_part() -> None:
    data = read_completion_set("nell-zs", training="recon", without_text="keep", candidates="all")
    answers = AxiomAnswers(TrainingFacts.of(data).facts, read_relation_schema("nell-zs"))
    relation = "concept:animalsuchasinvertebrate"
    rows = data.triples("test")
    rows = rows[rows[:, 1] == data.facts.relations.index(relation)]
    right = np.asarray(answers.derived(relation)[rows[:, 0], rows[:, 2]]).ravel() > 0
    assert (len(rows), int(right.sum())) == (415, 191)
    (proof,) = answers.explain("concept:insect:whiteflies", relation, "concept:insect:insects")
    assert str(proof).endswith("with animalsuchasinsect ⊑ animalsuchasinvertebrate")
