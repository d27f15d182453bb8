"""A database that can be asked: bounds, counts, and one moment for all of an extraction. Its errors come in our words.

No error carries a URL, a driver's words or a value: drivers quote rows, and URLs hold passwords.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pg8000.exceptions
from sqlglot import exp

from ..errors import LakeError, SourceDenied, SourceFailed, SourceUnreachable
from .sql_types import Dialect

# What every connection begins with, the light one and those that stream.
POSTGRES_SESSION = (
    "SET TIME ZONE 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET extra_float_digits = 3",  # before 12, a float's last digits are left out otherwise
    "SET standard_conforming_strings = on",
)
DENIED = frozenset({"28P01", "28000", "42501", 1044, 1045, 1142, 1143, 1227, 1698})
NO_DATABASE = frozenset({"3D000", 1049})


@dataclass
class Database:
    dialect: Dialect
    ask: Callable[[str], list[tuple[Any, ...]]]
    close: Callable[[], None]
    url: str = field(repr=False, default="")  # as ConnectorX wants it
    session: tuple[str, ...] = ()  # what every connection begins with
    sqlite: sqlite3.Connection | None = None
    snapshot: bool = False  # whether what is read by other connections now is of one moment


@contextmanager
def in_our_words(who: str) -> Iterator[None]:
    """Whatever a driver raises comes out as an error of ours, without its words: they quote values, and passwords."""
    try:
        yield
    except (LakeError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - ConnectorX's panics are no `Exception`
        raise _named(who, error) from None


def _named(who: str, error: BaseException) -> SourceFailed:
    code = _code(error)
    if code in DENIED:
        return SourceDenied(f"{who}: the database does not let this user read that.", _MEND_RIGHT)
    if code in NO_DATABASE:
        return SourceUnreachable(f"{who}: the server answers, but has no database of that name.", _MEND_URL)
    if isinstance(error, (OSError, pg8000.exceptions.InterfaceError)) or code in {2003, 2005, 2006, 2013}:
        return SourceUnreachable(f"{who}: no database answers, or the connection was lost.", _MEND_URL)
    return SourceFailed(f"{who}: the database stopped with {type(error).__name__}.", _MEND_SERVER)


_MEND_RIGHT = "Give the user the right to SELECT, of this table and of the catalogue."
_MEND_URL = "Check host, port and database in the connection, and whether the server is up."
_MEND_SERVER = "The server's own log says why: its words are not repeated here, since they can quote a row."


def _code(error: BaseException) -> Any:
    told = error.args[0] if error.args else None
    return told.get("C") if isinstance(told, dict) else told


def at_one_moment(database: Database) -> None:
    """From here on, what is asked and streamed is of this moment, where the database can do that.

    PostgreSQL lends the light client's snapshot to the connections that stream; one that may not (a standby, a pooler)
    leaves `snapshot` False.
    """
    if database.sqlite:
        database.sqlite.rollback()
        database.sqlite.execute("BEGIN")
    if database.dialect != "postgres":
        return
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    database.ask("ROLLBACK")
    try:
        database.ask(begin)
        lent = exp.Literal.string(database.ask("SELECT PG_EXPORT_SNAPSHOT()")[0][0]).sql("postgres")
        database.session = (begin, f"SET TRANSACTION SNAPSHOT {lent}", *POSTGRES_SESSION)
        database.snapshot = True
    except pg8000.exceptions.DatabaseError:
        database.ask("ROLLBACK")
        database.session, database.snapshot = POSTGRES_SESSION, False
