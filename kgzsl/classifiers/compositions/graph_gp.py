"""graph_gp for compositions: the means of pairs as a Gaussian process over states, objects and the graph, in closed form.

Method
------
Features of a pair p are Gaussian around its mean with the covariance of all pairs, N(μ_p, Σ). In coordinates in which Σ is the
identity, the n_p training rows of a seen pair have the mean m_p ~ N(μ_p, ν I / n_p), and over the means there is a prior that is one
Gaussian process per coordinate, μ ~ GP(c, k), with a kernel of what states and objects are:

    k((s, o), (s', o')) = Σ_i a_i k_i(s, s') + Σ_j b_j k_j(o, o') + Σ_ij c_ij k_i(s, s') k_j(o, o').                        (1)

The k_i are: whether the two are the same; the cosine of their vectors; and, where the graph says anything of states and objects beside
their pairs, the regularised Laplacian kernel of that (outside knowledge). Mixture and ν maximise the likelihood of the m_p, all
coordinates together; then the mean of any pair, seen or not, is

    μ_p = c + k(p, S) (K_SS + ν diag(1 / n))⁻¹ (M − c),                                                                      (2)

which draws rare seen pairs towards what is known of their like, and the score is the log-density of x up to what pairs share,
x · μ_p − ½ ‖μ_p‖² (linear discriminants). There are no epochs, and nothing is chosen on validation rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.classifiers.base import check_features
from kgzsl.classifiers.compositions.base import CompositionClassifier, Knowledge, PairFeatures
from kgzsl.classifiers.compositions.cge import check_pairs
from kgzsl.classifiers.compositions.pair_graph import all_pairs
from kgzsl.classifiers.compositions.pair_training import check_rows
from kgzsl.encoders.laplacian import Laplacian
from kgzsl.errors import InvalidInputError
from kgzsl.graphs.composed import PAIR_RELATIONS
from kgzsl.sources.compositions import concept_ids

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSpace
    from kgzsl.graphs.graph import KnowledgeGraph

KERNELS = ("same", "text", "graph")
#: Added to the diagonal, in units of the noise: keeps the factorisation definite.
JITTER = 1e-8


class CompositionGP(CompositionClassifier):
    """Means of pairs by Gaussian-process regression from kernels of states and objects, scored by linear discriminants.

    Parameters
    ----------
    kernels : some of `same`, `text`, `graph`; None takes those that the knowledge allows.
    shrinkage : share, above 0 and at most 1, of the covariance that is replaced by its mean variance times I.
    steps : most L-BFGS iterations on the mixture; 0 leaves it at equal parts.
    learn_on : the mixture is learned on at most so many seen pairs, drawn at random; (2) is always over all.
    seed : draws them.
    """

    name: ClassVar[str] = "graph_gp"
    source: ClassVar[str] = (
        "kgzsl; Gaussian-process regression with graph kernels (Smola and Kondor, 2003), linear discriminants (Fisher, 1936)"
    )

    def __init__(
        self,
        *,
        kernels: tuple[str, ...] | list[str] | None = None,
        shrinkage: float = 0.5,
        steps: int = 60,
        learn_on: int = 1500,
        seed: int = 0,
    ) -> None:
        if kernels is not None and (not kernels or set(kernels) - set(KERNELS) or len(set(kernels)) != len(kernels)):
            raise InvalidInputError(f"kernels are some of {', '.join(KERNELS)}, each once", received=list(kernels))
        if not 0 < shrinkage <= 1 or steps < 0 or learn_on < 2:
            raise InvalidInputError(
                "shrinkage is above 0 and at most 1, steps at least 0, and the mixture is learned on at least 2 pairs",
                received=f"{shrinkage}, {steps} and {learn_on}",
            )
        self.kernels = None if kernels is None else tuple(kernels)
        self.shrinkage, self.steps, self.learn_on, self.seed = shrinkage, steps, learn_on, seed
        self._space: CompositionSpace | None = None
        self._table: np.ndarray | None = None
        #: Learned weights a, b, c of (1) by the names of their kernels, and `noise` ν.
        self.mixture: dict[str, float] = {}

    def settings(self) -> dict[str, Any]:
        return {
            "kernels": None if self.kernels is None else list(self.kernels),
            "shrinkage": self.shrinkage,
            "steps": self.steps,
            "learn_on": self.learn_on,
            "seed": self.seed,
        }

    def fit(
        self, train: PairFeatures, space: CompositionSpace, knowledge: Knowledge | None, validation: PairFeatures | None = None
    ) -> Self:
        """Learn from the features of seen pairs (see `CompositionClassifier.fit`); `validation` is not looked at.

        Raises
        ------
        InvalidInputError : no knowledge though a kernel needs it, or wrong rows.
        UnknownNameError : a state or an object is no node of the graph.
        """
        check_rows(train, space, validation)
        self._kernels_of(space, knowledge)
        present, labels = np.unique(train.labels, return_inverse=True)
        means, counts = self._whitened_means(train.matrix.astype(np.float64), labels, len(present))
        self._seen = space.pairs[present]
        self._centre = (means * counts[:, None]).sum(axis=0) / counts.sum()
        goal, noise = torch.from_numpy(means - self._centre), torch.from_numpy(1.0 / counts)
        self._log = self._learned(goal, noise)
        gram = self._gram(self._seen, self._seen, self._log[:-1]) + torch.diag(noise * self._log[-1].exp())
        self._dual = torch.linalg.solve(gram, goal)
        self._space, self._table = space, None
        self.mixture = dict(zip([*self._names(), "noise"], self._log.exp().tolist(), strict=True))
        return self

    def state(self) -> dict[str, np.ndarray]:
        """Return how features are whitened, and the means of all states × objects."""
        self._check_fitted()
        every = all_pairs(*self._shape())
        return {"whiten": self._whiten, "centre": self._centre, "means": self.means(every)}

    def load_state(self, state: Mapping[str, np.ndarray], space: CompositionSpace) -> None:
        self._space, self._table = space, None
        columns = len(state.get("whiten", ()))
        wanted = {"whiten": (columns, columns), "centre": (columns,), "means": (int(np.prod(self._shape())), columns)}
        shapes = {name: value.shape for name, value in state.items()}
        if shapes != wanted:
            raise InvalidInputError(f"the state of `{self.name}` holds arrays of these shapes: {wanted}", received=shapes)
        self._whiten, self._centre, self._table = state["whiten"], state["centre"], state["means"]

    def _shape(self) -> tuple[int, int]:
        assert self._space is not None
        return len(self._space.states), len(self._space.objects)

    def _check_fitted(self) -> None:
        if self._space is None:
            raise InvalidInputError("a classifier scores after fit", remedy="call its fit first")

    def means(self, pairs: np.ndarray) -> np.ndarray:
        """Return the predicted means (2) of `pairs` `[pairs, 2]` in the whitened space, `[pairs, dim]`, less c."""
        if self._table is not None:
            return self._table[np.ravel_multi_index(tuple(pairs.T), self._shape())]
        return np.asarray(self._gram(pairs, self._seen, self._log[:-1]) @ self._dual)

    def scores(self, features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        self._check_fitted()
        assert self._space is not None
        check_features(features, len(self._whiten))
        check_pairs(pairs, self._space)
        means = self.means(pairs)
        rows = features.astype(np.float64) @ self._whiten - self._centre
        return np.asarray(rows @ means.T - 0.5 * np.square(means).sum(axis=1), dtype=np.float32)

    def _whitened_means(self, features: np.ndarray, labels: np.ndarray, pairs: int) -> tuple[np.ndarray, np.ndarray]:
        """Return means `[pairs, dim]` and counts `[pairs]`; `_whiten` takes features to where Σ is the identity."""
        counts = np.bincount(labels, minlength=pairs).astype(np.float64)
        sums = sp.csr_matrix((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(pairs, len(labels)))
        means = (sums @ features) / counts[:, None]
        rest = features - means[labels]
        within = rest.T @ rest / max(len(features) - pairs, 1)
        spread = np.trace(within) / len(within)
        if spread <= 1e-12 * np.square(features).mean():  # one image per pair: the spread of the means stands in
            within = np.atleast_2d(np.cov(means.T, bias=True))
            spread = max(np.trace(within) / len(within), 1e-12)
        values, basis = np.linalg.eigh((1 - self.shrinkage) * within + self.shrinkage * spread * np.eye(len(within)))
        self._whiten = basis / np.sqrt(values)
        return means @ self._whiten, counts

    def _kernels_of(self, space: CompositionSpace, knowledge: Knowledge | None) -> None:
        """Make the kernels between states and between objects, float64."""
        outside = None if knowledge is None else _outside(knowledge.graph)
        allowed = ["same", *(["text"] if knowledge is not None else []), *(["graph"] if outside is not None else [])]
        self._chosen = tuple(allowed) if self.kernels is None else self.kernels
        if set(self._chosen) - set(allowed):
            raise InvalidInputError(
                "the kernel `text` needs knowledge, and `graph` a graph that says something of states or objects beside their pairs",
                received=f"kernels {list(self._chosen)}, allowed {allowed}",
            )
        self._primitives = []
        for kind, names in (("state", space.states), ("object", space.objects)):
            made = {"same": np.eye(len(names))}
            if knowledge is not None:
                ids = concept_ids(space.prefix, kind, names)
                places = knowledge.graph.positions(ids)
                if "text" in self._chosen:
                    made["text"] = _cosines(knowledge.vectors.rows(ids).astype(np.float64))
                if outside is not None and "graph" in self._chosen:
                    made["graph"] = _unit_diagonal(outside.columns(places, places).astype(np.float64))
            self._primitives.append([torch.from_numpy(made[k]) for k in self._chosen])

    def _names(self) -> list[str]:
        one = [f"{kind}.{k}" for kind in ("state", "object") for k in self._chosen]
        return [*one, *(f"state.{a} object.{b}" for a in self._chosen for b in self._chosen)]

    def _gram(self, rows: np.ndarray, columns: np.ndarray, log: torch.Tensor) -> torch.Tensor:
        """Return (1) between pairs `[rows, 2]` and `[columns, 2]`, `[rows, columns]`."""
        weight = log.exp()
        count = len(self._chosen)
        states, objects = (
            [k[torch.from_numpy(rows[:, side])][:, torch.from_numpy(columns[:, side])] for k in self._primitives[side]] for side in (0, 1)
        )
        total = sum(w * k for w, k in zip(weight[: 2 * count], [*states, *objects], strict=True))
        both = weight[2 * count :].view(count, count)
        for row, state in zip(both, states, strict=True):
            total = total + state * sum(w * k for w, k in zip(row, objects, strict=True))
        return torch.as_tensor(total)

    def _learned(self, goal: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Maximise the likelihood of the means over log a, b, c and log ν."""
        some = np.sort(np.random.default_rng(self.seed).permutation(len(goal))[: self.learn_on])
        pairs, rows, share = self._seen[some], goal[some], noise[some]
        variance = float(rows.square().mean().clamp_min(1e-12))
        start = torch.full((len(self._names()) + 1,), float(np.log(variance / len(self._names()))), dtype=torch.float64)
        start[-1] = 0.0
        log = start.clone().requires_grad_()
        optimiser = torch.optim.LBFGS([log], max_iter=max(self.steps, 1), line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimiser.zero_grad()
            diagonal = share * log[-1].exp() + JITTER * variance
            factor = torch.linalg.cholesky(self._gram(pairs, pairs, log[:-1]) + torch.diag(diagonal))
            solved = torch.linalg.solve_triangular(factor, rows, upper=False)
            value = 0.5 * solved.square().sum() / rows.shape[1] + factor.diagonal().log().sum()
            value.backward()
            return value

        if self.steps:
            optimiser.step(loss)
        return log.detach()


def _outside(graph: KnowledgeGraph) -> Laplacian | None:
    """The Laplacian of all edges but those of pairs; None where there are none."""
    own = np.array([r.id in PAIR_RELATIONS for r in graph.relations], dtype=bool)
    kept = ~own[graph.relation]
    if not kept.any():
        return None
    ones = np.ones(int(kept.sum()), dtype=np.float32)
    return Laplacian(sp.csr_matrix((ones, (graph.subject[kept], graph.object[kept])), shape=(len(graph), len(graph))))


def _cosines(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit @ unit.T)


def _unit_diagonal(kernel: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.maximum(np.diag(kernel), 1e-12))
    return np.asarray((kernel + kernel.T) / 2 / root[:, None] / root)
