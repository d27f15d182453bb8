"""The history of one row, as the latest release has it: what happened, when, and which load and run brought it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import declare, story
from ..changes import compared, is_told
from ..errors import RowUnknown, choose
from ..model import Declarations, Event, Table
from . import door
from .asker import PERSON

ROUNDS = 64  # from row to row; what goes on for longer is cut
Tell = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Changed:
    column: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Moment:
    """One version of a row, and what it says otherwise than the one before it."""

    at: datetime
    key: int
    source_system: str
    own_id: str | None  # as silver shows it; empty where several columns name a row
    version: int
    events: tuple[str, ...]  # of the declared story
    operation: str | None  # None: once more that it is gone
    reason: str | None
    changes: tuple[Changed, ...]
    shows: Mapping[str, str | None]  # what the events show, changed or not
    load_id: str | None
    run_id: str | None
    known_at: datetime
    is_current: bool
    is_change: bool


@dataclass(frozen=True)
class Held:
    """A row that waits in quarantine."""

    key: int
    reasons: tuple[str, ...]
    since: datetime
    load_id: str | None


@dataclass(frozen=True)
class History:
    table: str
    key: int
    is_current: bool
    keys: tuple[int, ...]  # every row of the story, this one among them
    story: tuple[Moment, ...]
    quarantined: tuple[Held, ...]

    def plain(self) -> dict[str, Any]:
        """The same, of plain values."""
        return asdict(self)


def read(project: Path, table: str, named: str, source: str = "") -> History:
    """The history of the row whose key is `named`; or, of `source`, of the row whose own id that is.

    Raises `RowUnknown`, and what the door raises.
    """
    declared = declare.read(project)
    about = _table(declared, table)
    with door.telling(project, about, [named, source]) as tell:
        key = _of_source(about, tell, named, source) if source else _number(named)
        keys = _linked(about, tell, key)
        moments = tuple(_moments(about, declared, tell, keys))
        held = tuple(_held(row) for row in tell(story.waiting(about, keys)))
        if PERSON in {about.own_key, *about.refers}:
            tell(story.whose(about, keys, PERSON))  # so that the access log knows
    if key not in {*(moment.key for moment in moments), *(one.key for one in held)}:
        raise _unknown(table)
    is_current = any(moment.is_current for moment in moments if moment.key == key)
    return History(table, key, is_current, tuple(sorted(keys)), moments, held)


def _table(declared: Declarations, name: str) -> Table:
    kept = {table.name: table for table in declared.tables.values() if is_told(table)}
    if name not in kept:
        raise RowUnknown(f"there is no table '{name}' that keeps its history.", choose(name, kept))
    return kept[name]


def _unknown(table: str) -> RowUnknown:
    fix = f"`SELECT {table}_key FROM silver.{table}_all` shows the keys; `--source` takes a source's own id."
    return RowUnknown(f"'{table}' has no such row in the latest release.", fix)


def _number(named: str) -> int:
    if not (named.isascii() and named.isdigit() and len(named) < 19):
        raise RowUnknown("that is no key: keys are whole numbers.", "For a source's own id say `--source` too.")
    return int(named)


def _of_source(table: Table, tell: Tell, named: str, source: str) -> int:
    if not story.own_id(table):
        fix = "Say the key, which `carelake query` shows."
        raise RowUnknown(f"several columns name a row of '{table.name}' in its source.", fix)
    found = tell(story.of_id(table, source, named))
    if not found or found[0]["key"] is None:
        raise _unknown(table.name)
    return int(found[0]["key"])


def _linked(table: Table, tell: Tell, key: int) -> set[int]:
    """The row, and those whose story it goes on with, or that go on with its own."""
    keys = {key}
    for _ in range(ROUNDS):
        more = {row["key"] for row in tell(story.linked(table, keys))} - keys
        if not more:
            break
        keys |= more
    return keys


def _moments(table: Table, declared: Declarations, tell: Tell, keys: set[int]) -> Iterator[Moment]:
    names, own = compared(table, declared.policy), story.own_id(table)
    events = table.story.events if table.story else ()
    ids: dict[int, str | None] = {}
    for row in tell(story.happened(table, declared.policy, keys)):
        if own and row[own] is not None:
            ids[row["_key"]] = row[own]
        happened = [event for event in events if row[f"event_{event.name}"]]
        yield Moment(
            **{name: row[f"_{name}"] for name in ("key", "source_system", "version", "operation", "reason")},
            **{name: row[f"_{name}"] for name in ("at", "load_id", "run_id", "known_at", "is_current", "is_change")},
            own_id=ids.get(row["_key"]),
            events=tuple(event.name for event in happened),
            changes=tuple(Changed(n, row[f"old_{n}"], row[n]) for n in names if row[f"old_{n}"] != row[n]),
            shows=_shown(happened, row),
        )


def _shown(events: list[Event], row: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: row[name] for event in events for name in event.show}


def _held(row: Mapping[str, Any]) -> Held:
    return Held(row["key"], tuple(row["reasons"].split(";")), row["since"], row["load_id"])
