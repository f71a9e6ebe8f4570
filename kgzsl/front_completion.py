"""`kgzsl complete` as a function: a fact with an end missing → the entities that complete it, with what carries them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.errors import IncompatibleError, InvalidInputError

if TYPE_CHECKING:
    from kgzsl.completion.axioms import AxiomAnswers
    from kgzsl.completion.base import CompletionModel
    from kgzsl.datasets.completion_set import CompletionSet, Triples

#: Training sets below so many triples are fitted with smaller steps and less regularisation.
SMALL = 20_000
#: What an own model is fitted with on such a set, where nothing else is said (chosen on UMLS's validation triples).
SMALL_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "complex": {"batch_size": 100, "regularisation": 0.01, "epochs": 60},
    "distmult": {"batch_size": 100, "regularisation": 0.01, "epochs": 60},
}
AXIOMS = ("first", "none")


@dataclass(frozen=True)
class CompletedFact:
    """An entity as an answer.

    Attributes
    ----------
    rank : from 1 among all entities.
    entity, text : its name, and its text, empty where there is none.
    score : the model's, higher is better, comparable within one question alone; ln(1 + derivations) where axioms alone answer.
    known : the part of the set that states the fact (`train` is what the model saw), empty where none does.
    proofs : how axioms derive it from training facts, in words.
    between : facts between the two ends, of training or of the second graph of a set split by entity.
    similar : such facts of the relation with similar ends, and how alike they are, in 0…1.
    """

    rank: int
    entity: str
    text: str
    score: float
    known: str
    proofs: tuple[str, ...]
    between: tuple[tuple[str, str, str], ...]
    similar: tuple[tuple[tuple[str, str, str], float], ...]


@dataclass(frozen=True)
class CompletedQuestion:
    """A question with its best answers.

    Attributes
    ----------
    dataset, model : their names; `axioms` where they alone answer.
    side : what was asked for, `tail` or `head`.
    given, relation : what was stated, by name.
    seen : whether training shows the relation.
    entities : how many were ranked.
    answers : the best, and the asked one where both ends were given.
    asked : the fact whose rank was asked for, where both ends were given.
    """

    dataset: str
    model: str
    side: str
    given: str
    relation: str
    seen: bool
    entities: int
    answers: tuple[CompletedFact, ...]
    asked: CompletedFact | None = None


def read_for_completion(name_or_folder: str | os.PathLike[str]) -> CompletionSet:
    """Return a completion set; relations without a text are kept, which only a benchmark has to refuse."""
    from kgzsl.datasets.completion import COMPLETION_SETS, read_completion_set
    from kgzsl.registry import parameters

    name = str(name_or_folder)
    known = {entry.name for entry in COMPLETION_SETS}
    keeps = name in known and "without_text" in parameters(COMPLETION_SETS.lookup(name))
    return read_completion_set(name_or_folder, **({"without_text": "keep"} if keeps else {}))


def fit_completion(
    data: CompletionSet,
    *,
    model: str = "complex",
    settings: Mapping[str, Any] | None = None,
    keep: str | os.PathLike[str] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> CompletionModel:
    """Return a model that answers questions about a completion set, fitted on its training triples, or read from a folder.

    Parameters
    ----------
    model : one of `kgzsl list completion-models`; those that know relations by semantics know them by their texts here.
    settings : the model's; without any, sets of fewer than 20,000 training triples have steps of their size.
    keep : a folder of a link model (`kgzsl list link-models`): read where it is there, written where it is not.

    Raises
    ------
    IncompatibleError : the folder holds another model, another set's, or one of other settings than were given.
    """
    from kgzsl.completion.base import TrainingFacts
    from kgzsl.completion.links import LINK_MODELS
    from kgzsl.completion.saved import load_link_model, save_link_model, saved_dataset

    if model not in {entry.name for entry in LINK_MODELS}:
        return _fit_other(data, model, settings, keep, seed, device)
    small = SMALL_SETTINGS.get(model, {}) if not settings and len(data.rows("train")) < SMALL else {}
    fitted = LINK_MODELS.make(model, {**small, **(settings or {})})
    if keep is not None and Path(keep).exists():
        found = load_link_model(keep, data.facts, device=device)
        other = found.settings()
        differs = [k for k, v in (settings or {}).items() if k in other and other[k] != v]
        if found.name != model or differs or saved_dataset(keep) != data.digest:
            what = f"{found.name}" if found.name != model else f"other {', '.join(differs)}" if differs else "a model of another set"
            raise IncompatibleError(
                f"{keep} keeps the model that is asked for", received=what, remedy="name another folder, or remove this one to fit anew"
            )
        return found
    if keep is not None:
        from kgzsl.artifacts import check_target

        check_target(keep)
    fitted.fit(TrainingFacts.of(data), seed=seed, device=device)
    if keep is not None:
        save_link_model(fitted, keep, dataset=data.digest)
    return fitted


def _fit_other(
    data: CompletionSet, model: str, settings: Mapping[str, Any] | None, keep: str | os.PathLike[str] | None, seed: int, device: str
) -> CompletionModel:
    """Return a fitted model of completion that is no link model."""
    from kgzsl.completion.base import TrainingFacts
    from kgzsl.completion.models import COMPLETION_MODELS
    from kgzsl.completion.relations import RelationSemantics

    made = COMPLETION_MODELS.make(model, settings or {})
    if keep is not None:
        raise InvalidInputError("link models are kept, others are fitted anew", received=model, remedy="leave keep out")
    training = TrainingFacts.of(data)
    relations = RelationSemantics("text", without_text="names")(training, None, None, seed=seed) if made.uses_relations else None
    return made.fit(training, relations, seed=seed, device=device)


def complete(
    dataset: CompletionSet | str | os.PathLike[str],
    *,
    relation: str,
    head: str | None = None,
    tail: str | None = None,
    top: int = 10,
    model: CompletionModel | str = "complex",
    settings: Mapping[str, Any] | None = None,
    keep: str | os.PathLike[str] | None = None,
    new: bool = False,
    axioms: str = "first",
    seed: int = 0,
    device: str = "cpu",
) -> CompletedQuestion:
    """Return the entities that complete a fact best, with the known facts and the axioms that carry them.

    Parameters
    ----------
    dataset : a completion set, its name, or a folder of `train`, `valid` and `test` triples.
    relation, head, tail : names, or texts that stand for one; with both ends, tails are ranked and the tail's rank is said.
    top : how many answers.
    model, settings, keep, seed, device : a fitted model, or which one to fit; see `fit_completion`.
    new : leave out facts that the set states.
    axioms : answers that the relation's ontology derives come `first`, where there is one; `none` derives nothing.

    Raises
    ------
    InvalidInputError : no end given, an unknown rule, or a relation that neither the model nor an axiom can answer.
    UnknownNameError : an entity or a relation that is none; near names are listed.
    """
    from kgzsl.completion.evidence import find_entity, find_relation

    if head is None and tail is None:
        raise InvalidInputError(
            "a fact to complete has a head or a tail", received="neither", remedy="give one; with both, its rank is said"
        )
    if top < 1:
        raise InvalidInputError("top is at least 1", received=top)
    if axioms not in AXIOMS:
        raise InvalidInputError(f"axioms is one of {', '.join(AXIOMS)}", received=repr(axioms))
    data = read_for_completion(dataset) if isinstance(dataset, (str, os.PathLike)) else dataset
    side = "tail" if head is not None else "head"
    ends = [None if name is None else find_entity(name, data.facts) for name in (head, tail)]
    asked, given = (ends[1], ends[0]) if side == "tail" else (None, ends[1])
    number = find_relation(relation, data.facts)
    assert given is not None
    derive = _axioms_of(data, number) if axioms == "first" else None
    fitted = model if not isinstance(model, str) else None
    seen = bool(np.any(data.triples("train")[:, 1] == number))
    knows = fitted.uses_relations if fitted is not None else _uses_relations(str(model))
    if not seen and derive is None and not knows:
        trained = data.facts.relations[int(data.triples("train")[0, 1])]
        raise InvalidInputError(
            "a relation that training never shows needs a model of relations, or an axiom",
            received=data.facts.relations[number],
            remedy=f"choose a model such as closed_form, or ask about a trained one, such as {trained}",
        )
    if fitted is None and (seen or knows):  # a link model knows nothing of an unseen relation: axioms answer alone
        fitted = fit_completion(data, model=str(model), settings=settings, keep=keep, seed=seed, device=device)
    return _Answering(data, fitted, derive, number, side, given).answer(asked, top, new)


def _uses_relations(model: str) -> bool:
    """Return whether a model knows relations by semantics; an unknown name raises UnknownNameError."""
    from kgzsl.completion.models import COMPLETION_MODELS

    return COMPLETION_MODELS.lookup(model).uses_relations


def _axioms_of(data: CompletionSet, relation: int) -> AxiomAnswers | None:
    """Return the axioms of the set's relations where some derive the relation."""
    from kgzsl.completion.axioms import AxiomAnswers
    from kgzsl.completion.base import TrainingFacts
    from kgzsl.datasets.completion import read_relation_schema

    if not data.schema:
        return None
    found = AxiomAnswers(TrainingFacts.of(data).facts, read_relation_schema(data.schema.removesuffix("-schema")))
    return found if found.rules(data.facts.relations[relation]) else None


