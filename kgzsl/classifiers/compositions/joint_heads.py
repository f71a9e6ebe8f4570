"""Joint heads: a state, an object and, where a graph is given, the pair itself, from one feature row.

Method
------
With x a feature row, columns centred and scaled as in training, the score of a pair (s, o) is

    log p(s | x) + log p(o | x) + α log p((s, o) | x),

the first two by softmax regression, with one hidden layer or none (visual product; Misra et al., CVPR 2017, section 4), the last
over the seen pairs by CGE: ω(x) · φ(s, o), φ from graph convolutions over states, objects and pairs (Naeem et al., CVPR 2021,
equations 2-5). Learned is the sum of the three cross-entropies, with smoothed labels. α is chosen on validation rows by the AUC of
the bias sweep, the epoch too. It is what fine-tuning trains on top of the backbone: every term has a gradient in x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kgzsl.classifiers.base import check_features
from kgzsl.classifiers.compositions.base import CompositionClassifier, Knowledge, PairFeatures
from kgzsl.classifiers.compositions.cge import check_pairs
from kgzsl.classifiers.compositions.image_head import ImageHead
from kgzsl.classifiers.compositions.pair_graph import PairGraph, all_pairs, graph_network
from kgzsl.classifiers.compositions.pair_training import PairLearner, PairSchedule, check_rows, train_on_pairs
from kgzsl.devices import resolve_device
from kgzsl.encoders.dropout import dropout
from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSpace

#: Values of α that are tried on validation rows.
ALPHAS = (0.0, 0.25, 0.5, 1.0, 2.0)
#: Pairs whose embeddings a bundle keeps: all states × all objects up to this many, else those of the closed world.
KEPT_PAIRS = 50_000
_ROWS = 4096


class JointHeads(PairLearner, CompositionClassifier):
    """State and object regression, and CGE's pair logits where a graph is given, on one feature row.

    Parameters
    ----------
    hidden : columns of the heads' hidden layer; 0 for none.
    state_columns, object_columns : first and end of the feature columns that a head sees; None for all. What is known of the states
        may stand here: colours are told apart by early maps, and a head that sees the last map too learns which objects have them.
    embedding : columns of the space of images and pairs (CGE's term); 0 leaves that term out.
    graph_hidden : columns of the graph network's hidden layer.
    dropout : on features, hidden values and the graph network's inputs, while training.
    smoothing : of the labels of states and objects.
    epochs, batch_size, learning_rate, weight_decay, patience, precision : see `PairSchedule`.
    seed : decides initial weights, dropout and the order of images.
    """

    name: ClassVar[str] = "joint_heads"
    source: ClassVar[str] = "Misra et al., CVPR 2017, section 4; Naeem et al., CVPR 2021, eq. 2-5"

    def __init__(
        self,
        *,
        hidden: int = 512,
        state_columns: Sequence[int] | None = None,
        object_columns: Sequence[int] | None = None,
        embedding: int = 256,
        graph_hidden: int = 1024,
        dropout: float = 0.5,
        smoothing: float = 0.1,
        epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        patience: int = 8,
        precision: str = "float32",
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        if hidden < 0 or embedding < 0 or graph_hidden < 1 or not 0 <= dropout < 1 or not 0 <= smoothing < 1:
            raise InvalidInputError(
                "hidden and embedding are at least 0, graph_hidden at least 1, dropout and smoothing in 0…1",
                received=f"{hidden}, {embedding}, {graph_hidden}, {dropout}, {smoothing}",
            )
        self.hidden, self.embedding, self.graph_hidden, self.dropout, self.smoothing = hidden, embedding, graph_hidden, dropout, smoothing
        self.columns = _span("state_columns", state_columns), _span("object_columns", object_columns)
        self.schedule = PairSchedule(epochs, batch_size, learning_rate, weight_decay, patience, precision)
        self.seed, self.device = seed, device
        self.alpha = 0.0
        self.space: CompositionSpace | None = None
        self.history: dict[str, list[float]] = {}

    def settings(self) -> dict[str, Any]:
        s = self.schedule
        return {
            "hidden": self.hidden,
            "state_columns": self.columns[0],
            "object_columns": self.columns[1],
            "embedding": self.embedding,
            "graph_hidden": self.graph_hidden,
            "dropout": self.dropout,
            "smoothing": self.smoothing,
            "epochs": s.epochs,
            "batch_size": s.batch_size,
            "learning_rate": s.learning_rate,
            "weight_decay": s.weight_decay,
            "patience": s.patience,
            "precision": s.precision,
            "seed": self.seed,
        }

    # ---- learning

    def fit(
        self, train: PairFeatures, space: CompositionSpace, knowledge: Knowledge | None, validation: PairFeatures | None = None
    ) -> Self:
        """Learn from feature rows (see `CompositionClassifier.fit`); without knowledge the pairs' own term is left out."""
        check_rows(train, space, validation)
        generator = self.start(train, space, knowledge)
        self.history = train_on_pairs(self, train, validation, space, generator)
        if validation is not None:
            self.choose_alpha(validation)
        return self

    def start(self, train: PairFeatures, space: CompositionSpace, knowledge: Knowledge | None) -> torch.Generator:
        """Draw initial weights for `train`'s columns and return the generator that training goes on with."""
        self.space, place, self.alpha = space, resolve_device(self.device), 0.0
        columns = train.matrix.shape[1]
        spread = train.matrix.std(axis=0)
        # a column that is all but constant in training must not grow into an outlier elsewhere
        least = max(0.1 * float(np.median(spread)), 1e-6)
        self._centre = torch.from_numpy(train.matrix.mean(axis=0)).to(place)
        self._scale = torch.from_numpy((1 / np.maximum(spread, least)).astype(np.float32)).to(place)
        self._build(columns)
        self._graph = self._network = None
        if knowledge is not None and self.embedding:
            network = {"name": "sgcn", "hidden": [self.graph_hidden], "dropout": self.dropout, "device": str(place)}
            self._graph = PairGraph(graph_network(network), space, knowledge)
            self._network = self._graph.build(self.embedding)
            seen = np.flatnonzero(space.seen)
            self._field = self._graph.training(space.pairs[seen])
            self._targets = torch.full((len(space),), -100, dtype=torch.int64, device=place)
            self._targets[torch.from_numpy(seen).to(place)] = torch.arange(len(seen), device=place)
        self._labels = torch.from_numpy(space.pairs).to(place)
        generator = torch.Generator(place).manual_seed(self.seed)
        for module in self.modules():
            module.reset(generator)  # type: ignore[operator]
        self._embedded: tuple[bytes, torch.Tensor] | None = None
        return generator

    def _build(self, columns: int) -> None:
        assert self.space is not None
        place = resolve_device(self.device)
        middle = [self.hidden] if self.hidden else []
        cuts = [slice(*(span or (0, columns))) for span in self.columns]
        if any(cut.stop > columns for cut in cuts):
            raise InvalidInputError("a head sees columns that the features have", received=f"{self.columns} of {columns:,}")
        self._cuts = cuts
        self._states, self._objects = (
            ImageHead([cut.stop - cut.start, *middle, count], self.dropout).to(place)
            for cut, count in zip(cuts, (len(self.space.states), len(self.space.objects)), strict=True)
        )
        self._images = ImageHead([columns, self.embedding], self.dropout).to(place) if self.embedding else None

    def modules(self) -> nn.ModuleList:
        """Return everything that is learned."""
        pair = [self._images, self._network] if self._network is not None else []
        return nn.ModuleList([self._states, self._objects, *filter(None, pair)])

    def start_epoch(self, epoch: int) -> None:
        """Called before every epoch, from 1 on."""

    def standardised(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows `[rows, columns]` centred and scaled, differentiable in them."""
        return (rows - self._centre) * self._scale

    def loss(self, features: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the sum of the mean cross-entropies of standardised rows; labels are positions in the space's pairs."""
        dropped = dropout(features, self.dropout, generator)
        truth = self._labels[labels]
        total = functional.cross_entropy(
            self._states(dropped[:, self._cuts[0]], generator).float(), truth[:, 0], label_smoothing=self.smoothing
        )
        total = total + functional.cross_entropy(
            self._objects(dropped[:, self._cuts[1]], generator).float(), truth[:, 1], label_smoothing=self.smoothing
        )
        if self._network is not None:
            logits = self._images(dropped).float() @ self._network(*self._field, generator).float().T  # type: ignore[misc]
            total = total + functional.cross_entropy(logits, self._targets[labels])
        return total

    def prepared(self, matrix: np.ndarray) -> torch.Tensor:
        """Return rows on the device, standardised."""
        return self.standardised(torch.from_numpy(matrix).to(self._centre.device))

    def choose_alpha(self, validation: PairFeatures) -> float:
        """Set α to the best of `ALPHAS` by the AUC on validation rows, and return that AUC in 0…1."""
        from kgzsl.metrics.compositional import bias_sweep

        assert self.space is not None
        candidates = np.union1d(np.flatnonzero(self.space.seen), validation.labels)
        truth, seen = np.searchsorted(candidates, validation.labels), self.space.seen[candidates]
        pairs = self.space.pairs[candidates]
        parts = self._parts(validation.matrix, pairs, self.embed(pairs))
        tried = ALPHAS if parts[1] is not None else (0.0,)
        found = [float(bias_sweep(_sum(*parts, alpha), truth, seen).auc) for alpha in tried]
        self.alpha = tried[int(np.argmax(found))]
        return max(found)

    # ---- scores

    def scores(self, features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        if self.space is None:
            raise InvalidInputError("a classifier scores after fit", remedy="call its fit first")
        check_features(features, len(self._centre))
        check_pairs(pairs, self.space)
        key = pairs.tobytes()
        if self._embedded is None or self._embedded[0] != key:
            self._embedded = key, self.embed(pairs)
        return self._score(features, self._embedded[1], pairs)

    @torch.no_grad()
    def embed(self, pairs: np.ndarray) -> torch.Tensor:
        """Return `[pairs, 2 + embedding]`: the positions of state and object (exact in float32), and φ."""
        place = self._centre.device
        positions = torch.from_numpy(pairs).to(place).float()
        if self._network is not None:
            assert self._graph is not None
            blocks = [self._network(*self._graph.encoding(pairs[i : i + _ROWS])) for i in range(0, len(pairs), _ROWS)]
            return torch.cat([positions, torch.cat(blocks)], dim=1)
        kept = getattr(self, "_table", None)
        return positions if kept is None else torch.cat([positions, kept[self._place(pairs)]], dim=1)

    def _score(self, features: np.ndarray, embedded: torch.Tensor, pairs: np.ndarray | None = None) -> np.ndarray:
        at = embedded[:, :2].long().cpu().numpy() if pairs is None else pairs
        return _sum(*self._parts(features, at, embedded), self.alpha)

    @torch.no_grad()
    def _parts(self, features: np.ndarray, pairs: np.ndarray, embedded: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Return log p(s|x) + log p(o|x), and log p((s, o)|x) up to a constant of the row, float32 `[rows, pairs]` each."""
        own = np.empty((len(features), len(pairs)), np.float32)
        whole = np.empty_like(own) if embedded.shape[1] > 2 else None
        for start in range(0, len(features), _ROWS):
            rows = slice(start, start + _ROWS)
            prepared = self.prepared(np.ascontiguousarray(features[rows]))
            state = self._states(prepared[:, self._cuts[0]]).log_softmax(1)
            obj = self._objects(prepared[:, self._cuts[1]]).log_softmax(1)
            own[rows] = state.cpu().numpy()[:, pairs[:, 0]] + obj.cpu().numpy()[:, pairs[:, 1]]
            if whole is not None:
                assert self._images is not None
                whole[rows] = (self._images(prepared) @ embedded[:, 2:].T).cpu().numpy()
        return own, whole

    # ---- what a bundle keeps

    def state(self) -> dict[str, np.ndarray]:
        assert self.space is not None
        kept = {"centre": self._centre, "scale": self._scale, "alpha": torch.tensor([self.alpha])}
        for name, module in (("states", self._states), ("objects", self._objects)):
            kept |= {f"{name}/{k}": v for k, v in module.state_dict().items()}
        if self._images is not None and self.alpha:
            count = len(self.space.states) * len(self.space.objects)
            pairs = all_pairs(len(self.space.states), len(self.space.objects)) if count <= KEPT_PAIRS else self.space.pairs
            kept |= {f"images/{k}": v for k, v in self._images.state_dict().items()}
            kept |= {"pairs": torch.from_numpy(np.ascontiguousarray(pairs)), "embedded": self.embed(pairs)[:, 2:]}
        return {name: value.detach().cpu().contiguous().numpy() for name, value in kept.items()}

    def load_state(self, state: Mapping[str, np.ndarray], space: CompositionSpace) -> None:
        try:
            place = resolve_device(self.device)
            self.space = space
            tensors = {k: torch.from_numpy(np.array(v)).to(place) for k, v in state.items()}
            self._centre, self._scale, self.alpha = tensors["centre"], tensors["scale"], float(state["alpha"][0])
            self.embedding = self.embedding if "embedded" in tensors else 0
            self._graph = self._network = None
            self._build(len(self._centre))
            for name, module in (("states", self._states), ("objects", self._objects), ("images", self._images)):
                if module is not None:
                    module.load_state_dict({k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")})
            self._embedded = None
            self._table = tensors.get("embedded")
            if self._table is not None:
                self._row = np.full((len(space.states), len(space.objects)), -1, dtype=np.int64)
                self._row[state["pairs"][:, 0], state["pairs"][:, 1]] = np.arange(len(state["pairs"]))
        except (KeyError, RuntimeError, IndexError, ValueError) as error:
            raise InvalidInputError("the state is that of joint heads on this space", received=str(error)[:300]) from error

    def _place(self, pairs: np.ndarray) -> torch.Tensor:
        rows = self._row[pairs[:, 0], pairs[:, 1]]
        if (rows < 0).any():
            raise InvalidInputError(
                "a bundle of a large world scores the pairs of its closed world",
                received=f"{int((rows < 0).sum()):,} others",
                remedy="fit again and score in the same process",
            )
        return torch.from_numpy(rows).to(self._centre.device)


def _sum(own: np.ndarray, pair: np.ndarray | None, alpha: float) -> np.ndarray:
    return own if pair is None or not alpha else own + np.float32(alpha) * pair


def _span(name: str, given: Sequence[int] | None) -> list[int] | None:
    if given is None:
        return None
    if len(given) != 2 or not 0 <= given[0] < given[1]:
        raise InvalidInputError(f"{name} are a first column and an end beyond it", received=list(given))
    return [int(given[0]), int(given[1])]
