"""DuckDB and Spark compile the same graphs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from kgzsl.engines import open_engine
from kgzsl.errors import UnknownNameError
from kgzsl.graphs import compile_graph
from tests.graphs.tables import compiled, edges
from tests.graphs.test_align import CONCEPTNET, LABELS, WORDNET


@pytest.fixture
def spark() -> None:
    """Spark in local mode, which needs a Java of version 17 or 21 on the machine."""
    pytest.importorskip("pyspark")
    java = shutil.which("java")
    if java is None:
        pytest.skip("Spark needs Java 17 or 21, and there is no `java` on the path")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    if not any(f'"{v}.' in said for v in (17, 21)):
        pytest.skip(f"Spark needs Java 17 or 21, and `java -version` says {said.splitlines()[:1]}")


@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_digests_are_equal() -> None:
    for keys in (
        {"align": [LABELS]},
        {"align": [{**LABELS, "as": "edge"}], "edges": {"duplicates": "sum", "symmetric": "once", "direction": {"hypernym": "both"}}},
        {"edges": {"minimum_weight": 1.5, "weights": "one", "self_loops": "keep"}, "select": {"classes": [{"ids": ["cn:dog"]}], "hops": 1}},
    ):
        here, there = (compiled(WORDNET, CONCEPTNET, engine=engine, **keys) for engine in ("duckdb", "pyspark"))
        assert edges(here) == edges(there)
        assert here.digest == there.digest
        assert here.manifest["dropped"] == there.manifest["dropped"]
    assert compile_graph("birds", engine="pyspark").digest == compile_graph("birds").digest


def test_tables_and_files_are_let_go_of(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("x\ty\n", encoding="utf-8")
    with open_engine() as engine:
        before = set(engine.connection.list_tables())
        table = engine.table(pa.table({"a": [1]}))
        lines = engine.lines(tmp_path / "a.tsv", {"one": "string", "two": "string"})
        assert engine.collect(lines).to_pylist() == [{"one": "x", "two": "y"}]
        assert engine.collect(table).to_pylist() == [{"a": 1}]
        assert len(set(engine.connection.list_tables()) - before) == 2
    assert set(engine.connection.list_tables()) == before


def test_another_engine() -> None:
    with pytest.raises(UnknownNameError, match="choose from: duckdb, pyspark"):
        open_engine("polars")