def _told(data: CompletionSet) -> Triples:
    """Return what a model may read when it answers: training facts, and those of unseen entities."""
    from dataclasses import replace

    from kgzsl.completion.base import TrainingFacts

    training = TrainingFacts.of(data)
    return replace(training.facts, triples=np.concatenate([training.facts.triples, training.support]))


class _Answering:
    """One question, its scores, and what is known."""

    def __init__(
        self, data: CompletionSet, model: CompletionModel | None, axioms: AxiomAnswers | None, relation: int, side: str, given: int
    ) -> None:
        from kgzsl.completion.evidence import Carriers
        from kgzsl.metrics.filtered_ranking import Queries

        self.data, self.axioms, self.relation, self.side, self.given = data, axioms, relation, side, given
        self.seen = bool(np.any(data.triples("train")[:, 1] == relation))
        query = Queries(side, np.array([given]), np.array([relation]))
        size = len(data.facts.entities)
        self.derived = axioms.score(query, None)[0] if axioms else np.zeros(size, dtype=np.float32)
        answers = model is not None and (self.seen or model.uses_relations)
        self.scores = (np.asarray(model.score(query, None))[0] if model is not None and answers else self.derived).astype(np.float64)
        self.name = str(model.name) if model is not None and answers else "axioms"
        of_entities = getattr(model, "entity_vectors", None)
        self.carriers = Carriers(_told(data), of_entities() if of_entities else None)
        self.known = self._parts()

    def _parts(self) -> dict[int, str]:
        """Return the answers that the set states, with the part that does."""
        rows, own, other = self.data.facts.triples, *((0, 2) if self.side == "tail" else (2, 0))
        places = np.flatnonzero((rows[:, own] == self.given) & (rows[:, 1] == self.relation))
        return {int(rows[i, other]): self.data.PARTS[self.data.parts[i]] for i in places}

    def answer(self, asked: int | None, top: int, new: bool) -> CompletedQuestion:
        order = np.lexsort((-self.scores, self.derived <= 0))  # what axioms derive, then the rest, each by score
        self.ranks = np.empty(len(order), dtype=np.int64)
        self.ranks[order] = np.arange(1, len(order) + 1)
        best = [i for i in order[: top + len(self.known)].tolist() if not (new and i in self.known)][:top]
        facts = self.data.facts
        return CompletedQuestion(
            self.data.name,
            self.name,
            self.side,
            facts.entities[self.given],
            facts.relations[self.relation],
            self.seen,
            len(facts.entities),
            tuple(self._answer(i) for i in best),
            None if asked is None else self._answer(asked),
        )

    def _answer(self, entity: int) -> CompletedFact:
        facts = self.data.facts
        head, tail = (self.given, entity) if self.side == "tail" else (entity, self.given)
        evidence = self.carriers.of(head, self.relation, tail)
        proofs: tuple[str, ...] = ()
        if self.axioms and self.derived[entity] > 0:
            names = facts.entities[head], facts.relations[self.relation], facts.entities[tail]
            proofs = tuple(str(proof) for proof in self.axioms.explain(*names, most=3))
        text = facts.entity_texts[entity] if facts.entity_texts else ""
        rank, score = int(self.ranks[entity]), float(self.scores[entity])
        return CompletedFact(
            rank, facts.entities[entity], text, score, self.known.get(entity, ""), proofs, evidence.between, evidence.similar
        )
