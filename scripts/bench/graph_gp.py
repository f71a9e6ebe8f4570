"""graph_gp on the ImageNet graph: fit on 1,000 classes, hyper-parameters included, and predict all 21,841 others.

python scripts/bench/graph_gp.py
"""

from __future__ import annotations

import argparse
import json
import resource
import time

from kgzsl.datasets import all_ids
from kgzsl.encoders import ENCODERS
from kgzsl.experiments.runner import environment
from kgzsl.features import make_backbone
from kgzsl.workspace import Workspace


def main() -> None:
    """Print one JSON record: seconds to fit and to predict, the hyper-parameters, and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    args = parser.parse_args()
    workspace = Workspace()
    graph = workspace.graph("imagenet")
    vectors, targets = workspace.vectors(graph), make_backbone(args.backbone).classifier()
    classes = tuple(dict.fromkeys([*targets.ids, *all_ids()]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    encoder = ENCODERS.make("graph_gp")
    started = time.perf_counter()
    view = encoder.view(graph)
    encoder.fit(view, vectors, targets)
    fitted = time.perf_counter()
    embeddings = encoder.encode(view, vectors, classes)
    done = time.perf_counter()
    record = {
        "seen": len(targets),
        "predicted": len(embeddings),
        "fit_seconds": fitted - started,
        "predict_seconds": done - fitted,
        "seconds": done - started,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_before_mib": before,
        "environment": environment(),
    }
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
