"""ensemble: several encoders' predicted weights, mixed with weights that held-out seen classes choose in closed form.

Method
------
The seen classes are split into groups. With one left out, every member m is fitted on the rest and predicts the
group's weights P_m `[held out, features + 1]`, rows at length 1. With Y their true weights, of length 1 too, the mix is

    a = argmin ‖Y − Σₘ aₘ P_m‖²,   aₘ ≥ 0,   Σₘ aₘ = 1,                                        (1)

the stacked regression of Breiman (1996), whose weights are kept non-negative so that members do not cancel out.
Since Σ aₘ = 1, (1) is ‖Σ aₘ (Y − P_m)‖², a quadratic form over the simplex: its solution is the non-negative least
squares solution of `[G^½; 1ᵀ] x ≈ [0; 1]` with G the inner products of the members' residuals, divided by its sum.

The members are then fitted on all seen classes, and a class's weight is

    w(u) = Πₘ ‖p_m(u)‖^aₘ · unit(Σₘ aₘ unit(p_m(u))).                                          (2)

No weight of an unseen class takes part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from kgzsl.encoders.base import Encoder, check_same_nodes, unit_rows
from kgzsl.errors import IncompatibleError, InvalidInputError, first_five
from kgzsl.ids import positions
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View

Member = str | Mapping[str, Any]
#: Between the views of two members in the name of their common view; the number is that of the first one's matrices.
_VIEWS = re.compile(r"(?:^| \|\|\| )(\d+) × (.*?)(?= \|\|\| |$)")


class Ensemble(Encoder):
    """Encoders side by side, mixed by simplex-constrained least squares on held-out seen classes.

    Parameters
    ----------
    members : at least two encoders that predict weights: a name, or `{name, settings}`. A setting is the member's own.
    groups : the seen classes are split into so many groups, of which `rounds` are held out.
    rounds : how many of the groups are held out in turn, each at the price of one more fit of every member; None is all.
    seed : draws the groups, and is given to the members that draw at random and name no seed.
    """

    name = "ensemble"
    source = "Breiman, Stacked Regressions, Machine Learning 24, 1996, on predicted classifier weights"

    def __init__(
        self, *, members: Sequence[Member] = ("graph_gp", "nearest_text"), groups: int = 5, rounds: int | None = None, seed: int = 0
    ) -> None:
        if groups < 2 or not 1 <= (groups if rounds is None else rounds) <= groups:
            raise InvalidInputError("at least 2 groups, of which 1 or more are held out", received=f"groups {groups}, rounds {rounds}")
        self.groups, self.rounds, self.seed = groups, rounds, seed
        self.members = [_named(member) for member in members]
        if len(self.members) < 2 or any(m["name"] == self.name for m in self.members):
            raise InvalidInputError(
                "an ensemble has at least two members, none an ensemble", received=[m["name"] for m in self.members] or "none"
            )
        self.encoders = self._make()
        #: Weight of every member, `[members]`, at least 0, of sum 1; None before fit.
        self.mix: np.ndarray | None = None

    def _make(self) -> list[Encoder]:
        from kgzsl.encoders import ENCODERS
        from kgzsl.registry import parameters

        made = []
        for member in self.members:
            seed = {"seed": self.seed} if "seed" in parameters(ENCODERS.lookup(member["name"])) else {}
            made.append(ENCODERS.make(member["name"], {**seed, **member["settings"]}))
        return made

    def settings(self) -> dict[str, Any]:
        return {"members": self.members, "groups": self.groups, "rounds": self.rounds, "seed": self.seed}

    def view(self, graph: KnowledgeGraph) -> View:
        """Return the members' views in one: their matrices in order, and in the name how many are whose."""
        from kgzsl.graphs.views import View

        views = [encoder.view(graph) for encoder in self.encoders]
        name = " ||| ".join(f"{len(v.adjacency)} × {v.name}" for v in views)
        return View(graph.ids, tuple(m for v in views for m in v.adjacency), name, graph.digest)

    def fit(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> Self:
        check_same_nodes(view, vectors)
        positions(targets.ids, view.ids, "the graph")
        views = self._views(view)
        if len(targets) < 2 * self.groups:
            raise InvalidInputError("every group holds at least two seen classes", received=f"{len(targets)} in {self.groups} groups")
        order = np.random.default_rng(self.seed).permutation(len(targets))
        residuals: list[np.ndarray] = []
        for held in np.array_split(order, self.groups)[: self.rounds]:
            ids = [targets.ids[i] for i in np.sort(held)]
            rest = targets.select([targets.ids[i] for i in np.setdiff1d(order, held)])
            predicted = self._predict([e.fit(v, vectors, rest) for e, v in zip(self._make(), views, strict=True)], views, vectors, ids)
            residuals.append(unit_rows(targets.rows(ids)) - _directions(predicted))
        self.mix = simplex_least_squares(np.concatenate(residuals, axis=1))
        for encoder, own in zip(self.encoders, views, strict=True):
            encoder.fit(own, vectors, targets)
        return self

    def encode(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> ClassEmbeddings:
        check_same_nodes(view, vectors)
        mix = self._fitted()
        predicted = self._predict(self.encoders, self._views(view), vectors, nodes)
        lengths = np.exp(np.tensordot(mix, np.log(np.maximum(np.linalg.norm(predicted, axis=2), 1e-12)), 1))
        directions = unit_rows(np.tensordot(mix, _directions(predicted), 1))
        meta = {
            "encoder": self.name,
            "settings": self.settings(),
            "mix": {f"{i}: {m['name']}": round(float(a), 6) for i, (m, a) in enumerate(zip(self.members, mix, strict=True))},
            "graph": view.graph_digest,
            "vectors": dict(vectors.meta),
        }
        return ClassEmbeddings(tuple(nodes), directions * lengths[:, None], meta)

    def _predict(self, encoders: Sequence[Encoder], views: Sequence[View], vectors: Vectors, nodes: Sequence[str]) -> np.ndarray:
        """The members' rows, `[members, nodes, features + 1]`."""
        rows = [encoder.encode(own, vectors, nodes).matrix for encoder, own in zip(encoders, views, strict=True)]
        if len({r.shape for r in rows}) != 1:
            raise IncompatibleError(
                "members of an ensemble predict weights of one shape",
                received=", ".join(f"{m['name']} {r.shape}" for m, r in zip(self.members, rows, strict=True)),
                remedy="take encoders that regress weights",
            )
        return np.stack(rows)

    def _views(self, view: View) -> list[View]:
        """Take the members' views apart again (see `view`)."""
        from kgzsl.graphs.views import View

        parts = _VIEWS.findall(view.name)
        counts = [int(count) for count, _ in parts]
        if len(parts) != len(self.members) or sum(counts) != len(view.adjacency):
            raise IncompatibleError(
                "an ensemble works on the view that it makes itself",
                received=f"{view.name}, {len(view.adjacency)} matrices",
                remedy="take view(graph) of an ensemble with these members",
            )
        ends = np.cumsum(counts)
        return [
            View(view.ids, view.adjacency[end - n : end], name, view.graph_digest)
            for end, n, (_, name) in zip(ends, counts, parts, strict=True)
        ]

    def _fitted(self) -> np.ndarray:
        if self.mix is None:
            raise InvalidInputError(f"`{self.name}` encodes after fit or load", remedy="call fit(view, vectors, targets) first")
        return self.mix

    def state(self) -> dict[str, np.ndarray]:
        found = {"mix": self._fitted()}
        for i, encoder in enumerate(self.encoders):
            found |= {f"{i}.{name}": value for name, value in encoder.state().items()}
        return found

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        mix = np.array(state.get("mix", np.empty(0)))
        if mix.shape != (len(self.members),):
            raise InvalidInputError(f"the state must be that of `{self.name}` with these members", received=f"a mix of shape {mix.shape}")
        for i, encoder in enumerate(self.encoders):
            encoder.load_state({key.removeprefix(f"{i}."): value for key, value in state.items() if key.startswith(f"{i}.")})
        self.mix = mix


def simplex_least_squares(residuals: np.ndarray) -> np.ndarray:
    """Return the a ≥ 0 of sum 1 with the least ‖Σₘ aₘ Rₘ‖², float64 `[members]`.

    Parameters
    ----------
    residuals : of every member, `[members, rows, columns]`. Members that are never apart share their weight in any way.
    """
    from scipy.optimize import nnls

    flat = residuals.reshape(len(residuals), -1).astype(np.float64)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    values = np.maximum(values, 0.0)
    largest = values[-1] or 1.0
    root = np.sqrt(values / largest)[:, None] * vectors.T
    found, _ = nnls(np.vstack([root, np.ones(len(flat))]), np.append(np.zeros(len(flat)), 1.0))
    return found / found.sum()


def _named(member: Member) -> dict[str, Any]:
    if isinstance(member, str):
        return {"name": member, "settings": {}}
    unknown = sorted(set(member) - {"name", "settings"})
    if unknown or not isinstance(member.get("name"), str) or not isinstance(member.get("settings", {}), Mapping):
        raise InvalidInputError(
            "a member is the name of an encoder, or {name, settings}", received=first_five(unknown) if unknown else repr(member)[:200]
        )
    return {"name": member["name"], "settings": dict(member.get("settings", {}))}


def _directions(rows: np.ndarray) -> np.ndarray:
    """Rows at length 1, `[members, nodes, dim]`; a member that says nothing of a node (all zeros) leaves it to the others."""
    return rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1e-12)
