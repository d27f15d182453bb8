"""Real database servers for the tests, on free loopback ports, in a folder of their own, stopped at the end.

A machine without PostgreSQL or MariaDB skips their tests, and the summary lists them; with `CI=true` they fail.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pg8000.native
import pymysql
import pytest

PASSWORD = "s3cret-Pa55word"  # looked for in everything that is printed: it must never be there
NUMBERS = itertools.count()


@dataclass(frozen=True)
class Server:
    scheme: str
    port: int
    log: Path  # the server's own, which counts who was refused

    def url(self, database: str = "hospital", password: str = PASSWORD, user: str = "reader") -> str:
        return f"{self.scheme}://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def run(self, *statements: str, database: str = "hospital") -> list[Any]:
        """What the last of the statements answers, as rows of Python values; each is committed on its own."""
        return (_run_postgres if self.scheme == "postgresql" else _run_mysql)(self, statements, database)


@dataclass(frozen=True)
class Source:
    """One database of its own, empty at the start of a test."""

    name: str
    url: str
    run: Callable[..., list[Any]]

    def quoted(self, name: str) -> str:
        mark = "`" if self.name == "mariadb" else '"'
        return mark + name.replace(mark, mark * 2) + mark


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """Each test that asks for `source` runs once on every database there is."""
    return fresh_source(request, request.param, tmp_path)


@pytest.fixture
def sqlite_source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return fresh_source(request, "sqlite", tmp_path)


@pytest.fixture
def postgres_source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return fresh_source(request, "postgres", tmp_path)


@pytest.fixture
def mariadb_source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return fresh_source(request, "mariadb", tmp_path)


def fresh_source(request: pytest.FixtureRequest, name: str, folder: Path) -> Source:
    if name == "sqlite":
        path = folder / "hospital.db"
        sqlite3.connect(path).close()
        return Source(name, f"sqlite://{path}", partial(_run_sqlite, path))
    server: Server = request.getfixturevalue(name)
    database = f"test_{next(NUMBERS)}"
    server.run(f"CREATE DATABASE {database}", database="postgres" if name == "postgres" else "hospital")
    return Source(name, server.url(database), partial(server.run, database=database))


def _run_sqlite(path: Path, *statements: str) -> list[Any]:
    with closing(sqlite3.connect(path, isolation_level=None)) as client:
        return [client.execute(statement).fetchall() for statement in statements][-1]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with _folder() as folder, started_postgres(folder) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    with _folder() as folder, started_mariadb(folder) as server:
        yield server


@contextmanager
def started_postgres(folder: Path) -> Iterator[Server]:
    """A PostgreSQL without fsync: what it holds is thrown away. It refuses to run as root, so root lends it a user."""
    binaries = _binaries("initdb", "/usr/lib/postgresql/*/bin")
    data, port = folder / "data", free_port()
    user = _lend(folder, "postgres")
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    init = ["initdb", "-D", str(data), "-U", "reader", "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"]
    _quietly([str(binaries / init[0]), *init[1:], "--no-locale", "--no-sync"], user)
    quick = [
        "-c",
        "fsync=off",
        "-c",
        "synchronous_commit=off",
        "-c",
        "full_page_writes=off",
        "-c",
        "shared_buffers=256MB",
    ]
    where = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
    server = Server("postgresql", port, folder / "log")
    with _running([str(binaries / "postgres"), *where, *quick], folder, user):
        _until_it_answers(lambda: server.run("CREATE DATABASE hospital", database="postgres"))
        yield server


@contextmanager
def started_mariadb(folder: Path) -> Iterator[Server]:
    binary, install = _binaries("mariadbd", "/usr/sbin"), _binaries("mariadb-install-db", "/usr/bin")
    data, port = folder / "data", free_port()
    user = _lend(folder, "mysql")
    root = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    _quietly([str(install / "mariadb-install-db"), "--no-defaults", f"--datadir={data}", *root], user)
    begin = folder / "begin.sql"
    who = "reader@localhost"  # not '%': the anonymous user of a new server would come before it
    allow = f"CREATE USER {who} IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO {who} WITH GRANT OPTION;\n"
    begin.write_text(f"CREATE DATABASE hospital;\n{allow}")
    begin.chmod(0o644)
    where = [f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}"]
    quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--skip-log-bin", f"--init-file={begin}"]
    server = Server("mysql", port, folder / "log")
    with _running([str(binary / "mariadbd"), "--no-defaults", *where, *quick, "--sql-mode="], folder, user):
        _until_it_answers(lambda: server.run("SELECT 1"))
        yield server


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _run_postgres(server: Server, statements: tuple[str, ...], database: str) -> list[Any]:
    client = pg8000.native.Connection("reader", "127.0.0.1", database, server.port, PASSWORD, timeout=30)
    try:
        return [client.run(statement) for statement in statements][-1] or []
    finally:
        client.close()


def _run_mysql(server: Server, statements: tuple[str, ...], database: str) -> list[Any]:
    login = {"host": "127.0.0.1", "port": server.port, "user": "reader", "password": PASSWORD, "database": database}
    with pymysql.connect(**login, autocommit=True) as client, client.cursor() as cursor:  # type: ignore[call-overload]
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def _binaries(name: str, where: str) -> Path:
    """The folder that holds `name`. Without it the test is skipped, or fails where everything should be there."""
    found = sorted(Path("/").glob(f"{where.strip('/')}/{name}"))
    on_path = shutil.which(name)
    if found or on_path:
        return found[-1].parent if found else Path(on_path or "").parent
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not on this machine: `make services` brings it")
    pytest.skip(f"{name} is not on this machine: `make services` brings it")


@contextmanager
def _folder() -> Iterator[Path]:
    """Directly under the temporary folder: a socket's path may have 107 letters, and the server's user must enter."""
    folder = Path(tempfile.mkdtemp(prefix="lake-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lend(folder: Path, user: str) -> str | None:
    """Who a server in `folder` runs as: somebody who is not root. None is whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, user)
    return user


def _quietly(command: list[str], user: str | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", user=user, group=user, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def _running(command: list[str], folder: Path, user: str | None) -> Iterator[None]:
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd="/", user=user, group=user) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def _until_it_answers(ask: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            ask()
            return
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
