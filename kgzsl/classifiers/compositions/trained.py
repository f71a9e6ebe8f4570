"""What the methods trained on feature rows share: standardised rows, words, the trainer, scores in blocks, what a bundle keeps."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kgzsl.classifiers.base import BLOCK_VALUES, check_features
from kgzsl.classifiers.compositions.augmenting import Oversampling, attacked, check_augmentation
from kgzsl.classifiers.compositions.base import CompositionClassifier, Knowledge, PairFeatures
from kgzsl.classifiers.compositions.cge import check_pairs
from kgzsl.classifiers.compositions.feasibility import concept_vectors
from kgzsl.classifiers.compositions.pair_training import PairLearner, PairSchedule, check_rows, train_on_pairs
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError
from kgzsl.registry import parameters

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSpace

#: Words of states and objects, at length 1: `[states, dim]` and `[objects, dim]`.
Words = tuple[np.ndarray, np.ndarray]


class TrainedCompositions(PairLearner, CompositionClassifier):
    """A network on standardised feature rows, trained by gradient; the epoch is the one with the best validation AUC.

    A method states its network, how pairs are embedded, how rows and embedded pairs are compared, and its loss. It may override what is
    chosen on validation rows after training (`tune`) and which logits states and objects have (`primitive_logits`).

    Parameters
    ----------
    epochs, batch_size, learning_rate, weight_decay, patience, precision : see `PairSchedule`.
    oversampling : additional rows for each row, of pairs that are told badly (see `augmenting.Oversampling`); 0 adds none.
    adversarial : largest step of an attack, in standard deviations of a feature (see `augmenting.attacked`); 0 for none.
    seed : decides initial weights, dropout, the order of rows and both options.
    device : `auto`, `cpu`, `cuda`, `mps`.
    """

    #: Whether states and objects need vectors of their own, and whether feature columns are centred and scaled.
    needs_words: ClassVar[bool] = True
    standardised: ClassVar[bool] = True
    #: What `build` made.
    network: Any

    def __init__(
        self,
        *,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 3e-4,
        weight_decay: float = 5e-5,
        patience: int = 10,
        precision: str = "float32",
        oversampling: float = 0.0,
        adversarial: float = 0.0,
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        check_augmentation(oversampling, adversarial)
        self.schedule = PairSchedule(epochs, batch_size, learning_rate, weight_decay, patience, precision)
        self.oversampling, self.adversarial, self.seed, self.device = oversampling, adversarial, seed, device
        self._fitted = False
        self._dim = 0  # columns of the words
        #: Loss by epoch and the validation AUC, in 0…1, of each epoch where there is a validation part.
        self.history: dict[str, list[float]] = {}

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values; where tensors live is no setting of what was learned."""
        holders = (self, self.schedule)
        names = sorted(parameters(type(self)) - {"device"})
        return {n: next(getattr(h, n) for h in holders if hasattr(h, n)) for n in names}

    # ---- what a method states

    @abstractmethod
    def build(self, columns: int, words: Words | None) -> nn.Module:
        """Return the untrained network for features with `columns` columns; its `reset(generator)` draws the weights."""

    @abstractmethod
    def embedded(self, pairs: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return a row for each of `pairs`, int64 `[pairs, 2]`, differentiable; a generator means training."""

    @abstractmethod
    def compatibility(self, rows: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        """Return scores `[rows, pairs]` of standardised rows for embedded pairs, differentiable; higher is better."""

    @abstractmethod
    def pair_loss(self, rows: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the mean loss of standardised rows `[rows, dim]`; labels are positions in the space's pairs."""

    def primitive_logits(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits `[rows, states]` and `[rows, objects]`: those of seen pairs, summed over what they share."""
        chance = self.compatibility(rows, self.embedded(self._seen_pairs)).float().softmax(1)
        states, objects = (
            chance.new_zeros(len(rows), count).index_add(1, self._seen_pairs[:, k], chance)
            for k, count in enumerate((len(self.space.states), len(self.space.objects)))
        )
        return states.clamp_min(1e-12).log(), objects.clamp_min(1e-12).log()

    def tune(self, validation: PairFeatures) -> None:
        """Choose on validation rows what training does not learn; by default nothing."""

    # ---- learning

    def fit(
        self, train: PairFeatures, space: CompositionSpace, knowledge: Knowledge | None, validation: PairFeatures | None = None
    ) -> Self:
        """Learn from the features of seen pairs (see `CompositionClassifier.fit`).

        Raises
        ------
        InvalidInputError : no knowledge where the method needs some; labels that are no seen pairs, or features that are no finite matrix.
        UnknownNameError : a state or an object has no vector.
        DivergedError : the loss is not finite.
        """
        self._fitted = False
        check_rows(train, space, validation)
        if knowledge is None and (self.needs_words or self.oversampling):
            raise InvalidInputError(f"`{self.name}` learns from vectors of states and objects", received="no knowledge")
        words = concept_vectors(space, knowledge) if knowledge is not None else None
        self._standardise(train.matrix)
        self._start(space, train.matrix.shape[1], words if self.needs_words else None)
        generator = torch.Generator(self._place).manual_seed(self.seed)
        self.network.reset(generator)
        self._oversampling = self._oversampler(train, words)
        self.history = train_on_pairs(self, train, validation, space, generator)
        self._oversampling = None
        if validation is not None:
            self.tune(validation)
        self._fitted = True
        return self

    def _standardise(self, matrix: np.ndarray) -> None:
        columns = matrix.shape[1]
        self._centre, self._scale = np.zeros(columns, np.float32), np.ones(columns, np.float32)
        if self.standardised:
            spread = matrix.std(axis=0, dtype=np.float64)
            # a column that is all but constant in training must not grow into an outlier elsewhere
            floor = max(0.1 * float(np.median(spread)), 1e-6)
            self._centre = matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
            self._scale = (1 / np.maximum(spread, floor)).astype(np.float32)

    def _start(self, space: CompositionSpace, columns: int, words: Words | None) -> None:
        """Make the untrained network and the constants of a space."""
        self.space, self._place = space, resolve_device(self.device)
        self._dim = 0 if words is None else words[0].shape[1]
        self.network = self.build(columns, words).to(self._place)
        seen = torch.from_numpy(np.flatnonzero(space.seen))
        self._pairs = torch.from_numpy(space.pairs.astype(np.int64)).to(self._place)
        self._seen = seen.to(self._place)
        self._seen_pairs = self._pairs[self._seen]
        #: Position of each of the space's pairs among the seen ones; −100, which losses leave out, where it is unseen.
        self._targets = torch.full((len(space),), -100, dtype=torch.int64).index_put((seen,), torch.arange(len(seen))).to(self._place)

    def _oversampler(self, train: PairFeatures, words: Words | None) -> Oversampling | None:
        if not self.oversampling or words is None:
            return None
        targets = self._targets[torch.from_numpy(train.labels).to(self._place)]
        rows, objects = self.prepared(train.matrix), torch.from_numpy(words[1]).to(self._place)
        self._train_rows, self._train_targets = rows, targets
        return Oversampling(self.oversampling, rows, targets, self._seen_pairs, self._seen, objects)

    # ---- what the trainer asks for

    def modules(self) -> nn.ModuleList:
        """Return everything that is learned."""
        return nn.ModuleList([self.network])

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that an epoch changes."""
        return copy.deepcopy(self.network.state_dict())

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Take back what `snapshot` gave."""
        self.network.load_state_dict(snapshot)

    def start_epoch(self, epoch: int) -> None:
        """Called before every epoch, from 1 on."""
        if self._oversampling is not None and epoch > 1:
            self._oversampling.update(self._training_accuracy())

    @torch.no_grad()
    def _training_accuracy(self) -> torch.Tensor:
        """Return the share of right answers among the seen pairs, per seen pair, `[seen]`; 0 where it has no rows."""
        pairs = self.embedded(self._seen_pairs)
        right = torch.cat([self.compatibility(r, pairs).argmax(1) for r in self._train_rows.split(1024)]) == self._train_targets
        count, hits = (torch.bincount(self._train_targets[w], minlength=len(pairs)) for w in (torch.ones_like(right), right))
        return hits / count.clamp_min(1)

    def loss(self, features: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the method's loss of the batch, of its additional rows, and of rows moved by an attack."""
        if self._oversampling is not None:
            features, labels = self._oversampling.extend(features, labels, generator)
        total = self.pair_loss(features, labels, generator)
        if self.adversarial:
            state, obj = self._pairs[labels].T
            moved = attacked(features, state, obj, self.primitive_logits, self.adversarial, generator)
            total = (total + self.pair_loss(moved, labels, generator)) / 2
        return total

    def prepared(self, matrix: np.ndarray) -> torch.Tensor:
        """Return rows on the device, standardised, float32."""
        return torch.from_numpy((np.asarray(matrix, dtype=np.float32) - self._centre) * self._scale).to(self._place)

    @torch.no_grad()
    def embed(self, pairs: np.ndarray) -> torch.Tensor:
        """Return the embeddings of `pairs` `[pairs, 2]`, computed in blocks."""
        given = torch.from_numpy(np.ascontiguousarray(pairs, dtype=np.int64)).to(self._place)
        return torch.cat([self.embedded(block) for block in given.split(4096)])

    @torch.no_grad()
    def _score(self, features: np.ndarray, embedded: torch.Tensor) -> np.ndarray:
        out = np.empty((len(features), len(embedded)), dtype=np.float32)
        size = max(1, BLOCK_VALUES // max(1, self.row_values(), len(embedded)))
        for start in range(0, len(features), size):
            rows = slice(start, start + size)
            out[rows] = self.compatibility(self.prepared(features[rows]), embedded).float().cpu().numpy()
        return out

    def row_values(self) -> int:
        """Return how many values the largest array of `compatibility` holds per row, apart from the scores."""
        return len(self._centre)

    # ---- scores and state

    def scores(self, features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        if not self._fitted:
            raise InvalidInputError("a classifier scores after fit", remedy="call its fit first")
        check_features(features, len(self._centre))
        check_pairs(pairs, self.space)
        return self._score(features, self.embed(pairs))

    def state(self) -> dict[str, np.ndarray]:
        if not self._fitted:
            raise InvalidInputError("a classifier has a state after fit", remedy="call its fit first")
        kept = {f"network/{name}": value.detach().cpu().contiguous().numpy() for name, value in self.network.state_dict().items()}
        return {**kept, "centre": self._centre, "scale": self._scale, "words": np.array([self._dim], dtype=np.int64), **self.tuned()}

    def tuned(self) -> dict[str, np.ndarray]:
        """Return what `tune` chose as named arrays."""
        return {}

    def take_tuned(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `tuned` gave."""

    def load_state(self, state: Mapping[str, np.ndarray], space: CompositionSpace) -> None:
        self._fitted = False
        try:
            self._centre, self._scale = (np.array(state[name], dtype=np.float32) for name in ("centre", "scale"))
            dim = int(state["words"][0])
            blank = tuple(np.zeros((len(names), dim), np.float32) for names in (space.states, space.objects))
            self._start(space, len(self._centre), blank if dim else None)  # type: ignore[arg-type]
            found = {k.removeprefix("network/"): torch.from_numpy(np.array(v)) for k, v in state.items() if k.startswith("network/")}
            self.network.load_state_dict(found)
            self.take_tuned(state)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise InvalidInputError(
                f"the state is that of `{self.name}` with these settings, on this space", received=str(error)[:300]
            ) from error
        self._oversampling = None
        self._fitted = True


def best_by_auc(validation: PairFeatures, space: CompositionSpace, scores: Mapping[float, np.ndarray], candidates: np.ndarray) -> float:
    """Return the key of the scores `[rows, candidates]` with the best validation AUC; `candidates` are positions in the space's pairs."""
    from kgzsl.metrics.compositional import bias_sweep

    truth, seen = np.searchsorted(candidates, validation.labels), space.seen[candidates]
    return max(scores, key=lambda value: float(bias_sweep(scores[value], truth, seen).auc))


def smoothed(logits: torch.Tensor, truth: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Return the mean cross-entropy with smoothed labels, in float32 whatever the logits are."""
    return functional.cross_entropy(logits.float(), truth, label_smoothing=smoothing)
