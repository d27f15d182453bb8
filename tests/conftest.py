from __future__ import annotations

import os

import pytest
from servers import mariadb, mariadb_source, postgres, postgres_source, source, sqlite_source
from small_lake import small, small_origin
from sql_engines import duck_sql, spark_sql, sql_engine
from worn_lake import on_day_three, worn, worn_origin

__all__ = [
    "duck_sql",
    "mariadb",
    "mariadb_source",
    "on_day_three",
    "postgres",
    "postgres_source",
    "small",
    "small_origin",
    "source",
    "spark_sql",
    "sql_engine",
    "sqlite_source",
    "worn",
    "worn_origin",
]


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file share a worker, and so do all that need Spark: a session takes long to start, and a core."""
    for item in items:
        needs_spark = "spark_sql" in item.nodeid or "spark_sql" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("spark" if needs_spark else item.location[0]))


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for servers, processes and disks."""
    return (os.cpu_count() or 1) + 1
