"""Evaluate scores of compositions: the exact sweep against the published evaluators' way, and the open world of C-GQA in blocks.

    python scripts/bench/composition_evaluation.py --images 10_000 --pairs 2_000

The slow way keeps a dictionary from every pair to its column of scores, puts the matrix together anew, and for every bias of the grid
adds it to the unseen columns and sorts out the best pair of each image (Purushwalkam et al., ICCV 2019, and the evaluators made after
it). It is written here from that description, to compare with; its AUC on its own grid is the grid's of `sweep`.

`--open-world` evaluates 5,000 images among 278,362 pairs, whose scores are products of random embeddings, and says how much memory it took.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgzsl.experiments.runner import environment
from kgzsl.metrics.compositional import GRID, GRID_STEP, PairOutcomes, pair_outcomes, sweep

#: States and objects of C-GQA, its seen pairs, and the images of its test part.
STATES, OBJECTS, SEEN, IMAGES = 413, 674, 5_592, 5_000
DIM = 64


def main() -> None:
    """Print one JSON record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3, help="the fastest of so many runs is told")
    parser.add_argument("--open-world", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    record = open_world() if args.open_world else closed_world(args.images, args.pairs, args.repeat)
    print(json.dumps({**record, "threads": args.threads, "environment": environment()}, indent=1))


def closed_world(images: int, pairs: int, repeat: int) -> dict[str, Any]:
    """Time both ways on the same scores, which are random with the true pair's raised."""
    random = np.random.default_rng(0)
    listed = np.stack([np.arange(pairs) // 50, np.arange(pairs) % 50], axis=1)
    seen, truth = np.arange(pairs) % 3 > 0, random.integers(0, pairs, images)
    scores = random.standard_normal((images, pairs), dtype=np.float32)
    scores[np.arange(images), truth] += 3
    exact_seconds, exact = fastest(repeat, lambda: sweep(pair_outcomes(scores, truth, listed, seen)))
    grid_seconds, grid = fastest(repeat, lambda: sweep(pair_outcomes(scores, truth, listed, seen), grid=True))
    columns = {tuple(pair): torch.from_numpy(scores[:, i].copy()) for i, pair in enumerate(listed.tolist())}
    slow_seconds, slow_auc = fastest(1, lambda: dictionary_of_pairs(columns, listed, truth, seen))
    return {
        "images": images,
        "pairs": pairs,
        "exact_seconds": round(exact_seconds, 3),
        "grid_seconds": round(grid_seconds, 3),
        "dictionary_seconds": round(slow_seconds, 3),
        "times_faster": round(slow_seconds / exact_seconds, 1),
        "exact_auc": exact.auc,
        "grid_auc": grid.auc,
        "dictionary_auc": slow_auc,
        "difference_on_the_grid": abs(grid.auc - slow_auc),
    }


def dictionary_of_pairs(columns: dict[tuple[int, ...], torch.Tensor], pairs: np.ndarray, truth: np.ndarray, seen: np.ndarray) -> float:
    """Return the AUC on the published grid, bias after bias, each with a copy of all scores and the pairs of all predictions."""
    order = [tuple(pair) for pair in pairs.tolist()]
    states, objects = (torch.from_numpy(pairs[:, k].copy()) for k in (0, 1))
    unseen_columns, right = ~torch.from_numpy(seen), torch.from_numpy(truth)
    of_unseen = unseen_columns[right]

    def accuracies(bias: float) -> tuple[torch.Tensor, torch.Tensor]:
        scores = torch.stack([columns[pair] for pair in order], dim=1).double()
        scores[:, unseen_columns] += bias
        best = scores.topk(10, dim=1).indices[:, 0]
        match = (states[best] == states[right]) & (objects[best] == objects[right])
        return match[~of_unseen].double(), match[of_unseen].double()

    seen_at_last, unseen_at_last = accuracies(1e3)
    scores = torch.stack([columns[pair] for pair in order], dim=1).double()
    margin = scores[of_unseen][:, ~unseen_columns].topk(10, dim=1).values[:, 0] - scores[of_unseen, right[of_unseen]]
    reached = (margin[unseen_at_last.bool()] - GRID_STEP).sort().values
    curve = [accuracies(float(bias)) for bias in reached[:: max(len(reached) // GRID, 1)]]
    points = [(float(s.mean()), float(u.mean())) for s, u in [*curve, (seen_at_last, unseen_at_last)]]
    return float(np.trapezoid([s for s, _ in points], [u for _, u in points]))


def open_world() -> dict[str, Any]:
    """Evaluate images among all pairs of C-GQA's states and objects; scores come and go in the task's own blocks."""
    from kgzsl.classifiers.compositions.base import PairFeatures
    from kgzsl.classifiers.compositions.pair_graph import all_pairs
    from kgzsl.tasks.composition import TOPS, World, outcomes_in, world_metrics

    random = np.random.default_rng(0)
    pairs = all_pairs(STATES, OBJECTS)
    seen = np.zeros(len(pairs), dtype=bool)
    seen[random.choice(len(pairs), SEEN, replace=False)] = True
    world = World(pairs, seen, np.arange(len(pairs)), np.arange(len(pairs)))
    labels = np.concatenate([random.choice(np.flatnonzero(seen == side), IMAGES // 2) for side in (True, False)])
    classifier = Product(random.standard_normal((len(pairs), DIM), dtype=np.float32) / np.float32(8))
    features = classifier.embedded[labels] + random.standard_normal((IMAGES, DIM), dtype=np.float32) / np.float32(10)
    before, started = peak(), time.perf_counter()
    found: dict[int, PairOutcomes]
    found, _ = outcomes_in(classifier, PairFeatures(features, labels), world, TOPS)  # type: ignore[arg-type]
    return {
        "images": IMAGES,
        "pairs": len(pairs),
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mib": round(peak()),
        "peak_before_mib": round(before),
        "metrics": world_metrics(found, world),
    }


class Product:
    """A classifier of products with embedded pairs, which are all that there are."""

    def __init__(self, embedded: np.ndarray) -> None:
        self.embedded = embedded

    def scores(self, features: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Return the products of features and all pairs' embeddings."""
        assert len(pairs) == len(self.embedded)
        return features @ self.embedded.T


def fastest(times: int, call: Any) -> tuple[float, Any]:
    """Return the seconds of the fastest of some calls, and what it gave."""
    best, given = float("inf"), None
    for _ in range(times):
        started = time.perf_counter()
        given = call()
        best = min(best, time.perf_counter() - started)
    return best, given


def peak() -> float:
    """Return the peak memory of this process, which starts no others, in MiB."""
    status = Path("/proc/self/status")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
