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

With `landmarks` Z, a random part of S, the regression is that of the subset of regressors (Smola and Bartlett, 2001),
ŵ(u) = k(u, Z) (K_ZS K_SZ + λ K_ZZ)⁻¹ K_ZS Y, and (1) where Z = S: tens of thousands of seen classes cost no cubic solve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.encoders.base import Encoder, check_same_nodes, unit_rows
from kgzsl.encoders.kernels import FURTHER, KERNELS, OF_RELATION, NodeKernels, bases, combine, relation_of
from kgzsl.encoders.leave_out import GROUPS, Hyperparameters, Questions, asked_rows, learn
from kgzsl.encoders.predictive import Calibration, calibrate
from kgzsl.errors import IncompatibleError, InvalidInputError, first_five
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors
from kgzsl.vectors.descriptions import blocks

if TYPE_CHECKING:
    from kgzsl.encoders.later import LaterClasses
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
    kernels : names from `kernels.KERNELS` and `kernels.FURTHER`, or `laplacian:RELATION` and `profile:RELATION` with a relation
        of the graph or `any`; None takes all of `KERNELS` that the vectors allow: `descriptions` needs joined vectors
        (`kgzsl.vectors.join`).
    also : kernels taken beside those.
    landmarks : at most so many seen classes are regressed on, drawn at random; None is all.
    steps : gradient steps on the hyper-parameters (each a closed-form solve).
    seed : draws the groups of seen classes, the distractors and the landmarks.
    """

    name = "graph_gp"
    source = "kgzsl; Gaussian-process regression with graph kernels (Smola and Kondor, 2003) and text kernels"
    closed_form = True

    def __init__(
        self,
        *,
        kernels: Sequence[str] | None = None,
        also: Sequence[str] = (),
        landmarks: int | None = None,
        steps: int = 40,
        seed: int = 0,
    ) -> None:
        named = [*(KERNELS if kernels is None else kernels), *also]
        unknown = [k for k in named if not _known(k)]
        if unknown or not named or len(set(named)) != len(named):
            raise InvalidInputError(
                "kernels are distinct known names",
                received=first_five(unknown or named or ["none"]),
                remedy=f"choose from: {', '.join([*KERNELS, *FURTHER, *(f'{kind}:RELATION' for kind in OF_RELATION)])}",
            )
        if steps < 0:
            raise InvalidInputError("steps is at least 0", received=steps)
        if landmarks is not None and landmarks < 10:
            raise InvalidInputError("landmarks are at least 10 seen classes", received=landmarks)
        self.kernels, self.also = None if kernels is None else tuple(kernels), tuple(also)
        self.landmarks, self.steps, self.seed = landmarks, steps, seed
        #: Relations whose edges the view holds after the hypernyms.
        self.relations = tuple(dict.fromkeys(r for r in map(relation_of, named) if r is not None))
        self._mixture: tuple[str, ...] = ()
        self._seen: tuple[str, ...] = ()
        self._landmarks: tuple[str, ...] = ()
        self._weights = np.empty((0, 0), dtype=np.float32)
        self._inverse = torch.empty(0, 0)
        self.hyperparameters: Hyperparameters | None = None

    def settings(self) -> dict[str, Any]:
        return {
            "kernels": None if self.kernels is None else list(self.kernels),
            "also": list(self.also),
            "landmarks": self.landmarks,
            "steps": self.steps,
            "seed": self.seed,
        }

    def view(self, graph: KnowledgeGraph) -> View:
        """Return the hypernym edges, and after them those of every relation that a kernel is of, as stated."""
        from kgzsl.graphs.views import View, directed, stated

        hypernyms = directed(graph, "hypernym")
        if not self.relations:
            return hypernyms
        every = [r.id for r in graph.relations]
        others = [stated(graph, every if relation == "any" else [relation]) for relation in self.relations]
        return View(graph.ids, (*hypernyms.adjacency, *others), f"{hypernyms.name} | {' | '.join(self.relations)}", graph.digest)

    def fit(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> Self:
        self._fit_all(view, vectors, [targets], [self])
        return self

    def fit_many(self, view: View, vectors: Vectors, targets: Sequence[ClassifierWeights], *, joint: bool = False) -> list[Self]:
        """Return an encoder of the same settings for each of several backbones, fitted with the kernels made once.

        Parameters
        ----------
        targets : classifier weights of the same seen classes by each backbone, `[seen, features + 1]`, in one order.
        joint : learn one mixture for all backbones, in the time that one takes; else each has its own, and every encoder is
            the same as one fitted by itself.

        Raises
        ------
        IncompatibleError : the backbones' classes differ.
        """
        if not targets or any(t.ids != targets[0].ids for t in targets):
            raise IncompatibleError(
                "several backbones are fitted on the same seen classes in one order",
                received=f"{len(targets)} matrices of {[len(t) for t in targets]} classes",
                remedy="select the classes that all of them have",
            )
        fitted = [type(self)(**self.settings()) for _ in targets]
        self._fit_all(view, vectors, targets, fitted, joint=joint)
        return fitted

    def _fit_all(
        self, view: View, vectors: Vectors, targets: Sequence[ClassifierWeights], encoders: Sequence[GraphGP], *, joint: bool = False
    ) -> None:
        check_same_nodes(view, vectors)
        if len(targets[0]) < 10:
            raise InvalidInputError("graph_gp learns from at least 10 seen classes", received=len(targets[0]))
        positions(targets[0].ids, view.ids, "the graph")
        parents, landmarks = view.adjacency[0], self._drawn(targets[0].ids)
        mixture = _possible(self.kernels, self.also, vectors)
        weights = [unit_rows(t.matrix).astype(np.float32) for t in targets]
        seen = positions(targets[0].ids, view.ids, "the graph")
        rows = np.union1d(asked_rows(parents, positions(landmarks, view.ids, "the graph"), self.seed), seen)
        features = self._kernels(view, vectors, landmarks, mixture, rows)
        questions = Questions(features, parents, mixture, self.seed)
        at = positions(landmarks, targets[0].ids, "the seen classes")
        regressed = [w[at] for w in weights] if len(at) < len(targets[0]) else weights
        asked = [regressed] if joint else [[w] for w in regressed]
        learned = [h for several in asked for h in learn(questions, several, self.steps)]
        for encoder, own, hyperparameters in zip(encoders, weights, learned, strict=True):
            encoder._seen, encoder._landmarks, encoder._mixture = targets[0].ids, landmarks, mixture
            encoder._weights, encoder.hyperparameters = own, hyperparameters
            encoder._solve(features, questions.among_seen, seen)

    def _drawn(self, seen: tuple[str, ...]) -> tuple[str, ...]:
        """The seen classes that are regressed on, in their order."""
        if self.landmarks is None or self.landmarks >= len(seen):
            return seen
        drawn = np.random.default_rng(self.seed).choice(len(seen), self.landmarks, replace=False)
        return tuple(seen[i] for i in np.sort(drawn))

    def _solve(self, features: NodeKernels, among: dict[str, torch.Tensor], seen: np.ndarray) -> None:
        """(K_SS + λI)⁻¹, or what stands in its place with landmarks: kept for predictions and for their explanation."""
        h = self._fitted()
        kernel = combine(among, self._mixture, h.log_weights, h.log_scales).double()
        if len(self._landmarks) == len(self._seen):
            inverse = torch.linalg.inv(kernel + h.ridge * torch.eye(len(kernel), dtype=torch.float64))
        else:
            across = torch.cat([self._kernel(features, chunk) for chunk in _chunks(seen)]).double().T
            inverse = torch.linalg.lstsq(across @ across.T + h.ridge * kernel, across, driver="gelsd").solution
        self._inverse = inverse.float().contiguous()  # LAPACK gives columns; saved and loaded are rows, and bits follow the layout

    def encode(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> ClassEmbeddings:
        h = self._fitted()
        check_same_nodes(view, vectors)
        asked = positions(nodes, view.ids, "the graph")
        hyponyms = sp.csr_matrix(view.adjacency[0].T)[asked]
        hyponyms.data[:] = 1.0
        rows = np.unique(np.concatenate([asked, hyponyms.indices]))
        features = self._features(view, vectors, rows)
        at = np.searchsorted(rows, asked)
        regressed = self._regress(features, rows)
        known = np.full(len(view.ids), -1)
        known[positions(self._seen, view.ids, "the graph")] = np.arange(len(self._seen))
        below = np.where(known[rows][:, None] >= 0, self._weights[known[rows]], regressed)
        pooled = hyponyms[:, rows] @ below
        mixed = mix_hyponyms(torch.from_numpy(regressed[at]), torch.from_numpy(np.asarray(pooled, dtype=np.float32)), h.pooling).numpy()
        scale = features.size[asked] ** h.generality
        meta = {"encoder": self.name, "settings": self.settings(), "graph": view.graph_digest, "vectors": dict(vectors.meta)}
        return ClassEmbeddings(tuple(nodes), mixed * scale[:, None], meta)

    def influence(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> np.ndarray:
        """Return each seen class's coefficient in eq. (1), `[nodes, seen]`: what a prediction is made of."""
        rows = positions(nodes, view.ids, "the graph")
        features = self._features(view, vectors, rows)
        return np.concatenate([(self._kernel(features, chunk) @ self._inverse).numpy() for chunk in _chunks(rows)])

    def later(self, view: View, vectors: Vectors) -> LaterClasses:
        """Return what predicts classes one at a time in milliseconds, also such as are no nodes yet."""
        from kgzsl.encoders.later import LaterClasses

        h = self._fitted()
        seen = positions(self._landmarks, view.ids, "the graph")
        features = self._features(view, vectors, seen)
        return LaterClasses(features, view, self._mixture, h, self._seen, self._weights, self._inverse)

    def uncertainty(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> np.ndarray:
        """Return the expected squared error of each node's direction ŵ of eq. (1), `[nodes]`, in 0…4 (2 − 2 cos).

        From the posterior variance, calibrated on held-out seen classes (`predictive.py`): how sure the encoder is of a
        class that it never saw. For a seen class it is that of the regression, which its own weights took part in.

        Raises
        ------
        InvalidInputError : fitted with fewer landmarks than seen classes, which has no posterior of that form.
        """
        return self._calibration().error(self._variance(view, vectors, nodes))

    def intervals(self, view: View, vectors: Vectors, nodes: Sequence[str], *, level: float = 0.9) -> np.ndarray:
        """Return the ends between which the squared error of `uncertainty` lies with probability `level`, `[nodes, 2]`."""
        return self._calibration().interval(self._variance(view, vectors, nodes), level)

    def _calibration(self) -> Calibration:
        self._fitted()
        if len(self._landmarks) < len(self._seen):
            raise InvalidInputError(
                "the posterior variance is that of a regression on all seen classes",
                received=f"{len(self._landmarks):,} landmarks of {len(self._seen):,}",
                remedy="fit with landmarks: null",
            )
        return calibrate(self._inverse.numpy(), self._weights, GROUPS, self.seed + 1)

    def _variance(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> np.ndarray:
        """Eq. (1) of `predictive.py`, float64 `[nodes]`."""
        h, rows = self._fitted(), positions(nodes, view.ids, "the graph")
        features, inverse = self._features(view, vectors, rows), self._inverse.double()
        found = []
        for chunk in _chunks(rows):
            kernel = self._kernel(features, chunk).double()
            own = combine(features.own(chunk), self._mixture, h.log_weights, h.log_scales).double()[:, 0]
            found.append((own + h.ridge - ((kernel @ inverse) * kernel).sum(dim=1)).clamp_min(0.0).numpy())
        return np.concatenate(found) if found else np.empty(0)

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

    def _features(self, view: View, vectors: Vectors, rows: np.ndarray) -> NodeKernels:
        self._fitted()
        check_same_nodes(view, vectors)
        _possible(self._mixture, (), vectors)
        return self._kernels(view, vectors, self._landmarks, self._mixture, rows)

    def _kernels(self, view: View, vectors: Vectors, landmarks: Sequence[str], mixture: Sequence[str], rows: np.ndarray) -> NodeKernels:
        if len(view.adjacency) != 1 + len(self.relations):
            raise IncompatibleError(
                "the view holds the hypernyms and every relation that a kernel is of",
                received=f"{view.name}: {len(view.adjacency)} matrices",
                remedy="take view(graph) of an encoder with the same kernels",
            )
        relations = dict(zip(self.relations, view.adjacency[1:], strict=True))
        return NodeKernels(view.adjacency[0], blocks(vectors), positions(landmarks, view.ids, "the graph"), mixture, relations, rows)

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
            **({} if self._landmarks == self._seen else {"landmarks": _to_bytes(self._landmarks)}),
            **h.arrays(),
        }

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        try:
            self._seen, self._mixture = _from_bytes(state["seen"]), _from_bytes(state["mixture"])
            self._landmarks = _from_bytes(state["landmarks"]) if "landmarks" in state else self._seen
            self.hyperparameters = Hyperparameters.from_arrays(state, len(self._mixture))
            self._weights, self._inverse = np.array(state["weights"]), torch.from_numpy(np.array(state["inverse"]))
        except (KeyError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the state must be that of `{self.name}`", received=f"missing or damaged: {error}") from error
        if len(self._seen) != len(self._weights) or self._inverse.shape != (len(self._landmarks), len(self._seen)):
            raise InvalidInputError("the state has one weight row per seen class", received=f"{len(self._seen)}, {len(self._weights)}")


def mix_hyponyms(own: torch.Tensor, pooled: torch.Tensor, pooling: torch.Tensor | float) -> torch.Tensor:
    """Return unit((1 − μ) own + μ unit(pooled)), `[rows, dim]`; rows without hyponyms (all zeros) keep their own."""
    has = (pooled != 0).any(dim=1, keepdim=True)
    mixed = (1 - pooling) * own + pooling * torch.nn.functional.normalize(pooled)
    return torch.nn.functional.normalize(torch.where(has, mixed, own))


def _known(kernel: str) -> bool:
    try:
        return bool(bases(kernel))
    except KeyError:
        return False


def _possible(kernels: Sequence[str] | None, also: Sequence[str], vectors: Vectors) -> tuple[str, ...]:
    """The kernels that `vectors` have the texts for; asking for another one is an error."""
    described = "descriptions" in blocks(vectors)
    named = [*(kernels or ()), *also]
    if not described and (without := [k for k in named if "descriptions" in bases(k)]):
        raise InvalidInputError(
            f"the kernel `{without[0]}` needs vectors with descriptions",
            received=f"vectors with {', '.join(blocks(vectors))}",
            remedy="join them (`kgzsl.vectors.join`; `--descriptions FILE`), or leave the kernel out",
        )
    default = [k for k in KERNELS if described or "descriptions" not in bases(k)] if kernels is None else []
    return (*default, *named)


def _to_bytes(names: Sequence[str]) -> np.ndarray:
    return np.frombuffer("\n".join(names).encode(), dtype=np.uint8)


def _from_bytes(array: np.ndarray) -> tuple[str, ...]:
    return tuple(array.tobytes().decode().split("\n"))


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
