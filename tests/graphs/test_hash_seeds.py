"""The order of Python's sets and dictionaries decides nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import sys
from kgzsl.graphs import compile_graph
print([compile_graph(recipe).digest for recipe in sys.argv[1:]])
"""


@pytest.mark.data
def test_digests_of_every_kind_of_source() -> None:
    recipes = ["birds", "visual-attributes", "cub", "kzsl-awa", "compositions-cgqa", "nell-zs-schema", "conceptnet-100k"]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, *recipes], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True
        )
        for seed in "012"
    ]
    said = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(said) == 1
