"""Build the open world of C-GQA, 413 states × 674 objects = 278,362 pairs, and embed every pair with CGE's network, in blocks.

    python scripts/bench/composition_graph.py --hidden 4096 --outputs 512

The reader's pair lists give states and objects; no pair of the open world is stored as a node. The network is CGE's, untrained (its
time does not depend on its weights). The check compares some pairs with the same network over the graph in which all are nodes.
`KGZSL_DATA` holds czsl/cgqa.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
import torch

from kgzsl.classifiers.compositions import Knowledge
from kgzsl.classifiers.compositions.cge import PAIR_BLOCK
from kgzsl.classifiers.compositions.pair_graph import PairGraph, graph_network
from kgzsl.datasets.composition_set import CompositionSpace
from kgzsl.experiments.runner import environment
from kgzsl.graphs.compile import compile_graph
from kgzsl.vectors import embed_texts


def main() -> None:
    """Print one JSON record: seconds, pairs per second, a training step, the largest deviation of the check, peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--outputs", type=int, default=512)
    parser.add_argument("--step", type=int, default=5592, help="pairs of a timed training step (C-GQA trains on 5,592); 0 leaves it out")
    parser.add_argument("--check", type=int, default=64, help="pairs compared with the whole graph; 0 leaves it out")
    args = parser.parse_args()

    seconds: dict[str, float] = {}
    started = time.perf_counter()
    knowledge = _knowledge()
    space = _space(knowledge)
    seconds["read_and_vectors"] = time.perf_counter() - started

    started = time.perf_counter()
    encoder = graph_network({"name": "sgcn", "hidden": [args.hidden], "device": "cpu"})
    graph = PairGraph(encoder, space, knowledge, world="open")
    network = graph.build(args.outputs)
    network.reset(torch.Generator().manual_seed(0))  # type: ignore[operator]
    seconds["open_world"] = time.perf_counter() - started

    started = time.perf_counter()
    embedded = torch.empty(len(graph.pairs), args.outputs)
    with torch.no_grad():
        for start in range(0, len(graph.pairs), PAIR_BLOCK):
            block = slice(start, start + PAIR_BLOCK)
            embedded[block] = network(*graph.encoding(graph.pairs[block]))
    seconds["encode"] = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    record = {
        "states": len(space.states),
        "objects": len(space.objects),
        "pairs": len(graph.pairs),
        "hidden": args.hidden,
        "outputs": args.outputs,
        "seconds": seconds,
        "pairs_per_second": len(graph.pairs) / seconds["encode"],
        "peak_mib": peak,
        "embeddings_mib": embedded.numel() * 4 / 2**20,
        **(_step(graph, network, space.pairs[: args.step]) if args.step else {}),
        **(_check(graph, network, embedded, args.check) if args.check else {}),
        "environment": environment(),
    }
    print(json.dumps(record, indent=1))


def _knowledge() -> Knowledge:
    graph = compile_graph("compositions-cgqa")
    return Knowledge(graph, embed_texts(graph))


def _space(knowledge: Knowledge) -> CompositionSpace:
    graph = knowledge.graph
    ids = {kind: [i for i, k in zip(graph.ids, graph.kinds, strict=True) if k == kind] for kind in ("state", "object")}
    names = {kind: tuple(i.partition("/")[2] for i in found) for kind, found in ids.items()}
    (of_pair, state, _), (again, obj, _) = graph.edges_of("has_state"), graph.edges_of("has_object")
    if not np.array_equal(of_pair, again):
        raise SystemExit("every pair has one state and one object")
    places = [{node: n for n, node in enumerate(graph.positions(ids[kind]).tolist())} for kind in ("state", "object")]
    pairs = np.array([(places[0][s], places[1][o]) for s, o in zip(state.tolist(), obj.tolist(), strict=True)], dtype=np.int64)
    return CompositionSpace("cgqa", names["state"], names["object"], pairs, np.ones(len(pairs), dtype=bool))


def _step(graph: PairGraph, network: torch.nn.Module, pairs: np.ndarray) -> dict[str, float]:
    """Time forward and backward over the training pairs' receptive field in the open world, with dropout on every node's input."""
    started = time.perf_counter()
    inputs, field = graph.training(pairs)
    made = time.perf_counter()
    network(inputs, field, torch.Generator().manual_seed(0)).square().sum().backward()
    return {"train_field_seconds": made - started, "train_step_seconds": time.perf_counter() - made, "train_pairs": len(pairs)}


def _check(graph: PairGraph, network: torch.nn.Module, embedded: torch.Tensor, count: int) -> dict[str, float]:
    """Compare some pairs with the network over the graph in which every pair is a node; that takes memory, so it comes last."""
    some = np.sort(np.random.default_rng(0).choice(len(graph.pairs), count, replace=False))
    started = time.perf_counter()
    with torch.no_grad():
        whole = network(*graph.training(graph.pairs[some]))
    difference = float((whole - embedded[torch.from_numpy(some)]).abs().max())
    return {
        "check_seconds": time.perf_counter() - started,
        "check_largest_difference": difference,
        "check_peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
