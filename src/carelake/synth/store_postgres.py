"""A hospital in PostgreSQL, filled by COPY."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

import pg8000.native

from .files import write_rows
from .stores import create_table, quoted


@dataclass
class PostgresStore:
    client: Any

    def create(self, table: str, columns: Any) -> None:
        self.client.run(f"DROP TABLE IF EXISTS {quoted(table)}")
        self.client.run(create_table(table, columns, "postgres"))

    def append(self, table: str, rows: Any) -> None:
        lines = BytesIO()
        write_rows(lines, rows)
        lines.seek(0)
        self.client.run(f"COPY {quoted(table)} FROM STDIN WITH (FORMAT CSV)", stream=lines)

    def upsert(self, table: str, rows: Any) -> None:
        staged, key = f"{table}_staged", quoted(rows.column_names[0])
        into, beside = quoted(table), quoted(staged)
        self.client.run(f"CREATE TEMPORARY TABLE {beside} (LIKE {into})")
        self.append(staged, rows)
        self.client.run(f"DELETE FROM {into} USING {beside} WHERE {into}.{key} = {beside}.{key}")
        self.client.run(f"INSERT INTO {into} SELECT * FROM {beside}")
        self.client.run(f"DROP TABLE {beside}")

    def replace(self, table: str, rows: Any) -> None:
        self.client.run(f"DELETE FROM {quoted(table)}")
        self.append(table, rows)

    def index(self, table: str, column: str) -> None:
        self.client.run(f"CREATE INDEX ON {quoted(table)} ({quoted(column)})")


@contextmanager
def opened(url: str, *, fresh: bool) -> Iterator[PostgresStore]:
    """The database of a URL. What is done inside is one transaction; `fresh` makes no difference."""
    parts = urlsplit(url)
    login = {"user": unquote(parts.username or ""), "password": unquote(parts.password or "")}
    where = {"host": parts.hostname, "port": parts.port or 5432, "database": unquote(parts.path.lstrip("/"))}
    with closing(pg8000.native.Connection(**login, **where)) as client:
        client.run("BEGIN")
        yield PostgresStore(client)
        client.run("COMMIT")
