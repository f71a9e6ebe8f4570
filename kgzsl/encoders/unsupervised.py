"""Node embeddings learned from the graph and its texts alone; classifier weights follow in closed form."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from kgzsl.encoders.base import Encoder, check_same_nodes
from kgzsl.encoders.heads import KernelRidgeHead
from kgzsl.errors import DivergedError, IncompatibleError, InvalidInputError
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors

if TYPE_CHECKING:
    from kgzsl.graphs.views import View

_HEAD = "head."


class UnsupervisedEncoder(Encoder):
    """Embeds all nodes of a view without any classifier weights; a head then maps embeddings to weights.

    `learn` makes the node embeddings, `embed` returns them, `[nodes, dim]`. `fit` learns them and fits
    `kgzsl.encoders.heads.KernelRidgeHead` on the seen classes, so that `encode` gives `[nodes, features + 1]` like every other
    encoder. No target decides an embedding, so a second `fit` on the same view and vectors keeps them and fits the head alone.
    Embeddings belong to the nodes that were there when they were learned: other graphs are refused.

    Parameters
    ----------
    seed : decides everything that is drawn.
    device : `auto`, `cpu`, `cuda`, `mps`.
    """

    #: Whether the node vectors take part.
    reads_text: ClassVar[bool] = False

    def __init__(self, *, seed: int = 0, device: str | torch.device = "auto") -> None:
        self.seed, self.device = seed, device
        self._ids: tuple[str, ...] = ()
        self._nodes = np.empty((0, 0), dtype=np.float32)
        self._head = KernelRidgeHead()
        self._learned_on = b""

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed}

    @abstractmethod
    def _train(self, view: View, vectors: Vectors) -> np.ndarray:
        """Return the embeddings of all nodes of `view`, float32 `[nodes, dim]`."""

    def learn(self, view: View, vectors: Vectors) -> Self:
        """Learn the embeddings of all nodes; nothing is done when they were learned on the same view and vectors.

        Raises
        ------
        IncompatibleError : view and vectors name different nodes.
        DivergedError : an embedding is not finite.
        """
        check_same_nodes(view, vectors)
        content = _digest(view, vectors if self.reads_text else None)
        if content != self._learned_on:
            nodes = self._train(view, vectors)
            if not np.isfinite(nodes).all():
                raise DivergedError("node embeddings must stay finite", received=f"NaN or infinity from `{self.name}`")
            self._ids, self._nodes, self._learned_on = view.ids, np.ascontiguousarray(nodes, dtype=np.float32), content
            self._head = KernelRidgeHead()
        return self

    def fit(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> Self:
        at = positions(targets.ids, view.ids, "the graph")
        self.learn(view, vectors)
        self._head = KernelRidgeHead().fit(self._nodes[at], targets.matrix)
        return self

    def embed(self, view: View, nodes: Sequence[str]) -> ClassEmbeddings:
        """Return the embeddings of `nodes` themselves, `[nodes, dim]`; no weights are needed for them.

        Raises
        ------
        InvalidInputError : nothing was learned yet.
        IncompatibleError : the view has other nodes than those that were learned.
        UnknownNameError : one of `nodes` is not a node of the view.
        """
        at = self._at(view, nodes)
        return ClassEmbeddings(tuple(nodes), self._nodes[at], {**self._meta(view), "space": "nodes"})

    def encode(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> ClassEmbeddings:
        check_same_nodes(view, vectors)
        at = self._at(view, nodes)
        if not self._head.fitted:
            raise InvalidInputError(f"`{self.name}` encodes after fit or load", remedy="call fit(view, vectors, targets) first")
        return ClassEmbeddings(tuple(nodes), self._head.predict(self._nodes[at]), {**self._meta(view), "vectors": dict(vectors.meta)})

    def _at(self, view: View, nodes: Sequence[str]) -> np.ndarray:
        if not self._ids:
            raise InvalidInputError(f"`{self.name}` encodes after fit or load", remedy="call fit(view, vectors, targets) first")
        if view.ids != self._ids:
            raise IncompatibleError(
                f"`{self.name}` knows the nodes that it learned, and no others",
                received=f"{len(set(view.ids) - set(self._ids)):,} other nodes",
                remedy="fit it on this graph",
            )
        return positions(nodes, view.ids, "the graph")

    def _meta(self, view: View) -> dict[str, Any]:
        return {"encoder": self.name, "settings": self.settings(), "graph": view.graph_digest}

    def state(self) -> dict[str, np.ndarray]:
        if not self._ids:
            raise InvalidInputError(f"`{self.name}` has no state before fit")
        ids = np.frombuffer("\n".join(self._ids).encode(), dtype=np.uint8)
        return {"ids": ids, "nodes": self._nodes, **{_HEAD + name: value for name, value in self._head.state().items()}}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        try:
            ids, nodes = tuple(np.asarray(state["ids"]).tobytes().decode().split("\n")), np.array(state["nodes"], dtype=np.float32)
        except (KeyError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the state must be that of `{self.name}`", received=f"missing or damaged: {error}") from error
        if nodes.ndim != 2 or len(ids) != len(nodes):
            raise InvalidInputError("the state has one embedding per node", received=f"{len(ids)} ids, embeddings {nodes.shape}")
        head = {name.removeprefix(_HEAD): value for name, value in state.items() if name.startswith(_HEAD)}
        self._head = KernelRidgeHead().load_state(head) if head else KernelRidgeHead()
        self._ids, self._nodes, self._learned_on = ids, nodes, b""


def _digest(view: View, vectors: Vectors | None) -> bytes:
    """Digest of everything that decides embeddings, beside the settings."""
    hasher = hashlib.blake2b("\n".join(view.ids).encode())
    for matrix in view.adjacency:
        for array in (matrix.indptr, matrix.indices, matrix.data):
            hasher.update(b"|")
            hasher.update(np.ascontiguousarray(array).data)
    if vectors is not None:
        hasher.update(vectors.matrix.data)
    return hasher.digest()
