"""The engines that portable SQL is tried on: each runs a SELECT and answers with rows, and knows nothing of a lake."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pytest

from carelake.sql import render

Rows = list[dict[str, Any]]


class SqlEngine(Protocol):
    def ask(self, select: str, as_of: date | None = None) -> Rows:
        """The rows of a SELECT."""

    def define(self, name: str, select: str, as_of: date | None = None) -> None:
        """Let later SELECTs read `layer.table`."""

    def types(self, name: str) -> dict[str, str]:
        """Column -> type of what was defined, as DuckDB spells types."""


class DuckSql:
    def __init__(self) -> None:
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'")

    def ask(self, select: str, as_of: date | None = None) -> Rows:
        given = {"as_of": as_of} if "$as_of" in select else None
        rows: Rows = self.db.sql(select, params=given).to_arrow_table().to_pylist()
        return rows

    def define(self, name: str, select: str, as_of: date | None = None) -> None:
        given = {"as_of": as_of} if "$as_of" in select else None
        self.db.execute(f"CREATE SCHEMA IF NOT EXISTS {name.split('.')[0]}")
        self.db.execute(f"CREATE OR REPLACE TABLE {name} AS {select}", given)

    def types(self, name: str) -> dict[str, str]:
        return {column: kind for column, kind, *_ in self.db.execute(f"DESCRIBE {name}").fetchall()}


class SparkSql:
    """Plain local Spark in its default mode (ANSI), without Delta."""

    def __init__(self, folder: Path) -> None:
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "1")
        builder = builder.config("spark.sql.warehouse.dir", str(folder)).config("spark.driver.memory", "1g")
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("OFF")

    def ask(self, select: str, as_of: date | None = None) -> Rows:
        return [row.asDict() for row in self.session.sql(render(select, "spark"), args={"as_of": as_of}).collect()]

    def define(self, name: str, select: str, as_of: date | None = None) -> None:
        """A view, since writing tables takes Spark a second each. A view has no parameters, so the day stands in it."""
        self.session.sql(f"CREATE DATABASE IF NOT EXISTS {name.split('.')[0]}")
        day = f"CAST('{as_of}' AS DATE)"
        self.session.sql(f"CREATE OR REPLACE VIEW {name} AS {render(select.replace('$as_of', day), 'spark')}")

    def types(self, name: str) -> dict[str, str]:
        names = {"string": "VARCHAR", "timestamp": "TIMESTAMP WITH TIME ZONE"}
        return {column: names.get(kind, kind.upper()) for column, kind in self.session.table(name).dtypes}


def can_run_spark() -> bool:
    """pyspark with its jars, and a JVM: the client-only package has no jars."""
    spec = importlib.util.find_spec("pyspark")
    return bool(spec and spec.origin and Path(spec.origin).with_name("jars").is_dir() and shutil.which("java"))


@pytest.fixture(scope="session")
def spark_sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSql]:
    """One session for all tests: it takes seconds to start. With `CI=true` a machine without one fails."""
    if not can_run_spark():
        missing = "no pyspark with a JVM on this machine"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    spark = SparkSql(tmp_path_factory.mktemp("warehouse"))
    yield spark
    spark.session.stop()


@pytest.fixture(scope="session")
def duck_sql() -> DuckSql:
    return DuckSql()


@pytest.fixture(params=["duck_sql", "spark_sql"])
def sql_engine(request: pytest.FixtureRequest) -> SqlEngine:
    """Each test that asks for `sql_engine` runs once on every engine that portable SQL must agree on."""
    engine: SqlEngine = request.getfixturevalue(request.param)
    return engine
