"""Unseen entities known by their texts: a linear map from vectors of texts to a link model's entities, trained with it.

As BLP (Daza, Cochez, Groth, Inductive Entity Representations from Text via Link Prediction, WWW 2021), with the text encoder fixed and the
loss over all answers of training; an entity has no vector of its own, so that one with a text is answered about, seen or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from kgzsl.completion.base import CompletionModel, TrainingFacts
from kgzsl.completion.link_base import MOST_VALID
from kgzsl.completion.links import ComplExLinks
from kgzsl.datasets.completion_set import HEAD, RELATION, TAIL, Triples
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.metrics.filtered_ranking import KnownAnswers, Queries, filtered_ranks, ranking_metrics
from kgzsl.registry import parameters

#: Share of the seen entities that training does without, so that it stops when answers about them are best.
HELD_OUT = 0.1


class _MappedComplEx(ComplExLinks):
    """ComplEx whose entities are a linear map of given features; see `TextEntities`."""

    def __init__(self, features: np.ndarray, hidden: _Hidden, dropout: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._features, self._hidden, self._dropout = torch.from_numpy(features), hidden, dropout

    def _network(self, **shared: Any) -> Any:
        network = super()._network(**shared)
        network.entity_map = nn.Linear(self._features.shape[1], 2 * self.dim, bias=False)
        nn.init.normal_(network.entity_map.weight, std=1e-2 / self._features.shape[1] ** 0.5)
        return network

    def _losses(self, triples: np.ndarray, generator: torch.Generator) -> Callable[[], Iterable[Callable[[], torch.Tensor]]]:
        self._generator, self._features = generator, self._features.to(generator.device)
        return super()._losses(triples, generator)

    def _whole(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mapped vectors of entities, some columns of whose texts are dropped while training, for all alike."""
        features = self._features
        if torch.is_grad_enabled() and self._dropout:
            kept = torch.rand(features.shape[1], generator=self._generator, device=features.device) >= self._dropout
            features = features * (kept / (1 - self._dropout))
        return features @ self.network.entity_map.weight.T, self.flat(self.network.relation_representations[0](indices=None))

    def _run(self, *arguments: Any) -> None:
        super()._run(*arguments)
        self.final_map = self.network.entity_map.weight.detach().clone()  # of the best validation

    def _validation(self, training: TrainingFacts, valid: np.ndarray) -> Callable[[], float]:
        hidden, device = self._hidden, self._features.device
        known = KnownAnswers(hidden.every, len(self.relations))
        features = torch.from_numpy(hidden.features).to(device)

        def mrr() -> float:
            with torch.no_grad():
                self._take(features @ self.network.entity_map.weight.T, self._whole()[1])
                return ranking_metrics(filtered_ranks(self.score, hidden.asked, known, len(features)))["mrr"]

        return mrr


class _Hidden:
    """Facts about entities that training does without, over all seen entities: `asked` of `every`."""

    def __init__(self, features: np.ndarray, asked: np.ndarray, every: np.ndarray) -> None:
        self.features, self.asked, self.every = features, asked, every


