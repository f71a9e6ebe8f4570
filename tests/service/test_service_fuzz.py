"""The API, fuzzed from its own description: no request makes the service fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz_service.py"


@pytest.mark.slow
def test_no_request_that_the_description_allows_or_forbids_fails(service):
    done = subprocess.run([sys.executable, str(SCRIPT), service.url, "--examples", "25"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "Traceback" not in service.log.read_text()
