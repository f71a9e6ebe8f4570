"""One exact training step on the receptive field against the full-graph way of the published code, in one run.

    python scripts/bench/encoder_step.py sgcn --steps 50
    python scripts/bench/encoder_step.py dgp --steps 5

Both start from the same parameters and see the same dropout masks on the rows that matter, so their losses must
agree; the masks of the rows that do not matter are drawn too, as the published code does.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from kgzsl.encoders import ENCODERS
from kgzsl.encoders.hops import HopEncoder
from kgzsl.encoders.regression import half_mean_squared_error
from kgzsl.experiments.runner import environment
from kgzsl.features import make_backbone
from kgzsl.ids import positions
from kgzsl.testing.full_graph import FullGraphNetwork, masks_on_field
from kgzsl.workspace import Workspace


def main() -> None:
    """Print one JSON record: seconds per step of both ways, their ratio, and the largest difference of losses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", choices=["sgcn", "dgp", "gcnz"])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    args = parser.parse_args()

    workspace = Workspace()
    graph = workspace.graph("imagenet")
    vectors, targets = workspace.vectors(graph), make_backbone(args.backbone).classifier()
    encoder = ENCODERS.make(args.encoder, {"device": "cpu"})
    assert isinstance(encoder, HopEncoder)
    view = encoder.view(graph)
    layers = encoder.layers(view)
    goal = torch.from_numpy(targets.matrix / np.linalg.norm(targets.matrix, axis=1, keepdims=True))

    ours = encoder.build(vectors.dim, targets.dim)
    ours.reset(torch.Generator().manual_seed(0))
    full = FullGraphNetwork(ours, layers)
    field = encoder.field(view, targets.ids)
    inputs = encoder.inputs(vectors, field)
    everything = torch.from_numpy(vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True))
    seen = torch.from_numpy(positions(targets.ids, view.ids, "the graph"))
    rows = _field_rows(layers, field.outputs)
    dropout = ours.convolutions()[0].dropout

    generator, twin = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    masks = masks_on_field(rows, dropout, twin)
    fast = _Stepper(ours, lambda: half_mean_squared_error(ours(inputs, field, generator), goal))
    slow = _Stepper(full, lambda: half_mean_squared_error(full(everything, masks)[seen], goal))
    native = _Stepper(full, lambda: half_mean_squared_error(full(everything)[seen], goal))

    fast_seconds, slow_seconds, losses = [], [], []
    for _ in range(args.steps):
        a, seconds_a = fast.step()
        b, seconds_b = slow.step()
        fast_seconds.append(seconds_a)
        slow_seconds.append(seconds_b)
        losses.append((a, b))
    native_seconds = [native.step()[1] for _ in range(3)]  # with torch's own dropout, as published
    differences = [abs(a - b) / abs(b) for a, b in losses]
    record = {
        "encoder": args.encoder,
        "steps": args.steps,
        "field_rows": field.sizes(),
        "receptive_field_seconds": float(np.median(fast_seconds)),
        "full_graph_seconds": float(np.median(native_seconds)),
        "full_graph_shared_masks_seconds": float(np.median(slow_seconds)),
        "ratio": float(np.median(native_seconds) / np.median(fast_seconds)),
        "largest_relative_loss_difference": max(differences),
        "first_and_last_loss": [losses[0][0], losses[-1][0]],
        "environment": environment(),
    }
    print(json.dumps(record, indent=1))


class _Stepper:
    def __init__(self, module: torch.nn.Module, loss) -> None:  # type: ignore[no-untyped-def]
        self.loss, self.optimiser = loss, torch.optim.Adam(module.parameters(), lr=1e-3, weight_decay=5e-4)

    def step(self) -> tuple[float, float]:
        started = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.optimiser.step()
        return float(loss.detach()), time.perf_counter() - started


def _field_rows(layers, outputs: np.ndarray) -> list[np.ndarray]:  # type: ignore[no-untyped-def]
    """Positions of every layer's input rows, first to last."""
    rows, found = outputs, []
    for matrices in reversed(layers):
        rows = np.unique(np.concatenate([matrix[rows].indices for matrix in matrices]))
        found.append(rows)
    return found[::-1]


if __name__ == "__main__":
    main()
