"""Score images against all 21,841 ImageNet classes; against the machine's own dense product rate, in one run.

    python scripts/bench/scoring.py --images 8192

The reference is one `torch.mm` of the same shapes into a buffer that is there already. Scoring includes the bias,
the normalisation of the features and the reduction to ranks. Feature rows are real ones, repeated to the count asked.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
import torch

from kgzsl.classifiers import WeightRegression
from kgzsl.datasets import all_ids, samples, train_ids
from kgzsl.encoders import ENCODERS
from kgzsl.experiments.runner import environment
from kgzsl.features import make_backbone
from kgzsl.ids import positions
from kgzsl.metrics import rank_bounds
from kgzsl.workspace import Workspace


def main() -> None:
    """Print one JSON record: both rates in GFLOP/s, their share, and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()

    workspace, backbone = Workspace(), make_backbone("efficientnet-lite0")
    graph = workspace.graph("imagenet")
    vectors, targets = workspace.vectors(graph), backbone.classifier()
    classes = tuple(dict.fromkeys([*train_ids(), *all_ids()]))
    encoder = ENCODERS.make("nearest_text")
    view = encoder.view(graph)
    head = WeightRegression().fit(targets, encoder.fit(view, vectors, targets).encode(view, vectors, classes))
    real = workspace.features(samples(), backbone)
    rows = np.resize(np.arange(len(real)), args.images)
    features, truth = real.matrix[rows], positions([real.labels[i] for i in rows], classes, "the classes")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours, dense = [], []
    for _ in range(args.repeat):
        started = time.perf_counter()
        for block, scores in head.blocks(features):
            rank_bounds(scores, truth[block])
        ours.append(time.perf_counter() - started)
        dense.append(_dense_seconds(features, head.weights.matrix[:, :-1]))
    work = 2 * len(features) * len(classes) * features.shape[1] / 1e9
    record = {
        "images": args.images,
        "classes": len(classes),
        "scoring_gflops": work / float(np.median(ours)),
        "dense_gflops": work / float(np.median(dense)),
        "share_of_dense_rate": float(np.median(dense) / np.median(ours)),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_before_scoring_mib": before / 1024,
        "environment": environment(),
    }
    print(json.dumps(record, indent=1))


def _dense_seconds(features: np.ndarray, weights: np.ndarray) -> float:
    left, right = torch.from_numpy(features), torch.from_numpy(np.ascontiguousarray(weights.T))
    size = 1024
    buffer = torch.empty(size, right.shape[1])
    torch.mm(left[:size], right, out=buffer)
    started = time.perf_counter()
    for start in range(0, len(left), size):
        block = left[start : start + size]
        torch.mm(block, right, out=buffer[: len(block)])
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
