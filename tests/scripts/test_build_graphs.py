"""`scripts/build_graphs.py`: kept, built, missing, failed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kgzsl.graphs import KnowledgeGraph

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_graphs.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture
def missing(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere.yaml"
    source = {"reader": "triples", "benchmark": "not/there.csv"}
    path.write_text(yaml.safe_dump({"format": 1, "name": "elsewhere", "sources": [source]}), encoding="utf-8")
    return path


def test_what_is_there_is_kept_and_damage_is_repaired(tmp_path: Path) -> None:
    first = run("birds", "-o", tmp_path, "--jobs", "1")
    assert first.returncode == 0, first.stderr
    assert "built" in first.stdout
    digest = KnowledgeGraph.load(tmp_path / "birds.kg").digest
    assert "kept" in run("birds", "-o", tmp_path).stdout
    (tmp_path / "birds.kg" / "edges.parquet").write_bytes(b"cut")
    again = run("birds", "-o", tmp_path)
    assert again.returncode == 0 and "built" in again.stdout
    assert KnowledgeGraph.load(tmp_path / "birds.kg").digest == digest


def test_the_status_tells_missing_from_failed(tmp_path: Path, missing: Path) -> None:
    ended = run("birds", missing, "-o", tmp_path / "out")
    assert ended.returncode == 3
    assert "missing" in ended.stdout and "$KGZSL_DATA" in ended.stdout
    broken = tmp_path / "broken.yaml"
    broken.write_text("format: 1\nname: broken\nsurces: []\n", encoding="utf-8")
    ended = run(broken, missing, "-o", tmp_path / "out")
    assert ended.returncode == 1
    assert "surces" in ended.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["birds.kg"]


def test_a_folder_in_the_way_is_not_removed(tmp_path: Path) -> None:
    shutil.copytree(SCRIPT.parent / "quickstart", tmp_path / "birds.kg")
    ended = run("birds", "-o", tmp_path)
    assert ended.returncode == 1
    assert any((tmp_path / "birds.kg").glob("*.yaml"))
