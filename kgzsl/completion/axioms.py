"""Answers that axioms derive: sub-property, inverse, symmetric and property-chain axioms applied to known facts, with the proof.

Relations read forwards or backwards are literals; `p ⊑ q`, `p ≡ q⁻` and `p ≡ p⁻` say which literal implies which (OWL 2 RL rules
prp-spo1, prp-inv1/2, prp-symp), so what implies a relation is a search in a small graph. A chain `p₁ ∘ p₂ ⊑ q` (prp-spo2) is a product
of sparse matrices, each the union of all literals that imply its step. Chains are applied once, not to what chains derived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix

from kgzsl.datasets.completion_schema import RelationSchema
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, Triples
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.filtered_ranking import Queries, Score

#: A relation, and whether it reads from tail to head.
Literal = tuple[str, bool]


@dataclass(frozen=True)
class Axiom:
    """One axiom of an ontology about relations.

    Attributes
    ----------
    kind : `sub-property`, `inverse`, `symmetric` or `chain`.
    body : the relations of the left side, in the order of a path.
    conclusion : the relation of the right side.
    """

    kind: str
    body: tuple[str, ...]
    conclusion: str

    def __str__(self) -> str:
        if self.kind == "symmetric":
            return f"{self.conclusion} is symmetric"
        sign = {"sub-property": "⊑", "inverse": "≡ inverse of", "chain": "⊑"}[self.kind]
        return f"{' ∘ '.join(self.body)} {sign} {self.conclusion}"


@dataclass(frozen=True)
class Explanation:
    """Why an answer holds.

    Attributes
    ----------
    facts : the known triples, as names, along the path.
    axioms : what turns them into the answer.
    """

    facts: tuple[tuple[str, str, str], ...]
    axioms: tuple[Axiom, ...]

    def __str__(self) -> str:
        facts = ", ".join(f"({h}, {r}, {t})" for h, r, t in self.facts)
        return f"{facts} with {'; '.join(map(str, self.axioms))}"


@dataclass(frozen=True)
class _Rule:
    """Facts along a path of relations, read backwards as a whole or not, have a conclusion: `via` says by which axioms."""

    path: tuple[str, ...]
    reverse: bool
    via: tuple[Axiom, ...]

    @property
    def is_chain(self) -> bool:
        return any(axiom.kind == "chain" for axiom in self.via)


class AxiomAnswers:
    """Answers of a relation, seen or unseen, that its ontology derives from known facts.

    Parameters
    ----------
    facts : what is known (training triples).
    schema : the ontology of the relations.
    local : a relation's name in the facts → its name in the schema; by default what follows the last colon.

    Raises
    ------
    InvalidInputError : two relations of the facts have one name in the schema.
    """

    def __init__(self, facts: Triples, schema: RelationSchema, local: Callable[[str], str] | None = None) -> None:
        name = local or (lambda relation: relation.rpartition(":")[2])
        self.facts = facts
        self._local = [name(r) for r in facts.relations]
        self._place = {short: i for i, short in enumerate(self._local)}
        if len(self._place) != len(self._local):
            raise InvalidInputError("every relation has a name of its own in the schema", received=f"{len(self._place)} names")
        self._implied_by = _implications(schema)
        self._chains: dict[str, list[Axiom]] = defaultdict(list)
        for path, conclusion in schema.chains:
            self._chains[conclusion].append(Axiom("chain", path, conclusion))
        self._matrices: dict[str, csr_matrix] = {}
        self._unions: dict[str, csr_matrix] = {}
        self._derived: dict[int, csr_matrix] = {}
        order = np.argsort(facts.triples[:, RELATION], kind="stable")
        self._rows = facts.triples[order]
        self._starts = np.searchsorted(self._rows[:, RELATION], np.arange(len(facts.relations) + 1))

    # ---- which rules there are

    def _literals(self, relation: str) -> dict[Literal, tuple[Axiom, ...]]:
        """Return every literal that implies a relation, itself included, with the axioms of a shortest proof."""
        found: dict[Literal, tuple[Axiom, ...]] = {(relation, False): ()}
        waiting = [(relation, False)]
        for name, reverse in waiting:  # grows while it is read: breadth first
            for (other, turned), axiom in self._implied_by.get(name, ()):
                literal = other, turned != reverse
                if literal not in found:
                    found[literal] = (axiom, *found[name, reverse])
                    waiting.append(literal)
        return found

    def rules(self, relation: str) -> list[_Rule]:
        """Return what derives a relation of the facts from facts that there are, the relation's own facts left out."""
        found = []
        for (name, reverse), via in self._literals(self._local[self._position(relation)]).items():
            if via and self._has_facts(name):
                found.append(_Rule((name,), reverse, via))
            for chain in self._chains.get(name, ()):
                if all(self._union(step).nnz for step in chain.body):
                    found.append(_Rule(chain.body, reverse, (chain, *via)))
        return found

    def derivable(self) -> tuple[str, ...]:
        """Return the relations that some rule derives answers of."""
        return tuple(r for r in self.facts.relations if self.rules(r))

    # ---- answers

    def derived(self, relation: str) -> csr_matrix:
        """Return the number of derivations of each pair of head and tail, float32 `[entities, entities]`, sparse.

        A derivation is a rule, and for a chain a path through entities; known facts of the relation itself are not among them.
        """
        position = self._position(relation)
        if position not in self._derived:
            total = csr_matrix((len(self.facts.entities),) * 2, dtype=np.float32)
            for rule in self.rules(relation):
                matrix = self._product(rule) if rule.is_chain else self._matrix(rule.path[0])
                total = total + (matrix.T.tocsr() if rule.reverse else matrix)
            self._derived[position] = total
        return self._derived[position]

    def score(self, queries: Queries, columns: np.ndarray | None) -> np.ndarray:
        """Return ln(1 + derivations) of each answer, 0 where none derives it, float32 `[queries, columns]`.

        The form is that of every model of completion, so that it can be evaluated alone or added to learned scores.
        """
        width = len(self.facts.entities) if columns is None else len(columns)
        scores = np.zeros((len(queries), width), dtype=np.float32)
        for relation in np.unique(queries.relation).tolist():
            rows = np.flatnonzero(queries.relation == relation)
            matrix = self.derived(self.facts.relations[relation])
            if matrix.nnz:
                found = (matrix if queries.side == "tail" else matrix.T.tocsr())[queries.given[rows]]
                scores[rows] = (found if columns is None else found[:, columns]).toarray()
        return np.log1p(scores)

    def explain(self, head: str, relation: str, tail: str, *, most: int = 5) -> list[Explanation]:
        """Return derivations of an answer, shortest proofs first, at most `most`; none where no axiom derives it.

        Raises
        ------
        InvalidInputError : an entity or a relation that the facts do not name.
        """
        ends = [self._entity(head), self._entity(tail)]
        found: list[Explanation] = []
        for rule in sorted(self.rules(relation), key=lambda r: (len(r.path), len(r.via))):
            start, end = ends[::-1] if rule.reverse else ends
            found += self._paths(rule, start, end, most - len(found))
            if len(found) >= most:
                break
        return found

    # ---- facts as matrices

    def _position(self, relation: str) -> int:
        if relation not in self.facts.relations:
            raise InvalidInputError("a relation is one of the facts'", received=repr(relation))
        return self.facts.relations.index(relation)

    def _entity(self, name: str) -> int:
        place = int(np.searchsorted(np.asarray(self.facts.entities, dtype=object), name))
        if place >= len(self.facts.entities) or self.facts.entities[place] != name:
            raise InvalidInputError("an entity is one of the facts'", received=repr(name))
        return place

    def _has_facts(self, name: str) -> bool:
        place = self._place.get(name)
        return place is not None and bool(self._starts[place + 1] > self._starts[place])

    def _matrix(self, name: str) -> csr_matrix:
        """Return the facts of a relation, 1 where there is one, `[entities, entities]`."""
        if name not in self._matrices:
            size = len(self.facts.entities)
            place = self._place.get(name)
            rows = self._rows[self._starts[place] : self._starts[place + 1]] if place is not None else self._rows[:0]
            ones = np.ones(len(rows), dtype=np.float32)
            self._matrices[name] = csr_matrix((ones, (rows[:, HEAD], rows[:, TAIL])), shape=(size, size))
        return self._matrices[name]

    def _union(self, name: str) -> csr_matrix:
        """Return 1 where a relation has a fact or a literal implies one."""
        if name not in self._unions:
            total = csr_matrix((len(self.facts.entities),) * 2, dtype=np.float32)
            for literal, reverse in self._literals(name):
                if self._has_facts(literal):
                    matrix = self._matrix(literal)
                    total = total + (matrix.T.tocsr() if reverse else matrix)
            total.data[:] = 1
            self._unions[name] = total
        return self._unions[name]

    def _product(self, rule: _Rule) -> csr_matrix:
        product = self._union(rule.path[0])
        for step in rule.path[1:]:
            product = product @ self._union(step)
        return product

    # ---- proofs

    def _paths(self, rule: _Rule, start: int, end: int, most: int) -> list[Explanation]:
        """Return the proofs of one rule along paths from `start` to `end`, at most `most`."""
        if not rule.is_chain:
            return [Explanation((self._named(start, rule.path[0], end),), rule.via)] if self._matrix(rule.path[0])[start, end] else []
        found: list[Explanation] = []
        for path in self._walks(rule.path, start, end, most):
            steps = [self._step(name, one, two) for name, one, two in zip(rule.path, path[:-1], path[1:], strict=True)]
            used = tuple(axiom for _, axioms in steps for axiom in axioms)
            found.append(Explanation(tuple(fact for fact, _ in steps), (*used, *rule.via)))
        return found

    def _walks(self, names: tuple[str, ...], start: int, end: int, most: int) -> list[tuple[int, ...]]:
        """Return the entities of at most `most` paths, in their order."""
        if len(names) == 1:
            return [(start, end)] if self._union(names[0])[start, end] else []
        found: list[tuple[int, ...]] = []
        following = self._union(names[0])[start].indices
        for entity in np.sort(following).tolist():
            found += [(start, *rest) for rest in self._walks(names[1:], entity, end, most - len(found))]
            if len(found) >= most:
                break
        return found[:most]

    def _step(self, name: str, one: int, two: int) -> tuple[tuple[str, str, str], tuple[Axiom, ...]]:
        """Return the fact behind a step of a path, and the axioms that make it one of the step's relation."""
        for (literal, reverse), via in self._literals(name).items():
            start, end = (two, one) if reverse else (one, two)
            if self._has_facts(literal) and self._matrix(literal)[start, end]:
                return self._named(start, literal, end), via
        raise AssertionError("a step of a path has a fact")

    def _named(self, head: int, name: str, tail: int) -> tuple[str, str, str]:
        return self.facts.entities[head], self.facts.relations[self._place[name]], self.facts.entities[tail]