class TextEntities(CompletionModel):
    """ComplEx of entities that are a linear map of their texts, trained with the links of seen ones.

    Parameters
    ----------
    text_encoder : a name of `kgzsl list text-encoders`.
    dropout : share of the texts' columns that a step does without.
    dim, regularisation, epochs, batch_size, learning_rate, optimiser, evaluate_every, patience, precision : of the link model; see
        `DotLinks`.
    """

    name = "text-entities"
    source = "after Daza et al., WWW 2021 (BLP), with the text encoder fixed"

    def __init__(
        self,
        *,
        text_encoder: str = "minilm-l6-v2",
        dim: int = 100,
        regularisation: float = 0.1,
        epochs: int = 100,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        optimiser: str = "adam",
        evaluate_every: int = 5,
        patience: int = 15,
        precision: str = "float32",
        dropout: float = 0.3,
    ) -> None:
        if not 0 <= dropout < 1:
            raise InvalidInputError("dropout is 0 or more and below 1", received=repr(dropout))
        self.dropout = dropout
        self.text_encoder, self.dim, self.regularisation, self.epochs, self.batch_size = (
            text_encoder,
            dim,
            regularisation,
            epochs,
            batch_size,
        )
        self.learning_rate, self.optimiser, self.evaluate_every, self.patience = learning_rate, optimiser, evaluate_every, patience
        self.precision = precision
        self._loops = np.zeros(0, dtype=bool)
        self.link: ComplExLinks = ComplExLinks(**self._link_settings())  # settings that make no sense are refused here

    def _link_settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in parameters(type(self)) - {"text_encoder", "dropout"}}

    def fit(self, training: TrainingFacts, relations: np.ndarray | None = None, *, seed: int = 0, device: str = "cpu") -> Self:
        """Fit on the training triples; see `CompletionModel.fit`. Texts of unseen entities are read after training, not in it.

        Raises
        ------
        InvalidInputError : entities without a text.
        """
        features = self.features(training.facts)
        rows = training.facts.triples
        self._loops = np.zeros(len(training.facts.relations), dtype=bool)
        self._loops[rows[rows[:, HEAD] == rows[:, TAIL], RELATION]] = True
        seen = training.seen_entities()
        centre, size = features[seen].mean(axis=0), max(float(features[seen].std()), 1e-12)
        features = np.ascontiguousarray((features - centre) / size)
        mapped = self._mapped(training, features, seen, seed).fit(self._kept, seed=seed, device=device)
        entity_map = mapped.final_map
        self.link = ComplExLinks(**self._link_settings())
        self.link.entities, self.link.relations, self.link.history = training.facts.entities, training.facts.relations, mapped.history
        where = resolve_device(device)
        self.link._take(torch.from_numpy(features).to(where) @ entity_map.T, torch.from_numpy(mapped.relation_vectors()).to(where))
        return self

    def _mapped(self, training: TrainingFacts, features: np.ndarray, seen: np.ndarray, seed: int) -> _MappedComplEx:
        """Return the model to be trained, and put aside what it is trained on: the facts of nine tenths of the seen entities."""
        away = np.sort(np.random.default_rng(seed).permutation(seen)[: max(1, round(HELD_OUT * len(seen)))])
        rows = among(training.facts.triples, seen)
        hidden = np.isin(seen[rows[:, [HEAD, TAIL]]], away).any(axis=1)
        kept = np.unique(rows[~hidden][:, [HEAD, TAIL]])
        if len(kept) < 2 or not hidden.any():
            raise InvalidInputError("some facts are left when a tenth of the entities is held out", received=f"{len(rows):,} facts")
        names = tuple(training.facts.entities[i] for i in seen[kept].tolist())
        facts = Triples(names, training.facts.relations, among(rows[~hidden], kept))
        self._kept = TrainingFacts(facts, np.zeros((0, 3), dtype=np.int64), np.zeros((0, 3), dtype=np.int64))
        asked = _Hidden(features[seen], rows[hidden][:MOST_VALID], rows)
        return _MappedComplEx(features[seen[kept]], asked, self.dropout, **self._link_settings())

    def features(self, facts: Triples) -> np.ndarray:
        """Return the vectors of the entities' texts, float32 `[entities, dim]`."""
        from kgzsl.vectors import make_text_encoder

        bare = [name for name, text in zip(facts.entities, facts.entity_texts or ("",) * len(facts.entities), strict=True) if not text]
        if bare:
            raise InvalidInputError(
                "every entity has a text",
                received=f"{len(bare):,} have none: {first_five(bare)}",
                remedy="put entity2text beside the triples",
            )
        return make_text_encoder(self.text_encoder).encode(list(facts.entity_texts), oov="zero")

    def entity_vectors(self) -> np.ndarray:
        """Return the vector of every entity, seen or not, float32 `[entities, 2 · dim]`."""
        return self.link.entity_vectors()

    def score(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return ComplEx's scores, the lowest of all to an entity as an answer about itself unless training has such a fact."""
        scores = self.link.score(queries, columns)
        place = np.asarray(queries.given) if columns is None else np.searchsorted(columns, queries.given).clip(max=len(columns) - 1)
        itself = np.ones(len(queries), dtype=bool) if columns is None else columns[place] == queries.given
        rows = np.flatnonzero(itself & ~self._loops[queries.relation])
        if len(rows):
            at = tuple(torch.from_numpy(np.ascontiguousarray(i)).to(scores.device) for i in (rows, place[rows]))
            scores[at] = scores.min() - 1
        return scores


def among(triples: np.ndarray, entities: np.ndarray) -> np.ndarray:
    """Return triples numbered by their entities' places in `entities`, which is ascending and holds all of them."""
    heads, tails = (np.searchsorted(entities, triples[:, k]) for k in (HEAD, TAIL))
    return np.stack([heads, triples[:, RELATION], tails], axis=1)
