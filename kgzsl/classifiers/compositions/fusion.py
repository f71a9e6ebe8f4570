"""Late fusion: several methods score the same rows, and a weighted sum of their scores is taken.

Method
------
Methods err differently: visual product knows nothing of pairs, CompCos and CGE nothing of what a state looks like wherever it stands.
With f_i(x, p) the score of method i for row x and pair p, divided by its mean standard deviation over the pairs of a row,

    score = Σ_i w_i f_i(x, p) / σ_i,        w_i from 0, ¼, ½, 1, 2, 4.

The weights start at 1 and are chosen one after another, twice over, by the validation AUC of the bias sweep; every method chooses what
it chooses by itself before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from kgzsl.classifiers.compositions.base import CompositionClassifier, Knowledge, PairFeatures
from kgzsl.errors import InvalidInputError

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSpace

#: Weights that are tried, rounds in which each is chosen anew, and rows from which a method's standard deviation is taken.
WEIGHTS, ROUNDS, ROWS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0), 2, 1000
_MEMBERS = ({"name": "visual_product"}, {"name": "compcos"})


class Fusion(CompositionClassifier):
    """The weighted sum of several methods' scores; the weights by the validation AUC.

    Parameters
    ----------
    members : two methods or more, each `{name: NAME, SETTING: …}`; a seed or a device that one does not name is this one's.
    seed, device : of the members.
    """

    name: ClassVar[str] = "fusion"
    source: ClassVar[str] = "kgzsl; the sum of scores after Kittler et al., On combining classifiers, PAMI 1998"

    def __init__(self, *, members: Sequence[Mapping[str, Any]] = _MEMBERS, seed: int = 0, device: str | torch.device = "auto") -> None:
        if isinstance(members, str | Mapping) or len(members) < 2 or not all(isinstance(m, Mapping) and "name" in m for m in members):
            raise InvalidInputError(
                "members are two methods or more, each with a name", received=members, remedy="- {name: compcos}, for one"
            )
        self.members, self.seed, self.device = [dict(m) for m in members], seed, device
        self._made = [self._make(m) for m in self.members]
        self._fitted = False
        #: w_i and 1 / σ_i of every member.
        self.weights, self._scales = np.ones(len(members)), np.ones(len(members))

    def _make(self, member: Mapping[str, Any]) -> CompositionClassifier:
        from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS
        from kgzsl.registry import parameters

        known = parameters(COMPOSITION_CLASSIFIERS.lookup(member["name"]))
        ours = {k: v for k, v in {"seed": self.seed, "device": self.device}.items() if k in known}
        return COMPOSITION_CLASSIFIERS.make(member["name"], {**ours, **{k: v for k, v in member.items() if k != "name"}})

    def fit(
        self, train: PairFeatures, space: CompositionSpace, knowledge: Knowledge | None, validation: PairFeatures | None = None
    ) -> Self:
        """Fit every method, then choose the weights (see `CompositionClassifier.fit`); without validation rows all are 1."""
        self._fitted = False
        for made in self._made:
            made.fit(train, space, knowledge, validation)
        self.weights = np.ones(len(self._made))
        seen = space.pairs[space.seen]
        some = np.random.default_rng(self.seed).permutation(len(train.matrix))[:ROWS]
        spread = [float(made.scores(train.matrix[some], seen).std(axis=1, dtype=np.float64).mean()) for made in self._made]
        self._scales = 1 / np.maximum(spread, 1e-12)
        if validation is not None:
            self._choose(validation, space)
        self._fitted = True
        return self

    def _choose(self, validation: PairFeatures, space: CompositionSpace) -> None:
        from kgzsl.metrics.compositional import bias_sweep

        candidates = np.union1d(np.flatnonzero(space.seen), validation.labels)
        truth, seen = np.searchsorted(candidates, validation.labels), space.seen[candidates]
        parts = [
            np.float32(k) * made.scores(validation.matrix, space.pairs[candidates])
            for k, made in zip(self._scales, self._made, strict=True)
        ]
        for _ in range(ROUNDS):
            for i in range(len(parts)):
                others = sum((np.float32(w) * p for j, (w, p) in enumerate(zip(self.weights, parts, strict=True)) if j != i), np.float32(0))
                if not np.any(np.delete(self.weights, i)):
                    continue  # alone it must keep its weight
                found = [float(bias_sweep(others + np.float32(w) * parts[i], truth, seen).auc) for w in WEIGHTS]
                self.weights[i] = WEIGHTS[int(np.argmax(found))]

    def scores(self, features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        if not self._fitted:
            raise InvalidInputError("a classifier scores after fit", remedy="call its fit first")
        total: np.ndarray | None = None
        for weight, made in zip(self.weights * self._scales, self._made, strict=True):
            if weight or total is None:  # the first one checks what is given
                part = np.float32(weight) * made.scores(features, pairs)
                total = part if total is None else total + part
        assert total is not None
        return total

    def settings(self) -> dict[str, Any]:
        members = [{"name": made.name, **made.settings()} for made in self._made]
        return {"members": members, "seed": self.seed}

    def state(self) -> dict[str, np.ndarray]:
        if not self._fitted:
            raise InvalidInputError("a classifier has a state after fit", remedy="call its fit first")
        kept = {f"{i}/{name}": value for i, made in enumerate(self._made) for name, value in made.state().items()}
        return {**kept, "weights": self.weights.copy(), "scales": self._scales.copy()}

    def load_state(self, state: Mapping[str, np.ndarray], space: CompositionSpace) -> None:
        self._fitted = False
        shapes = {name: state[name].shape for name in ("weights", "scales") if name in state}
        if shapes != dict.fromkeys(("weights", "scales"), (len(self._made),)):
            raise InvalidInputError(
                f"the state of `{self.name}` has a weight and a scale for each of {len(self._made)} members", received=shapes
            )
        for i, made in enumerate(self._made):
            made.load_state({k.removeprefix(f"{i}/"): v for k, v in state.items() if k.startswith(f"{i}/")}, space)
        self.weights, self._scales = np.array(state["weights"]), np.array(state["scales"])
        self._fitted = True
