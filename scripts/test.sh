#!/usr/bin/env bash
# Set-up and all checks: style, types, tests. Options are passed on to pytest.
# Tests that need the real benchmark data run when KGZSL_DATA names it, and are skipped with the reason when not.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/setup.sh test
bin=${KGZSL_VENV:-.venv}/bin
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy" kgzsl scripts
exec "$bin/python" -m pytest "$@"
