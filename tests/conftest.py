from __future__ import annotations

import os
from typing import Any

import pytest
from lake_engines import engine, make_any_engine, make_engine, spark_engine, spark_session
from servers import mariadb, mariadb_source, postgres, postgres_source, source, sqlite_source
from small_lake import small, small_origin
from sql_engines import duck_sql, spark_sql, sql_engine
from worn_lake import on_day_three, worn, worn_origin
from xdist.scheduler import LoadFileScheduling

from carelake.engine.duck import SESSION

__all__ = [
    "duck_sql",
    "engine",
    "make_any_engine",
    "make_engine",
    "mariadb",
    "mariadb_source",
    "on_day_three",
    "postgres",
    "postgres_source",
    "small",
    "small_origin",
    "source",
    "spark_engine",
    "spark_session",
    "spark_sql",
    "sql_engine",
    "sqlite_source",
    "worn",
    "worn_origin",
]


SPARK = ("spark", "engines_agree", "test_engine.py", "test_respell.py", "test_two_engines.py")  # in the names of tests


class ByFile(LoadFileScheduling):
    """Tests of a file share a worker, and so do all that need Spark: a session takes long to start, and a core."""

    def _split_scope(self, nodeid: str) -> str:
        needs_spark = any(sign in nodeid for sign in SPARK)
        return "spark" if needs_spark else super()._split_scope(nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """Workers share the cores. In `make prove` DuckDB has all of them in each, as it has for those who use it."""
    if config.option.markexpr == "not prove":
        SESSION["threads"] = "1"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: tests wait for servers, processes, disks and Spark."""
    return (os.cpu_count() or 1) + 2