def combined(learned: Score, axioms: AxiomAnswers, weight: float) -> Score:
    """Return learned scores with `weight · ln(1 + derivations)` added; the weight is to be chosen on validation triples.

    Raises
    ------
    InvalidInputError : a weight that is negative or not finite.
    """
    if not 0 <= weight < float("inf"):
        raise InvalidInputError("the weight of axioms is finite, 0 or more", received=repr(weight))

    def both(queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        scores = torch.as_tensor(learned(queries, columns))
        return scores + weight * torch.from_numpy(axioms.score(queries, columns)).to(scores)

    return both


def _implications(schema: RelationSchema) -> dict[str, list[tuple[Literal, Axiom]]]:
    """Return for every relation the literals that imply it, each by one axiom."""
    found: dict[str, list[tuple[Literal, Axiom]]] = defaultdict(list)
    for what, of in schema.sub_properties:
        if what != of:
            found[of].append(((what, False), Axiom("sub-property", (what,), of)))
    for one, two in schema.inverses:
        axiom = Axiom("inverse", (one,), two)
        found[two].append(((one, True), axiom))
        if one != two:
            found[one].append(((two, True), axiom))
    for name in sorted(schema.symmetric):
        found[name].append(((name, True), Axiom("symmetric", (name,), name)))
    return found
