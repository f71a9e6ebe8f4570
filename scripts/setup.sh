#!/usr/bin/env bash
# Make a virtual environment, install kgzsl at pinned versions, and fetch the data and models it works on.
# usage: scripts/setup.sh [EXTRA]      EXTRA is `all` (default) or `test`
#   KGZSL_VENV   the environment's folder (default .venv)
#   KGZSL_CACHE  the folder of fetched data and derived artifacts (default ~/.cache/kgzsl)
#   PYTHON       the interpreter to make the environment with (default python3, at least 3.11)
# Whatever is there already is kept, and a run that was interrupted is taken up again.
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-all}
venv=${KGZSL_VENV:-.venv}
python=${PYTHON:-python3}
case $extra in all | test) ;; *)
  echo "scripts/setup.sh takes 'all' or 'test'; got '$extra'." >&2
  exit 2
  ;;
esac
mkdir -p "$venv"
venv=$(cd "$venv" && pwd)

# A stamp says what is installed: the pins, this checkout (the installation points to it), and the extra; test holds all.
pins="$venv/.kgzsl-$( (pwd && cat pyproject.toml constraints.txt) | cksum | tr -cd 0-9)"
installed() { [ -e "$pins-$extra" ] || [ -e "$pins-test" ]; }
if ! installed || ! "$venv/bin/python" -c 'import kgzsl' 2> /dev/null; then
  if ! "$venv/bin/python" -m pip --version > /dev/null 2>&1; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
      echo "kgzsl needs Python 3.11 or newer; '$python' is $("$python" --version 2>&1 || true). Set PYTHON to a newer one." >&2
      exit 1
    }
    "$python" -m venv "$venv" || {
      echo "'$python -m venv' failed. On Debian and Ubuntu: apt install python3-venv. Then run this again." >&2
      exit 1
    }
  fi
  "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "$venv holds $("$venv/bin/python" --version), and kgzsl needs 3.11 or newer. Remove it, or name another folder in KGZSL_VENV." >&2
    exit 1
  }
  quiet=--quiet
  [ -t 1 ] && quiet=--progress-bar=on
  pip() { "$venv/bin/python" -m pip install --disable-pip-version-check $quiet -c constraints.txt "$@"; }
  find "$venv" -maxdepth 1 -name '.kgzsl-*' ! -name "$(basename "$pins")-*" -delete
  echo "== installing into $venv (a few minutes the first time; torch is the largest)"
  # torch first: everything else accepts the build that is there
  { pip "$(grep '^torch==' constraints.txt)" && pip -e ".[$extra]"; } || {
    echo "The installation did not finish. Check the network, or pip's index (PIP_INDEX_URL, pip.conf), and run this again." >&2
    exit 1
  }
  touch "$pins-$extra"
fi
echo "== data and models (kgzsl data fetch)"
"$venv/bin/kgzsl" data fetch
