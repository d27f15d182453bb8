"""A hospital in MariaDB or MySQL, filled by LOAD DATA LOCAL, which the server must allow (`local_infile`)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql
from sqlglot import exp

from .files import write_rows
from .stores import create_table, quoted


@dataclass
class MariadbStore:
    client: Any

    def create(self, table: str, columns: Any) -> None:
        self._run(f"DROP TABLE IF EXISTS {quoted(table, 'mysql')}")
        self._run(create_table(table, columns, "mysql") + " CHARACTER SET utf8mb4")

    def append(self, table: str, rows: Any) -> None:
        self._load(table, rows, "")

    def upsert(self, table: str, rows: Any) -> None:
        self._load(table, rows, "REPLACE")

    def replace(self, table: str, rows: Any) -> None:
        self._run(f"DELETE FROM {quoted(table, 'mysql')}")
        self.append(table, rows)

    def index(self, table: str, column: str) -> None:
        self._run(f"CREATE INDEX {quoted(column, 'mysql')} ON {quoted(table, 'mysql')} ({quoted(column, 'mysql')})")

    def _load(self, table: str, rows: Any, how: str) -> None:
        """An empty field is NULL: none of the synthetic texts is empty."""
        names = [f"@c{place}" for place in range(rows.num_columns)]
        columns = [quoted(name, "mysql") for name in rows.column_names]
        fill = [f"{column} = NULLIF({name}, '')" for column, name in zip(columns, names, strict=True)]
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            write_rows(file, rows)
            file.flush()
            path = exp.Literal.string(file.name).sql("mysql")
            form = "CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY ''"
            load = f"LOAD DATA LOCAL INFILE {path} {how} INTO TABLE {quoted(table, 'mysql')} {form}"
            self._run(f"{load} LINES TERMINATED BY '\n' ({', '.join(names)}) SET {', '.join(fill)}")

    def _run(self, statement: str) -> None:
        with self.client.cursor() as cursor:
            cursor.execute(statement)


@contextmanager
def opened(url: str, *, fresh: bool) -> Iterator[MariadbStore]:
    """The database of a URL. A following day is one transaction; `fresh` tables are not, as DDL commits by itself."""
    parts = urlsplit(url)
    client: Any = pymysql.connect(
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=parts.hostname,
        port=parts.port or 3306,
        database=unquote(parts.path[1:]),
        charset="utf8mb4",
        local_infile=True,
        autocommit=fresh,
    )
    with closing(client):
        yield MariadbStore(client)
        client.commit()
