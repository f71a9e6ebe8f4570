"""Step time of the trained encoders around fixed targets in graphs of 32 k, 64 k and 128 k nodes, in one run.

    python scripts/bench/graph_growth.py
    python scripts/bench/graph_growth.py sgcn trgcn --steps 20

A larger graph is ImageNet's with copies of itself; the root of each copy becomes one more hypernym of a leaf that no target's
receptive field reaches. So everything near the targets stays, and a step that depends on the receptive field alone takes as long.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from kgzsl.encoders import ENCODERS
from kgzsl.encoders.regression import WeightRegressionEncoder, half_mean_squared_error
from kgzsl.experiments.runner import environment
from kgzsl.features import make_backbone
from kgzsl.graphs.graph import KnowledgeGraph
from kgzsl.matrices import ClassifierWeights, Vectors
from kgzsl.workspace import Workspace

SETTINGS: dict[str, dict[str, Any]] = {
    "sgcn": {},
    "dgp": {},
    "gcnz": {"hidden": [512, 512, 256, 256, 128]},
    "gcnii": {},
    **{name: {"hidden": [512]} for name in ("gcn", "gat", "rgcn", "compgcn", "trgcn")},
    "lstm": {"hidden": [256]},
}


def main() -> None:
    """Print one JSON record: per encoder and size, seconds per step and rows of the receptive field; ratio of the largest to the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="*", default=list(SETTINGS), help=f"of {', '.join(SETTINGS)}")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--classes", type=int, default=200, help="how many of the 1,000 classes to regress")
    args = parser.parse_args()
    workspace = Workspace()
    graph = workspace.graph("imagenet")
    vectors, targets = workspace.vectors(graph), make_backbone("efficientnet-lite0").classifier()
    targets = targets.select(targets.ids[:: len(targets) // args.classes])
    leaf = _far_leaf(graph, targets)
    worlds = [grown(graph, vectors, copies, leaf) for copies in (1, 2, 4)]
    record = {}
    for name in args.encoders:
        steps = [_step(name, world, tiled, targets) for world, tiled in worlds]
        seconds = _seconds([step for step, _ in steps], args.steps)
        record[name] = {
            "seconds": seconds,
            "rows": [rows for _, rows in steps],
            "ratio": seconds[-1] / seconds[0],
        }
    print(json.dumps({"nodes": [len(w) for w, _ in worlds], "classes": len(targets), **record, "environment": environment()}, indent=1))


def grown(graph: KnowledgeGraph, vectors: Vectors, copies: int, leaf: int) -> tuple[KnowledgeGraph, Vectors]:
    """Return so many copies of the graph in one, each root but the first a hypernym of node `leaf`, and the vectors of all nodes."""
    size, hypernym = len(graph), [r.id for r in graph.relations].index("hypernym")
    is_a = graph.relation == hypernym
    root = int(np.setdiff1d(graph.object[is_a], graph.subject[is_a])[0])
    offsets = np.repeat(size * np.arange(copies), len(graph.subject))
    roots = root + size * np.arange(1, copies)
    columns = {
        "subject": np.concatenate([np.tile(graph.subject, copies) + offsets, np.full(copies - 1, leaf)]),
        "relation": np.concatenate([np.tile(graph.relation, copies), np.full(copies - 1, hypernym)]),
        "object": np.concatenate([np.tile(graph.object, copies) + offsets, roots]),
        "weight": np.concatenate([np.tile(graph.weight, copies), np.ones(copies - 1, dtype=np.float32)]),
        "edge_source": np.concatenate([np.tile(graph.edge_source, copies), np.zeros(copies - 1, dtype=np.int64)]),
    }
    order = np.lexsort((columns["object"], columns["relation"], columns["subject"]))
    ids = [*graph.ids, *(f"zcopy{c}:{i.partition(':')[2]}" for c in range(1, copies) for i in graph.ids)]
    changed: dict[str, Any] = {name: getattr(graph, name) * copies for name in ("kinds", "labels", "texts", "node_sources")}
    changed |= {name: column[order] for name, column in columns.items()}
    world = replace(graph, ids=tuple(ids), **changed)
    return world, Vectors(world.ids, np.tile(vectors.matrix, (copies, 1)), vectors.meta)


def _far_leaf(graph: KnowledgeGraph, targets: ClassifierWeights) -> int:
    """Return a leaf outside the widest receptive field, that of six layers over edges in both directions."""
    encoder = _make("gcnz")
    view = encoder.view(graph)
    outside = np.setdiff1d(np.arange(len(graph)), encoder.field(view, targets.ids).inputs)
    return int(np.setdiff1d(outside, graph.object)[0])


def _make(name: str) -> WeightRegressionEncoder:
    encoder = ENCODERS.make(name, {**SETTINGS[name], "device": "cpu"})
    assert isinstance(encoder, WeightRegressionEncoder)
    return encoder


def _step(name: str, graph: KnowledgeGraph, vectors: Vectors, targets: ClassifierWeights) -> tuple[Any, list[int]]:
    """Return a training step as a function, and the rows of its receptive field."""
    encoder = _make(name)
    view = encoder.view(graph)
    network: Any = encoder.build(*encoder.shape(view, vectors.dim, targets.dim))
    network.reset(torch.Generator().manual_seed(0))
    field: Any = encoder.field(view, targets.ids)
    features, generator = encoder.inputs(vectors, field), torch.Generator().manual_seed(1)
    goal = torch.from_numpy(targets.matrix / np.linalg.norm(targets.matrix, axis=1, keepdims=True))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=5e-4)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        half_mean_squared_error(network(features, field, generator), goal).backward()
        optimiser.step()

    return step, field.sizes()


def _seconds(ways: list[Any], steps: int) -> list[float]:
    """Return the fastest step of each, taking turns, so that a busy machine is unfair to none."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(steps):
        for way, seconds in zip(ways, taken, strict=True):
            started = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - started)
    return [min(seconds) for seconds in taken]


if __name__ == "__main__":
    main()
