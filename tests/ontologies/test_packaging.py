"""The ontologies are in what is built and installed, and are found there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytest.importorskip("setuptools")
ROOT = Path(__file__).parents[2]
BUILD = "import sys, setuptools.build_meta as build; out = sys.argv[1]; build.build_sdist(out); build.build_wheel(out)"


def test_wheel_and_source_archive_hold_the_ontologies(tmp_path: Path) -> None:
    tree, dist, installed = tmp_path / "tree", tmp_path / "dist", tmp_path / "installed"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in ("kgzsl", "ontologies"):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-c", BUILD, str(dist)], cwd=tree, check=True, capture_output=True, timeout=300)
    names = {path.name for path in (ROOT / "ontologies").glob("*.ttl")}
    (wheel,), (archive,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        assert names <= {
            Path(member.name).name for member in packed.getmembers() if "/kgzsl/ontologies/" in member.name and member.isfile()
        }
    shutil.unpack_archive(wheel, installed, format="zip")
    assert names <= {path.name for path in (installed / "kgzsl" / "ontologies").iterdir()}
    look = "from kgzsl.sources.vocabulary import FILES, vocabulary; print(FILES[0]); print(len(vocabulary().relations))"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", look]
    said = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True, timeout=60).stdout.split()
    assert said[0].startswith(str(installed)) and int(said[1]) > 60
