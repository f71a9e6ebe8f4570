"""The bench's published loop and this package's step have the same losses and gradients; synthesis is drawn block by block."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "scripts" / "bench" / "generators.py"
SIZES = argparse.Namespace(dim=12, semantics=5, hidden=16, repeats=1, precision="float32", classes=3, per_class=7)


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("generators_bench", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_ways_agree(bench):
    found = bench.rounds(SIZES, 32)
    assert found["relative_difference_of_loss"] < 1e-5
    assert found["relative_difference_of_gradient"] < 1e-4
    assert min(min(seconds) for way in found["wall_and_processor_seconds"].values() for seconds in way.values()) > 0


def test_synthesis_counts_its_rows(bench):
    found = bench.synthesis(SIZES)
    assert found["rows"] == 21 and 0 <= found["peak_beyond_start_mib"] < 500
