"""One exact TrGCN training step against a gather in Python, node by node, on the same sampled neighbourhoods, in one run.

    python scripts/bench/trgcn_step.py                          # the published widths
    python scripts/bench/trgcn_step.py --hidden 512 --repeats 3
    python scripts/bench/trgcn_step.py --hidden 64 --vectors 48   # where the arithmetic is small and only the gather is left

Three ways, from the same parameters, without dropout, so that their outputs and gradients must agree:

* `blocks`: this package; neighbourhoods gathered once, feed-forward part and projections once per node, rows of like size padded together;
* `per_node`: every node's neighbours are looked up in Python lists, its rows stacked and sent through the layer alone;
* `padded`: the published code's way: lists per node, all padded to the longest, every part of the layer on every place.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from kgzsl.encoders import ENCODERS
from kgzsl.encoders.aggregation import AggregatorNetwork
from kgzsl.encoders.neighbourhoods import Neighbourhood
from kgzsl.encoders.trgcn import TransformerAggregator, TrGCN
from kgzsl.experiments.runner import environment
from kgzsl.features import make_backbone
from kgzsl.matrices import Vectors
from kgzsl.workspace import Workspace

Lists = Sequence[Sequence[int]]


def main() -> None:
    """Print one JSON record: seconds per step of the three ways, ratios, and the largest differences of outputs and gradients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--vectors", type=int, default=0, help="keep only the first columns of the vectors; 0 keeps all")
    parser.add_argument("--classes", type=int, default=1000, help="how many of the 1,000 classes to regress")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    workspace = Workspace()
    graph = workspace.graph("imagenet")
    vectors, targets = workspace.vectors(graph), make_backbone("efficientnet-lite0").classifier()
    if args.vectors:
        vectors = Vectors(vectors.ids, vectors.matrix[:, : args.vectors].copy(), vectors.meta)
    encoder = TrGCN(hidden=[args.hidden], dropout=0.0, attention_dropout=0.0, residual_dropout=0.0, device="cpu")
    view = encoder.view(graph)
    network = encoder.build(vectors.dim, targets.dim)
    network.reset(torch.Generator().manual_seed(0))
    started = time.perf_counter()
    field = encoder.field(view, targets.ids[: args.classes])
    gathered = time.perf_counter() - started
    features = encoder.inputs(vectors, field)
    lists = [_lists(hood) for hood in field.layers]
    weight = torch.randn(len(field.outputs), targets.dim, generator=torch.Generator().manual_seed(1))

    ways: dict[str, Callable[[], torch.Tensor]] = {
        "blocks": lambda: network(features, field),
        "per_node": lambda: _layers(network, features, lists, _per_node),
        "padded": lambda: _layers(network, features, lists, _padded),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    results: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for _ in range(args.repeats):
        for name, way in ways.items():
            for _ in range(5 if name == "blocks" else 1):
                taken, results[name] = _step(network, way, weight)
                seconds[name].append(taken)
    with FlopCounterMode(display=False) as counter:
        _step(network, ways["blocks"], weight)
    times = {name: min(wall for wall, _ in values) for name, values in seconds.items()}
    busy = {name: min(cpu for _, cpu in values) for name, values in seconds.items()}  # says more where others use the machine
    products = counter.get_total_flops() / times["blocks"] / _product_rate()
    record = {
        "encoder": ENCODERS.lookup("trgcn").name,
        "dims": [vectors.dim, args.hidden, targets.dim],
        "field_rows": field.sizes(),
        "pairs": [len(hood.source) for hood in field.layers],
        "gather_once_seconds": gathered,
        "seconds": times,
        "processor_seconds": busy,
        "processor_ratios": {name: busy[name] / busy["blocks"] for name in ("per_node", "padded")},
        "ratio_per_node": times["per_node"] / times["blocks"],
        "ratio_padded": times["padded"] / times["blocks"],
        "share_of_dense_product_rate": products,
        "largest_output_difference": max(float((results[n][0] - results["blocks"][0]).abs().max()) for n in results),
        "largest_relative_gradient_difference": max(
            float((results[n][1] - results["blocks"][1]).norm() / results["blocks"][1].norm()) for n in results
        ),
        "threads": args.threads,
        "environment": environment(),
    }
    print(json.dumps(record, indent=1))


def _step(
    network: AggregatorNetwork, way: Callable[[], torch.Tensor], weight: torch.Tensor
) -> tuple[tuple[float, float], tuple[torch.Tensor, torch.Tensor]]:
    """Run forward and backward; return wall and processor seconds, then the output and all gradients in one row."""
    network.zero_grad(set_to_none=True)
    started, busy = time.perf_counter(), time.process_time()
    out = way()
    (out * weight).sum().backward()
    taken = time.perf_counter() - started, time.process_time() - busy
    return taken, (out.detach(), torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))


def _lists(hood: Neighbourhood) -> Lists:
    """Return every output row's input rows as Python lists, itself first."""
    found = [[own] for own in hood.own.tolist()]
    for target, source in zip(hood.target.tolist(), hood.source.tolist(), strict=True):
        found[target].append(source)
    return found


def _layers(
    network: AggregatorNetwork, features: torch.Tensor, lists: Sequence[Lists], aggregate: Callable[..., torch.Tensor]
) -> torch.Tensor:
    for i, (layer, near) in enumerate(zip(network.layers, lists, strict=True)):
        features = layer.combine(aggregate(layer, features, near))  # type: ignore[operator]
        if i < len(network.layers) - 1:
            features = functional.leaky_relu(features, network.slope)
        features = functional.normalize(features)
    return features


def _transformed(layer: TransformerAggregator, places: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over each row's places `[rows, k, d]` after the whole block."""
    fed = layer.norm_nodes(places + layer.narrow(functional.relu(layer.widen(places))))
    query, key, value = layer.project(fed).split(layer.width, dim=2)
    scores = (query @ key.transpose(1, 2) * layer.scale).masked_fill(~mask[:, None, :], -torch.inf)
    done = layer.norm_pairs(fed + layer.back(functional.softmax(scores, dim=2) @ value))
    return (done * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def _per_node(layer: TransformerAggregator, features: torch.Tensor, lists: Lists) -> torch.Tensor:
    rows = []
    for near in lists:
        places = torch.stack([features[u] for u in near])[None]
        rows.append(_transformed(layer, places, torch.ones(1, len(near), dtype=torch.bool)))
    return torch.cat(rows)


def _padded(layer: TransformerAggregator, features: torch.Tensor, lists: Lists) -> torch.Tensor:
    longest = max(len(near) for near in lists)
    index = torch.tensor([[*near, *[near[0]] * (longest - len(near))] for near in lists])
    mask = torch.tensor([[True] * len(near) + [False] * (longest - len(near)) for near in lists])
    return _transformed(layer, features[index], mask)


def _product_rate() -> float:
    """Return this machine's float32 operations per second on a large matrix product."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    best = np.inf
    for _ in range(5):
        started = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - started)
    return 2 * 2048**3 / best


if __name__ == "__main__":
    main()
