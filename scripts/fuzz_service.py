"""Fuzz a running service from its own description with schemathesis: no 500, and answers as described.

kgzsl serve & python scripts/fuzz_service.py http://127.0.0.1:8765 --examples 200
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

#: Failures of the service itself, and answers of another kind than described.
CHECKS = ("not_a_server_error", "content_type_conformance", "response_schema_conformance", "status_code_conformance")


def main() -> int:
    """Run schemathesis and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8765")
    parser.add_argument("--examples", type=int, default=100, help="requests per route (default: 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checks", default=",".join(CHECKS))
    args = parser.parse_args()
    program = Path(sys.executable).parent / "schemathesis"
    command = [str(program) if program.exists() else str(shutil.which("schemathesis")), "run", f"{args.url}/v1/openapi.json"]
    options = ["--checks", args.checks, "--max-examples", str(args.examples), "--seed", str(args.seed), "--request-timeout", "60"]
    # reloading while everything else runs is what test_service_faults does; here it would only take the time
    options += ["--exclude-path", "/v1/reload", "--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all", "--no-color"]
    return subprocess.run([*command, *options], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
