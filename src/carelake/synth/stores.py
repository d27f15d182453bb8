"""Where a hospital's database stands: an SQLite file, PostgreSQL or MariaDB/MySQL, by URL."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import pyarrow as pa
from sqlglot import exp, parse_one

from ..errors import SourceUrlUnknown

LENGTHS = {"Address": 160}  # of text columns; the others are short


class Store(Protocol):
    def create(self, table: str, columns: Any) -> None:
        """An empty table with these columns of Arrow types, keyed by the first; one of that name is dropped."""

    def append(self, table: str, rows: Any) -> None:
        """Add new rows."""

    def upsert(self, table: str, rows: Any) -> None:
        """Put rows in the place of those with the same key, or add them."""

    def replace(self, table: str, rows: Any) -> None:
        """Let the table hold just these rows."""

    def index(self, table: str, column: str) -> None:
        """Let the table be searched by this column."""


@contextmanager
def opened(url: str, *, fresh: bool) -> Iterator[Store]:
    """The database behind a URL. What is done inside is kept whole at its end, or not at all.

    A `fresh` SQLite file replaces the one that stands there. Raises `SourceUrlUnknown`.
    """
    known = {
        "sqlite": "sqlite",
        "postgresql": "postgres",
        "postgres": "postgres",
        "mysql": "mariadb",
        "mariadb": "mariadb",
    }
    kind = known.get(url.partition("://")[0].lower())
    if kind is None:
        fix = "Write one that begins with sqlite://, postgresql:// or mysql://."
        raise SourceUrlUnknown("synth: the connection is not a URL of a database it can fill.", fix)
    store_of = importlib.import_module(f".store_{kind}", __package__)  # SQLite needs no other database's driver
    with store_of.opened(url, fresh=fresh) as store:
        yield store


def create_table(table: str, columns: Any, dialect: str) -> str:
    """CREATE TABLE in a dialect, its first column the key."""
    key, *others = [f"{quoted(column.name)} {_type(column)}" for column in columns]
    defined = ", ".join([f"{key} PRIMARY KEY", *others])
    return parse_one(f"CREATE TABLE {quoted(table)} ({defined})", read="postgres").sql(dialect)


def quoted(name: str, dialect: str = "postgres") -> str:
    """A name as an identifier."""
    return exp.to_identifier(name, quoted=True).sql(dialect)


def _type(field: Any) -> str:
    if pa.types.is_date(field.type):
        return "DATE"
    return "DECIMAL(18, 2)" if pa.types.is_decimal(field.type) else f"VARCHAR({LENGTHS.get(field.name, 40)})"
