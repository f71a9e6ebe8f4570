"""The seam between graph encoders and pairs: any network of the encoders' registry computes the embeddings of compositions.

An encoder states which view of a graph its network reads, which receptive field some nodes have, and the network. Here the graph
is that of compositions, the nodes asked for are pairs, and the input of a pair is the mean of its state's and its object's vector
(CGE, section 3.1), which is made where it is needed: no row of it is stored.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch

from kgzsl.classifiers.compositions.lazy_pairs import LazyPairs
from kgzsl.devices import resolve_device
from kgzsl.encoders import DGP, ENCODERS, GCNZ, SGCN
from kgzsl.encoders.hops import HopEncoder
from kgzsl.encoders.regression import Field, WeightRegressionEncoder
from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.graphs.composed import composed
from kgzsl.graphs.views import View, undirected
from kgzsl.sources.compositions import concept_ids, pair_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kgzsl.classifiers.compositions.base import Knowledge
    from kgzsl.datasets.composition_set import CompositionSpace
    from kgzsl.graphs.graph import KnowledgeGraph

WORLDS = ("closed", "open")


def graph_network(encoder: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> WeightRegressionEncoder:
    """Return the encoder that `{name: …, SETTING: …}` says; `defaults` are taken where it does not say them, if it has such settings.

    Raises
    ------
    InvalidInputError : no name, settings that the encoder does not have, or one that is no network trained by gradient.
    UnknownNameError : the registry has no encoder of this name.
    """
    if "name" not in encoder:
        raise InvalidInputError("an encoder is given by its name and settings", received=dict(encoder), remedy="{name: sgcn}, for one")
    network = ENCODERS.lookup(encoder["name"])
    if not issubclass(network, WeightRegressionEncoder) or issubclass(network, DGP):
        raise InvalidInputError(
            "pairs are embedded by a graph network whose edges may be any relation",
            received=encoder["name"],
            remedy="choose sgcn, gcnz, gcn, gat, rgcn, lstm, trgcn, gcnii or compgcn; `graph_gp` is a composition classifier of its own",
        )
    has = {"device", *ENCODERS.make(encoder["name"]).settings()}
    chosen = {**{k: v for k, v in (defaults or {}).items() if k in has}, **{k: v for k, v in encoder.items() if k != "name"}}
    made = ENCODERS.make(encoder["name"], chosen)
    assert isinstance(made, WeightRegressionEncoder)
    return made


def all_pairs(states: int, objects: int) -> np.ndarray:
    """Return every pair of the open world, int64 `[states · objects, 2]`, states first."""
    return np.stack([np.repeat(np.arange(states), objects), np.tile(np.arange(objects), states)], axis=1)


class PairGraph:
    """The composition graph of one world, as one encoder's network reads it.

    Parameters
    ----------
    encoder : see `graph_network`.
    space : states and objects, and the pairs of the closed world.
    knowledge : graph and vectors. Every node of the graph that is no pair is taken, with all its edges.
    world : `closed`: the pairs of the space are nodes; `open`: all states × all objects are.
    weights : of the pairs' edges, `[states, objects]` in 0…1; None is 1.

    A pair that is no node of this world is embedded as one that receives from its state and object, and that nothing receives
    from: what is asked for never changes what other pairs are.
    """

    def __init__(
        self,
        encoder: WeightRegressionEncoder,
        space: CompositionSpace,
        knowledge: Knowledge,
        *,
        world: str = "closed",
        weights: np.ndarray | None = None,
    ) -> None:
        if world not in WORLDS:
            raise InvalidInputError(f"world is {' or '.join(WORLDS)}", received=repr(world))
        self.encoder, self.space, self._graph = encoder, space, knowledge.graph
        self.device = resolve_device(encoder.device)
        shape = (len(space.states), len(space.objects))
        self.pairs = all_pairs(*shape) if world == "open" else space.pairs
        self._listed = np.zeros(shape, dtype=bool)
        self._listed[self.pairs[:, 0], self.pairs[:, 1]] = True
        if weights is not None and weights.shape != shape:
            raise InvalidInputError("weights are one per state and object", received=f"{weights.shape} for {shape}")
        self._weights = np.where(self._listed, 1.0 if weights is None else weights, 0.0).astype(np.float32)
        hubs = [i for i, kind in zip(knowledge.graph.ids, knowledge.graph.kinds, strict=True) if kind != "pair"]
        self._hub_rows = _unit(_rows(knowledge, hubs))
        place = {node: n for n, node in enumerate(hubs)}
        self._concepts = [self._place(place, kind, names) for kind, names in (("state", space.states), ("object", space.objects))]
        self._hubs = tuple(hubs)

    @property
    def dim(self) -> int:
        """Columns of the input vectors."""
        return int(self._hub_rows.shape[1])

    def build(self, outputs: int) -> torch.nn.Module:
        """Return the untrained network whose rows have `outputs` columns, on the device."""
        with torch.random.fork_rng(devices=[]):  # layers of libraries draw when they are made, only to be drawn again by `reset`
            return self.encoder.build(*self._shape(outputs)).to(self.device)

    def training(self, pairs: np.ndarray) -> tuple[torch.Tensor, Field]:
        """Return input rows `[inputs, dim]` and receptive field of `pairs` `[pairs, 2]`, a row for every node, for dropout to act on."""
        view = self._grown(pairs)
        field = self.encoder.field(view, pair_ids(self.space.prefix, self.space.states, self.space.objects, pairs)[0])
        return self._inputs(field.inputs, pairs), field

    def concepts(self) -> tuple[torch.Tensor, Field]:
        """Return input rows and receptive field of the states, then the objects."""
        s = self.space
        ids = [*concept_ids(s.prefix, "state", s.states), *concept_ids(s.prefix, "object", s.objects)]
        field = self.encoder.field(self._view, ids)
        return self._inputs(field.inputs, s.pairs[:0]), field

    def encoding(self, pairs: np.ndarray) -> tuple[torch.Tensor, Field]:
        """Return what gives the same rows as `training` when nothing is dropped, with as little work as this network allows."""
        return self._lazy.field(pairs) if self._lazy is not None else self.training(pairs)

    @cached_property
    def _lazy(self) -> LazyPairs | None:
        if not isinstance(self.encoder, SGCN) or len(self.encoder.hidden) != 1:
            return None
        outside = self._outside()
        states, objects = self._concepts
        return LazyPairs(self._hub_rows, outside, states, objects, self._weights, self._listed, self.device)

    def _outside(self) -> sp.csr_matrix:
        """Edges among states, objects and outside nodes, both ways, `[hubs, hubs]`; those of pairs are not among them."""
        view = undirected(self._nodes_alone(), [r.id for r in self._graph.relations], self_loops=False, norm=None)
        take = self._nodes_alone().positions(self._hubs)
        return sp.csr_matrix(view.adjacency[0][take][:, take])

    def _nodes_alone(self) -> KnowledgeGraph:
        return composed(self._graph, self.space.prefix, self.space.states, self.space.objects, self.pairs[:1], np.zeros(1))

    @cached_property
    def _view(self) -> View:
        s = self.space
        graph = composed(self._graph, s.prefix, s.states, s.objects, self.pairs, self._weights[self.pairs[:, 0], self.pairs[:, 1]])
        if isinstance(self.encoder, HopEncoder):  # by itself it reads hypernyms alone
            every = [r.id for r in graph.relations]
            return undirected(graph, every, self_loops=True, norm="symmetric" if isinstance(self.encoder, GCNZ) else "row")
        return self.encoder.view(graph)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {node: n for n, node in enumerate(self._view.ids)}

    @cached_property
    def _members(self) -> np.ndarray:
        """Rows of the hubs' vectors whose mean is a node's input, int64 `[nodes of the view, 2]`."""
        found = np.empty((len(self._view.ids), 2), dtype=np.int64)
        hubs, pairs = np.array([self._index[h] for h in self._hubs], dtype=np.int64), self._nodes(self.pairs)
        found[hubs] = np.arange(len(hubs))[:, None]
        found[pairs] = self._hubs_of(self.pairs)
        return found

    def _shape(self, outputs: int) -> tuple[int, ...]:
        return (self.dim, outputs) if self._lazy is not None else self.encoder.shape(self._view, self.dim, outputs)

    def _nodes(self, pairs: np.ndarray) -> np.ndarray:
        ids = pair_ids(self.space.prefix, self.space.states, self.space.objects, pairs)[0]
        return np.array([self._index[i] for i in ids], dtype=np.int64)

    def _hubs_of(self, pairs: np.ndarray) -> np.ndarray:
        return np.stack([self._concepts[0][pairs[:, 0]], self._concepts[1][pairs[:, 1]]], axis=1)

    def _inputs(self, nodes: np.ndarray, asked: np.ndarray) -> torch.Tensor:
        """Mean vectors of some nodes; those beyond the view are the unlisted pairs of `asked`, in their order."""
        members = np.concatenate([self._members, self._hubs_of(self._unlisted(asked))])[nodes]
        rows = torch.from_numpy(self._hub_rows).to(self.device)
        return (rows[torch.from_numpy(members[:, 0])] + rows[torch.from_numpy(members[:, 1])]) / 2

    def _unlisted(self, pairs: np.ndarray) -> np.ndarray:
        return np.unique(pairs[~self._listed[pairs[:, 0], pairs[:, 1]]], axis=0)

    def _grown(self, pairs: np.ndarray) -> View:
        """The view with a row for every unlisted pair, in which state, object and itself weigh what they weigh in a listed pair's."""
        more = self._unlisted(pairs)
        if not len(more):
            return self._view
        of_view = np.array([self._index[h] for h in self._hubs], dtype=np.int64)
        listed, ends = self._nodes(self.pairs), of_view[self._hubs_of(self.pairs)]
        new, before = of_view[self._hubs_of(more)], len(self._view.ids)
        own = np.arange(len(more))
        grown = []
        for matrix in self._view.adjacency:
            typical = [float(matrix[listed, there].mean()) for there in (ends[:, 0], ends[:, 1], listed)]
            columns = np.concatenate([new[:, 0], new[:, 1], before + own])
            values = np.repeat(np.array(typical, dtype=np.float32), len(more))
            rows = sp.csr_matrix((values, (np.tile(own, 3), columns)), shape=(len(more), before + len(more)), dtype=np.float32)
            rows.eliminate_zeros()
            wider = sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=(before, before + len(more)))
            grown.append(sp.csr_matrix(sp.vstack([wider, rows], format="csr")))
        ids = pair_ids(self.space.prefix, self.space.states, self.space.objects, more)[0]
        return View((*self._view.ids, *ids), tuple(grown), f"{self._view.name} + {len(more)} pairs", self._view.graph_digest)

    def _place(self, place: Mapping[str, int], kind: str, names: tuple[str, ...]) -> np.ndarray:
        ids = concept_ids(self.space.prefix, kind, names)
        self._graph.positions(ids)  # a name that the graph lacks is told
        return np.array([place[i] for i in ids], dtype=np.int64)


def _rows(knowledge: Knowledge, ids: list[str]) -> np.ndarray:
    missing = set(ids) - set(knowledge.vectors.ids)
    if missing:
        raise IncompatibleError(
            "every state, object and outside node of the graph has a vector",
            received=f"{len(missing):,} have none: {', '.join(sorted(missing)[:5])}",
            remedy="embed the texts of this graph again",
        )
    return knowledge.vectors.rows(ids)


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros (a word without a vector, where the policy is `zero`) stays."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)
