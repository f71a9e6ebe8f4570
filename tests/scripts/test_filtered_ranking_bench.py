"""The bench of filtered ranking runs, its ranks are PyKEEN's, and as many entities as Wiki-ZS has fit in 2 GiB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench" / "filtered_ranking.py"


def record(*arguments: str) -> dict:
    """Run the bench."""
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.data
def test_the_ranks_are_pykeens() -> None:
    pytest.importorskip("pykeen")
    found = record("--triples", "200")
    assert found["same_ranks"] and found["questions"] == 400


@pytest.mark.slow
def test_entities_of_wiki_fit_in_two_gib() -> None:
    assert record("--wiki", "--triples", "500")["peak_mib"] < 2048
