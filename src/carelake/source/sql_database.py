"""A database asked through its own light client: one log-in, the catalogue, bounds and counts. Rows come elsewhere.

ConnectorX would try a wrong password seven times in thirty seconds, and accounts get locked. So the light client probes
first, once. No error carries the URL, the driver's words or a value.

*untested*: SQL Server. No server was at hand; only its queries are tested.
"""

from __future__ import annotations

import importlib
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

import pg8000.exceptions
import pg8000.native
import pymysql
from sqlglot import exp

from ..errors import LakeError, SourceDenied, SourceFailed, SourceUnreachable, SourceUrlUnknown
from .sql_types import Dialect

SECONDS_TO_ANSWER = 5

# What every connection begins with, the light one and those that stream.
POSTGRES_SESSION = (
    "SET TIME ZONE 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET extra_float_digits = 3",  # before 12, a float's last digits are left out otherwise
    "SET standard_conforming_strings = on",
)
MYSQL_SESSION = ("SET time_zone = '+00:00', sql_mode = ''",)  # no mode that reads backslashes or quotes otherwise

DENIED = frozenset({"28P01", "28000", "42501", 1044, 1045, 1142, 1143, 1227, 1698})
NO_DATABASE = frozenset({"3D000", 1049})


@dataclass
class Database:
    dialect: Dialect
    ask: Callable[[str], list[tuple[Any, ...]]]
    close: Callable[[], None]
    url: str = field(repr=False, default="")  # as ConnectorX wants it
    session: tuple[str, ...] = ()
    sqlite: sqlite3.Connection | None = None
    snapshot: bool = False  # whether what is read by other connections now is of one moment


@contextmanager
def connected(who: str, url: str) -> Iterator[Database]:
    """The database behind a URL, which is named `who` in errors.

    Raises `SourceUrlUnknown`, `SourceUnreachable`, `SourceDenied`; whatever else a driver says is `SourceFailed`.
    """
    with in_our_words(who):
        database = _opener(who, url)(who, url)
    try:
        with in_our_words(who):
            yield database
    finally:
        _quietly(database.close)


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
        return SourceDenied(f"{who}: the database does not let this user in, or not to this table.", _MEND_LOGIN)
    if code in NO_DATABASE:
        return SourceUnreachable(f"{who}: the server answers, but has no database of that name.", _MEND_URL)
    if isinstance(error, (OSError, pg8000.exceptions.InterfaceError)) or code in {2003, 2005, 2006, 2013}:
        return SourceUnreachable(f"{who}: no database answers, or the connection was lost.", _MEND_URL)
    return SourceFailed(f"{who}: the database stopped with {type(error).__name__}.", _MEND_SERVER)


_MEND_LOGIN = "Check user, password and the right to SELECT; nothing was tried a second time."
_MEND_URL = "Check host, port and database in the connection, and whether the server is up."
_MEND_SERVER = "The server's own log says why: its words are not repeated here, since they can quote a row."


def _code(error: BaseException) -> Any:
    told = error.args[0] if error.args else None
    return told.get("C") if isinstance(told, dict) else told


def _opener(who: str, url: str) -> Callable[[str, str], Database]:
    known = {"sqlite": _sqlite, "postgresql": _postgres, "postgres": _postgres, "mysql": _mysql, "mariadb": _mysql}
    scheme = url.partition("://")[0].lower()
    if "://" not in url or scheme not in {*known, "mssql"}:
        fix = f"Write one that begins with {', '.join(f'{name}://' for name in (*known, 'mssql'))}."
        raise SourceUrlUnknown(f"{who}: the connection is not a URL of a database that is known.", fix)
    return known.get(scheme, _mssql)


def _parts(who: str, url: str) -> SplitResult:
    """The parts of a URL. A password that breaks it in two must not come out as a host: so none is ever shown."""
    try:
        parts = urlsplit(url)
        if parts.hostname and (parts.port is None or parts.port):
            return parts
    except ValueError:
        pass
    fix = "Write scheme://user:password@host:port/database, with %-codes for letters such as @ / # in the password."
    raise SourceUrlUnknown(f"{who}: the connection is not a whole URL.", fix)


