"""A hospital in an SQLite file, through Python's own module: days as ISO text, amounts in DECIMAL columns."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from .stores import create_table, quoted


@dataclass
class SqliteStore:
    client: sqlite3.Connection

    def create(self, table: str, columns: Any) -> None:
        self.client.execute(f"DROP TABLE IF EXISTS {quoted(table)}")
        self.client.execute(create_table(table, columns, "sqlite"))

    def append(self, table: str, rows: Any) -> None:
        places = ", ".join("?" * rows.num_columns)
        self.client.executemany(f"INSERT INTO {quoted(table)} VALUES ({places})", tuples(rows))

    def upsert(self, table: str, rows: Any) -> None:
        places = ", ".join("?" * rows.num_columns)
        key, *others = map(quoted, rows.column_names)
        become = ", ".join(f"{name} = excluded.{name}" for name in others)
        insert = f"INSERT INTO {quoted(table)} VALUES ({places}) ON CONFLICT ({key}) DO UPDATE SET {become}"
        self.client.executemany(insert, tuples(rows))

    def replace(self, table: str, rows: Any) -> None:
        self.client.execute(f"DELETE FROM {quoted(table)}")
        self.append(table, rows)

    def index(self, table: str, column: str) -> None:
        self.client.execute(f"CREATE INDEX {quoted(f'{table}_{column}')} ON {quoted(table)} ({quoted(column)})")


@contextmanager
def opened(url: str, *, fresh: bool) -> Iterator[SqliteStore]:
    """The file of `sqlite:///whole/path`. A fresh one is written under another name, and takes its own at the end."""
    path = Path("/" + unquote(url.partition("://")[2].partition("?")[0]).lstrip("/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    at = path.with_name(f".{path.name}.part") if fresh else path
    if fresh:
        at.unlink(missing_ok=True)
    with closing(sqlite3.connect(at, isolation_level=None)) as client:
        if fresh:  # nothing to roll back to: a broken one is thrown away
            client.execute("PRAGMA journal_mode = OFF")
            client.execute("PRAGMA synchronous = OFF")
        client.execute("BEGIN")
        yield SqliteStore(client)
        client.execute("COMMIT")
    if fresh:
        os.replace(at, path)


def tuples(rows: Any) -> Iterator[tuple[Any, ...]]:
    """The rows as Python values; column by column, since row by row takes many times as long."""
    return zip(*(_values(column.combine_chunks()) for column in rows.columns), strict=True)


def _values(column: Any) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        return _taken(column.dictionary.to_pylist(), column.indices.to_numpy())
    if pa.types.is_date(column.type):
        numbers = column.cast(pa.int32()).fill_null(_NO_DAY).to_numpy().astype(np.int64)
        return _taken(_days(), numbers - _NO_DAY)
    if pa.types.is_decimal(column.type):
        # SQLite keeps a DECIMAL as a double whatever it is given. Cents / 100 is the double nearest to the decimal,
        # which is what it would make of the text.
        cents = np.frombuffer(column.buffers()[1], dtype=np.int64)[::2][column.offset : column.offset + len(column)]
        values: list[Any] = (cents / 100).tolist()
        return values
    texts: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
    return texts


def _taken(known: list[Any], places: Any) -> list[Any]:
    """The values at these places; nothing is copied, so a word stands in memory once."""
    found: list[Any] = np.array(known, dtype=object)[places].tolist()
    return found


_FIRST = date(1880, 1, 1)
_NO_DAY = (_FIRST - date(1970, 1, 1)).days - 1


@cache
def _days() -> list[str | None]:
    return [None, *((_FIRST + timedelta(days=number)).isoformat() for number in range(80_000))]
