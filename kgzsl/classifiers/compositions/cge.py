"""CGE: compositional graph embeddings (Naeem et al., CVPR 2021).

Method
------
States, objects and pairs are nodes. A pair is joined to its state and its object, and these to one another; every node is joined to
itself, and rows of the adjacency are divided by their sums: Â = D⁻¹(A + I). The input of a state or an object is its word vector,
that of a pair the mean of its two. Two convolutions give the embedding of every node (section 3.2),

    H' = ReLU(Â H Θ),

and an image with features x has the compatibility ω(x) · φ(s, o) with a pair, ω being a small network, or the identity. Learned is
the cross-entropy over the pairs of the training set (equation 5).

What differs from the published code: only the receptive field of the training pairs is computed in a step, rows of Φ are the same;
word vectors have length 1; the epoch is chosen by the validation AUC; LeakyReLU is this package's. Any network of the encoders'
registry may take the place of the two convolutions, and any edge of the graph beside those of pairs is taken: outside knowledge.
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
from kgzsl.classifiers.compositions.image_head import ImageHead
from kgzsl.classifiers.compositions.pair_graph import PairGraph, all_pairs, graph_network
from kgzsl.classifiers.compositions.pair_training import PairLearner, PairSchedule, check_rows, train_on_pairs
from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSpace
    from kgzsl.encoders.regression import WeightRegressionEncoder

#: Pairs whose embeddings are computed at once, and rows of features that are scored at once.
PAIR_BLOCK, ROW_BLOCK = 4096, 4096


class CGE(PairLearner, CompositionClassifier):
    """Graph convolutions over states, objects and pairs, trained by cross-entropy over the training pairs.

    Parameters
    ----------
    encoder : the graph network, `{name: NAME, SETTING: …}` of the encoders' registry. What it does not say is CGE's: one hidden
        layer of 4,096 columns, dropout 0.5, and where it samples neighbours, all of them.
    embedding : columns of the space of images and pairs; None takes the features as they are (the end-to-end setting; also the better
        one on the fashion photographs with frozen features: validation AUC 22 against 20 with 512 columns).
    image_hidden : hidden layers of the image's network; none without an embedding.
    image_dropout, feature_dropout : in that network, and on the features that enter it (or are taken as they are).
    world : `closed`: the graph has the pairs of the benchmark's lists; `open`: all states × all objects.
    epochs, batch_size, learning_rate, weight_decay, patience, precision : see `PairSchedule`.
    seed : decides initial weights, dropout and the order of images.
    device : `auto`, `cpu`, `cuda`, `mps`.
    """

    name: ClassVar[str] = "cge"
    source: ClassVar[str] = "Naeem et al., Learning Graph Embeddings for Compositional Zero-shot Learning, CVPR 2021, eq. 2-5"

    def __init__(
        self,
        *,
        encoder: Mapping[str, Any] | None = None,
        embedding: int | None = None,
        image_hidden: Sequence[int] = (),
        image_dropout: float = 0.5,
        feature_dropout: float = 0.0,
        world: str = "closed",
        epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        weight_decay: float = 5e-5,
        patience: int = 20,
        precision: str = "float32",
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        if embedding is None and image_hidden:
            raise InvalidInputError(
                "hidden layers of the image's network lead to an embedding", received=f"{list(image_hidden)}", remedy="image_hidden: []"
            )
        if any(n < 1 for n in (*image_hidden, 1 if embedding is None else embedding)) or not (
            0 <= image_dropout < 1 and 0 <= feature_dropout < 1
        ):
            raise InvalidInputError(
                "layers have at least one column and dropout is in 0…1",
                received=f"{embedding}, {list(image_hidden)}, {image_dropout} and {feature_dropout}",
            )
        self.encoder = dict(encoder or {"name": "sgcn"})
        self.embedding, self.image_hidden = embedding, list(image_hidden)
        self.image_dropout, self.feature_dropout = image_dropout, feature_dropout
        self.world, self.seed, self.device = world, seed, device
        self.schedule = PairSchedule(epochs, batch_size, learning_rate, weight_decay, patience, precision)
        self.graph: PairGraph | None = None
        self._table: torch.Tensor | None = None
        #: Loss by epoch and the validation AUC, in 0…1, of each epoch where there is a validation part.
        self.history: dict[str, list[float]] = {}

    def settings(self) -> dict[str, Any]:
        s = self.schedule
        return {
            "encoder": dict(self.encoder),
            "embedding": self.embedding,
            "image_hidden": self.image_hidden,
            "image_dropout": self.image_dropout,
            "feature_dropout": self.feature_dropout,
            "world": self.world,
            "epochs": s.epochs,
            "batch_size": s.batch_size,
            "learning_rate": s.learning_rate,
            "weight_decay": s.weight_decay,
            "patience": s.patience,
            "precision": s.precision,
            "seed": self.seed,
        }

    def fit(
        self, train: PairFeatures, space: CompositionSpace, knowledge: Knowledge | None, validation: PairFeatures | None = None
    ) -> Self:
        """Learn from the features of seen pairs (see `CompositionClassifier.fit`).

        Raises
        ------
        InvalidInputError : no knowledge; labels that are no seen pairs, or features that are no finite matrix.
        UnknownNameError : a state or an object is no node of the graph.
        DivergedError : the loss is not finite.
        """
        if knowledge is None:
            raise InvalidInputError(f"`{self.name}` learns from a graph of compositions and vectors of its nodes", received="no knowledge")
        check_rows(train, space, validation)
        self._columns = train.matrix.shape[1]
        self._space, self._knowledge = space, knowledge
        self.graph = self._pair_graph()
        sizes, place = self._sizes(self._columns), self.graph.device
        self._place, self._table = place, None
        self._images = ImageHead(sizes, self.image_dropout, self.feature_dropout).to(place)
        self._network = self.graph.build(sizes[-1])
        generator = torch.Generator(place).manual_seed(self.seed)
        for module in (self._images, self._network):
            module.reset(generator)  # type: ignore[operator]
        self._seen = np.flatnonzero(space.seen)
        self._standardise(train.matrix)
        self._prepare()
        self.history = train_on_pairs(self, train, validation, space, generator)
        self._embedded: tuple[bytes, torch.Tensor] | None = None
        return self

    # ---- what the trainer asks for

    def modules(self) -> nn.ModuleList:
        """Return everything that is learned."""
        return nn.ModuleList([self._images, self._network])

    def loss(self, features: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the mean cross-entropy of rows `[rows, dim]`; labels are positions in the space's pairs."""
        logits = self.compatibility(self._images(features, generator), self._network(*self._train_field, generator))
        return functional.cross_entropy(logits, self._targets[labels])

    def compatibility(self, images: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        """Return ω(x) · φ(s, o), `[rows, pairs]`, for embedded images `[rows, dim]` and pairs `[pairs, dim]`."""
        return images @ pairs.T

    def _pair_graph(self) -> PairGraph:
        return PairGraph(self._graph_network(), self._space, self._knowledge, world=self.world)

    def _graph_network(self) -> WeightRegressionEncoder:
        ours = {"hidden": (4096,), "dropout": 0.5, "neighbours": None, "seed": self.seed, "device": self.device}
        return graph_network(self.encoder, ours)

    def _prepare(self) -> None:
        """Make the receptive field of the training pairs, once."""
        assert self.graph is not None
        self._train_field = self.graph.training(self._space.pairs[self._seen])
        self._targets = _positions(self._seen, len(self._space), self.graph.device)

    def _standardise(self, matrix: np.ndarray) -> None:
        self._centre = matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._scale = float(1 / max(np.sqrt(np.mean((matrix - self._centre) ** 2)), 1e-12))

    def prepared(self, matrix: np.ndarray) -> torch.Tensor:
        """Return features on the device, centred and scaled as those of the training rows."""
        return torch.from_numpy((matrix - self._centre) * np.float32(self._scale)).to(self._place)

    # ---- what a bundle keeps

    def state(self) -> dict[str, np.ndarray]:
        """Return the image's network, how features are scaled, and the embeddings of all states × objects."""
        self._check_fitted()
        every = all_pairs(len(self._space.states), len(self._space.objects))
        images = {f"images.{name}": value.cpu().numpy() for name, value in self._images.state_dict().items()}
        scaling = {"centre": self._centre, "scale": np.array([self._scale], dtype=np.float32)}
        return {**images, **scaling, "pairs": self.embed(every).cpu().numpy()}

    def load_state(self, state: Mapping[str, np.ndarray], space: CompositionSpace) -> None:
        self._space, self._columns = space, len(state["centre"]) if "centre" in state else 1
        self._images = ImageHead(self._sizes(self._columns), self.image_dropout, self.feature_dropout)
        wanted = {f"images.{name}": tuple(value.shape) for name, value in self._images.state_dict().items()}
        wanted |= {"centre": (self._columns,), "scale": (1,)}
        wanted["pairs"] = (len(space.states) * len(space.objects), self._sizes(self._columns)[-1])
        shapes = {name: value.shape for name, value in state.items()}
        if shapes != wanted:
            raise InvalidInputError(f"the state of `{self.name}` holds arrays of these shapes: {wanted}", received=shapes)
        self._images.load_state_dict({n.removeprefix("images."): torch.from_numpy(v) for n, v in state.items() if n.startswith("images.")})
        self._place = resolve_device(self.device)
        self._images.to(self._place)
        self._centre, self._scale = state["centre"], float(state["scale"][0])
        self._table, self._embedded = torch.from_numpy(state["pairs"]).to(self._place), None

    def _sizes(self, columns: int) -> list[int]:
        return [columns, *self.image_hidden, *([] if self.embedding is None else [self.embedding])]

    def _check_fitted(self) -> None:
        if self.graph is None and self._table is None:
            raise InvalidInputError("a classifier scores after fit", remedy="call its fit first")

    # ---- scores

    def scores(self, features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        self._check_fitted()
        check_features(features, self._columns)
        check_pairs(pairs, self._space)
        key = pairs.tobytes()
        if self._embedded is None or self._embedded[0] != key:
            self._embedded = key, self.embed(pairs)
        return self._score(features, self._embedded[1])

    @torch.no_grad()
    def embed(self, pairs: np.ndarray) -> torch.Tensor:
        """Return the embeddings of `pairs` `[pairs, 2]`, float32 `[pairs, dim]`, computed in blocks."""
        if self._table is not None:
            return self._table[torch.from_numpy(pairs[:, 0] * len(self._space.objects) + pairs[:, 1]).to(self._place)]
        assert self.graph is not None
        blocks = [pairs[start : start + PAIR_BLOCK] for start in range(0, len(pairs), PAIR_BLOCK)]
        return torch.cat([self._network(*self.graph.encoding(block)) for block in blocks])

    @torch.no_grad()
    def _score(self, features: np.ndarray, embedded: torch.Tensor) -> np.ndarray:
        out = np.empty((len(features), len(embedded)), dtype=np.float32)
        for start in range(0, len(features), ROW_BLOCK):
            rows = slice(start, start + ROW_BLOCK)
            out[rows] = self.compatibility(self._images(self.prepared(features[rows])), embedded).cpu().numpy()
        return out


def check_pairs(pairs: np.ndarray, space: CompositionSpace) -> None:
    """Raise InvalidInputError unless `pairs` are positions of states and objects of the space, `[pairs, 2]`."""
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs) or not np.issubdtype(pairs.dtype, np.integer):
        raise InvalidInputError(
            "pairs to score are positions of a state and an object, [pairs, 2]", received=f"{pairs.dtype} {pairs.shape}"
        )
    if pairs.min() < 0 or pairs[:, 0].max() >= len(space.states) or pairs[:, 1].max() >= len(space.objects):
        raise InvalidInputError(
            "pairs to score are made of states and objects that the classifier was fitted with",
            received=f"positions up to {pairs.max(axis=0).tolist()} of {len(space.states)} states and {len(space.objects)} objects",
        )


def _positions(some: np.ndarray, count: int, device: torch.device) -> torch.Tensor:
    """Return where each of `count` stands among `some`, −100 (ignored by the loss) where it does not, int64 `[count]`."""
    place = torch.full((count,), -100, dtype=torch.int64, device=device)
    place[torch.from_numpy(some).to(device)] = torch.arange(len(some), device=device)
    return place