def _postgres(who: str, url: str) -> Database:
    parts = _parts(who, url)
    login = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": parts.hostname,
        "port": parts.port or 5432,
        "database": unquote(parts.path.lstrip("/")) or None,
        "ssl_context": _tls(parts),
    }
    pg8000.native.Connection(**login, timeout=SECONDS_TO_ANSWER).close()  # the time-out would also end a long count
    client = pg8000.native.Connection(**login)
    session = (*POSTGRES_SESSION, "SET idle_in_transaction_session_timeout = 0")
    for statement in session:
        client.run(statement)
    address = parts._replace(scheme="postgresql").geturl()
    ask = lambda sql: [tuple(row) for row in client.run(sql) or []]  # noqa: E731
    return Database("postgres", ask, client.close, address, POSTGRES_SESSION)


def _tls(parts: SplitResult) -> ssl.SSLContext | bool | None:
    """By `sslmode`, as PostgreSQL's own clients read it: TLS where the server has it, unless the URL says otherwise."""
    told = parse_qs(parts.query)
    mode = told.get("sslmode", ["prefer"])[0]
    if mode.startswith("verify"):
        return ssl.create_default_context(cafile=told.get("sslrootcert", [None])[0])
    return {"disable": False, "require": True}.get(mode)


def _mysql(who: str, url: str) -> Database:
    parts = _parts(who, url)
    client = pymysql.connect(
        user=unquote(parts.username or ""),
        password=unquote(parts.password or "").encode(),  # type: ignore[arg-type] # a str would be sent as Latin-1
        host=parts.hostname,
        port=parts.port or 3306,
        database=unquote(parts.path.lstrip("/")) or None,
        connect_timeout=SECONDS_TO_ANSWER,
        init_command=MYSQL_SESSION[0],
        charset="utf8mb4",
        autocommit=True,
    )

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with client.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    return Database("mysql", ask, client.close, parts._replace(scheme="mysql").geturl(), MYSQL_SESSION)


def _sqlite(who: str, url: str) -> Database:
    path = Path("/" + unquote(url.partition("://")[2].partition("?")[0]).lstrip("/"))
    if not path.is_file():
        raise SourceUnreachable(f"{who}: there is no such SQLite file.", "Write sqlite:/// and the file's whole path.")
    # Another thread may pull the rows (DuckDB's do), but never two at once.
    client = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=30, check_same_thread=False)
    client.isolation_level = None
    ask = lambda sql: client.execute(sql).fetchall()  # noqa: E731
    return Database("sqlite", ask, client.close, sqlite=client, snapshot=True)


def _mssql(who: str, url: str) -> Database:
    parts = _parts(who, url)
    try:
        driver = importlib.import_module("mssql_python")
    except ImportError:
        fix = "Install the extra: pip install 'carelake[mssql]'."
        raise SourceFailed(f"{who}: SQL Server needs a driver that is not installed.", fix) from None
    client = driver.connect(odbc(parts), timeout=SECONDS_TO_ANSWER)

    def ask(sql: str) -> list[tuple[Any, ...]]:
        cursor = client.cursor()
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]

    return Database("tsql", ask, client.close, with_tls(parts))


def with_tls(parts: SplitResult) -> str:
    """The URL as ConnectorX wants it, encrypted and with a certificate that is checked, unless it says otherwise."""
    told = {"encrypt": "true", "trust_server_certificate": "false", **dict(parse_qsl(parts.query))}
    return parts._replace(query=urlencode(told)).geturl()


def odbc(parts: SplitResult) -> str:
    """The same for the light client."""
    told = dict(parse_qsl(parts.query))
    yes = {"true": "yes", "false": "no"}
    said = {
        "SERVER": f"{parts.hostname},{parts.port or 1433}",
        "DATABASE": unquote(parts.path.lstrip("/")),
        "UID": unquote(parts.username or ""),
        "PWD": unquote(parts.password or ""),
        "Encrypt": yes.get(told.get("encrypt", "true"), "yes"),
        "TrustServerCertificate": yes.get(told.get("trust_server_certificate", "false"), "no"),
    }
    return "".join(f"{name}={{{value.replace('}', '}}')}}};" for name, value in said.items())


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


def _quietly(close: Callable[[], None]) -> None:
    """A connection that is lost already cannot be closed, and that is no news."""
    with suppress(Exception):
        close()
