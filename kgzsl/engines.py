"""Engines that run the relational work of compiling a graph: Ibis expressions on DuckDB in this process, or on Spark.

The expressions are the same; the engine only says where they run. Both need the `graphs` extra, Spark also the `spark` extra.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from kgzsl.errors import UnknownNameError, require

if TYPE_CHECKING:
    import ibis

ENGINES = ("duckdb", "pyspark")
_NUMBERS = count()


class Engine:
    """A connection to one engine; make it with `open_engine`.

    Attributes
    ----------
    name : one of `ENGINES`.
    connection : the Ibis backend.
    """

    def __init__(self, name: str, connection: Any) -> None:
        self.name, self.connection = name, connection
        self._tables: list[str] = []
        self._files: list[str] = []

    def table(self, data: pa.Table) -> ibis.Table:
        """Return an Arrow table as a table of this engine; not copied on DuckDB."""
        name = f"kgzsl_{next(_NUMBERS)}"
        self._tables.append(name)
        if self.name == "duckdb":
            self.connection.con.register(name, data)
        else:
            self.connection._session.createDataFrame(data).createOrReplaceTempView(name)
        return self.connection.table(name)

    def lines(self, path: Path, columns: Mapping[str, str]) -> ibis.Table:
        """Return a tab-separated file without header or quotes, gzipped or not, as a table of strings that is read as it is used.

        Parameters
        ----------
        columns : name → Ibis type, in the file's order.
        """
        view = f"kgzsl_{next(_NUMBERS)}"
        self._files.append(view)
        if self.name == "duckdb":
            types = {name: "VARCHAR" if kind == "string" else kind for name, kind in columns.items()}
            return self.connection.read_csv(
                path, table_name=view, sep="\t", quote="", escape="", header=False, columns=types, auto_detect=False
            )
        schema = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
        return self.connection.read_csv(
            str(path), table_name=view, sep="\t", quote="", escape="", header=False, schema=schema, mode="FAILFAST"
        )

    def collect(self, expression: Any) -> pa.Table:
        """Return the rows of an expression as an Arrow table in memory."""
        return expression.to_pyarrow()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the tables; the connection stays open for the next block."""
        if self.name == "duckdb":
            for name in self._tables:
                self.connection.con.unregister(name)
            for name in self._files:
                self.connection.drop_view(name, force=True)
        else:
            for name in (*self._tables, *self._files):
                self.connection._session.catalog.dropTempView(name)
        self._tables.clear()
        self._files.clear()


def open_engine(name: str = "duckdb") -> Engine:
    """Return an engine, to be used in a `with` block that holds its tables; the connection is opened once per process.

    Parameters
    ----------
    name : `duckdb` (in this process, no server) or `pyspark` (the running Spark session, else a local one).

    Raises
    ------
    UnknownNameError : another name.
    MissingDependencyError : the extra is not installed.
    """
    if name not in ENGINES:
        raise UnknownNameError("a graph is compiled on a known engine", received=repr(name), remedy=f"choose from: {', '.join(ENGINES)}")
    return Engine(name, _connection(name))


@cache
def _connection(name: str) -> Any:
    framework: Any = require("ibis", "graphs")
    if name == "duckdb":
        require("duckdb", "graphs")
        connection = framework.duckdb.connect()
        connection.raw_sql("SET enable_progress_bar = false")
        return connection
    sql: Any = require("pyspark.sql", "spark")
    builder = sql.SparkSession.builder.appName("kgzsl")
    if sql.SparkSession.getActiveSession() is None:
        home = tempfile.mkdtemp(prefix="kgzsl-spark-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        for key, value in {
            "spark.master": "local[2]",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "4",
            "spark.sql.warehouse.dir": home,
            "spark.sql.execution.arrow.pyspark.enabled": "true",
        }.items():
            builder = builder.config(key, value)
    return framework.pyspark.connect(builder.getOrCreate())
