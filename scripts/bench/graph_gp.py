"""graph_gp on the ImageNet graph: fit on 1,000 classes, hyper-parameters included, and predict all 21,841 others.

    python scripts/bench/graph_gp.py
    python scripts/bench/graph_gp.py --nodes 128000     # the same classes in a graph of so many nodes
    python scripts/bench/graph_gp.py --several          # two backbones at once, against one

A larger graph is the ImageNet graph with copies of itself below its root, the last one in part: the classes asked for and
all that is near them stay, what grows is the rest. Give each size a process of its own: the peak of memory is the process's.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgzsl.datasets import all_ids
from kgzsl.encoders.graph_gp import GraphGP
from kgzsl.experiments.runner import environment
from kgzsl.features import make_backbone
from kgzsl.graphs.views import View
from kgzsl.matrices import ClassifierWeights, Vectors
from kgzsl.workspace import Workspace


def main() -> None:
    """Print one JSON record: seconds to fit and to predict, and peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--nodes", type=int, help="size of the graph; at least that of ImageNet's, the default")
    parser.add_argument("--landmarks", type=int, help="see GraphGP")
    parser.add_argument("--several", action="store_true", help="fit lite0 and lite2 together, and each by itself")
    args = parser.parse_args()
    workspace = Workspace()
    graph = workspace.graph("imagenet")
    vectors, targets = workspace.vectors(graph), make_backbone(args.backbone).classifier()
    encoder = GraphGP(landmarks=args.landmarks)
    view, vectors = grown(encoder.view(graph), vectors, args.nodes or len(graph.ids))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record: dict[str, Any] = {"nodes": len(view.ids), "seen": len(targets)}
    if args.several:
        both = [targets, make_backbone("efficientnet-lite2").classifier().select(targets.ids)]
        record |= several(encoder, view, vectors, both)
    else:
        record |= fit_and_predict(encoder, view, vectors, targets)
    record |= {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "peak_before_mib": before}
    print(json.dumps(record | {"environment": environment()}, indent=1))


def fit_and_predict(encoder: GraphGP, view: View, vectors: Vectors, targets: ClassifierWeights) -> dict[str, Any]:
    """Return the seconds to fit and to predict all classes."""
    classes = tuple(dict.fromkeys([*targets.ids, *all_ids()]))
    started, cpu = time.perf_counter(), time.process_time()
    encoder.fit(view, vectors, targets)
    fitted = time.perf_counter()
    embeddings = encoder.encode(view, vectors, classes)
    done = time.perf_counter()
    return {
        "predicted": len(embeddings),
        "fit_seconds": fitted - started,
        "predict_seconds": done - fitted,
        "seconds": done - started,
        "cpu_seconds": time.process_time() - cpu,
    }


def several(encoder: GraphGP, view: View, vectors: Vectors, both: list[ClassifierWeights]) -> dict[str, Any]:
    """Return the seconds of two backbones together, with mixtures of their own and with one, over those of one (CPU seconds)."""

    def clock(call: Any) -> tuple[float, Any]:
        started = time.process_time()
        found = call()
        return time.process_time() - started, found

    first, alone = clock(lambda: encoder.fit(view, vectors, both[0]))
    second, _ = clock(lambda: GraphGP(**encoder.settings()).fit(view, vectors, both[1]))
    own, together = clock(lambda: encoder.fit_many(view, vectors, both))
    joint, _ = clock(lambda: encoder.fit_many(view, vectors, both, joint=True))
    one = (first + second) / 2
    same = all(np.array_equal(value, together[0].state()[name]) for name, value in alone.state().items())
    return {"one_seconds": one, "own_mixtures_ratio": own / one, "joint_mixture_ratio": joint / one, "own_mixtures_are_bit_identical": same}


def grown(view: View, vectors: Vectors, nodes: int) -> tuple[View, Vectors]:
    """Return the view with copies of itself below its root, up to `nodes` nodes, and the vectors of them all."""
    parents, size = view.adjacency[0], len(view.ids)
    if nodes <= size:
        return view, vectors
    copies = -(-nodes // size)
    whole = sp.block_diag([parents] * copies, format="csr")[:nodes, :nodes].tocoo()  # a parent may stand after its child: those are cut
    root = int(np.asarray(parents.sum(axis=0) - 1e9 * (parents.sum(axis=1).T > 0)).argmax())
    lost = np.setdiff1d(np.arange(size, nodes), whole.row)
    row, column = np.concatenate([whole.row, lost]), np.concatenate([whole.col, np.full(len(lost), root)])
    matrix = sp.csr_matrix((np.ones(len(row), dtype=np.float32), (row, column)), shape=(nodes, nodes))
    ids = (*view.ids, *(f"copy{i // size}:{view.ids[i % size]}" for i in range(size, nodes)))
    everything = np.concatenate([vectors.matrix] * copies)[:nodes]
    return View(ids, (matrix,), f"{view.name}, grown", view.graph_digest), Vectors(ids, everything, vectors.meta)


if __name__ == "__main__":
    main()
