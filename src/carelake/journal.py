"""The access log before its checkpoint: events of this machine's processes, each on the disk before a row leaves.

The events of a process are a chain. Each has the digest of the one before it, so that none can be changed, taken out
or put in between without all behind it being made anew. See access.py for how that is found.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .errors import LakeError

WAIT = 30.0  # seconds for other processes that write at the same moment
BEGIN = "0" * 64  # what the first event of a chain has before it
_MAKE = """CREATE TABLE IF NOT EXISTS event (
    chain TEXT NOT NULL, number INTEGER NOT NULL, told TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (chain, number)
) WITHOUT ROWID"""


class JournalUnwritable(LakeError):
    code = "LAKE-610"
    exit_code = 60
    why = "Who was shown what has to be on the disk before a row leaves (45 CFR 164.312(b))."


class Event(NamedTuple):
    """One event: the chain it is in, its place there from 1 on, what it tells as JSON, and its digest."""

    chain: str
    number: int
    told: str
    digest: str


def digest(before: str, chain: str, number: int, told: str) -> str:
    """The digest of an event, SHA-256 in hexadecimal, bound to its place and to all events before it."""
    return hashlib.sha256("\n".join([before, chain, str(number), told]).encode()).hexdigest()


def spelled(told: Mapping[str, Any]) -> str:
    """What an event tells, in the one spelling that is digested."""
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Journal:
    """Events of all processes that read one lake, in a SQLite file of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.process = 0  # whose chain it is: one that was forked begins its own
        self.chain, self.number, self.last = "", 0, BEGIN
        self._db: sqlite3.Connection | None = None
        self._one_at_a_time = threading.Lock()  # of this process's threads, which share its chain
        atexit.register(self.close)

    def close(self) -> None:
        """Close the file. The next event opens it again, and begins another chain."""
        if self._db is not None and self.process == os.getpid():
            self._db.close()
        self._db = None

    def append(self, told: Mapping[str, Any]) -> int:
        """Write one event; its number in the chain of this process. It is on the disk when this returns.

        Raises `JournalUnwritable`.
        """
        with self._one_at_a_time, self._writing() as db:
            text, number = spelled(told), self.number + 1
            mark = digest(self.last, self.chain, number, text)
            db.execute("INSERT INTO event VALUES (?, ?, ?, ?)", (self.chain, number, text, mark))
            self.number, self.last = number, mark
        return number

    def events(self) -> list[Event]:
        """Every event that no checkpoint has moved yet, chain by chain."""
        if not self.path.exists():
            return []
        with self._writing() as db:
            return [Event(*row) for row in db.execute("SELECT * FROM event ORDER BY chain, number")]

    def forget(self, moved: Iterable[Event]) -> None:
        """Take out what a checkpoint has moved to the lake."""
        with self._writing() as db:
            db.execute("BEGIN IMMEDIATE")
            places = [(event.chain, event.number) for event in moved]
            db.executemany("DELETE FROM event WHERE chain = ? AND number = ?", places)
            db.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._opened()
        except (sqlite3.Error, OSError):
            fix = f"See to it that there is room, and that {self.path} can be written; then ask again."
            raise JournalUnwritable("the access log cannot be written, so nothing is shown.", fix) from None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None or self.process != os.getpid():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_MAKE)
            self.process, self.number, self.last = os.getpid(), 0, BEGIN
            self.chain = secrets.token_hex(8)
        return self._db
