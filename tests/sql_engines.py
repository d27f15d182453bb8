"""The engines that portable SQL is tried on: each runs a SELECT and answers with rows, and knows nothing of a lake."""

from __future__ import annotations

from datetime import date
from typing import Any, Protocol

import duckdb
import pytest

from carelake.engine.spark_session import SESSION
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
    """Spark in its default mode (ANSI), as the engine sets it up, and none of its tables."""

    def __init__(self, session: Any) -> None:
        self.session = session.newSession()
        for name, value in SESSION.items():
            self.session.conf.set(name, value)

    def ask(self, select: str, as_of: date | None = None) -> Rows:
        return [row.asDict() for row in self.session.sql(self._spelled(select, as_of)).collect()]

    def define(self, name: str, select: str, as_of: date | None = None) -> None:
        """A view, since writing tables takes Spark a second each. A view has no parameters."""
        self.session.sql(f"CREATE DATABASE IF NOT EXISTS {name.split('.')[0]}")
        self.session.sql(f"CREATE OR REPLACE VIEW {name} AS {self._spelled(select, as_of)}")

    def _spelled(self, select: str, as_of: date | None) -> str:
        return render(select.replace("$as_of", f"CAST('{as_of}' AS DATE)"), "spark")

    def types(self, name: str) -> dict[str, str]:
        names = {"string": "VARCHAR", "timestamp": "TIMESTAMP WITH TIME ZONE"}
        return {column: names.get(kind, kind.upper()) for column, kind in self.session.table(name).dtypes}


@pytest.fixture(scope="session")
def spark_sql(spark_session: Any) -> SparkSql:
    return SparkSql(spark_session)


@pytest.fixture(scope="session")
def duck_sql() -> DuckSql:
    return DuckSql()


@pytest.fixture(params=["duck_sql", "spark_sql"])
def sql_engine(request: pytest.FixtureRequest) -> SqlEngine:
    """Each test that asks for `sql_engine` runs once on every engine that portable SQL must agree on."""
    engine: SqlEngine = request.getfixturevalue(request.param)
    return engine
