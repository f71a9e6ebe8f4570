"""Benchmarks live under one folder, `$KGZSL_DATA`."""

from __future__ import annotations

import os
from pathlib import Path

from kgzsl.errors import MissingDataError


def benchmark_path(relative: str = "") -> Path:
    """Return `$KGZSL_DATA/relative`.

    Raises
    ------
    MissingDataError : the variable is not set, or the file or folder is not there.
    """
    root = os.environ.get("KGZSL_DATA")
    if not root:
        raise MissingDataError(
            f"benchmark data ({relative or 'any'}) are read from the folder $KGZSL_DATA",
            received="the variable is not set",
            remedy="export KGZSL_DATA=/path/to/benchmarks",
        )
    path = Path(root).expanduser() / relative
    if not path.exists():
        raise MissingDataError(
            "the benchmark must lie under $KGZSL_DATA", received=f"{path} does not exist", remedy="`kgzsl doctor` says what is found"
        )
    return path
