"""The bench's slow evaluator gives the sweep's AUC on the published grid."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from kgzsl.metrics.compositional import pair_outcomes, sweep

FILE = Path(__file__).parents[2] / "scripts" / "bench" / "composition_evaluation.py"


@pytest.mark.parametrize("seed", range(5))
def test_the_dictionary_of_pairs_agrees(seed: int) -> None:
    spec = importlib.util.spec_from_file_location("composition_evaluation", FILE)
    assert spec is not None and spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    random = np.random.default_rng(seed)
    pairs, seen = np.stack([np.arange(60) // 10, np.arange(60) % 10], axis=1), np.arange(60) % 3 > 0
    truth, scores = random.integers(0, 60, 300), random.standard_normal((300, 60), dtype=np.float32)
    scores[np.arange(300), truth] += 2
    columns = {tuple(pair): torch.from_numpy(scores[:, i].copy()) for i, pair in enumerate(pairs.tolist())}
    outcomes = pair_outcomes(scores, truth, pairs, seen)
    slow = bench.dictionary_of_pairs(columns, pairs, truth, seen)
    assert abs(slow - sweep(outcomes, grid=True).auc) < 1e-9 and 0 < slow != sweep(outcomes).auc
