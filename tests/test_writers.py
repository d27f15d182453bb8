"""Writers are active in the source while it is read: nothing is missed, nothing comes twice.

Each row says when it was changed, before its transaction is committed. A transaction that is open for longer than the
lookback is what no watermark can find; reconciliation does.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pg8000.dbapi
import pymysql
import pytest
from in_memory import InMemory, declared
from servers import Source

from carelake.source import sql_extraction

LOOKBACK = 1_000  # milliseconds
THINGS = 600
THING = """
about: Things that somebody always changes.
key: [source_system, thing_id]
sequence_by: updated_at
history: scd2
columns:
  source_system: {type: text, kind: not_personal}
  thing_id:      {type: text, kind: event_number, refers_to: thing}
  name:          {type: text, kind: not_personal}
  updated_at:    {type: timestamp, kind: event_date}
"""
EMR = f"""
about: A busy database.
connection: nowhere
feeds:
  things:
    table: things
    load: watermark
    watermark: changed
    lookback: {LOOKBACK}
    fills: thing
    columns: {{thing_id: id, name: name, updated_at: told}}
"""
CREATE = "CREATE TABLE things (id INTEGER PRIMARY KEY, name VARCHAR(20), changed BIGINT, told VARCHAR(30))"


@pytest.fixture
def lake(tmp_path: Path) -> InMemory:
    pages = {"silver/thing.yml": THING, "sources/emr.yml": EMR}
    return InMemory(tmp_path / "lake", declared(tmp_path / "project", pages))


@contextmanager
def connected(source: Source) -> Iterator[Any]:
    """A connection whose transactions are its own affair."""
    parts = urlsplit(source.url)
    login = {"user": parts.username, "password": parts.password, "host": parts.hostname, "port": parts.port}
    where = parts.path.lstrip("/")
    opened: dict[str, Callable[[], Any]] = {
        "sqlite": lambda: sqlite3.connect(f"/{where}", timeout=60, isolation_level=None),
        "postgres": lambda: pg8000.dbapi.connect(**login, database=where),
        "mariadb": lambda: pymysql.connect(**login, database=where),
    }
    with closing(opened[source.name]()) as connection:
        yield connection


def new(key: int, name: str, changed: int) -> str:
    """The statement that makes a thing, as of a moment in milliseconds."""
    return f"INSERT INTO things VALUES ({key}, '{name}', {changed}, '{_told(changed)}')"


def renamed(key: int, name: str, changed: int) -> str:
    return f"UPDATE things SET name = '{name}', changed = {changed}, told = '{_told(changed)}' WHERE id = {key}"


def _told(changed: int) -> str:
    return datetime.fromtimestamp(changed / 1000, UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")


def in_source(source: Source) -> dict[str, str]:
    return {str(key): name for key, name in source.run("SELECT id, name FROM things")}


def in_silver(lake: InMemory) -> dict[str, str]:
    lake.refine()
    return {row["thing_id"]: row["name"] for row in lake.ask("SELECT thing_id, name FROM silver.thing")}


def test_a_commit_that_comes_late_but_within_the_lookback_is_found_and_a_later_one_is_reconciled(source, lake):
    start = 1_700_000_000_000
    source.run(CREATE, new(1, "first", start), new(2, "second", start + 5_000))
    assert lake.extract("emr.things", source.url) == 2
    source.run(new(3, "late", start + 5_000 - LOOKBACK), new(4, "too late", start + 5_000 - LOOKBACK - 1))
    assert lake.extract("emr.things", source.url) == 1
    assert lake.extract("emr.things", source.url) == 0
    assert in_silver(lake) == {"1": "first", "2": "second", "3": "late"}
    source.run("DELETE FROM things WHERE id = 1")
    assert lake.extract("emr.things", source.url, whole=True) == 2  # what was too late, and what is gone
    assert in_silver(lake) == {"2": "second", "3": "late", "4": "too late"}


@pytest.mark.parametrize("source", ["postgres", "mariadb"], indirect=True)
def test_a_transaction_that_is_open_while_others_commit_is_found_when_it_commits(source, lake):
    start = 1_700_000_000_000
    source.run(CREATE, new(1, "first", start))
    with connected(source) as slow:
        slow.cursor().execute(new(2, "slow", start + 10))
        source.run(new(3, "quick", start + 900))
        assert lake.extract("emr.things", source.url) == 2
        slow.commit()
    assert lake.extract("emr.things", source.url) == 1
    assert in_silver(lake) == {"1": "first", "2": "slow", "3": "quick"}


@dataclass
class Writer(threading.Thread):
    """Changes things of its own, so that each is changed in order. Remembers how late each last change came."""

    source: Source
    number: int
    stop: threading.Event
    late: dict[int, int] = field(default_factory=dict)  # key -> milliseconds from its stamp to its commit
    count: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        chance = random.Random(self.number)
        with connected(self.source) as connection:
            while not self.stop.is_set():
                key = 3 * chance.randrange(THINGS // 3) + self.number
                stamp = time.time_ns() // 1_000_000
                self.late[key] = LOOKBACK + 1  # unless it commits
                self._commit(connection, renamed(key, f"{self.number}.{self.count}", stamp), chance.random() * 0.1)
                self.late[key] = time.time_ns() // 1_000_000 - stamp
                self.count += 1

    def _commit(self, connection: Any, statement: str, pause: float) -> None:
        cursor = connection.cursor()
        if self.source.name == "sqlite":  # one at a time may write, so the others wait with their stamps
            time.sleep(pause)
            cursor.execute("BEGIN IMMEDIATE")
        cursor.execute(statement)
        if self.source.name != "sqlite":
            time.sleep(pause)
        connection.commit()


def watched(source: Source, lake: InMemory, seconds: float) -> list[Writer]:
    """The writers, when they are done. While they wrote, what was new was taken in over and over, once everything."""
    stop = threading.Event()
    writers = [Writer(source, number, stop) for number in range(3)]
    for writer in writers:
        writer.start()
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        turn += 1
        lake.extract("emr.things", source.url, whole=turn == 3, seen=datetime.now(UTC))
        lake.refine()
    stop.set()
    for writer in writers:
        writer.join(60)
    lake.extract("emr.things", source.url, seen=datetime.now(UTC))
    return writers


def check(source: Source, lake: InMemory, seconds: float) -> None:
    if source.name == "sqlite":
        source.run("PRAGMA journal_mode = WAL")
    source.run(CREATE, *(new(key, "first", 1_700_000_000_000 - 1_000 * 86_400_000) for key in range(THINGS)))
    writers = watched(source, lake, seconds)
    late = {str(key): 0 for key in range(THINGS)} | {
        str(key): delay for writer in writers for key, delay in writer.late.items()
    }
    found, there = in_silver(lake), in_source(source)
    missed = {key for key in there if found.get(key) != there[key] and late[key] <= LOOKBACK}
    assert not missed, f"{len(missed)} of {len(there)} things"
    files = [str(path) for path in lake.bronze.rglob("part-*.parquet")]
    landed = lake.ask(f"SELECT id, changed FROM read_parquet({files}) WHERE NOT _lake_deleted")
    assert max(Counter((row["id"], row["changed"]) for row in landed).values()) == 1, "a change was landed twice"
    assert len(landed) <= THINGS + sum(writer.count for writer in writers)
    assert len(landed) > THINGS + 20, "the writers were too slow to be in the way"
    history = lake.ask(
        "SELECT thing_id, COUNT(*) AS n FROM silver.thing_history WHERE NOT is_deleted GROUP BY thing_id"
    )
    assert sum(row["n"] for row in history) == len(landed)
    source.run("DELETE FROM things WHERE id < 10")
    lake.extract("emr.things", source.url, whole=True, seen=datetime.now(UTC))
    assert in_silver(lake) == in_source(source)


def test_what_writers_change_during_extraction_is_neither_missed_nor_landed_twice(source, lake):
    check(source, lake, 2)


@pytest.mark.prove
@pytest.mark.parametrize("piece", [3, 1_000_000], ids=["in many queries", "in one query"])
def test_what_writers_change_for_longer_is_neither_missed_nor_landed_twice(source, lake, piece, monkeypatch):
    monkeypatch.setattr(sql_extraction, "PAYS_TO_CUT", piece)
    monkeypatch.setattr(sql_extraction, "QUERY_ROWS", piece)
    monkeypatch.setattr(sql_extraction, "QUERY_PAGES", 1)
    check(source, lake, 20)
