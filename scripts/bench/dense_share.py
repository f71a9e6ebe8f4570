"""Which share of the machine's dense-product rate a training step reaches on the products that its receptive field needs.

    python scripts/bench/dense_share.py                     # all trained encoders at their published widths
    python scripts/bench/dense_share.py sgcn --precision bfloat16
    python scripts/bench/dense_share.py sgcn trgcn --compiled   # through torch.compile, with the seconds that compiling takes

The rate is that of one large product of torch in the same run, with the same threads and precision. Only dense products are
counted as work: sums over neighbours, activations, dropout and Adam's update cost time and count for nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.flop_counter import FlopCounterMode

from kgzsl.encoders import ENCODERS, sparse
from kgzsl.encoders.precision import PRECISIONS, mixed
from kgzsl.encoders.regression import WeightRegressionEncoder, half_mean_squared_error
from kgzsl.experiments.runner import environment
from kgzsl.features import make_backbone
from kgzsl.workspace import Workspace

NAMES = ("sgcn", "dgp", "gcnz", "gcn", "gat", "rgcn", "compgcn", "lstm", "trgcn", "gcnii")
CPU = torch.device("cpu")


def main() -> None:
    """Print one JSON record: per encoder seconds per step, GFLOP of dense products, and the share of the machine's rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="*", default=NAMES, help=f"of {', '.join(NAMES)}")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--compiled", action="store_true", help="compile the network with torch.compile (needs a C++ compiler)")
    parser.add_argument("--steps", type=int, default=3)
    args = parser.parse_args()
    workspace = Workspace()
    graph = workspace.graph("imagenet")
    vectors, targets = workspace.vectors(graph), make_backbone("efficientnet-lite0").classifier()
    record: dict[str, Any] = {}
    for name in args.encoders:
        encoder = ENCODERS.make(name, {"device": "cpu", "precision": args.precision})
        assert isinstance(encoder, WeightRegressionEncoder)
        step, network = _step(encoder, graph, vectors, targets)
        work, rate = _dense_work(step), machine_rate(args.precision)
        compiling = {}
        if args.compiled:
            network.compile()
            compiling["compile_seconds"] = _clock(step) + _clock(step)
        seconds = min(_clock(step) for _ in range(args.steps))
        rate = max(rate, machine_rate(args.precision))
        record[name] = {
            "seconds": seconds,
            "gflop": work / 1e9,
            "machine_gflop_per_second": rate / 1e9,
            "share": work / seconds / rate,
            **compiling,
        }
    print(json.dumps({"precision": args.precision, **record, "environment": environment()}, indent=1))


def machine_rate(precision: str, size: int = 2048) -> float:
    """Return the operations per second of one product `[size, size] × [size, size]`."""
    left, right = torch.rand(2, size, size, dtype=getattr(torch, precision))
    return 2 * size**3 / min(_clock(lambda: left @ right) for _ in range(8))


def _step(encoder: WeightRegressionEncoder, graph: Any, vectors: Any, targets: Any) -> tuple[Any, torch.nn.Module]:
    view = encoder.view(graph)
    network: Any = encoder.build(*encoder.shape(view, vectors.dim, targets.dim))
    network.reset(torch.Generator().manual_seed(0))
    field = encoder.field(view, targets.ids)
    features, generator = encoder.inputs(vectors, field), torch.Generator().manual_seed(1)
    goal = torch.from_numpy(targets.matrix)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=5e-4)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with mixed(encoder.precision, CPU):
            predicted = network(features, field, generator)
        half_mean_squared_error(predicted, goal).backward()
        optimiser.step()

    return step, network


def _dense_work(step: Any) -> int:
    """Return the operations of a step's dense products; the counter would take a sparse matrix for a dense one of its size."""
    multiply = sparse.multiply

    def uncounted(matrix: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        with _disable_current_modes():
            return multiply(matrix, dense)

    sparse.multiply = uncounted
    try:
        with FlopCounterMode(display=False) as counter:
            step()
    finally:
        sparse.multiply = multiply
    return int(counter.get_total_flops())


def _clock(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
