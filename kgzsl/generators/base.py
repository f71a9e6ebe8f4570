"""What every generator is: features of seen classes + class embeddings → features of classes that nobody has photographed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from kgzsl.classifiers.features import check_training
from kgzsl.classifiers.scaling import Scaling, check_scaling
from kgzsl.devices import resolve_device
from kgzsl.encoders.parallel import join, processes, rank
from kgzsl.encoders.precision import check_precision, mixed
from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.generators.scaling import ColumnScaling, check_column_scaling
from kgzsl.generators.training import Batch, Player, Schedule, Training, train_players
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings, Features

#: Synthetic values that are in memory at once.
BLOCK_VALUES = 16 * 2**20


@dataclass(frozen=True)
class SeenRows:
    """Scaled features of seen classes and their embeddings, on the device of the training.

    Attributes
    ----------
    ids : the seen classes in the order of their ids.
    features : float32 `[rows, dim]`.
    labels : position among `ids` of each row's class, int64 `[rows]`.
    embeddings : float32 `[seen, semantics]`.
    others : embeddings of the classes that have no rows, `[others, semantics]`; only a generator that states
        `uses_unseen_embeddings` is given any.
    """

    ids: tuple[str, ...]
    features: torch.Tensor
    labels: torch.Tensor
    embeddings: torch.Tensor
    others: torch.Tensor


#: How training goes unless told otherwise: no checkpoint, no early stop.
PLAIN = Training()

#: Called now and then during training with the generator as it is and the epoch; returns a score, higher is better.
Validation = Callable[["Generator", int], float]


class Generator(ABC):
    """Learns to draw features of a class from the class's embedding.

    A method states its networks (`build`), the losses of its players in the order in which they move (`players`), and how features
    are drawn (`draw`); one that has a space of its own for the final classifier overrides `represent`. The loop, noise, scaling,
    checkpoints and streaming are here and in `training`.

    Parameters
    ----------
    epochs : passes over the rows: `ceil(rows / batch_size)` rounds each, in which every player moves as often as it says.
    batch_size : rows of a step.
    learning_rate, beta1 : Adam's, for every player that states none of its own.
    ema : decay of the moving average of parameters that draws features in the end; 0 takes the last parameters.
    noise : columns of noise; 0 takes as many as the embeddings have, as f-CLSWGAN does.
    feature_scaling : see `scaling.COLUMN_SCALINGS`; statistics are those of the training rows.
    embedding_scaling : a name from `kgzsl.classifiers.scaling.SCALINGS`, with the statistics of the seen classes' embeddings; `l2`
        brings every embedding to length 1, `centre_l2` does after their mean is taken off.
    precision : `float32`, or `bfloat16` for the networks' products.
    seed : decides initial weights, the order of rows and noise.
    device : `auto`, `cpu`, `cuda`, `mps`.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    #: Whether training looks at the embeddings of classes without rows too, and so must be done again for other classes.
    uses_unseen_embeddings: ClassVar[bool] = False
    #: What `build` made; its state is all that a fitted generator knows.
    networks: nn.ModuleDict
    classes: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        epochs: int = 50,
        batch_size: int = 64,
        learning_rate: float = 1e-4,
        beta1: float = 0.5,
        ema: float = 0.0,
        noise: int = 0,
        feature_scaling: str = "minmax",
        embedding_scaling: str = "l2",
        precision: str = "float32",
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        self.schedule = Schedule(epochs, batch_size, learning_rate, beta1, ema)
        if noise < 0:
            raise InvalidInputError("noise has a number of columns, or 0 for as many as the embeddings", received=noise)
        self.noise, self.feature_scaling, self.embedding_scaling = (
            noise,
            check_column_scaling(feature_scaling),
            check_scaling(embedding_scaling),
        )
        self.precision, self.seed, self.device = check_precision(precision), seed, device

    # ---- what a method states

    @abstractmethod
    def build(self, seen: SeenRows) -> nn.ModuleDict:
        """Return the untrained networks, their weights drawn from `self.rng`; may train on `seen` what stays frozen later.

        Everything that drawing needs is a parameter or buffer of theirs, and its shape depends on the settings, the columns and the
        seen classes alone, not on the rows: a generator is loaded by building on a few random rows and taking the saved state.
        Nothing in them takes random numbers of its own (dropout): the training's come from `self.rng`.
        """

    @abstractmethod
    def players(self, seen: SeenRows) -> Sequence[Player]:
        """Return who moves in a round, in order, each with its own networks, loss and number of steps."""

    @abstractmethod
    def draw(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return scaled features `[rows, dim]` of classes with these embeddings `[rows, semantics]` from noise `[rows, noise]`."""

    def represent(self, features: torch.Tensor) -> torch.Tensor:
        """Return rows `[rows, columns]` that the final classifier works on, of scaled features `[rows, dim]`: these themselves."""
        return features

    def represent_training(self, features: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return what the final classifier learns from of real rows `[rows, dim]`: what it is asked about, unless a method blurs it."""
        return self.represent(features)

    def represent_drawn(self, embeddings: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return rows of the final classifier's space, of classes with these embeddings: drawn features, unless a method draws there."""
        return self.represent(self.draw(embeddings, noise))

    # ---- learning

    def fit(
        self,
        features: np.ndarray,
        labels: Sequence[str],
        embeddings: ClassEmbeddings,
        *,
        validation: Validation | None = None,
        training: Training = PLAIN,
    ) -> Self:
        """Learn from labelled features of seen classes.

        Parameters
        ----------
        features : `[rows, dim]`, rows of seen classes only.
        labels : class id of each row, `[rows]`; the classes that occur are the seen ones.
        embeddings : `[classes, semantics]` of all classes that features may be wanted of; only those of seen classes are learned from,
            unless the generator states `uses_unseen_embeddings`.
        validation : scores the generator every `training.evaluate_every` epochs; the best parameters are kept.
        training : checkpoints, patience, how often is evaluated.

        Raises
        ------
        InvalidInputError : what `FeatureClassifier.fit` refuses: a single seen class, constant features, NaN, rows without labels.
        UnknownNameError : a label has no embedding.
        DivergedError : a loss is not finite or exploded; the last good parameters are kept.
        IncompatibleError : the checkpoint is of another training.
        """
        features = np.asarray(features)
        ids = check_training(features, labels, embeddings)
        device = resolve_device(self.device)
        join(device)
        self.classes = ()
        self.scaling = ColumnScaling.of(self.feature_scaling, features)
        self.rng = torch.Generator(device).manual_seed(self.seed)
        self.semantics, self.dim = embeddings.dim, features.shape[1]
        self.embeddings, self.seen = embeddings, ids
        seen = SeenRows(
            ids,
            torch.from_numpy(self.scaling(features)).to(device),
            torch.from_numpy(positions(labels, ids, "the seen classes")).to(device),
            self._scaled(embeddings.rows(ids)).to(device),
            self.unseen_embeddings().to(device),
        )
        self.networks = self.build(seen).to(device)
        if rank():
            self.rng.manual_seed(self.seed + rank() * 1_000_003)  # the same networks everywhere, other rows and noise
        self.classes = embeddings.ids  # a validation draws features already
        self.history = train_players(self, seen, self.schedule, training, validation)
        return self

    def batch(self, seen: SeenRows) -> Batch:
        """Return a random batch of rows with their labels and embeddings."""
        together, mine = processes(), len(range(rank(), len(seen.labels), processes()))  # under torchrun: rows of one's own
        size = min(max(1, self.schedule.batch_size // together), mine)
        rows = torch.randint(mine, (size,), generator=self.rng, device=self.rng.device) * together + rank()
        labels = seen.labels[rows]
        return Batch(seen.features[rows], labels, seen.embeddings[labels])

    @property
    def notice(self) -> str:
        """Say that negative features were brought to 0…1 for the generator, and that what it draws is brought back; else nothing."""
        low = float(self.scaling.offset.min()) if self.feature_scaling == "minmax" else 0.0
        if low >= 0:
            return ""
        return f"features go down to {low:.4g}: every column was scaled to 0…1 to learn from, and what is drawn is scaled back"

    def noise_columns(self) -> int:
        """Return how many columns of noise there are."""
        return self.noise or self.semantics

    def gaussian(self, rows: int, columns: int | None = None) -> torch.Tensor:
        """Return standard normal noise `[rows, columns]` from the training's one source of randomness."""
        return torch.randn(rows, columns or self.noise_columns(), generator=self.rng, device=self.rng.device)

    def unseen_embeddings(self) -> torch.Tensor:
        """Return the scaled embeddings of the classes without rows, `[others, semantics]`; of no class where they are not used."""
        seen = set(self.seen)
        others = [c for c in self.embeddings.ids if c not in seen] if self.uses_unseen_embeddings else []
        return self._scaled(self.embeddings.rows(others))

    def _scaled(self, embeddings: np.ndarray) -> torch.Tensor:
        scaling = Scaling.of(self.embedding_scaling, self.embeddings.rows(self.seen))
        return torch.from_numpy(np.ascontiguousarray(scaling(embeddings), dtype=np.float32))

    # ---- use

    def synthesise(
        self,
        classes: Sequence[str],
        per_class: int,
        *,
        embeddings: ClassEmbeddings | None = None,
        seed: int = 0,
        represented: bool = False,
    ) -> Iterator[Features]:
        """Yield synthetic features of `classes`, `per_class` rows each, class after class, in blocks of bounded size.

        Rows are in the units of the training features and carry ids `CLASS#NUMBER`. A class's rows depend on its id, embedding and
        `seed` alone, whatever else is asked for. With `represented` they are rows of the final classifier's space, as `represented`
        and `represented_training` give those of real images.

        Raises
        ------
        InvalidInputError : before `fit`, or no rows asked for.
        UnknownNameError : a class without embedding.
        IncompatibleError : `embeddings` of another dimension than those learned from.
        """
        if not self.classes:
            raise InvalidInputError("a generator draws features after fit", remedy="call its fit first")
        if per_class < 1:
            raise InvalidInputError("at least one feature is drawn per class", received=per_class)
        known = embeddings or self.embeddings
        if known.dim != self.semantics:
            raise IncompatibleError(
                f"this generator learned from embeddings with {self.semantics:,} columns",
                received=f"{known.dim:,}",
                remedy="use those it was fitted on",
            )
        rows = self._scaled(known.rows(classes))
        size = max(1, BLOCK_VALUES // (per_class * max(self.dim, self.widest())))
        for start in range(0, len(classes), size):
            part = list(classes[start : start + size])
            drawn = self._drawn(part, rows[start : start + size], per_class, seed, represented)
            drawn = drawn if represented else self.scaling.back(drawn)
            labels = tuple(c for c in part for _ in range(per_class))
            yield Features(tuple(f"{c}#{k}" for c in part for k in range(per_class)), drawn, {"generator": self.name, "seed": seed}, labels)

    def _drawn(self, classes: Sequence[str], embeddings: torch.Tensor, per_class: int, seed: int, represented: bool) -> np.ndarray:
        device = next(self.networks.parameters()).device
        noise = np.concatenate([class_noise(c, per_class, self.noise_columns(), seed) for c in classes])
        self.networks.eval()
        with torch.no_grad(), mixed(self.precision, device):
            draw = self.represent_drawn if represented else self.draw
            drawn = draw(embeddings.repeat_interleave(per_class, dim=0).to(device), torch.from_numpy(noise).to(device))
        return drawn.float().cpu().numpy()

    def widest(self) -> int:
        """Return the columns of the widest layer: they decide how many rows fit into memory."""
        return max((p.shape[0] for p in self.networks.parameters()), default=1)

    def represented(self, features: np.ndarray) -> np.ndarray:
        """Return `represent` of features `[rows, dim]` in their own units, float32 `[rows, columns]`: rows to classify."""
        return self._by_parts(features, self.represent)

    def represented_training(self, features: np.ndarray, seed: int = 0) -> np.ndarray:
        """Return `represent_training` of features `[rows, dim]` in their own units, float32 `[rows, columns]`: rows to learn from.

        A method that blurs rows blurs each on its own: repeat rows to have several views of one.
        """
        noise = torch.from_numpy(class_noise("", len(features), self.noise_columns(), seed))
        return self._by_parts(features, self.represent_training, noise)

    def _by_parts(self, features: np.ndarray, function: Callable[..., torch.Tensor], *more: torch.Tensor) -> np.ndarray:
        device = next(self.networks.parameters()).device
        self.networks.eval()
        rows = (torch.from_numpy(self.scaling(np.asarray(features, dtype=np.float32))), *more)
        parts = zip(*(r.split(8192) for r in rows), strict=True)
        with torch.no_grad():
            return np.concatenate([function(*(p.to(device) for p in part)).float().cpu().numpy() for part in parts])


def class_noise(identifier: str, rows: int, columns: int, seed: int) -> np.ndarray:
    """Return standard normal noise `[rows, columns]`, float32, that depends on the class's id and the seed alone."""
    import hashlib

    key = int.from_bytes(hashlib.sha256(f"{seed}\0{identifier}".encode()).digest()[:16], "little")
    return np.random.Generator(np.random.SFC64(key)).standard_normal((rows, columns), dtype=np.float32)


def settings_of(generator: Generator) -> dict[str, Any]:
    """Return the constructor's arguments as JSON values; where tensors live is no setting of what was learned."""
    from kgzsl.registry import parameters

    names = sorted(parameters(type(generator)) - {"device"})
    return {n: next(getattr(h, n) for h in (generator, generator.schedule) if hasattr(h, n)) for n in names}
