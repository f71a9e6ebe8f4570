"""Rank the test set of FB15k-237 from given scores: `filtered_ranks` against PyKEEN's evaluator, in one run on the same scores.

    KGZSL_DATA=… python scripts/bench/filtered_ranking.py --threads 1

The scores are products of random embeddings, rounded so that there are ties, made anew for each block on both sides. PyKEEN's part
is what its evaluation loop does with the scores of a batch: it makes the filter of the batch, takes the filtered scores out and
processes the rest (`RankBasedEvaluator`). Ranks must be the same.

`--wiki` ranks 2,000 made-up triples among as many entities as Wiki-ZS has, 605,812, and says how much memory that took.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kgzsl.datasets import read_completion_set
from kgzsl.experiments.runner import environment
from kgzsl.metrics.filtered_ranking import SIDES, KnownAnswers, Queries, Ranks, filtered_ranks

DIM = 32


class Product:
    """Scores `(e ⊙ r) · e'` of random embeddings, rounded; any block of them is made anew."""

    def __init__(self, entities: int, relations: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.entities = torch.randn(entities, DIM, generator=generator)
        self.relations = torch.randn(relations, DIM, generator=generator)

    def __call__(self, queries: Queries, columns: np.ndarray | None) -> torch.Tensor:
        """Return the scores of a block."""
        pair = self.entities[torch.from_numpy(queries.given)] * self.relations[torch.from_numpy(queries.relation)]
        return ((pair @ self.entities.T) * 8).round_()


def ours(model: Product, test: np.ndarray, every: np.ndarray, entities: int, relations: int) -> Ranks:
    """Return all ranks; the index of known answers is part of the time."""
    return filtered_ranks(model, test, KnownAnswers(every, relations), entities)


def theirs(model: Product, test: np.ndarray, every: np.ndarray, batch: int) -> dict[str, np.ndarray]:
    """Return PyKEEN's ranks per side and rule, in the order of the triples."""
    from pykeen.evaluation import RankBasedEvaluator
    from pykeen.evaluation.evaluator import create_sparse_positive_filter_, filter_scores_

    evaluator = RankBasedEvaluator()
    known, found = torch.from_numpy(every), {}
    for side, column in zip(SIDES, (0, 2), strict=True):
        for start in range(0, len(test), batch):
            part = torch.from_numpy(test[start : start + batch])
            scores = model(Queries(side, part[:, 2 - column].numpy(), part[:, 1].numpy()), None)
            index = torch.arange(len(part))
            positive, _ = create_sparse_positive_filter_(hrt_batch=part, all_pos_triples=known, filter_col=column)
            true = scores[index, part[:, column]]
            scores = filter_scores_(scores=scores, filter_batch=positive)
            scores[index, part[:, column]] = true
            evaluator.process_scores_(hrt_batch=part, target=side, scores=scores, true_scores=true[:, None])  # type: ignore[arg-type]
    for (side, rule), values in evaluator.ranks.items():
        found[f"{side} {rule}"] = np.concatenate(values)
    return found


def main() -> None:
    """Print one JSON record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256, help="of PyKEEN's loop")
    parser.add_argument("--triples", type=int, default=None, help="of the test set, all by default")
    parser.add_argument("--wiki", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.wiki:
        print(json.dumps({**as_large_as_wiki(args.triples or 2_000), "threads": args.threads, "environment": environment()}, indent=1))
        return
    data = read_completion_set("fb15k-237")
    test, every = data.triples("test")[: args.triples], data.facts.triples
    entities, relations = len(data.facts.entities), len(data.facts.relations)
    model = Product(entities, relations)
    before, started = peak(), time.process_time()
    seconds, ranks = clocked(lambda: ours(model, test, every, entities, relations))
    own_peak, own_cpu = peak(), time.process_time() - started
    their_seconds, their_ranks = clocked(lambda: theirs(model, test, every, args.batch))
    their_cpu = time.process_time() - started - own_cpu
    scoring, _ = clocked(lambda: [model(Queries("tail", block[:, 0], block[:, 1]), None) for block in np.array_split(test, 80)])
    same = all(
        np.array_equal(ranks.of_side(side).ranks(rule), their_ranks[f"{side} {rule}"])
        for side in SIDES
        for rule in ("optimistic", "pessimistic")
    )
    record = {
        "questions": len(ranks),
        "entities": entities,
        "seconds": round(seconds, 2),
        "pykeen_seconds": round(their_seconds, 2),
        "times_faster": round(their_seconds / seconds, 2),
        "cpu_seconds": round(own_cpu, 2),
        "pykeen_cpu_seconds": round(their_cpu, 2),
        "seconds_of_scoring_one_side": round(scoring, 2),
        "same_ranks": same,
        "peak_mib": round(own_peak),
        "peak_before_mib": round(before),
        "threads": args.threads,
        "batch": args.batch,
    }
    print(json.dumps({**record, "environment": environment()}, indent=1))


def as_large_as_wiki(triples: int) -> dict[str, Any]:
    """Rank made-up triples among the entities of Wiki-ZS; the popular half of the facts have one of 100 tails, so filters are long."""
    entities, relations, facts = 605_812, 537, 724_967
    random = np.random.default_rng(0)
    tails = np.where(random.random(facts) < 0.5, random.integers(0, 100, facts), random.integers(0, entities, facts))
    every = np.stack([random.integers(0, entities, facts), random.integers(0, relations, facts), tails], axis=1)
    model = Product(entities, relations)
    before = peak()
    seconds, ranks = clocked(lambda: ours(model, every[:triples], every, entities, relations))
    return {
        "questions": len(ranks),
        "entities": entities,
        "seconds": round(seconds, 2),
        "peak_mib": round(peak()),
        "peak_before_mib": round(before),
    }


def clocked(call: Any) -> tuple[float, Any]:
    """Return the seconds of a call and what it gave."""
    started = time.perf_counter()
    given = call()
    return time.perf_counter() - started, given


def peak() -> float:
    """Return the peak memory of this process, which starts no others, in MiB."""
    status = Path("/proc/self/status")
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    main()
