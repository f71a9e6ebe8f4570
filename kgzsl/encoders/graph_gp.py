"""graph_gp: closed-form kernel regression of classifier weights from a hypernym graph and its texts.

Method
------
Let Y `[seen, features + 1]` be the L2-normalised classifier weights of the seen classes S and k a mixture of
kernels between nodes (`kernels.py`). The weights of any node u are predicted in closed form,

    ŵ(u) = k(u, S) (K_SS + λI)⁻¹ Y,   then normalised to length 1.                              (1)

A node with hyponyms is a union of them: its classifier moves towards the mean of its direct hyponyms'
(their own weights where they are seen), and is scaled by its size, the number of its descendants:

    w(u) = size(u)^η · unit((1 − μ) ŵ(u) + μ unit(mean over hyponyms)).                         (2)

Mixture, scales, λ, η and μ are learned on seen classes alone (`leave_out.py`): groups of seen classes are left
out, (1) is solved without them, and two questions are asked of the held-out classes' true weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.encoders.base import Encoder, check_same_nodes, unit_rows
from kgzsl.encoders.kernels import KERNELS, NodeKernels, combine
from kgzsl.encoders.leave_out import Hyperparameters, learn
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors
from kgzsl.vectors.descriptions import blocks

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View

#: Size of the prior mean beside a regression of unit rows.
PRIOR = 1e-7
#: Nodes whose kernel rows are made at once.
CHUNK = 4096


class GraphGP(Encoder):
    """Closed-form kernel regression of weights; mixture, scales and ridge learned on seen classes by leave-group-out.

    Parameters
    ----------
    kernels : names from `kernels.KERNELS`; None takes all that the vectors allow: `descriptions` needs joined vectors
        (`kgzsl.vectors.join`).
    steps : gradient steps on the hyper-parameters (each a closed-form solve).
    seed : draws the groups of seen classes and the distractors.
    """

    name = "graph_gp"
    source = "kgzsl; Gaussian-process regression with graph kernels (Smola and Kondor, 2003) and text kernels"

    def __init__(self, *, kernels: Sequence[str] | None = None, steps: int = 40, seed: int = 0) -> None:
        unknown = [k for k in kernels or () if k not in KERNELS]
        if kernels is not None and (unknown or not kernels or len(set(kernels)) != len(kernels)):
            raise InvalidInputError(
                "kernels are distinct known names",
                received=first_five(unknown or kernels or ["none"]),
                remedy=f"choose from: {', '.join(KERNELS)}",
            )
        if steps < 0:
            raise InvalidInputError("steps is at least 0", received=steps)
        self.kernels, self.steps, self.seed = None if kernels is None else tuple(kernels), steps, seed
        self._mixture: tuple[str, ...] = ()
        self._seen: tuple[str, ...] = ()
        self._weights = np.empty((0, 0), dtype=np.float32)
        self._inverse = torch.empty(0, 0)
        self.hyperparameters: Hyperparameters | None = None

    def settings(self) -> dict[str, Any]:
        return {"kernels": None if self.kernels is None else list(self.kernels), "steps": self.steps, "seed": self.seed}

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import directed

        return directed(graph, "hypernym")

    def fit(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> Self:
        check_same_nodes(view, vectors)
        if len(targets) < 10:
            raise InvalidInputError("graph_gp learns from at least 10 seen classes", received=len(targets))
        seen = positions(targets.ids, view.ids, "the graph")
        self._seen, self._weights = targets.ids, unit_rows(targets.matrix).astype(np.float32)
        self._mixture = _possible(self.kernels, vectors)
        features = NodeKernels(view.adjacency[0], blocks(vectors), seen, self._mixture)
        self.hyperparameters = learn(features, view.adjacency[0], self._weights, self._mixture, self.steps, self.seed)
        self._solve(features)
        return self

    def _solve(self, features: NodeKernels) -> None:
        """(K_SS + λI)⁻¹, kept for predictions and for their explanation."""
        h = self._fitted()
        kernel = combine(features.similarities(features.seen), self._mixture, h.log_weights, h.log_scales)
        inverse = torch.linalg.inv(kernel.double() + h.ridge * torch.eye(len(features.seen), dtype=torch.float64))
        self._inverse = inverse.float().contiguous()  # LAPACK gives columns; saved and loaded are rows, and bits follow the layout

    def encode(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> ClassEmbeddings:
        h, features = self._features(view, vectors)
        asked = positions(nodes, view.ids, "the graph")
        hyponyms = sp.csr_matrix(view.adjacency[0].T)[asked]
        hyponyms.data[:] = 1.0
        rows = np.unique(np.concatenate([asked, hyponyms.indices]))
        at = np.searchsorted(rows, asked)
        regressed = self._regress(features, rows)
        known = np.full(len(view.ids), -1)
        known[features.seen] = np.arange(len(features.seen))
        below = np.where(known[rows][:, None] >= 0, self._weights[known[rows]], regressed)
        pooled = hyponyms[:, rows] @ below
        mixed = mix_hyponyms(torch.from_numpy(regressed[at]), torch.from_numpy(np.asarray(pooled, dtype=np.float32)), h.pooling).numpy()
        scale = features.size[asked] ** h.generality
        meta = {"encoder": self.name, "settings": self.settings(), "graph": view.graph_digest, "vectors": dict(vectors.meta)}
        return ClassEmbeddings(tuple(nodes), mixed * scale[:, None], meta)

    def influence(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> np.ndarray:
        """Return each seen class's coefficient in eq. (1), `[nodes, seen]`: what a prediction is made of."""
        _, features = self._features(view, vectors)
        rows = positions(nodes, view.ids, "the graph")
        return np.concatenate([(self._kernel(features, chunk) @ self._inverse).numpy() for chunk in _chunks(rows)])

    def _regress(self, features: NodeKernels, rows: np.ndarray) -> np.ndarray:
        """Eq. (1) for the nodes at `rows`, unit rows `[rows, features + 1]`."""
        weights = torch.from_numpy(self._weights)
        coefficients = self._inverse @ weights
        # a trace of the prior mean: where the kernels say nothing at all, it decides; elsewhere it is beneath rounding
        prior = PRIOR * weights.mean(dim=0)
        parts = [torch.nn.functional.normalize(self._kernel(features, chunk) @ coefficients + prior).numpy() for chunk in _chunks(rows)]
        return np.concatenate(parts)

    def _kernel(self, features: NodeKernels, rows: np.ndarray) -> torch.Tensor:
        h = self._fitted()
        return combine(features.similarities(rows), self._mixture, h.log_weights, h.log_scales)

    def _features(self, view: View, vectors: Vectors) -> tuple[Hyperparameters, NodeKernels]:
        h = self._fitted()
        check_same_nodes(view, vectors)
        _possible(self._mixture, vectors)
        seen = positions(self._seen, view.ids, "the graph")
        return h, NodeKernels(view.adjacency[0], blocks(vectors), seen, self._mixture)

    def _fitted(self) -> Hyperparameters:
        if self.hyperparameters is None:
            raise InvalidInputError(f"`{self.name}` encodes after fit or load", remedy="call fit(view, vectors, targets) first")
        return self.hyperparameters

    def state(self) -> dict[str, np.ndarray]:
        h = self._fitted()
        return {
            "seen": _to_bytes(self._seen),
            "mixture": _to_bytes(self._mixture),
            "weights": self._weights,
            "inverse": self._inverse.numpy(),
            **h.arrays(),
        }

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        try:
            self._seen, self._mixture = _from_bytes(state["seen"]), _from_bytes(state["mixture"])
            self.hyperparameters = Hyperparameters.from_arrays(state, len(self._mixture))
            self._weights, self._inverse = np.array(state["weights"]), torch.from_numpy(np.array(state["inverse"]))
        except (KeyError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the state must be that of `{self.name}`", received=f"missing or damaged: {error}") from error
        if not len(self._seen) == len(self._weights) == len(self._inverse):
            raise InvalidInputError("the state has one weight row per seen class", received=f"{len(self._seen)}, {len(self._weights)}")


def mix_hyponyms(own: torch.Tensor, pooled: torch.Tensor, pooling: torch.Tensor | float) -> torch.Tensor:
    """Return unit((1 − μ) own + μ unit(pooled)), `[rows, dim]`; rows without hyponyms (all zeros) keep their own."""
    has = (pooled != 0).any(dim=1, keepdim=True)
    mixed = (1 - pooling) * own + pooling * torch.nn.functional.normalize(pooled)
    return torch.nn.functional.normalize(torch.where(has, mixed, own))


def _possible(kernels: Sequence[str] | None, vectors: Vectors) -> tuple[str, ...]:
    """The kernels that `vectors` have the texts for; asking for another one is an error."""
    without = [] if "descriptions" in blocks(vectors) else ["descriptions"]
    if kernels is None:
        return tuple(k for k in KERNELS if k not in without)
    if set(kernels) & set(without):
        raise InvalidInputError(
            "the kernel `descriptions` needs vectors with descriptions",
            received=f"vectors with {', '.join(blocks(vectors))}",
            remedy="join them (`kgzsl.vectors.join`; `--descriptions FILE`), or leave the kernel out",
        )
    return tuple(kernels)


def _to_bytes(names: Sequence[str]) -> np.ndarray:
    return np.frombuffer("\n".join(names).encode(), dtype=np.uint8)


def _from_bytes(array: np.ndarray) -> tuple[str, ...]:
    return tuple(array.tobytes().decode().split("\n"))


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
