"""From a URL to a database that answers: one log-in by its own light client, before anything is streamed.

ConnectorX would try a wrong password seven times in thirty seconds, and accounts get locked.

*untested*: SQL Server. No server was at hand; only its queries are tested.
"""

from __future__ import annotations

import importlib
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

import pg8000.native
import pymysql

from ..errors import LoginDenied, SourceDenied, SourceFailed, SourceUnreachable, SourceUrlUnknown
from .sql_database import POSTGRES_SESSION, Database, in_our_words

SECONDS_TO_ANSWER = 5

MYSQL_SESSION = ("SET time_zone = '+00:00', sql_mode = ''",)  # no mode that reads backslashes or quotes otherwise


@contextmanager
def connected(who: str, url: str) -> Iterator[Database]:
    """The database behind a URL, which is named `who` in errors.

    Raises `SourceUrlUnknown`, `SourceUnreachable`, `LoginDenied`; whatever else a driver says is `SourceFailed`.
    """
    try:
        with in_our_words(who):
            database = _opener(who, url)(who, url)
    except SourceDenied:
        raise LoginDenied(who) from None
    try:
        with in_our_words(who):
            yield database
    finally:
        _quietly(database.close)


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
    return Database("postgres", lambda sql: [tuple(row) for row in client.run(sql) or []], client.close, address)


def _tls(parts: SplitResult) -> ssl.SSLContext | bool | None:
    """By `sslmode`, as PostgreSQL's own clients read it: TLS where the server has it, unless the URL says otherwise."""
    told = dict(parse_qsl(parts.query))
    mode = told.get("sslmode", "prefer")
    if mode.startswith("verify"):
        return ssl.create_default_context(cafile=told.get("sslrootcert"))
    return {"disable": False, "require": True}.get(mode)


def _mysql(who: str, url: str) -> Database:
    parts = _parts(who, url)
    told = {name: value for name, value in parse_qsl(parts.query) if value.upper() != "PREFERRED"}
    client = pymysql.connect(
        user=unquote(parts.username or ""),
        password=unquote(parts.password or "").encode(),
        host=parts.hostname,
        port=parts.port or 3306,
        database=unquote(parts.path.lstrip("/")) or None,
        connect_timeout=SECONDS_TO_ANSWER,
        init_command=MYSQL_SESSION[0],
        charset="utf8mb4",
        autocommit=True,
        **_mysql_tls(told),
    )

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with client.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    if "ssl-mode" not in told and dict(ask("SHOW STATUS LIKE 'Ssl_cipher'")).get("Ssl_cipher"):
        told["ssl-mode"] = "REQUIRED"  # left to itself, ConnectorX sends rows in the clear
    address = parts._replace(scheme="mysql", query=urlencode(told)).geturl()
    return Database("mysql", ask, client.close, address, MYSQL_SESSION)


def _mysql_tls(told: dict[str, str]) -> dict[str, Any]:
    """By `ssl-mode`, as MySQL's own clients read it: TLS where the server has it, unless the URL says otherwise."""
    verified: dict[str, Any] = {"ssl_verify_cert": True, "ssl_ca": told.get("ssl-ca")}
    modes: dict[str, dict[str, Any]] = {
        "DISABLED": {"ssl_disabled": True},
        "REQUIRED": {"ssl": {"check_hostname": False}},
        "VERIFY_CA": verified,
        "VERIFY_IDENTITY": {**verified, "ssl_verify_identity": True},
    }
    return modes.get(told.get("ssl-mode", "").upper(), {})


def _sqlite(who: str, url: str) -> Database:
    path = Path("/" + unquote(url.partition("://")[2].partition("?")[0]).lstrip("/"))
    if not path.is_file():
        raise SourceUnreachable(f"{who}: there is no such SQLite file.", "Write sqlite:/// and the file's whole path.")
    client = _read_only(path, "mode=ro")
    try:
        client.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError as error:
        if not _lies_still(path, error.sqlite_errorcode & 0xFF):
            raise
        client = _read_only(path, "immutable=1")
    return Database("sqlite", lambda sql: client.execute(sql).fetchall(), client.close, sqlite=client, snapshot=True)


def _lies_still(path: Path, error: int) -> bool:
    """Whether the file had a write-ahead log once, but no writer now, and stands where we may not make a new log."""
    logs = (Path(f"{path}{end}").exists() for end in ("-wal", "-shm", "-journal"))
    return error in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN} and not any(logs)


def _read_only(path: Path, mode: str) -> sqlite3.Connection:
    """Another thread may pull the rows (DuckDB's do), but never two at once."""
    address = f"file:{quote(str(path))}?{mode}"
    return sqlite3.connect(address, uri=True, timeout=30, check_same_thread=False, isolation_level=None)


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


def _quietly(close: Callable[[], None]) -> None:
    """A connection that is lost already cannot be closed, and that is no news."""
    with suppress(Exception):
        close()
