#!/usr/bin/env bash
# Set-up and the main job on real input: WordNet → graph → class embeddings → classifiers for classes never seen.
# Every further run starts from cached artifacts. Options are passed on to scripts/quickstart.py.
set -euo pipefail
cd "$(dirname "$0")/.."
./scripts/setup.sh all
exec "${KGZSL_VENV:-.venv}/bin/python" scripts/quickstart.py "$@"
